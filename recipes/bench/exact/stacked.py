"""Many small networks as one: G groups, each with its own weights, trained side by side by batched products.

A grid of strengths times seeds is then one run. Axes: G groups, B rows, D dimensions, F time features.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from diffusion_core.processes import DDPM, Process

FREQUENCIES = 6


class StackedMLP(nn.Module):
    """(x (G, B, D), t (G, B) or (1, 1)) -> (G, B, D): two hidden layers of `width`, time as sines of the share of noise."""

    def __init__(self, groups: int, dims: int, process: Process, width: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.process = process
        draw = torch.Generator().manual_seed(seed)
        sizes = [dims + 1 + 2 * FREQUENCIES, width, width, dims]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for into, out in itertools.pairwise(sizes):
            one = torch.randn(1, into, out, generator=draw) / math.sqrt(into)
            self.weights.append(nn.Parameter(one.repeat(groups, 1, 1)))
            self.biases.append(nn.Parameter(torch.zeros(groups, 1, out)))

    @property
    def groups(self) -> int:
        return len(self.weights[0])

    def forward(self, x_GBD: Tensor, t_GB: Tensor) -> Tensor:
        time_GBF = self._time(t_GB).expand(*x_GBD.shape[:2], -1)
        h = torch.cat([x_GBD, time_GBF], -1)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, h, weight)
            if layer < len(self.weights) - 1:
                h = nn.functional.silu(h)
        return h

    def _time(self, t_GB: Tensor) -> Tensor:
        share = t_GB / (self.process.train_steps - 1) if isinstance(self.process, DDPM) else t_GB
        angle = share[..., None].float() * math.pi * 2.0 ** torch.arange(FREQUENCIES) / 2
        return torch.cat([share[..., None].float(), angle.sin(), angle.cos()], -1)

    def stacked(self, groups: int) -> StackedMLP:
        """`groups` copies of a network of one group, each with weights of its own."""
        copy = StackedMLP(groups, self.weights[-1].shape[-1], self.process, self.weights[0].shape[-1])
        with torch.no_grad():
            for mine, theirs in zip(copy.parameters(), self.parameters(), strict=True):
                mine.copy_(theirs.expand_as(mine))
        return copy


class GroupAdam:
    """Adam (Kingma & Ba 2015) with a learning rate (G,) of each group's own; 0 holds a group's weights still, though not its moments."""

    def __init__(
        self, network: StackedMLP, betas: tuple[float, float] = (0.9, 0.99), eps: float = 1e-8
    ) -> None:
        self.parameters = list(network.parameters())
        self.betas, self.eps, self.count = betas, eps, 0
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, rate_G: Tensor) -> None:
        """One update; gradients are cleared."""
        self.count += 1
        b1, b2 = self.betas
        rate = rate_G[:, None, None]
        for p, m, v in zip(self.parameters, self.first, self.second, strict=True):
            if p.grad is None:
                continue
            m.lerp_(p.grad, 1 - b1)
            v.lerp_(p.grad.square(), 1 - b2)
            scale = (v / (1 - b2**self.count)).sqrt_().add_(self.eps)
            p.sub_(rate * (m / (1 - b1**self.count)) / scale)
            p.grad = None
