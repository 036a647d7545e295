"""Read a shapes-world image back into objects: exact on clean renders, strict on everything else.

The image model is the renderer's: pixel = background + alpha (colour - background). Inverting it per palette colour gives each pixel a
class that anti-aliased rims do not confuse; 4-connected components of a class are objects; a shape is the template of highest overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from diffusion_core.worlds.shapes.render import GEOMETRIES, mask
from diffusion_core.worlds.shapes.spec import BACKGROUNDS, COLORS, LETTERS, SHAPES, SIZES

MIN_AREA = 9 / 48**2  # of the canvas; the smallest clean object, a small ring, covers 37 pixels at 48
ALPHA = (
    28.5 / 64
)  # masks have 8 x 8 levels: half-way between two, so that rounding to uint8 never moves a pixel across
MIN_OVERLAP = 0.55  # intersection over union with the best template; clean renders reach 0.9 and more
MAX_RESIDUAL = (
    75.0  # distance in RGB from the line background-colour; beyond it a pixel has no palette colour
)
_COLOR_NAMES, _COLOR_RGB = tuple(COLORS), np.array(list(COLORS.values()), np.float32)
_BACKGROUND_NAMES, _BACKGROUND_RGB = tuple(BACKGROUNDS), np.array(list(BACKGROUNDS.values()), np.float32)


@dataclass(frozen=True, slots=True)
class Detected:
    """One object; `shape` is None when no template fits, `x`, `y` the centre of the bounding box in pixels."""

    shape: str | None
    color: str
    size: str
    x: float
    y: float
    area: int
    overlap: float


@dataclass(frozen=True, slots=True)
class Detection:
    objects: tuple[Detected, ...]
    background: str | None
    canvas: int


@lru_cache(maxsize=8)
def _templates(canvas: int) -> tuple[tuple[tuple[str, str], ...], np.ndarray, np.ndarray, int]:
    """(shape, size) names, binary templates shifted by up to a pixel (n, window^2), their areas and the window's side."""
    geometry = GEOMETRIES[canvas]
    window = geometry.large + 4
    names, rows = [], []
    for shape in SHAPES:
        for size in ("large",) if shape in LETTERS else SIZES:
            diameter = geometry.diameter(size)
            cover = mask(shape, diameter) > ALPHA
            corner = (window - diameter) // 2
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    plane = np.zeros((window, window), np.float32)
                    plane[corner + dy : corner + dy + diameter, corner + dx : corner + dx + diameter] = cover
                    names.append((shape, size))
                    rows.append(plane.ravel())
    templates = np.stack(rows)
    return tuple(names), templates, templates.sum(1), window


def _background(pixels: np.ndarray) -> tuple[str | None, np.ndarray]:
    """The palette background nearest to the border's median colour, or None if none is near; and the colour itself."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    color = np.median(border, axis=0)
    distance = np.linalg.norm(_BACKGROUND_RGB - color, axis=1)
    best = int(distance.argmin())
    return (_BACKGROUND_NAMES[best] if distance[best] < 60 else None), color.astype(np.float32)


def _classes(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Per pixel the index of its palette colour, -1 for background, -2 for a foreground of no palette colour; int8 (H, W)."""
    difference = pixels - background
    direction = _COLOR_RGB - background  # (6, 3)
    square = (direction**2).sum(1)
    alpha = difference @ direction.T / square  # (H, W, 6)
    norm2 = (difference**2).sum(-1, keepdims=True)
    clipped = alpha.clip(0, 1)
    residual2 = norm2 - 2 * clipped * alpha * square + clipped**2 * square
    best = residual2.argmin(-1)
    index = np.take_along_axis(residual2, best[..., None], -1)[..., 0]
    alpha_best = np.take_along_axis(alpha, best[..., None], -1)[..., 0]
    classes = np.where(alpha_best > ALPHA, best, -1).astype(np.int8)
    classes[(index > MAX_RESIDUAL**2) & (norm2[..., 0] > 60.0**2)] = -2
    return classes


def _shape(component: np.ndarray, canvas: int) -> tuple[str | None, str, float]:
    """Shape (None if no template fits), size and overlap of a boolean component cut out at its bounding box."""
    names, templates, areas, window = _templates(canvas)
    height, width = component.shape
    if max(height, width) > window:
        return None, "large", 0.0
    plane = np.zeros((window, window), np.float32)
    y, x = (window - height) // 2, (window - width) // 2
    plane[y : y + height, x : x + width] = component
    flat = plane.ravel()
    both = templates @ flat
    overlap = both / (areas + flat.sum() - both)
    best = int(overlap.argmax())
    shape, size = names[best]
    return (shape if overlap[best] >= MIN_OVERLAP else None), size, float(overlap[best])


def detect(pixels: np.ndarray) -> Detection:
    """Objects and background of one image, uint8 (H, W, 3) with H = W of a known canvas (32, 48 or 64).

    Raises:
        ValueError: another shape or dtype; a judge for a fixed world does not guess how a picture should be scaled.
    """
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
        or pixels.shape[0] != pixels.shape[1]
    ):
        raise ValueError(f"expected uint8 pixels (H, H, 3), got {pixels.dtype} {pixels.shape}")
    canvas = pixels.shape[0]
    if canvas not in GEOMETRIES:
        raise ValueError(
            f"a canvas of {canvas} pixels is not of the shapes world; known: {sorted(GEOMETRIES)}"
        )
    values = pixels.astype(np.float32)
    name, background = _background(values)
    classes = _classes(values, background)
    objects = []
    for color in np.unique(classes[classes != -1]):
        labels = np.asarray(ndimage.label(classes == color)[0])  # type: ignore[index]
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            component = labels[box] == label
            area = int(component.sum())
            if area < MIN_AREA * canvas**2:
                continue
            top, left = box[0].start, box[1].start
            height, width = component.shape
            shape, size, overlap = _shape(component, canvas)
            if color == -2:
                shape = None
            objects.append(
                Detected(
                    shape,
                    _COLOR_NAMES[color] if color >= 0 else "none",
                    size,
                    left + (width - 1) / 2,
                    top + (height - 1) / 2,
                    area,
                    overlap,
                )
            )
    return Detection(tuple(objects), name, canvas)
