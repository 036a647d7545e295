"""SmPO-Diffusion: smoothed preferences (Lu et al. 2025, ICML; released code)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion_core.losses.base import BetaLoss, error_gap, pair_metrics
from diffusion_core.losses.inputs import SoftPairErrors
from diffusion_core.types import LossOutput

PICKSCORE_RANGE = (
    0.11543526500463486,
    0.28201571106910706,
)  # lowest and highest cosine in the released labels


def soft_label(
    score_w: Tensor, score_l: Tensor, score_range: tuple[float, float] = PICKSCORE_RANGE
) -> Tensor:
    """(B,) probability that the winner is better: softmax of the two scores, scaled to [0, 1] by their range."""
    low, high = score_range
    return torch.sigmoid((score_w - score_l) / (high - low))


@dataclass(frozen=True)
class SmPO(BetaLoss):
    """−log σ(z), z = −½ β (2p − 1) γ Δ, with p the soft label: a pair without a preference (p = ½) has no gradient.

    x_t by ReNoise inversion. Defaults of SD 1.5: beta 2000 (SDXL 5000), `gamma` 10.
    """

    inputs: ClassVar[type] = SoftPairErrors
    noising: ClassVar[str] = "renoise"
    beta: float = 2000.0
    gamma: float = 10.0

    @property
    def effective_beta(self) -> float:
        """Of a pair that is certain (p = 1)."""
        return self.beta * self.gamma / 2

    def __call__(self, batch: SoftPairErrors) -> LossOutput:
        weight_B = self.gamma * (2 * batch.prob_w - 1).detach()
        z_B = -0.5 * self.beta * weight_B * error_gap(batch)
        return LossOutput(-F.logsigmoid(z_B).mean(), pair_metrics(batch, z_B))
