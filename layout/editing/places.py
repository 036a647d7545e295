"""What a place of an edit means on boxes: a score in [0, 1] that holds above one half, by the thresholds of `layout.relations` where it has them.

A user's "near the door" is anything up to a metre and a half, also what SceneEval calls "next to"; "the north wall" is one wall and not any.
Steps ("50 cm to the left", "closer to the bed", "turned around") are measured against the room as it was before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from layout import relations
from layout.editing.operations import Place
from layout.geometry import Box, Point, Wall, contains, point_to_segment, turn
from layout.schema import Opening, Room, Scene, SceneObject

VECTORS: dict[str, Point] = {
    "north": (0.0, 1.0),
    "south": (0.0, -1.0),
    "east": (1.0, 0.0),
    "west": (-1.0, 0.0),
}
NEAR = 150.0  # cm up to which something is near
AWAY = 150.0  # cm from which it is away from something
AT_WALL = 30.0  # cm up to which something is against a wall
STEP = 20.0  # cm that "closer" and "to the left" are at least
STRAIGHT = 0.7  # cosine to a compass direction up to which a wall is of that side

# cm between bounds from which a relation scores nothing to speak of.
_REACH = {
    "next_to": 100.0,
    "beside": 100.0,
    "near": 200.0,
    "on_top_of": 0.0,
    "over": 0.0,
    "under": 0.0,
    "above": 60.0,
}


def met(scene: Scene, o: SceneObject, place: Place, before: Scene) -> bool:
    """Whether an object of `scene` is where it was to be."""
    return score(scene, o, place, before) > 0.5


def score(scene: Scene, o: SceneObject, place: Place, before: Scene) -> float:
    """How well it is there; with several targets, at the best of them."""
    if place.relation in ("turned", "shifted", "instead_of"):
        return _step(scene, o, place, before)
    if place.part is not None:
        return _in_room(scene, o, place, before)
    targets = [scene.by_id[t] for t in place.targets if t in scene.by_id and t != o.id]
    if place.relation == "between":
        return relations.score(scene, "between", o, targets) if len(targets) == 2 else 0.0
    return max((_to_object(scene, o, place, t, before) for t in targets), default=0.0)


def way(scene: Scene, o: SceneObject, place: Place, before: Scene) -> float | None:
    """cm from an object to what a place is about; None where it is about no spot in the room."""
    if place.part is None:
        targets = [scene.by_id[t] for t in place.targets if t in scene.by_id and t != o.id]
        return min((o.box.gap(t.box) for t in targets), default=None)
    if place.part == "room":
        return math.dist(o.box.centre, scene.room.centroid)
    if place.part == "side":
        return _along(scene.room, o.box, place.side or "", past=0.6)
    return min((_gap(o.box, *ends) for ends in stretches(scene.room, place)), default=None)


def _to_object(scene: Scene, o: SceneObject, place: Place, target: SceneObject, before: Scene) -> float:
    a, b = o.box, target.box
    if place.relation in _REACH and not a.near(b, _REACH[place.relation]):
        return 0.0  # bounds first: a search asks this of thousands of spots
    if place.relation == "on_top_of":
        return relations.on_top_share(a, b) if o.on == target.id else 0.0
    if place.relation == "over":
        return a.overlap(b) / min(a.area, b.area)
    if place.relation == "above":
        x, _ = b.local(a.centre)
        return 1.0 if a.bottom >= b.top - 1 and abs(x) <= b.width / 2 and a.gap(b) <= 60 else 0.0
    if place.relation in ("near", "next_to"):
        # What hangs from the ceiling is near what it is over.
        away = a.gap(b) if "ceiling" in (o.on, target.on) else relations.distance(a, b)
        return _snug(away, NEAR if place.relation == "near" else relations.BANDS["next_to"][1])
    if place.relation == "far_from":
        return relations.band(relations.distance(a, b), AWAY, math.inf)
    if place.relation in ("closer", "farther"):
        old = before.by_id.get(o.id)
        if old is None:
            return 0.0
        nearer = old.box.gap(before.by_id.get(target.id, target).box) - a.gap(b)
        return 1.0 if (nearer if place.relation == "closer" else -nearer) >= STEP else 0.0
    if place.relation == "under" and a.height > 5:
        return relations.PAIR["under"](a, b)
    if place.relation == "under":  # a rug reaches out from under a table
        return a.overlap(b) / min(a.area, b.area)
    if place.relation == "opposite":
        return max(
            relations.opposite(a, b),
            min(relations.facing_score(a, b), relations.side_share(a, b, "front")),
        )
    return relations.score(scene, place.relation, o, [target])


def _in_room(scene: Scene, o: SceneObject, place: Place, before: Scene) -> float:
    room, box = scene.room, o.box
    if place.relation == "facing":
        return _facing(room, box, place)
    if place.part == "room":
        return relations.middle_of_room(box, room)
    if place.part == "side":
        return 1.0 if _along(room, box, place.side or "", past=0.5) <= 0 else 0.0
    if place.part == "corner" and place.relation == "in":
        return max((_corner(box, pair) for pair in corners(room, place)), default=0.0)
    if (place.part, place.relation) == ("window", "at"):
        windows = tuple(room.windows[i] for i in _openings(room, place))
        return relations.at_window(box, room.model_copy(update={"windows": windows}))
    away = min((_gap(box, *ends) for ends in stretches(room, place)), default=math.inf)
    if place.relation in ("closer", "farther"):
        old = before.by_id.get(o.id)
        if old is None or away == math.inf:
            return 0.0
        nearer = min(_gap(old.box, *ends) for ends in stretches(room, place)) - away
        return 1.0 if (nearer if place.relation == "closer" else -nearer) >= STEP else 0.0
    if away == math.inf:
        return 0.0
    if place.relation == "far_from":
        return relations.band(away, AWAY, math.inf)
    return _snug(away, AT_WALL if place.relation == "against" else NEAR)


def _step(scene: Scene, o: SceneObject, place: Place, before: Scene) -> float:
    if place.relation == "instead_of":
        spot = before.by_id[place.targets[0]].box
        reach = max(spot.width, spot.depth, o.box.width, o.box.depth) / 2 + 10
        return relations.band(math.dist(o.box.centre, spot.centre), 0, reach)
    old = before.by_id[o.id]
    if place.relation == "turned":
        return 1.0 if turn(o.yaw, old.yaw + (place.amount or 0.0)) <= 1 else 0.0
    v = VECTORS[place.side or "north"]
    dx, dy = o.pos[0] - old.pos[0], o.pos[1] - old.pos[1]
    along, beside = dx * v[0] + dy * v[1], abs(dx * v[1]) + abs(dy * v[0])
    if place.amount is None:
        return 1.0 if along >= STEP and beside <= along else 0.0
    return 1.0 if abs(along - place.amount) <= 5 and beside <= 5 else 0.0


# Parts of the room: walls of a side, the ends of openings, corners.


def walls_of(room: Room, side: str | None) -> list[Wall]:
    """The walls that "the north wall", "the window wall", "wall 2" or "the wall opposite the door" can be; all without a side."""
    if side is None:
        return list(room.walls)
    if side.isdigit():
        return [w for w in room.walls if w.index == int(side)]
    kind = side.removeprefix("opposite ")
    if kind in ("window", "door"):
        with_it = {o.wall for o in (room.windows if kind == "window" else room.doors)}
        if kind == side:
            return [w for w in room.walls if w.index in with_it]
        faced = [room.walls[i].inward for i in sorted(with_it)]
        return [w for w in room.walls if any(_dot(w.inward, f) < -STRAIGHT for f in faced)]
    out = [VECTORS[s] for s in side.split()]
    found = [w for w in room.walls if all(_dot(w.inward, v) < -STRAIGHT for v in out)]
    if not found:
        return []
    # A notch has a short wall of the same direction: what people mean is the outer one, and any as far out.
    reach = {w.index: _dot(w.at(w.length / 2), out[0]) for w in found}
    return [w for w in found if reach[w.index] >= max(reach.values()) - 100]


def stretches(room: Room, place: Place) -> list[tuple[Point, Point]]:
    """The parts of walls that a place is about, as their ends."""
    if place.part == "wall":
        return [(w.a, w.b) for w in walls_of(room, place.side)]
    if place.part == "corner":
        return [(wall.a, wall.a) for _, wall in corners(room, place)]
    openings: Sequence[Opening] = room.windows if place.part == "window" else room.doors
    return [
        (room.walls[o.wall].at(o.start), room.walls[o.wall].at(o.end))
        for o in (openings[i] for i in _openings(room, place))
    ]


def _openings(room: Room, place: Place) -> list[int]:
    """Which windows or doors: those of a side, where one is said."""
    openings: Sequence[Opening] = room.windows if place.part == "window" else room.doors
    allowed = {w.index for w in walls_of(room, place.side)}
    return [i for i, o in enumerate(openings) if o.wall in allowed]


def corners(room: Room, place: Place) -> list[tuple[Wall, Wall]]:
    """Inner corners (the walls before and after them) of the sides that are said; all without a side."""
    found = []
    width, depth = room.extent
    for i, wall in enumerate(room.walls):
        before = room.walls[i - 1]
        if before.along[0] * wall.along[1] - before.along[1] * wall.along[0] <= 0:
            continue
        x, y = wall.a[0] / width - 0.5, wall.a[1] / depth - 0.5
        if all(x * VECTORS[s][0] + y * VECTORS[s][1] > 0 for s in (place.side or "").split()):
            found.append((before, wall))
    return found


def _corner(box: Box, pair: tuple[Wall, Wall]) -> float:
    return _snug(max(_gap(box, wall.a, wall.b) for wall in pair), 80)


def _snug(gap: float, most: float) -> float:
    """1 without a gap, one half at the most that still counts: of two places that will do the closer is the better."""
    return max(0.0, 1 - 0.499 * gap / most)


def _gap(box: Box, a: Point, b: Point) -> float:
    """cm from a footprint inside the room to a stretch of its wall."""
    if a == b:
        return 0.0 if contains(box.corners, a) else min(point_to_segment(a, *e) for e in _edges(box))
    return min(
        *(point_to_segment(p, a, b) for p in box.corners),
        *(point_to_segment(end, *edge) for end in (a, b) for edge in _edges(box)),
    )


def _edges(box: Box) -> list[tuple[Point, Point]]:
    return [(box.corners[i - 1], box.corners[i]) for i in range(4)]


def _along(room: Room, box: Box, sides: str, past: float) -> float:
    """cm that a centre is short of the share `past` of the room's extent towards its sides; 0 or less when it is beyond."""
    width, depth = room.extent
    short = []
    for s in sides.split():
        vx, vy = VECTORS[s]
        share = (
            (box.x / width if vx else box.y / depth)
            if vx + vy > 0
            else 1 - (box.x / width if vx else box.y / depth)
        )
        short.append((past - share) * (width if vx else depth))
    return max(short, default=0.0)


def _facing(room: Room, box: Box, place: Place) -> float:
    """Whether the front looks at a window, a door, a wall, or to a side of the compass."""
    if place.part == "side":
        looks = [_dot(box.front, VECTORS[s]) for s in (place.side or "").split()]
        return 1.0 if looks and min(looks) > STRAIGHT else 0.0
    if place.part in ("wall", "corner"):
        walls = walls_of(room, place.side)
        return 1.0 if any(_dot(box.front, w.inward) < -STRAIGHT for w in walls) else 0.0
    openings: Sequence[Opening] = room.windows if place.part == "window" else room.doors
    boxes = [opening_box(room, openings[i]) for i in _openings(room, place)]
    return max((relations.facing_score(box, b) for b in boxes), default=0.0)


def opening_box(room: Room, opening: Opening) -> Box:
    """A window or door as a thin box in its wall, from the floor up, for what looks at it."""
    wall = room.walls[opening.wall]
    x, y = wall.at((opening.start + opening.end) / 2)
    return Box.of((x, y, 0), (opening.width, 4, 210), wall.yaw)


def _dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1]
