"""Trainer callbacks shared by the rewriter recipes: `metrics.jsonl`, progress with the time left, the validation plateau."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback

from recipes.run_record import MetricsLog
from recipes.terminal import remark, spell_seconds

SHOWN = (
    "loss",
    "eval_loss",
    "reward",
    "image_reward/baseline",
    "image_reward/part/strict",
    "frac_reward_zero_std",
)


class Metrics(TrainerCallback):
    """Every log of the trainer as a line of `metrics.jsonl`, with the wall-clock seconds since the run began (pauses left out)."""

    def __init__(self, log: MetricsLog) -> None:
        self._log, self._before, self._began = log, 0.0, time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._before = self._log.rewind(state.global_step)
        self._began = time.monotonic()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero or not logs:
            return
        self._log.write(
            {"step": state.global_step, "seconds": round(self.seconds, 2), **split_step_time(logs)}
        )

    @property
    def seconds(self) -> float:
        """Seconds of training so far, of earlier starts too."""
        return self._before + time.monotonic() - self._began


def split_step_time(logs: Mapping[str, Any]) -> dict[str, Any]:
    """The logs, with `time/train` where a step's time and all of its other parts are known."""
    parts = [logs.get(name) for name in ("time/sync", "time/canary", "time/rollout", "image_reward/seconds")]
    found = dict(logs)
    if isinstance(logs.get("step_time"), float) and all(isinstance(part, float | int) for part in parts):
        found["time/train"] = max(0.0, logs["step_time"] - sum(part for part in parts if part is not None))
    return found


class Progress(TrainerCallback):
    """A bar with the time left on a terminal; elsewhere a line at the first step, then at most every 20 seconds, and at the last."""

    def __init__(self, every_s: float = 20.0, limit: TimeLimit | None = None) -> None:
        self._every_s, self._limit, self._bar, self._task = every_s, limit, None, None
        self._said, self._steps, self._began, self._logs = 0.0, 0, time.monotonic(), {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._steps, self._began = state.global_step, time.monotonic()
        if sys.stderr.isatty() and state.is_world_process_zero:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bar

            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}", markup=False),
            )
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=state.max_steps, completed=state.global_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        self._logs.update(
            {
                name.rpartition("/")[2]: logs[name]
                for name in SHOWN
                if logs and isinstance(logs.get(name), float)
            }
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        told = "  ".join(f"{name} {value:.3f}" for name, value in self._logs.items())
        if self._bar is not None:
            self._bar.update(self._task, completed=state.global_step, description=told)
            return
        now = time.monotonic()
        first, last = state.global_step == self._steps + 1, state.global_step >= state.max_steps
        if first or last or now - self._said >= self._every_s:
            self._said = now
            pace = (now - self._began) / max(1, state.global_step - self._steps)
            left = pace * (state.max_steps - state.global_step)
            if self._limit is not None:
                left = min(left, self._limit.seconds_left)
            remark(
                f"step {state.global_step}/{state.max_steps}  {told}  {pace:.1f} s a step, {spell_seconds(left)} left"
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class TimeLimit(TrainerCallback):
    """Stops after so many seconds of training; None: never."""

    def __init__(self, metrics: Metrics, seconds: float | None) -> None:
        self._metrics, self._limit = metrics, seconds

    @property
    def seconds_left(self) -> float:
        return math.inf if self._limit is None else max(0.0, self._limit - self._metrics.seconds)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._limit is not None and self._metrics.seconds >= self._limit:
            control.should_training_stop = True


def plateau(losses: Sequence[float], patience: int, delta: float) -> bool:
    """Whether the last `patience` losses brought no improvement of at least `delta` on the best before them."""
    if patience < 1 or len(losses) <= patience:
        return False
    return min(losses[-patience:]) > min(losses[:-patience]) - delta


def eval_losses(history: Sequence[Mapping[str, Any]]) -> list[float]:
    return [row["eval_loss"] for row in history if "eval_loss" in row]


class Plateau(TrainerCallback):
    """Stops at the plateau of the validation loss. It reads the trainer's own history, so a resumed run stops where it would have."""

    def __init__(self, patience: int, delta: float) -> None:
        self.patience, self.delta = patience, delta

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if plateau(eval_losses(state.log_history), self.patience, self.delta):
            control.should_training_stop = True
