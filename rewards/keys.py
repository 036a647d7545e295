"""Content addresses: what a cached image or score depends on, as sha256 over canonical JSON, cut to 128 bits."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

KEY_BYTES = 16


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def canonical_json(value: Mapping[str, Any]) -> str:
    """One text per mapping, whatever the order of its keys."""
    return _canonical(value)


def canonical_text(conditioning: str) -> str:
    """NFC: one prompt has one spelling, and the generator is given this very text."""
    return conditioning if conditioning.isascii() else unicodedata.normalize("NFC", conditioning)


class MediaKeys:
    """Keys of the images of one generator at one setting."""

    def __init__(self, fingerprint: str, negative: str, steps: int | None, guidance: float | None) -> None:
        setting = json.dumps(["media", fingerprint, canonical_text(negative), steps, guidance])
        self._stem = hashlib.sha256(setting.encode()).digest()

    def __call__(self, conditioning: str, seed: int) -> bytes:
        """`conditioning` must be canonical already."""
        text = f"|{seed}|{conditioning}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(self._stem + text).digest()[:KEY_BYTES]


class ScoreKeys:
    """Keys of one reward's scores.

    The conditioning is part of the key, because a reward may read it (a length penalty), and the seed is not.
    """

    def __init__(self, fingerprint: str) -> None:
        self._stem = hashlib.sha256(json.dumps(["score", fingerprint]).encode()).digest()

    def __call__(self, digest: bytes, prompt: str, spec_json: str, conditioning: str) -> bytes:
        # lengths first: no text can pass for a shifted pair of others
        text = f"|{len(prompt)}|{len(spec_json)}|{prompt}{spec_json}{conditioning}".encode(
            "utf-8", "surrogatepass"
        )
        return hashlib.sha256(self._stem + digest + text).digest()[:KEY_BYTES]


def pixel_digest(pixels: np.ndarray) -> bytes:
    """Content address of a uint8 array, shape included."""
    import numpy as np

    one = hashlib.sha256(repr(pixels.shape).encode())
    one.update(np.ascontiguousarray(pixels).data.cast("B"))
    return one.digest()[:KEY_BYTES]
