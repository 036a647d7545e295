"""Inversion-DPO (Li et al. 2025, arXiv:2507.11554; from the released code). An open question: see the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from diffusion_core.losses.base import BetaLoss, margin_metrics
from diffusion_core.losses.inputs import InversionErrors
from diffusion_core.types import LossOutput


@dataclass(frozen=True)
class InversionDPO(BetaLoss):
    """−log σ(z), z = sign · ½ β (D_w − D_l)/N, D = Σ_i ‖ε_θ,i − ε_ref,i‖² / (2 ᾱ_i) along the reference's inversion of each image.

    Open question. Along a trajectory of the reference log p_θ/p_ref = −c D, so the derivation asks for `sign=-1`; the release, and the
    default here, has +1, which rewards leaving the reference on winners. The sign in the paper was not checked. With either sign the
    gradient at policy = reference is exactly 0, since D has its minimum there: training starts by rounding or a perturbation.
    `max_weight` bounds 1/(2ᾱ), which grows to 107 at t = 999 of Stable Diffusion's schedule (None: as released).
    """

    inputs: ClassVar[type] = InversionErrors
    noising: ClassVar[str] = "reference_inversion"
    beta: float = 2000.0
    sign: int = 1
    max_weight: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sign not in (1, -1):
            raise ValueError(f"sign={self.sign} must be 1 (as released) or -1 (as derived)")
        if self.max_weight is not None and not self.max_weight > 0:
            raise ValueError(f"max_weight={self.max_weight} must be above 0, or None for no bound")

    def __call__(self, batch: InversionErrors) -> LossOutput:
        weight_N = 1 / (2 * batch.alpha_bar)
        if self.max_weight is not None:
            weight_N = weight_N.clamp_max(self.max_weight)
        d_w_B, d_l_B = ((gap_BN * weight_N).mean(1) for gap_BN in (batch.gap_w, batch.gap_l))
        z_B = self.sign * 0.5 * self.beta * (d_w_B - d_l_B)
        metrics = {"winner_distance": d_w_B.detach().mean(), "loser_distance": d_l_B.detach().mean()}
        return LossOutput(-F.logsigmoid(z_B).mean(), {**margin_metrics(z_B), **metrics})
