"""Images as arrays, files and figures. An image is uint8 (H, W, 3), RGB."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from diffusion_core.types import Sample

_COARSE = 4  # levels per channel in the colour histogram


def as_image(sample: Sample) -> np.ndarray:
    """A generator's sample, float (3, H, W) in [0, 1], as an image. Raises ValueError for a video."""
    if sample.pixels.ndim != 3:
        raise ValueError(
            f"a sample of {sample.pixels.shape[1]} frames is a video; take one of its frames, pixels[:, k]"
        )
    pixels = sample.pixels.detach().clamp(0, 1).mul(255).round().byte()
    return np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())


def enlarge(image: np.ndarray, least: int = 384) -> np.ndarray:
    """Whole-number magnification without smoothing until the shorter side has `least` pixels; large images pass through."""
    factor = max(1, least // min(image.shape[:2]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def save_png(image: np.ndarray, path: Path) -> None:
    """Raises OSError with the path where the folder cannot be written."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, format="PNG", optimize=True)


def load_png(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def png_bytes(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def data_uri(image: np.ndarray) -> str:
    """The image inside a page: needs no file and no server."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode("ascii")


def statistics(image: np.ndarray) -> dict[str, float]:
    """What a generator that is being gamed drifts in.

    dark: share of pixels with luma below 32 of 255. edges: share of neighbouring pixel pairs whose luma differs by more than 32.
    colour_entropy: bits of the 4 x 4 x 4 colour histogram.
    """
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    steps = (np.abs(np.diff(luma, axis=0)) > 32).sum() + (np.abs(np.diff(luma, axis=1)) > 32).sum()
    pairs = luma.size * 2 - sum(luma.shape)
    level = image.astype(np.int64) * _COARSE // 256
    counts = np.bincount((level[..., 0] * _COARSE + level[..., 1]).ravel() * _COARSE + level[..., 2].ravel())
    share = counts[counts > 0] / luma.size
    return {
        "dark": float((luma < 32).mean()),
        "edges": float(steps / max(pairs, 1)),
        "colour_entropy": float(-(share * np.log2(share)).sum()) + 0.0,
    }


def strip(
    rows: Sequence[tuple[str, str, Sequence[np.ndarray], Sequence[np.ndarray]]],
    *,
    tile: int = 144,
    titles: tuple[str, str] = ("as it was written", "as it was rewritten"),
) -> np.ndarray:
    """A figure of two columns: per row (text left, text right, images left, images right).

    By default before and after: prompt, rewrite and the images of both with the same seeds.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = max(max(len(before), len(after)) for _, _, before, after in rows)
    gap, pad, line = 6, 16, 20
    side = columns * (tile + gap) - gap
    width = pad * 3 + side * 2
    font: Any = ImageFont.load_default(size=15)
    bold: Any = ImageFont.load_default(size=17)
    wrapped = [(_wrap(prompt, font, side), _wrap(rewrite, font, side)) for prompt, rewrite, _, _ in rows]
    heights = [max(len(a), len(b)) * line + tile + 22 for a, b in wrapped]
    figure = Image.new("RGB", (width, pad * 2 + 30 + sum(heights)), "white")
    draw = ImageDraw.Draw(figure)
    left, right = pad, pad * 2 + side
    draw.text((left, pad), titles[0], fill="#111111", font=bold)
    draw.text((right, pad), titles[1], fill="#111111", font=bold)
    top = pad + 30
    for (_, _, before, after), (first, second), height in zip(rows, wrapped, heights, strict=True):
        text_height = max(len(first), len(second)) * line
        for x, lines, images in ((left, first, before), (right, second, after)):
            for i, words in enumerate(lines):
                draw.text((x, top + i * line), words, fill="#333333", font=font)
            for i, image in enumerate(images):
                figure.paste(_tile(image, tile), (x + i * (tile + gap), top + text_height + 2))
        top += height
    return np.asarray(figure)


def _tile(image: np.ndarray, side: int) -> Any:
    from PIL import Image

    small = min(image.shape[:2]) < side
    return Image.fromarray(image).resize(
        (side, side), Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    )


def _wrap(text: str, font: Any, width: float) -> list[str]:
    lines, current = [], ""
    for word in text.split() or ["(empty)"]:
        longer = f"{current} {word}".strip()
        if current and font.getlength(longer) > width:
            lines.append(current)
            current = word
        else:
            current = longer
    lines.append(current)
    return lines[:3] if len(lines) <= 3 else [*lines[:2], lines[2] + " …"]


def grid(images: Sequence[np.ndarray], gap: int = 4) -> np.ndarray:
    """Images side by side in rows, on white."""
    columns = math.ceil(math.sqrt(len(images)))
    lines = math.ceil(len(images) / columns)
    height, width = images[0].shape[:2]
    canvas = np.full((lines * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[y : y + height, x : x + width] = image
    return canvas
