"""One arm on one set of prompts: texts, images, verdicts, kept on disk so that an interrupted evaluation goes on.

    sets/<set>/<arm>.texts.jsonl   one line per prompt: what is drawn, and how it came about
    sets/<set>/<arm>.rows.jsonl    one line per image: prompt, seed, rewrite, value, parts, status, image statistics
    sets/<set>/images/<arm>/       PNGs of the first prompts

Each file begins with a line that says what it was made from; a file made from something else is made anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.arms import Arm, Text
from recipes.evaluation_sets import Prompt
from recipes.terminal import Ticker, batches

if TYPE_CHECKING:
    from rewards.bridge import Bridge
    from rewards.cases import Outcome

_CHUNK = 16  # prompts per call: often enough for a bar that moves


def key_of(*parts: object) -> str:
    """A short hash of anything that JSON can say."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def read_kept(path: Path, key: str) -> list[dict[str, Any]] | None:
    """The lines of a finished file made from `key`, or None."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as lines:
        head = json.loads(next(lines, "{}") or "{}")
        return [json.loads(line) for line in lines] if head.get("key") == key else None


def write_kept(path: Path, key: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write in one step: a file that is there is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as out:
        for row in ({"key": key}, *rows):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    part.replace(path)


def arm_texts(arm: Arm, prompts: Sequence[Prompt], folder: Path) -> list[Text]:
    """The arm's texts, kept or made."""
    key = key_of(arm.key, [prompt.prompt for prompt in prompts])
    path = folder / f"{arm.name}.texts.jsonl"
    kept = None if arm.key == "plain" else read_kept(path, key)
    if kept is not None:
        return [Text(**{**row["answer"], "violations": tuple(row["answer"]["violations"])}) for row in kept]
    texts = arm.texts(prompts)
    rows = [
        {"row_id": p.row_id, "prompt": p.prompt, "answer": asdict(t), "words": len(t.text.split())}
        for p, t in zip(prompts, texts, strict=True)
    ]
    write_kept(path, key, rows)
    return texts


def arm_rows(
    arm: str,
    prompts: Sequence[Prompt],
    texts: Sequence[Text],
    bridge: Bridge,
    folder: Path,
    *,
    pictures: int,
    drawn: Mapping[str, Any],
    ticker: Ticker,
) -> list[dict[str, Any]]:
    """One row per (prompt, seed), kept or measured; PNGs of the first `pictures` prompts.

    `drawn` is what the bridge was told about drawing (steps, guidance). Prompts that failed for a reason that may have passed
    are measured again, the others are kept.
    """
    setting = (bridge.generator.fingerprint, bridge.reward.fingerprint, bridge.seed, bridge.images_per_prompt)
    asked = [(p.row_id, p.prompt, p.spec, t.text) for p, t in zip(prompts, texts, strict=True)]
    key = key_of(setting, dict(drawn), asked, pictures)
    path = folder / f"{arm}.rows.jsonl"
    kept = read_kept(path, key) or []
    failed = {row["row_id"] for row in kept if row["status"] == "RETRYABLE"}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in kept:
        if row["row_id"] not in failed:
            found.setdefault(row["row_id"], []).append(row)
    ticker.advance(sum(map(len, found.values())))
    missing = [
        (i, pair) for i, pair in enumerate(zip(prompts, texts, strict=True)) if pair[0].row_id not in found
    ]
    if not missing:
        return kept
    for chunk in batches(missing, _CHUNK):
        outcomes = bridge.score_texts(
            [_row(p) for _, (p, _) in chunk], [t.text for _, (_, t) in chunk], images=True
        )
        for (index, (prompt, text)), outcome in zip(chunk, outcomes, strict=True):
            found[prompt.row_id] = list(_samples(prompt, text, outcome, bridge.seeds(prompt.row_id)))
            if index < pictures:
                _save_pictures(outcome, folder, arm, prompt.row_id)
        ticker.advance(len(chunk) * bridge.images_per_prompt)
    rows = [row for prompt in prompts for row in found[prompt.row_id]]
    write_kept(path, key, rows)
    return rows


def _row(prompt: Prompt) -> Any:
    from rewards.cases import Row

    return Row(prompt.row_id, prompt.prompt, prompt.spec)


def _samples(prompt: Prompt, text: Text, outcome: Outcome, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    from recipes.pictures import statistics

    for k, seed in enumerate(seeds):
        value = outcome.values[k] if k < len(outcome.values) else outcome.value
        parts = outcome.parts_per_seed[k] if k < len(outcome.parts_per_seed) else {}
        image = outcome.images[k] if k < len(outcome.images) else None
        yield {
            "row_id": prompt.row_id,
            "k": k,
            "seed": seed,
            "rewrite": text.text,
            "value": _finite(value),
            "parts": {name: held for name, part in parts.items() if (held := _finite(part)) is not None},
            "status": outcome.status.name,
            "note": outcome.note,
            "image": None if image is None else {name: round(v, 5) for name, v in statistics(image).items()},
        }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def picture_path(folder: Path, arm: str, row_id: str, k: int) -> Path:
    """Where the k-th image of a prompt lies; a row's id is any text, so that it is hashed where it is no plain name."""
    name = row_id if re.fullmatch(r"[\w.-]{1,80}", row_id) else key_of(row_id)
    return folder / "images" / arm / f"{name}_{k}.png"


def _save_pictures(outcome: Outcome, folder: Path, arm: str, row_id: str) -> None:
    from recipes.pictures import save_png

    for k, image in enumerate(outcome.images):
        if image is not None:
            save_png(image, picture_path(folder, arm, row_id, k))
