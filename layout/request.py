"""What a request says about the empty room: its type and its size, a plain room of that size where none is given, and what cannot be."""

from __future__ import annotations

import random
import re

from layout.catalogue import CATALOGUE, Category, named
from layout.rules import MAX_FLOOR_SHARE
from layout.schema import Door, Room, RoomType, Scene, Window
from layout.serialise import MAX_OBJECTS, mentioned
from layout.walkable import STEP_OVER

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


def room_for(request: str, size: str | None, kind: RoomType | None, seed: int) -> tuple[Room, bool]:
    """(the empty room that is meant, whether it was drawn by the seed because no size is said).

    `size` and `kind` go before what the request says. Raises ValueError where it is not said what room it is, or a size is none.
    """
    from layout.synthesis import draw_room

    kind = kind or room_type_in(request)
    if kind is None:
        raise ValueError(
            f"{request!r} does not say what room it is; name a bedroom, living room, kitchen or bathroom, or give its type"
        )
    said = size_in(request if size is None else size)
    if size is not None and said is None:
        raise ValueError(f"{size!r} is no size; give WIDTHxDEPTH such as 3.4x3.6 (metres) or 340x360cm")
    if said is not None:
        return plain_room(kind, *said), False
    return draw_room(random.Random(f"{seed}/room"), kind), True


def plain_room(room_type: RoomType, width: int, depth: int) -> Room:
    """A rectangle with a door near the west end of the south wall and a window in the middle of the north wall."""
    half = min(140, width - 2 * CORNER) / 2
    window = Window(
        wall=2, start=round(width / 2 - half), end=round(width / 2 + half), sill=SILLS[room_type], head=HEAD
    )
    door = Door(wall=0, start=CORNER, end=min(CORNER + DOOR, width - 1))
    corners = ((0, 0), (width, 0), (width, depth), (0, depth))
    return Room(room_type=room_type, polygon=corners, height=260, doors=(door,), windows=(window,))


_CLAUSE = re.compile(r"[,;.:!?\n]+|\b(?:and|but|plus|with)\b", re.IGNORECASE)
# "no other bed" and "no more than one bed" allow the first.
_LIMIT = re.compile(
    r"\b(?:no|without(?: an?| any)?) (?:other|more|second|third|extra|further|additional)\b.*"
)


def refuse(kept: Scene, request: str) -> None:
    """Raise ValueError, before any model runs, for what no answer can be: a piece both wanted and not, more than fits the room or an answer.

    Only what is certain is refused: the smallest sizes of the catalogue count, and every quarter turn.
    """
    _contradictions(request)
    _numbers(request)
    wanted = {name: n for name, n in mentioned(request).items() if n}
    if sum(wanted.values()) > MAX_OBJECTS:
        raise ValueError(
            f"the request names {sum(wanted.values())} objects; one answer has at most {MAX_OBJECTS}, so ask for some and keep them"
        )
    room = kept.room
    new = {name: n - len(kept.of(name)) for name, n in wanted.items() if n > len(kept.of(name))}
    on_floor = {
        name: n
        for name, n in new.items()
        if CATALOGUE[name].on == ("floor",) and CATALOGUE[name].height[1] > STEP_OVER
    }
    narrow, wide = sorted(room.extent)
    for name in on_floor:
        if all(min(foot) > narrow or max(foot) > wide for foot in _feet(CATALOGUE[name])):
            width, depth = _least(CATALOGUE[name])
            raise ValueError(
                f"a {_said(name)} is at least {width:g} x {depth:g} cm and does not fit into a room of {room.extent[0]:g} x {room.extent[1]:g} cm"
            )
    there = sum(o.box.area for o in kept.objects if o.on == "floor" and o.box.height > STEP_OVER)
    least = {
        name: n * width * depth for name, n in on_floor.items() for width, depth in [_least(CATALOGUE[name])]
    }
    if least and there + sum(least.values()) > MAX_FLOOR_SHARE * room.area:
        most = ", ".join(f"{new[name]} {_said(name)} {area / 1e4:.1f} m²" for name, area in least.items())
        already = f", and {there / 1e4:.1f} m² are taken" if there else ""
        raise ValueError(
            f"the room is too small: at their smallest {most}{already}, but furniture may take {MAX_FLOOR_SHARE:.0%} of {room.area / 1e4:.1f} m²; "
            "ask for less or give a larger room"
        )


def _contradictions(request: str) -> None:
    """Raise ValueError where one clause wants what another rules out."""
    found: dict[str, int] = {}
    for clause in _CLAUSE.split(request.lower()):
        for name, n in mentioned(_LIMIT.sub("", clause)).items():
            if (found.setdefault(name, n) == 0) != (n == 0):
                raise ValueError(
                    f"the request wants a {_said(name)} and also wants none; leave one of the two out"
                )


def _numbers(request: str) -> None:
    """Raise ValueError for a number of pieces beyond what an answer holds: `mentioned` takes it for no number."""
    words = re.findall(r"[a-z0-9]+", request.lower())
    for i, word in enumerate(words):
        if word.isdigit() and int(word) > 20:
            for length in (3, 2, 1):
                name = named(" ".join(words[i + 1 : i + 1 + length])) if i + length < len(words) else None
                if name is not None:
                    raise ValueError(
                        f"{word} {' '.join(words[i + 1 : i + 1 + length])}: ask for at most 20 of a kind"
                    )


def _feet(entry: Category) -> list[tuple[float, float]]:
    """Width and depth of each product, or the smallest of the range."""
    return [(w, d) for w, d, _ in entry.products] or [(entry.width[0], entry.depth[0])]


def _least(entry: Category) -> tuple[float, float]:
    """The foot with the smallest area."""
    return min(_feet(entry), key=lambda foot: foot[0] * foot[1])


def _said(name: str) -> str:
    return name.replace("_", " ")
