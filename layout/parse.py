"""A model's text back into a scene: total on whatever a model writes, exact about what is wrong, and without guessing.

Nothing is mended here. Text around the JSON (a code fence, tags, chatter) is skipped because it carries no data; a missing bracket is a
failure.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from layout.schema import MAX_OBJECTS, Room, Scene, SceneObject
from layout.serialise import category_of, of_span, origin

Code = Literal["empty", "not_json", "truncated", "schema", "structure"]


Triple = tuple[float, float, float]


class Parsed(BaseModel):
    """What a model answered: its scene and, where it wrote one, its plan."""

    model_config = ConfigDict(frozen=True)

    scene: Scene
    plan: str | None = None


class ParseFailure(BaseModel):
    """Why a text is no answer. `place` is a path such as `objects[2].size`, or a character offset."""

    model_config = ConfigDict(frozen=True)

    code: Code
    place: str
    message: str


class _WireObject(BaseModel):
    """A span at a quarter turn, or a size and a position at any yaw."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    on: str
    yaw: int = Field(ge=0, lt=360)
    span: list[int] | None = Field(default=None, min_length=6, max_length=6)
    size: list[int] | None = Field(default=None, min_length=3, max_length=3)
    pos: list[int] | None = Field(default=None, min_length=3, max_length=3)

    @model_validator(mode="after")
    def _one_form(self) -> _WireObject:
        if self.span is not None:
            if self.size is not None or self.pos is not None:
                raise ValueError("span says size and place already; leave out size and pos")
            if self.yaw % 90:
                raise ValueError(
                    f"a span needs a yaw of 0, 90, 180 or 270, not {self.yaw}; give size and pos"
                )
        elif self.size is None or self.pos is None:
            raise ValueError("give span, or size and pos")
        return self

    def placed(self, carrier: SceneObject | None, height: float) -> tuple[Triple, Triple]:
        """(size, pos) in centimetres, on its carrier in a room of this height."""
        if self.span is not None:
            under = height if self.on == "ceiling" else None
            return of_span(self.span, self.yaw, origin(carrier), under=under)
        assert self.size is not None
        assert self.pos is not None
        (w, d, h), (x, y, z) = self.size, self.pos
        return (w, d, h), (x, y, z)


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    plan: str | None = None
    objects: list[_WireObject] = Field(max_length=MAX_OBJECTS)


def parse(text: str, room: Room) -> Parsed | ParseFailure:
    """The answer in a model's text. Never raises on text.

    Codes: "empty" (nothing there), "not_json", "truncated" (the text ends inside the JSON), "schema" (a field is missing, unknown or of the
    wrong kind), "structure" (an id twice, a carrier that does not exist or stands on itself).
    """
    if not text.strip():
        return ParseFailure(code="empty", place="0", message="the text is empty")
    start = text.find("{")
    if start < 0:
        return ParseFailure(code="not_json", place="0", message=f"no JSON object in {_excerpt(text, 0)}")
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        cut_off = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        return ParseFailure(
            code="truncated" if cut_off else "not_json",
            place=str(error.pos),
            message=f"{error.msg} at character {error.pos}: {_excerpt(text, error.pos)}",
        )
    except (RecursionError, ValueError) as error:  # nesting or digits beyond what Python reads
        return ParseFailure(code="not_json", place=str(start), message=f"unreadable JSON: {error}")
    return _scene(value, room)


def _scene(value: Any, room: Room) -> Parsed | ParseFailure:
    try:
        wire = _Wire.model_validate(value)
    except ValidationError as error:
        return _failure("schema", error, "")
    objects: dict[int, SceneObject] = {}
    for i in _carriers_first(wire.objects):
        o = wire.objects[i]
        carrier = next((c for c in objects.values() if c.id == o.on), None)
        size, pos = o.placed(carrier, room.height)
        try:
            objects[i] = SceneObject(
                id=o.id, category=category_of(o.id), size=size, yaw=o.yaw, pos=pos, on=o.on
            )
        except ValidationError as error:
            return _failure("schema", error, f"objects[{i}].")
    try:
        return Parsed(
            scene=Scene(room=room, objects=tuple(objects[i] for i in range(len(objects)))), plan=wire.plan
        )
    except ValidationError as error:
        return _failure("structure", error, "")


def _carriers_first(objects: list[_WireObject]) -> list[int]:
    """Places in the list, of each object after that of what it stands on; what stands in a ring comes last and is refused with the scene."""
    done: list[int] = []
    left = list(range(len(objects)))
    while left:
        waiting = {objects[i].id for i in left}
        ready = [i for i in left if objects[i].on not in waiting] or left
        done += ready
        left = [i for i in left if i not in ready]
    return done


def _failure(code: Code, error: ValidationError, prefix: str) -> ParseFailure:
    """The first thing wrong, with its path."""
    first = error.errors(include_url=False)[0]
    path = prefix
    for part in first["loc"]:
        path += (
            f"[{part}]"
            if isinstance(part, int)
            else f".{part}"
            if path and not path.endswith(".")
            else str(part)
        )
    place = path.rstrip(".") or "objects"
    return ParseFailure(code=code, place=place, message=f"{place}: {first['msg']}")


def _excerpt(text: str, at: int) -> str:
    return repr(text[max(0, at - 20) : at + 20])
