"""One thread owns the layout model; requests wait for it in a bounded queue and hear how far theirs is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from layout.asking import Backend, Step

T = TypeVar("T")
Work = Callable[[Callable[[Step], None]], T]


class Overloaded(RuntimeError):
    """More requests are waiting than the server takes."""


class Abandoned(RuntimeError):
    """Whoever asked has gone; the work stops at its next step."""


class LayoutService:
    """The state behind the routes: one model or none, why there is none, and the queue in front of it."""

    def __init__(
        self, backend: Backend | None, *, name: str | None = None, why: str = "no layout model was given", max_waiting: int = 8
    ) -> None:  # fmt: skip
        self.backend, self.why, self.max_waiting = backend, why, max_waiting
        self.name = (name or "layout model") if backend is not None else None
        self.waiting = 0
        self.abandoned = 0  # requests whose client left before the end
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="layout")

    async def run(self, work: Work[T]) -> T:
        """The result of `work` in the model's thread. Raises Overloaded before anything is queued."""
        async for event in self.events(work):
            if not isinstance(event, Step):
                return event
        raise AssertionError("the work ended without a result")

    async def events(self, work: Work[T]) -> AsyncIterator[Step | T]:
        """Steps as they are done, then the result. Leaving early abandons the work."""
        self.refuse_overload()
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[Step | None] = asyncio.Queue()
        gone = threading.Event()

        def tell(step: Step) -> None:
            if gone.is_set():
                raise Abandoned
            loop.call_soon_threadsafe(steps.put_nowait, step)

        def call() -> T:
            if gone.is_set():
                raise Abandoned
            return work(tell)

        self.waiting += 1
        future = loop.run_in_executor(self._thread, call)
        future.add_done_callback(lambda done: self._over(done, steps))
        try:
            while (step := await steps.get()) is not None:
                yield step
            yield await future
        finally:
            if not future.done():
                gone.set()
                self.abandoned += 1

    def refuse_overload(self) -> None:
        if self.waiting >= self.max_waiting:
            raise Overloaded(f"{self.waiting} requests are waiting; the limit is {self.max_waiting}")

    def _over(self, done: asyncio.Future[T], steps: asyncio.Queue[Step | None]) -> None:
        self.waiting -= 1
        if not done.cancelled():
            done.exception()  # of abandoned work nobody asks for it, and that is no error
        steps.put_nowait(None)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
