"""Plane geometry of upright boxes in a polygonal room: exact areas, gaps and overruns. Centimetres throughout.

A polygon is a sequence of (x, y) in counter-clockwise order. Furniture is an oriented rectangle, so everything but the room is convex, and
convex clipping is all it takes: the area of a union is exact because pieces are cut apart, not sampled. Plain floats, not arrays: at four
corners a polygon an array operation costs more than the arithmetic. This is the only module to change if a geometry library is to do it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]
Polygon = Sequence[Point]

EPS = 1e-9  # cm; what arithmetic may lose, not a tolerance of the domain


def direction(yaw: float) -> Point:
    """(cos, sin) of an angle in degrees; exact at quarter turns, so that 90° leaves integers integers."""
    quarter = yaw / 90.0
    if quarter == int(quarter):
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    angle = math.radians(yaw)
    return math.cos(angle), math.sin(angle)


def rectangle(x: float, y: float, width: float, depth: float, yaw: float = 0.0) -> list[Point]:
    """Corners, counter-clockwise from the local south-west, of a `width` x `depth` rectangle centred on (x, y) and turned by `yaw`."""
    c, s = direction(yaw)
    w, d = width / 2, depth / 2
    return [(x + a * c - b * s, y + a * s + b * c) for a, b in ((-w, -d), (w, -d), (w, d), (-w, d))]


def signed_area(polygon: Polygon) -> float:
    """Shoelace area in cm²: positive when counter-clockwise."""
    total, (px, py) = 0.0, polygon[-1] if polygon else (0.0, 0.0)
    for x, y in polygon:
        total += px * y - x * py
        px, py = x, y
    return total / 2


def clip(polygon: Polygon, a: Point, b: Point) -> list[Point]:
    """The part of `polygon` on the left of the line from `a` to `b` (Sutherland and Hodgman 1974, one edge)."""
    if not polygon:
        return []
    ax, ay = a
    ex, ey = b[0] - ax, b[1] - ay
    kept: list[Point] = []
    px, py = polygon[-1]
    before = ex * (py - ay) - ey * (px - ax)
    for x, y in polygon:
        here = ex * (y - ay) - ey * (x - ax)
        if (here >= 0) != (before >= 0):
            t = before / (before - here)
            kept.append((px + t * (x - px), py + t * (y - py)))
        if here >= 0:
            kept.append((x, y))
        px, py, before = x, y, here
    return kept


def intersection(subject: Polygon, convex: Polygon) -> list[Point]:
    """`subject` ∩ `convex`. A non-convex subject may come back with edges of zero width; its area and bounds are right."""
    part: list[Point] = list(subject)
    for i in range(len(convex)):
        part = clip(part, convex[i - 1], convex[i])
        if len(part) < 3:
            return []
    return part


def overlap_area(subject: Polygon, convex: Polygon) -> float:
    """Area of `subject` ∩ `convex` in cm²; only the second has to be convex."""
    return max(0.0, signed_area(intersection(subject, convex)))


def difference(convex: Polygon, hole: Polygon) -> list[list[Point]]:
    """`convex` minus the convex `hole`, as disjoint convex pieces."""
    pieces, rest = [], list(convex)
    for i in range(len(hole)):
        a, b = hole[i - 1], hole[i]
        outside = clip(rest, b, a)
        if len(outside) > 2 and signed_area(outside) > EPS:
            pieces.append(outside)
        rest = clip(rest, a, b)
        if len(rest) < 3:
            break
    return pieces


def free_pieces(zone: Polygon, covers: Iterable[Polygon]) -> list[list[Point]]:
    """The convex `zone` minus the union of convex `covers`, as disjoint convex pieces."""
    pieces = [list(zone)]
    for cover in covers:
        pieces = [part for piece in pieces for part in difference(piece, cover)]
    return pieces


def covered_area(zone: Polygon, covers: Iterable[Polygon]) -> float:
    """cm² of the convex `zone` under the union of convex `covers`."""
    return signed_area(zone) - sum(signed_area(piece) for piece in free_pieces(zone, covers))


def contains(polygon: Polygon, point: Point) -> bool:
    """Whether a point lies in a simple polygon; its boundary belongs to it."""
    x, y = point
    inside, (px, py) = False, polygon[-1]
    for qx, qy in polygon:
        cross = (qx - px) * (y - py) - (qy - py) * (x - px)
        if (
            abs(cross) <= EPS * (abs(qx - px) + abs(qy - py))
            and min(px, qx) - EPS <= x <= max(px, qx) + EPS
            and min(py, qy) - EPS <= y <= max(py, qy) + EPS
        ):
            return True
        if (py > y) != (qy > y) and x < px + (y - py) * (qx - px) / (qy - py):
            inside = not inside
        px, py = qx, qy
    return inside


def point_to_segment(point: Point, a: Point, b: Point) -> float:
    """Distance in cm."""
    ex, ey = b[0] - a[0], b[1] - a[1]
    length2 = ex * ex + ey * ey
    t = 0.0 if length2 == 0 else ((point[0] - a[0]) * ex + (point[1] - a[1]) * ey) / length2
    t = min(1.0, max(0.0, t))
    return math.hypot(point[0] - a[0] - t * ex, point[1] - a[1] - t * ey)


def point_to_boundary(point: Point, polygon: Polygon) -> float:
    """Distance in cm from a point to the outline of a polygon, inside or outside."""
    return min(point_to_segment(point, polygon[i - 1], polygon[i]) for i in range(len(polygon)))


def separated(a: Polygon, b: Polygon) -> bool:
    """Whether two convex polygons have no interior point in common (separating axis); touching counts as separated."""
    for one, other in ((a, b), (b, a)):
        for i in range(len(one)):
            (px, py), (qx, qy) = one[i - 1], one[i]
            ex, ey = qx - px, qy - py
            slack = EPS * (abs(ex) + abs(ey))
            if all(ex * (y - py) - ey * (x - px) <= slack for x, y in other):
                return True
    return False


def gap(a: Polygon, b: Polygon) -> float:
    """Shortest distance in cm between two convex polygons; 0 where they touch or overlap."""
    if not separated(a, b):
        return 0.0
    ab = min(point_to_segment(p, b[i - 1], b[i]) for p in a for i in range(len(b)))
    ba = min(point_to_segment(p, a[i - 1], a[i]) for p in b for i in range(len(a)))
    return min(ab, ba)


def _crossings(a: Point, b: Point, polygon: Polygon) -> list[float]:
    """Parameters in (0, 1) where the segment from `a` to `b` meets the outline."""
    ex, ey = b[0] - a[0], b[1] - a[1]
    found = []
    for i in range(len(polygon)):
        (px, py), (qx, qy) = polygon[i - 1], polygon[i]
        fx, fy = qx - px, qy - py
        bottom = ex * fy - ey * fx
        if bottom == 0:
            continue
        t = ((px - a[0]) * fy - (py - a[1]) * fx) / bottom
        u = ((px - a[0]) * ey - (py - a[1]) * ex) / bottom
        if 0 < t < 1 and 0 <= u <= 1:
            found.append(t)
    return found


def overrun(footprint: Polygon, room: Polygon) -> float:
    """How far a convex footprint sticks out of the room, in cm: 0 inside.

    Exact where the room is convex (a corner is then the farthest point). Where a footprint's edge runs across a cut-out between two
    inner corners, the middle of that stretch is measured.
    """
    farthest = 0.0
    for i in range(len(footprint)):
        a, b = footprint[i - 1], footprint[i]
        marks = [0.0, *sorted(_crossings(a, b, room)), 1.0]
        probes = [0.0] + [(s + t) / 2 for s, t in pairwise(marks)]
        for t in probes:
            point = (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]))
            if not contains(room, point):
                farthest = max(farthest, point_to_boundary(point, room))
    return farthest


def outside_area(footprint: Polygon, room: Polygon) -> float:
    """cm² of a convex footprint outside the room."""
    return max(0.0, signed_area(footprint) - overlap_area(room, footprint))


def self_crossing(polygon: Polygon) -> tuple[int, int] | None:
    """Indices of two edges (i from vertex i to i+1) that cross or touch though they are not neighbours; None for a simple polygon."""
    n = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % n]) for i in range(n)]
    for i in range(n):
        for j in range(i + 2, n):
            if (i, j) != (0, n - 1) and _segments_meet(*edges[i], *edges[j]):
                return i, j
    return None


def _segments_meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
        return True
    ends = ((c, a, b), (d, a, b), (a, c, d), (b, c, d))
    return any(point_to_segment(point, p, q) <= EPS for point, p, q in ends)


@dataclass(frozen=True, slots=True)
class Wall:
    """One edge of the room with the unit vectors along it and into the room."""

    index: int
    a: Point
    b: Point
    length: float
    along: Point
    inward: Point

    @property
    def yaw(self) -> float:
        """Yaw of an object that stands with its back to this wall."""
        return round(math.degrees(math.atan2(self.inward[0], -self.inward[1])), 9) % 360

    def at(self, along: float, into: float = 0.0) -> Point:
        """The point `along` cm from the wall's first corner and `into` cm into the room."""
        return (
            self.a[0] + along * self.along[0] + into * self.inward[0],
            self.a[1] + along * self.along[1] + into * self.inward[1],
        )

    def strip(self, start: float, end: float, depth: float) -> list[Point]:
        """The rectangle in front of the wall between two marks along it, counter-clockwise."""
        return [self.at(start), self.at(end), self.at(end, depth), self.at(start, depth)]

    def into(self, point: Point) -> float:
        """Signed distance of a point from the wall's line, positive on the room's side."""
        return (point[0] - self.a[0]) * self.inward[0] + (point[1] - self.a[1]) * self.inward[1]

    def mark(self, point: Point) -> float:
        """How far along the wall a point's foot lies, from the first corner."""
        return (point[0] - self.a[0]) * self.along[0] + (point[1] - self.a[1]) * self.along[1]


