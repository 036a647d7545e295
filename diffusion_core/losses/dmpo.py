"""DMPO: divergence-minimisation preference optimisation (Li et al. 2025, arXiv:2507.07510; as released with Diffusion-SDPO)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F

from diffusion_core.losses.base import BetaLoss, error_gap, pair_metrics
from diffusion_core.types import LossOutput, PairErrors


@dataclass(frozen=True)
class DMPO(BetaLoss):
    """KL(Bernoulli(σ(z)) ‖ Bernoulli(1 − α)), z = −½ β Δ: the reverse divergence, finite-valued and 0 at σ(z) = 1 − α."""

    beta: float = 2000.0
    alpha: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha={self.alpha} must lie in (0, 1)")

    @property
    def effective_beta(self) -> float:
        return self.beta / 2

    def __call__(self, batch: PairErrors) -> LossOutput:
        z_B = -0.5 * self.beta * error_gap(batch)
        log_p, log_q = F.logsigmoid(z_B), F.logsigmoid(-z_B)
        kl_B = log_p.exp() * (log_p - math.log1p(-self.alpha)) + log_q.exp() * (log_q - math.log(self.alpha))
        return LossOutput(kl_B.mean(), pair_metrics(batch, z_B))
