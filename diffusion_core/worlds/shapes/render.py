"""Layouts and pixels: objects stand in a 3 x 3 grid of cells, drawn from fixed anti-aliased masks.

Masks are made once by 8 x 8 supersampling in numpy, so that an image is the same on every machine and library version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from diffusion_core.worlds.shapes.spec import (
    BACKGROUNDS,
    COLORS,
    LETTERS,
    RELATIONS,
    SHAPES,
    SIZES,
    SceneSpec,
)

GRID = 3


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes in pixels. Diameters are odd so that a mask has a centre pixel; the jitter keeps neighbours a pixel apart."""

    canvas: int
    large: int
    small: int
    jitter_large: tuple[int, ...]
    jitter_small: tuple[int, ...]

    @property
    def cell(self) -> int:
        return self.canvas // GRID

    def diameter(self, size: str) -> int:
        return self.large if size == "large" else self.small


# 32 and 64 exist to measure why 48 was taken (`rewright bench shapes`): at 32 small shapes are too few pixels to tell apart.
GEOMETRIES = {
    32: Geometry(32, 9, 5, (0,), (-1, 0, 1)),
    48: Geometry(48, 13, 9, (-1, 0, 1), (-2, 0, 2)),
    64: Geometry(64, 17, 11, (-1, 0, 1), (-3, 0, 3)),
}
CANVAS = 48


@dataclass(frozen=True, slots=True)
class Placed:
    """One drawn object; x to the right and y down, the centre pixel."""

    shape: str
    color: str
    size: str
    x: int
    y: int
    group: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    objects: tuple[Placed, ...]
    background: str
    canvas: int = CANVAS


_GLYPHS = {
    "A": ("01110", "10001", "10001", "11111", "10001", "10001", "10001"),
    "E": ("11111", "10000", "10000", "11110", "10000", "10000", "11111"),
    "H": ("10001", "10001", "10001", "11111", "10001", "10001", "10001"),
    "T": ("11111", "00100", "00100", "00100", "00100", "00100", "00100"),
}


