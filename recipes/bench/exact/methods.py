"""What is compared: each loss with its own dial, the controls, and how much of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from diffusion_core.losses import build_loss
from diffusion_core.losses.base import Loss

Labels = Literal["bradley_terry", "swapped", "random"]


@dataclass(frozen=True)
class Method:
    """A loss, the dial that is turned (a hyper-parameter, or `steps`), its positions, and who labels."""

    loss: str
    dial: str
    positions: Sequence[float]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    labels: Labels = "bradley_terry"

    def losses(self) -> list[Loss]:
        """One a position."""
        turned = [{} if self.dial == "steps" else {self.dial: p} for p in self.positions]
        return [build_loss(self.loss, **self.fixed, **hyper) for hyper in turned]


BETAS = (1.0, 3.0, 10.0, 20.0, 40.0, 100.0)
METHODS: dict[str, Method] = {
    "sft on winners": Method("sft", "steps", (0.05, 0.1, 0.25, 0.5, 1.0)),
    "diffusion_dpo": Method("diffusion_dpo", "beta", BETAS),
    "diffusion_dpo hinge": Method("diffusion_dpo", "beta", BETAS, {"link": "hinge"}),
    "diffusion_dpo ipo": Method("diffusion_dpo", "beta", BETAS, {"link": "ipo"}),
    "rpo": Method("rpo", "beta", (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), {"kappa": 1.0}),
    "sdpo": Method("sdpo", "beta", (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)),
    "dmpo": Method("dmpo", "beta", (30.0, 100.0, 300.0, 1000.0, 3000.0)),
    "smpo, true probabilities": Method("smpo", "beta", (10.0, 30.0, 100.0, 300.0, 1000.0)),
    "inpo": Method("inpo", "beta", BETAS),
    "mapo": Method("mapo", "beta", (0.03, 0.1, 0.3, 1.0, 3.0), {"train_steps": 10}),
    "orpo": Method("orpo", "beta", (0.1, 0.3, 1.0, 3.0, 10.0)),
    "kto": Method("kto", "beta", BETAS),
    "dspo": Method("dspo", "beta", (0.1, 0.3, 1.0, 3.0, 10.0)),
    "pso_db": Method("pso_db", "beta", BETAS, {"link": "sigmoid", "nu": 0.5, "prior": 0.0}),
    "control: labels swapped": Method("diffusion_dpo", "beta", BETAS, labels="swapped"),
    "control: labels random": Method("diffusion_dpo", "beta", BETAS, labels="random"),
}
NOT_METHODS = ("control", "sft", "best of n")  # how the names of controls and baselines begin


@dataclass(frozen=True)
class Scale:
    """How much of everything. `measured_1d`, `measured_2d`: samples a policy is placed by."""

    seeds: int = 5
    steps: int = 400
    batch: int = 128
    pairs: int = 4096
    reference_steps: int = 2500
    measured_1d: int = 4096
    measured_2d: int = 8192
    drawn: int = 65_536
    rate: float = 5e-4
    worlds: tuple[str, ...] = ("line", "ring")
    processes: tuple[str, ...] = ("eps", "flow")

    def measured(self, dims: int) -> int:
        return self.measured_1d if dims == 1 else self.measured_2d


FULL = Scale()
QUICK = Scale(seeds=3, steps=300, reference_steps=1500, worlds=("line",), processes=("eps",))
