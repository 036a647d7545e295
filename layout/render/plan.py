"""A furnished room as a floor plan: walls, openings, furniture with names and fronts, dimensions, and a report's faults in red."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from layout.catalogue import CATALOGUE, base
from layout.checks import door_zone
from layout.geometry import Point
from layout.palette import colour
from layout.render.drawing import CHARACTER, INK, Drawing, Label, ellipse, rounded
from layout.render.lettering import Lettering
from layout.render.openings import draw_shell
from layout.render.symbols import ROUND, SYMBOLS
from layout.report import Report
from layout.rules import BY_SUBJECT
from layout.schema import Room, Scene, SceneObject
from layout.shell import THICKNESS

RED = "#c62828"
PALE_RED = "#f6d5d3"
GREY = "#6b6b6b"
WAY = "#1565c0"
_OVERHEAD = ("ceiling", "wall")
_MIN_DIMENSION = 25.0  # cm; shorter walls are not measured on the plan


def plan(
    scene: Scene,
    report: Report | None = None,
    ways: Sequence[Sequence[Point]] = (),
    *,
    labels: bool = True,
    title: str = "",
) -> Drawing:
    """The drawing of a scene. `report` marks its faults, `ways` are polylines in cm such as `navigate` returns."""
    room = scene.room
    name = title or f"{room.room_type.replace('_', ' ')}, {room.area / 1e4:.1f} m²"
    drawing = Drawing(title=name)
    draw_shell(drawing, room)
    bad = {v_id for v in (report.violations if report else ()) for v_id in v.ids}
    for i, door in enumerate(room.doors):
        if f"door_{i}" in bad:
            drawing.path(door_zone(scene, door), fill=PALE_RED, stroke=RED, width=1.0, dash=(5, 3))
    for o in painted_order(scene):
        _draw_object(drawing, o, o.id in bad)
    for way in ways:
        _draw_way(drawing, way)
    _draw_dimensions(drawing, room)
    lettering = Lettering(scene, drawing, bad)
    if labels:
        lettering.draw_names()
    _draw_foot(drawing, name, lettering.key, report)
    return drawing


def painted_order(scene: Scene) -> list[SceneObject]:
    """What is over others is painted later: rugs, furniture, what stands on it, what hangs."""

    def layer(o: SceneObject) -> tuple[int, float, float]:
        if o.on in _OVERHEAD:
            return 2 if o.on == "wall" else 3, o.box.top, 0.0
        return (0 if o.box.height <= 5 and o.on == "floor" else 1), o.box.bottom, o.box.top

    return sorted(scene.objects, key=layer)


def _draw_object(drawing: Drawing, o: SceneObject, bad: bool) -> None:
    box = o.box
    w, d = box.width / 2, box.depth / 2
    overhead = o.on == "ceiling" or (o.on == "wall" and box.bottom >= 120)
    pen = RED if bad else GREY if overhead else INK
    fill = PALE_RED if bad else None if overhead else colour(o.category)
    outline = ellipse((0, 0), w, d) if base(o.category) in ROUND else rounded(-w, -d, w, d, min(3.0, w, d))
    width, depth, height = (f"{v:g}" for v in o.size)
    drawing.path(
        map(box.world, outline),
        fill=fill,
        stroke=pen,
        width=1.8 if bad else 1.1,
        dash=(5, 3) if overhead else None,
        title=f"{o.id}: {width} x {depth} x {height} cm, yaw {o.yaw:g}°, on {o.on}",
    )
    symbol = SYMBOLS.get(base(o.category))
    if symbol is not None:
        for points, closed in symbol(w, d):
            drawing.path(map(box.world, points), closed=closed, stroke=pen if bad else "#8a8a8a", width=0.6)
    if _has_front(o):
        drawing.path(map(box.world, _front_mark(w, d)), fill=pen, stroke=None)


def _has_front(o: SceneObject) -> bool:
    """Whether it matters which way it looks: what has one side of use or a rule about its back or its sight; unknown things too."""
    entry = CATALOGUE.get(o.category)
    if entry is None or o.on != "floor":
        return o.on == "floor"
    ruled = any(rule.kind in ("faces", "back_to_wall") for rule in BY_SUBJECT.get(base(o.category), ()))
    return ruled or (bool(entry.use) and "back" not in entry.use)


def _front_mark(w: float, d: float) -> list[Point]:
    """A small triangle on the middle of the front edge, pointing where the object faces."""
    size = min(5.0, w / 3, d / 2)
    return [(-size, -d + 1), (0, -d - size * 0.9), (size, -d + 1)]


def _draw_way(drawing: Drawing, way: Sequence[Point]) -> None:
    if len(way) < 2:
        return
    drawing.line(*way, stroke="#ffffff", width=5.0)
    drawing.line(*way, stroke=WAY, width=2.4, dash=(9, 4))
    drawing.path(ellipse(way[0], 5, 5), fill="#ffffff", stroke=WAY, width=2)
    (px, py), (qx, qy) = way[-2], way[-1]
    length = math.hypot(qx - px, qy - py) or 1.0
    ux, uy = (qx - px) / length, (qy - py) / length
    drawing.path(
        [
            (qx + ux * 4, qy + uy * 4),
            (qx - ux * 9 - uy * 6, qy - uy * 9 + ux * 6),
            (qx - ux * 9 + uy * 6, qy - uy * 9 - ux * 6),
        ],
        fill=WAY,
        stroke=None,
    )


def _draw_dimensions(drawing: Drawing, room: Room) -> None:
    """The inner length of every wall in metres, outside of it."""
    written: list[Label] = []
    for wall in room.walls:
        if wall.length < _MIN_DIMENSION:
            continue
        off = -THICKNESS - 14
        ends = wall.at(0, off), wall.at(wall.length, off)
        drawing.line(*ends, stroke=GREY, width=0.6)
        for mark in (0.0, wall.length):
            drawing.line(wall.at(mark, -THICKNESS - 4), wall.at(mark, off - 4), stroke=GREY, width=0.5)
            x, y = wall.at(mark, off)
            drawing.line((x - 3, y - 3), (x + 3, y + 3), stroke=INK, width=1.2)
        steep = abs(wall.along[1]) > 0.8
        beyond = off - (8 if abs(wall.along[0]) > 0.99 or abs(wall.along[1]) > 0.99 else 16)
        # Two walls of an inner corner are measured on the same ground: the second text makes way.
        options = [
            Label(
                f"{wall.length / 100:.2f}",
                wall.at(wall.length * share, beyond),
                9,
                upright=steep,
                halo="#ffffff",
            )
            for share in (0.5, 0.65, 0.35, 0.8, 0.2)
        ]
        chosen = next((one for one in options if not any(one.meets(other) for other in written)), options[0])
        written.append(chosen)
    drawing.shapes += written


def _draw_foot(drawing: Drawing, name: str, key: Iterable[str], report: Report | None) -> None:
    """Title, scale bar and north arrow, the key of what is too small for a name, the faults."""
    x0, y0, x1, _ = drawing.bounds()
    y = y0 - 22
    drawing.label(name, (x0, y), size=14, anchor="start", bold=True)
    _draw_scale_bar(drawing, (x1 - 104, y - 3))
    _draw_north(drawing, (x1 - 122, y))
    y -= 20
    for line in _wrapped(key, x1 - x0, 8.5):
        drawing.label(line, (x0, y), size=8.5, anchor="start", colour="#444444")
        y -= 12
    for v in report.violations if report else ():
        dot = RED if v.severity == "hard" else "#ffffff"
        drawing.path(ellipse((x0 + 3, y), 3, 3), fill=dot, stroke=RED, width=1)
        for line in _folded(f"{v.code.replace('_', ' ')}: {v.message}", x1 - x0 - 12, 8.5):
            drawing.label(line, (x0 + 11, y), size=8.5, anchor="start", colour=RED)
            y -= 12


def _wrapped(parts: Iterable[str], width: float, size: float) -> list[str]:
    """Parts joined by wide gaps into lines that fit."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}    {part}" if lines else part
        if lines and len(longer) * CHARACTER * size <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _folded(text: str, width: float, size: float) -> list[str]:
    return textwrap.wrap(text, max(20, int(width / (CHARACTER * size))))


def _draw_scale_bar(drawing: Drawing, at: Point) -> None:
    x, y = at
    for i in range(2):
        drawing.path(
            [(x + 50 * i, y), (x + 50 * i + 50, y), (x + 50 * i + 50, y + 4), (x + 50 * i, y + 4)],
            fill=INK if i == 0 else "#ffffff",
            width=0.8,
        )
    for value, mark in (("0", 0), ("1 m", 100)):
        drawing.label(value, (x + mark, y + 11), size=8)


def _draw_north(drawing: Drawing, at: Point) -> None:
    x, y = at
    drawing.path([(x - 4, y - 6), (x, y + 7), (x + 4, y - 6), (x, y - 3)], fill=INK, stroke=INK, width=0.6)
    drawing.label("N", (x, y + 12), size=7)
