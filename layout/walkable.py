"""Where a person can walk: the floor that is connected to a door, on a grid of cell centres.

A cell is free when its centre is at least `radius` from every wall and every obstacle; distances are exact, the connection between cells is
what the grid decides. Axes: Y rows from south to north, X columns from west to east.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from scipy import ndimage

from layout.geometry import Box, walls
from layout.schema import Room

CELL = 5.0  # cm
RADIUS = 25.0  # cm; half of the narrowest corridor that counts, 50 cm
REACH = 35.0  # cm between a person's outline and what they use
STEP_OVER = 5.0  # cm; lower things (rugs) are walked on
HEADROOM = 180.0  # cm; higher things are walked under


@dataclass(frozen=True)
class Walkable:
    """`free` and `reached` (Y, X) bool: free cells, and those of them that a door leads to."""

    free: np.ndarray
    reached: np.ndarray

    @property
    def free_area(self) -> float:
        """cm² of free cells."""
        return float(self.free.sum()) * CELL * CELL

    @property
    def connected_share(self) -> float | None:
        """Share of the free floor that a door leads to; None where there is no free floor."""
        free = int(self.free.sum())
        return int(self.reached.sum()) / free if free else None

    def serves(self, box: Box, sides: Sequence[str], radius: float = RADIUS) -> bool:
        """Whether someone on the reached floor can use the box from one of `sides` (all four when empty)."""
        margin = radius + REACH
        window = _window(box, margin, self.reached.shape)
        y, x = np.nonzero(self.reached[window])
        if not len(y):
            return False
        dx = (x + window[1].start + 0.5) * CELL - box.x
        dy = (y + window[0].start + 0.5) * CELL - box.y
        lx, ly = dx * box.cos + dy * box.sin, dy * box.cos - dx * box.sin
        w, d = box.width / 2, box.depth / 2
        beyond = {"front": -ly - d, "back": ly - d, "left": -lx - w, "right": lx - w}
        for side in sides or tuple(beyond):
            across, half = (lx, w) if side in ("front", "back") else (ly, d)
            if bool(
                ((beyond[side] > 0) & (beyond[side] <= margin) & (np.abs(across) <= half + radius)).any()
            ):
                return True
        return False

    def distance(self, box: Box) -> float | None:
        """cm from the nearest reached cell to a footprint; None where nothing is reached."""
        y, x = np.nonzero(self.reached)
        if not len(y):
            return None
        dx, dy = (x + 0.5) * CELL - box.x, (y + 0.5) * CELL - box.y
        lx = np.maximum(np.abs(dx * box.cos + dy * box.sin) - box.width / 2, 0)
        ly = np.maximum(np.abs(dy * box.cos - dx * box.sin) - box.depth / 2, 0)
        return float(np.hypot(lx, ly).min())


def walkable(room: Room, obstacles: Sequence[Box], radius: float = RADIUS) -> Walkable:
    """The walkable floor of a room around `obstacles`, whose heights have been looked at already (`blocks_way`)."""
    free = _clear_of_walls(room.polygon, radius).copy()
    for box in obstacles:
        window = _window(box, radius, free.shape)
        if window[0].start >= window[0].stop or window[1].start >= window[1].stop:
            continue
        x = (np.arange(window[1].start, window[1].stop) + 0.5) * CELL - box.x
        y = ((np.arange(window[0].start, window[0].stop) + 0.5) * CELL - box.y)[:, None]
        if box.sin == 0:
            lx, ly = np.abs(x) - box.width / 2, np.abs(y) - box.depth / 2
        elif box.cos == 0:  # at quarter turns one axis each: the square grid is an outer sum
            lx, ly = np.abs(y) - box.width / 2, np.abs(x) - box.depth / 2
        else:
            lx = np.abs(x * box.cos + y * box.sin) - box.width / 2
            ly = np.abs(y * box.cos - x * box.sin) - box.depth / 2
        lx, ly = np.maximum(lx, 0), np.maximum(ly, 0)
        free[window] &= lx * lx + ly * ly >= radius * radius - 1e-6
    labels = np.empty(free.shape, dtype=np.int32)
    count = cast(int, ndimage.label(free, output=labels))
    if count == 0 or not room.doors:
        return Walkable(free, np.zeros_like(free))
    doors = _door_zones(room, radius)
    entered = np.zeros(count + 1, dtype=bool)
    entered[labels[doors]] = True
    entered[0] = False
    return Walkable(free, entered[labels])


def blocks_way(box: Box) -> bool:
    """Whether a person has to walk around it."""
    return box.height > STEP_OVER and box.bottom < HEADROOM and box.top > STEP_OVER


def _window(box: Box, margin: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the cells within `margin` of the box's bounds."""
    x0, y0, x1, y1 = box.bounds
    rows = slice(max(0, int((y0 - margin) / CELL)), max(0, min(shape[0], int((y1 + margin) / CELL) + 1)))
    columns = slice(max(0, int((x0 - margin) / CELL)), max(0, min(shape[1], int((x1 + margin) / CELL) + 1)))
    return rows, columns


