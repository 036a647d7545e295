"""Walls, doors and windows of a floor plan: the cut walls filled, leaves with their swing, panes."""

from __future__ import annotations

import math

from layout.geometry import Point, Wall
from layout.render.drawing import INK, Drawing, arc
from layout.schema import Door, Room, Window
from layout.shell import THICKNESS, outer_ring

WALL = "#3a3a3a"
FLOOR = "#fdfcfa"
GLASS = "#cfe4f2"


def draw_shell(drawing: Drawing, room: Room) -> None:
    """Walls and floor, then the openings cut into the walls."""
    drawing.path(outer_ring(room), fill=WALL, stroke=None)
    drawing.path(room.polygon, fill=FLOOR, stroke=INK, width=1.2)
    for i, door in enumerate(room.doors):
        _draw_door(drawing, room.walls[door.wall], door, f"door {i}, {door.width:g} cm wide")
    for i, window in enumerate(room.windows):
        _draw_window(drawing, room.walls[window.wall], window, f"window {i}, sill {window.sill:g} cm")


def _hole(wall: Wall, start: float, end: float) -> list[Point]:
    return [wall.at(start, -THICKNESS), wall.at(end, -THICKNESS), wall.at(end), wall.at(start)]


def _draw_window(drawing: Drawing, wall: Wall, window: Window, title: str) -> None:
    drawing.path(_hole(wall, window.start, window.end), fill="#ffffff", width=1.0, title=title)
    marks = ((window.start, 0.35), (window.end, 0.35), (window.end, 0.65), (window.start, 0.65))
    drawing.path([wall.at(mark, -THICKNESS * share) for mark, share in marks], fill=GLASS, width=0.8)


def _draw_door(drawing: Drawing, wall: Wall, door: Door, title: str) -> None:
    hole = _hole(wall, door.start, door.end)
    drawing.path(hole, fill=FLOOR, stroke=FLOOR, width=1.4, title=title)
    for mark in (door.start, door.end):
        drawing.line(wall.at(mark), wall.at(mark, -THICKNESS), width=1.0)
    if door.hinge == "none":
        for into in (0.0, -THICKNESS):
            drawing.line(wall.at(door.start, into), wall.at(door.end, into), width=0.8, dash=(6, 4))
    elif door.swing == "none":  # slides along the wall
        middle = -THICKNESS / 2
        drawing.line(
            wall.at(door.start - door.width * 0.5, middle),
            wall.at(door.end, middle),
            width=2.5,
            stroke="#ffffff",
        )
        drawing.line(wall.at(door.start, middle), wall.at(door.end, middle), width=2.0, dash=(10, 4))
    else:
        width = door.width / 2 if door.hinge == "both" else door.width
        for hinge, towards in ((door.start, 1), (door.end, -1)):
            if door.hinge == "both" or (door.hinge == "start") == (towards == 1):
                _draw_leaf(drawing, wall, door, hinge, towards * width)


def _draw_leaf(drawing: Drawing, wall: Wall, door: Door, hinge: float, width: float) -> None:
    """A leaf open by a right angle and the quarter circle of its edge; `width` is signed along the wall."""
    side, face = (1.0, 0.0) if door.swing == "in" else (-1.0, -THICKNESS)
    pin = wall.at(hinge, face)
    open_edge = wall.at(hinge, face + side * abs(width))
    shut_edge = wall.at(hinge + width, face)
    start, end = (math.degrees(math.atan2(p[1] - pin[1], p[0] - pin[0])) for p in (shut_edge, open_edge))
    turn = (end - start + 180) % 360 - 180
    drawing.line(*arc(pin, abs(width), start, start + turn), width=0.7, stroke="#777777")
    thick = 4.0 if width > 0 else -4.0
    leaf = [pin, open_edge, wall.at(hinge + thick, face + side * abs(width)), wall.at(hinge + thick, face)]
    drawing.path(leaf, fill="#ffffff", width=0.8)
