"""The straight path between data and noise (rectified flow, Liu et al. 2022; flow matching, Lipman et al.
2022), as used by SD3 and FLUX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from diffusion_core.processes.base import Process, as_time
from diffusion_core.types import Time


@dataclass(frozen=True)
class Flow(Process):
    """x_t = (1 - t) x0 + t eps with t in [0, 1], t = 1 noise. `shift` > 1 spends more of a grid's steps near
    noise (SD3 uses 3)."""

    shift: float = 1.0

    kinds: ClassVar[tuple[str, ...]] = ("flow", "x0")
    clean: ClassVar[float] = 0.0

    def a(self, t: Time) -> Tensor:
        return 1 - as_time(t)

    def s(self, t: Time) -> Tensor:
        return as_time(t)

    def time_at(self, log_snr: Time) -> Tensor:
        return torch.sigmoid(-as_time(log_snr) / 2)

    def grid(self, steps: int) -> list[float]:
        """Evenly spaced, then shifted: t' = shift t / (1 + (shift - 1) t), §5.3.2 of Esser et al. 2024
        (arXiv:2403.03206).

        diffusers' FlowMatchEulerDiscreteScheduler, left to itself, shifts its lower end twice; given these
        times unshifted as `sigmas` it agrees.
        """
        if steps < 1:
            raise ValueError(f"{steps} steps asked; take at least 1")
        even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        return (self.shift * even / (1 + (self.shift - 1) * even)).tolist()
