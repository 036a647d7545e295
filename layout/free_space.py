"""The space that is left in a room: maximal empty rectangles of floor, wall and top, in whole centimetres.

A rectangle that meets nothing lies within a maximal empty one. So decoding that has to stay within one of these cannot run into a wall, a
doorway or what stands there already, and nothing that fits is lost (but beside oblique walls and furniture, which are covered by upright
rectangles).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from layout.catalogue import CATALOGUE, Category, base
from layout.checks import ACCESS_SHARE, COLLISION_HEIGHT, WINDOW_SHARE
from layout.geometry import outside_area, walls
from layout.rules import TUCK_SHARE, TUCKED, WINDOW_BAND
from layout.schema import Room, SceneObject
from layout.walkable import HEADROOM, RADIUS, STEP_OVER

Rect = tuple[int, int, int, int]  # u0, u1, v0, v1

ROUNDING = 0.1  # cm; what touches may overlap by so much in lengths that are no whole numbers
STEPS = 5  # of the stairs that stand for an oblique wall
FAR = 1e5  # cm; below every floor and above every ceiling
SLIVER = 1.0  # cm² of a cell outside of the room that count as none


@dataclass(frozen=True, slots=True)
class Taken:
    """A box of space that something takes, in cm of the room: beyond its walls, before its openings, before what is used, or furniture."""

    x0: float
    x1: float
    y0: float
    y1: float
    z0: float
    z1: float
    kind: Literal["outside", "opening", "way", "furniture"] = "furniture"
    category: str = ""

    def meets(self, low: float, high: float) -> bool:
        """Whether it is in the way of what reaches from `low` to `high`."""
        return self.kind == "outside" or min(self.z1, high) - max(self.z0, low) > COLLISION_HEIGHT

    def seen_from(self, x: float, y: float) -> Taken:
        """The same with lengths counted from (x, y)."""
        return replace(self, x0=self.x0 - x, x1=self.x1 - x, y0=self.y0 - y, y1=self.y1 - y)


def beyond_walls(room: Room) -> tuple[Taken, ...]:
    """What is outside of the room within the rectangle around it; an oblique wall is a flight of stairs."""
    return _beyond_walls(room.polygon)


@lru_cache(maxsize=256)
def _beyond_walls(polygon: tuple[tuple[float, float], ...]) -> tuple[Taken, ...]:
    xs, ys = {0.0, max(x for x, _ in polygon)}, {0.0, max(y for _, y in polygon)}
    for wall in walls(polygon):
        oblique = min(abs(wall.along[0]), abs(wall.along[1])) > 1e-6
        for k in range(STEPS + 1) if oblique else (0, STEPS):
            x, y = wall.at(wall.length * k / STEPS)
            xs.add(round(x, 6))
            ys.add(round(y, 6))
    across, up = sorted(xs), sorted(ys)
    found = []
    for y0, y1 in pairwise(up):
        for x0, x1 in pairwise(across):
            if outside_area([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], polygon) > SLIVER:
                found.append(Taken(x0, x1, y0, y1, -FAR, FAR, "outside"))
    return tuple(found)


def doorways(room: Room) -> list[Taken]:
    """The floor that doors need, to the height of the door."""
    found = []
    for door in room.doors:
        corners = room.walls[door.wall].strip(door.start, door.end, door.clear_depth)
        found.append(around(corners, 0, door.height))
    return found


def lights(room: Room) -> list[Taken]:
    """What is right before the windows."""
    found = []
    for window in room.windows:
        edge = WINDOW_SHARE * window.width  # at each end
        corners = room.walls[window.wall].strip(window.start + edge, window.end - edge, WINDOW_BAND)
        found.append(around(corners, window.sill, window.head))
    return found


def furniture(objects: Iterable[SceneObject]) -> list[Taken]:
    """What furniture takes: the upright rectangle around its footprint."""
    found = []
    for o in objects:
        x0, y0, x1, y1 = o.box.bounds
        found.append(Taken(x0, x1, y0, y1, o.box.bottom, o.box.top, category=o.category))
    return found


def obstructs(entry: Category | None) -> bool:
    """Whether a person walks around a piece of this category on the floor: no rug, and no chair that is pushed aside."""
    return entry is None or ("floor" in entry.on and not entry.movable and entry.height[1] > STEP_OVER)


def way_before(entry: Category | None) -> float:
    """cm of floor that are kept free before a piece that is used from its front alone: a person's width where its use needs that much."""
    if entry is None or entry.use != ("front",) or "floor" not in entry.on:
        return 0.0
    return 2 * RADIUS if entry.clearance >= 2 * RADIUS else (1 - ACCESS_SHARE) * entry.clearance


