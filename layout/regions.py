"""Where a piece has to be so that a relation that was said holds: ranges for the ends of its span, for `layout.guide`.

A region is a little narrower than its relation (`layout.relations` has the thresholds), and upright: oblique walls, and furniture at yaws that are no
quarter turn, bring none. Directions are 0 east, 1 north, 2 west, 3 south.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from layout.catalogue import CATALOGUE
from layout.free_space import FAR, Taken, around, way_before
from layout.geometry import Box, Wall
from layout.places import Pair, Place, Span
from layout.schema import ARCHITECTURE, PLACES, RelationSpec, Room, SceneObject
from layout.serialise import category_of, origin
from layout.walkable import HEADROOM

Range = tuple[float, float]
ANY: Range = (-FAR, FAR)
BANDS: dict[str, Range] = {
    "next_to": (-30, 40),
    "near": (50, 140),
    "across_from": (150, 390),
    "far_from": (400, FAR),
}  # cm; a seat may be under its table
AT_WINDOW, AT_WALL, IN_CORNER = 40, 20, 25  # cm between a piece and what it is said to be at
MARGIN = 10  # cm more than the smallest of its kind needs, that are kept for what is to stand at a window
# Cm of a large piece that are on every side of the middle of the room, and cm from the middle within which a smaller one lies.
MIDDLE, NEAR = 40, 60
SIDEWAYS = 0.125  # of a piece's length, that what is beside it may reach past either end
TUCKED, ASIDE = (
    30,
    10,
)  # cm that what looks at something, or is beside it, may reach into its rectangle, as seats do
HIGHER = 1.6  # times its height, that what is on one side of it may have: sides are told in space
_LOOK = {0: 3, 90: 0, 180: 1, 270: 2}  # yaw to the direction of the front
_SIDES = {"left_of": -1, "right_of": 1, "in_front_of": 0, "behind": 2}  # quarter turns from the front


@dataclass(frozen=True)
class Region:
    """What the ends of a footprint may be: x0, x1, y0, y1 in cm of the room; at which yaws, on what (None: any), and how high from the floor."""

    ends: tuple[Range, Range, Range, Range] = (ANY, ANY, ANY, ANY)
    yaws: frozenset[int] | None = None
    on: str | None = None
    high: float = FAR


def as_said(
    found: list[Place], room: Room, said: Sequence[RelationSpec], name: str, objects: Sequence[SceneObject]
) -> list[Place]:
    """The places of the piece `name` at which the relations hold that it is subject or reference of, as far as there are such places.

    One that would leave none is passed over, and so is one whose other side is not there yet. `found` itself where nothing was said.
    """
    category = category_of(name)
    number = 1 + sum(o.category == category for o in objects)
    for spec in said:
        if category in spec.references or (category == spec.subject and number <= spec.n):
            regions = list(_regions(room, spec, category, objects))
            kept = [k for place in found for k in _kept(place, regions, objects)] if regions else []
            found = kept or found
    return found


def kept_for(room: Room, said: Sequence[RelationSpec], coming: Sequence[str], category: str) -> list[Taken]:
    """The floor at a window for those of the pieces to come that are said to be there: a piece of another `category` goes elsewhere if it can."""
    found = []
    for spec in said:
        entry = CATALOGUE.get(spec.subject)
        if (spec.relation, spec.references[0]) != ("at", "window") or not room.windows or entry is None:
            continue
        if spec.subject != category and spec.subject in map(category_of, coming):
            window = max(room.windows, key=lambda w: w.width)
            middle, half = (window.start + window.end) / 2, entry.width[0] / 2 + MARGIN
            deep = entry.depth[0] + MARGIN + way_before(entry)
            corners = room.walls[window.wall].strip(middle - half, middle + half, deep)
            found.append(around(corners, 0, HEADROOM, "way"))
    return found


def _kept(place: Place, regions: Sequence[Region], objects: Sequence[SceneObject]) -> Iterator[Place]:
    """A place by yaw, with the spans that lie in one of the regions."""
    carrier = next((o for o in objects if o.id == place.on), None)
    x, y, _ = origin(carrier)
    for yaw in place.yaws:
        spans = []
        for region in regions:
            if (region.yaws is None or yaw in region.yaws) and region.on in (None, place.on):
                shifts = (x, x, y, y)
                wanted = [(low - s, high - s) for (low, high), s in zip(region.ends, shifts, strict=True)]
                high = region.high if place.on == "floor" else FAR
                spans += [s for span in place.spans if (s := _narrowed(span, wanted, high))]
        if spans:
            yield replace(place, yaws=(yaw,), spans=tuple(spans))


def _narrowed(span: Span, wanted: Sequence[Range], high: float) -> Span | None:
    """A span whose first four ends are in the wanted ranges; None where there is none."""
    ends: list[Pair] = [
        (max(low, round(first)), min(high, round(last)))
        for (low, high), (first, last) in zip(span.ends, wanted, strict=False)
    ]
    for k in (0, 2):  # the second end is at least and at most so far behind the first
        least, most = span.least[k // 2], span.most[k // 2]
        (a, b), (c, d) = ends[k], ends[k + 1]
        ends[k], ends[k + 1] = (max(a, c - most), min(b, d - least)), (max(c, a + least), min(d, b + most))
    bottom, (least, most) = span.ends[4:]
    ends += [bottom, (least, min(most, round(high)))]
    if any(low > high for low, high in ends):
        return None
    return replace(span, ends=tuple(ends))  # type: ignore[arg-type]


def _regions(
    room: Room, said: RelationSpec, category: str, objects: Sequence[SceneObject]
) -> Iterator[Region]:
    first = said.references[0]
    if category == said.subject:
        if first in ARCHITECTURE:
            yield from _of_room(room, said.relation, first)
        else:
            for o in objects:
                if o.category == first:
                    yield from _to(said.relation, o)
    elif category == first:
        for o in objects:
            if o.category == said.subject:
                yield from _from(said.relation, o)


def _to(relation: str, o: SceneObject) -> Iterator[Region]:
    """Of a piece in a relation to another that is there."""
    if relation == "on_top_of":
        yield Region(on=o.id)
    elif relation in BANDS:
        yield from _around(o.box, BANDS[relation])
    if o.box.yaw % 90 or o.on not in PLACES:
        return
    look = _LOOK[int(o.box.yaw)]
    if relation in _SIDES:
        yield from _beyond_side(o.box, (look + _SIDES[relation]) % 4, (-ASIDE, FAR))
    elif relation == "beside":
        for turn in (1, -1):
            yield from _beyond_side(o.box, (look + turn) % 4, (-ASIDE, BANDS["next_to"][1]))
    elif relation == "facing":
        for yaw, ahead in _LOOK.items():
            yield from _looking(o.box, yaw, (ahead + 2) % 4)
    elif relation == "opposite":
        yield from _looking(o.box, (int(o.box.yaw) + 180) % 360, look)


def _looking(box: Box, yaw: int, side: int) -> Iterator[Region]:
    """Of a piece of this yaw on one side of a box, at which it looks."""
    for across in ("inside", "covers"):
        yield replace(_beyond(box, side, (-TUCKED, FAR), across, 0.0), yaws=frozenset({yaw}))


def _from(relation: str, o: SceneObject) -> Iterator[Region]:
    """Of the reference of a relation whose subject is there."""
    if relation in BANDS:
        yield from _around(o.box, BANDS[relation])
    if o.box.yaw % 90 or o.on not in PLACES:
        return
    ahead = _LOOK[int(o.box.yaw)]
    if relation in ("facing", "opposite"):
        yaws = frozenset({(int(o.box.yaw) + 180) % 360}) if relation == "opposite" else None
        for across in ("inside", "covers"):
            yield replace(_beyond(o.box, ahead, (-TUCKED, FAR), across, 0.0), yaws=yaws)
    sides = (1, -1) if relation == "beside" else (_SIDES[relation],) if relation in _SIDES else ()
    reach = (-ASIDE, BANDS["next_to"][1]) if relation == "beside" else (-ASIDE, FAR)
    for yaw, look in _LOOK.items():
        for side in sides:
            # The subject is on that side of the reference, so the reference is on the other side of the subject.
            region = _beyond(o.box, (look + side + 2) % 4, reach, "covers", -SIDEWAYS)
            yield replace(region, yaws=frozenset({yaw}))


def _around(box: Box, reach: Range) -> Iterator[Region]:
    for side in range(4):
        yield _beyond(box, side, reach, "meets", 0.0)


def _beyond_side(box: Box, side: int, reach: Range) -> Iterator[Region]:
    for across, widen in (("inside", SIDEWAYS), ("covers", 0.0)):
        yield replace(_beyond(box, side, reach, across, widen), high=HIGHER * box.top)


def _beyond(box: Box, side: int, reach: Range, across: str, widen: float) -> Region:
    """On one side of a box at a distance of `reach`, and across within its length widened by a share, covering it, or meeting it."""
    x0, y0, x1, y1 = box.bounds
    near, far = reach
    along: tuple[Range, Range] = (
        ((x1, y1)[side % 2] + near, (x1, y1)[side % 2] + far),
        ANY,
    )
    if side >= 2:
        along = (ANY, ((x0, y0)[side % 2] - far, (x0, y0)[side % 2] - near))
    low, high = (y0, y1) if side % 2 == 0 else (x0, x1)
    edge = widen * (high - low)
    low, high = low - edge, high + edge
    other: tuple[Range, Range] = {
        "inside": ((low, FAR), (-FAR, high)),
        "covers": ((-FAR, low), (high, FAR)),
        "meets": ((-FAR, high), (low, FAR)),
    }[across]
    return Region((*along, *other) if side % 2 == 0 else (*other, *along))


def _of_room(room: Room, relation: str, part: str) -> Iterator[Region]:
    if (relation, part) == ("in_middle_of", "room"):
        x, y = room.centroid
        yield Region(((-FAR, x - MIDDLE), (x + MIDDLE, FAR), (-FAR, y - MIDDLE), (y + MIDDLE, FAR)))
        yield Region(((x - NEAR, FAR), (-FAR, x + NEAR), (y - NEAR, FAR), (-FAR, y + NEAR)))
    elif (relation, part) == ("at", "window"):
        for window in room.windows:
            middle = (window.start + window.end) / 2
            yield from _at_wall(room.walls[window.wall], (0, AT_WINDOW), (middle - 5, middle + 5), "covers")
    elif (relation, part) == ("against", "wall"):
        for wall in room.walls:
            yield from _at_wall(wall, (0, AT_WALL), (0, wall.length), "meets")
    elif (relation, part) == ("in", "corner"):
        for i, wall in enumerate(room.walls):
            yield from _in_corner(room.walls[i - 1], wall)
    elif relation in ("near", "far_from") and part == "door":
        for door in room.doors:
            wall, reach = room.walls[door.wall], BANDS[relation]
            yield from _at_wall(
                wall, reach, (door.start, door.end), "meets" if relation == "near" else "anywhere"
            )
            for start, end in (
                (door.start - reach[1], door.start - reach[0]),
                (door.end + reach[0], door.end + reach[1]),
            ):
                into = (0, AT_WINDOW) if relation == "near" else (0, FAR)
                yield from _at_wall(wall, into, (start, end), "before" if start < door.start else "after")


def _at_wall(wall: Wall, into: Range, marks: Range, across: str) -> Iterator[Region]:
    """At a distance `into` from a wall along x or y; across the marks along it: covering them, meeting them, ending or beginning between them."""
    along_x = abs(wall.along[1]) < 1e-6
    if not along_x and abs(wall.along[0]) > 1e-6:
        return
    line, inward = (wall.a[1], wall.inward[1]) if along_x else (wall.a[0], wall.inward[0])
    deep: tuple[Range, Range] = ((line + into[0], line + into[1]), ANY)
    if inward < 0:
        deep = (ANY, (line - into[1], line - into[0]))
    forward = (wall.along[0] if along_x else wall.along[1]) > 0
    begin = wall.a[0] if along_x else wall.a[1]
    low, high = sorted(begin + mark if forward else begin - mark for mark in marks)
    if not forward:
        across = {"before": "after", "after": "before"}.get(across, across)
    level: tuple[Range, Range] = {
        "covers": ((-FAR, low), (high, FAR)),
        "meets": ((-FAR, high), (low, FAR)),
        "before": (ANY, (low, high)),
        "after": ((low, high), ANY),
        "anywhere": (ANY, ANY),
    }[across]
    yield Region((*level, *deep) if along_x else (*deep, *level))


def _in_corner(before: Wall, wall: Wall) -> Iterator[Region]:
    """In the corner between two walls along x and y that meet at less than a straight angle."""
    convex = before.along[0] * wall.along[1] - before.along[1] * wall.along[0] > 0
    regions = [r for w in (before, wall) for r in _at_wall(w, (0, IN_CORNER), (0, w.length), "meets")]
    if convex and len(regions) == 2:
        yield Region(tuple(_common(a, b) for a, b in zip(*(r.ends for r in regions), strict=True)))  # type: ignore[arg-type]


def _common(a: Range, b: Range) -> Range:
    return max(a[0], b[0]), min(a[1], b[1])
