"""Figures of answers to layout requests, kept as hits and cases a room, so that every rate can be resampled by room.

Axes: P requests (rooms, the clusters), S answers to each (seeds), D draws. An answer that could not be read has no cases but under "parse",
"valid" and "complete", where it is a miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from layout.checks import check, collides
from layout.metrics import evaluate, monte_carlo
from layout.metrics.evaluation import DEFINITIONS as MEASURED
from layout.relations import satisfied
from layout.schema import ARCHITECTURE, Scene, Spec
from recipes.statistics import Interval, draw_weights, ratio_difference, ratio_interval

_TAKEN = (
    "oob_scene", "oob_scene_10cm", "collision_scene", "collision_object", "oor", "oor_unturned", "door_clear", "reachable", "supported",
    "present", "count_met", "relation_met", "objects",
)  # fmt: skip
DEFINITIONS: dict[str, str] = {
    "parse": "share of answers that could be read",
    "valid": "share of answers without any hard fault of the validator; one that could not be read is not valid",
    "complete": "share of answers that are valid and have every asked-for count",
    "hard": "hard faults a room, asked-for counts aside (mean)",
    **{name: MEASURED[name] for name in _TAKEN},
    "oor_colliding": "the ratio again over pairs that collide, without rugs under furniture and seats under tables (mean over rooms)",
    "oob_sampled": "scene out-of-bounds by the sampling checker, which shares no code with the validator",
    "collision_sampled": "scene collision by the sampling checker, which shares no code with the validator",
    "pair_met": "share of the asked-for relations between objects that hold",
    "part_met": "share of the asked-for relations to walls, doors, windows, corners and the room that hold",
    "seconds": "seconds of generation a room",
}
SHARES = frozenset(DEFINITIONS) - {"hard", "objects", "seconds", "oor", "oor_unturned", "oor_colliding"}


@dataclass(frozen=True)
class Tally:
    """Hits and cases by figure, (P, S) each."""

    hits: Mapping[str, np.ndarray]
    cases: Mapping[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, int]:
        return self.cases["parse"].shape  # type: ignore[return-value]

    def intervals(self, rows: np.ndarray | None = None, seed: int = 0) -> dict[str, Interval]:
        """Every figure that has a case, with its 95 % interval by rooms; `rows` (P,) bool chooses some of them."""
        chosen = np.arange(self.shape[0]) if rows is None else np.flatnonzero(rows)
        if not len(chosen):
            return {}
        weights = draw_weights(len(chosen), seed=seed)
        return {
            name: ratio_interval(self.hits[name][chosen], self.cases[name][chosen], weights)
            for name in DEFINITIONS
            if name in self.cases and self.cases[name][chosen].any()
        }

    def first(self, answers: int) -> Tally:
        """The first answers to every request alone."""
        return Tally(
            {name: values[:, :answers] for name, values in self.hits.items()},
            {name: values[:, :answers] for name, values in self.cases.items()},
        )


def differences(after: Tally, before: Tally, names: Sequence[str], seed: int = 0) -> dict[str, Interval]:
    """`after` minus `before`, paired by room; both have answered the same requests."""
    answers = min(after.shape[1], before.shape[1])
    after, before = after.first(answers), before.first(answers)
    weights = draw_weights(after.shape[0], seed=seed)
    return {
        name: ratio_difference(
            (after.hits[name], after.cases[name]), (before.hits[name], before.cases[name]), weights
        )
        for name in names
        if name in after.cases and name in before.cases
    }


def tally(
    answers: Sequence[Sequence[Scene | None]], specs: Sequence[Spec | None], seconds: float | None = None
) -> Tally:
    """From S lists of P scenes, None where an answer could not be read, and what was asked for in each of the P requests."""
    shape = len(specs), len(answers)
    names = [name for name in DEFINITIONS if name != "seconds" or seconds is not None]
    hits, cases = ({name: np.zeros(shape) for name in names} for _ in range(2))
    for s, scenes in enumerate(answers):
        for p, (scene, spec) in enumerate(zip(scenes, specs, strict=True)):
            found = figures(scene, spec)
            if seconds is not None:
                found["seconds"] = seconds, 1
            for name, (hit, n) in found.items():
                hits[name][p, s], cases[name][p, s] = hit, n
    return Tally(hits, cases)


def figures(scene: Scene | None, spec: Spec | None) -> dict[str, tuple[float, float]]:
    """(hits, cases) of every figure for one answer."""
    if scene is None:
        return {"parse": (0, 1), "valid": (0, 1), "complete": (0, 1)}
    report = check(scene, spec)
    geometric = [v for v in report.hard if v.code != "count"]
    found: dict[str, tuple[float, float]] = {
        "parse": (1, 1),
        "valid": (not geometric, 1),
        "complete": (report.ok, 1),
        "hard": (len(geometric), 1),
    }
    values = evaluate([scene], [spec]).values
    for name in _TAKEN:
        v = values.get(name)
        if v is not None and v.value is not None:
            found[name] = v.value * v.n, v.n
    found["oor_colliding"] = _colliding(scene), 1
    sampled = monte_carlo.evaluate([scene])
    found["oob_sampled"], found["collision_sampled"] = (sampled.oob_scene, 1), (sampled.collision_scene, 1)
    if spec is not None:
        found |= _relations(scene, spec)
    return found


def _colliding(scene: Scene) -> float:
    """Overlap of the pairs that are in each other's way over all footprints."""
    objects = scene.objects
    shared = sum(collides(a, b) for i, b in enumerate(objects) for a in objects[:i])
    return shared / sum(o.box.area for o in objects) if objects else 0.0


def _relations(scene: Scene, spec: Spec) -> dict[str, tuple[float, float]]:
    """Relations met, those between objects and those to the room apart."""
    found: dict[str, tuple[float, float]] = {"pair_met": (0, 0), "part_met": (0, 0)}
    for relation in spec.relations:
        name = "part_met" if relation.references[0] in ARCHITECTURE else "pair_met"
        hit, n = found[name]
        found[name] = hit + satisfied(scene, relation), n + 1
    return found
