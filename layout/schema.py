"""A furnished room as data: what is on disk, on the wire and in every check.

Centimetres, z up, the polygon's south-west corner at (0, 0), yaw in degrees counter-clockwise, front = local −Y (`layout.frames`). Lengths
are floats in memory so that imported rooms keep their fractions; the wire text of `layout.serialise` is whole centimetres. Parsed once at
the edge: what a room cannot be (self-crossing, clockwise, in metres, a door past its wall) is refused here with the place named. What a room
should not be (a bed in the doorway) is for `layout.checks`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from layout import geometry
from layout.geometry import Box, Wall

RoomType = Literal["bedroom", "living_room", "kitchen", "bathroom"]
ROOM_TYPES: tuple[RoomType, ...] = ("bedroom", "living_room", "kitchen", "bathroom")
PLACES = ("floor", "wall", "ceiling")  # what an object can be on, other than another object
MAX_OBJECTS = 200

# Whole numbers are written as such: "210", not "210.0".
Cm = Annotated[
    float, Field(allow_inf_nan=False), PlainSerializer(lambda v: int(v) if v == int(v) else round(v, 4))
]
Length = Annotated[Cm, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=60)]


class Strict(BaseModel):
    """Base of everything that crosses the edge: unknown keys are errors, values do not change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Opening(Strict):
    """A hole in wall `wall` (the edge from vertex `wall` to the next) between two marks along it, from the wall's first corner."""

    wall: int = Field(ge=0)
    start: Cm = Field(ge=0)
    end: Cm

    @property
    def width(self) -> float:
        return self.end - self.start

    @model_validator(mode="after")
    def _ordered(self) -> Opening:
        if self.end <= self.start:
            raise ValueError(
                f"an opening on wall {self.wall} ends at {self.end:g} cm but starts at {self.start:g} cm"
            )
        return self


class Door(Opening):
    """A door or archway. `hinge` is the side the leaf turns on; "both" has two leaves, "none" is an open passage."""

    height: Length = 210
    hinge: Literal["start", "end", "both", "none"] = "start"
    swing: Literal["in", "out", "none"] = "in"

    @property
    def clear_depth(self) -> float:
        """Depth of the floor that has to stay free inside the room: the leaf's reach, or 60 cm to step through."""
        if self.swing != "in" or self.hinge == "none":
            return 60.0
        return max(60.0, self.width / 2 if self.hinge == "both" else self.width)


class Window(Opening):
    """A window from `sill` to `head` above the floor."""

    sill: Cm = Field(default=90, ge=0)
    head: Length = 210

    @model_validator(mode="after")
    def _upright(self) -> Window:
        if self.head <= self.sill:
            raise ValueError(
                f"a window on wall {self.wall} has its head at {self.head:g} cm, not above its sill at {self.sill:g} cm"
            )
        return self


class Room(Strict):
    """An empty room: a counter-clockwise polygon from the south-west, its height, its openings."""

    room_type: RoomType
    polygon: tuple[tuple[Cm, Cm], ...] = Field(min_length=3, max_length=64)
    height: Length = 260
    doors: tuple[Door, ...] = ()
    windows: tuple[Window, ...] = ()

    @cached_property
    def walls(self) -> list[Wall]:
        return geometry.walls(self.polygon)

    @cached_property
    def area(self) -> float:
        """Floor area in cm²."""
        return geometry.signed_area(self.polygon)

    @cached_property
    def extent(self) -> tuple[float, float]:
        """Width (x) and depth (y) of the bounding rectangle."""
        return max(p[0] for p in self.polygon), max(p[1] for p in self.polygon)

    @cached_property
    def centroid(self) -> tuple[float, float]:
        """Centre of mass of the floor."""
        x = y = 0.0
        for (px, py), (qx, qy) in zip(self.polygon, self.polygon[1:] + self.polygon[:1], strict=True):
            cross = px * qy - qx * py
            x += (px + qx) * cross
            y += (py + qy) * cross
        return x / (6 * self.area), y / (6 * self.area)

    @model_validator(mode="after")
    def _polygon(self) -> Room:
        ring = self.polygon
        for i, (p, q) in enumerate(zip(ring, ring[1:] + ring[:1], strict=True)):
            if math.dist(p, q) < 1:
                raise ValueError(
                    f"polygon: vertices {i} and {(i + 1) % len(ring)} are {math.dist(p, q):g} cm apart at {p}; leave one out"
                )
        crossing = geometry.self_crossing(ring)
        if crossing is not None:
            i, j = crossing
            raise ValueError(
                f"polygon: edge {i} from {ring[i]} crosses edge {j} from {ring[j]}; the outline must not meet itself"
            )
        area = geometry.signed_area(ring)
        if area < 0:
            raise ValueError(
                "polygon: the vertices run clockwise; give them counter-clockwise (reverse the list)"
            )
        if area < 10_000:
            raise ValueError(
                f"polygon: the floor has {area / 1e4:.4f} m²; lengths are centimetres, were these metres?"
            )
        if area > 1e8:
            raise ValueError(
                f"polygon: the floor has {area / 1e4:.0f} m²; lengths are centimetres, were these millimetres?"
            )
        corner = min(p[0] for p in ring), min(p[1] for p in ring)
        if corner != (0, 0):
            raise ValueError(
                f"polygon: the south-west corner is at {corner}; subtract it, so that it is at (0, 0)"
            )
        if not 150 <= self.height <= 1000:
            raise ValueError(f"height: {self.height:g} cm is no height of a room (150 to 1000 cm)")
        return self

    @model_validator(mode="after")
    def _openings(self) -> Room:
        taken: dict[int, list[tuple[float, float, str]]] = {}
        named = [(f"doors[{i}]", o) for i, o in enumerate(self.doors)]
        named += [(f"windows[{i}]", o) for i, o in enumerate(self.windows)]
        for name, opening in named:
            if opening.wall >= len(self.polygon):
                raise ValueError(
                    f"{name}: wall {opening.wall} does not exist; this room has walls 0 to {len(self.polygon) - 1}"
                )
            length = self.walls[opening.wall].length
            if opening.end > length + 0.5:
                raise ValueError(
                    f"{name}: ends at {opening.end:g} cm on wall {opening.wall}, which is {length:.0f} cm long"
                )
            top = (
                opening.height
                if isinstance(opening, Door)
                else opening.head
                if isinstance(opening, Window)
                else 0
            )
            if top > self.height:
                raise ValueError(f"{name}: reaches {top:g} cm but the room is {self.height:g} cm high")
            for start, end, other in taken.setdefault(opening.wall, []):
                if opening.start < end and start < opening.end:
                    raise ValueError(f"{name}: overlaps {other} on wall {opening.wall}")
            taken[opening.wall].append((opening.start, opening.end, name))
        return self


