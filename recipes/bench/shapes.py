"""How exact the shapes judge is: on clean renders at each canvas, and where blur, noise and JPEG begin to break it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np

Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def run(clean: int = 2000, damaged: int = 200) -> dict[str, float]:
    """Shares of scenes with strict verdict 1: every object, relation and background read back as it was drawn."""
    from diffusion_core.worlds.shapes.render import CANVAS, GEOMETRIES

    found = {
        f"clean_{canvas}px_exact_share": exact_share(clean, canvas, lambda image, _: image)
        for canvas in GEOMETRIES
    }
    for name, damage in DAMAGES:
        found[f"{name}_{CANVAS}px_exact_share"] = exact_share(damaged, CANVAS, damage)
    return found


def exact_share(count: int, canvas: int, damage: Damage) -> float:
    """Share of `count` random scenes that are judged right after `damage`."""
    from diffusion_core.worlds.shapes import render, sample_layout, sample_spec
    from rewards.shapes import detect, judge

    rng = np.random.default_rng(7)
    right = 0.0
    for _ in range(count):
        spec = sample_spec(rng)
        image = damage(render(sample_layout(spec, rng, canvas)), rng)
        right += judge(detect(image), spec).strict
    return right / count


def noise(sigma: float) -> Damage:
    def add(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return (image + rng.normal(0, sigma, image.shape)).clip(0, 255).round().astype(np.uint8)

    return add


def blur(sigma: float) -> Damage:
    def smear(image: np.ndarray, _: np.random.Generator) -> np.ndarray:
        from scipy import ndimage

        return (
            ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0))
            .round()
            .clip(0, 255)
            .astype(np.uint8)
        )

    return smear


def jpeg(quality: int) -> Damage:
    def press(image: np.ndarray, _: np.random.Generator) -> np.ndarray:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
        return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))

    return press


DAMAGES: Sequence[tuple[str, Damage]] = (
    *((f"noise_{sigma}", noise(sigma)) for sigma in (8, 16, 24, 32)),
    *((f"blur_{str(sigma).replace('.', '_')}", blur(sigma)) for sigma in (0.5, 0.75, 1.0)),
    *((f"jpeg_{quality}", jpeg(quality)) for quality in (95, 85, 75)),
)
