"""RPO: Diffusion-DPO beside SFT on the winner (the term of Liu et al. 2024, arXiv:2405.16436, mapped to errors)."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_core.losses.diffusion_dpo import DiffusionDPO
from diffusion_core.types import LossOutput, PairErrors


@dataclass(frozen=True)
class RPO(DiffusionDPO):
    """L_DPO + η mean(e_w), η = κ k/2 with k the effective beta.

    At policy = reference DPO's own gradient by e_w is k/2 a pair, so κ is the share of it that SFT adds and that no falling margin takes
    away. The paper's η = 0.005 is for summed log-probabilities; on mean errors it does nothing. κ = 0 is Diffusion-DPO.
    """

    kappa: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.link != "sigmoid" or self.label_smoothing:
            raise ValueError(
                "rpo weighs its term against the sigmoid link without label smoothing; other links have other slopes"
            )
        if self.kappa < 0:
            raise ValueError(f"kappa={self.kappa} must not be negative")

    def __call__(self, batch: PairErrors) -> LossOutput:
        dpo = super().__call__(batch)
        sft = self.kappa * self.effective_beta / 2 * batch.policy_w.mean()
        return LossOutput(
            dpo.loss + sft, {**dpo.metrics, "dpo_loss": dpo.loss.detach(), "sft_loss": sft.detach()}
        )
