"""A robot's way through a furnished room: A* on the grid of free floor, pulled straight where the line of sight is free.

The floor is that of `layout.walkable` with the robot's radius. Unlike a person, a robot pushes nothing aside: chairs are obstacles too.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from layout.geometry import Box, Point, contains, point_to_boundary
from layout.schema import Scene
from layout.walkable import CELL, blocks_way, walkable

ROBOT_RADIUS = 18.0  # cm; a household robot
REACH = 20.0  # cm between the robot's outline and what it drives up to
_STEPS = [(dy, dx, math.hypot(dy, dx)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
Place = str | Point


@dataclass(frozen=True)
class Way:
    """The answer: `points` in cm from start to goal and their `length`; both None where there is no way, with the `reason`."""

    points: tuple[Point, ...] | None
    length: float | None  # cm
    reason: str = ""


def navigate(scene: Scene, start: Place, goal: Place, radius: float = ROBOT_RADIUS) -> Way:
    """The shortest way of a disc of `radius` cm from `start` to `goal`.

    A place is a point in cm, an object's id or category (the first one), or "door" and "door_1" for doors in their order. Of an object,
    where it can be driven up to counts. Raises ValueError for a place the scene does not have.
    """
    if radius <= 0:
        raise ValueError(f"radius {radius:g}: a robot is larger than 0 cm")
    obstacles = [o.box for o in scene.objects if o.on == "floor" and blocks_way(o.box)]
    # A straight step between the centres of two free cells passes a corner nearer than either: hence the wider disc on the grid.
    free = walkable(scene.room, obstacles, math.hypot(radius, CELL / math.sqrt(2))).free
    targets = [_cells(scene, place, free, radius) for place in (start, goal)]
    for place, cells in zip((start, goal), targets, strict=True):
        if not cells.any():
            return Way(None, None, f"a robot of radius {radius:g} cm cannot stand at {_said(place)}")
    found = _a_star(free, targets[0], targets[1])
    if found is None:
        return Way(
            None, None, f"no way of {2 * radius:g} cm width leads from {_said(start)} to {_said(goal)}"
        )
    points = _pulled(
        [((x + 0.5) * CELL, (y + 0.5) * CELL) for y, x in found], _sight(scene, obstacles, radius)
    )
    return Way(tuple(points), sum(math.dist(p, q) for p, q in pairwise(points)))


def _said(place: Place) -> str:
    return place if isinstance(place, str) else f"({place[0]:g}, {place[1]:g})"


def _cells(scene: Scene, place: Place, free: np.ndarray, radius: float) -> np.ndarray:
    """(Y, X) bool: the free cells that count as being at a place."""
    x = (np.arange(free.shape[1]) + 0.5) * CELL
    y = ((np.arange(free.shape[0]) + 0.5) * CELL)[:, None]
    if not isinstance(place, str):
        if not contains(scene.room.polygon, place):
            raise ValueError(f"the point {_said(place)} is not in the room, which is {_extent(scene)} cm")
        away = np.hypot(x - place[0], y - place[1])
        return free & (away <= CELL)
    if place.split("_")[0] == "door":
        return free & _before_door(scene, place, x, y, radius)
    box = _find(scene, place)
    dx, dy = x - box.x, y - box.y
    lx = np.maximum(np.abs(dx * box.cos + dy * box.sin) - box.width / 2, 0)
    ly = np.maximum(np.abs(dy * box.cos - dx * box.sin) - box.depth / 2, 0)
    return free & (np.hypot(lx, ly) <= radius + REACH)


def _extent(scene: Scene) -> str:
    return " x ".join(f"{v:g}" for v in scene.room.extent)


def _before_door(scene: Scene, place: str, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    number = place.removeprefix("door").removeprefix("_") or "0"
    if not number.isdigit() or int(number) >= len(scene.room.doors):
        raise ValueError(f"{place!r}: the room has {len(scene.room.doors)} door(s), counted from door_0")
    door = scene.room.doors[int(number)]
    wall = scene.room.walls[door.wall]
    into = (x - wall.a[0]) * wall.inward[0] + (y - wall.a[1]) * wall.inward[1]
    mark = (x - wall.a[0]) * wall.along[0] + (y - wall.a[1]) * wall.along[1]
    return (into >= 0) & (into <= radius + 2 * CELL) & (mark >= door.start) & (mark <= door.end)


def _find(scene: Scene, place: str) -> Box:
    """The box of an object by id or category; of a small thing the carrier's, because that is what one drives up to."""
    found = scene.by_id.get(place) or next(iter(scene.of(place)), None)
    if found is None:
        known = ", ".join([*scene.by_id, *(f"door_{i}" for i in range(len(scene.room.doors)))])
        raise ValueError(f"there is no {place!r} in the room; there are: {known}")
    while found.on in scene.by_id:
        found = scene.by_id[found.on]
    return found.box


