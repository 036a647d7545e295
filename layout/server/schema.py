"""Bodies of the layout endpoints. Unknown keys are refused, so that a misspelt option is an error and not a default."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from layout.report import Report
from layout.schema import MAX_OBJECTS, Room, RoomType, Scene, SceneObject, Spec, Strict

MAX_ANSWERS = 64
MAX_REQUEST_CHARS = 2000
MAX_BODY_BYTES = 1_000_000  # 200 objects are 40 kB

Request = Annotated[str, Field(min_length=1, max_length=MAX_REQUEST_CHARS, pattern=r"\S")]
Answers = Annotated[
    int, Field(ge=1, le=MAX_ANSWERS, description="answers of the model to choose the best of")
]
Seed = Annotated[int, Field(ge=0, lt=2**31, description="the same seed gives the same room")]
Tries = Annotated[int, Field(ge=1, le=16, description="times a piece that brings a hard fault into the room is written before the next; 1 writes a room at once")]  # fmt: skip
Temperature = Annotated[float, Field(ge=0, le=2, description="of sampling; 0 always takes the likeliest")]
Repair = Annotated[bool, Field(description="mend small faults of the best answer; `raw` is it as it was")]
Svg = Annotated[bool, Field(description="also draw the floor plan, as SVG")]
Stream = Annotated[
    bool, Field(description="answer with text/event-stream: `progress` events, then one `result` or `error`")
]

_ROOM = {
    "room_type": "bedroom", "polygon": [[0, 0], [340, 0], [340, 360], [0, 360]], "height": 260,
    "doors": [{"wall": 0, "start": 15, "end": 105}], "windows": [{"wall": 2, "start": 100, "end": 240}],
}  # fmt: skip
_BED = {"id": "bed", "category": "double_bed", "size": [160, 200, 50], "yaw": 0, "pos": [200, 260, 0]}
_DESK = {"id": "desk", "category": "desk", "size": [100, 60, 75], "yaw": 270, "pos": [310, 60, 0]}


class LayoutRequest(Strict):
    """Body of `POST /v1/layouts`: what the room should be or have, and which room it is.

    The room is `room`, or a rectangle of `size`, or what the request says of type and size; without any size one is drawn by the seed.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"request": "a small bedroom for a student, desk at the window", "size": "3.4x3.6", "n": 8},
                {"request": "add two nightstands and a wardrobe", "room": _ROOM, "keep": [_BED]},
            ]
        },
    )

    request: Request = Field(description="what the room should be or have, in words")
    room: Room | None = Field(default=None, description="the empty room, in centimetres")
    size: str | None = Field(default=None, max_length=40, description="width x depth of a rectangle, such as 3.4x3.6 (metres), 340x360cm, 11x12ft")  # fmt: skip
    type: RoomType | None = Field(default=None, description="type of room, where the request does not say it")
    keep: tuple[SceneObject, ...] = Field(default=(), max_length=MAX_OBJECTS, description="furniture that is there and stays exactly")  # fmt: skip
    n: Answers = 8
    seed: Seed = 0
    plan: bool = Field(default=True, description="let the model plan before it writes coordinates")
    space: bool = Field(
        default=True, description="hold every piece to the space that the room and the pieces before it leave"
    )
    repair: Repair = True
    tries: Tries = 1
    temperature: Temperature = 0.8
    svg: Svg = False
    stream: Stream = False

    @model_validator(mode="after")
    def _one_room(self) -> LayoutRequest:
        if self.room is not None and (self.size is not None or self.type is not None):
            raise ValueError("room: a room has its own size and type; leave `size` and `type` out")
        if self.keep and self.room is None:
            raise ValueError("keep: furniture stays in a room that is there; give it as `room`")
        if self.keep:
            assert self.room is not None
            Scene(room=self.room, objects=self.keep)  # refuses ids used twice and carriers that are not there
        return self


class EditRequest(Strict):
    """Body of `POST /v1/layouts/edit`: a furnished room and what to change in it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "request": "move the desk to the window wall, add a bookshelf",
                    "scene": {"room": _ROOM, "objects": [_BED, _DESK]},
                }
            ]
        },
    )

    request: Request = Field(description="add, remove, move, swap, turn, replace, resize or keep, and where")
    scene: Scene = Field(description="the furnished room, in centimetres")
    n: Answers = 8
    seed: Seed = 0
    repair: Repair = True
    tries: Tries = 1
    temperature: Temperature = 0.8
    svg: Svg = False
    stream: Stream = False


class Answer(Strict):
    """One answer of the model, in a line."""

    parsed: bool
    why: str | None = Field(default=None, description="why it could not be read")
    plan: str | None = None
    objects: int | None = None
    faults: dict[str, int] = Field(default_factory=dict, description="faults by code, as the model gave it")


class LayoutResponse(Strict):
    """Answer to `POST /v1/layouts`. `scene` is the room to use, `raw` the best answer as the model gave it."""

    id: str
    model: str
    scene: Scene | None = Field(description="null when no answer of the model could be read")
    raw: Scene | None
    report: Report | None = Field(description="of `scene`")
    raw_report: Report | None = Field(description="of `raw`")
    ok: bool = Field(description="no hard fault, and everything is there that the words ask for")
    unmet: tuple[str, ...] = Field(description="what is missing or wrong, the grave first")
    moves: tuple[str, ...] = Field(description="what repair did")
    asked_for: Spec = Field(description="what the words ask for, as the validator understands them")
    answers: tuple[Answer, ...]
    svg: str | None = None
    latency_ms: float


class Changed(Strict):
    """One thing before and after; null where it was not or is no more."""

    id: str
    what: str = Field(description="added, removed, moved, turned or resized")
    before: SceneObject | None
    after: SceneObject | None


class EditResponse(Strict):
    """Answer to `POST /v1/layouts/edit`. What the edit is not about is in `scene` exactly as it came."""

    id: str
    model: str | None = Field(description="null when no model is loaded and the search alone placed")
    scene: Scene
    raw: Scene
    report: Report
    before_report: Report
    ok: bool = Field(description="every operation done and no new hard fault")
    operations: tuple[str, ...] = Field(description="what the words were understood as")
    notes: tuple[str, ...] = Field(description="what was chosen where the words left a choice, and what went along")  # fmt: skip
    unmet: tuple[str, ...]
    changes: tuple[Changed, ...]
    locality: float | None = Field(description="measured share of the untouched things that are exactly as they were")  # fmt: skip
    source: str = Field(description="where the chosen places come from: model or search")
    moves: tuple[str, ...]
    svg: str | None = None
    latency_ms: float


class Status(Strict):
    """Answer to `GET /v1/layouts`."""

    status: str = Field(description='"ok", or "no model": edits are then placed by search and rooms are 503')
    model: str | None
    message: str | None
    waiting: int
    abandoned: int = Field(description="requests whose client left before the end")
    limits: dict[str, Any]
