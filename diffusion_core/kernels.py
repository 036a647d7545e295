"""Reverse steps as distributions: `kernel(pred, x, t, t_next) -> Gauss`.

A step that says how likely its outcome was is what policy gradients, resampling and guidance need;
schedulers give only the outcome.
`t` is a number for the batch or a tensor (B,); `x` is (B, ...). Kernels are pure and hold no state between
steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from diffusion_core.processes import Flow, Process
from diffusion_core.processes.base import as_time
from diffusion_core.types import Gauss, Pred, Time


class Kernel(Protocol):
    """One reverse step, from `t` to the less noisy `t_next`."""

    def __call__(self, pred: Pred, x: Tensor, t: Time, t_next: Time) -> Gauss: ...


@dataclass(frozen=True)
class DDIM:
    """DDIM, Eq. 12 and 16 of Song et al. 2021 (arXiv:2010.02502), for any process: eta 0 is the ODE, eta 1
    the ancestral posterior."""

    process: Process
    eta: float = 0.0

    def __call__(self, pred: Pred, x: Tensor, t: Time, t_next: Time) -> Gauss:
        fit = self.process.fit
        std = self.eta * self.process.posterior_std(t, t_next)
        direction = (self.process.s(t_next).square() - std.square()).clamp_min(0).sqrt()
        mean = fit(self.process.a(t_next), x) * pred.x0 + fit(direction, x) * pred.eps
        return Gauss(mean, fit(std, x))


@dataclass(frozen=True)
class Ancestral:
    """DDPM's reverse step (Ho et al. 2020, §3.2): mean of q(x_next | x_t, x0_hat); variance of that
    posterior, or of the forward step."""

    process: Process
    variance: Literal["posterior", "forward"] = "posterior"

    def __call__(self, pred: Pred, x: Tensor, t: Time, t_next: Time) -> Gauss:
        step = self.process.posterior(x, pred.x0, t, t_next)
        if self.variance == "posterior":
            return step
        if self.variance != "forward":
            raise ValueError(f"unknown variance {self.variance!r}; known: posterior, forward")
        var_step = self.process.step_levels(t, t_next)[1]
        # the step onto clean data adds no noise, whichever variance is chosen
        std = torch.where(self.process.s(t_next) > 0, var_step.sqrt(), torch.zeros_like(var_step))
        return Gauss(step.mean, self.process.fit(std, x))


@dataclass(frozen=True)
class FlowEuler:
    """Euler's method for dx/dt = eps - x0; deterministic. On `Flow` it is DDIM with eta 0, without its
    divisions."""

    process: Flow

    def __call__(self, pred: Pred, x: Tensor, t: Time, t_next: Time) -> Gauss:
        dt = self.process.fit(as_time(t_next) - as_time(t), x)
        return Gauss(x + dt * pred.flow, torch.zeros_like(dt))


@dataclass(frozen=True)
class FlowSDE:
    """The flow ODE as an SDE with the same marginals as the steps shrink (Flow-GRPO, Liu et al. 2025,
    arXiv:2505.05470).

    sigma_t = a sqrt(t / (1 - t)); at t = 1 the 1 - t inside the root is taken at the next time, as in the
    released code.
    """

    process: Flow
    a: float = 0.7

    def __call__(self, pred: Pred, x: Tensor, t: Time, t_next: Time) -> Gauss:
        now, after = as_time(t), as_time(t_next)
        dt = after - now
        var = self.a**2 * now / (1 - torch.where(now >= 1, after, now))
        from_x = 1 + var / (2 * now) * dt
        from_flow = (1 + var * (1 - now) / (2 * now)) * dt
        fit = self.process.fit
        return Gauss(fit(from_x, x) * x + fit(from_flow, x) * pred.flow, fit((var * -dt).sqrt(), x))
