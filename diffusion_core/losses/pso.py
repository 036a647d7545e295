"""PSO: pairwise sample optimisation of timestep-distilled models (Miao et al. 2024, arXiv:2410.03190), online form."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_core.losses.ratio import RatioLoss


@dataclass(frozen=True)
class PSO(RatioLoss):
    """The ratio loss on the few steps of a turbo model, two trajectories from different noise. Margins lie within ±10.03."""

    beta: float = 50.0
