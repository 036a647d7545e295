"""The validator's report of a furnished room as one number in [0, 1], for reinforcement learning of layout models. No torch.

    value = fill x weighted mean of the parts that apply

Each part is 1 where nothing is wrong and falls with the number and the extent of the faults; `WEIGHTS` names them all. Three ways in which
rewards of this kind were won by worse rooms decide the rest:

- **Fewer objects have fewer faults** (the reason for SceneReVis's floor on the number of objects). `fill` is a factor and not a term: an
  empty room earns 0, one with half of the furniture at most one half. Faults are counted against the objects that were there to earn, so
  leaving out an object never pays for the faults that are its own.
- **More objects thin the faults out.** Beyond the expected number an object earns nothing and its faults count in full; beyond `MOST`
  times the number the whole falls.
- **One fault bought with another** (ReSpace's training lowered out-of-bounds and raised collisions). A collision is charged as the share of
  the smaller footprint and weighs more than the same share outside of the room, so that a push from the wall into the neighbour costs.

A text that cannot be read is a verdict, 0. A row without a room, or with one that is none, has no value: None.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

import layout
from layout.catalogue import CATALOGUE
from layout.checks import check, door_zone
from layout.geometry import signed_area
from layout.parse import ParseFailure, parse
from layout.report import Report, Violation
from layout.schema import Room, RoomType, Scene, SceneObject, Spec, Strict, compare
from rewards.base import Status

WEIGHTS: dict[str, float] = {
    "collision": 0.20,  # overlap over the smaller footprint, each pair charged to the object that came later
    "in_bounds": 0.15,  # footprint outside of the room; height above the ceiling
    "support": 0.10,  # floating, over an edge, on the wrong thing
    "openings": 0.10,  # floor of doors and glass of windows that is free; None in a room without either
    "access": 0.10,  # sides of use that are free and can be reached from the door
    "rules": 0.10,  # backs at walls, chairs at desks, possible sizes, the right room, floor not overfull
    "present": 0.10,  # asked-for objects that are there; None where none was asked for
    "counts": 0.05,  # asked-for counts, zeros among them; None without any
    "relations": 0.10,  # asked-for relations that hold; None without any
}
PART_OF: dict[str, str] = {
    "collision": "collision",
    "out_of_bounds": "in_bounds",
    "too_high": "in_bounds",
    "floating": "support",
    "overhang": "support",
    "wrong_support": "support",
    "door_blocked": "openings",
    "window_blocked": "openings",
    "unreachable": "access",
    "no_access": "access",
    "cut_off": "access",
    "off_wall": "rules",
    "wrong_facing": "rules",
    "detached": "rules",
    "size_range": "rules",
    "wrong_room": "rules",
    "overfull": "rules",
    "count": "counts",
    "relation_unmet": "relations",
}
START = 0.5  # of an object's share, lost to any fault however small; the rest goes with its extent
CM, DEGREES = 50.0, 180.0  # extents at which a fault costs all of the object's share
MOST = 1.5  # times the expected number of objects; a room with more is overfull
# Objects of the synthesiser's rooms (median of 200 a type): expected where a row does not say.
TYPICAL: dict[RoomType, int] = {"bedroom": 7, "living_room": 15, "kitchen": 14, "bathroom": 7}


class Target(Strict):
    """What one answer is judged by: the room it is for, what was asked, and how many objects are expected (None: `TYPICAL`)."""

    room: Room
    asked: Spec = Spec()
    objects: int | None = Field(default=None, ge=1)

    @property
    def expected(self) -> int:
        return TYPICAL[self.room.room_type] if self.objects is None else self.objects


@dataclass(frozen=True)
class Verdict:
    """`value` in [0, 1], None where there is none; `parts` in [0, 1], None for what the row asks nothing about.

    Beside the names of `WEIGHTS` the parts have "parse" (1 or 0) and "fill"; of a text that cannot be read they are "parse" alone.
    """

    value: float | None
    parts: Mapping[str, float | None] = field(default_factory=dict)
    status: Status = Status.OK
    note: str | None = None


@dataclass
class LayoutReward:
    """Scores the text of an answer against its row's `Target`; called by TRL with the columns of the data set."""

    name: str = "layout"
    licence: str = "Apache-2.0"
    bounds: tuple[float, float] = (0.0, 1.0)
    deterministic: bool = True
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprint = f"{self.name}-{_code_fingerprint()}"
        self.__name__ = self.name  # under which TRL logs it

    def __call__(
        self,
        *,
        completions: Sequence[str],
        target: Sequence[str | None],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One value or None per completion; `target` holds each row's Target as JSON. Parts are logged as means over the rows that have them."""
        verdicts = [self.judge(text, given) for text, given in zip(completions, target, strict=True)]
        if log_metric is not None:
            for part, mean in means(verdicts).items():
                log_metric(f"{self.name}/{part}", mean)
        return [verdict.value for verdict in verdicts]

    def judge(self, text: str, target: Target | str | None) -> Verdict:
        """The verdict on one answer. Never raises on text: no target is NA, a malformed one BROKEN, an unreadable answer POLICY_FAIL."""
        if target is None:
            return Verdict(None, status=Status.NA, note="no target: the layout reward needs the row's room")
        if isinstance(target, str):
            try:
                target = Target.model_validate_json(target)
            except ValidationError as error:
                return Verdict(None, status=Status.BROKEN, note=str(error))
        answer = parse(text, target.room)
        if isinstance(answer, ParseFailure):
            return Verdict(self.bounds[0], {"parse": 0.0}, Status.POLICY_FAIL, answer.message)
        return verdict(answer.scene, check(answer.scene, target.asked), target)


def verdict(scene: Scene, report: Report, target: Target) -> Verdict:
    """From the validator's report of a scene, taken with what was asked for."""
    filled = fill(len(scene.objects), target.expected)
    parts = parts_of(scene, report, target)
    counted = {name: part for name, part in parts.items() if part is not None}
    total = sum(WEIGHTS[name] for name in counted)
    mean = sum(WEIGHTS[name] * part for name, part in counted.items()) / total
    return Verdict(filled * mean, {"parse": 1.0, "fill": filled, **parts})


def fill(objects: int, expected: int) -> float:
    """1 from the expected number of objects to `MOST` times it, the ratio below and above."""
    return min(1.0, objects / expected, MOST * expected / max(1, objects))


def parts_of(scene: Scene, report: Report, target: Target) -> dict[str, float | None]:
    """Every part of `WEIGHTS`. None is decided by room and request alone, so alike for all answers to them."""
    lost = _lost(scene, report)
    earned = max(1, min(len(scene.objects), target.expected))
    found: dict[str, float | None] = {
        name: max(0.0, 1 - lost[name] / earned)
        for name in ("collision", "in_bounds", "support", "access", "rules")
    }
    openings = len(scene.room.doors) + len(scene.room.windows)
    found["openings"] = max(0.0, 1 - lost["openings"] / openings) if openings else None
    found["present"] = _present(scene, target.asked)
    found["counts"] = _counts(scene, target.asked)
    relations = len(target.asked.relations)
    found["relations"] = 1 - len(report.of("relation_unmet")) / relations if relations else None
    return {name: found[name] for name in WEIGHTS}


def _lost(scene: Scene, report: Report) -> dict[str, float]:
    """Shares lost by part. Within a part one object or opening loses one share at most, but for collisions: a pair each."""
    shares: dict[tuple[str, str], float] = defaultdict(float)
    for k, v in enumerate(report.violations):
        part = PART_OF[v.code]
        if part in ("counts", "relations"):
            continue
        # An opening is named last; a fault of no object is one of its own.
        who = f"{v.code} {k}" if part == "collision" or not v.ids else v.ids[-1 if part == "openings" else 0]
        shares[part, who] += START + (1 - START) * min(1.0, _extent(scene, report, v))
    lost: dict[str, float] = defaultdict(float)
    for (part, _), share in shares.items():
        lost[part] += min(1.0, share)
    return lost


def _extent(scene: Scene, report: Report, v: Violation) -> float:
    """How bad a fault is, 1 and above for as bad as can be; what has no amount is that, or has none."""
    if v.code in ("wrong_support", "wrong_room"):
        return 0.0
    if v.amount is None:
        return 1.0
    if v.code == "cut_off":
        return v.amount / max(1.0, report.free_area)
    if v.code == "overfull":
        return v.amount / scene.room.area
    if v.code == "door_blocked":
        zone = door_zone(scene, scene.room.doors[int(v.ids[-1].removeprefix("door_"))])
        return v.amount / abs(signed_area(zone))
    if v.code == "window_blocked":
        window = scene.room.windows[int(v.ids[-1].removeprefix("window_"))]
        return v.amount / (window.width * (window.head - window.sill))
    o = scene.by_id[v.ids[0]]
    if v.code == "collision":
        return v.amount / min(scene.by_id[name].box.area for name in v.ids)
    if v.code == "no_access":
        return v.amount / _before(o)
    if v.unit == "cm2":
        return v.amount / o.box.area
    return v.amount / (DEGREES if v.unit == "deg" else CM)


def _before(o: SceneObject) -> float:
    """cm² of the zone before an object's longest side."""
    entry = CATALOGUE[o.category]
    return max(1.0, entry.clearance * max(o.box.width, o.box.depth))


def _present(scene: Scene, asked: Spec) -> float | None:
    least = {
        c.category: c.n + (c.quantifier == "gt") for c in asked.counts if c.quantifier in ("eq", "ge", "gt")
    }
    total = sum(least.values())
    return sum(min(len(scene.of(name)), n) for name, n in least.items()) / total if total else None


def _counts(scene: Scene, asked: Spec) -> float | None:
    """Mean over the asked-for counts: 1 where met, else at most one half, the less the further off."""
    if not asked.counts:
        return None
    total = 0.0
    for wanted in asked.counts:
        n = len(scene.of(wanted.category))
        met = compare(n, wanted.quantifier, wanted.n)
        total += 1.0 if met else START * max(0.0, 1 - abs(n - wanted.n) / max(1, wanted.n))
    return total / len(asked.counts)


def means(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Mean of each part over the verdicts that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for found in verdicts:
        for name, part in found.parts.items():
            if part is not None:
                values[name].append(part)
    return {name: sum(held) / len(held) for name, held in values.items()}


def _code_fingerprint() -> str:
    """Of this file and of the rules, thresholds and catalogue that it judges by."""
    sources = [Path(__file__), *sorted(Path(layout.__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