def _a_star(free: np.ndarray, starts: np.ndarray, goals: np.ndarray) -> list[tuple[int, int]] | None:
    """The cells (y, x) of a shortest eight-connected way between two sets; None where none leads there. Corners are not cut."""
    goal_cells = np.argwhere(goals)
    middle = goal_cells.mean(axis=0)
    spread = float(np.hypot(*(goal_cells - middle).T).max())

    def ahead(y: int, x: int) -> float:
        """Never more than the distance to the nearest goal."""
        return max(0.0, math.hypot(y - middle[0], x - middle[1]) - spread)

    cost = {(int(y), int(x)): 0.0 for y, x in np.argwhere(starts)}
    before: dict[tuple[int, int], tuple[int, int]] = {}
    heap = [(ahead(*cell), cell) for cell in cost]
    heapq.heapify(heap)
    done: set[tuple[int, int]] = set()
    while heap:
        _, cell = heapq.heappop(heap)
        if cell in done:
            continue
        if goals[cell]:
            return _traced(before, cell)
        done.add(cell)
        y, x = cell
        for dy, dx, step in _STEPS:
            v, u = y + dy, x + dx
            if not (0 <= v < free.shape[0] and 0 <= u < free.shape[1]) or not (
                free[v, u] and free[y, u] and free[v, x]
            ):
                continue
            longer = cost[cell] + step
            if longer < cost.get((v, u), math.inf) - 1e-9:
                cost[v, u], before[v, u] = longer, cell
                heapq.heappush(heap, (longer + ahead(v, u), (v, u)))
    return None


def _traced(before: dict[tuple[int, int], tuple[int, int]], cell: tuple[int, int]) -> list[tuple[int, int]]:
    way = [cell]
    while cell in before:
        cell = before[cell]
        way.append(cell)
    return way[::-1]


def _sight(scene: Scene, obstacles: Sequence[Box], radius: float) -> Callable[[Point, Point], bool]:
    """Whether the disc can go straight from one point to another, probed every 2 cm."""
    spacing = 2.0

    def clear(p: Point) -> bool:
        if not contains(scene.room.polygon, p) or point_to_boundary(p, scene.room.polygon) < radius - 1e-6:
            return False
        for box in obstacles:
            a, b = box.local(p)
            if math.hypot(max(abs(a) - box.width / 2, 0), max(abs(b) - box.depth / 2, 0)) < radius - 1e-6:
                return False
        return True

    def free(p: Point, q: Point) -> bool:
        n = max(1, math.ceil(math.dist(p, q) / spacing))
        return all(clear((p[0] + (q[0] - p[0]) * i / n, p[1] + (q[1] - p[1]) * i / n)) for i in range(n + 1))

    return free


def _pulled(points: list[Point], free: Callable[[Point, Point], bool]) -> list[Point]:
    """The corners that are left when every one that can be seen past is dropped (binary search for the farthest that is seen)."""
    kept, i = [points[0]], 0
    while i < len(points) - 1:
        near, far = i + 1, len(points) - 1
        while near < far:
            middle = (near + far + 1) // 2
            if free(points[i], points[middle]):
                near = middle
            else:
                far = middle - 1
        kept.append(points[near])
        i = near
    return kept
