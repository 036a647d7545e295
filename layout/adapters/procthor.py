"""ProcTHOR and AI2-THOR houses (schema 1.0.0) as our scenes, one a room: y up, LEFT-handed, metres, degrees clockwise, front +Z.

A house names assets but not their sizes; these come from ProcTHOR's asset database or, for houses of ours, from `metadata.boxes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from layout import frames, geometry
from layout.adapters.importing import category_name, new_id, on_wall, ring_and_corner, with_support
from layout.geometry import Point
from layout.schema import Door, Room, RoomType, Scene, SceneObject, Window

Size = tuple[float, float, float]
ROOM_TYPES: dict[str, RoomType] = {
    "Bedroom": "bedroom",
    "LivingRoom": "living_room",
    "Kitchen": "kitchen",
    "Bathroom": "bathroom",
}
TILT = 1.0  # degrees about a horizontal axis that still count as upright


def read_sizes(path: str | Path) -> dict[str, Size]:
    """Sizes in cm (width, depth, height) by asset id, from ProcTHOR's asset-database.json."""
    table = json.loads(Path(path).read_text(encoding="utf-8"))
    try:
        return {
            asset["assetId"]: _size([asset["boundingBox"][axis] for axis in "xyz"])
            for assets in table.values()
            for asset in assets
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: no ProcTHOR asset database ({{type: [{{assetId, boundingBox}}]}}): {error!r}"
        ) from error


def read_house(house: Mapping[str, Any], sizes: Mapping[str, Size] | None = None) -> list[Scene]:
    """The rooms of a house that are of our four types, with what stands in them. Raises ValueError that names what cannot be read."""
    for key in ("rooms", "walls", "objects"):
        if not isinstance(house.get(key), list):
            raise ValueError(f"no ProcTHOR house: the list {key!r} is missing")
    boxes = (house.get("metadata") or {}).get("boxes") or {}
    known = {**(sizes or {}), **{name: _size(xyz) for name, xyz in boxes.items()}}
    placed = list(_flat(house["objects"], "floor"))
    scenes = []
    for number, row in enumerate(house["rooms"]):
        room_type = ROOM_TYPES.get(row.get("roomType", ""))
        if room_type is None:
            continue
        try:
            scenes.append(_scene(house, row, room_type, placed, known))
        except KeyError as error:
            raise ValueError(f"rooms[{number}]: the key {error} is missing") from error
    if not scenes:
        types = sorted({str(row.get("roomType")) for row in house["rooms"]})
        raise ValueError(f"no room of the types {', '.join(ROOM_TYPES)}; the house has: {', '.join(types)}")
    return scenes


def _scene(
    house: Mapping[str, Any],
    row: Mapping[str, Any],
    room_type: RoomType,
    placed: list[Any],
    sizes: Mapping[str, Size],
) -> Scene:
    ring, corner = ring_and_corner([_floor_point(p) for p in row["floorPolygon"]])
    walls = {wall["id"]: wall for wall in house["walls"]}
    own = [wall for wall in house["walls"] if wall.get("roomId") == row.get("id")] or house["walls"]
    height = max(100 * p["y"] for wall in own for p in wall["polygon"])
    empty = Room(room_type=room_type, polygon=ring, height=round(height, 2))
    doors = [
        Door(
            wall=w,
            start=a,
            end=b,
            height=min(top, empty.height),
            hinge="start" if d.get("openable", True) else "none",
        )
        for d, w, a, b, _, top in _holes(house.get("doors", []), walls, empty, corner)
    ]
    windows = [
        Window(wall=w, start=a, end=b, sill=low, head=min(top, empty.height))
        for _, w, a, b, low, top in _holes(house.get("windows", []), walls, empty, corner)
    ]
    room = Room(
        room_type=room_type, polygon=ring, height=empty.height, doors=tuple(doors), windows=tuple(windows)
    )
    return Scene(room=room, objects=with_support(room, _objects(placed, room, corner, sizes)))


def _holes(
    openings: list[Any], walls: Mapping[str, Any], room: Room, corner: Point
) -> Iterator[tuple[Any, int, float, float, float, float]]:
    """(opening, wall, start, end, bottom, top) in cm of the openings in this room's walls; each hole is listed with either wall it is in."""
    for opening in openings:
        wall = walls.get(opening["wall0"])
        if wall is None:
            raise ValueError(
                f"{opening.get('id', 'an opening')} is in wall {opening['wall0']!r}, which the house does not have"
            )
        low, high = opening["holePolygon"][0], opening["holePolygon"][1]
        (ax, ay), (bx, by) = _base(wall)
        length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
        ends = [
            (
                ax + (bx - ax) * 100 * m["x"] / length - corner[0],
                ay + (by - ay) * 100 * m["x"] / length - corner[1],
            )
            for m in (low, high)
        ]
        found = on_wall(room.walls, *ends)
        if found is not None:
            bottom, top = sorted((100 * low["y"], 100 * high["y"]))
            yield opening, *found, round(bottom, 4), round(top, 4)


def _base(wall: Mapping[str, Any]) -> tuple[Point, Point]:
    """The wall's two lower corners in their order, in cm."""
    lowest = min(p["y"] for p in wall["polygon"])
    a, b = [p for p in wall["polygon"] if p["y"] == lowest][:2]
    return _floor_point(a), _floor_point(b)


def _objects(placed: list[Any], room: Room, corner: Point, sizes: Mapping[str, Size]) -> list[SceneObject]:
    """The objects whose centres are in the room."""
    objects: list[SceneObject] = []
    ids: dict[str, str] = {}
    for row, on in placed:
        x, y, z = frames.from_unity([100 * row["position"][axis] for axis in "xyz"])
        if not geometry.contains(room.polygon, (x - corner[0], y - corner[1])):
            continue
        turn = row.get("rotation") or {"x": 0, "y": 0, "z": 0}
        if max(abs((turn[axis] + 180) % 360 - 180) for axis in "xz") > TILT:
            raise ValueError(f"object {row['id']!r} is tilted ({turn}); only upright objects are read")
        size = sizes.get(row["assetId"])
        if size is None:
            raise ValueError(
                f"object {row['id']!r}: no size for the asset {row['assetId']!r}; give ProcTHOR's asset-database.json"
            )
        category = category_name(row.get("objectType") or row["id"].split("|")[0])
        ids[row["id"]] = new_id(row["id"], category, ids.values())
        objects.append(
            SceneObject(
                id=ids[row["id"]],
                category=category,
                size=size,
                yaw=frames.from_unity_yaw(turn["y"]),
                pos=(round(x - corner[0], 4), round(y - corner[1], 4), round(z - size[2] / 2, 4)),
                on=ids.get(on, "floor"),
            )
        )
    return objects


def _flat(objects: list[Any], parent: str) -> Iterator[tuple[Any, str]]:
    """Every object with the id of the one it is a child of, parents first."""
    for row in objects:
        yield row, parent
        yield from _flat(row.get("children") or [], row["id"])


def _floor_point(p: Mapping[str, float]) -> Point:
    x, y, _ = frames.from_unity((100 * p["x"], 100 * p["y"], 100 * p["z"]))
    return x, y


def _size(xyz: Any) -> Size:
    """(width, depth, height) in cm from Unity's (x, y up, z) in metres."""
    return round(100 * xyz[0], 4), round(100 * xyz[2], 4), round(100 * xyz[1], 4)
