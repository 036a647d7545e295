"""Rates over a set of rooms, from the validator's reports and the boxes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from layout.catalogue import CATALOGUE
from layout.checks import BOUNDS_TOLERANCE, COLLISION_HEIGHT, check
from layout.geometry import outside_area, overlap_area, overrun
from layout.metrics import distribution
from layout.relations import satisfied
from layout.report import Report
from layout.schema import Scene, SceneObject, Spec, compare

DEFINITIONS: dict[str, str] = {
    "valid_scene": "share of rooms without any hard fault of the validator",
    "oob_scene": f"share of rooms with an object whose footprint leaves the room by more than {BOUNDS_TOLERANCE:g} cm",
    "oob_object": f"share of objects that leave the room by more than {BOUNDS_TOLERANCE:g} cm",
    "oob_scene_10cm": "share of rooms with an object more than 10 cm past a wall's line (LayoutGPT's rate)",
    "oob_area": "footprint area outside the room over all footprint area",
    "collision_scene": "share of rooms with two objects that overlap: more than 10 cm² and 1 % of the smaller footprint, more than "
    "2 cm of height; a seat may reach under its table by 40 %",
    "collision_object": "share of objects that overlap another, as above",
    "collision_pair": "share of all pairs of objects that overlap, as above",
    "oor": "sum of the overlap areas of all pairs over the sum of footprints, turned footprints that share more than 2 cm of height, so "
    "that rugs are aside (mean over rooms)",
    "oor_unturned": "the same ratio as published: axis-aligned width x depth at every yaw, heights ignored (mean over rooms)",
    "door_clear": "share of doors with their leaf's floor free (at most 200 cm² taken)",
    "connected": "free floor that a door leads to over all free floor, for a person 50 cm wide (mean over rooms with a door)",
    "reachable": "share of objects with a side of use that someone from the door can get at",
    "supported": "share of objects that rest on, or hang from, what they are said to be on",
    "objects": "objects per room (mean)",
    "floor_share": "floor under furniture, rugs aside (mean over rooms)",
    "count_met": "share of the asked-for counts that the room has",
    "present": "share of the asked-for objects that are there (surplus does not count)",
    "relation_met": "share of the asked-for relations that hold, by SceneEval's thresholds",
    "category_kl": "KL divergence in nats of the categories' frequencies from the reference's",
    "diversity": "1 − mean IoU of the 10 cm occupancy of pairs of rooms",
}


@dataclass(frozen=True)
class Value:
    """One metric: `value` None where nothing could be measured, `n` how many cases it is over."""

    value: float | None
    n: int


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a set of rooms by name, in the order of `DEFINITIONS`."""

    rooms: int
    values: dict[str, Value] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float | None:
        return self.values[name].value

    def table(self) -> str:
        """One line a metric: name, value, number of cases, definition."""
        lines = [f"{self.rooms} rooms"]
        for name, v in self.values.items():
            shown = "–" if v.value is None else f"{v.value:.4f}"
            lines.append(f"{name:<18}{shown:>9}  n={v.n:<7} {DEFINITIONS[name]}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """For JSON: the definition beside the number."""
        return {
            "rooms": self.rooms,
            "metrics": {
                name: {"value": v.value, "n": v.n, "definition": DEFINITIONS[name]}
                for name, v in self.values.items()
            },
        }


def evaluate(
    scenes: Sequence[Scene],
    specs: Sequence[Spec | None] | None = None,
    reference: Sequence[Scene] | None = None,
) -> Evaluation:
    """All metrics of `scenes`. `specs` are what was asked for, one a room; `reference` rooms give the KL its distribution.

    Raises ValueError when there are not as many specs as rooms, or no rooms.
    """
    if not scenes:
        raise ValueError("no rooms to evaluate")
    if specs is not None and len(specs) != len(scenes):
        raise ValueError(
            f"{len(specs)} specs for {len(scenes)} rooms; give one each, None where nothing was asked for"
        )
    reports = [check(scene) for scene in scenes]
    values = _fault_rates(scenes, reports) | _areas(scenes)
    if specs is not None:
        values |= _faithfulness(scenes, specs)
    if reference is not None:
        values["category_kl"] = Value(distribution.category_kl(scenes, reference), len(scenes))
    if len(scenes) > 1:
        values["diversity"] = Value(distribution.diversity(scenes), len(scenes))
    return Evaluation(len(scenes), {name: values[name] for name in DEFINITIONS if name in values})


def _share(hits: float, n: int) -> Value:
    return Value(hits / n if n else None, n)


def _mean(numbers: Sequence[float]) -> Value:
    return _share(sum(numbers), len(numbers))


def _fault_rates(scenes: Sequence[Scene], reports: Sequence[Report]) -> dict[str, Value]:
    rooms, objects = len(scenes), sum(r.n_objects for r in reports)
    doors = sum(len(s.room.doors) for s in scenes)
    used = sum(1 for s in scenes if s.room.doors for o in s.objects if _used(o))
    unsupported = [r.ids("floating") | r.ids("overhang") for r in reports]
    loose = sum(sum(o.id in names for o in s.objects) for s, names in zip(scenes, unsupported, strict=True))
    collisions = [r.of("collision") for r in reports]
    return {
        "valid_scene": _share(sum(r.ok for r in reports), rooms),
        "oob_scene": _share(sum(bool(r.of("out_of_bounds")) for r in reports), rooms),
        "oob_object": _share(sum(len(r.of("out_of_bounds")) for r in reports), objects),
        "collision_scene": _share(sum(bool(c) for c in collisions), rooms),
        "collision_object": _share(sum(len(r.ids("collision")) for r in reports), objects),
        "collision_pair": _share(sum(len(c) for c in collisions), sum(r.n_pairs for r in reports)),
        "door_clear": _share(doors - sum(len(r.of("door_blocked")) for r in reports), doors),
        "connected": _mean(
            [r.connected_share or 0.0 for s, r in zip(scenes, reports, strict=True) if s.room.doors]
        ),
        "reachable": _share(used - sum(len(r.of("unreachable")) for r in reports), used),
        "supported": _share(objects - loose, objects),
        "objects": _mean([float(r.n_objects) for r in reports]),
    }


def _used(o: SceneObject) -> bool:
    entry = CATALOGUE.get(o.category)
    return entry is not None and bool(entry.use) and o.on == "floor"


def _areas(scenes: Sequence[Scene]) -> dict[str, Value]:
    outside = total = 0.0
    far = [max((_beyond(s, o) for o in s.objects), default=0.0) for s in scenes]
    for scene in scenes:
        outside += sum(outside_area(o.box.corners, scene.room.polygon) for o in scene.objects)
        total += sum(o.box.area for o in scene.objects)
    return {
        "oob_scene_10cm": _share(sum(f > 10.0 for f in far), len(scenes)),
        "oob_area": Value(outside / total if total else None, len(scenes)),
        "oor": _mean([oor(s) for s in scenes]),
        "oor_unturned": _mean([oor_unturned(s) for s in scenes]),
        "floor_share": _mean([_floor_share(s) for s in scenes]),
    }


def _beyond(scene: Scene, o: SceneObject) -> float:
    """cm that an object is past a wall's line, as LayoutGPT counts in its rectangles; past the outline in a room with a cut-out."""
    walls = scene.room.walls
    if any(wall.into(corner) < -1e-6 for wall in walls for corner in scene.room.polygon):
        return overrun(o.box.corners, scene.room.polygon)
    return max(0.0, *(-wall.into(corner) for wall in walls for corner in o.box.corners))


def _floor_share(scene: Scene) -> float:
    return sum(o.box.area for o in scene.objects if o.on == "floor" and o.box.height > 5) / scene.room.area


def oor(scene: Scene) -> float:
    """Object overlap ratio of turned footprints: Σ pair overlaps that share more than a rug's height / Σ footprints; 0 in an empty room."""
    boxes = [o.box for o in scene.objects]
    shared = sum(
        overlap_area(a.corners, b.corners)
        for i, b in enumerate(boxes)
        for a in boxes[:i]
        if a.near(b) and a.height_overlap(b) > COLLISION_HEIGHT
    )
    return shared / sum(b.area for b in boxes) if boxes else 0.0


def oor_unturned(scene: Scene) -> float:
    """The same ratio as OptiScene's tables are said to have it: width along x and depth along y whatever the yaw, heights ignored."""
    boxes = [o.box for o in scene.objects]
    shared = 0.0
    for i, b in enumerate(boxes):
        for a in boxes[:i]:
            x = (a.width + b.width) / 2 - abs(a.x - b.x)
            y = (a.depth + b.depth) / 2 - abs(a.y - b.y)
            if x > 0 and y > 0:
                shared += min(x, a.width, b.width) * min(y, a.depth, b.depth)
    return shared / sum(b.area for b in boxes) if boxes else 0.0


def _faithfulness(scenes: Sequence[Scene], specs: Sequence[Spec | None]) -> dict[str, Value]:
    counts, present, asked, relations = [], 0, 0, []
    for scene, spec in zip(scenes, specs, strict=True):
        if spec is None:
            continue
        for wanted in spec.counts:
            n = len(scene.of(wanted.category))
            counts.append(float(compare(n, wanted.quantifier, wanted.n)))
            if wanted.quantifier in ("eq", "ge"):
                present += min(n, wanted.n)
                asked += wanted.n
        relations += [float(satisfied(scene, relation)) for relation in spec.relations]
    return {"count_met": _mean(counts), "present": _share(present, asked), "relation_met": _mean(relations)}
