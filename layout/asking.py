"""What is asked of a layout model: a text to go on with, and what may follow it. `recipes.layout_backends` has the models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Constraint:
    """What a text may be: `before`, then a JSON value of `schema` written without spaces, then `after`; or any text of a grammar in EBNF."""

    before: str = ""
    schema: dict[str, Any] | None = None
    after: str = ""
    ebnf: str | None = None


@dataclass(frozen=True)
class NumberChoice:
    """A whole number in one of `ranges` (ends included, none of them in another), with `sign` behind it: a list of texts that need not be written out."""

    ranges: tuple[tuple[int, int], ...]
    sign: str

    def texts(self) -> list[str]:
        return [f"{value}{self.sign}" for low, high in self.ranges for value in range(low, high + 1)]


class Guide(Protocol):
    """Follows a text while it is written: `options` are the texts of which one comes next (none: the end), `take` says which it was.

    No option is the beginning of another.
    """

    def options(self) -> list[str] | NumberChoice: ...

    def take(self, text: str) -> None: ...


@dataclass(frozen=True)
class Asked:
    """One text to be completed: the user's prompt, how the answer begins, and what may follow (None: anything).

    `guide` begins what holds the text instead of a constraint; only a backend that `follows` guides is asked so.
    """

    prompt: str
    begun: str
    constraint: Constraint | None
    max_tokens: int
    guide: Callable[[], Guide] | None = None


@dataclass(frozen=True)
class Step:
    """How far something is: `done` of `total` at a stage ("plans", "rooms", "pieces", "repair", "search")."""

    stage: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.stage}: {self.done} of {self.total}"


class Backend(Protocol):
    """A layout model. `complete` returns what follows `begun` for each of the texts, without the end token; `follows` says whether it heeds guides."""

    follows: bool

    def complete(self, asked: Sequence[Asked], *, temperature: float, seed: int) -> list[str]: ...
