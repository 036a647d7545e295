"""DDIM-InPO: Diffusion-DPO on latents inverted from the images (Lu et al. 2025, arXiv:2503.18454)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from diffusion_core.losses.diffusion_dpo import DiffusionDPO


@dataclass(frozen=True)
class InPO(DiffusionDPO):
    """Diffusion-DPO's loss; x_t is the DDIM inversion of each image up to t, and the target the noise that takes x_0 there, so winner
    and loser have noise of their own. Default beta of the SD 1.5 runs (2000, from a fine-tuned UNet; 5000 for SDXL)."""

    noising: ClassVar[str] = "ddim_inversion"
    beta: float = 2000.0
