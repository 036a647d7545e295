"""A furnished room in space, seen from above one of its corners, as a drawing: no browser.

from layout.render import isometric, png
pixels = png(isometric(scene), scale=2)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from layout import furniture
from layout.catalogue import base
from layout.export.mesh import GLASS, WALL
from layout.geometry import Wall, intersection, point_to_segment, signed_area
from layout.palette import colour
from layout.render.drawing import Drawing, ellipse
from layout.render.ground import draw_ground
from layout.render.solids import FACING, Solid, View, paint_order, shade
from layout.render.symbols import ROUND
from layout.report import Report
from layout.schema import Room, Scene, SceneObject
from layout.shell import THICKNESS, wall_pieces

LOW = 8.0  # cm; what is left of a wall that would hide the room
DOOR = "#dcc7a6"
FRAME = "#f6f3ee"
CUT = "#9c9489"  # tops of walls
WOOD = "#b08d66"
METAL = "#8d8a86"
# Parts in another colour than the rest of their category, by their place in `furniture.parts`.
_ACCENTS: dict[str, dict[int, str]] = {
    "plant": {0: "#c48f6c", 3: WOOD},
    **dict.fromkeys(("double_bed", "single_bed"), dict.fromkeys((1, 2, 3, 4, 5), WOOD)),
    **dict.fromkeys(("floor_lamp", "table_lamp"), dict.fromkeys((0, 1), METAL)),
}
FAULT = "#e08a84"
FAULT_EDGE = "#c62828"
_LEAF = 4.0  # cm
_AZIMUTHS = (35.0, 55.0, 125.0, 145.0, 215.0, 235.0, 305.0, 325.0)
_HIDDEN = 0.04  # share of the floor that a wall may hide
_CURVE = 20  # sides of a round thing


def isometric(
    scene: Scene, report: Report | None = None, *, azimuth: float | None = None, elevation: float = 35.0
) -> Drawing:
    """The picture of a scene; `report` paints the objects of its faults red.

    `azimuth` is the side from which one looks, in degrees as yaws are: 0 is south, 90 east; by default the corner that `best_azimuth` finds.
    `elevation` is in degrees above the floor. Walls that would hide the room are cut to 8 cm and what hangs on them is left out.
    Raises ValueError for an azimuth that is not finite or an elevation that is not between 0 and 90.
    """
    if azimuth is not None and not math.isfinite(azimuth):
        raise ValueError(f"azimuth {azimuth:g}: give degrees, 0 for a look from the south, 90 from the east")
    if not 0 < elevation < 90:
        raise ValueError(f"elevation {elevation:g}: give degrees above 0 and below 90")
    view = View(best_azimuth(scene) if azimuth is None else azimuth, elevation)
    room = scene.room
    drawing = Drawing(title=f"{room.room_type.replace('_', ' ')}, {room.area / 1e4:.1f} m²")
    low = low_walls(room, view)
    bad = {name for v in (report.violations if report else ()) for name in v.ids}
    solids = [*shell_solids(room, low)]
    for o in scene.objects:
        if not (o.on == "wall" and _wall_of(room, o).index in low):
            solids += object_solids(o, o.id in bad)
    draw_ground(drawing, scene, view)
    for solid in paint_order(solids, view):
        _draw_solid(drawing, solid, view)
    return drawing


def best_azimuth(scene: Scene) -> float:
    """Of eight looks over the corners, the one that shows the most fronts and has the least furniture before it, by area."""
    standing = [o for o in scene.objects if o.on == "floor"]
    width, depth = scene.room.extent
    reach = math.hypot(width, depth) / 2

    def seen(azimuth: float) -> float:
        tx, ty = View(azimuth).towards
        total = 0.0
        for o in standing:
            front = o.box.front[0] * tx + o.box.front[1] * ty
            before = ((o.box.x - width / 2) * tx + (o.box.y - depth / 2) * ty) / reach
            total += o.size[0] * o.size[2] * (front - before)
        return total

    return max(_AZIMUTHS, key=seen)


def low_walls(room: Room, view: View) -> set[int]:
    """The walls that would hide more than a twenty-fifth of the floor: those next to the viewer, and that in the notch of an L."""
    tx, ty = view.towards
    reach = room.height / math.tan(math.radians(view.elevation))
    low = set()
    for wall in room.walls:
        shadow = [wall.a, wall.b, *((x - tx * reach, y - ty * reach) for x, y in (wall.b, wall.a))]
        if signed_area(shadow) < 0:
            shadow.reverse()
        turned = wall.inward[0] * tx + wall.inward[1] * ty
        hidden = abs(signed_area(intersection(room.polygon, shadow))) if abs(turned) > FACING else 0.0
        if hidden > _HIDDEN * room.area:
            low.add(wall.index)
    return low


def shell_solids(room: Room, low: set[int]) -> Iterator[Solid]:
    """Walls around their openings, panes, and leaves of doors, shut; of low walls what is below `LOW`."""
    for piece in wall_pieces(room):
        top = min(piece.top, LOW) if piece.wall in low else piece.top
        if piece.bottom >= top:
            continue
        glass = piece.kind == "glass"
        yield Solid(
            piece.footprint,
            piece.bottom,
            top,
            GLASS if glass else WALL,
            FRAME if glass else None,
            piece.name if glass else "",
        )
    for i, door in enumerate(room.doors):
        if door.hinge == "none" or door.wall in low:
            continue
        wall, middle = room.walls[door.wall], -THICKNESS / 2
        near, far = middle + _LEAF / 2, middle - _LEAF / 2
        ring = (
            wall.at(door.start, far),
            wall.at(door.end, far),
            wall.at(door.end, near),
            wall.at(door.start, near),
        )
        yield Solid(ring, 0.0, door.height, DOOR, edge=shade(DOOR, 0.7), title=f"door {i}")


def object_solids(o: SceneObject, bad: bool = False) -> Iterator[Solid]:
    """The parts of a piece of furniture; round things as prisms with twenty sides."""
    accents = {} if bad else _ACCENTS.get(base(o.category), {})
    main = FAULT if bad else colour(o.category)
    width, depth, height = o.size
    smooth = base(o.category) in ROUND
    title = f"{o.id}: {width:g} x {depth:g} x {height:g} cm"
    for part, (x0, x1, y0, y1, z0, z1) in enumerate(furniture.parts(o.category)):
        fill = accents.get(part, main)
        edge = FAULT_EDGE if bad else shade(fill, 0.6)
        centre = (x0 + x1) / 2 * width, (y0 + y1) / 2 * depth
        if smooth:
            ring = ellipse(centre, (x1 - x0) / 2 * width, (y1 - y0) / 2 * depth, _CURVE)
        else:
            ring = [(x * width, y * depth) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
        bottom = o.box.bottom
        yield Solid(
            tuple(map(o.box.world, ring)),
            bottom + z0 * height,
            bottom + z1 * height,
            fill,
            edge,
            title,
            smooth,
        )


def _wall_of(room: Room, o: SceneObject) -> Wall:
    return min(room.walls, key=lambda w: point_to_segment(o.box.centre, w.a, w.b))


def _draw_solid(drawing: Drawing, solid: Solid, view: View) -> None:
    """The sides turned to the viewer, then the top: the others are behind them."""
    tx, ty = view.towards
    ring = solid.footprint
    for i, normal in enumerate(solid.normals()):
        if normal[0] * tx + normal[1] * ty <= FACING:
            continue
        fill = shade(solid.colour, view.light(normal))
        pen = fill if solid.smooth or not solid.edge else solid.edge
        points = view.upright(ring[i], ring[(i + 1) % len(ring)], solid.bottom, solid.top)
        drawing.path(points, fill=fill, stroke=pen, width=0.6, title=solid.title)
    fill = CUT if solid.colour == WALL else solid.colour
    top = [view.screen(x, y, solid.top) for x, y in ring]
    drawing.path(top, fill=fill, stroke=solid.edge or fill, width=0.6, title=solid.title)
