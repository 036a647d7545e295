"""Data sets of synthetic rooms: JSON lines in parts, split by the empty room, with a card. A stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from layout.schema import RoomType
from recipes.terminal import progress, remark

SPLITS = ("train", "validation", "test")
PART = 500  # rooms; what a stopped run has to do again at most
VERSION = 1  # of the rows; a change of the generator that changes rooms counts it up


def synthesise(
    output: Path, seed: int, count: int, mix: Mapping[RoomType, float], workers: int = 1
) -> dict[str, Any]:
    """Write `count` rooms of a seed under `output` and return the manifest. The same arguments give the same bytes.

    Raises ValueError where the folder holds a data set with other settings.
    """
    settings = {"version": VERSION, "seed": seed, "count": count, "mix": dict(mix), "part": PART}
    _claim(output, settings)
    parts = range(-(-count // PART))
    missing = [k for k in parts if not (output / f"part-{k:05d}.done").exists()]
    left = sum(_length(k, count) for k in missing)
    if left < count:
        remark(f"{count - left} of {count} rooms are there already")
    with progress("rooms", left) as ticker:
        for k in _made(partial(write_part, output, seed, count, dict(mix)), missing, workers):
            ticker.advance(_length(k, count))
    manifest = settings | _summary(output, parts)
    _write(output / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    _write(output / "README.md", card(manifest))
    return manifest


def _claim(output: Path, settings: dict[str, Any]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    known = output / "settings.json"
    if known.exists():
        other = json.loads(known.read_text(encoding="utf-8"))
        if other != settings:
            changed = ", ".join(f"{k} {other.get(k)} → {v}" for k, v in settings.items() if other.get(k) != v)
            raise ValueError(
                f"{output} holds a data set with other settings ({changed}); give another folder"
            )
    else:
        if any(output.iterdir()):
            raise ValueError(f"{output} is not empty and holds no data set; give a new folder")
        _write(known, json.dumps(settings) + "\n")


def _length(part: int, count: int) -> int:
    return min(PART, count - part * PART)


def _made(make: Any, parts: list[int], workers: int) -> Iterator[int]:
    if workers == 1 or len(parts) < 2:
        yield from map(make, parts)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(make, parts)


def write_part(output: Path, seed: int, count: int, mix: Mapping[RoomType, float], part: int) -> int:
    """One part: a file a split, then the mark that it is complete. Returns the part's number."""
    from layout.synthesis import rooms

    lines: dict[str, list[str]] = {name: [] for name in SPLITS}
    for drawn in rooms(seed, _length(part, count), mix, first=part * PART):
        row = row_of(drawn, seed)
        lines[row["split"]].append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    for name in SPLITS:
        _write(output / name / f"part-{part:05d}.jsonl", "".join(line + "\n" for line in lines[name]))
    _write(output / f"part-{part:05d}.done", "")
    return part


def row_of(drawn: Any, seed: int) -> dict[str, Any]:
    """One room as a row: the scene, an instruction it fulfils, the plan. Test rooms get the held-out templates."""
    from layout.instructions import instruct, plan_text
    from layout.serialise import carriers_first
    from layout.synthesis import split_of

    split = split_of(drawn.scene.room)
    scene = carriers_first(drawn.scene)
    asked = instruct(scene, f"{seed}/{drawn.index}", held_out=split == "test")
    return {
        "id": f"{seed}-{drawn.index:06d}",
        "split": split,
        **scene.model_dump(mode="json"),
        "instruction": asked.model_dump(mode="json"),
        "plan": plan_text(scene),
        "tries": drawn.tries,
    }


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".tmp")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)


def _summary(output: Path, parts: range) -> dict[str, Any]:
    """Counts and checksums of what is on disk."""
    splits: Counter[str] = Counter()
    types: Counter[str] = Counter()
    levels: Counter[int] = Counter()
    categories: Counter[str] = Counter()
    objects = tries = 0
    sums = {}
    for name in SPLITS:
        for k in parts:
            path = output / name / f"part-{k:05d}.jsonl"
            data = path.read_bytes()
            sums[f"{name}/{path.name}"] = hashlib.sha256(data).hexdigest()
            for line in data.splitlines():
                row = json.loads(line)
                splits[name] += 1
                types[row["room"]["room_type"]] += 1
                levels[row["instruction"]["level"]] += 1
                categories.update(o["category"] for o in row["objects"])
                objects += len(row["objects"])
                tries += row["tries"]
    rooms = sum(splits.values())
    return {
        "rooms": rooms,
        "splits": {name: splits[name] for name in SPLITS},
        "room_types": dict(types.most_common()),
        "instruction_levels": {str(k): levels[k] for k in sorted(levels)},
        "objects_per_room": round(objects / rooms, 3),
        "tries_per_room": round(tries / rooms, 3),
        "categories": dict(sorted(categories.items(), key=lambda kv: (-kv[1], kv[0]))),
        "sha256": sums,
    }


def card(manifest: Mapping[str, Any]) -> str:
    """The data card."""

    def table(values: Mapping[str, int]) -> str:
        return "\n".join(f"| {name.replace('_', ' ')} | {n} |" for name, n in values.items())

    kinds = ",".join(manifest["mix"])
    return f"""# Synthetic furnished rooms

{manifest["rooms"]} rooms with furniture, an instruction that each of them fulfils, and a plan in words. Made by

    rewright layout synth --count {manifest["count"]} --seed {manifest["seed"]} --rooms {kinds} --output DIR

The same command gives the same files; `manifest.json` has their SHA-256.

**How.** An outline (rectangle, L, notched, oblique) with a door and windows is drawn, furnished by rules, and kept only when the validator
finds no fault at all ({manifest["tries_per_room"]:.1f} tries a room). Relations in instructions are measured from the finished room. No human
placed or judged anything, and no third party's scenes are in it.

**Splits.** By a hash of the empty room (outline and openings to 10 cm, type): no room is in two splits. Instructions of the test split use
templates that the others never use.

| split | rooms |
| --- | ---: |
{table(manifest["splits"])}

| room type | rooms |
| --- | ---: |
{table(manifest["room_types"])}

{manifest["objects_per_room"]:.1f} objects a room, {len(manifest["categories"])} categories.

**Fields.** `id`; `split`; `room` (type, polygon, height, doors, windows); `objects` (id, category, size, yaw, pos, on); `instruction` (level,
text, spec, template); `plan`; `tries`. Centimetres, z up, the room's south-west corner at (0, 0), yaw in degrees counter-clockwise, front =
local −y; `pos` is the centre of the bottom face, `size` is width, depth, height.

**Limits.** Rule-made rooms are easier than designed ones and vary less; figures on them do not carry over to 3D-FRONT or to real homes.
Doors are single leaves; sizes come from a catalogue of typical products.

**Licence.** Apache-2.0, as the generator.
"""
