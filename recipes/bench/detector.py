"""How many images the shapes judge reads per second on one core, at each canvas."""

from __future__ import annotations

import time

import numpy as np


def run(count: int = 300) -> dict[str, float]:
    """Rates of detection alone and of the whole verdict, over `count` clean scenes of the committed mix."""
    from diffusion_core.worlds.shapes import render, sample_layout, sample_spec
    from diffusion_core.worlds.shapes.render import GEOMETRIES
    from rewards.shapes import detect, judge

    found: dict[str, float] = {}
    for canvas in GEOMETRIES:
        rng = np.random.default_rng(0)
        specs = [sample_spec(rng) for _ in range(count)]
        images = [render(sample_layout(spec, rng, canvas)) for spec in specs]
        detect(images[0])  # templates of this canvas are made once
        began = time.perf_counter()
        detections = [detect(image) for image in images]
        middle = time.perf_counter()
        for detection, spec in zip(detections, specs, strict=True):
            judge(detection, spec)
        ended = time.perf_counter()
        found[f"detect_{canvas}px_images_per_s"] = count / (middle - began)
        found[f"judge_{canvas}px_images_per_s"] = count / (ended - began)
    return found
