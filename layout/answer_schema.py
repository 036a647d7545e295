"""The JSON schemas that hold a model's answer to what a room can be, for constrained decoding and for validation.

`answer_schema` is of a whole answer and knows the user's text and the empty room alone. `piece_schema` is of one piece after others that are
written already: it offers just the space that these and the room leave free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from layout.catalogue import CATALOGUE, Category, of_room
from layout.places import places
from layout.regions import as_said, kept_for
from layout.schema import PLACES, RelationSpec, Room, SceneObject
from layout.serialise import MAX_OBJECTS, MAX_PER_CATEGORY, PLAN_CHARACTERS, category_of, mentioned


def yaws(room: Room) -> list[int]:
    """The yaws a schema offers: quarter turns, and the same off every oblique wall."""
    return sorted(
        {round(wall.yaw + turn) % 360 for wall in room.walls for turn in (0, 90, 180, 270)}
        | {0, 90, 180, 270}
    )


def answer_schema(
    room: Room, request: str = "", *, ids: Sequence[str] | None = None, plan: bool = True
) -> dict[str, Any]:
    """JSON schema of an answer for this room, for constrained decoding and for validation.

    Without `ids`, objects may be any of the room's type and whatever else the request names, at least as many as it names. With `ids` (from
    the model's own plan, `ids_in_plan`) the answer has exactly these objects in this order, each on what its category may be on. Every span
    is within the room's bounding box. Only the user's text and the room go in; a hidden specification has no place here.
    """
    if ids is None:
        wanted = mentioned(request)
        names = [c.name for c in of_room(room.room_type)] + [
            n for n in wanted if room.room_type not in CATALOGUE[n].rooms
        ]
        offered = [
            f"{n}_{k}"
            for n in names
            if wanted.get(n) != 0
            for k in range(1, max(MAX_PER_CATEGORY, wanted.get(n, 0)) + 1)
        ]
        item = _object_schema(room, {"enum": offered}, [*PLACES, *offered], None)
        least = min(sum(wanted.values()), MAX_OBJECTS)
        objects: dict[str, Any] = {"type": "array", "items": item, "minItems": least, "maxItems": MAX_OBJECTS}
    else:
        items = []
        for i, name in enumerate(ids):
            entry = CATALOGUE.get(category_of(name))
            carriers = [n for n in ids[:i] if entry is None or category_of(n) in entry.on]
            places = [p for p in PLACES if entry is None or p in entry.on]
            items.append(_object_schema(room, {"const": name}, [*places, *carriers] or list(PLACES), entry))
        objects = {
            "type": "array",
            "prefixItems": items,
            "items": False,
            "minItems": len(ids),
            "maxItems": len(ids),
        }
    properties: dict[str, Any] = {"plan": {"type": "string", "maxLength": PLAN_CHARACTERS}} if plan else {}
    return _closed(properties | {"objects": objects})


def piece_schema(
    room: Room,
    name: str,
    objects: Sequence[SceneObject],
    loose: dict[str, Any],
    said: Sequence[RelationSpec] = (),
    coming: Sequence[str] = (),
) -> dict[str, Any]:
    """JSON schema of the piece `name` in a room that has `objects`: at one of its places, and where it is said to be if there are such.

    What is said of the pieces `coming` after it is heeded as well. At the yaws of oblique walls, and where nothing of that category fits any
    more, it is `loose`, the piece's part of `answer_schema`.
    """
    entry = CATALOGUE.get(category_of(name))
    if entry is None:
        return loose
    everywhere = places(room, entry, objects, kept_for(room, said, coming, entry.name))
    if not everywhere:
        return loose
    found = as_said(everywhere, room, said, name, objects)
    options = [
        _closed(
            {
                "id": {"const": name},
                "on": {"const": place.on},
                "yaw": {"enum": list(place.yaws)},
                "span": _any([_integers(span.ends) for span in place.spans]),
            }
        )
        for place in found
    ]
    turned = [o for o in loose.get("anyOf", ()) if "pos" in o["properties"] and found is everywhere]
    return _any([*options, *turned])


def _any(options: list[dict[str, Any]]) -> dict[str, Any]:
    return options[0] if len(options) == 1 else {"anyOf": options}


def _object_schema(
    room: Room, name: dict[str, Any], places: Sequence[str], entry: Category | None
) -> dict[str, Any]:
    """Of one object: by its span at a quarter turn, by size and position at the other yaws that the room has."""
    width, depth = room.extent
    bounds = ((0, width), (0, depth), (0, room.height))
    start = {"id": name, "on": {"enum": list(places)}}
    square = [yaw for yaw in yaws(room) if yaw % 90 == 0]
    oblique = [yaw for yaw in yaws(room) if yaw % 90]
    span = _integers([bound for bound in bounds for _ in range(2)])
    straight = _closed(start | {"yaw": {"enum": square}, "span": span})
    if not oblique:
        return straight
    longest = max(room.extent)
    sizes = ((1, longest), (1, longest), (1, room.height))
    if entry is not None:
        sizes = (entry.width, entry.depth, entry.height)
    turned = {"yaw": {"enum": oblique}, "size": _integers(sizes), "pos": _integers(bounds)}
    return {"anyOf": [straight, _closed(start | turned)]}


def _integers(ranges: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """As many whole numbers as ranges."""
    items = [{"type": "integer", "minimum": round(low), "maximum": round(high)} for low, high in ranges]
    return {
        "type": "array",
        "prefixItems": items,
        "items": False,
        "minItems": len(items),
        "maxItems": len(items),
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these properties, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
