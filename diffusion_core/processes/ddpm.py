"""The variance-preserving process with a table of levels (Ho et al. 2020, arXiv:2006.11239), as used by
Stable Diffusion 1, 2 and XL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor

from diffusion_core.processes.base import Process, as_time
from diffusion_core.types import Time


@dataclass(frozen=True)
class DDPM(Process):
    """x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps, t = 0 … `train_steps` - 1; any t < 0 is the clean
    level.

    The defaults are those of Stable Diffusion. `final_alpha_one=False` puts the clean level at alpha_bar_0,
    as its released configurations do, instead of at 1. `snr_shift` divides the signal-to-noise ratio at every
    time (CogVideoX, Yang et al. 2024, arXiv:2408.06072, has 3 or 1), before the end is shifted to zero SNR.
    """

    train_steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "scaled_linear"
    final_alpha_one: bool = True
    snr_shift: float = 1.0
    zero_terminal_snr: bool = False
    spacing: Literal["leading", "trailing", "linspace", "linspace_open"] = "leading"
    steps_offset: int = 0

    kinds: ClassVar[tuple[str, ...]] = ("eps", "x0", "v")
    clean: ClassVar[float] = -1.0

    @cached_property
    def alpha_bar(self) -> Tensor:
        """alpha_bar_t for t = 0 … train_steps - 1, float64."""
        alpha_bar = (1 - self._betas()).cumprod(0)
        alpha_bar = alpha_bar / (self.snr_shift + (1 - self.snr_shift) * alpha_bar)
        if not self.zero_terminal_snr:
            return alpha_bar
        root = (
            alpha_bar.sqrt()
        )  # Algorithm 1 of Lin et al. 2023 (arXiv:2305.08891): shift the end to 0, keep the start
        return ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()

    def _betas(self) -> Tensor:
        n = self.train_steps
        if self.schedule == "linear":
            return torch.linspace(self.beta_start, self.beta_end, n, dtype=torch.float64)
        if self.schedule == "scaled_linear":
            return torch.linspace(self.beta_start**0.5, self.beta_end**0.5, n, dtype=torch.float64).square()
        if self.schedule == "squaredcos_cap_v2":  # Nichol & Dhariwal 2021
            level = [math.cos((i / n + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(n + 1)]
            betas = [min(1 - after / before, 0.999) for before, after in pairwise(level)]
            return torch.tensor(betas, dtype=torch.float64)
        raise ValueError(
            f"unknown schedule {self.schedule!r}; known: linear, scaled_linear, squaredcos_cap_v2"
        )

    @cached_property
    def _table(self) -> Tensor:
        final = torch.ones(1, dtype=torch.float64) if self.final_alpha_one else self.alpha_bar[:1]
        return torch.cat([final, self.alpha_bar])

    def _alpha_bar_at(self, t: Time) -> Tensor:
        index = as_time(t).round().long() + 1
        if bool((index > self.train_steps).any()):
            raise ValueError(f"time {t} is outside this process, which ends at {self.train_steps - 1}")
        return self._table.to(index.device)[index.clamp_min(0)]

    def a(self, t: Time) -> Tensor:
        return self._alpha_bar_at(t).sqrt()

    def s(self, t: Time) -> Tensor:
        return (1 - self._alpha_bar_at(t)).sqrt()

    def time_at(self, log_snr: Time) -> Tensor:
        """The index whose log-SNR is nearest, float64. Network times are integers here, so this is a snap,
        not an interpolation."""
        wanted = as_time(log_snr)
        known = self.log_snr(torch.arange(self.train_steps, device=wanted.device))
        return (wanted.unsqueeze(-1) - known).abs().argmin(-1).double()

    def grid(self, steps: int) -> list[float]:
        """Times with the spacing of diffusers' DDIMScheduler, so that a pipeline sees the times it was
        released with; "linspace_open" is what its multistep solvers call linspace, without the 0 at the end."""
        n = self.train_steps
        if not 1 <= steps <= n - self.steps_offset:
            raise ValueError(
                f"{steps} steps asked of a process with {n} levels; take 1 to {n - self.steps_offset}"
            )
        if self.spacing == "leading":
            times = [i * (n // steps) + self.steps_offset for i in reversed(range(steps))]
        elif self.spacing == "trailing":
            times = [round(n - i * n / steps) - 1 for i in range(steps)]
        elif self.spacing == "linspace":
            times = [round(t) for t in torch.linspace(n - 1, 0, steps, dtype=torch.float64).tolist()]
        elif self.spacing == "linspace_open":
            times = [round(t) for t in torch.linspace(n - 1, 0, steps + 1, dtype=torch.float64)[:-1].tolist()]
        else:
            raise ValueError(
                f"unknown spacing {self.spacing!r}; known: leading, trailing, linspace, linspace_open"
            )
        return [*map(float, times), self.clean]
