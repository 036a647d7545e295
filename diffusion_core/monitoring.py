"""What is watched while a preference is trained: means between two logs, displacement, and the reward that says when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch


class Means:
    """Running means of numbers by name, taken and cleared at each log."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}

    def add(self, row: Mapping[str, float], weight: float = 1.0) -> None:
        for name, value in row.items():
            self._sums[name] = self._sums.get(name, 0.0) + weight * value
            self._weights[name] = self._weights.get(name, 0.0) + weight

    def state(self) -> list[dict[str, float]]:
        return [self._sums, self._weights]

    def restore(self, state: list[dict[str, float]]) -> None:
        self._sums, self._weights = dict(state[0]), dict(state[1])

    def take(self, accelerator: Any | None) -> dict[str, float]:
        """The means, over all processes of an accelerator."""
        names = sorted(self._sums)
        found = torch.tensor([self._sums[n] / self._weights[n] for n in names], dtype=torch.float64)
        if accelerator is not None and accelerator.num_processes > 1 and names:
            found = accelerator.reduce(found.float().to(accelerator.device), "mean").cpu()
        self._sums, self._weights = {}, {}
        return dict(zip(names, found.tolist(), strict=True))


class Displacement:
    """The family's commonest failure: winner *and* loser fit worse than under the reference, and the loss still falls.

    `add` returns True once both gaps were above 0 in `after` logs in a row (0: never).
    """

    def __init__(self, after: int) -> None:
        self.after, self.row = after, 0

    def add(self, winner_gap: float, loser_gap: float) -> bool:
        self.row = self.row + 1 if winner_gap > 0 and loser_gap > 0 else 0
        return bool(self.after) and self.row >= self.after

    def state(self) -> int:
        return self.row

    def restore(self, state: int) -> None:
        self.row = state


class EarlyStop:
    """Stops after `patience` evaluations without a better reward (0: never); an unknown reward (NaN) is no evaluation.

    `add` at step 0 gives what the start had; it returns whether a later step was the best so far.
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.best, self.best_step, self.since = patience, -math.inf, 0, 0

    def add(self, step: int, reward: float) -> bool:
        if math.isnan(reward):
            return False
        if reward > self.best:
            self.best, self.best_step, self.since = reward, step, 0
            return step > 0
        self.since += step > 0
        return False

    @property
    def stopped(self) -> bool:
        return bool(self.patience) and self.since >= self.patience

    def state(self) -> list[float]:
        return [self.best, self.best_step, self.since]

    def restore(self, state: list[float]) -> None:
        self.best, self.best_step, self.since = state[0], int(state[1]), int(state[2])
