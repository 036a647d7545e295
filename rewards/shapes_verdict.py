"""Hold a detection against a scene spec: strict, shaped, GenEval's `>=` mode and Soft-TIFA, all from the same atoms.

Atoms are independent facts, each in [0, 1], named `<kind>/<n>`. A wanted object that is absent earns no credit for its attributes
(DSG's dependency rule); a relation is one atom however many pairs it covers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from diffusion_core.worlds.shapes.render import relation_holds

if TYPE_CHECKING:
    from diffusion_core.worlds.shapes.spec import ExcludeSpec, ObjectSpec, SceneSpec
    from rewards.shapes_detector import Detected, Detection

KINDS = ("count", "shape", "color", "size", "relation", "background", "exclude", "extra")
_TIES = 720  # orders tried when relations leave it open which of two equal objects is meant


@dataclass(frozen=True, slots=True)
class Verdict:
    """Scores in [0, 1] of one image against one spec.

    strict: 1 iff every atom is 1, so that nothing is missing, wrong or extra. shaped: mean of the atoms. geneval: GenEval's rule,
    extras allowed. tifa_am, tifa_gm: arithmetic and geometric mean over yes/no atoms (Soft-TIFA with certain answers).
    """

    strict: float
    shaped: float
    geneval: float
    tifa_am: float
    tifa_gm: float
    atoms: dict[str, float]

    def part(self, kind: str) -> float | None:
        """Mean of one kind of atom; None where the spec asks nothing of that kind."""
        values = [value for name, value in self.atoms.items() if name.split("/")[0] == kind]
        return sum(values) / len(values) if values else None


def _matches(group: ObjectSpec | ExcludeSpec, found: Detected) -> bool:
    return (
        group.shape in (None, found.shape)
        and group.color in (None, found.color)
        and group.size in (None, found.size)
    )


def _affinity(group: ObjectSpec, found: Detected) -> float:
    """How well an object fills a slot: shape first, then colour, then size. An object with nothing in common fills none."""
    if _matches(group, found):
        return 10.0
    wanted = ((group.shape, found.shape, 3.0), (group.color, found.color, 2.0), (group.size, found.size, 0.5))
    return sum(weight for want, have, weight in wanted if want is not None and want == have)


def _assign(spec: SceneSpec, detection: Detection) -> list[list[Detected]]:
    """Detected objects per group: best total affinity, ties broken for the relations."""
    slots = [g for g, group in enumerate(spec.objects) for _ in range(group.count[1])]
    found = detection.objects
    if not found:
        return [[] for _ in spec.objects]
    gain = np.array([[_affinity(spec.objects[g], f) for f in found] for g in slots])
    required = np.zeros(len(slots))  # slots up to the lower count are filled before optional ones
    seen: dict[int, int] = {}
    for i, g in enumerate(slots):
        required[i] = seen.get(g, 0) < spec.objects[g].count[0]
        seen[g] = seen.get(g, 0) + 1
    rows, columns = linear_sum_assignment(gain + 0.1 * required[:, None] * (gain > 0), maximize=True)
    chosen = [(slots[r], int(c)) for r, c in zip(rows, columns, strict=True) if gain[r, c] > 0]
    chosen = _break_ties(spec, chosen, found)
    return [[found[c] for g, c in chosen if g == index] for index in range(len(spec.objects))]


def _break_ties(
    spec: SceneSpec, chosen: list[tuple[int, int]], found: tuple[Detected, ...]
) -> list[tuple[int, int]]:
    if not spec.relations or len(chosen) > 6:
        return chosen
    groups = [g for g, _ in chosen]

    def value(columns: tuple[int, ...]) -> tuple[float, float]:
        affinity = sum(_affinity(spec.objects[g], found[c]) for g, c in zip(groups, columns, strict=True))
        members = [
            [found[c] for g, c in zip(groups, columns, strict=True) if g == i]
            for i in range(len(spec.objects))
        ]
        return affinity, sum(_relation(spec, members, index) for index in range(len(spec.relations)))

    start = tuple(c for _, c in chosen)
    best = max(permutations(start), key=lambda columns: (value(columns), columns == start))
    return list(zip(groups, best, strict=True))


def _relation(spec: SceneSpec, members: list[list[Detected]], index: int) -> float:
    relation = spec.relations[index]
    first, second = members[relation.a], members[relation.b]
    return float(
        bool(first)
        and bool(second)
        and all(relation_holds(a.x - b.x, a.y - b.y, relation.rel) for a in first for b in second)
    )


def _geneval(spec: SceneSpec, detection: Detection) -> float:
    """GenEval's verdict: at least the wanted number of each kind, some pair in each relation, nothing excluded."""
    fitting = [[f for f in detection.objects if _matches(group, f)] for group in spec.objects]
    enough = all(len(f) >= group.count[0] for f, group in zip(fitting, spec.objects, strict=True))
    related = all(
        any(
            relation_holds(a.x - b.x, a.y - b.y, r.rel)
            for a in fitting[r.a]
            for b in fitting[r.b]
            if a is not b
        )
        for r in spec.relations
    )
    clean = not any(_matches(e, f) for e in spec.exclude for f in detection.objects)
    background = spec.background in (None, detection.background)
    return float(enough and related and clean and background)


def judge(detection: Detection, spec: SceneSpec) -> Verdict:
    """The verdict on one image; total, whatever was detected."""
    members = _assign(spec, detection)
    atoms: dict[str, float] = {}
    for g, (group, found) in enumerate(zip(spec.objects, members, strict=True)):
        low, high = group.count
        alike = sum(_matches(group, f) for f in found)
        atoms[f"count/{g}"] = 1.0 if low <= alike <= high else max(0.0, 1 - abs(low - alike) / low)
        for kind in ("shape", "color", "size"):
            want = getattr(group, kind)
            if want is not None:
                hits = sum(getattr(f, kind) == want for f in found)
                atoms[f"{kind}/{g}"] = min(1.0, hits / max(low, len(found)))
    extra = len(detection.objects) - sum(len(found) for found in members)
    atoms["extra/0"] = max(0.0, 1 - extra / spec.total[0])
    for index in range(len(spec.relations)):
        atoms[f"relation/{index}"] = _relation(spec, members, index)
    if spec.background:
        atoms["background/0"] = float(detection.background == spec.background)
    for e, kind in enumerate(spec.exclude):
        atoms[f"exclude/{e}"] = float(not any(_matches(kind, f) for f in detection.objects))
    values = np.array(list(atoms.values()))
    certain = (values == 1).astype(float)
    return Verdict(
        strict=float(certain.all()),
        shaped=float(values.mean()),
        geneval=_geneval(spec, detection),
        tifa_am=float(certain.mean()),
        tifa_gm=float(certain.all()),
        atoms=atoms,
    )