def _inside(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether points (u right, v down, both in [-1, 1]) lie in the unit shape."""
    radius = np.hypot(u, v)
    match shape:
        case "circle":
            return radius <= 1
        case "square":
            return np.maximum(abs(u), abs(v)) <= 0.92
        case "triangle":
            return (v <= 0.92) & (v >= -1) & (abs(u) <= (v + 1) / 1.92)
        case "cross":
            return (np.minimum(abs(u), abs(v)) <= 0.34) & (np.maximum(abs(u), abs(v)) <= 1)
        case "ring":
            return (radius <= 1) & (radius >= 0.55)
        case "star":
            # Five-fold: fold the angle onto one half-spike, whose edge is a straight line from tip to notch.
            angle = np.abs((np.arctan2(u, -v) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
            tip, notch = np.array([0.0, 1.08]), 0.46 * np.array([np.sin(np.pi / 5), np.cos(np.pi / 5)])
            px, py = radius * np.sin(angle), radius * np.cos(angle)
            return (notch[0] - tip[0]) * (py - tip[1]) - (notch[1] - tip[1]) * (px - tip[0]) <= 0
        case _:
            glyph = np.array([[cell == "1" for cell in row] for row in _GLYPHS[shape]])
            column = np.floor((u + 0.78) / 1.56 * 5).astype(int)
            row = np.floor((v + 1) / 2 * 7).astype(int)
            inside = (column >= 0) & (column < 5) & (row >= 0) & (row < 7)
            return inside & glyph[row.clip(0, 6), column.clip(0, 4)]


@cache
def mask(shape: str, diameter: int) -> np.ndarray:
    """Coverage of each pixel, float32 (diameter, diameter) in [0, 1]."""
    sub = 8
    edge = (np.arange(diameter * sub) + 0.5) / sub / diameter * 2 - 1
    u, v = np.meshgrid(edge, edge)
    cover = _inside(shape, u, v).reshape(diameter, sub, diameter, sub).mean(axis=(1, 3), dtype=np.float32)
    cover.setflags(write=False)
    return cover


def render(layout: Layout) -> np.ndarray:
    """Pixels of a layout, uint8 (canvas, canvas, 3) RGB."""
    geometry = GEOMETRIES[layout.canvas]
    image = np.empty((layout.canvas, layout.canvas, 3), np.float32)
    image[:] = BACKGROUNDS[layout.background]
    for item in layout.objects:
        cover = mask(item.shape, geometry.diameter(item.size))[..., None]
        half = cover.shape[0] // 2
        window = image[item.y - half : item.y + half + 1, item.x - half : item.x + half + 1]
        window += cover * (np.asarray(COLORS[item.color], np.float32) - window)
    return (image + 0.5).astype(np.uint8)


def relation_holds(dx: float, dy: float, rel: str, canvas: int = CANVAS) -> bool:
    """Whether an object at offset (dx, dy) from another stands `rel` it.

    Along the axis the offset must be an eighth of the canvas and at least half of the distance, GenEval's position rule;
    so a diagonal neighbour counts, one that is mostly on another side does not.
    """
    step_x, step_y = RELATIONS[rel]
    along = dx * step_x + dy * step_y
    return along >= canvas / 8 and along > 0.5 * float(np.hypot(dx, dy))


def sample_layout(
    spec: SceneSpec, rng: np.random.Generator, canvas: int = CANVAS, tries: int = 5000, *, jitter: bool = True
) -> Layout:
    """A random layout that satisfies the spec exactly; open attributes are drawn, excluded kinds avoided.

    Without `jitter` every object stands in the middle of its cell.

    Raises:
        ValueError: the spec asks for more objects than cells or for relations that no layout of the grid satisfies.
    """
    low, _ = spec.total
    if low > GRID * GRID:
        raise ValueError(
            f"a scene of {low} objects does not fit the {GRID} x {GRID} grid; ask for at most {GRID * GRID}"
        )
    for _ in range(tries):
        layout = _draw(spec, rng, canvas, jitter)
        if layout is not None:
            return layout
    raise ValueError(
        f"no layout found that satisfies {spec.to_json()} in {tries} tries; do its relations contradict each other?"
    )


def _draw(spec: SceneSpec, rng: np.random.Generator, canvas: int, jitter: bool) -> Layout | None:
    geometry = GEOMETRIES[canvas]
    wanted = []
    for index, group in enumerate(spec.objects):
        count = int(rng.integers(group.count[0], group.count[1] + 1))
        wanted += [(index, group)] * count
    if len(wanted) > GRID * GRID:
        return None
    cells = rng.permutation(GRID * GRID)[: len(wanted)]
    placed = []
    for (index, group), cell in zip(wanted, cells, strict=True):
        shape = group.shape or SHAPES[int(rng.integers(len(SHAPES) - len(LETTERS)))]
        size = group.size or ("large" if shape in LETTERS else SIZES[int(rng.integers(2))])
        color = group.color or list(COLORS)[int(rng.integers(len(COLORS)))]
        if any(
            (e.shape in (None, shape)) and (e.color in (None, color)) and (e.size in (None, size))
            for e in spec.exclude
        ):
            return None
        offsets = (0,) if not jitter else geometry.jitter_large if size == "large" else geometry.jitter_small
        x, y = (
            geometry.cell * int(k) + geometry.cell // 2 + int(rng.choice(offsets))
            for k in (cell % GRID, cell // GRID)
        )
        placed.append(Placed(shape, color, size, x, y, index))
    for relation in spec.relations:
        for a in (p for p in placed if p.group == relation.a):
            for b in (p for p in placed if p.group == relation.b):
                if not relation_holds(a.x - b.x, a.y - b.y, relation.rel, canvas):
                    return None
    background = spec.background or list(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
    return Layout(tuple(placed), background, canvas)
