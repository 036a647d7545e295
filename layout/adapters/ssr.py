"""ReSpace's structured scene representation (SSR): y up, metres, origin in the middle of the room, quaternions (x, y, z, w), front +z.

It has neither doors nor windows, and says what an object is in free text: the category is the first noun in it that the catalogue knows,
"object" where it knows none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from layout import frames
from layout.adapters.importing import new_id, ring_and_corner, with_support
from layout.schema import ROOM_TYPES, Room, RoomType, Scene, SceneObject
from layout.serialise import mentioned

KEYS = ("room_type", "bounds_bottom", "bounds_top", "objects")


def read_ssr(value: Mapping[str, Any], room_type: RoomType | None = None) -> Scene:
    """The scene of an SSR object. Raises ValueError that names what is missing or cannot be read."""
    missing = [key for key in KEYS if key not in value]
    if missing:
        raise ValueError(f"no SSR: the key {missing[0]!r} is missing")
    kind = room_type or str(value["room_type"]).replace("livingroom", "living_room")
    if kind not in ROOM_TYPES:
        raise ValueError(f"the room type {kind!r} is none of ours; give one of {', '.join(ROOM_TYPES)}")
    floor = [frames.from_y_up([100 * v for v in p]) for p in value["bounds_bottom"]]
    ring, corner = ring_and_corner([(x, y) for x, y, _ in floor])
    base = floor[0][2]
    height = round(100 * max(p[1] for p in value["bounds_top"]) - base, 4)
    room = Room(room_type=cast(RoomType, kind), polygon=ring, height=height)
    objects: list[SceneObject] = []
    taken: set[str] = set()
    for i, row in enumerate(value["objects"]):
        try:
            yaw = frames.from_quaternion(row["rot"])
        except ValueError as error:
            raise ValueError(f"objects[{i}] ({row.get('desc')}): {error}") from error
        category = next(iter(mentioned(str(row.get("desc", "")))), "object")
        name = new_id(None, category, taken)
        taken.add(name)
        x, y, z = frames.from_y_up([100 * v for v in row["pos"]])
        w, h, d = (round(100 * v, 4) for v in row["size"])
        pos = (round(x - corner[0], 4), round(y - corner[1], 4), round(z - base, 4))
        objects.append(SceneObject(id=name, category=category, size=(w, d, h), yaw=yaw, pos=pos))
    return Scene(room=room, objects=with_support(room, objects))
