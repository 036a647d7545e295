"""Denoisers whose answer is known exactly, and tiny generators of the real classes on disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion_core.adapters import builders
from diffusion_core.denoiser import Denoiser, time_rows
from diffusion_core.processes import Process
from diffusion_core.types import Pred, Time


class GaussianDenoiser(Denoiser):
    """The exact posterior mean for data N(mean, std²), independently per element; `shift` biases x0 and can
    carry a gradient."""

    def __init__(
        self, process: Process, kind: str, mean: float, std: float, shift: Tensor | float = 0.0
    ) -> None:
        super().__init__(process, kind)
        self.mean, self.std, self.shift = mean, std, shift

    def raw(self, x_t: Tensor, t: Time, cond: Any = None) -> Tensor:
        a, s = self.process.levels(time_rows(t, x_t), x_t)
        mean = self.mean if cond is None else cond["mean"].reshape(-1, *[1] * (x_t.ndim - 1))
        x0 = mean + a * self.std**2 / (a**2 * self.std**2 + s**2) * (x_t - a * mean) + self.shift
        return self.process.target(self.kind, x0, (x_t - a * x0) / s, t)


@pytest.fixture
def gaussian() -> type[GaussianDenoiser]:
    return GaussianDenoiser


@pytest.fixture
def moments() -> Callable[..., tuple[float, float]]:
    """(mean, variance) of the samples of a kernel driven by the exact denoiser for N(mean, std²), without
    sampling.

    Every step is affine in x, so two evaluations of the kernel give its slope and offset, and the moments
    follow by recursion.
    """

    def propagate(
        process: Process, kernel: Any, steps: int, mean: float = 1.0, std: float = 0.5
    ) -> tuple[float, float]:
        denoiser = GaussianDenoiser(process, "x0", mean, std)
        grid = process.grid(steps)
        m, v = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
        for t, t_next in itertools.pairwise(grid):
            at = [
                kernel(denoiser(x, t, None), x, t, t_next) for x in (torch.zeros_like(m), torch.ones_like(m))
            ]
            slope = at[1].mean - at[0].mean
            m, v = slope * m + at[0].mean, slope**2 * v + at[0].std ** 2
        return m.item(), v.item()

    return propagate


@pytest.fixture
def exact_pred() -> Callable[[Process, Tensor, Tensor, Time], tuple[Tensor, Pred]]:
    """x_t and the true prediction for a given (x0, eps)."""
    return lambda process, x0, eps, t: (process.noise(x0, t, eps), Pred(x0, eps))


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny random generators: the pipeline classes, some twice for their variants, and two zoo
    transformers ("pixart", "joint")."""
    root = tmp_path_factory.mktemp("generators")
    torch.manual_seed(0)
    pipelines = {
        "sd": builders.stable_diffusion(),
        "sd_v": builders.stable_diffusion("v_prediction"),
        "sdxl": builders.stable_diffusion_xl(),
        "sd3": builders.stable_diffusion_3(),
        "flux": builders.flux(),
        "schnell": builders.flux(guidance_embeds=False),
        "sigma": builders.pixart(),
        "alpha": builders.pixart(alpha=True),
        "wan": builders.wan(),
        "cogvideox": builders.cogvideox(),
        "cogvideox_2b": builders.cogvideox(rotary=False),
        "cogvideox_1.5": builders.cogvideox(patch_size_t=2),
    }
    for name, pipe in pipelines.items():
        pipe.save_pretrained(root / name)
    builders.save_zoo(root / "pixart", "PixArtTransformer2DModel", "x0")
    builders.save_zoo(root / "joint", "SD3Transformer2DModel", "flow")
    return {name: root / name for name in (*pipelines, "pixart", "joint")}
