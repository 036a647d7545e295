"""Houses in 3D-FRONT's JSON as our scenes, one a room: y up, right-handed, metres, quaternions (x, y, z, w), front +z.

Covered: rooms of our four types (MasterBedroom, LivingDiningRoom, …), the outline from the triangles of the room's floor meshes, the height
from its wall meshes, furniture with its place, turn, scale and size. Sizes stand in `furniture[]` as `size` (three numbers) or `bbox` (three
numbers, or lowest and highest corner), else they come from a table by model (`jid`). Not covered: doors and windows (meshes without an
identity of their own in the file), holes in floors, furniture marked invalid, textures. The data itself is Alibaba's and not for free use;
nothing of it is here, and the reader is tested on houses made by the test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from layout import frames
from layout.adapters.importing import category_name, new_id, ring_and_corner, with_support
from layout.assets import AssetRow
from layout.catalogue import CATALOGUE
from layout.geometry import Point, direction, signed_area
from layout.schema import Room, RoomType, Scene, SceneObject

HEIGHT = 2.8  # m of a room without wall meshes
_KINDS: dict[str, RoomType] = {
    "bedroom": "bedroom", "kidsroom": "bedroom", "elderlyroom": "bedroom", "nannyroom": "bedroom",
    "livingroom": "living_room", "livingdiningroom": "living_room", "kitchen": "kitchen", "bathroom": "bathroom",
}  # fmt: skip


def room_kind(foreign: str) -> RoomType | None:
    """Our type for one of theirs: "MasterBedroom" and "KidsRoom" are bedrooms; None for a balcony."""
    plain = foreign.lower()
    return next((ours for theirs, ours in _KINDS.items() if plain.endswith(theirs)), None)


def read_house(house: Mapping[str, Any], models: Mapping[str, AssetRow] | None = None) -> list[Scene]:
    """The rooms of a house that are of our types. `models` are sizes by `jid`. Raises ValueError that names what cannot be read."""
    rooms = (house.get("scene") or {}).get("room")
    for key, value in (
        ("furniture", house.get("furniture")),
        ("mesh", house.get("mesh")),
        ("scene.room", rooms),
    ):
        if not isinstance(value, list):
            raise ValueError(f"no 3D-FRONT house: the list {key!r} is missing")
    assert rooms is not None
    meshes = {m["uid"]: m for m in house["mesh"]}
    furniture = {f["uid"]: f for f in house["furniture"]}
    scenes = []
    for number, row in enumerate(rooms):
        kind = room_kind(str(row.get("type", "")))
        if kind is None:
            continue
        try:
            scenes.append(_scene(row, kind, meshes, furniture, models or {}))
        except KeyError as error:
            raise ValueError(
                f"scene.room[{number}] ({row.get('type')}): the key {error} is missing"
            ) from error
        except ValueError as error:
            raise ValueError(f"scene.room[{number}] ({row.get('type')}): {error}") from error
    if not scenes:
        types = sorted({str(row.get("type")) for row in rooms})
        raise ValueError(f"no bedroom, living room, kitchen or bathroom; the house has: {', '.join(types)}")
    return scenes


def _scene(
    row: Mapping[str, Any],
    kind: RoomType,
    meshes: Mapping[str, Any],
    furniture: Mapping[str, Any],
    models: Mapping[str, AssetRow],
) -> Scene:
    children = row["children"]
    floors = [(meshes[c["ref"]], c) for c in children if meshes.get(c["ref"], {}).get("type") == "Floor"]
    ring, corner = ring_and_corner(_outline([t for mesh, c in floors for t in _triangles(mesh, c)]))
    heights = [
        point[2]
        for c in children
        if "wall" in str(meshes.get(c["ref"], {}).get("type", "")).lower()
        for triangle in _triangles(meshes[c["ref"]], c)
        for point in triangle
    ]
    room = Room(room_type=kind, polygon=ring, height=round(max(heights, default=100 * HEIGHT), 2))
    objects: list[SceneObject] = []
    taken: set[str] = set()
    for child in children:
        piece = furniture.get(child["ref"])
        if piece is not None and piece.get("valid", True):
            objects.append(_object(piece, child, corner, models, taken))
    return Scene(room=room, objects=with_support(room, objects))


def _object(
    piece: Mapping[str, Any],
    child: Mapping[str, Any],
    corner: Point,
    models: Mapping[str, AssetRow],
    taken: set[str],
) -> SceneObject:
    category = _category(piece)
    shown = f"{category} {child.get('instanceid', child['ref'])!r}"
    try:
        yaw = frames.from_quaternion(child["rot"])
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from error
    size, offset = _size(piece, models, shown)
    scale = [abs(s) for s in child.get("scale", (1, 1, 1))]  # y up: width, height, depth
    w, d, h = size[0] * scale[0], size[1] * scale[2], size[2] * scale[1]
    x, y, z = frames.from_y_up([100 * v for v in child["pos"]])
    ox, oy, oz = frames.from_y_up([o * s for o, s in zip(offset, scale, strict=True)])
    c, s = direction(yaw)
    name = new_id(None, category, taken)
    taken.add(name)
    pos = (x + ox * c - oy * s - corner[0], y + ox * s + oy * c - corner[1], z + oz)
    return SceneObject(
        id=name,
        category=category,
        size=(round(w, 4), round(d, 4), round(h, 4)),
        yaw=yaw,
        pos=(round(pos[0], 4), round(pos[1], 4), round(pos[2], 4)),
    )


def _category(piece: Mapping[str, Any]) -> str:
    """By `category`, or the last part of `title` ("bed/king-size bed") where the catalogue knows that one only."""
    options = [str(piece.get(key) or "").rpartition("/")[2] for key in ("category", "title")]
    names = [category_name(text) for text in options if text]
    return next((name for name in names if name in CATALOGUE), names[0] if names else "object")


def _size(
    piece: Mapping[str, Any], models: Mapping[str, AssetRow], shown: str
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """(width, depth, height in cm; where the bottom's centre is in the model's own frame, y up, cm). A model stands on its origin."""
    box = piece.get("size") or piece.get("bbox")
    if box and isinstance(box[0], Sequence):
        low, high = box
        size = tuple(100 * (b - a) for a, b in zip(low, high, strict=True))
        return (size[0], size[2], size[1]), (50 * (low[0] + high[0]), 100 * low[1], 50 * (low[2] + high[2]))
    if box:
        return (100 * box[0], 100 * box[2], 100 * box[1]), (0.0, 0.0, 0.0)
    if piece.get("jid") in models:
        return models[piece["jid"]].size, (0.0, 0.0, 0.0)
    raise ValueError(f"{shown}: no size for the model {piece.get('jid')!r}; give a table of sizes by model")


def _triangles(
    mesh: Mapping[str, Any], child: Mapping[str, Any]
) -> Iterator[list[tuple[float, float, float]]]:
    """The triangles of a mesh in the house, z up, cm."""
    flat, faces = mesh["xyz"], mesh["faces"]
    yaw = frames.from_quaternion(child.get("rot", (0, 0, 0, 1)))
    c, s = direction(yaw)
    px, py, pz = frames.from_y_up([100 * v for v in child.get("pos", (0, 0, 0))])
    scale = child.get("scale", (1, 1, 1))
    points = []
    for i in range(0, len(flat), 3):
        x, y, z = frames.from_y_up([100 * v * k for v, k in zip(flat[i : i + 3], scale, strict=True)])
        points.append((px + x * c - y * s, py + x * s + y * c, pz + z))
    for i in range(0, len(faces), 3):
        yield [points[k] for k in faces[i : i + 3]]


def _outline(triangles: Sequence[Sequence[tuple[float, float, float]]]) -> list[Point]:
    """The outline of a triangulated floor: the edges that belong to one triangle, in a ring, without corners on straight lines.

    Corners are matched to the millimetre. Where a floor has holes, its outer ring is taken.
    """
    if not triangles:
        raise ValueError("the room has no floor mesh, so it has no outline")
    edges: set[tuple[Point, Point]] = set()
    for triangle in triangles:
        flat = [(round(p[0], 1), round(p[1], 1)) for p in triangle]
        area = signed_area(flat)
        if abs(area) < 1e-6:
            continue
        flat = flat if area > 0 else flat[::-1]
        for a, b in zip(flat, flat[1:] + flat[:1], strict=True):
            if (b, a) in edges:
                edges.remove((b, a))
            else:
                edges.add((a, b))
    following = dict(sorted(edges))
    rings = []
    while following:
        start, at = next(iter(following.items()))
        del following[start]
        ring = [start]
        while at != start:
            if at not in following:
                raise ValueError("the triangles of the floor do not join edge to edge, so it has no outline")
            ring.append(at)
            at = following.pop(at)
        rings.append(ring)
    return _corners(max(rings, key=signed_area))


def _corners(ring: list[Point]) -> list[Point]:
    found = []
    for i, p in enumerate(ring):
        (ax, ay), (bx, by) = ring[i - 1], ring[(i + 1) % len(ring)]
        if (
            abs((p[0] - ax) * (by - p[1]) - (p[1] - ay) * (bx - p[0])) > 1.0
        ):  # cm² of a corner's parallelogram
            found.append(p)
    return found
