"""Diffusion-KTO: thumbs up or down for single images (Li et al. 2024, arXiv:2404.04465)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from diffusion_core.losses.base import BetaLoss
from diffusion_core.losses.inputs import UnpairedErrors
from diffusion_core.types import LossOutput


@dataclass(frozen=True)
class KTO(BetaLoss):
    """mean λ (1 − σ(±β (g − kl))), g = reference's error − policy's, + for a liked image; kl = max(0, mean g), without gradient.

    `liked_weight` and `disliked_weight` are the λ. The mean is over the whole batch of all processes: whoever has several hands it in
    as `UnpairedErrors.kl`. Default beta of the released SD 1.5 run.
    """

    inputs: ClassVar[type] = UnpairedErrors
    noising: ClassVar[str] = "independent"
    beta: float = 1000.0
    liked_weight: float = 1.0
    disliked_weight: float = 1.0

    @property
    def effective_beta(self) -> float:
        return self.beta

    def __call__(self, batch: UnpairedErrors) -> LossOutput:
        gain_B = batch.ref.detach() - batch.policy
        mean_gain = gain_B.mean() if batch.kl is None else batch.kl
        kl = mean_gain.detach().clamp_min(0)
        sign_B = torch.where(batch.liked, 1.0, -1.0).to(gain_B.dtype)
        weight_B = torch.where(batch.liked, self.liked_weight, self.disliked_weight).to(gain_B.dtype)
        value_B = torch.sigmoid(sign_B * self.beta * (gain_B - kl))
        metrics = {"kl": kl, "gain": gain_B.detach().mean(), "value": value_B.detach().mean()}
        return LossOutput((weight_B * (1 - value_B)).mean(), metrics)
