"""What the validator says: one violation a fault, and the report that holds them.

Hard faults make a room unusable (through the wall, into each other, in the doorway, in the air, out of reach); soft ones make it a poor room.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cached_property
from typing import Literal

from layout.schema import Strict

Severity = Literal["hard", "soft"]
Unit = Literal["cm", "cm2", "deg", "objects"]

SEVERITY: dict[str, Severity] = {
    "out_of_bounds": "hard",
    "too_high": "hard",
    "collision": "hard",
    "floating": "hard",
    "overhang": "hard",
    "door_blocked": "hard",
    "unreachable": "hard",
    "count": "hard",
    "window_blocked": "soft",
    "no_access": "soft",
    "cut_off": "soft",
    "wrong_support": "soft",
    "off_wall": "soft",
    "wrong_facing": "soft",
    "detached": "soft",
    "size_range": "soft",
    "wrong_room": "soft",
    "overfull": "soft",
    "relation_unmet": "soft",
}


class Violation(Strict):
    """One fault. `ids` are the objects or openings, the one to move first; `amount` is None where there is nothing to measure."""

    code: str
    severity: Severity
    ids: tuple[str, ...]
    amount: float | None
    unit: Unit
    message: str


class Report(Strict):
    """All faults of a room, and the counts that rates are made of."""

    violations: tuple[Violation, ...]
    n_objects: int
    n_pairs: int
    free_area: float  # cm² of walkable floor
    connected_share: float | None  # of it that a door leads to; None without free floor

    @property
    def hard(self) -> tuple[Violation, ...]:
        return tuple(v for v in self.violations if v.severity == "hard")

    @property
    def ok(self) -> bool:
        """No hard fault."""
        return not self.hard

    @cached_property
    def codes(self) -> Counter[str]:
        return Counter(v.code for v in self.violations)

    def of(self, code: str) -> tuple[Violation, ...]:
        """The faults with one code. Raises ValueError for a code that does not exist."""
        if code not in SEVERITY:
            raise ValueError(f"unknown code {code!r}; known: {', '.join(SEVERITY)}")
        return tuple(v for v in self.violations if v.code == code)

    def ids(self, code: str) -> set[str]:
        """The objects that have a fault of this kind."""
        return {name for v in self.of(code) for name in v.ids}


def fault(code: str, ids: tuple[str, ...], amount: float | None, unit: Unit, message: str) -> Violation:
    """A violation with its code's severity; an amount that is infinite is unknown."""
    amount = None if amount is None or math.isinf(amount) else round(amount, 3)
    return Violation(code=code, severity=SEVERITY[code], ids=ids, amount=amount, unit=unit, message=message)
