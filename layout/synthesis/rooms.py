"""Random empty rooms: rectangle, L, notched and oblique outlines with doors and windows, on a grid of 10 cm."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from layout.geometry import walls
from layout.schema import Door, Room, RoomType, Window

Split = Literal["train", "validation", "test"]
Shape = Literal["rectangle", "l", "notched", "oblique"]
SHAPES: dict[Shape, float] = {"rectangle": 0.6, "l": 0.2, "notched": 0.1, "oblique": 0.1}


@dataclass(frozen=True)
class Dimensions:
    """Ranges in cm of a room's shorter and longer side, of its windows' sills, and how many windows it may have."""

    short: tuple[int, int]
    long: tuple[int, int]
    sill: tuple[int, int]
    windows: tuple[int, ...]
    door: tuple[int, int] = (80, 100)


DIMENSIONS: dict[RoomType, Dimensions] = {
    "bedroom": Dimensions((220, 430), (280, 540), (80, 100), (1, 1, 1, 2)),
    "living_room": Dimensions((300, 560), (340, 900), (60, 100), (1, 1, 2, 2)),
    "kitchen": Dimensions((230, 400), (260, 500), (95, 110), (0, 1, 1, 2)),
    "bathroom": Dimensions((170, 300), (200, 360), (120, 150), (0, 1, 1), door=(70, 90)),
}
CORNER = 10  # cm between an opening and the end of its wall


def draw_room(rng: random.Random, room_type: RoomType, shape: Shape | None = None) -> Room:
    """One empty room. The same state of `rng` gives the same room."""
    dimensions = DIMENSIONS[room_type]
    for _ in range(200):
        chosen = shape or rng.choices(list(SHAPES), list(SHAPES.values()))[0]
        polygon = _outline(rng, dimensions, chosen)
        height = rng.randrange(240, 301, 10)
        openings = _openings(rng, polygon, dimensions)
        if openings is not None:
            doors, windows = openings
            return Room(room_type=room_type, polygon=polygon, height=height, doors=doors, windows=windows)
    raise RuntimeError(f"no {room_type} with a wall long enough for its door in 200 draws")


def _outline(rng: random.Random, dimensions: Dimensions, shape: Shape) -> tuple[tuple[int, int], ...]:
    short, long = _tens(rng, *dimensions.short), _tens(rng, *dimensions.long)
    long = max(short, long)
    w, d = (long, short) if rng.random() < 0.5 else (short, long)
    if shape == "rectangle":
        return (0, 0), (w, 0), (w, d), (0, d)
    if shape == "l":
        cut_w, cut_d = _part(rng, w, 0.25, 0.45), _part(rng, d, 0.25, 0.45)
        ring = ((0, 0), (w, 0), (w, d - cut_d), (w - cut_w, d - cut_d), (w - cut_w, d), (0, d))
    elif shape == "notched":
        # A chimney or shaft in the north wall.
        cut_w, cut_d = _part(rng, w, 0.12, 0.25), _tens(rng, 20, 50)
        at = _tens(rng, 80, max(90, w - cut_w - 80))
        ring = (
            (0, 0),
            (w, 0),
            (w, d),
            (at + cut_w, d),
            (at + cut_w, d - cut_d),
            (at, d - cut_d),
            (at, d),
            (0, d),
        )
    else:
        cut_w = _part(rng, w, 0.2, 0.4)
        cut_d = cut_w if rng.random() < 0.6 else _part(rng, d, 0.15, 0.4)
        ring = ((0, 0), (w, 0), (w, d - min(cut_d, d - 100)), (w - cut_w, d), (0, d))
    return _turned(ring, rng.randrange(4))


def _turned(ring: Sequence[tuple[int, int]], turns: int) -> tuple[tuple[int, int], ...]:
    """The outline turned by quarter turns, starting at its south-western vertex."""
    for _ in range(turns):
        depth = max(y for _, y in ring)
        ring = [(depth - y, x) for x, y in ring]
    first = min(range(len(ring)), key=lambda i: (ring[i][0] + ring[i][1], ring[i]))
    return tuple(ring[first:]) + tuple(ring[:first])


def _openings(
    rng: random.Random, polygon: Sequence[tuple[int, int]], dimensions: Dimensions
) -> tuple[tuple[Door, ...], tuple[Window, ...]] | None:
    """A door and some windows; None when no wall takes the door."""
    edges = walls(polygon)
    taken: list[tuple[int, float, float]] = []
    door_width = _tens(rng, *dimensions.door)
    spot = _spot(rng, [w.length for w in edges], door_width, taken)
    if spot is None:
        return None
    wall, start = spot
    taken.append((wall, start, start + door_width))
    door = Door(
        wall=wall,
        start=start,
        end=start + door_width,
        hinge=rng.choice(["start", "end"]),
        swing="in" if rng.random() < 0.8 else "out",
    )
    windows = []
    for _ in range(rng.choice(dimensions.windows)):
        width = _tens(rng, 60, 100) if dimensions.sill[0] >= 120 else _tens(rng, 80, 180)
        # Not in the door's wall when there is another.
        others = [0.0 if i == wall else w.length for i, w in enumerate(edges)]
        spot = _spot(rng, others, width, taken)
        if spot is not None:
            taken.append((spot[0], spot[1], spot[1] + width))
            sill = _tens(rng, *dimensions.sill)
            windows.append(Window(wall=spot[0], start=spot[1], end=spot[1] + width, sill=sill, head=220))
    return (door,), tuple(windows)


def _spot(
    rng: random.Random, lengths: Sequence[float], width: int, taken: Sequence[tuple[int, float, float]]
) -> tuple[int, int] | None:
    """(wall, start) where an opening of this width fits, long walls more often; None when there is none in 12 draws."""
    if max(lengths) < width + 2 * CORNER:
        return None
    for _ in range(12):
        wall = rng.choices(range(len(lengths)), lengths)[0]
        room = int(lengths[wall]) - width - 2 * CORNER
        if room < 0:
            continue
        start = CORNER + rng.randrange(0, room + 1, 10)
        if all(w != wall or start + width + CORNER <= a or b + CORNER <= start for w, a, b in taken):
            return wall, start
    return None


def _tens(rng: random.Random, low: int, high: int) -> int:
    return rng.randrange(low, high + 1, 10)


def _part(rng: random.Random, side: int, low: float, high: float) -> int:
    """A share of a side, on the grid."""
    return round(side * rng.uniform(low, high) / 10) * 10


def room_hash(room: Room) -> str:
    """Twelve hex digits that are the same for rooms alike to 10 cm in outline, openings and type, whatever their furniture."""

    def ten(v: float) -> int:
        return round(v / 10)

    ring = [(ten(x), ten(y)) for x, y in room.polygon]
    openings = sorted((o.wall, ten(o.start), ten(o.end)) for o in (*room.doors, *room.windows))
    return hashlib.sha256(repr((room.room_type, ring, openings)).encode()).hexdigest()[:12]


def split_of(room: Room) -> Split:
    """90 / 5 / 5 by the hash of the empty room: no room is in two splits, however often it is furnished."""
    return split_of_hash(room_hash(room))


def split_of_hash(digits: str) -> Split:
    """The split of a room by its `room_hash`. Raises ValueError for what is no hash."""
    part = int(digits, 16) % 20
    return "test" if part == 0 else "validation" if part == 1 else "train"
