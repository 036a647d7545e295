"""What a generator under training draws: the same prompts on the same seeds at every evaluation, scored and laid out as a sheet.

samples/step-000100.png     the pictures, a row a prompt
samples/step-000100.json    prompt, seed and value of each
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recipes.evaluation_sets import OURS, Prompt
from recipes.terminal import progress

SEED = 77_000  # of the first image of each prompt; the others count up
SHOWN = 8  # prompts on a sheet; the first ones, not the best


def eval_prompts(source: str, count: int) -> list[Prompt]:
    """`count` prompts of a file, or held-out captions of the embedded world with the scenes they ask for."""
    from recipes.evaluation_sets import check_specs, from_file

    if source != "shapes":
        found = from_file(Path(source), limit=count)
        check_specs(found, source)
        return found
    from diffusion_core.worlds.shapes import caption, sample_spec

    rng = np.random.default_rng(SEED)
    specs = [sample_spec(rng, split="held_out") for _ in range(count)]
    return [Prompt(f"held-{i:04d}", caption(spec), spec.to_json(), (), OURS) for i, spec in enumerate(specs)]


@dataclass
class Watch:
    """Draws and scores the prompts; `values` keeps every evaluation by its step, (P, S) with NaN for an unknown score."""

    generator: Any
    prompts: Sequence[Prompt]
    seeds: int
    folder: Path
    reward: Any = None
    steps: int | None = None
    guidance: float | None = None
    values: dict[int, np.ndarray] = field(default_factory=dict)

    def __call__(self, step: int) -> Mapping[str, float]:
        """Draw at this step. "reward" is the mean of the known scores; it is left out where there is none."""
        from recipes.pictures import as_image

        kept = self._read(step)
        if kept is not None:
            self.values[step] = kept
            return _told(kept)
        from diffusion_core.types import GenerationRequest

        requests = [
            GenerationRequest(prompt.prompt, SEED + k, steps=self.steps, guidance=self.guidance)
            for prompt in self.prompts
            for k in range(self.seeds)
        ]
        with progress(f"images of step {step}", len(requests)) as ticker:
            done = 0

            def tick(now: int, total: int) -> None:
                nonlocal done
                ticker.advance(now - done)
                done = now

            samples = self.generator.generate(requests, on_progress=tick)
        values = self._score(samples)
        self.values[step] = values
        self._save(step, [as_image(sample) for sample in _first_frames(samples)], values)
        return _told(values)

    def _score(self, samples: Sequence[Any]) -> np.ndarray:
        shape = (len(self.prompts), self.seeds)
        if self.reward is None:
            return np.full(shape, np.nan)
        import torch

        from rewards.base import Item, Media, as_uint8

        found: list[float] = []
        rows = [(prompt, k) for prompt in self.prompts for k in range(self.seeds)]
        for start in range(0, len(samples), self.reward.max_batch):
            part = slice(start, start + self.reward.max_batch)
            pixels = as_uint8(torch.stack([sample.pixels for sample in samples[part]]))
            items = [
                Item(p.prompt, p.prompt, p.spec or {}, p.row_id, p.row_id, SEED + k) for p, k in rows[part]
            ]
            found += self.reward.score(Media(pixels), items).value.tolist()
        return np.array(found, dtype=np.float64).reshape(shape)

    def path(self, step: int, suffix: str) -> Path:
        return self.folder / f"step-{step:06d}{suffix}"

    def _save(self, step: int, images: Sequence[np.ndarray], values: np.ndarray) -> None:
        from recipes.pictures import save_png
        from recipes.report import shrink

        self.folder.mkdir(parents=True, exist_ok=True)
        shown = [shrink(image) for image in images[: SHOWN * self.seeds]]
        save_png(sheet(shown, self.seeds), self.path(step, ".png"))
        rows = [
            {
                "prompt": prompt.prompt,
                "seed": SEED + k,
                "value": None if math.isnan(values[p, k]) else float(values[p, k]),
            }
            for p, prompt in enumerate(self.prompts)
            for k in range(self.seeds)
        ]
        part = self.path(step, ".part")
        part.write_text(json.dumps(rows, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(self.path(step, ".json"))

    def _read(self, step: int) -> np.ndarray | None:
        path = self.path(step, ".json")
        if not path.is_file():
            return None
        rows = json.loads(path.read_text(encoding="utf-8"))
        asked = [(prompt.prompt, SEED + k) for prompt in self.prompts for k in range(self.seeds)]
        if [(row["prompt"], row["seed"]) for row in rows] != asked:
            return None
        values = [math.nan if row["value"] is None else row["value"] for row in rows]
        return np.array(values, dtype=np.float64).reshape(len(self.prompts), self.seeds)


def sheet(images: Sequence[np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Images in rows of `columns`, on white."""
    height, width = images[0].shape[:2]
    rows = math.ceil(len(images) / columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[y : y + height, x : x + width] = image
    return canvas


def _told(values: np.ndarray) -> dict[str, float]:
    known = values[np.isfinite(values)]
    return {"reward": float(known.mean()), "reward_known": float(len(known))} if len(known) else {}


def _first_frames(samples: Sequence[Any]) -> list[Any]:
    """Of a video its middle frame; pictures as they are."""
    from dataclasses import replace

    return [
        sample
        if sample.pixels.ndim == 3
        else replace(sample, pixels=sample.pixels[:, sample.pixels.shape[1] // 2])
        for sample in samples
    ]