class SceneObject(Strict):
    """One piece of furniture: `size` is (width along local x, depth along local y, height), `pos` the centre of its bottom face.

    `on` is "floor", "wall", "ceiling", or the id of the object it stands on.
    """

    id: Name
    category: Name
    size: tuple[Length, Length, Length]
    yaw: Annotated[Cm, Field(ge=0, lt=360)] = 0
    pos: tuple[Cm, Cm, Cm]
    on: Name = "floor"

    @cached_property
    def box(self) -> Box:
        return Box.of(self.pos, self.size, self.yaw)

    def moved(self, **changes: object) -> SceneObject:
        """A copy with other values, checked like a new one."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return SceneObject.model_validate(fields | changes)


class Scene(Strict):
    """A room with its furniture."""

    room: Room
    objects: tuple[SceneObject, ...] = Field(default=(), max_length=MAX_OBJECTS)

    @cached_property
    def by_id(self) -> dict[str, SceneObject]:
        return {o.id: o for o in self.objects}

    def of(self, category: str) -> list[SceneObject]:
        """The objects of a category, in order."""
        return [o for o in self.objects if o.category == category]

    def replaced(self, changed: SceneObject) -> Scene:
        """A copy in which the object with that id is another."""
        return Scene(
            room=self.room, objects=tuple(changed if o.id == changed.id else o for o in self.objects)
        )

    @model_validator(mode="after")
    def _structure(self) -> Scene:
        parents: dict[str, str] = {}
        for i, o in enumerate(self.objects):
            if o.id in PLACES:
                raise ValueError(
                    f"objects[{i}]: {o.id!r} is a place, not a name; call the object something else"
                )
            if o.id in parents:
                raise ValueError(f"objects[{i}]: the id {o.id!r} is used twice")
            parents[o.id] = o.on
        for name, on in parents.items():
            if on not in PLACES and on not in parents:
                raise ValueError(
                    f"object {name!r} is on {on!r}, which is neither a place ({', '.join(PLACES)}) nor an object"
                )
            seen = {name}
            while on not in PLACES:
                if on in seen:
                    raise ValueError(f"object {name!r} stands on itself through {on!r}")
                seen.add(on)
                on = parents[on]
        return self


Quantifier = Literal["eq", "lt", "gt", "le", "ge"]
ARCHITECTURE = ("wall", "door", "window", "corner", "room", "ceiling", "floor")


class CountSpec(Strict):
    """How many objects of a category a request asks for."""

    category: Name
    n: int = Field(ge=0, le=MAX_OBJECTS)
    quantifier: Quantifier = "eq"


class RelationSpec(Strict):
    """A relation a request asks for: at least (or exactly, …) `n` objects of `subject` stand in `relation` to the references.

    References are categories or parts of the room (`ARCHITECTURE`).
    """

    relation: Name
    subject: Name
    references: tuple[Name, ...] = Field(min_length=1, max_length=12)
    n: int = Field(default=1, ge=0, le=MAX_OBJECTS)
    quantifier: Quantifier = "ge"


class Spec(Strict):
    """What a request asks for, structured: the same value drives the instruction's text, the checks, the rewards and the metrics."""

    counts: tuple[CountSpec, ...] = ()
    relations: tuple[RelationSpec, ...] = ()


def compare(found: int, quantifier: Quantifier, n: int) -> bool:
    """Whether a count stands in the asked-for relation to `n`."""
    return {"eq": found == n, "lt": found < n, "gt": found > n, "le": found <= n, "ge": found >= n}[
        quantifier
    ]
