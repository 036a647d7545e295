"""How clean latents become what a loss regresses on: shared noise, DDIM inversion, ReNoise, trajectories of the reference, partial noise.

Batches are [winners; losers] on the first axis, 2B rows. Inversion walks up the time grid; it is the one loop over times beside the sampler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from diffusion_core.kernels import Kernel
from diffusion_core.processes import Process
from diffusion_core.sampling import Model, sample
from diffusion_core.types import Pred, Randomness, randn_rows

# (x, t, rows) -> Pred: the network on those of the batch's rows that are still on their way, so that their conditioning can be picked.
Predict = Callable[[Tensor, Tensor, Tensor], Pred]


@dataclass(frozen=True, eq=False)
class Noised:
    """`x_t` (2B, ...), the time `t` (2B,) float64 at which the network is to be asked, and the noise `eps` that takes x0 there."""

    x_t: Tensor
    t: Tensor
    eps: Tensor


class Noising(Protocol):
    """`t` (2B,): the times drawn, one a pair, repeated."""

    needs_network: ClassVar[bool]

    def __call__(
        self, process: Process, x0: Tensor, t: Tensor, predict: Predict, generator: Randomness = None
    ) -> Noised: ...


@dataclass(frozen=True)
class SharedNoise:
    """One noise and one time for winner and loser (Diffusion-DPO): what differs between their errors is then the images, not the draw."""

    needs_network: ClassVar[bool] = False

    def __call__(
        self,
        process: Process,
        x0: Tensor,
        t: Tensor,
        predict: Predict | None = None,
        generator: Randomness = None,
    ) -> Noised:
        winners = _halves(x0)
        if isinstance(generator, Sequence):  # one a row, as for the others: the winners' draw for both
            generator = generator[: len(winners)]
        eps = randn_rows(winners, generator).repeat(2, *[1] * (x0.ndim - 1))
        times = t.double()
        return Noised(process.noise(x0, times, eps), times, eps)


@dataclass(frozen=True)
class IndependentNoise:
    """A noise for every row: single images (Diffusion-KTO)."""

    needs_network: ClassVar[bool] = False

    def __call__(
        self,
        process: Process,
        x0: Tensor,
        t: Tensor,
        predict: Predict | None = None,
        generator: Randomness = None,
    ) -> Noised:
        eps, times = randn_rows(x0, generator), t.double()
        return Noised(process.noise(x0, times, eps), times, eps)


@dataclass(frozen=True)
class DDIMInversion:
    """The image's own noise (InPO): x0 is carried up a grid of `steps` times by the network, and eps = (x_t − a x0)/s.

    The chain ends at the last grid time not above t (the first one where t is below all), and that is the time the network is asked at. `eta` adds noise of eta times the DDIM
    posterior's deviation after each step; the release has 0.1.
    `reference_compat=True` does as the releases of InPO and SmPO do: the chain ends at the last grid time *below* t, but network and levels
    are taken at t, up to a grid step away, and a t at or below the first grid time leaves x0 without noise.
    """

    steps: int = 10
    eta: float = 0.1
    reference_compat: bool = False
    needs_network: ClassVar[bool] = True

    def __call__(
        self, process: Process, x0: Tensor, t: Tensor, predict: Predict, generator: Randomness = None
    ) -> Noised:
        grid = rising_grid(process, self.steps)
        last = self._last_step(grid, t)
        x = x0
        for step, (now, then) in enumerate(zip([process.clean, *grid], grid, strict=False)):
            rows = (last >= step).nonzero().flatten()
            if not len(rows):
                break
            moved = self._step(process, x[rows], now, then, rows, predict)
            if self.eta:
                moved = moved + self.eta * self._noise(process, moved, now, then, rows, generator)
            x = x.index_copy(0, rows, moved)
        reached = t.double() if self.reference_compat else torch.tensor(grid, dtype=torch.float64)[last.cpu()]
        a, s = process.levels(reached, x0)
        return Noised(x, reached.to(x0.device), (x - a * x0) / s)

    def _last_step(self, grid: Sequence[float], t: Tensor) -> Tensor:
        """(2B,) index of the last grid time a row reaches; −1: none."""
        times = torch.tensor(grid, dtype=torch.float64, device=t.device)
        if self.reference_compat:
            return torch.searchsorted(times, t.double(), right=False) - 1
        return (torch.searchsorted(times, t.double(), right=True) - 1).clamp_min(0)

    def _step(
        self, process: Process, x: Tensor, now: float, then: float, rows: Tensor, predict: Predict
    ) -> Tensor:
        return climb(process, x, predict(x, _times(then, x), rows).eps, now, then)

    def _noise(
        self, process: Process, x: Tensor, now: float, then: float, rows: Tensor, generator: Randomness
    ) -> Tensor:
        drawn = [generator[i] for i in rows.tolist()] if isinstance(generator, Sequence) else generator
        return process.fit(process.posterior_std(then, now), x) * randn_rows(x, drawn)


@dataclass(frozen=True)
class ReNoise(DDIMInversion):
    """Inversion with each step's noise averaged over two estimates, the second at the tentative result (SmPO; Garibi et al. 2024)."""

    steps: int = 5
    eta: float = 0.0

    def _step(
        self, process: Process, x: Tensor, now: float, then: float, rows: Tensor, predict: Predict
    ) -> Tensor:
        first = predict(x, _times(then, x), rows).eps
        second = predict(climb(process, x, first, now, then), _times(then, x), rows).eps
        return climb(process, x, (first + second) / 2, now, then)


