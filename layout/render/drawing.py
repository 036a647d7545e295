"""A drawing is paths and labels in the room's own centimetres, y to the north; what it is written as is for `svg` and `png`.

Arcs are polylines: two primitives are all a writer has to know, so that SVG and PNG show the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from layout.geometry import Point

INK = "#2b2b2b"
CHARACTER = 0.56  # mean width of a letter over the size of the type, for both writers' sans-serif faces


@dataclass(frozen=True, slots=True)
class Path:
    """A polyline or, closed, a polygon. `width` is the pen in cm; `title` is what SVG readers show under the pointer."""

    points: tuple[Point, ...]
    closed: bool = True
    fill: str | None = None
    stroke: str | None = INK
    width: float = 1.0
    dash: tuple[float, float] | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text, its middle line through `at`; `size` is the type's height in cm, `upright` text reads from below to above."""

    text: str
    at: Point
    size: float = 10.0
    colour: str = INK
    anchor: Literal["start", "middle", "end"] = "middle"
    upright: bool = False
    bold: bool = False
    halo: str | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x min, y min, x max, y max, from the mean width of letters."""
        long, high = len(self.text) * CHARACTER * self.size, self.size
        shift = {"start": 0.0, "middle": -long / 2, "end": -long}[self.anchor]
        x, y = self.at
        if self.upright:
            return x - high / 2, y + shift, x + high / 2, y + shift + long
        return x + shift, y - high / 2, x + shift + long, y + high / 2

    def meets(self, other: Label) -> bool:
        """Whether two texts would be written over each other."""
        return overlapping(self.box, other.box)


@dataclass
class Drawing:
    """Shapes in the order in which they are painted."""

    shapes: list[Path | Label] = field(default_factory=list)
    title: str = ""

    def path(self, points: Iterable[Point], **style: object) -> None:
        self.shapes.append(Path(tuple(points), **style))  # type: ignore[arg-type]

    def line(self, *points: Point, **style: object) -> None:
        self.path(points, closed=False, **style)

    def label(self, text: str, at: Point, **style: object) -> Label:
        made = Label(text, at, **style)  # type: ignore[arg-type]
        self.shapes.append(made)
        return made

    def bounds(self, margin: float = 0.0) -> tuple[float, float, float, float]:
        """x min, y min, x max, y max of everything drawn, with a margin around."""
        boxes = [s.box if isinstance(s, Label) else _extent(s.points) for s in self.shapes]
        x0, y0 = min(b[0] for b in boxes), min(b[1] for b in boxes)
        x1, y1 = max(b[2] for b in boxes), max(b[3] for b in boxes)
        return x0 - margin, y0 - margin, x1 + margin, y1 + margin


def overlapping(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    """Whether two upright rectangles (x min, y min, x max, y max) have ground in common."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _extent(points: Iterable[Point]) -> tuple[float, float, float, float]:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def arc(centre: Point, radius: float, start: float, end: float, steps: int = 18) -> list[Point]:
    """Points on a circle from one angle to another, in degrees counter-clockwise from east."""
    angles = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def ellipse(centre: Point, a: float, b: float, steps: int = 28) -> list[Point]:
    """Points of a closed ellipse with half axes `a` along x and `b` along y."""
    angles = (math.tau * i / steps for i in range(steps))
    return [(centre[0] + a * math.cos(t), centre[1] + b * math.sin(t)) for t in angles]


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> list[Point]:
    """A rectangle with round corners, counter-clockwise."""
    r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    if r <= 0:
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    corners = (
        ((x0 + r, y0 + r), 180),
        ((x1 - r, y0 + r), 270),
        ((x1 - r, y1 - r), 0),
        ((x0 + r, y1 - r), 90),
    )
    return [p for centre, start in corners for p in arc(centre, r, start, start + 90, 5)]
