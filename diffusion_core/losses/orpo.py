"""ORPO on errors: SFT and a reference-free odds term (Hong et al. 2024, arXiv:2403.07691; diffusers' `diffusion_orpo` script)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from diffusion_core.losses.base import BetaLoss, margin_metrics
from diffusion_core.types import LossOutput, PairErrors


@dataclass(frozen=True)
class ORPO(BetaLoss):
    """mean(e_w) − β mean(log σ(e_l − e_w)).

    The script has e_w − e_l, which rewards a larger error on the winner; `reference_compat=True` does as it does. Neither has MaPO's
    factor of 1000, without which the odds term hardly matters beside SFT.
    """

    needs_reference: ClassVar[bool] = False
    beta: float = 0.1
    reference_compat: bool = False

    def __call__(self, batch: PairErrors) -> LossOutput:
        z_B = batch.policy_l - batch.policy_w
        if self.reference_compat:
            z_B = -z_B
        loss = batch.policy_w.mean() - self.beta * F.logsigmoid(z_B).mean()
        return LossOutput(loss, {**margin_metrics(z_B), "winner_error": batch.policy_w.detach().mean()})
