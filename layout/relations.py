"""Spatial relations measured from a room, with the thresholds of SceneEval's predicates worked out on boxes instead of sampled meshes.

A relation gives a score in [0, 1] and holds above one half. Sides are of the *reference's* own frame: "left of the bed" is the bed's −x side.
The distance bands are SceneEval's, so "near" is 50 to 150 cm and what stands closer is "next_to". Where SceneEval fires rays or samples
points, the same share is an exact area here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations, product

from layout.geometry import (
    Box,
    intersection,
    overlap_area,
    point_to_boundary,
    point_to_segment,
    signed_area,
    turn,
)
from layout.placement import wall_gap
from layout.schema import ARCHITECTURE, RelationSpec, Room, Scene, SceneObject, compare

# Distance bands in cm and the spread of the bell beside them.
BANDS = {
    "next_to": (0.0, 50.0),
    "near": (50.0, 150.0),
    "across_from": (150.0, 400.0),
    "far_from": (400.0, math.inf),
}
SPREAD = 25.0
WIDEN = 1.25  # how much of the reference's face counts as "beside" it
FACING_LIMIT = 30.0  # degrees at which the score of facing is zero

Target = SceneObject | str  # an object, or a part of the room


def band(distance: float, low: float, high: float, spread: float = SPREAD) -> float:
    """1 inside [low, high], a bell of the distance to it outside."""
    off = max(0.0, low - distance, distance - high)
    return math.exp(-off * off / (2 * spread * spread))


def distance(a: Box, b: Box) -> float:
    """Shortest distance in cm between two boxes in space."""
    return math.hypot(a.gap(b), max(0.0, -a.height_overlap(b)))


def side_share(box: Box, reference: Box, side: str) -> float:
    """Share of a box that is beyond one face of the reference and before that face, widened by a quarter across and in height."""
    w, d = reference.width * WIDEN / 2, reference.depth * WIDEN / 2
    far = 1e5
    x, y = reference.width / 2, reference.depth / 2
    local = {
        "left": ((-far, -d), (-x, -d), (-x, d), (-far, d)),
        "right": ((x, -d), (far, -d), (far, d), (x, d)),
        "front": ((-w, -far), (w, -far), (w, -y), (-w, -y)),
        "back": ((-w, y), (w, y), (w, far), (-w, far)),
    }[side]
    region = [reference.world(p) for p in local]
    middle, half = (reference.bottom + reference.top) / 2, reference.height * WIDEN / 2
    tall = max(0.0, min(box.top, middle + half) - max(box.bottom, middle - half)) / box.height
    return overlap_area(box.corners, region) / box.area * tall


def facing_score(box: Box, target: Box) -> float:
    """1 when the box looks straight at what it sees of the target, 0 from 30° off, or when it sees nothing of it."""
    if box.height_overlap(target) <= 0:
        return 0.0
    ahead = intersection(target.corners, box.zone("front", 1e5))
    if len(ahead) < 3 or signed_area(ahead) <= 1e-6:
        return 0.0
    x = sum(p[0] for p in ahead) / len(ahead)
    y = sum(p[1] for p in ahead) / len(ahead)
    lx, ly = box.local((x, y))
    return max(0.0, 1 - abs(math.degrees(math.atan2(lx, -ly))) / FACING_LIMIT)


def on_top_share(box: Box, reference: Box) -> float:
    """Share of a box's footprint over the reference, given that it is above it."""
    if box.bottom < reference.top - 2:
        return 0.0
    return box.overlap(reference) / box.area


def _between(box: Box, a: Box, b: Box) -> float:
    """1 on the line between two centres, falling to 0 at a quarter of their distance beside it."""
    span = math.dist(a.centre, b.centre)
    if span == 0:
        return 0.0
    off = point_to_segment(box.centre, a.centre, b.centre)
    t = ((box.x - a.x) * (b.x - a.x) + (box.y - a.y) * (b.y - a.y)) / span**2
    return max(0.0, 1 - 2 * off / span) if 0.1 < t < 0.9 else 0.0


