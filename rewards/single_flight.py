"""Concurrent callers that want the same thing: one makes it, the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rewards.deadline import Deadline


class Flight:
    """What one caller is making; `made` is complete once `landed` is set."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.made: Mapping[bytes, Any] = {}

    def wait(self, key: bytes, deadline: Deadline, otherwise: Any) -> Any:
        """The result for `key`; `otherwise` if it never came, or came too late."""
        self.landed.wait(deadline.remaining())
        return self.made.get(key, otherwise)


class SingleFlight:
    """Keys in the making. It can be pickled; nothing is in the making in the copy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[bytes, Flight] = {}

    @contextmanager
    def claim(self, keys: Sequence[bytes]) -> Iterator[tuple[list[bytes], dict[bytes, Flight], Flight]]:
        """Split distinct `keys` into ours to make and those that others are making: (ours, theirs, flight).

        Put what was made into `flight.made`; it is handed to those who wait when the block ends, however it ends.
        """
        flight = Flight()
        ours: list[bytes] = []
        theirs: dict[bytes, Flight] = {}
        with self._lock:
            for key in keys:
                other = self._flying.setdefault(key, flight)
                if other is flight:
                    ours.append(key)
                else:
                    theirs[key] = other
        try:
            yield ours, theirs, flight
        finally:
            with self._lock:
                for key in ours:
                    del self._flying[key]
            flight.landed.set()

    def __getstate__(self) -> dict[str, object]:
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__()
