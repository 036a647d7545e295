"""DenseDPO: preferences per segment of a video (Wu et al. 2025, arXiv:2506.03517)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from diffusion_core.losses.base import BetaLoss, margin_metrics
from diffusion_core.losses.inputs import SegmentErrors
from diffusion_core.types import LossOutput


@dataclass(frozen=True)
class DenseDPO(BetaLoss):
    """−log σ(z), z = −β Σ_f l_f (s(x⁰)_f − s(x¹)_f), s = policy's error − reference's, l_f = +1, −1 or 0 (a tie, which adds nothing).

    There is no ½ in the paper's β = 500. The reduction inside a segment is not stated there: here the mean over its frames and pixels,
    summed over segments. Pairs come from partial noising of one video, so that they share structure and motion.
    """

    inputs: ClassVar[type] = SegmentErrors
    noising: ClassVar[str] = "partial"
    beta: float = 500.0

    @property
    def effective_beta(self) -> float:
        return self.beta

    def __call__(self, batch: SegmentErrors) -> LossOutput:
        s_0 = batch.policy_0 - batch.ref_0.detach()
        s_1 = batch.policy_1 - batch.ref_1.detach()
        z_B = -self.beta * (batch.label * (s_0 - s_1)).sum(1)
        ties = (batch.label == 0).to(z_B.dtype).mean()
        return LossOutput(-F.logsigmoid(z_B).mean(), {**margin_metrics(z_B), "tied_segments": ties})
