"""What every loss says of itself beside its formula, and what is logged of every margin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from diffusion_core.types import LossOutput, PairErrors


@dataclass(frozen=True)
class Loss(ABC):
    """A frozen set of hyper-parameters with a pure `__call__(batch) -> LossOutput`.

    The class variables say what has to be prepared: which input, how latents are noised (a name of `diffusion_core.noising.NOISINGS`;
    "reference_inversion" and "partial" are its functions `invert_path` and `partial_noise`; "trajectory" and "forked_step" are roll-outs),
    whether winner and loser have captions of their own, whether a reference is needed, in which parameterisation errors are taken.
    """

    inputs: ClassVar[type] = PairErrors
    noising: ClassVar[str] = "shared"
    captions: ClassVar[Literal["shared", "per_image"]] = "shared"
    needs_reference: ClassVar[bool] = True
    error_space: ClassVar[str] = "native"  # in which errors are taken; "native": what the network predicts

    @abstractmethod
    def __call__(self, batch: Any) -> LossOutput:
        """The loss of a batch of type `inputs`: a scalar with a graph, and detached scalars to log."""


@dataclass(frozen=True)
class BetaLoss(Loss):
    """A loss of the family with its strength `beta` (above 0). `effective_beta` is ∂z/∂(−Δ), None where the margin is no multiple of Δ."""

    beta: float = 5000.0

    @property
    def effective_beta(self) -> float | None:
        return None

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"{type(self).__name__}: beta={self.beta} must be above 0")


def error_gap(errors: PairErrors) -> Tensor:
    """(B,) Δ = (e_w − e_l) − (r_w − r_l): below 0 where the policy prefers the winner more than its reference does."""
    return (errors.policy_w - errors.policy_l) - (errors.ref_w - errors.ref_l).detach()


def margin_metrics(z: Tensor) -> dict[str, Tensor]:
    """Of the inside term z (B,), above 0 where the winner is preferred. Ties count 0 in `implicit_acc` and ½ in `implicit_acc_half`:
    at policy = reference, where the released scripts disagree, the first is 0 and the second ½."""
    z = z.detach()
    wins, ties = (z > 0).to(z.dtype), (z == 0).to(z.dtype)
    return {
        "z": z.mean(),
        "implicit_acc": wins.mean(),
        "implicit_acc_half": (wins + 0.5 * ties).mean(),
        "gradient_factor": torch.sigmoid(-z).mean(),
    }


def pair_metrics(errors: PairErrors, z: Tensor) -> dict[str, Tensor]:
    """`margin_metrics`, and both errors against the reference's: where both rise, the loss falls and the model gets worse."""
    return {
        **margin_metrics(z),
        "winner_error_gap": (errors.policy_w - errors.ref_w).detach().mean(),
        "loser_error_gap": (errors.policy_l - errors.ref_l).detach().mean(),
    }
