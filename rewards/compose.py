"""Several rewards into one number: gates → hinge → weighted sum over declared ranges.

The sum is over ranges that were declared, never over what happened to come in, so that a weight keeps its meaning.
A term that does not apply to a row (NA) is left out for the row's whole group, and the other weights are scaled up
alike for all its members: a group stays comparable. A term that failed leaves no number at all: a sum without one
of its terms looks like a verdict and is none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rewards.base import Item, Media, Reward, Scores, Status

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Term:
    """One reward in a sum; `gate`, `cap` and `only_if` are in the reward's own units.

    gate: a sample below it gets the floor of the whole composite (Prompt-A-Video's lexicographic thresholds).
    cap: hinge, no bonus above it (Promptist: none above CLIP .28); the declared range then ends there.
    only_if: (name of another term, threshold): counts 0 unless that term reached the threshold, so that quality is no
        consolation for a wrong picture.
    """

    reward: Reward
    weight: float = 1.0
    gate: float | None = None
    cap: float | None = None
    only_if: tuple[str, float] | None = None

    @property
    def span(self) -> tuple[float, float]:
        low, high = self.reward.bounds
        return low, high if self.cap is None else self.cap


class Composite:
    """A weighted sum of terms, itself a reward with range [0, 1].

    The bridge scores and caches each member by itself and calls `combine` on the whole batch; `score` does both.
    Parts are the members' values under their names and their own parts as "name/part".
    """

    scope: Literal["sample", "group"] = "sample"
    differentiable = False
    bounds = (0.0, 1.0)

    def __init__(self, terms: Sequence[Term], name: str = "composite") -> None:
        self.terms = tuple(terms)
        self.name = name
        _check(self.terms)
        self.members: tuple[Reward, ...] = tuple(term.reward for term in self.terms)
        self.kinds: frozenset[str] = frozenset.intersection(*(frozenset(m.kinds) for m in self.members))
        if not self.kinds:
            raise ValueError(f"no kind of media suits all of {[m.name for m in self.members]}")
        if any(member.scope == "group" for member in self.members):
            self.scope = "group"
        self.deterministic = all(member.deterministic for member in self.members)
        self.max_batch = min(member.max_batch for member in self.members)
        recipe = [(t.reward.fingerprint, t.weight, t.gate, t.cap, t.only_if) for t in self.terms]
        self.fingerprint = hashlib.sha256(repr(recipe).encode()).hexdigest()[:32]

    def score(self, media: Media, items: Sequence[Item], *, deadline: float | None = None) -> Scores:
        return self.combine([member.score(media, items, deadline=deadline) for member in self.members], items)

    def combine(self, scores: Sequence[Scores], items: Sequence[Item]) -> Scores:
        """One `Scores` per member, over the same samples → the composite's."""
        import torch

        count = len(items)
        removed = [_na_by_group(member, items) for member in scores]
        weights = torch.stack(
            [torch.where(gone, 0.0, term.weight) for term, gone in zip(self.terms, removed, strict=True)]
        )
        known = zip(self.terms, scores, removed, strict=True)
        raised = {term.reward.name: (member.value, gone) for term, member, gone in known}
        points = torch.zeros(count, dtype=torch.float64)
        gated = torch.zeros(count, dtype=torch.bool)
        for term, member, gone, weight in zip(self.terms, scores, removed, weights, strict=True):
            low, high = term.span
            unit = ((member.value.double() - low) / (high - low)).clamp(0.0, 1.0)
            if term.only_if is not None:
                name, threshold = term.only_if
                judged, not_asked = raised[name]
                unit = torch.where(not_asked | (judged >= threshold), unit, 0.0)
            points += torch.where(gone, 0.0, weight * unit)
            if term.gate is not None:
                gated |= ~gone & (member.value < term.gate)
        total = weights.sum(0)
        value = torch.where(gated, 0.0, points / total)
        status = _joint_status(scores, removed, total)
        value = torch.where(status == int(Status.POLICY_FAIL), 0.0, value)
        return Scores.of(value, parts=self._parts(scores), status=status, notes=_joint_notes(scores, count))

    def _parts(self, scores: Sequence[Scores]) -> Mapping[str, torch.Tensor]:
        parts: dict[str, torch.Tensor] = {}
        for member, held in zip(self.members, scores, strict=True):
            parts[member.name] = held.value
            parts.update({f"{member.name}/{part}": value for part, value in held.parts.items()})
        return parts


def _check(terms: Sequence[Term]) -> None:
    names = [term.reward.name for term in terms]
    if not terms or len(set(names)) != len(names):
        raise ValueError(f"a composite needs at least one term and distinct reward names, got {names}")
    for term in terms:
        low, high = term.span
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(
                f"term {term.reward.name!r}: a weighted sum needs a finite range, got ({low}, {high})"
            )
        if not (math.isfinite(term.weight) and term.weight > 0):
            raise ValueError(f"term {term.reward.name!r}: weight {term.weight} must be positive")
        if term.only_if is not None and term.only_if[0] not in names:
            raise ValueError(
                f"term {term.reward.name!r}: only_if names {term.only_if[0]!r}; known: {', '.join(names)}"
            )


def _na_by_group(scores: Scores, items: Sequence[Item]) -> torch.Tensor:
    """(B,) bool: the term does not apply to the sample's group. One member's NA removes the term for all of them."""
    import torch

    groups = {item.group for item, s in zip(items, scores.status.tolist(), strict=True) if s == Status.NA}
    return torch.tensor([item.group in groups for item in items], dtype=torch.bool)


def _joint_status(
    scores: Sequence[Scores], removed: Sequence[torch.Tensor], total: torch.Tensor
) -> torch.Tensor:
    """The worst status among the terms that count; NA where none is left."""
    import torch

    worst = torch.where(total > 0, int(Status.OK), int(Status.NA)).to(torch.int8)
    for member, gone in zip(scores, removed, strict=True):
        worst = torch.where(gone, worst, torch.maximum(worst, member.status))
    return worst


def _joint_notes(scores: Sequence[Scores], count: int) -> list[str | None]:
    held = [[s.notes[i] for s in scores if s.notes[i]] for i in range(count)]
    return ["; ".join(str(note) for note in notes) or None for notes in held]