def _span(a: float, b: float, margin: float, count: int) -> slice:
    """Indices of the cells between two coordinates, `margin` wider on both sides."""
    low, high = min(a, b) - margin, max(a, b) + margin
    return slice(max(0, int(low / CELL)), max(0, min(count, int(high / CELL) + 1)))


@lru_cache(maxsize=256)
def _clear_of_walls(polygon: tuple[tuple[float, float], ...], radius: float) -> np.ndarray:
    """(Y, X) bool: cells inside the polygon and at least `radius` from its outline."""
    width, depth = max(p[0] for p in polygon), max(p[1] for p in polygon)
    x = (np.arange(int(np.ceil(width / CELL))) + 0.5) * CELL
    y = ((np.arange(int(np.ceil(depth / CELL))) + 0.5) * CELL)[:, None]
    inside = np.zeros((len(y), len(x)), dtype=bool)
    clear = np.ones_like(inside)
    for (px, py), (qx, qy) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        ex, ey = qx - px, qy - py
        # Only the rows an edge crosses change sides at it, only the cells around it can be too near.
        rows = _span(py, qy, 0, len(y))
        if ey != 0:
            inside[rows] ^= ((py > y[rows]) != (qy > y[rows])) & (x < px + (y[rows] - py) * ex / ey)
        rows, columns = _span(py, qy, radius, len(y)), _span(px, qx, radius, len(x))
        u, v = x[columns] - px, y[rows] - py
        t = np.clip((u * ex + v * ey) / (ex * ex + ey * ey), 0, 1)
        clear[rows, columns] &= (u - t * ex) ** 2 + (v - t * ey) ** 2 >= radius * radius - 1e-6
    clear &= inside
    clear.setflags(write=False)
    return clear


@lru_cache(maxsize=256)
def _cached_door_zones(
    polygon: tuple[tuple[float, float], ...], marks: tuple[tuple[int, float, float], ...], depth: float
) -> np.ndarray:
    shape = _clear_of_walls(polygon, RADIUS).shape
    x = (np.arange(shape[1]) + 0.5) * CELL
    y = ((np.arange(shape[0]) + 0.5) * CELL)[:, None]
    zone = np.zeros(shape, dtype=bool)
    edges = walls(polygon)
    for index, start, end in marks:
        wall = edges[index]
        into = (x - wall.a[0]) * wall.inward[0] + (y - wall.a[1]) * wall.inward[1]
        mark = (x - wall.a[0]) * wall.along[0] + (y - wall.a[1]) * wall.along[1]
        zone |= (into >= 0) & (into <= depth) & (mark >= start) & (mark <= end)
    return zone


def _door_zones(room: Room, radius: float) -> np.ndarray:
    """(Y, X) bool: the cells a person stands on who has just come in."""
    marks = tuple((d.wall, d.start, d.end) for d in room.doors)
    return _cached_door_zones(room.polygon, marks, radius + 2 * CELL)
