"""What a scene asks for: one small JSON that people can write by hand.

    {"objects": [{"shape": "circle", "color": "red", "count": 2}, {"shape": "square", "size": "large"}],
     "relations": [{"a": 0, "rel": "left of", "b": 1}], "background": "white", "exclude": [{"shape": "star"}]}

An absent attribute is left open; `count` may be `[low, high]` ("a few"); a relation on a group holds for all of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "yellow": (240, 210, 40),
    "purple": (140, 60, 170),
    "orange": (245, 135, 30),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (245, 245, 245),
    "black": (15, 15, 15),
    "gray": (128, 128, 128),
}
LETTERS = (
    "A",
    "E",
    "H",
    "T",
)  # text rendering: a letter is drawn large only, smaller ones are not legible enough to judge
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", *LETTERS)
SIZES = ("small", "large")
RELATIONS = {
    "left of": (-1, 0),
    "right of": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}  # unit step from b to a, y down
MAX_COUNT = 9  # the cells of the canvas
MAX_OBJECTS = 4  # the renderer and the generator draw one to four objects

_Shape = Literal["circle", "square", "triangle", "star", "cross", "ring", "A", "E", "H", "T"]
_Color = Literal["red", "green", "blue", "yellow", "purple", "orange"]


def _as_range(value: object) -> object:
    """A plain count as (n, n); refuses what is neither that nor [low, high], and what no canvas holds."""
    ends = (value, value) if isinstance(value, int) else value
    if (
        not isinstance(ends, tuple | list)
        or len(ends) != 2
        or not all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
    ):
        raise ValueError(f"count must be a number such as 2, or [low, high] such as [2, 4], not {value!r}")
    if max(ends) > MAX_COUNT:
        raise ValueError(f"count {value!r}: at most {MAX_COUNT}, one object for each cell of the canvas")
    return ends


Count = Annotated[tuple[int, int], BeforeValidator(_as_range)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ObjectSpec(_Strict):
    """A group of equal objects. `count` is stored as an inclusive (low, high)."""

    shape: _Shape | None = None
    color: _Color | None = None
    size: Literal["small", "large"] | None = None
    count: Count = (1, 1)

    @model_validator(mode="after")
    def _check(self) -> ObjectSpec:
        low, high = self.count
        if not 1 <= low <= high:
            raise ValueError(f"count {self.count} must be 1 <= low <= high; leave a thing out with 'exclude'")
        return self


class ExcludeSpec(_Strict):
    """A kind of object that must not be seen; absent attributes match anything."""

    shape: _Shape | None = None
    color: _Color | None = None
    size: Literal["small", "large"] | None = None

    @model_validator(mode="after")
    def _check(self) -> ExcludeSpec:
        if self.shape is None and self.color is None and self.size is None:
            raise ValueError("an 'exclude' entry needs at least one of shape, color, size")
        return self


class RelationSpec(_Strict):
    """Group `a` stands `rel` group `b`; both are indices into `objects`."""

    a: int = Field(ge=0)
    rel: Literal["left of", "right of", "above", "below"]
    b: int = Field(ge=0)


class SceneSpec(_Strict):
    """A whole scene. Frozen and hashable through `key()`."""

    objects: tuple[ObjectSpec, ...] = Field(min_length=1)
    relations: tuple[RelationSpec, ...] = ()
    background: Literal["white", "black", "gray"] | None = None
    exclude: tuple[ExcludeSpec, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> SceneSpec:
        for relation in self.relations:
            if relation.a == relation.b or max(relation.a, relation.b) >= len(self.objects):
                raise ValueError(
                    f"relation {relation.a} {relation.rel!r} {relation.b}: a and b must be two different indices "
                    f"below {len(self.objects)}"
                )
        return self

    @property
    def total(self) -> tuple[int, int]:
        """Least and greatest number of objects asked for."""
        return sum(o.count[0] for o in self.objects), sum(o.count[1] for o in self.objects)

    def to_json(self) -> dict:
        """The hand-written form: a plain count where low equals high, open attributes left out."""
        data = self.model_dump(exclude_none=True)
        for entry in data["objects"]:
            low, high = entry["count"]
            entry["count"] = low if low == high else [low, high]
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in data.items() if value
        }

    def key(self) -> str:
        """A canonical string: equal for equal scenes, the unit of the train/held-out split."""
        return self.model_dump_json(exclude_none=True)
