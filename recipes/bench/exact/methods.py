"""What is compared: each loss with its own dial, the controls, and how much of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from diffusion_core.losses import build_loss
from diffusion_core.losses.base import Loss

Labels = Literal["bradley_terry", "swapped", "random"]


@dataclass(frozen=True)
class Method:
    """A loss, the dial that is turned (a hyper-parameter, or `steps`), its positions, and who labels.

    `in_flow` multiplies the positions for a flow model, whose errors are 1/(1 − σ)² times those of an eps model.
    """

    loss: str
    dial: str
    positions: Sequence[float]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    labels: Labels = "bradley_terry"
    in_flow: float = 1.0

    def losses(self) -> list[Loss]:
        """One a position."""
        turned = [{} if self.dial == "steps" else {self.dial: p} for p in self.positions]
        return [build_loss(self.loss, **self.fixed, **hyper) for hyper in turned]

    def under(self, process: str) -> Method:
        """With the positions for "eps" or "flow"."""
        if process != "flow":
            return self
        return replace(self, positions=[float(f"{p * self.in_flow:g}") for p in self.positions], in_flow=1.0)


def beta(
    loss: str, *positions: float, labels: Labels = "bradley_terry", in_flow: float = 0.1, **fixed: Any
) -> Method:
    return Method(loss, "beta", positions, fixed, labels, in_flow)


BETAS = (8.0, 12.0, 17.0, 24.0, 34.0, 50.0)
METHODS: dict[str, Method] = {
    "sft on winners": Method("sft", "steps", (0.05, 0.1, 0.25, 0.5, 1.0)),
    "diffusion_dpo": beta("diffusion_dpo", *BETAS),
    "diffusion_dpo hinge": beta("diffusion_dpo", *BETAS, link="hinge"),
    "diffusion_dpo ipo": beta("diffusion_dpo", 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, link="ipo"),
    "rpo": beta("rpo", 0.3, 1.0, 3.0, 10.0, 30.0, kappa=1.0),
    "sdpo": beta("sdpo", 0.1, 0.3, 1.0, 3.0, 10.0),
    "dmpo": beta("dmpo", 30.0, 100.0, 300.0, 1000.0, 3000.0),
    "smpo, true probabilities": beta("smpo", 10.0, 30.0, 100.0, 300.0, 1000.0),
    "inpo": beta("inpo", *BETAS),
    "mapo": beta("mapo", 0.03, 0.1, 0.3, 1.0, 3.0, in_flow=1.0, train_steps=10),
    "orpo": beta("orpo", 0.1, 0.3, 1.0, 3.0, 10.0, in_flow=1.0),
    "kto": beta("kto", 10.0, 30.0, 100.0, 300.0, 1000.0),
    "dspo": beta("dspo", 0.1, 0.3, 1.0, 3.0, 10.0, in_flow=1.0),
    "pso_db": beta("pso_db", 3.0, 5.0, 8.0, 12.0, 17.0, 24.0, link="sigmoid", nu=0.5, prior=0.0),
    "control: labels swapped": beta("diffusion_dpo", *BETAS, labels="swapped"),
    "control: labels random": beta("diffusion_dpo", *BETAS, labels="random"),
}
NOT_METHODS = ("control", "sft", "best of n")  # how the names of controls and baselines begin


@dataclass(frozen=True)
class Scale:
    """How much of everything. `measured_1d`, `measured_2d`: samples a policy is placed by; `rate` falls to 0 over the steps.

    `first_seed`: dials, steps and rate were chosen on seeds 0 to 4, and what is reported comes from others.
    """

    seeds: int = 5
    first_seed: int = 100
    steps: int = 300
    batch: int = 128
    pairs: int = 4096
    reference_steps: int = 2500
    measured_1d: int = 2048
    measured_2d: int = 4096
    drawn: int = 65_536
    rate: float = 1e-3
    worlds: tuple[str, ...] = ("line", "ring")
    processes: tuple[str, ...] = ("eps", "flow")

    @property
    def seed_numbers(self) -> range:
        return range(self.first_seed, self.first_seed + self.seeds)

    def measured(self, dims: int) -> int:
        return self.measured_1d if dims == 1 else self.measured_2d


FULL = Scale()
QUICK = Scale(seeds=3, reference_steps=1500, worlds=("line",), processes=("eps",))
