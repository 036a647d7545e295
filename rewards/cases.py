"""What goes through the bridge: rows, completions screened into cases, images to make, scores to get, outcomes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rewards.base import Status
from rewards.failures import Failure
from rewards.keys import canonical_json

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Row:
    """A dataset row: its id, the user's own prompt, and the targets frozen before rewriting (mapping, JSON or None)."""

    row_id: str
    prompt: str
    spec: Mapping[str, Any] | str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A row as rewards see it."""

    row_id: str
    prompt: str
    spec: Mapping[str, Any]
    spec_json: str

    @classmethod
    def of(cls, row: Row) -> Target:
        spec = row.spec
        if isinstance(spec, str):
            try:
                spec = json.loads(spec) if spec.strip() else {}
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"row {row.row_id!r}: its spec is not JSON ({error}): {row.spec!r:.200}"
                ) from error
        if spec is None:
            spec = {}
        if not isinstance(spec, Mapping):
            raise ValueError(
                f"row {row.row_id!r}: its spec must be an object, not {type(spec).__name__}: {spec!r:.200}"
            )
        return cls(row.row_id, row.prompt, spec, canonical_json(spec))


@dataclass(slots=True)
class Case:
    """One completion: what the generator will be given, or why it will be given nothing."""

    target: Target
    group: str
    conditioning: str | None  # canonical text; None: POLICY_FAIL
    rewrite: str = ""  # as the writer meant it, for the logs
    reason: str = ""  # of a POLICY_FAIL
    copied: bool = False
    violations: tuple[str, ...] = ()


@dataclass(slots=True)
class Shot:
    """One distinct image of a call: (conditioning, seed)."""

    conditioning: str
    seed: int
    key: bytes
    digest: bytes | None = None
    pixels: np.ndarray | None = None  # uint8 (C, H, W)
    failure: Failure | None = None


@dataclass(slots=True)
class PartScore:
    """A reward's verdict on one sample, as it is cached: never RETRYABLE or BROKEN."""

    value: float  # NaN iff NA
    parts: dict[str, float]
    status: Status = Status.OK
    note: str | None = None
    clipped: bool = False  # it came from outside the declared range; not cached


@dataclass(slots=True)
class Unit:
    """One distinct thing to score: an image against a target. `answers` has one entry per member reward."""

    shot: Shot
    target: Target
    group: str
    answers: list[PartScore | Failure | None]


@dataclass(slots=True)
class Outcome:
    """What became of one text: the mean over its seeds, or None with the cause."""

    value: float | None
    status: Status
    parts: dict[str, float] = field(default_factory=dict)
    cause: str = ""
    note: str = ""
    conditioning: str | None = None
    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()  # per seed; NaN where there is none
    parts_per_seed: tuple[dict[str, float], ...] = ()
    images: list[np.ndarray | None] = field(default_factory=list)  # uint8 (H, W, C), if asked for
    copied: bool = False

    @property
    def ok(self) -> bool:
        return self.value is not None and math.isfinite(self.value)


def targets_of(rows: Sequence[Row]) -> list[Target]:
    """One target per row; rows that share an id share it, and must agree."""
    known: dict[str, tuple[Row, Target]] = {}
    targets = []
    for row in rows:
        held = known.get(row.row_id)
        if held is None:
            held = known[row.row_id] = (row, Target.of(row))
        elif held[0] is not row and held[0] != row:
            raise ValueError(
                f"two rows share the id {row.row_id!r} and differ: {held[0]!r:.200} and {row!r:.200}"
            )
        targets.append(held[1])
    return targets
