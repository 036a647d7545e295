"""Diffusion-SDPO: the loser's gradient is scaled so that the winner's error does not rise (arXiv:2511.03317)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from diffusion_core.losses.diffusion_dpo import DiffusionDPO
from diffusion_core.losses.inputs import PredictionBatch
from diffusion_core.types import LossOutput, PairErrors


def loser_scale(batch: PredictionBatch, mu: float) -> Tensor:
    """λ in [0, 1], without gradient: the largest with (−g_w + λ g_l)·g_w ≤ −μ ‖g_w‖², g the errors' gradients at the output.

    1 where the two gradients do not point the same way. One number for the batch, as in the release.
    """
    gap_w, gap_l = (batch.policy_w - batch.target_w).detach(), (batch.policy_l - batch.target_l).detach()
    aligned = (gap_w * gap_l).sum()
    scale = (1 - mu) * gap_w.square().sum() / aligned.clamp_min(1e-9)
    return torch.where(aligned > 0, scale.clamp(0, 1), torch.ones_like(scale))


@dataclass(frozen=True)
class SDPO(DiffusionDPO):
    """Diffusion-DPO's value; its gradient by the loser's error times λ. Default `mu` of SD 1.5 (0.9; SDXL 0.6); 1 stops the loser's
    gradient wherever it would undo the winner's."""

    inputs: ClassVar[type] = PredictionBatch
    mu: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.mu <= 1:
            raise ValueError(f"mu={self.mu} must lie in [0, 1]")

    def __call__(self, batch: PredictionBatch | PairErrors) -> LossOutput:
        if not isinstance(batch, PredictionBatch):
            raise TypeError(
                "sdpo needs predictions (PredictionBatch): its scale is read from the gradients at the model's output"
            )
        errors, scale = batch.errors(), loser_scale(batch, self.mu)
        fixed = errors.policy_l.detach()
        scaled = replace(errors, policy_l=fixed + scale * (errors.policy_l - fixed))
        found = super().__call__(scaled)
        return LossOutput(found.loss, {**found.metrics, "loser_scale": scale})
