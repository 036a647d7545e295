"""What a request says about the empty room: its type and its size, and a plain room of that size where none is given."""

from __future__ import annotations

import re

from layout.schema import Door, Room, RoomType, Window

_TYPES: dict[str, RoomType] = {
    "living room": "living_room", "lounge": "living_room", "sitting room": "living_room", "bedroom": "bedroom",
    "guest room": "bedroom", "kitchen": "kitchen", "bathroom": "bathroom",
}  # fmt: skip
_CENTIMETRES = {"m": 100.0, "cm": 1.0, "mm": 0.1, "ft": 30.48, "feet": 30.48, "'": 30.48}
_SIZE = re.compile(
    r"(\d+(?:\.\d+)?)\s*(m|cm|mm|ft|feet|')?\s*(?:x|×|by)\s*(\d+(?:\.\d+)?)\s*(m|cm|mm|ft|feet|')?(?![\w])",
    re.IGNORECASE,
)
DOOR, CORNER, SILL, HEAD = 90, 15, 90, 210
SILLS: dict[RoomType, int] = {"bedroom": 90, "living_room": 80, "kitchen": 100, "bathroom": 130}


def room_type_in(text: str) -> RoomType | None:
    """The type of room that is named first; None where none is."""
    plain = text.lower().replace("_", " ")
    found: list[tuple[int, RoomType]] = [
        (plain.find(word), kind) for word, kind in _TYPES.items() if word in plain
    ]
    return min(found)[1] if found else None


def size_in(text: str) -> tuple[int, int] | None:
    """(width, depth) in whole cm from "3.4x3.6", "340 x 360 cm" or "11 by 12 ft"; None where there is no size.

    Without a unit, numbers below 20 are metres and larger ones centimetres. Raises ValueError for a size that no room has.
    """
    match = _SIZE.search(text)
    if match is None:
        return None
    first, unit, second, last_unit = match.groups()
    unit = (last_unit or unit or ("m" if float(first) < 20 else "cm")).lower()
    width, depth = (round(float(v) * _CENTIMETRES[unit]) for v in (first, second))
    if not (100 <= width <= 2000 and 100 <= depth <= 2000):
        raise ValueError(
            f"{match[0].strip()!r} is {width} x {depth} cm, which is no room; sides are 1 to 20 m, as in 3.4x3.6 (m) or 340x360 (cm)"
        )
    return width, depth


def plain_room(room_type: RoomType, width: int, depth: int) -> Room:
    """A rectangle with a door near the west end of the south wall and a window in the middle of the north wall."""
    half = min(140, width - 2 * CORNER) / 2
    window = Window(
        wall=2, start=round(width / 2 - half), end=round(width / 2 + half), sill=SILLS[room_type], head=HEAD
    )
    door = Door(wall=0, start=CORNER, end=min(CORNER + DOOR, width - 1))
    corners = ((0, 0), (width, 0), (width, depth), (0, depth))
    return Room(room_type=room_type, polygon=corners, height=260, doors=(door,), windows=(window,))
