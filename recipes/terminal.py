"""What the commands say: results on standard output, progress and remarks on standard error.

Prompts contain brackets, so nothing printed here is read as rich's markup.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Part = TypeVar("Part")


def say(text: str = "") -> None:
    """One line of result on standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """One line beside the result, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def spell_seconds(seconds: float) -> str:
    """90 → "1:30 min", 7200 → "2:00 h"."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


class Ticker:
    """Counts work done; drawn as a bar with the time left on a terminal, elsewhere as a line every tenth and every 20 seconds."""

    def __init__(self, bar: object, task: object, title: str, total: int, every_s: float = 20.0) -> None:
        self._bar, self._task, self._title, self._total = bar, task, title, total
        self._every_s, self._began = every_s, time.monotonic()
        self._done, self._said, self._said_at = 0, 0, self._began

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if self._bar is not None:
            self._bar.advance(self._task, steps)  # type: ignore[attr-defined]
            return
        tenth, now = math.floor(10 * self._done / max(self._total, 1)), time.monotonic()
        if tenth > self._said or (self._done and now - self._said_at >= self._every_s):
            self._said, self._said_at = tenth, now
            left = (now - self._began) / self._done * max(self._total - self._done, 0)
            remark(f"{self._title}: {self._done} of {self._total}, {spell_seconds(left)} left")


@contextmanager
def progress(title: str, total: int) -> Iterator[Ticker]:
    """A progress bar with rate and time left: `with progress("images", 400) as ticker: ticker.advance(16)`."""
    if not sys.stderr.isatty():
        yield Ticker(None, None, title, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Ticker(bar, bar.add_task(title, total=total), title, total)


def batches(items: Sequence[Part], size: int) -> Iterator[Sequence[Part]]:
    """Consecutive slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Plain text columns, the first to the left and the others to the right."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    written = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    written.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in written)
