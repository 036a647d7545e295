"""Draw, furnish, check, and draw again: the loop around the furnishing recipes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from layout.checks import check
from layout.schema import Room, RoomType, Scene
from layout.synthesis import bathroom, bedroom, kitchen, living_room
from layout.synthesis.furnisher import Furnisher
from layout.synthesis.rooms import draw_room

FURNISH: dict[RoomType, Callable[[Furnisher], bool]] = {
    "bedroom": bedroom.furnish,
    "living_room": living_room.furnish,
    "kitchen": kitchen.furnish,
    "bathroom": bathroom.furnish,
}
MIX: dict[RoomType, float] = {"bedroom": 0.4, "living_room": 0.25, "kitchen": 0.175, "bathroom": 0.175}
# Objects a room may have: enough to be lived in, few enough for a small model's context. Main pieces are placed first.
LIMIT: dict[RoomType, int] = {"bedroom": 12, "living_room": 15, "kitchen": 14, "bathroom": 10}
PER_ROOM = 3  # times one empty room is furnished before another is drawn
MAX_ROOMS = 60


@dataclass(frozen=True)
class Drawn:
    """A room of the synthesiser: its number, and how many furnishings were tried until the validator found no fault."""

    index: int
    scene: Scene
    tries: int


def furnish_room(room: Room, rng: random.Random) -> Scene | None:
    """One try at furnishing a room; None when the main pieces do not fit or the validator finds any fault, hard or soft."""
    furnisher = Furnisher(room, rng, LIMIT[room.room_type])
    if not FURNISH[room.room_type](furnisher):
        return None
    scene = Scene(room=room, objects=tuple(furnisher.objects))
    return None if check(scene).violations else scene


def draw(room_type: RoomType, seed: int | str, index: int = 0) -> Drawn:
    """A furnished room without a fault. The seed is text, so the result does not depend on the process or the hash seed."""
    rng = random.Random(f"{seed}/{room_type}/{index}")
    tries = 0
    for _ in range(MAX_ROOMS):
        room = draw_room(rng, room_type)
        for _ in range(PER_ROOM):
            tries += 1
            scene = furnish_room(room, rng)
            if scene is not None:
                return Drawn(index, scene, tries)
    raise RuntimeError(f"no {room_type} without a fault in {tries} tries (seed {seed!r}, room {index})")


def rooms(
    seed: int | str, count: int, mix: Mapping[RoomType, float] = MIX, first: int = 0
) -> Iterator[Drawn]:
    """`count` rooms from number `first` on. Room k of a seed is the same whatever the count, so parts can be made in parallel."""
    for index in range(first, first + count):
        kinds, weights = list(mix), list(mix.values())
        kind = random.Random(f"{seed}/{index}").choices(kinds, weights)[0]
        yield draw(kind, seed, index)
