"""Where a piece may be at a quarter turn without meeting a wall, a doorway or what stands there already.

A place says what carries the piece, which way it may look, and the spans of the wire that lie within one maximal empty rectangle of the
floor, of a wall or of a carrier's top (`layout.free_space`). What hangs has its back at its wall, what stands its bottom on its carrier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from layout import free_space
from layout.catalogue import Category, Range
from layout.free_space import Rect, Taken
from layout.geometry import Wall
from layout.schema import Room, SceneObject
from layout.serialise import category_of, origin

Pair = tuple[int, int]
Ends = tuple[Pair, Pair]  # least and greatest of where something begins, and of where it ends
ACROSS = ((0, 180), (90, 270))  # yaws at which the width lies along x, and along y


@dataclass(frozen=True, slots=True)
class Span:
    """What the six numbers of a span may be, as the wire has them, and how far apart the two of a pair are at least and at most."""

    ends: tuple[Pair, Pair, Pair, Pair, Pair, Pair]
    least: tuple[int, int, int]
    most: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """On what, at which yaws, and within which spans."""

    on: str
    yaws: tuple[int, ...]
    spans: tuple[Span, ...]


def places(
    room: Room, entry: Category, objects: Sequence[SceneObject], keep: Sequence[Taken] = ()
) -> list[Place]:
    """All places of a piece of this category in a room that has `objects`; none where nothing of it fits.

    Where there are such places, the floor before what is used from its front stays free, and so does what is to be kept (of kind "way").
    """
    taken = free_space.in_the_way(room, objects, entry)
    if free_space.obstructs(entry):
        taken += keep
    found = _places(room, entry, objects, taken, free_space.way_before(entry))
    if not found:
        found = _places(room, entry, objects, [t for t in taken if t.kind != "way"], 0.0)
    return found


def _places(
    room: Room, entry: Category, objects: Sequence[SceneObject], taken: Sequence[Taken], before: float
) -> list[Place]:
    """Clear of `taken` and, on the floor, with so many cm `before` the front free of what stands there."""
    found: list[Place] = []
    for on in entry.on:
        if on == "wall":
            found += [place for wall in room.walls if (place := _on_wall(room, wall, entry, taken))]
        elif on == "floor" and before:
            found += _used(room, entry, taken, free_space.standing(room, objects), before)
        elif on in ("floor", "ceiling"):
            found += _in_room(room, on, entry, taken)
    for o in objects:
        if category_of(o.id) in entry.on and o.box.yaw % 90 == 0:
            found += _on_top(room, o, entry, taken)
    return found


def _in_room(room: Room, on: str, entry: Category, taken: Sequence[Taken]) -> list[Place]:
    """On the floor or under the ceiling."""
    domain = _whole(room)
    most = min(entry.height[1], room.height)
    levels = (0.0, most) if on == "floor" else (room.height - most, room.height)
    return _quarter_turns(on, domain, entry, taken, levels)


def _whole(room: Room) -> Rect:
    width, depth = room.extent
    return 0, _cm(width), 0, _cm(depth)


def _used(
    room: Room, entry: Category, taken: Sequence[Taken], standing: Sequence[Taken], before: float
) -> list[Place]:
    """On the floor with free floor before the front: in a rectangle that is clear of all, and with that floor in one where nothing stands."""
    levels = (0.0, min(entry.height[1], room.height))
    shortest = min(entry.width[0], entry.depth[0])
    least = shortest, shortest
    walked = free_space.maximal(_whole(room), [(t.x0, t.x1, t.y0, t.y1) for t in standing], least)
    spans: dict[int, list[Span]] = {yaw: [] for yaw in (0, 90, 180, 270)}
    for high in _heights("floor", entry, taken, levels):
        low, tall = _tall(entry, high)
        there = [(t.x0, t.x1, t.y0, t.y1) for t in taken if t.meets(0.0, high)]
        clear = free_space.maximal(_whole(room), there, least)
        for yaw, found in spans.items():
            across, up = (entry.width, entry.depth) if yaw in ACROSS[0] else (entry.depth, entry.width)
            behind = [_behind(w, yaw, math.ceil(before)) for w in walked]
            both = {_common(r, b) for r in clear for b in behind}
            fitting = [r for r in both if r[1] - r[0] >= across[0] and r[3] - r[2] >= up[0]]
            for r in sorted(free_space.outermost(fitting)):
                level = _ends(r[0], r[1], across), _ends(r[2], r[3], up)
                found.append(_span(*level, tall, (across, up, (low, high))))
    return [Place("floor", (yaw,), tuple(found)) for yaw, found in spans.items() if found]


def _behind(r: Rect, yaw: int, before: int) -> Rect:
    """A rectangle without its strip on the side to which a piece of this yaw looks."""
    x0, x1, y0, y1 = r
    return {
        0: (x0, x1, y0 + before, y1),
        90: (x0, x1 - before, y0, y1),
        180: (x0, x1, y0, y1 - before),
        270: (x0 + before, x1, y0, y1),
    }[yaw]


def _common(a: Rect, b: Rect) -> Rect:
    return max(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), min(a[3], b[3])


def _tall(entry: Category, high: float) -> tuple[float, Ends]:
    """(least height, what z0 and z1 may be) of what stands where there is room to `high`."""
    low = min(entry.height[0], high)
    return low, ((0, 0), (math.ceil(low), math.floor(high)))


def _on_top(room: Room, carrier: SceneObject, entry: Category, taken: Sequence[Taken]) -> list[Place]:
    """On a top, counted from its corner; walls and doors are no matter there, and small things hide no window."""
    x, y, z = origin(carrier)
    x1, y1 = carrier.box.bounds[2:]
    domain = (0, _cm(x1) - x, 0, _cm(y1) - y)
    seen = [t.seen_from(x, y) for t in taken if t.kind == "furniture"]
    levels = (float(z), min(z + entry.height[1], room.height))
    return _quarter_turns(carrier.id, domain, entry, seen, levels)


def _quarter_turns(
    on: str, domain: Rect, entry: Category, taken: Sequence[Taken], levels: tuple[float, float]
) -> list[Place]:
    """Within a level rectangle; `levels` are the lowest and highest z that the piece may take, of which it touches one."""
    bottom, top = levels
    lengths = {
        yaws: (entry.width, entry.depth) if yaws == ACROSS[0] else (entry.depth, entry.width)
        for yaws in ACROSS
    }
    spans: dict[tuple[int, ...], list[Span]] = {yaws: [] for yaws in ACROSS}
    shortest = min(entry.width[0], entry.depth[0])
    for high in _heights(on, entry, taken, levels):
        low, tall = _tall(entry, high)
        reach = (top - high, top) if on == "ceiling" else (bottom, bottom + high)
        there = [(t.x0, t.x1, t.y0, t.y1) for t in taken if t.meets(*reach)]
        for r in free_space.maximal(domain, there, (shortest, shortest)):
            for yaws, (across, up) in lengths.items():
                if r[1] - r[0] >= across[0] and r[3] - r[2] >= up[0]:
                    level = _ends(r[0], r[1], across), _ends(r[2], r[3], up)
                    spans[yaws].append(_span(*level, tall, (across, up, (low, high))))
    return [Place(on, yaws, tuple(found)) for yaws, found in spans.items() if found]


def _heights(on: str, entry: Category, taken: Sequence[Taken], levels: tuple[float, float]) -> list[float]:
    """The greatest height, and for what stands also that which fits under the lowest thing above it."""
    bottom, top = levels
    over = [
        t.z0 - bottom for t in taken if on != "ceiling" and entry.height[0] <= t.z0 - bottom < top - bottom
    ]
    return [top - bottom, *([math.floor(min(over))] if over else [])]


def _on_wall(room: Room, wall: Wall, entry: Category, taken: Sequence[Taken]) -> Place | None:
    """With its back at a wall along x or y; None at an oblique one and where nothing fits."""
    along_x = abs(wall.along[1]) < 1e-6
    if not along_x and abs(wall.along[0]) > 1e-6:
        return None
    line = _cm(wall.a[1] if along_x else wall.a[0])
    inward = round(wall.inward[1] if along_x else wall.inward[0])
    first, last = sorted(_cm(p[0] if along_x else p[1]) for p in (wall.a, wall.b))
    there = []
    for t in taken:
        u, v = ((t.x0, t.x1), (t.y0, t.y1)) if along_x else ((t.y0, t.y1), (t.x0, t.x1))
        near, far = sorted((end - line) * inward for end in v)
        if near < entry.depth[1] and far > 1:
            there.append((*u, t.z0, t.z1))
    deep = [math.ceil(entry.depth[0]), math.floor(entry.depth[1])]
    into = ((line, line), (line + deep[0], line + deep[1]))
    if inward < 0:
        into = ((line - deep[1], line - deep[0]), (line, line))
    spans = []
    domain = (first, last, 0, math.floor(room.height))
    for r in free_space.maximal(domain, there, (entry.width[0], entry.height[0])):
        along, tall = _ends(r[0], r[1], entry.width), _ends(r[2], r[3], entry.height)
        level = (along, into) if along_x else (into, along)
        sizes = (entry.width, entry.depth) if along_x else (entry.depth, entry.width)
        spans.append(_span(*level, tall, (*sizes, entry.height)))
    return Place("wall", (round(wall.yaw) % 360,), tuple(spans)) if spans else None


def _ends(low: int, high: int, length: Range) -> Ends:
    """Where something of at least this length may begin and end between two marks."""
    least = math.ceil(length[0])
    return (low, high - least), (low + least, high)


def _span(x: Ends, y: Ends, z: Ends, lengths: tuple[Range, Range, Range]) -> Span:
    least = tuple(math.ceil(length[0]) for length in lengths)
    most = tuple(max(math.ceil(length[0]), math.floor(length[1])) for length in lengths)
    return Span((*x, *y, *z), least, most)  # type: ignore[arg-type]


def _cm(value: float) -> int:
    return math.floor(value + 0.5)
