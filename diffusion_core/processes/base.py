"""What all Gaussian forward processes share: noising, regression targets, conversions, and the posterior of
a step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from diffusion_core.types import Gauss, Pred, Time


def as_time(t: Time) -> Tensor:
    """Times as float64: levels are differences of nearly equal numbers, and the tables are tiny."""
    return torch.as_tensor(t, dtype=torch.float64)


class Process(ABC):
    """A forward process with independent Gaussian noise, x_t = a(t) x0 + s(t) eps.

    A time is a number for the whole batch or a tensor (B,). Its unit is the process's own; `clean` is the
    time of x0 itself.
    """

    kinds: tuple[str, ...]  # the parameterisations a network may use, out of eps, x0, v, flow
    clean: float

    @abstractmethod
    def a(self, t: Time) -> Tensor:
        """Signal level at `t`, float64, shaped like `t`."""

    @abstractmethod
    def s(self, t: Time) -> Tensor:
        """Noise level at `t`, float64, shaped like `t`."""

    @abstractmethod
    def grid(self, steps: int) -> list[float]:
        """`steps` + 1 descending times, from noise to `clean`."""

    @abstractmethod
    def time_at(self, log_snr: Time) -> Tensor:
        """The time whose log-SNR is nearest to `log_snr`: the inverse of `log_snr`, up to the resolution of
        the process."""

    def log_snr(self, t: Time) -> Tensor:
        """log(a² / s²) at `t`; infinite on the clean level."""
        return 2 * (self.a(t).log() - self.s(t).log())

    def levels(self, t: Time, x: Tensor) -> tuple[Tensor, Tensor]:
        """(a, s) in `x`'s dtype and device, shaped to broadcast against it."""
        return self.fit(self.a(t), x), self.fit(self.s(t), x)

    @staticmethod
    def fit(level: Tensor, x: Tensor) -> Tensor:
        """A level, scalar or (B,), in `x`'s dtype and device and shaped to broadcast against it."""
        if level.ndim:
            level = level.reshape(-1, *[1] * (x.ndim - 1))
        return level.to(dtype=x.dtype, device=x.device)

    def noise(self, x0: Tensor, t: Time, eps: Tensor) -> Tensor:
        """x_t. `eps` is passed in, so that a winner and a loser can share it."""
        a, s = self.levels(t, x0)
        return a * x0 + s * eps

    def target(self, kind: str, x0: Tensor, eps: Tensor, t: Time) -> Tensor:
        """What a network of this kind regresses for (x0, eps, t); the inverse of `convert`.

        eps: eps · x0: x0 · v: a eps - s x0 (Salimans & Ho 2022) · flow: eps - x0
        """
        match self.check_kind(kind):
            case "eps":
                return eps
            case "x0":
                return x0
            case "v":
                a, s = self.levels(t, x0)
                return a * eps - s * x0
            case _:
                return eps - x0

    def convert(self, output: Tensor, kind: str, x_t: Tensor, t: Time) -> Pred:
        """A network's output, in its own parameterisation, as `Pred`: solves x_t = a x0 + s eps with the
        output's equation."""
        a, s = self.levels(t, x_t)
        match self.check_kind(kind):
            case "eps":
                return Pred((x_t - s * output) / a, output)
            case "x0":
                return Pred(output, (x_t - a * output) / s)
            case "v":
                norm = a * a + s * s
                return Pred((a * x_t - s * output) / norm, (s * x_t + a * output) / norm)
            case _:
                return Pred((x_t - s * output) / (a + s), (x_t + a * output) / (a + s))

    def posterior(self, x_t: Tensor, x0: Tensor, t: Time, t_next: Time) -> Gauss:
        """q(x_next | x_t, x0) for a less noisy `t_next` (Eq. 7 of Ho et al. 2020, for any a and s; Eq. 30 of
        Kingma et al. 2021)."""
        a_step, var_step, var_t, a_next, var_next = self.step_levels(t, t_next)
        from_x = self.fit(a_step * var_next / var_t, x_t)
        from_x0 = self.fit(a_next * var_step / var_t, x_t)
        return Gauss(from_x * x_t + from_x0 * x0, self.fit(self.posterior_std(t, t_next), x_t))

    def step_levels(self, t: Time, t_next: Time) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(a_step, var_step, var_t, a_next, var_next) float64, where x_t given x_next is N(a_step x_next,
        var_step)."""
        a_next, var_t, var_next = self.a(t_next), self.s(t).square(), self.s(t_next).square()
        a_step = self.a(t) / a_next
        return a_step, (var_t - a_step.square() * var_next).clamp_min(0), var_t, a_next, var_next

    def posterior_std(self, t: Time, t_next: Time) -> Tensor:
        """Standard deviation of `posterior`, float64, shaped like the times."""
        _, var_step, var_t, _, var_next = self.step_levels(t, t_next)
        return (var_step * var_next / var_t).sqrt()

    def check_kind(self, kind: str) -> str:
        """`kind`, or a ValueError that names the known ones."""
        if kind not in self.kinds:
            raise ValueError(
                f"{type(self).__name__} has no parameterisation {kind!r}; known: {', '.join(self.kinds)}"
            )
        return kind
