"""D3PO: every step inherits the label of its trajectory (Yang et al. 2023, arXiv:2311.13231)."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F

from diffusion_core.losses.base import margin_metrics
from diffusion_core.losses.inputs import ComparedLogProbs
from diffusion_core.losses.ratio import RatioLoss
from diffusion_core.types import LossOutput, StepLogProbs


@dataclass(frozen=True)
class D3PO(RatioLoss):
    """The ratio loss on the same step of two independent trajectories. With `ComparedLogProbs` the preference may also be a tie, which
    has no gradient. With these defaults the loss lies in [0.683, 0.703]: "stuck at 0.693" is by design."""

    beta: float = 0.1

    def __call__(self, batch: StepLogProbs) -> LossOutput:
        z_B, clipped = self.margin(batch)
        if isinstance(batch, ComparedLogProbs):
            z_B = z_B * batch.preference
        return LossOutput(-F.logsigmoid(z_B).mean(), {**margin_metrics(z_B), **clipped})
