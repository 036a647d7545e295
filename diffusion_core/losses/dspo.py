"""DSPO: direct score preference optimisation (Zhu et al. 2025, ICLR; the released SD 1.5 form)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from diffusion_core.losses.base import BetaLoss, error_gap, pair_metrics
from diffusion_core.losses.inputs import PredictionBatch
from diffusion_core.types import LossOutput


@dataclass(frozen=True)
class DSPO(BetaLoss):
    """mean ‖(ε_θ − ε) − β (1 − σ(z)) (ε_θ − ε_ref)‖² on winners, z = −½ β Δ with the same β.

    At beta 0.001 to 0.05 z is nearly 0 and σ(z) nearly ½, so the loser hardly matters: the release is that way. Its SDXL branch is
    another rule, which switches form at a mean square of 0.1; it is not here.
    """

    inputs: ClassVar[type] = PredictionBatch
    beta: float = 0.01

    @property
    def effective_beta(self) -> float:
        return self.beta / 2

    def __call__(self, batch: PredictionBatch) -> LossOutput:
        errors = batch.errors()
        z_B = -0.5 * self.beta * error_gap(errors)
        pull_B = self.beta * (1 - torch.sigmoid(z_B))
        pull = pull_B.reshape(-1, *[1] * (batch.policy_w.ndim - 1))
        residual = (batch.policy_w - batch.target_w) - pull * (batch.policy_w - batch.ref_w.detach())
        return LossOutput(residual.square().flatten(1).mean(1).mean(), pair_metrics(errors, z_B))
