"""DCPO: dual-caption preference optimisation (Saeidi et al. 2025, arXiv:2502.06023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from diffusion_core.losses.diffusion_dpo import DiffusionDPO


@dataclass(frozen=True)
class DCPO(DiffusionDPO):
    """Diffusion-DPO's loss; winner and loser are each predicted from a caption of their own, by policy and reference alike. With equal
    captions it is Diffusion-DPO. Default beta of the released SD 2.1 run."""

    captions: ClassVar[Literal["shared", "per_image"]] = "per_image"
    beta: float = 500.0
