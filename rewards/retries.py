"""Run one call over many samples in micro-batches: split, retry in rounds, never past the deadline.

A round tries every unfinished sample once; between rounds there is one backoff, however many samples failed.
Transient failures wait for the next round, whose batches are smaller, single samples in the last one, so that one
unlucky sample does not take its batch with it. Lasting failures are split at once, down to the sample that crashes.
"""

from __future__ import annotations

import gc
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rewards.base import Status
from rewards.deadline import Deadline
from rewards.failures import CallTimeout, Failure, RewardMisconfigured, classify

J = TypeVar("J")
R = TypeVar("R")

_NOT_STARTED = Failure(Status.RETRYABLE, "deadline", "no time was left to start")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`extra_tries` rounds after the first, with backoff_s * 2**round, shortened at random by up to `jitter`.

    `hopeless_after` single samples that fail transiently, without one success in the stage, end it: the backend is
    down, and the circuit breaker should learn that now rather than after hundreds of time-outs.
    """

    extra_tries: int = 2
    backoff_s: float = 0.5
    jitter: float = 0.5
    hopeless_after: int = 8

    def pause_s(self, attempt: int, rng: random.Random) -> float:
        return self.backoff_s * 2 ** (attempt - 1) * (1.0 - self.jitter * rng.random())

    def batch_size(self, attempt: int, first: int) -> int:
        """first, its root, 1 for two extra tries: the last round is always single samples."""
        if self.extra_tries == 0:
            return first
        return max(1, math.ceil(first ** (1.0 - attempt / self.extra_tries) - 1e-9))


class Stopwatch:
    """Seconds inside the generator or scorer itself, measured where it runs; what is still running counts in full."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began: float | None = None

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += self._running()
        self._began = None

    def _running(self) -> float:
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def read(self) -> float:
        return self.seconds + self._running()


@dataclass
class Stage(Generic[J, R]):
    """Runs `call(jobs, stopwatch)`, which answers one R or Failure per job or raises, with `run` on the worker.

    `on_call(seconds, count)` hears of every call how long it kept generator or scorer busy.
    """

    call: Callable[[list[J], Stopwatch], Sequence[R | Failure]]
    run: Callable[[Callable[[], Sequence[R | Failure]], float | None], Sequence[R | Failure]]
    max_batch: int
    deadline: Deadline
    call_timeout_s: float | None = None
    policy: RetryPolicy = RetryPolicy()
    on_call: Callable[[float, int], None] = lambda seconds, count: None

    def __post_init__(self) -> None:
        self._rng = random.Random()
        self._succeeded = False
        self._failed_singles = 0  # a big batch fails by one member; single samples are evidence

    def __call__(
        self, jobs: Sequence[J], batches: Sequence[Sequence[int]] | None = None
    ) -> list[R | Failure]:
        """One R or Failure per job. Given `batches` (of positions) are never split: they are whole groups."""
        results: list[R | Failure] = [_NOT_STARTED] * len(jobs)
        pending = [i for batch in batches for i in batch] if batches is not None else list(range(len(jobs)))
        for attempt in range(self.policy.extra_tries + 1):
            if attempt and not self._pause(attempt):
                break
            queue = self._batches(pending, attempt, batches)
            self._round(jobs, queue, results, split=batches is None, last=attempt == self.policy.extra_tries)
            pending = [i for i in pending if _is_retryable(results[i])]
            if not pending or self._hopeless:
                break
        if self._hopeless:
            untried = Failure(Status.RETRYABLE, "unavailable", "not tried: every sample before it failed")
            results = [untried if answer is _NOT_STARTED else answer for answer in results]
        return results

    @property
    def _hopeless(self) -> bool:
        return not self._succeeded and self._failed_singles >= self.policy.hopeless_after

    def _batches(
        self, pending: list[int], attempt: int, fixed: Sequence[Sequence[int]] | None
    ) -> deque[list[int]]:
        if fixed is not None:
            waiting = set(pending)
            return deque(list(batch) for batch in fixed if waiting.intersection(batch))
        size = self.policy.batch_size(attempt, self.max_batch)
        return deque(pending[i : i + size] for i in range(0, len(pending), size))

    def _round(
        self,
        jobs: Sequence[J],
        queue: deque[list[int]],
        results: list[R | Failure],
        *,
        split: bool,
        last: bool,
    ) -> None:
        while queue and not self.deadline.expired and not self._hopeless:
            batch = queue.popleft()
            answers = self._attempt([jobs[i] for i in batch])
            if isinstance(answers, Failure):
                lasting = answers.status != Status.RETRYABLE
                if split and len(batch) > 1 and (lasting or last or answers.cause == "memory"):
                    if answers.cause == "memory":
                        _free_memory()
                        self.max_batch = min(self.max_batch, (len(batch) + 1) // 2)
                    middle = len(batch) // 2
                    queue.extendleft((batch[middle:], batch[:middle]))
                    continue
                self._failed_singles += not lasting and len(batch) == 1
                answers = [answers] * len(batch)
            for i, answer in zip(batch, answers, strict=True):
                results[i] = answer
                self._succeeded |= not _is_retryable(answer)

    def _attempt(self, jobs: list[J]) -> Sequence[R | Failure] | Failure:
        watch = Stopwatch()
        try:
            return self.run(lambda: self.call(jobs, watch), self.deadline.cap(self.call_timeout_s))
        except RewardMisconfigured:
            raise
        except CallTimeout as error:
            cause = "deadline" if self.deadline.expired else "timeout"
            return Failure(Status.RETRYABLE, cause, str(error))
        except Exception as error:  # noqa: BLE001 - a user's scorer may raise anything; it becomes a named failure
            return classify(error)
        finally:
            self.on_call(watch.read(), len(jobs))

    def _pause(self, attempt: int) -> bool:
        """Back off; False if the deadline comes first."""
        pause_s, left = self.policy.pause_s(attempt, self._rng), self.deadline.remaining()
        if left is not None and pause_s >= left:
            return False
        time.sleep(pause_s)
        return True


def _is_retryable(answer: object) -> bool:
    return isinstance(answer, Failure) and answer.status == Status.RETRYABLE


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
