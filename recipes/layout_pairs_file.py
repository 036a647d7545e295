"""A file of preference pairs, made in pieces: a stopped run goes on, the file appears whole, and a summary beside it says what is in it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.layout_pairs import Sampled, Source
from recipes.layout_slips import Slips
from recipes.terminal import progress, remark

VERSION = 1  # of the rows
MAX_IDLE = 40  # pieces in a row without a pair until it is said that none is to be had


def summary_path(output: Path) -> Path:
    return output.with_name(output.name.removesuffix(".jsonl") + ".summary.json")


def write_pairs(
    output: Path, settings: Mapping[str, Any], source: Source, count: int, piece: int
) -> dict[str, Any]:
    """Write `count` pairs of a source and return the summary. `piece` prompts are worked on at once: what a stopped run does again.

    `settings` are what the pairs depend on; going on with others is refused. Raises ValueError, also where no pair is found in a long row.
    """
    settings = {"version": VERSION, **settings}
    if output.exists():
        return _finished(output, settings, count)
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(output.name + ".part")
    rows, at = _begun(part, settings)
    balance = sum(row["chosen_objects"] - row["rejected_objects"] for row in rows)
    if rows:
        remark(f"{min(len(rows), count)} of {count} pairs are there already")
    began, idle, dropped = time.monotonic(), 0, 0
    with progress("pairs", max(0, count - len(rows))) as ticker, part.open("a", encoding="utf-8") as out:
        while len(rows) < count:
            kept = []
            for row in source(range(at, at + piece)):
                more = row["chosen_objects"] - row["rejected_objects"]
                # Or furniture would be what is unlearnt: fewer objects have fewer faults.
                if more < 0 and balance + more < 0:
                    dropped += 1
                    continue
                balance += more
                kept.append(row)
            at += piece
            out.write("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in [*kept, {"next": at}]))
            out.flush()
            ticker.advance(min(len(kept), count - len(rows)))
            rows += kept
            idle = 0 if kept else idle + 1
            if idle >= MAX_IDLE:
                raise ValueError(_no_pairs(source, idle * piece))
    seconds = time.monotonic() - began
    made = summary(rows[:count]) | {"settings": dict(settings), "dropped_for_object_count": dropped}
    made["seconds_of_the_last_start"] = round(seconds, 1)
    if isinstance(source, (Sampled, Slips)):
        made["sampled_in_the_last_start"] = dict(source.seen)
    _write(summary_path(output), json.dumps(made, indent=1) + "\n")
    _write(output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows[:count]))
    part.unlink()
    return made


def _finished(output: Path, settings: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The summary of a file that is whole. Raises ValueError where it is of other settings, or has another number of pairs."""
    try:
        made = json.loads(summary_path(output).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise ValueError(f"{output} exists and was not made by this command; give another file") from error
    if made.get("settings") != dict(settings) or made.get("pairs") != count:
        raise ValueError(f"{output} holds {made.get('pairs')} pairs of other settings; give another file")
    remark(f"{output} is finished: nothing to do")
    return made


def _begun(part: Path, settings: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """(whole pieces of a stopped run, number of the next prompt). The file is cut behind the last whole piece."""
    rows: list[dict[str, Any]] = []
    fresh: list[dict[str, Any]] = []
    at, good = 0, 0
    lines = part.read_bytes().splitlines(keepends=True) if part.exists() else []
    for k, line in enumerate(lines):
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            break
        if k == 0:
            if row.get("settings") != dict(settings):
                raise ValueError(
                    f"{part} was begun with other settings ({_changed(row.get('settings', {}), settings)}); "
                    "remove it or give another file"
                )
            good = len(line)
        elif "next" in row:
            rows, at, fresh = rows + fresh, row["next"], []
            good = sum(map(len, lines[: k + 1]))
        else:
            fresh.append(row)
    if good:
        os.truncate(part, good)
    else:
        part.write_text(json.dumps({"settings": dict(settings)}) + "\n", encoding="utf-8")
    return rows, at


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    keys = [k for k in {**before, **now} if before.get(k) != now.get(k)]
    return ", ".join(f"{k} {before.get(k)!r} → {now.get(k)!r}" for k in keys)


def _no_pairs(source: Source, prompts: int) -> str:
    seen = source.seen if isinstance(source, (Sampled, Slips)) else None
    why = "no defect can be injected; give other --codes"
    if seen is not None:
        why = (
            f"of {seen['answers']} answers {seen['unread']} could not be read and {seen['hard']} had a hard fault, none of them a near miss; "
            "train the model further, or give more answers a prompt (-k) or another --temperature"
        )
    return f"no pair in {prompts} prompts: {why}"


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is in a file of pairs: numbers by code, room and origin, the mean number of objects on both sides, and what is not a defect."""
    n = max(1, len(rows))
    return {
        "pairs": len(rows),
        "codes": dict(Counter(row["code"] for row in rows).most_common()),
        "room_types": dict(Counter(row["room_type"] for row in rows).most_common()),
        "chosen_by": dict(Counter(row["chosen_by"] for row in rows).most_common()),
        "chosen_objects": round(sum(row["chosen_objects"] for row in rows) / n, 3),
        "rejected_objects": round(sum(row["rejected_objects"] for row in rows) / n, 3),
        "rejected_without_hard_fault": round(sum(not row["rejected_hard"] for row in rows) / n, 4),
        "rejected_without_any_fault": round(sum(not row["rejected_faults"] for row in rows) / n, 4),
    }


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    half = path.with_name(path.name + ".tmp")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)
