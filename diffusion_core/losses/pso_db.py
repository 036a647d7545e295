"""PSO-DB: offline pairwise sample optimisation for personalising turbo models (Miao et al. 2024, arXiv:2410.03190)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F

from diffusion_core.losses.base import BetaLoss, margin_metrics
from diffusion_core.types import LossOutput, PairErrors


@dataclass(frozen=True)
class PSODB(BetaLoss):
    """mean max(0, 1 + β m) + prior · mean(e_l), m = e_w − ν e_l, on x0-errors weighted by σ⁻².

    Reference-free; winners are the user's pictures, losers the model's own, which the prior term keeps fitted. `link="sigmoid"` is the
    release's other form, −log σ(β ((r_w − ν r_l) − (e_w − ν e_l))), with a reference.
    """

    error_space: ClassVar[str] = "eps"
    beta: float = 5.0
    nu: float = 0.1
    prior: float = 0.5
    link: str = "hinge"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.link not in ("hinge", "sigmoid"):
            raise ValueError(f"unknown link {self.link!r}; known: hinge, sigmoid")

    @property
    def needs_reference(self) -> bool:  # type: ignore[override] - here it depends on the link
        return self.link == "sigmoid"

    def __call__(self, batch: PairErrors) -> LossOutput:
        m_B = batch.policy_w - self.nu * batch.policy_l
        if self.link == "hinge":
            z_B = -self.beta * m_B
            value = F.relu(1 - z_B).mean()
        else:
            z_B = self.beta * ((batch.ref_w - self.nu * batch.ref_l).detach() - m_B)
            value = -F.logsigmoid(z_B).mean()
        return LossOutput(value + self.prior * batch.policy_l.mean(), margin_metrics(z_B))
