"""What a loss reads where pair errors or step log-probabilities are not enough.

Axes: B pairs or images, F segments, N steps of a trajectory; "..." is a sample. Errors are means over the sample, float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_core.types import PairErrors, StepLogProbs, check_rows


@dataclass(frozen=True, eq=False)
class SoftPairErrors(PairErrors):
    """Pair errors, and `prob_w` (B,): the probability that the winner is the better one."""

    prob_w: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "policy_w", "policy_l", "ref_w", "ref_l", "prob_w")


@dataclass(frozen=True, eq=False)
class ComparedLogProbs(StepLogProbs):
    """Step log-probabilities, and `preference` (B,): 1 where "w" is the winner, -1 where "l" is, 0 for a tie."""

    preference: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "policy_w", "policy_l", "ref_w", "ref_l", "preference")


@dataclass(frozen=True, eq=False)
class SegmentErrors:
    """Errors of two videos by segment, (B, F), and `label` (B, F): 1 where video 0 is preferred, -1 where video 1 is, 0 for a tie."""

    policy_0: Tensor
    policy_1: Tensor
    ref_0: Tensor
    ref_1: Tensor
    label: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "policy_0", "policy_1", "ref_0", "ref_1", "label")


@dataclass(frozen=True, eq=False)
class UnpairedErrors:
    """Errors of single images, (B,), and `liked` (B,) bool. `kl` is the batch's mean gain where it spans processes; None: of this one."""

    policy: Tensor
    ref: Tensor
    liked: Tensor
    kl: Tensor | None = None

    def __post_init__(self) -> None:
        check_rows(self, "policy", "ref")
        if self.liked.dtype != torch.bool or self.liked.shape != self.policy.shape:
            raise ValueError(
                f"UnpairedErrors.liked must be bool {tuple(self.policy.shape)}, got {self.liked.dtype} {tuple(self.liked.shape)}"
            )


@dataclass(frozen=True, eq=False)
class InversionErrors:
    """Mean squared differences of policy and reference along inverted trajectories: `gap_w`, `gap_l` (B, N), and `alpha_bar` (N,) there."""

    gap_w: Tensor
    gap_l: Tensor
    alpha_bar: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "gap_w", "gap_l")


@dataclass(frozen=True, eq=False)
class PredictionBatch:
    """Predictions and targets of a pair, all (B, ...), float32."""

    policy_w: Tensor
    policy_l: Tensor
    ref_w: Tensor
    ref_l: Tensor
    target_w: Tensor
    target_l: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "policy_w", "policy_l", "ref_w", "ref_l", "target_w", "target_l")

    def errors(self) -> PairErrors:
        """Squared errors, each the mean over its sample."""

        def error(prediction: Tensor, target: Tensor) -> Tensor:
            return (prediction - target).square().flatten(1).mean(1)

        return PairErrors(
            error(self.policy_w, self.target_w),
            error(self.policy_l, self.target_l),
            error(self.ref_w, self.target_w).detach(),
            error(self.ref_l, self.target_l).detach(),
        )
