"""Bytes on disk: a one-line JSON header and raw uint8. Nothing here can run code, and nothing is lost."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import TYPE_CHECKING

from rewards.base import Status
from rewards.cases import PartScore
from rewards.keys import pixel_digest

if TYPE_CHECKING:
    import numpy as np


_to_json = json.JSONEncoder(
    separators=(",", ":"), allow_nan=False
).encode  # made once: half the cost of dumps


class CorruptEntry(ValueError):
    """A stored entry is not what was written."""


def encode_pixels(pixels: np.ndarray) -> bytes:
    """uint8 array → header line + raw bytes in C order."""
    if pixels.dtype.name != "uint8":
        raise TypeError(f"only uint8 pixels are stored, got {pixels.dtype}")
    return _header(pixels.shape) + pixels.tobytes()


@lru_cache(maxsize=256)
def _header(shape: tuple[int, ...]) -> bytes:
    return _to_json({"dtype": "uint8", "shape": shape}).encode() + b"\n"


def decode_pixels(blob: bytes, digest: bytes) -> np.ndarray:
    """Header line + raw bytes → read-only uint8 array; raises CorruptEntry unless its content has this `digest`."""
    import numpy as np

    head, _, raw = blob.partition(b"\n")
    try:
        header = json.loads(head)
        shape = tuple(int(n) for n in header["shape"])
        if header["dtype"] != "uint8" or min(shape, default=0) < 1 or math.prod(shape) != len(raw):
            raise CorruptEntry(f"header {header} does not fit {len(raw)} bytes")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptEntry(f"unreadable header: {error}") from error
    pixels = np.frombuffer(raw, dtype=np.uint8).reshape(shape)
    if pixel_digest(pixels) != digest:
        raise CorruptEntry("the pixels do not match their digest")
    return pixels


def encode_score(score: PartScore) -> bytes:
    """[status, value, parts, note] as JSON; NaN becomes null."""
    value = None if math.isnan(score.value) else score.value
    parts = {name: None if math.isnan(part) else part for name, part in score.parts.items()}
    return json.dumps(
        [int(score.status), value, parts, score.note], separators=(",", ":"), allow_nan=False
    ).encode()


def decode_score(blob: bytes) -> PartScore:
    try:
        status, value, parts, note = json.loads(blob)
        named = {str(name): math.nan if part is None else float(part) for name, part in parts.items()}
        return PartScore(math.nan if value is None else float(value), named, Status(status), note)
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptEntry(f"unreadable score: {error}") from error
