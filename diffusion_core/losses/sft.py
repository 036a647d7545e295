"""Supervised fine-tuning on winners: the baseline of every preference method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from diffusion_core.losses.base import Loss
from diffusion_core.types import LossOutput, PairErrors


@dataclass(frozen=True)
class SFT(Loss):
    """mean(e_w), what the model was pre-trained with."""

    needs_reference: ClassVar[bool] = False

    def __call__(self, batch: PairErrors) -> LossOutput:
        return LossOutput(batch.policy_w.mean(), {"winner_error": batch.policy_w.detach().mean()})
