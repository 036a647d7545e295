"""A drawing as pixels, with Pillow and its built-in face: no browser and no fonts of the machine."""

from __future__ import annotations

import io
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from layout.geometry import Point
from layout.render.drawing import Drawing, Label, Path
from layout.render.svg import MARGIN

if TYPE_CHECKING:
    from PIL.Image import Image

SUPERSAMPLE = 3  # Pillow's lines have hard edges; drawn larger and shrunk they do not
MAX_PIXELS = 64_000_000
_MISSING = str.maketrans({"–": "-", "×": "x", "≥": ">"})  # not in the built-in face


def png(drawing: Drawing, scale: float = 2.0) -> bytes:
    """The drawing as PNG, `scale` pixels a centimetre. Raises ValueError for a picture of more than 64 megapixels."""
    from PIL import Image

    buffer = io.BytesIO()
    # The median cut, Pillow's default, spends the palette on large areas and greys a small lamp: 44 of 255 off, against 6.
    few = picture(drawing, scale).quantize(256, method=Image.Quantize.MAXCOVERAGE)
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def picture(drawing: Drawing, scale: float = 2.0) -> Image:
    """The drawing as a Pillow image (RGB)."""
    from PIL import Image, ImageDraw

    x0, y0, x1, y1 = drawing.bounds(MARGIN)
    size = math.ceil((x1 - x0) * scale), math.ceil((y1 - y0) * scale)
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise ValueError(
            f"scale {scale:g}: the plan would have {size[0]} x {size[1]} pixels; give a smaller scale"
        )
    k = scale * SUPERSAMPLE
    canvas = Image.new("RGB", (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), "white")
    pen = ImageDraw.Draw(canvas)
    for shape in drawing.shapes:
        if isinstance(shape, Label):
            _label(canvas, shape, ((shape.at[0] - x0) * k, (y1 - shape.at[1]) * k), k)
        else:
            _path(pen, shape, [((x - x0) * k, (y1 - y) * k) for x, y in shape.points], k)
    return canvas.resize(size, Image.Resampling.LANCZOS)


def _path(pen: object, path: Path, points: list[Point], k: float) -> None:
    if path.closed and path.fill:
        pen.polygon(points, fill=path.fill)  # type: ignore[attr-defined]
    if not path.stroke:
        return
    ring = [*points, points[0]] if path.closed else points
    width = max(1, round(path.width * k))
    if path.dash:
        for a, b in _dashes(ring, path.dash[0] * k, path.dash[1] * k):
            pen.line([a, b], fill=path.stroke, width=width)  # type: ignore[attr-defined]
    else:
        # One more point than a ring has: Pillow rounds the joints between points only, and the last one is a joint too.
        pen.line([*ring, ring[1]] if path.closed else ring, fill=path.stroke, width=width, joint="curve")  # type: ignore[attr-defined]


def _dashes(points: list[Point], on: float, off: float) -> list[tuple[Point, Point]]:
    """The inked stretches of a polyline; a dash that meets a corner goes on behind it."""
    found, behind = [], 0.0
    for (px, py), (qx, qy) in pairwise(points):
        length = math.hypot(qx - px, qy - py)
        if length == 0:
            continue
        for n in range(int(behind / (on + off)), int((behind + length) / (on + off)) + 1):
            a = max(0.0, n * (on + off) - behind) / length
            b = min(length, n * (on + off) + on - behind) / length
            if a < b:
                found.append(
                    ((px + a * (qx - px), py + a * (qy - py)), (px + b * (qx - px), py + b * (qy - py)))
                )
        behind += length
    return found


def _label(canvas: Image, label: Label, at: Point, k: float) -> None:
    from PIL import Image, ImageDraw

    size = label.size * k
    halo = round(size / 8) if label.halo else 0
    runs = _runs(label.text, size)
    width = math.ceil(sum(font.getlength(text) for text, font, _ in runs)) + 2 * halo + 4
    tile = Image.new("RGBA", (width, math.ceil(size * 1.4) + 2 * halo))
    ink = ImageDraw.Draw(tile)
    passes = [(label.halo, halo)] if label.halo else []
    for colour, stroke in [*passes, (label.colour, size / 40 if label.bold else 0)]:
        x = halo + 2.0
        for text, font, up in runs:
            where = (x, tile.height / 2 - up)
            ink.text(
                where, text, font=font, anchor="lm", fill=colour, stroke_width=stroke, stroke_fill=colour
            )
            x += font.getlength(text)
    shift = {"start": width / 2, "middle": 0.0, "end": -width / 2}[label.anchor]
    x, y = at[0] + (0 if label.upright else shift), at[1] - (shift if label.upright else 0)
    if label.upright:
        tile = tile.rotate(90, expand=True)
    canvas.paste(tile, (round(x - tile.width / 2), round(y - tile.height / 2)), tile)


def _runs(text: str, size: float) -> list[tuple[str, Any, float]]:
    """(text, face, rise) of the parts of a line. Pillow's built-in face has no superscript two, so it is set small and raised."""
    from PIL import ImageFont

    parts = [part for part in re.split("(²)", text.translate(_MISSING)) if part]
    return [
        ("2", ImageFont.load_default(size * 0.65), size * 0.28)
        if part == "²"
        else (part, ImageFont.load_default(size), 0.0)
        for part in parts
    ]
