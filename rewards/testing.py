"""Rewards and generators with known answers and known faults, for tests, contract checks and benchmarks.

`ColourGenerator` draws one flat colour per (prompt, seed); `Brightness` reads it back exactly. The faulty rewards wrap
the same reading. Faults are drawn per image from a hash, so a faulty sample is faulty in every batch and every try.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rewards.base import Item, Media, Scores, Status, as_float
from rewards.failures import ScoreUnavailable

if TYPE_CHECKING:
    import torch


def unit_hash(*what: object) -> float:
    """A number in [0, 1) that depends on nothing but the arguments."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:7], "big") / 2**56


@dataclass
class ColourGenerator:
    """A flat grey-level image per request: brightness = unit_hash(prompt, seed). Counts what it was asked for."""

    size: int = 8
    delay_s: float = 0.0
    fingerprint: str = "colour-generator-1"
    licence: str = "Apache-2.0"
    brightness: Callable[[str, int], float] = field(default=unit_hash)
    requests: list[Any] = field(default_factory=list)
    calls: int = 0

    def generate(self, requests: Sequence[Any], **_: Any) -> list[Any]:
        import torch

        from diffusion_core.types import Sample

        self.calls += 1
        self.requests.extend(requests)
        if self.delay_s:
            time.sleep(self.delay_s)
        levels = [round(255 * self.brightness(r.prompt, r.seed)) / 255 for r in requests]
        return [
            Sample(torch.full((3, self.size, self.size), v), r) for v, r in zip(levels, requests, strict=True)
        ]


@dataclass
class Brightness:
    """Mean of all channels, in [0, 1]: the reading that the faulty rewards below disturb."""

    name: str = "brightness"
    fingerprint: str = "brightness-1"
    bounds: tuple[float, float] = (0.0, 1.0)
    max_batch: int = 32
    deterministic: bool = True
    calls: int = field(default=0, init=False)
    scored: int = field(default=0, init=False)
    kinds: ClassVar[frozenset[str]] = frozenset({"image"})
    scope: ClassVar[Literal["sample", "group"]] = "sample"
    differentiable: ClassVar[bool] = False
    licence: ClassVar[str] = "Apache-2.0"

    def score(self, media: Media, items: Sequence[Item], *, deadline: float | None = None) -> Scores:
        self.calls += 1
        self.scored += len(items)
        return self.answer(
            as_float(media.pixels).flatten(1).mean(1) if len(items) else media.pixels.new_zeros(0), items
        )

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        return Scores.of(value_B, parts={"mean": value_B})


@dataclass
class Constant(Brightness):
    """The same value for everything: a group without any contrast."""

    value: float = 0.5

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        return Scores.of([self.value] * len(items))


@dataclass
class NotANumber(Brightness):
    """NaN for a share of the images."""

    share: float = 1.0

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        bad = [unit_hash("nan", item.conditioning, item.seed) < self.share for item in items]
        return Scores.of([math.nan if b else v for v, b in zip(value_B.tolist(), bad, strict=True)])


@dataclass
class OutOfRange(Brightness):
    """Values up to twice the declared range."""

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        return Scores.of(2.0 * value_B)


@dataclass
class WrongLength(Brightness):
    """One answer too few, always."""

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        return Scores.of(value_B[1:])


@dataclass
class Crashing(Brightness):
    """Raises `error` for a share of the images, and so for every batch that holds one of them."""

    share: float = 1.0
    error: Exception = field(default_factory=lambda: ValueError("this scorer has a bug"))

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        if any(unit_hash("crash", item.conditioning, item.seed) < self.share for item in items):
            raise self.error
        return super().answer(value_B, items)


@dataclass
class Slow(Brightness):
    """Sleeps before answering; a very long sleep is a hung scorer. `release` ends all its sleeps."""

    seconds: float = 3600.0
    share: float = 1.0
    release: threading.Event = field(default_factory=threading.Event)

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        if any(unit_hash("slow", item.conditioning, item.seed) < self.share for item in items):
            self.release.wait(self.seconds)
        return super().answer(value_B, items)


@dataclass
class Flaky(Brightness):
    """Unavailable in the first `failures` tries of each image, then well."""

    failures: int = 1
    tries: Counter[tuple[str, int]] = field(default_factory=Counter)

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        for item in items:
            self.tries[item.conditioning, item.seed] += 1
        if any(self.tries[item.conditioning, item.seed] <= self.failures for item in items):
            raise ScoreUnavailable("the backend is restarting")
        return super().answer(value_B, items)


@dataclass
class Faulty(Brightness):
    """Time-outs, NaN and crashes in given shares of the images, each image always the same way."""

    timeouts: float = 0.10
    nans: float = 0.05
    crashes: float = 0.01

    def fate(self, conditioning: str, seed: int) -> Literal["timeout", "nan", "crash", "ok"]:
        draw = unit_hash("fate", conditioning, seed)
        if draw < self.timeouts:
            return "timeout"
        if draw < self.timeouts + self.nans:
            return "nan"
        return "crash" if draw < self.timeouts + self.nans + self.crashes else "ok"

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        fates = [self.fate(item.conditioning, item.seed) for item in items]
        if "crash" in fates:
            raise ZeroDivisionError("an image that this scorer cannot take")
        if "timeout" in fates:
            raise TimeoutError("the scorer's backend did not answer")
        return Scores.of(
            [math.nan if f == "nan" else v for v, f in zip(value_B.tolist(), fates, strict=True)]
        )


@dataclass
class Applicable(Brightness):
    """NA for items whose spec does not name this reward under "apply"."""

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        na = [self.name not in item.spec.get("apply", ()) for item in items]
        return Scores.of(value_B, status=[Status.NA if n else Status.OK for n in na])


@dataclass
class GroupRank(Brightness):
    """A group reward: the share of the group that an image is at least as bright as."""

    scope: ClassVar[Literal["sample", "group"]] = "group"

    def answer(self, value_B: torch.Tensor, items: Sequence[Item]) -> Scores:
        values = value_B.tolist()
        members: dict[str, list[float]] = {}
        for item, value in zip(items, values, strict=True):
            members.setdefault(item.group, []).append(value)
        peers = [members[item.group] for item in items]
        return Scores.of(
            [sum(v >= p for p in held) / len(held) for v, held in zip(values, peers, strict=True)]
        )


@dataclass
class TemplateMSE(Brightness):
    """-mean((image - colour)^2) against the flat RGB `spec["rgb"]`: the optimum is known and the gradient exact."""

    name: str = "template_mse"
    fingerprint: str = "template-mse-1"
    bounds: tuple[float, float] = (-1.0, 0.0)
    differentiable: ClassVar[bool] = True

    def score(self, media: Media, items: Sequence[Item], *, deadline: float | None = None) -> Scores:
        self.calls += 1
        return Scores.of(self.loss_value(media, items).detach())

    def loss_value(self, media: Media, items: Sequence[Item]) -> torch.Tensor:
        """(B,) with a graph to `media.pixels`; d/dx = -2 (x - colour) / (C H W)."""
        import torch

        pixels = as_float(media.pixels)
        colour_BC = torch.tensor(
            [list(item.spec["rgb"]) for item in items], dtype=torch.float32, device=pixels.device
        )
        return -(pixels - colour_BC.reshape(len(items), 3, 1, 1)).square().flatten(1).mean(1)
