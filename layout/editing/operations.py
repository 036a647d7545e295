"""What an edit is made of: things added, removed, moved, turned and resized, and the places they are to have.

Operations are what the words mean in one room: every existing thing is an id, every new one has the id it will get.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["add", "remove", "move", "turn", "resize", "swap", "keep"]
Size = tuple[float, float, float]


@dataclass(frozen=True)
class Place:
    """One thing said about where something is to be.

    `relation` is to `targets` (ids of objects) or to a `part` of the room ("window", "door", "wall", "corner", "room", "side"). `side` says
    which: a compass direction, two for a corner, "window" or "door" for the wall with one, "opposite window", or the number of a wall.
    `amount` is in cm for "shifted" and in degrees, counter-clockwise, for "turned".
    """

    relation: str
    targets: tuple[str, ...] = ()
    part: str | None = None
    side: str | None = None
    amount: float | None = None
    words: str = ""


@dataclass(frozen=True)
class Operation:
    """One step of an edit. `ids` are what it touches; `category` and `size` ("large", "small", or cm) are of what is added or resized."""

    kind: Kind
    ids: tuple[str, ...]
    places: tuple[Place, ...] = ()
    category: str | None = None
    size: Size | Literal["large", "small"] | None = None

    def __str__(self) -> str:
        names = " and ".join(self.ids) if len(self.ids) < 3 else ", ".join(self.ids)
        where = " ".join(p.words for p in self.places)
        if self.kind == "resize" and isinstance(self.size, tuple):
            where = "to " + " x ".join(f"{v:g}" for v in self.size) + " cm"
        if self.kind == "add" and isinstance(self.size, str):
            names += f" ({self.size})"
        return f"{self.kind} {names} {where}".rstrip()


@dataclass(frozen=True)
class Edits:
    """A request as read: its operations in order, and remarks on what was chosen where the words left a choice."""

    operations: tuple[Operation, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(name for op in self.operations if op.kind == "remove" for name in op.ids)

    @property
    def touched(self) -> frozenset[str]:
        """Ids of everything an operation is about, except what is to stay."""
        return frozenset(name for op in self.operations if op.kind != "keep" for name in op.ids)
