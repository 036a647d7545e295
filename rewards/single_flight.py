"""Concurrent callers that want the same thing: one makes it, the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any


class SingleFlight:
    """Keys in the making. Whoever claims a key must settle it, whatever happens (use try/finally)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[bytes, Future[Any]] = {}

    def claim(self, keys: Sequence[bytes]) -> tuple[set[bytes], dict[bytes, Future[Any]]]:
        """Split `keys` into those that are now ours to make and those that somebody else is making."""
        ours, theirs = set(), {}
        with self._lock:
            for key in keys:
                future = self._flying.get(key)
                if future is None:
                    self._flying[key] = Future()
                    ours.add(key)
                elif key not in ours:
                    theirs[key] = future
        return ours, theirs

    def settle(self, key: bytes, result: object) -> None:
        """Hand the result of a claimed key to all who wait for it, and forget the key."""
        with self._lock:
            future = self._flying.pop(key, None)
        if future is not None:
            future.set_result(result)

    def __getstate__(self) -> dict[str, object]:
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__()
