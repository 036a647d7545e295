"""Worlds small enough to know the answer: Gaussian mixtures with a known reward, and what preference training can reach on them.

Of a reference distribution q and a reward r the best there is at every distance is a tilt, q_λ ∝ q exp(r/λ): no distribution with the same
KL from q has a higher mean reward. A method is placed beside that curve. Axes: N samples, D dimensions, K modes, C cells of a histogram.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_core.processes import Process
from diffusion_core.types import Pred, Time


@dataclass(frozen=True, eq=False)
class Mixture:
    """K isotropic normals: `means` (K, D), `std` of all, `weights` (K,) that sum to 1."""

    means: Tensor
    std: float
    weights: Tensor

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """(N, D) float32."""
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], generator=generator)
        return self.means[mode].float() + self.std * noise

    def log_density(self, x_ND: Tensor) -> Tensor:
        """(N,) nats."""
        return self._log_weights(x_ND, 1.0, self.std**2).logsumexp(1)

    def predict(self, process: Process, x_t: Tensor, t: Time) -> Pred:
        """The perfect denoiser, E[x0 | x_t] in closed form, for x_t (N, D) at one time `t`."""
        a, s = float(process.a(t)), float(process.s(t))
        var = a * a * self.std**2 + s * s
        mode_NK = self._log_weights(x_t, a, var).softmax(1)
        pull = a * self.std**2 / var
        x0_NKD = self.means + pull * (x_t[:, None] - a * self.means)
        return process.convert((mode_NK[..., None] * x0_NKD).sum(1), "x0", x_t, t)

    def _log_weights(self, x_ND: Tensor, scale: float, var: float) -> Tensor:
        """(N, K): log of weight times density of each mode, with its mean times `scale` and variance `var`."""
        far_NK = (x_ND[:, None] - scale * self.means).square().sum(2)
        normal = 0.5 * self.means.shape[1] * math.log(2 * math.pi * var)
        return self.weights.log() - far_NK / (2 * var) - normal


@dataclass(frozen=True)
class World:
    """A mixture, the cube [-half, half]^D its histograms cover in `cells` a side, and a reward along the first axis."""

    mixture: Mixture
    half: float
    cells: int
    scale: float = 2.0

    @property
    def dims(self) -> int:
        return self.mixture.means.shape[1]

    def reward(self, x: Tensor) -> Tensor:
        """(...,) of x (..., D): 2 tanh(x_1), bounded, so that no method wins by leaving the data."""
        return self.scale * torch.tanh(x[..., 0])

    def prefer(self, x_a: Tensor, x_b: Tensor, generator: torch.Generator) -> Tensor:
        """(N,) bool, whether a beats b: one Bradley–Terry draw each."""
        chance = torch.sigmoid(self.reward(x_a) - self.reward(x_b))
        return torch.rand(chance.shape, generator=generator) < chance

    def histogram(self, x_ND: Tensor) -> Tensor:
        """(C,) shares, float64; what lies outside counts to the cell at the rim."""
        counts = torch.bincount(self._cell(x_ND), minlength=self.cells**self.dims).double()
        return counts / counts.sum()

    def _cell(self, x_ND: Tensor) -> Tensor:
        """(N,) index of each sample's cell."""
        place = (x_ND + self.half) / (2 * self.half) * self.cells
        place = place.clamp(0, self.cells - 1).long()
        index = torch.zeros(len(x_ND), dtype=torch.long)
        for d in range(self.dims):
            index = index * self.cells + place[:, d]
        return index

    def mean_reward_by_cell(self, x_ND: Tensor) -> Tensor:
        """(C,) mean reward of the samples in each cell, float64; of the cell's centre where there are none."""
        side = (torch.arange(self.cells, dtype=torch.float64) + 0.5) / self.cells * 2 * self.half - self.half
        centre = side.repeat_interleave(self.cells ** (self.dims - 1))
        found, cell = self.reward(centre[:, None]), self._cell(x_ND)
        counts = torch.bincount(cell, minlength=len(found))
        sums = torch.bincount(cell, weights=self.reward(x_ND).double(), minlength=len(found))
        return torch.where(counts > 0, sums / counts.clamp_min(1), found)


def line() -> World:
    """Three modes on a line; the best is the rarest."""
    means = torch.tensor([[-2.0], [0.0], [2.0]], dtype=torch.float64)
    return World(Mixture(means, 0.35, torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)), half=4.0, cells=40)


def ring() -> World:
    """Six modes on a circle of radius 2, equally likely."""
    angle = torch.arange(6, dtype=torch.float64) * math.pi / 3
    means = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    return World(Mixture(means, 0.3, torch.full((6,), 1 / 6, dtype=torch.float64)), half=4.0, cells=16)


WORLDS = {"line": line, "ring": ring}


def divergence(p: Tensor, q: Tensor, floor: float = 1e-6) -> float:
    """KL(p ‖ q) of two histograms (C,), nats; a cell empty in q counts as `floor`."""
    held = p > 0
    return float((p[held] * (p[held] / q[held].clamp_min(floor)).log()).sum())


def tilt(q: Tensor, reward: Tensor, strength: float) -> Tensor:
    """(C,) q exp(r · strength), normalised; strength is 1/λ."""
    return (q.clamp_min(1e-300).log() + strength * reward).softmax(0)


@dataclass(frozen=True, eq=False)
class Frontier:
    """The best mean reward at every distance from q: `kl` rising from 0, `mean_reward` beside it."""

    kl: Tensor
    mean_reward: Tensor

    @classmethod
    def of(cls, q: Tensor, reward: Tensor, points: int = 400) -> Frontier:
        """By tilting the histogram `q` (C,) with the reward (C,) of its cells, at strengths from 0 to 50."""
        strengths = torch.cat([torch.zeros(1), torch.logspace(-3, math.log10(50), points - 1)]).double()
        tilts = [tilt(q, reward, float(s)) for s in strengths]
        return cls(
            torch.tensor([divergence(p, q) for p in tilts]), torch.stack([(p * reward).sum() for p in tilts])
        )

    @property
    def start(self) -> float:
        """Mean reward of q itself."""
        return float(self.mean_reward[0])

    def reward_at(self, kl: float) -> float:
        """The highest mean reward at a distance, by linear interpolation; beyond the curve its end."""
        if kl <= 0:
            return self.start
        right = int(
            torch.searchsorted(self.kl, torch.tensor(kl, dtype=self.kl.dtype)).clamp(1, len(self.kl) - 1)
        )
        (k0, k1), (r0, r1) = (
            self.kl[right - 1 : right + 1].tolist(),
            self.mean_reward[right - 1 : right + 1].tolist(),
        )
        return r0 + (r1 - r0) * min(1.0, (kl - k0) / max(k1 - k0, 1e-12))

    def share(self, mean_reward: float, kl: float) -> float | None:
        """Gain over q divided by the greatest gain at this distance; None too near to q for the quotient to mean anything."""
        most = self.reward_at(kl) - self.start
        return (mean_reward - self.start) / most if most > 1e-3 else None


def best_of(q: Tensor, reward: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """For each n the distribution (C,) of the best of n draws from q, exact; cells of equal reward share by their mass in q."""
    _, rank = reward.unique(return_inverse=True)
    mass = torch.zeros(int(rank.max()) + 1, dtype=q.dtype).index_add(0, rank, q)
    below = torch.cat([torch.zeros(1, dtype=q.dtype), mass.cumsum(0)])
    return [((below[1:] ** n - below[:-1] ** n) / mass.clamp_min(1e-300))[rank] * q for n in counts]
