"""The symmetries of a room: quarter turns and the mirror image; and its walls counted from the south-west. All keep every gap, so a valid room
stays valid."""

from __future__ import annotations

from layout.schema import Door, Opening, Room, Scene


def quarter_turned(scene: Scene, turns: int) -> Scene:
    """The room turned counter-clockwise by `turns` quarter turns, its south-west corner back at (0, 0)."""
    for _ in range(turns % 4):
        depth = scene.room.extent[1]
        ring = tuple((depth - y, x) for x, y in scene.room.polygon)
        room = Room.model_validate({**_fields(scene.room), "polygon": ring})
        objects = tuple(
            o.moved(pos=(depth - o.pos[1], o.pos[0], o.pos[2]), yaw=(o.yaw + 90) % 360) for o in scene.objects
        )
        scene = Scene(room=room, objects=objects)
    return scene


def mirrored(scene: Scene) -> Scene:
    """The room seen in a mirror on its east side: x becomes width − x, a yaw its opposite, hinges change sides."""
    width = scene.room.extent[0]
    n = len(scene.room.polygon)
    # Reversing the ring keeps it counter-clockwise; wall i between vertices i and i+1 becomes wall n − 2 − i.
    ring = tuple((width - x, y) for x, y in reversed(scene.room.polygon))
    lengths = [wall.length for wall in scene.room.walls]

    def flip(opening: Opening) -> dict[str, object]:
        length = lengths[opening.wall]
        start = max(0.0, round(length - opening.end, 6))
        changed = {"wall": (n - 2 - opening.wall) % n, "start": start, "end": start + opening.width}
        if isinstance(opening, Door):
            changed["hinge"] = {"start": "end", "end": "start"}.get(opening.hinge, opening.hinge)
        return {**_fields(opening), **changed}

    room = Room.model_validate(
        {
            **_fields(scene.room),
            "polygon": ring,
            "doors": [flip(d) for d in scene.room.doors],
            "windows": [flip(w) for w in scene.room.windows],
        }
    )
    objects = tuple(
        o.moved(pos=(width - o.pos[0], o.pos[1], o.pos[2]), yaw=(360 - o.yaw) % 360) for o in scene.objects
    )
    return Scene(room=room, objects=objects)


def from_south_west(room: Room) -> Room:
    """The same room with its corners counted from the most south-western one, so that wall 0 of a rectangle is the southern one."""
    ring = room.polygon
    first = min(range(len(ring)), key=lambda i: (ring[i][0] + ring[i][1], ring[i]))
    if first == 0:
        return room

    def recounted(opening: Opening) -> dict[str, object]:
        return {**_fields(opening), "wall": (opening.wall - first) % len(ring)}

    return Room.model_validate(
        {
            **_fields(room),
            "polygon": ring[first:] + ring[:first],
            "doors": [recounted(d) for d in room.doors],
            "windows": [recounted(w) for w in room.windows],
        }
    )


def _fields(model: Room | Opening) -> dict[str, object]:
    return {name: getattr(model, name) for name in type(model).model_fields}
