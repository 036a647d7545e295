"""The exact judge of the shapes world as a `Reward`: nothing about its score is learned or guessed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rewards.base import Item, Media, Scores, Status
from rewards.shapes_detector import detect
from rewards.shapes_verdict import KINDS, Verdict, judge

__all__ = ["ShapesJudge", "Verdict", "detect", "judge"]

Mode = Literal["shaped", "strict", "geneval", "tifa_am", "tifa_gm"]
_MODES = ("strict", "shaped", "geneval", "tifa_am", "tifa_gm")


def _code_fingerprint() -> str:
    here = Path(__file__).parent
    sources = [here / name for name in ("shapes.py", "shapes_detector.py", "shapes_verdict.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


@dataclass
class ShapesJudge:
    """Scores images against `item.spec`, a `SceneSpec` mapping; an item without a spec is NA, a malformed one BROKEN.

    `mode` picks the value; all modes and the mean of every kind of atom come back as parts, NaN where the spec asks nothing of the kind.
    """

    mode: Mode = "shaped"
    name: str = "shapes"
    licence: str = "Apache-2.0"
    kinds: frozenset[str] = frozenset({"image"})
    bounds: tuple[float, float] = (0.0, 1.0)
    scope: Literal["sample", "group"] = "sample"
    deterministic: bool = True
    differentiable: bool = False
    max_batch: int = 256
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ValueError(f"unknown mode {self.mode!r}; known: {', '.join(_MODES)}")
        self.fingerprint = f"shapes-{self.mode}-{_code_fingerprint()}"

    def score(self, media: Media, items: Sequence[Item], *, deadline: float | None = None) -> Scores:
        from pydantic import ValidationError

        from diffusion_core.worlds.shapes.spec import SceneSpec

        if len(items) != len(media):
            raise ValueError(f"{len(items)} items for {len(media)} images")
        pixels = media.pixels
        if pixels.is_floating_point():
            pixels = (pixels.detach().clamp(0, 1) * 255 + 0.5).byte()
        if pixels.ndim != 4:
            note = f"the shapes judge reads images (B, C, H, W), not {tuple(pixels.shape)}"
            return Scores.of(
                [math.nan] * len(items), status=[Status.BROKEN] * len(items), notes=[note] * len(items)
            )
        images = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        values: list[float] = []
        status: list[Status] = []
        notes: list[str | None] = []
        parts: dict[str, list[float]] = {name: [] for name in (*_MODES, *KINDS)}
        for image, item in zip(images, items, strict=True):
            verdict, state, note = None, Status.OK, None
            if not item.spec:
                state, note = Status.NA, "no scene spec: the shapes judge needs one"
            else:
                try:
                    spec = SceneSpec.model_validate(dict(item.spec))
                    verdict = judge(detect(image), spec)
                except (ValidationError, ValueError, AttributeError) as error:
                    state, note = Status.BROKEN, str(error)
            values.append(math.nan if verdict is None else getattr(verdict, self.mode))
            for name in _MODES:
                parts[name].append(math.nan if verdict is None else getattr(verdict, name))
            for kind in KINDS:
                value = None if verdict is None else verdict.part(kind)
                parts[kind].append(math.nan if value is None else value)
            status.append(state)
            notes.append(note)
        return Scores.of(values, parts=parts, status=status, notes=notes)