def surround_score(ring: Sequence[Box], centre: Box) -> float:
    """How evenly at least two boxes stand around another: equal distances, equal angles (SceneEval's `surround`)."""
    if len(ring) < 2:
        return 0.0
    far = [math.dist(b.centre, centre.centre) for b in ring]
    median = sorted(far)[len(far) // 2]
    angles = sorted(math.degrees(math.atan2(b.y - centre.y, b.x - centre.x)) % 360 for b in ring)
    even = 360 / len(ring)
    steps = [(q - p) % 360 for p, q in zip(angles, angles[1:] + angles[:1], strict=True)]
    near = [1 - abs(d - median) / median if median else 0.0 for d in far]
    spread = [max(0.0, 1 - abs(s - even) / even) for s in steps]
    return sum(0.5 * max(0.0, n) ** 2 + 0.5 * s for n, s in zip(near, spread, strict=True)) / len(ring)


def _strip(room: Room, part: str) -> list[list[tuple[float, float]]]:
    """The wall stretches that a part of the room takes: walls, doors, windows; corners as points."""
    if part == "wall":
        return [[w.a, w.b] for w in room.walls]
    if part == "corner":
        return [[p, p] for p in room.polygon]
    openings = room.doors if part == "door" else room.windows
    return [[room.walls[o.wall].at(o.start), room.walls[o.wall].at(o.end)] for o in openings]


def room_distance(box: Box, room: Room, part: str) -> float | None:
    """cm from a box's footprint to the nearest wall, door, window or corner; None where the room has none."""
    stretches = _strip(room, part)
    if not stretches:
        return None
    return min(_segment_gap(box, a, b) for a, b in stretches)


def _segment_gap(box: Box, a: tuple[float, float], b: tuple[float, float]) -> float:
    if len(intersection([a, b], box.corners)) > 1 or any(
        abs(x) <= box.width / 2 and abs(y) <= box.depth / 2 for x, y in (box.local(a), box.local(b))
    ):
        return 0.0
    return min(
        *(point_to_segment(p, a, b) for p in box.corners),
        point_to_boundary(a, box.corners),
        point_to_boundary(b, box.corners),
    )


def against_wall(box: Box, room: Room) -> float:
    """1 within 30 cm of a wall, falling beyond."""
    return band(room_distance(box, room, "wall") or 0.0, 0, 30, 10)


def corners(box: Box, room: Room) -> list[tuple[float, float]]:
    """For each inner corner whose walls are about square to each other: cm from the box to either wall."""
    found, edges = [], room.walls
    for i, wall in enumerate(edges):
        before = edges[i - 1]
        convex = before.along[0] * wall.along[1] - before.along[1] * wall.along[0] > 0
        if convex and abs(before.along[0] * wall.along[0] + before.along[1] * wall.along[1]) < 0.15:
            found.append((_segment_gap(box, before.a, before.b), _segment_gap(box, wall.a, wall.b)))
    return found


def at_corner(box: Box, room: Room) -> float:
    """Product of the scores of being within 80 cm of both walls of a corner, at the best corner."""
    return max((band(a, 0, 80) * band(b, 0, 80) for a, b in corners(box, room)), default=0.0)


def middle_of_room(box: Box, room: Room) -> float:
    """A bell around the room's centroid, wide where the object is large."""
    size, whole = max(box.width, box.depth) / 100, math.sqrt(room.area) / 100
    sigma = (0.5 * size + max(0.0, 1 - size / whole)) * 100 / 2
    return math.exp(-(math.dist(box.centre, room.centroid) ** 2) / (2 * sigma * sigma))


def at_window(box: Box, room: Room) -> float:
    """1 when the box stands before a window: within 60 cm of its wall and across at least half of itself or of the window."""
    best = 0.0
    for window in room.windows:
        wall = room.walls[window.wall]
        marks = [wall.mark(p) for p in box.corners]
        shared = min(max(marks), window.end) - max(min(marks), window.start)
        share = shared / min(window.width, max(marks) - min(marks))
        if share > 0:
            best = max(best, min(1.0, share) * band(min(wall.into(p) for p in box.corners), 0, 60, 20))
    return best


def opposite(box: Box, other: Box) -> float:
    """1 when two boxes face each other across a gap: fronts within 15° of opposed, each before the other's front."""
    if turn(box.yaw + 180, other.yaw) > 15:
        return 0.0
    return min(facing_score(box, other), facing_score(other, box))


PAIR: dict[str, Callable[[Box, Box], float]] = {
    "left_of": lambda a, b: side_share(a, b, "left"),
    "right_of": lambda a, b: side_share(a, b, "right"),
    "in_front_of": lambda a, b: side_share(a, b, "front"),
    "behind": lambda a, b: side_share(a, b, "back"),
    "beside": lambda a, b: (
        max(side_share(a, b, "left"), side_share(a, b, "right")) * band(distance(a, b), 0, 50)
    ),
    "facing": facing_score,
    "opposite": opposite,
    "on_top_of": on_top_share,
    "under": lambda a, b: a.overlap(b) / a.area if a.top <= b.top else 0.0,
    **{
        name: (lambda a, b, low=low, high=high: band(distance(a, b), low, high))
        for name, (low, high) in BANDS.items()
    },
}

ROOM: dict[tuple[str, str], Callable[[Box, Room], float]] = {
    ("against", "wall"): against_wall,
    ("in", "corner"): at_corner,
    ("in_middle_of", "room"): middle_of_room,
    ("at", "window"): at_window,
    ("on", "wall"): lambda box, room: band(wall_gap(box, room.walls), 0, 1, 1) if box.bottom > 0 else 0.0,
    ("hangs_from", "ceiling"): lambda box, room: band(abs(room.height - box.top), 0, 1, 3),
    ("facing", "window"): lambda box, room: max(
        (facing_score(box, b) for b in _opening_boxes(room)), default=0.0
    ),
}


def _opening_boxes(room: Room) -> list[Box]:
    """Windows as thin boxes in the wall, for what looks at them."""
    found = []
    for window in room.windows:
        wall = room.walls[window.wall]
        x, y = wall.at((window.start + window.end) / 2)
        found.append(Box.of((x, y, 0), (window.width, 4, window.head), wall.yaw))
    return found


def score(scene: Scene, relation: str, subject: SceneObject, references: Sequence[Target]) -> float:
    """Score in [0, 1] of one relation between objects, or an object and a part of the room.

    Raises ValueError for a relation that is not known for such references, with the ones that are.
    """
    box, first = subject.box, references[0]
    if isinstance(first, str):
        if (relation, first) in ROOM:
            return ROOM[relation, first](box, scene.room)
        if relation in BANDS and first in ("wall", "door", "window", "corner"):
            away = room_distance(box, scene.room, first)
            return 0.0 if away is None else band(away, *BANDS[relation])
        known = ", ".join(
            sorted({f"{r} {p}" for r, p in ROOM} | {f"{r} wall|door|window|corner" for r in BANDS})
        )
        raise ValueError(f"unknown relation {relation!r} to the {first}; known: {known}")
    others = [r.box for r in references if not isinstance(r, str)]
    if relation == "between" and len(others) == 2:
        return _between(box, others[0], others[1])
    if relation == "surrounded_by":
        return surround_score(others, box)
    if relation in PAIR:
        return min(PAIR[relation](box, other) for other in others)
    known = ", ".join([*sorted(PAIR), "between", "surrounded_by"])
    raise ValueError(f"unknown relation {relation!r} between objects; known: {known}")


def holds(scene: Scene, relation: str, subject: SceneObject, references: Sequence[Target]) -> bool:
    """Whether a relation's score is above one half."""
    return score(scene, relation, subject, references) > 0.5


def count_satisfying(scene: Scene, spec: RelationSpec) -> int:
    """How many objects of the subject's category stand in the relation to some choice of the references.

    Repeated reference categories mean different objects of that category.
    """
    choices = list(_reference_choices(scene, spec.references))
    found = 0
    for subject in scene.of(spec.subject):
        options = (c for c in choices if subject not in c)
        found += any(holds(scene, spec.relation, subject, choice) for choice in options)
    return found


def satisfied(scene: Scene, spec: RelationSpec) -> bool:
    """Whether a room does what a request asks for in one relation."""
    return compare(count_satisfying(scene, spec), spec.quantifier, spec.n)


def _reference_choices(scene: Scene, references: Sequence[str]) -> list[tuple[Target, ...]]:
    """Every way to choose the references: different objects where a category is named more than once."""
    if references[0] in ARCHITECTURE:
        return [(references[0],)]
    names = list(dict.fromkeys(references))
    per_name = [list(combinations(scene.of(name), references.count(name))) for name in names]
    return [tuple(o for part in choice for o in part) for choice in product(*per_name)]
