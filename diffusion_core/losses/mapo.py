"""MaPO: margin-aware preference optimisation without a reference (Hong et al. 2024, arXiv:2406.06424)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion_core.losses.base import BetaLoss, margin_metrics
from diffusion_core.types import LossOutput, PairErrors


def phi(error: Tensor, s: float) -> Tensor:
    """s x / (exp(s x) − 1), falling from φ(0) = 1; below 1e-4 by its series, where the quotient is 0/0 or loses digits."""
    x = s * error
    small = x.abs() < 1e-4
    safe = torch.where(
        small, torch.ones_like(x), x
    )  # no 0/0 in the branch that is not taken: its gradient would be NaN
    return torch.where(small, 1 - x / 2 + x.square() / 12, safe / torch.expm1(safe))


@dataclass(frozen=True)
class MaPO(BetaLoss):
    """mean(e_w) − β mean(log σ(T (φ(e_w) − φ(e_l)))).

    For small errors T (φ_w − φ_l) ≈ −½ s T (e_w − e_l): a reference-free Diffusion-DPO with beta 500, beside SFT with weight 1.
    Default: `snr` s = 0.5, `train_steps` T = 1000. `reference_compat=True` takes φ as released, which is NaN at error 0.
    """

    needs_reference: ClassVar[bool] = False
    beta: float = 0.1
    snr: float = 0.5
    train_steps: int = 1000
    reference_compat: bool = False

    def __call__(self, batch: PairErrors) -> LossOutput:
        phi_w, phi_l = (self._phi(error_B) for error_B in (batch.policy_w, batch.policy_l))
        z_B = (self.train_steps * (phi_w - phi_l)).to(batch.policy_w.dtype)
        loss = batch.policy_w.mean() - self.beta * F.logsigmoid(z_B).mean()
        return LossOutput(loss, {**margin_metrics(z_B), "winner_error": batch.policy_w.detach().mean()})

    def _phi(self, error: Tensor) -> Tensor:
        if self.reference_compat:
            return self.snr * error / (torch.exp(self.snr * error) - 1)
        return phi(error.double(), self.snr)  # T = 1000 makes float32's last digit of φ a visible error
