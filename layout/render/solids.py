"""Upright convex prisms seen from above, and the order in which to paint them so that nearer ones cover farther ones.

Two convex solids that do not meet have a plane between them, and the one on the viewer's side of it is painted later (Newell, Newell and
Sancha 1972). For upright prisms that plane is level or contains a side of one of them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from layout.geometry import Point, direction
from layout.palette import rgb

FACING = 1e-6  # cosine from which a side counts as turned to the viewer; below, it is seen edge-on


@dataclass(frozen=True, slots=True)
class View:
    """A parallel projection. The viewer looks from `azimuth` (as yaws: 0 is south, 90 east) and `elevation`, both in degrees."""

    azimuth: float
    elevation: float = 35.0

    @property
    def right(self) -> Point:
        return direction(self.azimuth)

    @property
    def towards(self) -> Point:
        """Level unit vector to the viewer."""
        x, y = self.right
        return y, -x

    def screen(self, x: float, y: float, z: float) -> Point:
        """Where a point (cm) is on the paper (cm), x to the right and y upwards."""
        (rx, ry), (tx, ty) = self.right, self.towards
        tilt = math.radians(self.elevation)
        return rx * x + ry * y, z * math.cos(tilt) - (tx * x + ty * y) * math.sin(tilt)

    def upright(self, a: Point, b: Point, bottom: float, top: float) -> list[Point]:
        """On the paper, the rectangle over the line from `a` to `b`."""
        return [self.screen(*a, bottom), self.screen(*b, bottom), self.screen(*b, top), self.screen(*a, top)]

    @property
    def sun(self) -> Point:
        """Level unit vector to the light, which comes from the viewer's left and turns with the viewer."""
        (rx, ry), (tx, ty) = self.right, self.towards
        return (tx - rx) / math.sqrt(2), (ty - ry) / math.sqrt(2)

    def light(self, normal: Point) -> float:
        """How bright a side with that normal is; a top is 1."""
        return 0.84 + 0.11 * (self.sun[0] * normal[0] + self.sun[1] * normal[1])

    def nearness(self, x: float, y: float, z: float) -> float:
        """How far a point is towards the viewer, in cm."""
        tilt = math.radians(self.elevation)
        return (self.towards[0] * x + self.towards[1] * y) * math.cos(tilt) + z * math.sin(tilt)


@dataclass(frozen=True, slots=True)
class Solid:
    """A prism over a convex counter-clockwise footprint, from `bottom` to `top` (cm). `edge` is the colour of its lines, None for none."""

    footprint: tuple[Point, ...]
    bottom: float
    top: float
    colour: str
    edge: str | None = None
    title: str = ""
    smooth: bool = False  # the sides stand for a curve: no lines between them

    def normals(self) -> list[Point]:
        """The outward unit normal of every side; side i goes from corner i to the next. (0, 0) for a side without length."""
        found = []
        for i, (px, py) in enumerate(self.footprint):
            qx, qy = self.footprint[(i + 1) % len(self.footprint)]
            length = math.hypot(qx - px, qy - py)
            found.append(((qy - py) / length, (px - qx) / length) if length else (0.0, 0.0))
        return found


def paint_order(solids: Sequence[Solid], view: View) -> list[Solid]:
    """All solids, those in front later. Where they hide each other in a ring, the farthest centre of the rest goes first."""
    placed = [_Placed(s, view) for s in solids]
    later: list[list[int]] = [[] for _ in placed]
    waits = [0] * len(placed)
    for j, b in enumerate(placed):
        for i in range(j):
            before = _behind(placed[i], b)
            if before:
                first, second = (i, j) if before > 0 else (j, i)
                later[first].append(second)
                waits[second] += 1
    left = sorted(range(len(placed)), key=lambda i: placed[i].near)
    ready = [(placed[i].near, i) for i in left if not waits[i]]
    heapq.heapify(ready)
    order: list[int] = []
    done: set[int] = set()
    while len(order) < len(placed):
        if ready:
            _, i = heapq.heappop(ready)
            if i in done:
                continue
        else:
            i = next(i for i in left if i not in done)
        order.append(i)
        done.add(i)
        for j in later[i]:
            waits[j] -= 1
            if not waits[j] and j not in done:
                heapq.heappush(ready, (placed[j].near, j))
    return [solids[i] for i in order]


class _Placed:
    """A solid with what its pairs ask of it worked out once."""

    def __init__(self, solid: Solid, view: View) -> None:
        self.solid, self.view = solid, view
        ring = solid.footprint
        self.outline = [view.screen(x, y, z) for z in (solid.bottom, solid.top) for x, y in ring]
        xs, ys = zip(*self.outline, strict=True)
        self.bounds = min(xs), min(ys), max(xs), max(ys)
        cx, cy = sum(x for x, _ in ring) / len(ring), sum(y for _, y in ring) / len(ring)
        self.near = view.nearness(cx, cy, (solid.bottom + solid.top) / 2)
        self.sides = list(zip(solid.normals(), ring, strict=True))
        # The edges of a prism's picture are pictures of its level edges and upright lines.
        self.axes: list[Point] = []
        for (nx, ny), _ in self.sides:
            ex, ey = view.screen(-ny, nx, 0.0)
            if ex or ey:
                self.axes.append((-ey, ex))


def _behind(a: _Placed, b: _Placed) -> int:
    """1 when `a` has to be painted before `b`, -1 when after, 0 when it does not matter. Of planes that both cross, the least crossed counts."""
    if not _meet_on_paper(a, b):
        return 0
    gaps = [(b.solid.bottom - a.solid.top, 1), (a.solid.bottom - b.solid.top, -1)]
    tx, ty = a.view.towards
    for one, other, sign in ((a, b, 1), (b, a, -1)):
        for (nx, ny), (px, py) in one.sides:
            if not nx and not ny:
                continue
            gap = min(nx * (x - px) + ny * (y - py) for x, y in other.solid.footprint)
            turned = nx * tx + ny * ty
            if abs(turned) > FACING:
                gaps.append((gap, sign if turned > 0 else -sign))
    return max(gaps, key=lambda g: g[0])[1]


def _meet_on_paper(a: _Placed, b: _Placed, slack: float = 1e-6) -> bool:
    """Whether two pictures have more than a line in common (separating axis)."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.bounds, b.bounds
    if ax1 <= bx0 + slack or bx1 <= ax0 + slack or ay1 <= by0 + slack or by1 <= ay0 + slack:
        return False
    for ux, uy in (*a.axes, *b.axes):
        one = [ux * x + uy * y for x, y in a.outline]
        two = [ux * x + uy * y for x, y in b.outline]
        if max(one) <= min(two) + slack or max(two) <= min(one) + slack:
            return False
    return True


def shade(code: str, factor: float) -> str:
    """#rrggbb made darker (below 1) or brighter."""
    return "#" + "".join(f"{min(255, round(v * factor)):02x}" for v in rgb(code))
