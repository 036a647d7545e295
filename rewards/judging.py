"""One micro-batch through one reward, and the answer validated on receipt."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rewards.base import NO_VALUE, NON_FINITE, Item, Media, Reward, Scores, Status
from rewards.cases import PartScore, Unit
from rewards.deadline import Deadline
from rewards.failures import Failure, RewardMisconfigured, Undeliverable
from rewards.retries import Stopwatch


class Scorer:
    """One micro-batch through one reward, validated on receipt."""

    def __init__(self, member: Reward, deadline: Deadline, out_of_range: str) -> None:
        self.member, self.deadline, self.out_of_range = member, deadline, out_of_range

    def __call__(self, units: Sequence[Unit], watch: Stopwatch) -> list[PartScore | Failure]:
        import numpy as np
        import torch

        frames = np.stack([unit.shot.pixels for unit in units])  # type: ignore[arg-type]  # (B, C, H, W), drawn before
        digests = tuple(unit.shot.digest or b"" for unit in units)
        media = Media(torch.from_numpy(frames), digest=digests)
        items = [item_of(unit) for unit in units]
        with watch, torch.no_grad():
            scores = self.member.score(media, items, deadline=self.deadline.at)
        return self._validated(scores, len(units))

    def _validated(self, scores: Scores, count: int) -> list[PartScore | Failure]:
        lengths = {len(scores.value), len(scores.status), len(scores.notes), *map(len, scores.parts.values())}
        if lengths != {count}:
            raise Undeliverable(
                "wrong_length", f"{self.member.name} gave {sorted(lengths)} answers for {count} samples"
            )
        values, statuses = scores.value.tolist(), scores.status.tolist()
        names = list(scores.parts)
        rows = list(zip(*(part.tolist() for part in scores.parts.values()), strict=True)) or [()] * count
        return [
            self._answer(value, Status(status), dict(zip(names, row, strict=True)), note)
            for value, status, row, note in zip(values, statuses, rows, scores.notes, strict=True)
        ]

    def _answer(
        self, value: float, status: Status, parts: dict[str, float], note: str | None
    ) -> PartScore | Failure:
        parts = {name: part if math.isfinite(part) else math.nan for name, part in parts.items()}
        if status == Status.NA:
            return PartScore(math.nan, parts, status, note)
        if status in NO_VALUE:
            return Failure(status, _cause(status, note), note or self.member.name)
        if not math.isfinite(value):
            return Failure(Status.BROKEN, "non_finite", f"{self.member.name} gave {value}")
        low, high = self.member.bounds
        if not low <= value <= high:
            if getattr(self.member, "bounds_assumed", False):
                raise RewardMisconfigured(
                    f"reward {self.member.name!r} gave {value:.6g} and declares no range, so [{low:g}, {high:g}] was "
                    f"assumed; give it an attribute bounds = (lowest, highest)"
                )
            if self.out_of_range == "reject":
                return Failure(
                    Status.BROKEN, "out_of_range", f"{self.member.name} gave {value}, outside ({low}, {high})"
                )
            return PartScore(min(max(value, low), high), parts, status, note, clipped=True)
        return PartScore(value, parts, status, note)


def item_of(unit: Unit) -> Item:
    target = unit.target
    return Item(target.prompt, unit.shot.conditioning, target.spec, target.row_id, unit.group, unit.shot.seed)


def _cause(status: Status, note: str | None) -> str:
    if status == Status.RETRYABLE:
        return "unavailable"
    return "non_finite" if note == NON_FINITE else "broken"
