"""Answers already given: an LRU of bounded size, and one computation per key however many ask at once."""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def cache_key(**parts: Any) -> str:
    """sha256 over everything the answer depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class SingleFlightCache(Generic[T]):
    """LRU over results; used from one event loop. A failed or unwanted result is handed to those who wait and not kept."""

    def __init__(self, max_entries: int, keep: Callable[[T], bool] = lambda _: True):
        self.max_entries = max_entries
        self.hits = self.misses = 0
        self._keep = keep
        self._done: OrderedDict[str, T] = OrderedDict()
        self._running: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str, compute: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """(result, whether it was in the cache). A caller that is cancelled does not stop the computation for the others."""
        if key in self._done:
            self._done.move_to_end(key)
            self.hits += 1
            return self._done[key], True
        self.misses += 1
        task = self._running.get(key)
        if task is None:
            task = asyncio.ensure_future(self._compute(key, compute))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task), False

    async def _compute(self, key: str, compute: Callable[[], Awaitable[T]]) -> T:
        result = await compute()
        if self.max_entries > 0 and self._keep(result):
            self._done[key] = result
            while len(self._done) > self.max_entries:
                self._done.popitem(last=False)
        return result

    def __len__(self) -> int:
        return len(self._done)
