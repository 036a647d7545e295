"""The values that every process, kernel, sampler, loss and generator exchange.

Axes: B samples, C channels, F frames, H height, W width, L text tokens, D features. All of these are values: nothing
here is changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

Randomness = (
    torch.Generator | Sequence[torch.Generator] | None
)  # one for the batch, one per row, or torch's global one
Time = float | Tensor  # a number shared by the batch, or (B,)


def randn_rows(like: Tensor, generator: Randomness = None) -> Tensor:
    """Standard normal of `like`'s shape, dtype and device.

    With one generator per row, row i depends on generator i alone: neither on the other rows nor on their
    number.
    Noise is drawn on the generator's own device and then moved, so a CPU generator gives the same picture on
    every device.
    """
    if generator is None:
        return torch.randn_like(like)
    if isinstance(generator, torch.Generator):
        return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device).to(
            like.device
        )
    if len(generator) != len(like):
        raise ValueError(
            f"{len(generator)} generators for {len(like)} rows; pass one per row, or a single one"
        )
    rows = [torch.randn(like.shape[1:], generator=g, dtype=like.dtype, device=g.device) for g in generator]
    return torch.stack(rows).to(like.device)


@dataclass(frozen=True, eq=False)
class Pred:
    """What a denoiser says about x_t = a x0 + s eps, always both: the clean sample and the noise, each
    shaped like x_t."""

    x0: Tensor
    eps: Tensor

    @property
    def flow(self) -> Tensor:
        """Velocity of the straight path, dx/dt = eps - x0."""
        return self.eps - self.x0


@dataclass(frozen=True, eq=False)
class Gauss:
    """An isotropic normal distribution per sample: `mean` (B, ...), `std` broadcastable to it. `std` 0 is a
    deterministic step."""

    mean: Tensor
    std: Tensor

    def sample(self, generator: Randomness = None) -> Tensor:
        """Draw once, shaped like `mean`. A deterministic step draws no random number."""
        if not bool(self.std.any()):
            return self.mean
        return self.mean + self.std * randn_rows(self.mean, generator)

    def log_prob(self, x: Tensor, *, reduce: Literal["sum", "mean"] = "sum") -> Tensor:
        """Log-density of `x`, (B,): summed over the sample (nats), or its mean per dimension.

        A PPO-style clip means something different for each: a clip of 1e-4 on the mean is 1e-4 * numel nats.

        Raises:
            ValueError: if a std is 0, where there is no density.
        """
        if bool((self.std == 0).any()):
            raise ValueError(
                "log_prob needs a stochastic kernel, and this step has std 0; use DDIM(eta > 0), Ancestral "
                "or FlowSDE(a > 0), and leave out a last step that lands on the clean level"
            )
        if reduce not in ("sum", "mean"):
            raise ValueError(f"unknown reduction {reduce!r}; known: sum, mean")
        log_density = (
            -0.5 * ((x - self.mean) / self.std).square() - self.std.log() - 0.5 * math.log(2 * math.pi)
        )
        flat = log_density.flatten(1)
        return flat.sum(1) if reduce == "sum" else flat.mean(1)


@dataclass(frozen=True, eq=False)
class Cond:
    """What the conditioner hands to the denoiser: named tensors (B, ...), and a mask (B, L) that is 1 where
    a token is real.

    A tensor (B, L, D) belongs to the mask if its L is the mask's; only such a tensor is padded and trimmed.
    """

    tensors: Mapping[str, Tensor]
    mask: Tensor | None = None

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise KeyError(f"no conditioning named {name!r}; there is: {', '.join(self.tensors)}")
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def map(self, edit: Callable[[Tensor], Tensor]) -> Cond:
        """Apply `edit` to every tensor and to the mask, e.g. `cond.map(lambda x: x[index])` to pick rows."""
        mask = None if self.mask is None else edit(self.mask)
        return Cond({name: edit(value) for name, value in self.tensors.items()}, mask)

    def _is_sequence(self, value: Tensor) -> bool:
        return self.mask is not None and value.ndim == 3 and value.shape[1] == self.mask.shape[1]

    def with_length(self, length: int) -> Cond:
        """Cut, or pad with zeros, the token axis to `length`; padding is masked out. Without a mask nothing
        changes."""
        if self.mask is None or self.mask.shape[1] == length:
            return self
        extra = length - self.mask.shape[1]
        fit = torch.nn.functional.pad
        tensors = {
            k: fit(v, (0, 0, 0, extra)) if self._is_sequence(v) else v for k, v in self.tensors.items()
        }
        return Cond(tensors, fit(self.mask, (0, extra)))

    def trimmed(self) -> Cond:
        """Without the token columns that are padding in every row."""
        if self.mask is None:
            return self
        return self.with_length(max(1, int(self.mask.sum(1).max())))

    @staticmethod
    def cat(conds: Sequence[Cond]) -> Cond:
        """Stack batches of the same conditioner; shorter token axes are padded to the longest."""
        length = max((c.mask.shape[1] for c in conds if c.mask is not None), default=0)
        fitted = [c.with_length(length) for c in conds]
        names = fitted[0].tensors
        masks = [c.mask for c in fitted if c.mask is not None]
        return Cond(
            {n: torch.cat([c[n] for c in fitted]) for n in names}, torch.cat(masks) if masks else None
        )


@dataclass(frozen=True)
class GenerationRequest:
    """One picture to make. `steps` and `guidance` of None take the generator's defaults."""

    prompt: str
    seed: int
    negative_prompt: str = ""
    steps: int | None = None
    guidance: float | None = None

    def resolved(self, *, steps: int, guidance: float) -> GenerationRequest:
        """The same request with the given defaults filled in."""
        return replace(
            self,
            steps=steps if self.steps is None else self.steps,
            guidance=guidance if self.guidance is None else self.guidance,
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """A finished picture: `pixels` (3, H, W) float32 in [0, 1], for video (3, F, H, W), on the CPU, and the request
    that made it."""

    pixels: Tensor
    request: GenerationRequest


class RewardFn(Protocol):
    """What roll-outs and early stopping need of a reward: pixels (B, 3, H, W) in [0, 1], for video (B, 3, F, H, W), and B prompts to
    (B,); NaN is unknown."""

    def __call__(self, pixels_BCHW: Tensor, prompts: Sequence[str]) -> Tensor: ...


def check_rows(batch: object, *names: str, axes: str | None = "B") -> None:
    """Raise ValueError unless the named fields of a loss's input have one shape, float32 or float64, and an axis a letter of `axes`."""
    owner, first = type(batch).__name__, getattr(batch, names[0])
    if axes is not None and first.ndim != len(axes):
        raise ValueError(
            f"{owner}.{names[0]} has shape {tuple(first.shape)}, expected ({', '.join(axes)}): errors and log-probabilities "
            "are means over their sample"
        )
    for name in names:
        value = getattr(batch, name)
        if value.shape != first.shape:
            raise ValueError(
                f"{owner}.{name} has shape {tuple(value.shape)}, {names[0]} has {tuple(first.shape)}"
            )
        if value.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"{owner}.{name} is {value.dtype}: preference margins are differences of nearly equal numbers and need "
                "float32; take the errors in float32 (`(prediction.float() - target.float())`)"
            )


@dataclass(frozen=True, eq=False)
class PairErrors:
    """Squared errors of a winner/loser pair: (B,) float32, each the mean over its sample. The reduction is
    fixed here.

    Raises:
        ValueError: for unequal shapes, or a precision in which the differences of errors are noise.
    """

    policy_w: Tensor
    policy_l: Tensor
    ref_w: Tensor
    ref_l: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "policy_w", "policy_l", "ref_w", "ref_l")


@dataclass(frozen=True, eq=False)
class StepLogProbs:
    """Mean Gaussian log-probabilities of one step, (B,): `Gauss.log_prob(x, reduce="mean")`, since the clips
    assume means.

    Raises:
        ValueError: for unequal shapes, or a precision in which the differences are noise.
    """

    policy_w: Tensor
    policy_l: Tensor
    ref_w: Tensor
    ref_l: Tensor

    def __post_init__(self) -> None:
        check_rows(self, "policy_w", "policy_l", "ref_w", "ref_l")


@dataclass(frozen=True, eq=False)
class LossOutput:
    """A scalar with a graph, and detached scalars to log."""

    loss: Tensor
    metrics: Mapping[str, Tensor]
