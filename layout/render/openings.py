"""Walls, doors and windows of a floor plan: the cut walls filled, leaves with their swing, panes."""

from __future__ import annotations

import math

from layout.geometry import Point, Wall
from layout.render.drawing import INK, Drawing, arc
from layout.schema import Door, Room, Window
from layout.shell import THICKNESS, Leaf, leaves, outer_ring

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
    for leaf in leaves(wall, door):
        _draw_leaf(drawing, leaf)


def _draw_leaf(drawing: Drawing, leaf: Leaf) -> None:
    """A leaf open by a right angle and the quarter circle of its edge."""
    start, turn = leaf.sweep
    width = math.dist(leaf.pin, leaf.shut)
    drawing.line(*arc(leaf.pin, width, start, start + turn), width=0.7, stroke="#777777")
    dx, dy = ((b - a) * 4.0 / width for a, b in zip(leaf.pin, leaf.shut, strict=True))
    (px, py), (ox, oy) = leaf.pin, leaf.open
    drawing.path([leaf.pin, leaf.open, (ox + dx, oy + dy), (px + dx, py + dy)], fill="#ffffff", width=0.8)
