"""One row of a JSONL file or table as a `Pair`: our own columns, or those of Pick-a-Pic v2."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from diffusion_core.data import OPTIONAL, SIDES, Pair
from diffusion_core.media import Media

OWN = ("prompt", *SIDES)
PICK_A_PIC = ("caption", "jpg_0", "jpg_1")


def short_hash(*parts: str | bytes) -> str:
    """16 hexadecimal digits that depend on all parts and their borders."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:16]


def pair_of_row(row: Mapping[str, Any], root: Path, where: str) -> Pair | str:
    """A row with our own column names as a pair, or its fault."""
    missing = [name for name in OWN if row.get(name) is None]
    if missing:
        return f"{where}: no {', '.join(missing)}; it has {', '.join(map(str, row)) or 'nothing'}"
    for name in ("score_chosen", "score_rejected", "prob_chosen"):
        value = row.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"{where}: {name} is {value!r}; give a number or null"
    chosen, rejected = (_media(row[side], root) for side in SIDES)
    if isinstance(chosen, str) or isinstance(rejected, str):
        side, wrong = ("chosen", chosen) if isinstance(chosen, str) else ("rejected", rejected)
        return f"{where}: {side}: {wrong}"
    identifier = row.get("id")
    if identifier is None:
        contents = [_content(row[side], media) for side, media in zip(SIDES, (chosen, rejected), strict=True)]
        identifier = short_hash(str(row["prompt"]), *contents)
    return Pair(
        str(identifier), row["prompt"], chosen, rejected, **{name: row.get(name) for name in OPTIONAL}
    )


def _media(value: Any, root: Path) -> Media | str:
    """A cell as media, or what is wrong with it. Tables of `datasets` hold {"bytes", "path"}."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value or "no bytes in it"
    if isinstance(value, str) and value:
        return root / value
    return (
        value
        if isinstance(value, Path)
        else f"{type(value).__name__} is no picture; give its path or its bytes"
    )


def _content(cell: Any, media: Media | str) -> bytes:
    """What an id is hashed from: the bytes, or the path as it is written, so that a folder may be moved."""
    if isinstance(media, bytes):
        return media
    return str(cell.get("path") if isinstance(cell, dict) else cell).encode()


def has_columns(row: Mapping[str, Any], names: Iterable[str]) -> bool:
    return all(name in row for name in names)


def pair_of_pick(row: Mapping[str, Any], root: Path, where: str) -> Pair | str | None:
    """A row of Pick-a-Pic v2 with the winner first; None for a tie."""
    label, other = row.get("label_0"), row.get("label_1")
    if label is None and row.get("best_image_uid"):
        best = row["best_image_uid"]
        label = {row.get("image_0_uid"): 1.0, row.get("image_1_uid"): 0.0, "tie": 0.5}.get(best)
    if label is None:
        return f"{where}: neither label_0 nor best_image_uid says which picture is the better one"
    if label not in (0, 0.5, 1) or (other is not None and label + other != 1):
        return f"{where}: labels {label}, {other}; known are 1, 0 and 0.5, 0.5 for a tie"
    if label == 0.5:
        return None
    won, lost = ("jpg_0", "jpg_1") if label == 1 else ("jpg_1", "jpg_0")
    own = row.get("ranking_id")
    # Without a ranking's own id the hash tells apart who won: two people may judge the same pictures.
    names = {
        "id": None if own is None else str(own),
        "prompt": row["caption"],
        "chosen": row[won],
        "rejected": row[lost],
    }
    return pair_of_row(names, root, where)