NOISINGS: dict[str, type[SharedNoise | IndependentNoise | DDIMInversion]] = {
    "shared": SharedNoise,
    "independent": IndependentNoise,
    "ddim_inversion": DDIMInversion,
    "renoise": ReNoise,
}


@dataclass(frozen=True, eq=False)
class InvertedPath:
    """The states `z_NB` (N, B, ...) of an inversion at their times `t` (N,), and the reference's noise `eps_NB` that led to each."""

    z_NB: Tensor
    eps_NB: Tensor
    t: Tensor


def invert_path(process: Process, x0: Tensor, steps: int, predict: Predict) -> InvertedPath:
    """The whole chain of `steps` from x0 (B, ...) upwards, for Inversion-DPO: state before each step and the noise predicted there."""
    states, noises, x = [], [], x0
    grid = rising_grid(process, steps)
    rows = torch.arange(len(x0), device=x0.device)
    for now, then in zip([process.clean, *grid], grid, strict=False):
        eps = predict(x, _times(then, x), rows).eps
        states.append(x)
        noises.append(eps)
        x = climb(process, x, eps, now, then)
    return InvertedPath(torch.stack(states), torch.stack(noises), torch.tensor(grid, dtype=torch.float64))


def partial_noise(
    model: Model,
    kernel: Kernel,
    process: Process,
    x0: Tensor,
    cond: Any,
    *,
    strength: float,
    steps: int,
    generator: Randomness = None,
) -> Tensor:
    """A variant of x0 (B, ...) with its structure: noised as far as the last round(strength · steps) steps of the grid undo, then denoised
    (DenseDPO). `strength` is a share of the steps: on a shifted grid the noise level is another number.

    Two calls with different generators give a pair that shares layout and motion. DenseDPO takes strengths of 0.65 to 0.8.
    Raises ValueError for a strength outside (0, 1] or so small that no step is left.
    """
    if not 0 < strength <= 1:
        raise ValueError(f"strength={strength} must lie in (0, 1]")
    grid = process.grid(steps)
    left = round(strength * steps)
    if left < 1:
        raise ValueError(
            f"strength={strength} of {steps} steps leaves none to take; use more steps, or at least {1 / steps:.2g}"
        )
    start = grid[steps - left]
    x = process.noise(x0, start, randn_rows(x0, generator))
    return sample(model, kernel, grid[steps - left :], x, cond, generator=generator)


def rising_grid(process: Process, steps: int) -> list[float]:
    """The grid's noisy times, upwards; a level of pure noise is left out, since no image can be told from it."""
    times = [t for t in reversed(process.grid(steps)[:-1]) if float(process.a(t)) > 0]
    if not times:
        raise ValueError(
            f"a grid of {steps} steps has no level between image and pure noise; take at least 2"
        )
    return times


def climb(process: Process, x: Tensor, eps: Tensor, now: float, then: float) -> Tensor:
    """DDIM's step the other way: x at `now` to the noisier `then`, with the noise `eps` held."""
    a_now, s_now = process.levels(now, x)
    a_then, s_then = process.levels(then, x)
    return a_then * (x - s_now * eps) / a_now + s_then * eps


def _times(t: float, x: Tensor) -> Tensor:
    return torch.full((len(x),), t, dtype=torch.float64, device=x.device)


def _halves(x0: Tensor) -> Tensor:
    if len(x0) % 2:
        raise ValueError(f"a batch of pairs is [winners; losers]; {len(x0)} rows cannot be halved")
    return x0[: len(x0) // 2]
