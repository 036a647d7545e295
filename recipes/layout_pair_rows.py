"""Preference pairs from their files to token ids: checked before the first step, and in the order in which they are trained on."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from layout.synthesis import split_of_hash
from recipes.configuration import ConfigError
from recipes.layout_rows import GROUP, prompted

KEYS = ("prompt", "chosen", "rejected", "room_hash")


def read_pairs(files: Sequence[str], max_pairs: int | None, seed: int) -> list[dict[str, Any]]:
    """The rows of all files, mixed by the seed. Raises ConfigError with file and line, also for a room of a held-out split."""
    if not files:
        raise ConfigError(
            "pairs: missing; make them with `rewright layout pairs --stage 2 --count 2000 --output pairs.jsonl`"
        )
    rows: list[dict[str, Any]] = []
    for name in files:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(
                f"pairs: {name} does not exist; make it with `rewright layout pairs --output {name} ...`"
            )
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                texts = [row[key] for key in KEYS]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"pairs: {name}, line {number}: not a pair with {', '.join(KEYS)} ({error})"
                ) from error
            if not all(isinstance(text, str) and text for text in texts) or row["chosen"] == row["rejected"]:
                raise ConfigError(
                    f"pairs: {name}, line {number}: {', '.join(KEYS)} must be texts, and the answers differ"
                )
            split = _split(row["room_hash"])
            if split != "train":
                raise ConfigError(
                    f"pairs: {name}, line {number}: the room {row['room_hash']} is of the {split} split; "
                    "training must not see it"
                )
            rows.append(row)
    random.Random(f"{seed}/pairs").shuffle(rows)
    return rows[:max_pairs]


def _split(room_hash: str) -> str:
    try:
        return split_of_hash(room_hash)
    except ValueError:
        return "unknown"


def encode(tokenizer: Any, row: dict[str, Any], max_length: int) -> dict[str, list[int]]:
    """prompt_ids, chosen_ids and rejected_ids, as fine-tuning encodes them: apart, with the end token.

    Raises ConfigError for a pair longer than `max_length`: an answer that is cut off teaches to stop in the middle.
    """
    prompt = tokenizer(prompted(tokenizer, row["prompt"]), add_special_tokens=False)["input_ids"]
    sides = {
        side: [*tokenizer(row[side], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for side in ("chosen", "rejected")
    }
    longest = len(prompt) + max(map(len, sides.values()))
    if longest > max_length:
        raise ConfigError(
            f"max_length: a pair has {longest} tokens, more than {max_length}; give a larger max_length "
            f"(the pair is number {row.get('index')} of the seed, a {row.get('room_type')})"
        )
    return {"prompt_ids": prompt, "chosen_ids": sides["chosen"], "rejected_ids": sides["rejected"]}


def length(pair: dict[str, list[int]]) -> int:
    return len(pair["prompt_ids"]) + max(len(pair["chosen_ids"]), len(pair["rejected_ids"]))


def arranged(pairs: Sequence[dict[str, list[int]]], batch: int, seed: int) -> list[dict[str, list[int]]]:
    """In groups of GROUP micro-batches whose pairs are of like length, the micro-batches of a group shuffled: little is padding."""
    found = []
    for start in range(0, len(pairs), batch * GROUP):
        group = sorted(pairs[start : start + batch * GROUP], key=length)
        batches = [group[k : k + batch] for k in range(0, len(group), batch)]
        random.Random(f"{seed}/order/{start}").shuffle(batches)
        found += [pair for part in batches for pair in part]
    return found
