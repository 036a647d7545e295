"""The local worker: one thread in this process, so that vLLM, torch and pool threads do not fight for the cores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from rewards.deadline import Deadline
from rewards.failures import CallTimeout

T = TypeVar("T")


class _Lane:
    """A daemon thread with its queue. An abandoned lane ends after the job that it hangs in."""

    def __init__(self, threads: int | None) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = threads
        self.thread = threading.Thread(target=self._serve, name="rewright-worker", daemon=True)
        self.thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._jobs.put((future, work))
        return future

    def end(self) -> None:
        """Let the thread stop when it comes back to its queue."""
        self._jobs.put(None)

    def _serve(self) -> None:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)  # OpenMP keeps this per thread: the caller's own count stays
        while (job := self._jobs.get()) is not None:
            future, work = job
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - carried to the caller, who waits on the future
                future.set_exception(error)
            del job, future, work  # a waiting lane must not keep the last batch alive


class LocalWorker:
    """Runs one job at a time on one thread with `threads` compute threads (None: torch's default).

    A job that exceeds its time-out cannot be stopped from outside: its thread is left behind, its result ignored, and
    the next job gets a new thread. At most `max_abandoned` hanging threads are tolerated; beyond that, jobs wait.
    Threads are made on first use, so the worker can be pickled and sent to another process.
    """

    def __init__(self, threads: int | None = None, max_abandoned: int = 32) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads}: give at least 1, or None for torch's default")
        self.threads = threads
        self.max_abandoned = max_abandoned
        self._reset()

    def _reset(self) -> None:
        self._turn = threading.Lock()
        self._lane: _Lane | None = None
        self._hanging: list[threading.Thread] = []

    def run(self, work: Callable[[], T], timeout_s: float | None = None) -> T:
        """The result of `work()`, or its exception, or CallTimeout after `timeout_s` (waiting for a turn counts)."""
        end = Deadline.after(timeout_s)
        if not self._turn.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise CallTimeout(f"no turn on the worker within {timeout_s:.3g} s")
        try:
            return self._run_in_turn(work, end)
        finally:
            self._turn.release()

    def _run_in_turn(self, work: Callable[[], T], end: Deadline) -> T:
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= self.max_abandoned:
            self._hanging[0].join(end.remaining())
            if self._hanging[0].is_alive():
                raise CallTimeout(f"{len(self._hanging)} earlier calls still hang; the worker takes no more")
        if self._lane is None:
            self._lane = _Lane(self.threads)
        future = self._lane.submit(work)
        try:
            return future.result(end.remaining())
        except TimeoutError:
            if future.done():  # the job's own TimeoutError, or it ended in the very last moment
                return future.result()
            lane, self._lane = self._lane, None
            lane.end()
            self._hanging.append(lane.thread)
            raise CallTimeout("the call did not come back in time") from None

    @property
    def hanging(self) -> int:
        """How many timed-out calls still occupy a thread."""
        return sum(thread.is_alive() for thread in self._hanging)

    def close(self) -> None:
        """End the idle thread; hanging ones end by themselves or with the process."""
        with self._turn:
            if self._lane is not None:
                self._lane.end()
                self._lane = None

    def __getstate__(self) -> dict[str, object]:
        return {"threads": self.threads, "max_abandoned": self.max_abandoned}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.threads, self.max_abandoned = state["threads"], state["max_abandoned"]
        self._reset()
