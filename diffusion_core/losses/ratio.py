"""The core of the online methods: a clipped ratio of step probabilities for each side of a pair."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from diffusion_core.losses.base import BetaLoss, margin_metrics
from diffusion_core.types import LossOutput, StepLogProbs


@dataclass(frozen=True)
class RatioLoss(BetaLoss):
    """−log σ(β log ρ_w − β log ρ_l), ρ = clamp(exp(ℓ_θ − ℓ_ref), 1 − ε, 1 + ε), ℓ the *mean* log-probability of one step.

    A clipped side has no gradient, and the margin cannot leave ±β log((1 + ε)/(1 − ε)).
    """

    inputs: ClassVar[type] = StepLogProbs
    noising: ClassVar[str] = "trajectory"
    clip: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.clip < 1:
            raise ValueError(f"{type(self).__name__}: clip={self.clip} must lie in (0, 1)")

    @property
    def largest_margin(self) -> float:
        return self.beta * math.log((1 + self.clip) / (1 - self.clip))

    def margin(self, batch: StepLogProbs) -> tuple[Tensor, dict[str, Tensor]]:
        """z (B,), and the share of each side that is clipped."""
        low, high = math.log(1 - self.clip), math.log(1 + self.clip)
        ratio_w = batch.policy_w - batch.ref_w.detach()
        ratio_l = batch.policy_l - batch.ref_l.detach()
        z_B = self.beta * (ratio_w.clamp(low, high) - ratio_l.clamp(low, high))
        clipped = {
            f"clipped_{side}": ((r < low) | (r > high)).to(r.dtype).mean()
            for side, r in (("w", ratio_w.detach()), ("l", ratio_l.detach()))
        }
        return z_B, clipped

    def __call__(self, batch: StepLogProbs) -> LossOutput:
        z_B, clipped = self.margin(batch)
        return LossOutput(-F.logsigmoid(z_B).mean(), {**margin_metrics(z_B), **clipped})