def walls(polygon: Polygon) -> list[Wall]:
    """The edges of a counter-clockwise room; wall i runs from vertex i to vertex i+1 with the room on its left."""
    found = []
    for i in range(len(polygon)):
        a, b = polygon[i], polygon[(i + 1) % len(polygon)]
        length = math.hypot(b[0] - a[0], b[1] - a[1])
        ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
        found.append(Wall(i, a, b, length, (ux, uy), (-uy, ux)))
    return found


@dataclass(frozen=True, slots=True)
class Box:
    """An upright oriented box, with what every check asks of it worked out once."""

    x: float
    y: float
    width: float  # along local x
    depth: float  # along local y
    bottom: float
    top: float
    yaw: float
    cos: float
    sin: float
    corners: list[Point]
    bounds: tuple[float, float, float, float]  # x min, y min, x max, y max

    @classmethod
    def of(cls, pos: Sequence[float], size: Sequence[float], yaw: float) -> Box:
        """From the centre of the bottom face (x, y, z), the size (width, depth, height), and the yaw in degrees."""
        corners = rectangle(pos[0], pos[1], size[0], size[1], yaw)
        xs, ys = [p[0] for p in corners], [p[1] for p in corners]
        c, s = direction(yaw)
        bounds = (min(xs), min(ys), max(xs), max(ys))
        return cls(pos[0], pos[1], size[0], size[1], pos[2], pos[2] + size[2], yaw, c, s, corners, bounds)

    @property
    def area(self) -> float:
        return self.width * self.depth

    @property
    def height(self) -> float:
        return self.top - self.bottom

    @property
    def centre(self) -> Point:
        return self.x, self.y

    @property
    def front(self) -> Point:
        """Unit vector the object faces: local −Y."""
        return self.sin, -self.cos

    def local(self, point: Point) -> Point:
        """A point of the room in the object's own frame."""
        dx, dy = point[0] - self.x, point[1] - self.y
        return dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin

    def world(self, point: Point) -> Point:
        """A point of the object's frame in the room."""
        return self.x + point[0] * self.cos - point[1] * self.sin, self.y + point[0] * self.sin + point[
            1
        ] * self.cos

    def zone(self, side: str, depth: float, start: float = 0.0, widen: float = 0.0) -> list[Point]:
        """The rectangle beside one face ("front", "back", "left", "right"), from `start` to `start + depth` cm off it.

        `widen` is added to each end. Front is −y, back +y, left −x and right +x of the object's own frame.
        """
        w, d = self.width / 2 + widen, self.depth / 2 + widen
        near_y, near_x = self.depth / 2 + start, self.width / 2 + start
        local = {
            "front": ((-w, -near_y - depth), (w, -near_y - depth), (w, -near_y), (-w, -near_y)),
            "back": ((-w, near_y), (w, near_y), (w, near_y + depth), (-w, near_y + depth)),
            "left": ((-near_x - depth, -d), (-near_x, -d), (-near_x, d), (-near_x - depth, d)),
            "right": ((near_x, -d), (near_x + depth, -d), (near_x + depth, d), (near_x, d)),
        }[side]
        return [self.world(p) for p in local]

    def near(self, other: Box, margin: float = 0.0) -> bool:
        """Whether the bounds of two boxes, grown by `margin`, overlap: the cheap test before the exact one."""
        a, b = self.bounds, other.bounds
        return a[0] < b[2] + margin and b[0] < a[2] + margin and a[1] < b[3] + margin and b[1] < a[3] + margin

    def overlap(self, other: Box) -> float:
        """cm² common to two footprints, whatever their heights."""
        return overlap_area(self.corners, other.corners) if self.near(other) else 0.0

    def height_overlap(self, other: Box) -> float:
        """cm of height two boxes share; not above 0 when one is over the other."""
        return min(self.top, other.top) - max(self.bottom, other.bottom)

    def gap(self, other: Box) -> float:
        """Horizontal distance in cm between two footprints."""
        return gap(self.corners, other.corners)


def turn(a: float, b: float) -> float:
    """Smallest angle between two directions in degrees, 0 to 180."""
    return abs((a - b + 180) % 360 - 180)
