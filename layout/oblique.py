"""Where a piece may be at a yaw that is no quarter turn: every whole centimetre tried, by separating axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from layout.catalogue import Category
from layout.checks import BOUNDS_TOLERANCE, HANGING
from layout.free_space import Taken, furniture, in_the_way, reduced
from layout.geometry import Point, Polygon, Wall, direction, turn, walls
from layout.schema import PLACES, Room, SceneObject

TOUCH = 0.3  # cm that furniture may reach into each other where lengths are no whole numbers
WALL_SLACK = BOUNDS_TOLERANCE / 2  # of corners past a wall's line


def positions(
    room: Room,
    objects: Sequence[SceneObject],
    entry: Category,
    on: str,
    yaw: int,
    size: Sequence[float],
    *,
    step: int = 1,
) -> np.ndarray:
    """(X, Y) bool: where the centre of a piece of this `size` may be, at every `step` cm of the room's width and depth.

    On the floor or on an object's top within its outline and clear of the rest; on the wall with its back at one of this yaw.
    """
    width, depth = room.extent
    centre_X, centre_Y = (np.arange(0.0, math.floor(side) + 1.0, step) for side in (width, depth))
    carrier = next((o for o in objects if o.id == on), None)
    outline = room.polygon if carrier is None else carrier.box.corners
    bottom = carrier.box.top if carrier else entry.bottom[0] if on == "wall" else 0.0
    top = bottom + size[2] + (entry.bottom[1] - entry.bottom[0] if on == "wall" else 0.0)
    free_XY = _contains(outline, centre_X, centre_Y)
    foot = _Foot(size, yaw)
    for wall in walls(outline):
        if free_XY.any():
            free_XY &= foot.clear_of([wall.a, wall.b], centre_X, centre_Y, WALL_SLACK)
    for corners in _obstacles(room, objects, entry, on, bottom, top):
        if free_XY.any():
            free_XY &= foot.clear_of(corners, centre_X, centre_Y, TOUCH)
    if on == "wall":
        backs = [w for w in room.walls if turn(yaw, w.yaw) < 1]
        free_XY &= np.logical_or.reduce([_at_wall(w, size, centre_X, centre_Y) for w in backs])
    return free_XY


def _obstacles(
    room: Room, objects: Sequence[SceneObject], entry: Category, on: str, bottom: float, top: float
) -> Iterable[Polygon]:
    """Outlines of what is in the way at this height: furniture as it stands, doorways and windows by the rectangles around them."""
    for o in objects:
        (taken,) = furniture([o])
        if o.id == on or not taken.meets(bottom, top):
            continue
        yield _rectangle(reduced(taken, entry)) if reduced(taken, entry) != taken else o.box.corners
    if on in PLACES:
        openings = [t for t in in_the_way(room, (), entry) if t.kind == "opening"]
        yield from (_rectangle(t) for t in openings if t.meets(bottom, top))


def _rectangle(t: Taken) -> list[Point]:
    return [(t.x0, t.y0), (t.x1, t.y0), (t.x1, t.y1), (t.x0, t.y1)]


class _Foot:
    """A footprint that is moved about without being turned."""

    def __init__(self, size: Sequence[float], yaw: float) -> None:
        self.half = size[0] / 2, size[1] / 2
        c, s = direction(yaw)
        self.axes = ((c, s), (-s, c))

    def clear_of(
        self, corners: Polygon, centre_X: np.ndarray, centre_Y: np.ndarray, slack: float
    ) -> np.ndarray:
        """(X, Y) bool: whether it reaches at most `slack` cm into a convex polygon or across a segment."""
        sides = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]
        normals = {(-y / math.hypot(x, y), x / math.hypot(x, y)) for x, y in sides}
        clear_XY = np.zeros((len(centre_X), len(centre_Y)), dtype=bool)
        for nx, ny in {*normals, *self.axes}:
            reach = sum(h * abs(nx * ax + ny * ay) for h, (ax, ay) in zip(self.half, self.axes, strict=True))
            marks = [nx * x + ny * y for x, y in corners]
            along_XY = np.add.outer(nx * centre_X, ny * centre_Y)
            clear_XY |= (along_XY <= min(marks) + slack - reach) | (along_XY >= max(marks) - slack + reach)
        return clear_XY


def _at_wall(wall: Wall, size: Sequence[float], centre_X: np.ndarray, centre_Y: np.ndarray) -> np.ndarray:
    """(X, Y) bool: whether the back of what hangs is at the wall."""
    into_XY = (centre_X[:, None] - wall.a[0]) * wall.inward[0] + (
        centre_Y[None, :] - wall.a[1]
    ) * wall.inward[1]
    return np.abs(into_XY - size[1] / 2) < HANGING - WALL_SLACK


def _contains(polygon: Polygon, centre_X: np.ndarray, centre_Y: np.ndarray) -> np.ndarray:
    """(X, Y) bool: which points lie in a simple polygon, by the parity of the edges to their east."""
    inside_XY = np.zeros((len(centre_X), len(centre_Y)), dtype=bool)
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if ay == by:
            continue
        crossed_Y = (ay > centre_Y) != (by > centre_Y)
        edge_Y = ax + (centre_Y - ay) * (bx - ax) / (by - ay)
        inside_XY ^= crossed_Y[None, :] & (centre_X[:, None] < edge_Y[None, :])
    return inside_XY
