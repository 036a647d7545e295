"""Furniture written in a plan's order, each piece held to the space that those before it leave; and written again where it brings a hard fault.

`write_at_once` leads a model through a whole room in one pass: a single sample. `write` looks at each piece before the next, so a mistake costs
one piece and not the room; such a room is not a single sample, and is to be reported apart. Nothing is moved: every piece is the model's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from layout.answer_schema import piece_schema
from layout.asking import Asked, Backend, Constraint, Step
from layout.checks import check
from layout.guide import RoomGuide
from layout.parse import ParseFailure, parse
from layout.schema import RelationSpec, Room, SceneObject
from layout.serialise import category_of

BOLDER = 0.15  # of the temperature, for every try before
STEP_TOKENS = 200  # no piece of the wire has more characters


@dataclass
class Writing:
    """One room being written: what is asked, the text so far without the last piece's end, and the schemas of the pieces to come."""

    room: Room
    prompt: str
    begun: str  # up to the plan's last word
    opening: str  # from there to the first piece
    items: Sequence[dict[str, Any]]
    space: bool = False  # whether a piece is held to the space that those before it leave
    said: Sequence[RelationSpec] = ()  # and, where there is space, to what the request says of its place
    pieces: list[str] = field(default_factory=list)
    cost: tuple[int, float] = (0, 0.0)

    @property
    def text(self) -> str:
        return self.begun + self.opening + ",".join(self.pieces) + "]}"

    def asked(self, *, follows: bool, whole: bool = False) -> Asked:
        """The next piece; the name of the one after it, or the end, is written too: in training one token had both.

        With a guide for a backend that `follows` one, which can also lead through all that is left, `whole`; with a schema for another.
        """
        k = len(self.pieces)
        after = "]}" if k + 1 == len(self.items) else f',{{"id":"{category_of(_id(self.items[k + 1]))}'
        written = self.begun + self.opening + ",".join(self.pieces)
        begun, opening = (written.removesuffix("]}"), "]},") if k else (self.begun, self.opening)
        objects = self._objects() if self.space else None
        if objects is None:
            return Asked(self.prompt, begun, Constraint(opening, self.items[k], after), STEP_TOKENS)
        ids = [_id(item) for item in self.items]
        if not follows:
            schema = piece_schema(self.room, ids[k], objects, self.items[k], self.said, ids[k + 1 :])
            return Asked(self.prompt, begun, Constraint(opening, schema, after), STEP_TOKENS)
        guide = partial(
            RoomGuide, self.room, ids, opening, objects, said=self.said, most=None if whole else 1
        )
        tokens = STEP_TOKENS * (len(self.items) - k) if whole else STEP_TOKENS
        return Asked(self.prompt, begun, None, tokens, guide)

    def _objects(self) -> tuple[SceneObject, ...] | None:
        read = parse('{"objects":[' + ",".join(self.pieces) + "]}", self.room)
        return None if isinstance(read, ParseFailure) else read.scene.objects

    def fill(self) -> None:
        """Put down the next pieces whose schema has one value only: kept furniture is not asked for."""
        while len(self.pieces) < len(self.items) and (fixed := _only_value(self.items[len(self.pieces)])):
            self.cost = self.cost_with(fixed)
            self.pieces.append(fixed)

    def cost_with(self, piece: str) -> tuple[int, float]:
        """Hard faults of the room so far and their size, with one more piece."""
        read = parse('{"objects":[' + ",".join([*self.pieces, piece]) + "]}", self.room)
        if isinstance(read, ParseFailure):
            return len(self.items) + 1, 0.0
        hard = check(read.scene).hard
        return len(hard), sum(v.amount or 0.0 for v in hard)


def write(
    backend: Backend,
    writings: Sequence[Writing],
    *,
    tries: int,
    temperature: float,
    seed: int,
    progress: Callable[[Step], None],
) -> None:
    """Write every room to its end, the n-th piece of all of them together; a piece is written at most `tries` times and the best is kept."""
    for w in writings:
        w.fill()
    last = max((len(w.items) for w in writings), default=0)
    for step in range(last):
        waiting = [w for w in writings if step < len(w.items) and len(w.pieces) == step]
        if not waiting:
            continue
        progress(Step("pieces", step, last))
        best: dict[int, tuple[tuple[int, float], str]] = {}
        todo = list(range(len(waiting)))
        for attempt in range(tries):
            asked = [waiting[i].asked(follows=backend.follows) for i in todo]
            drawn = seed + 1_000 * step + attempt
            # What was wrong once is likely to be written again: later tries are bolder.
            bolder = temperature * (1 + BOLDER * attempt)
            texts = backend.complete(asked, temperature=bolder, seed=drawn)
            for i, text in zip(todo, texts, strict=True):
                piece = first_value(text[text.index("{") :])
                found = waiting[i].cost_with(piece), piece
                best[i] = min(best.get(i, found), found)
            todo = [i for i in todo if best[i][0][0] > waiting[i].cost[0]]
            if not todo:
                break
        for i, w in enumerate(waiting):
            w.cost = best[i][0]
            w.pieces.append(best[i][1])


def write_at_once(
    backend: Backend, writings: Sequence[Writing], *, temperature: float, seed: int
) -> list[str]:
    """Every room to its end in one go, for a backend that follows guides. Returns the texts."""
    for w in writings:
        w.fill()
    asked = {
        i: w.asked(follows=True, whole=True) for i, w in enumerate(writings) if len(w.pieces) < len(w.items)
    }
    rest = backend.complete(list(asked.values()), temperature=temperature, seed=seed)
    texts = [w.text for w in writings]
    for (i, a), text in zip(asked.items(), rest, strict=True):
        texts[i] = a.begun + text
    return texts


def _id(item: dict[str, Any]) -> str:
    """The id that a schema of one piece, at any yaw, has."""
    return item.get("anyOf", [item])[0]["properties"]["id"]["const"]


def _only_value(item: dict[str, Any]) -> str | None:
    """The one text that fits a schema of constants; None where there are several."""
    values = {name: rule.get("const") for name, rule in item.get("properties", {}).items()}
    if not values or None in values.values():
        return None
    return json.dumps(values, separators=(",", ":"))


def first_value(text: str) -> str:
    """The JSON value with which a text begins, as the wire has it."""
    return json.dumps(json.JSONDecoder().raw_decode(text)[0], separators=(",", ":"))
