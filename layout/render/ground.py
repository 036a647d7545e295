"""The floor of a room seen in space: the slab's edge, boards or rows of tiles, and the shadows of what stands on it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from layout.export.mesh import FLOOR
from layout.geometry import Point, intersection
from layout.render.drawing import Drawing
from layout.render.solids import FACING, View, shade
from layout.schema import Room, Scene, SceneObject
from layout.shell import outer_ring

SLAB = 10.0  # cm
TILES = "#d9dcda"
_WET = ("kitchen", "bathroom")
_BOARD = 25.0  # cm
_REACH = 0.12  # length of a shadow over the height of what throws it
_LONGEST = 18.0  # cm
_FLAT = 5.0  # cm; rugs throw no shadow


def draw_ground(drawing: Drawing, scene: Scene, view: View) -> None:
    """Everything of the floor, to be painted before what stands on it."""
    room = scene.room
    fill = TILES if room.room_type in _WET else FLOOR
    _draw_slab(drawing, room, view, fill)
    for board in _boards(room):
        drawing.path((view.screen(x, y, 0.0) for x, y in board), fill=shade(fill, 0.965), stroke=None)
    for o in scene.objects:
        if o.on == "floor" and o.box.bottom < _FLAT < o.box.height:
            shadow = intersection(room.polygon, _shadow(o, view))
            if len(shadow) > 2:
                drawing.path((view.screen(x, y, 0.0) for x, y in shadow), fill=shade(fill, 0.86), stroke=None)


def _draw_slab(drawing: Drawing, room: Room, view: View, fill: str) -> None:
    """The edges turned to the viewer, the nearer later, then the top, which goes on under the walls."""
    ring = outer_ring(room)
    tx, ty = view.towards
    sides = []
    for i, a in enumerate(ring):
        b = ring[(i + 1) % len(ring)]
        length = math.dist(a, b) or 1.0
        normal = (b[1] - a[1]) / length, (a[0] - b[0]) / length
        if normal[0] * tx + normal[1] * ty > FACING:
            sides.append((view.nearness(a[0] + b[0], a[1] + b[1], 0.0), a, b, normal))
    for _, a, b, normal in sorted(sides):
        side = shade(fill, 0.85 * view.light(normal))
        drawing.path(view.upright(a, b, -SLAB, 0.0), fill=side, stroke=side, width=0.4)
    top = (view.screen(x, y, 0.0) for x, y in ring)
    drawing.path(top, fill=fill, stroke=fill, width=0.4, title="floor")


def _boards(room: Room) -> Iterator[list[Point]]:
    """Every second board, along the room's longer side."""
    width, depth = room.extent
    for n in range(0, math.ceil(min(width, depth) / _BOARD), 2):
        low, high = n * _BOARD, (n + 1) * _BOARD
        x0, y0, x1, y1 = (0.0, low, width, high) if width >= depth else (low, 0.0, high, depth)
        board = intersection(room.polygon, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        if len(board) > 2:
            yield board


def _shadow(o: SceneObject, view: View) -> list[Point]:
    """The hull of a footprint and the same away from the light, counter-clockwise."""
    reach = min(_LONGEST, _REACH * o.box.height)
    dx, dy = -view.sun[0] * reach, -view.sun[1] * reach
    return _hull([*o.box.corners, *((x + dx, y + dy) for x, y in o.box.corners)])


def _hull(points: list[Point]) -> list[Point]:
    """The convex hull, counter-clockwise (Andrew's monotone chain, 1979)."""

    def chain(ordered: list[Point]) -> list[Point]:
        found: list[Point] = []
        for p in ordered:
            while len(found) > 1:
                (ax, ay), (bx, by) = found[-2:]
                if (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax) > 0:
                    break
                found.pop()
            found.append(p)
        return found[:-1]

    ordered = sorted(set(points))
    return chain(ordered) + chain(ordered[::-1])
