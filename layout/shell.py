"""The walls of a room as solids: what stands around the openings, the panes in the windows, the floor in triangles. Centimetres, z up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from layout.geometry import EPS, Point, Wall, contains
from layout.schema import Door, Room, Window

THICKNESS = 12.0  # cm; a room's outline is the inner face, walls are outside of it
PANE = 2.0  # cm


@dataclass(frozen=True, slots=True)
class Piece:
    """An upright prism of a wall: a convex footprint, counter-clockwise, between two heights."""

    name: str
    kind: Literal["wall", "glass"]
    wall: int
    footprint: tuple[Point, ...]
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class Leaf:
    """A door's leaf, seen from above: where it turns, and where its edge is when it is shut and when it is open by a right angle."""

    pin: Point
    shut: Point
    open: Point

    @property
    def sweep(self) -> tuple[float, float]:
        """(start, turn) in degrees of the quarter circle from shut to open, counter-clockwise positive."""
        start, end = (
            math.degrees(math.atan2(p[1] - self.pin[1], p[0] - self.pin[0])) for p in (self.shut, self.open)
        )
        return start, (end - start + 180) % 360 - 180


def leaves(wall: Wall, door: Door) -> list[Leaf]:
    """The leaves of a door that swings; none of a passage or a sliding door."""
    if door.hinge == "none" or door.swing == "none":
        return []
    width = door.width / 2 if door.hinge == "both" else door.width
    side, face = (1.0, 0.0) if door.swing == "in" else (-1.0, -THICKNESS)
    return [
        Leaf(wall.at(mark, face), wall.at(mark + towards * width, face), wall.at(mark, face + side * width))
        for mark, towards, name in ((door.start, 1, "start"), (door.end, -1, "end"))
        if door.hinge in ("both", name)
    ]


def outer_ring(room: Room, distance: float = THICKNESS) -> list[Point]:
    """The room's outline pushed outwards, corner by corner. Very sharp corners are cut at four times the distance."""
    ring = []
    for before, after in zip([room.walls[-1], *room.walls[:-1]], room.walls, strict=True):
        nx, ny = before.inward[0] + after.inward[0], before.inward[1] + after.inward[1]
        # |n|²/2 = 1 + cos of the turn: the mitre is n scaled by 2/|n|².
        reach = min(2 / max(nx * nx + ny * ny, 1e-6), 4.0)
        ring.append((after.a[0] - distance * reach * nx, after.a[1] - distance * reach * ny))
    return ring


def wall_pieces(room: Room) -> Iterator[Piece]:
    """All walls, with their openings left out and a pane in every window."""
    outer = outer_ring(room)
    for wall in room.walls:
        corners = (outer[wall.index], outer[(wall.index + 1) % len(outer)])
        holes = sorted(
            (o for o in (*room.doors, *room.windows) if o.wall == wall.index), key=lambda o: o.start
        )
        name = f"wall_{wall.index}"

        def footprint(start: float, end: float, wall=wall, corners=corners) -> tuple[Point, ...]:
            """From the inner face outwards; the ends of a wall are mitred, those at an opening square."""
            far_a = corners[0] if start <= 0 else wall.at(start, -THICKNESS)
            far_b = corners[1] if end >= wall.length - EPS else wall.at(end, -THICKNESS)
            return far_a, far_b, wall.at(end), wall.at(start)

        at, part = 0.0, 0
        for hole in holes:
            if hole.start > at:
                yield Piece(f"{name}_{part}", "wall", wall.index, footprint(at, hole.start), 0.0, room.height)
                part += 1
            bottom, top = _height(hole)
            if bottom > 0:
                yield Piece(
                    f"{name}_{part}_below", "wall", wall.index, footprint(hole.start, hole.end), 0.0, bottom
                )
            if top < room.height:
                yield Piece(
                    f"{name}_{part}_above",
                    "wall",
                    wall.index,
                    footprint(hole.start, hole.end),
                    top,
                    room.height,
                )
            if isinstance(hole, Window):
                middle = -THICKNESS / 2
                pane = [wall.at(m, middle + off) for off, m in _pane_marks(hole.start, hole.end)]
                yield Piece(
                    f"window_{room.windows.index(hole)}", "glass", wall.index, tuple(pane), bottom, top
                )
            at = hole.end
        if at < wall.length - EPS:
            yield Piece(f"{name}_{part}", "wall", wall.index, footprint(at, wall.length), 0.0, room.height)


def _pane_marks(start: float, end: float) -> tuple[tuple[float, float], ...]:
    return (-PANE / 2, start), (-PANE / 2, end), (PANE / 2, end), (PANE / 2, start)


def _height(hole: object) -> tuple[float, float]:
    """Lower and upper edge of an opening."""
    if isinstance(hole, Window):
        return hole.sill, hole.head
    assert isinstance(hole, Door)
    return 0.0, hole.height


def triangles(polygon: tuple[Point, ...]) -> list[tuple[int, int, int]]:
    """A simple counter-clockwise polygon in triangles of its vertices, by cutting ears (Meisters 1975)."""
    left = list(range(len(polygon)))
    found = []
    while len(left) > 3:
        for k in range(len(left)):
            i, j, m = left[k - 1], left[k], left[(k + 1) % len(left)]
            if _is_ear(polygon, left, i, j, m):
                found.append((i, j, m))
                del left[k]
                break
        else:  # only corners without area are left
            break
    if len(left) == 3:
        found.append((left[0], left[1], left[2]))
    return found


def _is_ear(polygon: tuple[Point, ...], left: list[int], i: int, j: int, m: int) -> bool:
    a, b, c = polygon[i], polygon[j], polygon[m]
    if (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= EPS:
        return False
    return not any(contains((a, b, c), polygon[n]) for n in left if n not in (i, j, m))