def ways(objects: Iterable[SceneObject]) -> list[Taken]:
    """The floor before what is used from its front."""
    found = []
    for o in objects:
        depth = way_before(CATALOGUE.get(o.category)) if o.on == "floor" else 0.0
        if depth:
            found.append(around(o.box.zone("front", depth), 0, HEADROOM, "way"))
    return found


def standing(room: Room, objects: Iterable[SceneObject]) -> list[Taken]:
    """What nobody can walk through."""
    met = [o for o in objects if o.on == "floor" and obstructs(CATALOGUE.get(o.category))]
    return [*beyond_walls(room), *(t for t in furniture(met) if t.z1 - t.z0 > STEP_OVER)]


def in_the_way(room: Room, objects: Sequence[SceneObject], entry: Category) -> list[Taken]:
    """All that a piece of this category has to stay clear of, at any height."""
    taken = list(beyond_walls(room))
    if obstructs(entry):
        taken += ways(objects)
    if entry.height[1] > STEP_OVER:
        taken += doorways(room)
    if base(entry.name) != "curtain":
        taken += lights(room)
    return taken + [reduced(t, entry) for t in furniture(objects)]


def reduced(taken: Taken, entry: Category) -> Taken:
    """A table without the edge under which a seat of this category may reach; everything else as it is."""
    if base(taken.category) not in TUCKED.get(base(entry.name), ()):
        return taken
    # An overlap of at most this depth is at most the share of the smallest seat.
    edge = TUCK_SHARE * min(entry.width[0], entry.depth[0])
    x, y = min(edge, (taken.x1 - taken.x0) / 2 - 1), min(edge, (taken.y1 - taken.y0) / 2 - 1)
    return replace(taken, x0=taken.x0 + x, x1=taken.x1 - x, y0=taken.y0 + y, y1=taken.y1 - y)


def maximal(
    domain: Rect, taken: Iterable[tuple[float, float, float, float]], least: tuple[float, float]
) -> list[Rect]:
    """The maximal rectangles of `domain` that meet none of `taken` and are at least `least` long both ways, the largest first."""
    u, v = least
    free = [domain] if domain[1] - domain[0] >= u and domain[3] - domain[2] >= v else []
    for t in taken:
        a0, a1 = math.floor(t[0] + ROUNDING), math.ceil(t[1] - ROUNDING)
        b0, b1 = math.floor(t[2] + ROUNDING), math.ceil(t[3] - ROUNDING)
        if a1 <= a0 or b1 <= b0:
            continue
        kept: list[Rect] = []
        cut: list[Rect] = []
        for r in free:
            u0, u1, v0, v1 = r
            if a1 <= u0 or u1 <= a0 or b1 <= v0 or v1 <= b0:
                kept.append(r)
                continue
            if a0 - u0 >= u:
                cut.append((u0, a0, v0, v1))
            if u1 - a1 >= u:
                cut.append((a1, u1, v0, v1))
            if b0 - v0 >= v:
                cut.append((u0, u1, v0, b0))
            if v1 - b1 >= v:
                cut.append((u0, u1, b1, v1))
        free = outermost(cut, kept)
    return sorted(free, key=lambda r: (-(r[1] - r[0]) * (r[3] - r[2]), r))


def outermost(rects: Iterable[Rect], kept: Sequence[Rect] = ()) -> list[Rect]:
    """`kept`, and those of `rects` that lie in no other."""
    found = list(kept)
    # The largest first: what lies in another lies in one that is there already.
    for c in sorted(rects, key=lambda r: (r[0] - r[1]) * (r[3] - r[2])):
        for o in found:
            if o[0] <= c[0] and c[1] <= o[1] and o[2] <= c[2] and c[3] <= o[3]:
                break
        else:
            found.append(c)
    return found


def around(
    corners: Sequence[tuple[float, float]],
    bottom: float,
    top: float,
    kind: Literal["opening", "way"] = "opening",
) -> Taken:
    """The upright box around an outline on the floor."""
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return Taken(min(xs), max(xs), min(ys), max(ys), bottom, top, kind)
