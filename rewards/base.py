"""The reward protocol: what is scored, against what, and how a missing score is told apart from a bad one.

Axes: B samples, T frames, C channels, H height, W width.

A value is a verdict; NaN says that there is none. `Scores.value` is NaN if and only if the status is NA, RETRYABLE or
BROKEN. POLICY_FAIL is a verdict on the writer and carries the floor, the lower end of `Reward.bounds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


class Status(IntEnum):
    """What became of one sample under one reward."""

    OK = 0
    NA = 1  # the reward does not apply; decided by the item's spec alone, so alike for a whole group
    POLICY_FAIL = 2  # the writer's fault: unparsable, empty, over length, a guard broken
    RETRYABLE = 3  # the infrastructure's fault: time-out, 429/5xx, connection, out of memory
    BROKEN = 4  # nobody knows: non-finite, wrong length, an exception that a retry will not cure


NO_VALUE = frozenset({Status.NA, Status.RETRYABLE, Status.BROKEN})
NON_FINITE = "the value is not finite"


@dataclass(frozen=True, slots=True)
class Item:
    """What one sample is judged by.

    `prompt` is the user's own prompt and `spec` the targets frozen before any rewriting; `conditioning` is the text
    that the generator saw. `row` names the dataset row, `group` the samples that are compared with each other.
    """

    prompt: str
    conditioning: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    row: str = ""
    group: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Media:
    """A batch of RGB images (B, C, H, W) or videos (B, T, C, H, W): uint8, or float32 in [0, 1]."""

    pixels: torch.Tensor
    fps: float | None = None  # None: images
    digest: tuple[bytes, ...] | None = None  # one per sample; None when a graph is attached

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def kind(self) -> Literal["image", "video"]:
        return "image" if self.fps is None else "video"


@dataclass(frozen=True, slots=True)
class Scores:
    """One row per sample: value (B,) float32, parts each (B,) float32, status (B,) int8, notes for people."""

    value: torch.Tensor
    parts: dict[str, torch.Tensor]
    status: torch.Tensor
    notes: tuple[str | None, ...]

    @classmethod
    def of(
        cls,
        value: Sequence[float] | torch.Tensor,
        *,
        parts: Mapping[str, Sequence[float] | torch.Tensor] | None = None,
        status: Sequence[int] | torch.Tensor | None = None,
        notes: Sequence[str | None] | None = None,
    ) -> Scores:
        """Build from plain lists. What should be a value and is not finite becomes BROKEN, with `NON_FINITE` as note."""
        import torch

        value_B = torch.as_tensor(value, dtype=torch.float32)
        stated = [Status.OK] * len(value_B) if status is None else [Status(int(s)) for s in status]
        said: list[str | None] = list(notes) if notes is not None else [None] * len(value_B)
        for i, finite in enumerate(torch.isfinite(value_B).tolist()):
            if not finite and stated[i] not in NO_VALUE:
                stated[i], said[i] = Status.BROKEN, said[i] or NON_FINITE
        missing_B = torch.tensor([s in NO_VALUE for s in stated], dtype=torch.bool)
        value_B = torch.where(missing_B, torch.nan, value_B)
        named = {name: torch.as_tensor(part, dtype=torch.float32) for name, part in (parts or {}).items()}
        return cls(value_B, named, torch.tensor([int(s) for s in stated], dtype=torch.int8), tuple(said))


@runtime_checkable
class Reward(Protocol):
    """A scorer of media.

    `fingerprint` identifies code, weights, preprocessing and precision: two rewards with one fingerprint must give the
    same scores. `bounds` is the declared range of the value; a reward without a finite range says so with infinities
    and then needs an explicit floor in the bridge. `scope="group"` rewards are given whole groups.
    `score` takes no gradient and must not raise for odd media: what it cannot read is BROKEN.
    `deadline` is a time.monotonic() instant after which nobody waits for the result.

    A differentiable reward also has `loss_value(media, items) -> (B,)` with a graph to `media.pixels`.
    """

    name: str
    fingerprint: str
    kinds: frozenset[str]
    bounds: tuple[float, float]
    scope: Literal["sample", "group"]
    deterministic: bool
    differentiable: bool
    max_batch: int

    def score(self, media: Media, items: Sequence[Item], *, deadline: float | None = None) -> Scores: ...


def as_uint8(pixels: torch.Tensor, *, in_place: bool = False) -> torch.Tensor:
    """Pixels as uint8, rounding to nearest; uint8 passes through. `in_place` spoils floating-point `pixels`."""
    import torch

    if pixels.dtype == torch.uint8:
        return pixels
    held = pixels.detach()
    scaled = held.mul_(255.0) if in_place and held.is_floating_point() else held * 255.0
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def as_float(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels as float32 in [0, 1]; keeps the graph of a float input."""
    import torch

    return pixels.to(torch.float32) / 255.0 if pixels.dtype == torch.uint8 else pixels.float()


def check_reward(reward: Reward, media: Media, items: Sequence[Item], **options: Any) -> None:
    """Run the contract tests that every reward must pass; see `rewards.contract.check_reward`."""
    from rewards.contract import check_reward as run

    run(reward, media, items, **options)


def declared_floor(reward: Reward, floor: float | None = None) -> float:
    """The value of a POLICY_FAIL: `floor`, or the lower end of the declared range."""
    value = reward.bounds[0] if floor is None else floor
    if not math.isfinite(value):
        raise ValueError(
            f"reward {reward.name!r} declares the range {reward.bounds}, which has no lowest value for a rewrite that "
            f"fails its format; pass floor=... or declare finite bounds"
        )
    return float(value)
