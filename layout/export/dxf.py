"""A floor plan as DXF of release 12, the oldest that every CAD program reads: centimetres, x east, y north, one layer a kind.

Layers: WALLS (inner and outer face), DOORS (jambs, leaf and its quarter circle), WINDOWS, FURNITURE (outline and a mark at the front),
OVERHEAD (what hangs above head height, on the wall or ceiling), LABELS. Elevations are not written: it is a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from layout.assets import Retriever, box
from layout.geometry import Point, Wall
from layout.schema import Door, Scene, SceneObject
from layout.shell import THICKNESS, leaves, outer_ring

LAYERS = {
    "WALLS": 7,
    "DOORS": 3,
    "WINDOWS": 5,
    "FURNITURE": 8,
    "OVERHEAD": 9,
    "LABELS": 2,
}  # AutoCAD's colour numbers
HEAD = 200.0  # cm; what begins above it is overhead
TEXT_HEIGHT = 8.0  # cm
Pair = tuple[int, object]


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The plan at `path`. `assets` is not asked: a plan shows outlines."""
    path.write_text(dxf(scene), encoding="ascii")
    return [path]


def dxf(scene: Scene) -> str:
    """The contents of the file: group codes and values, a line each."""
    room = scene.room
    width, depth = room.extent
    pairs: list[Pair] = [
        *((0, "SECTION"), (2, "HEADER"), (9, "$ACADVER"), (1, "AC1009")),
        *(
            (9, "$EXTMIN"),
            (10, -THICKNESS),
            (20, -THICKNESS),
            (9, "$EXTMAX"),
            (10, width + THICKNESS),
            (20, depth + THICKNESS),
        ),
        *((0, "ENDSEC"), (0, "SECTION"), (2, "TABLES"), (0, "TABLE"), (2, "LAYER"), (70, len(LAYERS))),
    ]
    for name, number in LAYERS.items():
        pairs += [(0, "LAYER"), (2, name), (70, 0), (62, number), (6, "CONTINUOUS")]
    pairs += [(0, "ENDTAB"), (0, "ENDSEC"), (0, "SECTION"), (2, "ENTITIES")]
    pairs += _polyline("WALLS", room.polygon)
    pairs += _polyline("WALLS", outer_ring(room))
    for door in room.doors:
        pairs += _door(room.walls[door.wall], door)
    for window in room.windows:
        wall = room.walls[window.wall]
        pairs += _polyline("WINDOWS", _hole(wall, window.start, window.end))
        middle = -THICKNESS / 2
        pairs += _line("WINDOWS", wall.at(window.start, middle), wall.at(window.end, middle))
    for o in scene.objects:
        pairs += _object(o)
    pairs += [(0, "ENDSEC"), (0, "EOF")]
    return "".join(f"{code}\n{_value(value)}\n" for code, value in pairs)


def _value(value: object) -> str:
    return f"{round(value, 4) + 0.0:.10g}" if isinstance(value, float) else str(value)


def _hole(wall: Wall, start: float, end: float) -> list[Point]:
    return [wall.at(start, -THICKNESS), wall.at(end, -THICKNESS), wall.at(end), wall.at(start)]


def _door(wall: Wall, door: Door) -> Iterator[Pair]:
    yield from _polyline("DOORS", _hole(wall, door.start, door.end))
    for leaf in leaves(wall, door):
        yield from _line("DOORS", leaf.pin, leaf.open)
        start, turn = leaf.sweep
        first, last = sorted((start, start + turn))  # an arc runs counter-clockwise
        yield from (
            (0, "ARC"),
            (8, "DOORS"),
            *_point(leaf.pin),
            (40, float(door.width if door.hinge != "both" else door.width / 2)),
        )
        yield from ((50, float(first % 360)), (51, float(last % 360)))


def _object(o: SceneObject) -> Iterator[Pair]:
    layer = "OVERHEAD" if o.on in ("wall", "ceiling") or o.box.bottom >= HEAD else "FURNITURE"
    yield from _polyline(layer, o.box.corners)
    front = -o.size[1] / 2
    mark = min(o.size[0], o.size[1]) / 6
    yield from _polyline(
        layer, [o.box.world(p) for p in ((-mark, front), (mark, front), (0.0, front + mark))]
    )
    yield from (
        (0, "TEXT"),
        (8, "LABELS"),
        *_point(o.box.centre),
        (40, TEXT_HEIGHT),
        (1, o.id),
        (72, 1),
        *_point(o.box.centre, 1),
    )


def _polyline(layer: str, ring: Sequence[Point]) -> Iterator[Pair]:
    """A closed outline."""
    yield from ((0, "POLYLINE"), (8, layer), (66, 1), *_point((0.0, 0.0)), (70, 1))
    for point in ring:
        yield from ((0, "VERTEX"), (8, layer), *_point(point))
    yield from ((0, "SEQEND"), (8, layer))


def _line(layer: str, a: Point, b: Point) -> Iterator[Pair]:
    yield from ((0, "LINE"), (8, layer), *_point(a), *_point(b, 1))


def _point(point: Point, which: int = 0) -> tuple[Pair, Pair, Pair]:
    return (10 + which, float(point[0])), (20 + which, float(point[1])), (30 + which, 0.0)
