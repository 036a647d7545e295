"""What readers of other formats share: rooms moved to our corner, openings found on their walls, and what an object stands on."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import count

from layout import geometry
from layout.catalogue import named
from layout.geometry import Point, Wall
from layout.placement import wall_gap
from layout.schema import PLACES, Room, SceneObject

ON_WALL = 5.0  # cm an opening's ends may be off the wall they belong to
CONTACT = 3.0  # cm between an object and what it is taken to rest on or hang from


def category_name(text: str) -> str:
    """Our category for a foreign one ("TVStand", "Arm chair"); what the catalogue does not know keeps its name in our spelling."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " ")
    known = named(spaced)
    return known or re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "object"


def ring_and_corner(points: Sequence[Point]) -> tuple[tuple[Point, ...], Point]:
    """Vertices in cm as a counter-clockwise outline with its south-west corner at (0, 0), and where that corner was."""
    corner = min(p[0] for p in points), min(p[1] for p in points)
    ring = [(round(x - corner[0], 4), round(y - corner[1], 4)) for x, y in points]
    if len(ring) > 1 and ring[0] == ring[-1]:
        ring.pop()
    return tuple(ring if geometry.signed_area(ring) > 0 else reversed(ring)), corner


def on_wall(walls: Sequence[Wall], a: Point, b: Point) -> tuple[int, float, float] | None:
    """(wall, start, end) of the segment between two points in the room's frame; None where it lies on no wall."""
    for wall in walls:
        marks = sorted((wall.mark(a), wall.mark(b)))
        near = max(abs(wall.into(a)), abs(wall.into(b))) <= ON_WALL
        if near and marks[0] >= -ON_WALL and marks[1] <= wall.length + ON_WALL:
            return wall.index, round(max(0.0, marks[0]), 4), round(min(wall.length, marks[1]), 4)
    return None


def new_id(foreign: object, category: str, taken: Container[str]) -> str:
    """The foreign id where it is one of ours and not taken, else the next of the category: sofa_1, sofa_2, …"""
    if isinstance(foreign, str) and re.fullmatch(r"[a-z][a-z0-9_]*", foreign) and foreign not in taken:
        return foreign
    return next(name for k in count(1) if (name := f"{category}_{k}") not in taken)


def with_support(room: Room, objects: Sequence[SceneObject]) -> tuple[SceneObject, ...]:
    """The objects with `on` worked out from where they are: the floor, another's top, the wall behind or the ceiling above them.

    What touches nothing stays on "floor", where the validator finds it floating.
    """
    return tuple(o if o.on != "floor" else o.moved(on=_support(room, o, objects)) for o in objects)


def _support(room: Room, o: SceneObject, objects: Sequence[SceneObject]) -> str:
    if abs(o.box.bottom) <= CONTACT:
        return PLACES[0]
    below = [
        (o.box.overlap(p.box), p.id)
        for p in objects
        if p is not o and abs(p.box.top - o.box.bottom) <= CONTACT and p.box.bottom < o.box.bottom - CONTACT
    ]
    if below and max(below)[0] > 0:
        return max(below)[1]
    if abs(room.height - o.box.top) <= CONTACT:
        return PLACES[2]
    return PLACES[1] if wall_gap(o.box, room.walls) <= CONTACT else PLACES[0]
