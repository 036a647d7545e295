"""The only sampler. Everything that changes a sample on its way is a `Hook`; nothing else in this package
walks down a time grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from diffusion_core.kernels import Kernel
from diffusion_core.processes import Process
from diffusion_core.types import Gauss, Pred, Randomness

Model = Callable[[Tensor, float, Any], Pred]  # a Denoiser, or any function of (x, t, cond)


class Bag(dict[str, Tensor]):
    """What hooks remember between steps, by name, one row per sample (B, ...)."""

    def permute(self, index: Tensor) -> None:
        """Reorder (or repeat) the rows of everything, so that a resampling hook cannot forget another hook's
        state."""
        for name, value in self.items():
            self[name] = value[index]


@dataclass
class State:
    """Where the sampler is: `x` (B, ...) at time `t`, about to go to `t_next`; `index` counts steps from
    0."""

    x: Tensor
    t: float
    t_next: float
    index: int
    cond: Any = None
    generator: Randomness = None
    bag: Bag = field(default_factory=Bag)

    def permute(self, index: Tensor) -> None:
        """Reorder `x`, the conditioning and the bag. Generators stay with their slots: copies of a row must
        part ways."""
        self.x = self.x[index]
        if self.cond is not None:
            self.cond = self.cond.map(lambda value: value[index])
        self.bag.permute(index)


class Hook:
    """Five places to step in. Override what is needed; the rest does nothing."""

    def start(self, state: State) -> None:
        """Once, before the first step."""

    def before(self, state: State, model: Model) -> None:
        """May replace `state.x`: reflection, background blend."""

    def pred(self, state: State, pred: Pred, model: Model) -> Pred:
        """May edit the prediction: guidance, projection, gradient truncation."""
        return pred

    def dist(self, state: State, dist: Gauss, pred: Pred, model: Model) -> Gauss:
        """May shift the transition: classifier or minority guidance."""
        return dist

    def after(self, state: State, pred: Pred, model: Model) -> None:
        """May replace `state.x`, now at `t_next`: resampling, offset injection."""


@dataclass(frozen=True, eq=False)
class Transition:
    """One step as it was drawn, before any `after` hook: `x` at `t` to `x_next` at `t_next` under `dist`.

    `edited` says that a hook then replaced the outcome, which `dist` knows nothing about.
    """

    t: float
    t_next: float
    x: Tensor
    x_next: Tensor
    dist: Gauss
    edited: bool

    def log_prob(self, *, reduce: Literal["sum", "mean"] = "mean") -> Tensor:
        """Log-probability of the step, (B,).

        Raises:
            ValueError: if a hook overwrote the outcome, or the step was deterministic.
        """
        if self.edited:
            raise ValueError(
                f"the step from t={self.t} to {self.t_next} was overwritten by an `after` hook, so its "
                "log-probability does not describe the sample; record without that hook"
            )
        return self.dist.log_prob(self.x_next, reduce=reduce)


@dataclass(frozen=True)
class ClipX0(Hook):
    """Hold x0 within [low, high], the range of pixels, and let the noise follow (static thresholding,
    Saharia et al. 2022)."""

    process: Process
    low: float = -1.0
    high: float = 1.0

    def pred(self, state: State, pred: Pred, model: Model) -> Pred:
        return self.process.convert(pred.x0.clamp(self.low, self.high), "x0", state.x, state.t)


def sample(
    model: Model,
    kernel: Kernel,
    grid: Sequence[float],
    x: Tensor,
    cond: Any = None,
    *,
    hooks: Sequence[Hook] = (),
    generator: Randomness = None,
    record: list[Transition] | None = None,
) -> Tensor:
    """Walk `x` (B, ...) down the descending `grid`; gradients flow unless the caller forbids them.

    With a generator per row a sample does not depend on the others in its batch. `record` receives one
    `Transition` per step.
    """
    if len(grid) < 2:
        raise ValueError(f"a grid needs at least two times, got {list(grid)}; take `process.grid(steps)`")
    state = State(x, grid[0], grid[1], 0, cond, generator)
    for hook in hooks:
        hook.start(state)
    for index, (t, t_next) in enumerate(pairwise(grid)):
        state.index, state.t, state.t_next = index, t, t_next
        for hook in hooks:
            hook.before(state, model)
        start = state.x
        pred = model(start, t, state.cond)
        for hook in hooks:
            pred = hook.pred(state, pred, model)
        dist = kernel(pred, start, t, t_next)
        for hook in hooks:
            dist = hook.dist(state, dist, pred, model)
        outcome = state.x = dist.sample(state.generator)
        for hook in hooks:
            hook.after(state, pred, model)
        if record is not None:
            edited = state.x is not outcome and not torch.equal(state.x, outcome)
            record.append(Transition(t, t_next, start, outcome, dist, edited))
    return state.x
