"""SPO: step-aware preference optimisation (Liang et al. 2024, arXiv:2406.04314)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from diffusion_core.losses.ratio import RatioLoss


@dataclass(frozen=True)
class SPO(RatioLoss):
    """The ratio loss on two next states drawn from the *same* x_t, the best and the worst of k by a step-aware reward: one forward of
    policy and reference serves both sides."""

    noising: ClassVar[str] = "forked_step"
    beta: float = 10.0
