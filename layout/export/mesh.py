"""A scene as coloured triangle meshes, metres and z up: what GLB, OBJ, Habitat's stage and the viewer are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from layout import furniture
from layout.frames import Vector
from layout.geometry import Point, direction
from layout.palette import colour
from layout.schema import Room, Scene
from layout.shell import outer_ring, triangles, wall_pieces

WALL = "#ece7df"
FLOOR = "#cdb896"
GLASS = "#bcd9ea"
FLOOR_DEPTH = 0.1  # m of slab under the room
Face = tuple[int, int, int]


@dataclass(frozen=True)
class Mesh:
    """A node: vertices in its own frame (metres, z up), placed by `pos` (metres) and `yaw` (degrees)."""

    name: str
    vertices: list[Vector]
    faces: list[Face]
    colour: str
    alpha: float = 1.0
    pos: Vector = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    extras: dict[str, Any] = field(default_factory=dict)

    def placed(self) -> list[Vector]:
        """The vertices in the room, z up."""
        c, s = direction(self.yaw)
        px, py, pz = self.pos
        return [(px + x * c - y * s, py + x * s + y * c, pz + z) for x, y, z in self.vertices]


def prism(ring: Sequence[Point], bottom: float, top: float) -> tuple[list[Vector], list[Face]]:
    """A closed upright solid over a simple counter-clockwise polygon, faces outwards."""
    n = len(ring)
    vertices = [(x, y, bottom) for x, y in ring] + [(x, y, top) for x, y in ring]
    faces: list[Face] = []
    for i, j, k in triangles(tuple(ring)):
        faces += [(k, j, i), (i + n, j + n, k + n)]
    for i in range(n):
        j = (i + 1) % n
        faces += [(i, j, j + n), (i, j + n, i + n)]
    return vertices, faces


def furniture_mesh(category: str, size: Sequence[float]) -> tuple[list[Vector], list[Face]]:
    """The parametric model of a category, `size` = (width, depth, height) in the unit of the result; origin at the bottom's centre."""
    vertices: list[Vector] = []
    faces: list[Face] = []
    w, d, h = size
    for x0, x1, y0, y1, z0, z1 in furniture.parts(category):
        ring = [(x0 * w, y0 * d), (x1 * w, y0 * d), (x1 * w, y1 * d), (x0 * w, y1 * d)]
        more, around = prism(ring, z0 * h, z1 * h)
        first = len(vertices)
        vertices += more
        faces += [(a + first, b + first, c + first) for a, b, c in around]
    return vertices, faces


def room_meshes(room: Room) -> Iterator[Mesh]:
    """Floor slab, wall pieces around the openings, panes."""
    slab = prism([_metres(p) for p in outer_ring(room)], -FLOOR_DEPTH, 0.0)
    yield Mesh("floor", *slab, FLOOR, extras={"kind": "floor", "room_type": room.room_type})
    for piece in wall_pieces(room):
        solid = prism([_metres(p) for p in piece.footprint], piece.bottom / 100, piece.top / 100)
        if piece.kind == "glass":
            yield Mesh(piece.name, *solid, GLASS, 0.35, extras={"kind": "window", "wall": piece.wall})
        else:
            yield Mesh(piece.name, *solid, WALL, extras={"kind": "wall", "wall": piece.wall})


def object_meshes(scene: Scene) -> Iterator[Mesh]:
    """One node an object, named by its id."""
    for o in scene.objects:
        model = furniture_mesh(o.category, [v / 100 for v in o.size])
        extras = {"kind": "object", "category": o.category, "size_cm": list(o.size), "on": o.on}
        pos = (o.pos[0] / 100, o.pos[1] / 100, o.pos[2] / 100)
        yield Mesh(o.id, *model, colour(o.category), pos=pos, yaw=o.yaw, extras=extras)


def _metres(point: Point) -> Point:
    return point[0] / 100, point[1] / 100
