"""The lower references of an evaluation: a room's own furniture thrown about in it, and chance that is held to the space that is left.

Whatever rates a layout model reaches, they mean something only above those of the same objects, as many and as large, at random poses; and
where a guide keeps it out of walls and furniture, above those of chance under the same guide.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from layout.asking import NumberChoice
from layout.guide import RoomGuide
from layout.repair import carried
from layout.schema import PLACES, RelationSpec, Scene, SceneObject


def scatter(scene: Scene, seed: int | str) -> Scene:
    """The scene with every object that stands on no other at a random quarter turn and place in the room's bounding rectangle.

    Heights stay, and what stands on something is carried along. Places are whole centimetres at which the turned footprint lies within
    the rectangle; one too long for it is centred. The same seed gives the same room.
    """
    rng = random.Random(f"{seed}/scatter")
    found = scene
    for o in scene.objects:
        if o.on in PLACES:
            found = carried(found, o, *_pose(found, o, rng))
    return found


def scatter_held(scene: Scene, seed: int | str, said: Sequence[RelationSpec] = ()) -> Scene:
    """The scene's objects by name, each choice of `layout.guide` taken at random: how they stand, where, and how large they are.

    `said` is what the request says of their places, to which the guide holds them.
    """
    rng = random.Random(f"{seed}/held")
    guide = RoomGuide(scene.room, [o.id for o in scene.objects], "", said=said)
    while options := guide.options():
        guide.take(rng.choice(options.texts() if isinstance(options, NumberChoice) else options))
    return Scene(room=scene.room, objects=tuple(guide.objects))


def _pose(scene: Scene, o: SceneObject, rng: random.Random) -> tuple[float, float, float, float]:
    """(x, y, z, yaw)"""
    yaw = rng.randrange(4) * 90
    reach = (o.size[0], o.size[1]) if yaw % 180 == 0 else (o.size[1], o.size[0])
    x, y = (_within(rng, side, length) for side, length in zip(scene.room.extent, reach, strict=True))
    return x, y, o.pos[2], yaw


def _within(rng: random.Random, side: float, length: float) -> float:
    if length >= side:
        return round(side / 2)
    return round(rng.uniform(length / 2, side - length / 2))
