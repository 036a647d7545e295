"""What a loss reads where pair errors or step log-probabilities are not enough.

Axes: B pairs or images, F segments, N steps of a trajectory; "..." is a sample. Errors are means over the sample, float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_core.types import PairErrors, StepLogProbs, check_rows


def _check_labels(batch: object, name: str, like: Tensor) -> None:
    value = getattr(batch, name)
    if value.shape != like.shape or not bool(((value == 0) | (value.abs() == 1)).all()):
        raise ValueError(
            f"{type(batch).__name__}.{name} must be {tuple(like.shape)} of 1, -1 and 0, got {tuple(value.shape)}: {value}"
        )


@dataclass(frozen=True, eq=False)
class SoftPairErrors(PairErrors):
    """Pair errors, and `prob_w` (B,): the probability that the winner is the better one."""

    prob_w: Tensor

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rows(self, "policy_w", "prob_w")


@dataclass(frozen=True, eq=False)
class ComparedLogProbs(StepLogProbs):
    """Step log-probabilities, and `preference` (B,): 1 where "w" is the winner, -1 where "l" is, 0 for a tie."""

    preference: Tensor

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_labels(self, "preference", self.policy_w)


@dataclass(frozen=True, eq=False)
class SegmentErrors:
    """Errors of two videos by segment, (B, F), and `label` (B, F): 1 where video 0 is preferred, -1 where video 1 is, 0 for a tie."""

    policy_0: Tensor
    policy_1: Tensor
    ref_0: Tensor
    ref_1: Tensor
    label: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "policy_0", "policy_1", "ref_0", "ref_1", axes="BF")
        _check_labels(self, "label", self.policy_0)


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
        check_rows(self, "gap_w", "gap_l", axes="BN")
        if self.alpha_bar.shape != self.gap_w.shape[1:] or not bool((self.alpha_bar > 0).all()):
            raise ValueError(
                f"InversionErrors.alpha_bar must be ({self.gap_w.shape[1]},) and above 0, got {tuple(self.alpha_bar.shape)}: {self.alpha_bar}"
            )


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
        check_rows(self, "policy_w", "policy_l", "ref_w", "ref_l", "target_w", "target_l", axes=None)

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
