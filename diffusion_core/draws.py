"""Which noise and which times a pair gets: a function of (seed, pair, visit) alone.

Nothing here depends on the batch or the process a pair happens to be in, so that a run that goes on, a run on two processes, and errors of
the reference taken beforehand all see the same draws. The one exception is `Times.stratified` over the batch, which goes by positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from diffusion_core.processes import DDPM, Process

Density = Literal["uniform", "logit_normal"]
GOLDEN = 0.6180339887498949  # its multiples fill [0, 1) evenly, however many there are


def seed_of(*parts: object) -> int:
    """A 63-bit seed from anything with a stable text."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generators(seed: int, pairs: Sequence[int], visits: Sequence[int], draws: int) -> list[torch.Generator]:
    """One for every row of [winners; losers], each pair's `draws` next to each other: 2 · len(pairs) · draws."""
    return [
        torch.Generator().manual_seed(seed_of(seed, pair, visit, draw, side))
        for side in ("w", "l")
        for pair, visit in zip(pairs, visits, strict=True)
        for draw in range(draws)
    ]


@dataclass(frozen=True)
class Times:
    """How times are drawn: by the process's own clock uniformly, or logit-normally (flow models, Esser et al. 2024).

    `low` and `high` bound the share of the distribution that is used: (0, 0.2) trains the least noisy fifth, as for a refiner.
    `stratified` spreads a step's draws evenly over the distribution: the same expectation with less variance.
    """

    density: Density = "uniform"
    mean: float = 0.0
    std: float = 1.0
    low: float = 0.0
    high: float = 1.0
    stratified: bool = True

    def __post_init__(self) -> None:
        if self.density not in ("uniform", "logit_normal"):
            raise ValueError(f"density={self.density!r} must be uniform or logit_normal")
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"low={self.low} and high={self.high} must be 0 <= low < high <= 1")
        if not self.std > 0:
            raise ValueError(f"std={self.std} must be above 0")

    @classmethod
    def of(cls, process: Process) -> Times:
        """What the field uses: uniform for DDPM, logit-normal (0, 1) for flow."""
        return cls("uniform" if isinstance(process, DDPM) else "logit_normal")

    def quantiles(
        self,
        seed: int,
        pairs: Sequence[int],
        visits: Sequence[int],
        draws: int,
        positions: Sequence[int] | None,
        total: int,
    ) -> Tensor:
        """(len(pairs) · draws,) in [0, 1), a pair's draws next to each other.

        `positions` of the pairs in the whole step's batch of `total` pairs; None where a draw may depend on its pair alone: then a pair's
        visits are spread instead.
        """
        found = []
        for number, (pair, visit) in enumerate(zip(pairs, visits, strict=True)):
            if not self.stratified:
                rng = torch.Generator().manual_seed(seed_of(seed, pair, visit, "time"))
                found.append(torch.rand(draws, generator=rng, dtype=torch.float64))
                continue
            first = seed_of(seed, pair, "time") / 2**63
            part = (first + visit * GOLDEN) % 1
            if positions is not None:
                part = (positions[number] + part) / total
            # a pair's draws lie a `draws`-th apart, and with positions every one of the step has a part of its own
            found.append((torch.arange(draws, dtype=torch.float64) + part) / draws)
        return torch.cat(found)

    def times(self, process: Process, quantile: Tensor) -> Tensor:
        """Times of the process at these quantiles, float64: whole numbers for DDPM, never the clean level."""
        u = self.low + (self.high - self.low) * quantile
        if self.density == "logit_normal":
            u = torch.sigmoid(self.mean + self.std * torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)))
        if isinstance(process, DDPM):
            return (u * process.train_steps).floor().clamp_max(process.train_steps - 1)
        return u.clamp(1e-3, 1.0)
