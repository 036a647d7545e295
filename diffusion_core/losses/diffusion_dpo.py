"""Diffusion-DPO (Wallace et al. 2023, arXiv:2311.12908)."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_core.losses.base import BetaLoss, error_gap, pair_metrics
from diffusion_core.losses.links import LINKS, SMOOTHED
from diffusion_core.types import LossOutput, PairErrors


@dataclass(frozen=True)
class DiffusionDPO(BetaLoss):
    """−log σ(z), z = −½ β Δ, Δ = (e_w − e_l) − (r_w − r_l).

    `beta` absorbs the paper's T ω(λ_t): the released code uses 5000 (SDXL; 2000 for SD 1.5) with errors averaged over the sample.
    `half=False` leaves the ½ out, as diffusers' SD 1.5 script does (its 2500 is 5000 here). Links: sigmoid, hinge, ipo, robust.
    `label_smoothing` in [0, ½) is the share of labels thought wrong (sigmoid: cDPO; robust: the unbiased form).
    """

    link: str = "sigmoid"
    half: bool = True
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.link not in LINKS:
            raise ValueError(f"unknown link {self.link!r}; known: {', '.join(LINKS)}")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(f"label_smoothing={self.label_smoothing} must lie in [0, 0.5)")
        if self.label_smoothing and self.link not in SMOOTHED:
            raise ValueError(
                f"label_smoothing has no meaning for link {self.link!r}; links that take it: {', '.join(SMOOTHED)}"
            )

    @property
    def effective_beta(self) -> float:
        """∂z/∂(−Δ)."""
        return self.beta / 2 if self.half else self.beta

    def inside(self, errors: PairErrors):
        """z (B,)."""
        return -self.effective_beta * error_gap(errors)

    def __call__(self, batch: PairErrors) -> LossOutput:
        z_B = self.inside(batch)
        loss = LINKS[self.link](z_B, self.effective_beta, self.label_smoothing).mean()
        return LossOutput(loss, pair_metrics(batch, z_B))
