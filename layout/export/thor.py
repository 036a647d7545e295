"""AI2-THOR house JSON in ProcTHOR's style (schema 1.0.0): y up, LEFT-handed, metres, degrees clockwise, front +Z.

Floors and walls run clockwise seen from above, and a hole is measured along its wall from the wall's first corner, left to right for who
stands in the room. Positions are the centres of boxes. Unity has to know the asset ids: give `assets` a file of your library; the default
names boxes, whose sizes are in `metadata.boxes` for readers such as ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from layout import frames
from layout.assets import Retriever, box
from layout.geometry import Wall
from layout.schema import PLACES, Door, Opening, Room, RoomType, Scene, SceneObject, Window

SCHEMA = "1.0.0"
ROOM = "room|0"
ROOM_NAMES: dict[RoomType, str] = {
    "bedroom": "Bedroom",
    "living_room": "LivingRoom",
    "kitchen": "Kitchen",
    "bathroom": "Bathroom",
}
AGENT_HEIGHT = 0.9


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The house at `path`."""
    path.write_text(json.dumps(house(scene, assets), indent=1) + "\n", encoding="utf-8")
    return [path]


def house(scene: Scene, assets: Retriever = box) -> dict[str, Any]:
    """The contents of the file."""
    room = scene.room
    boxes = {
        _asset_id(o, assets): [v / 100 for v in (o.size[0], o.size[2], o.size[1])] for o in scene.objects
    }
    return {
        "rooms": [
            {
                "id": ROOM,
                "roomType": ROOM_NAMES[room.room_type],
                "floorPolygon": [_xyz((x, y, 0)) for x, y in reversed(room.polygon)],
                "floorMaterial": {"name": "WoodFloorsCross"},
                "ceilings": [],
                "children": [],
            }
        ],
        "walls": [_wall(room, wall) for wall in reversed(room.walls)],
        "doors": [_opening(room, d, "door", i) for i, d in enumerate(room.doors)],
        "windows": [_opening(room, w, "window", i) for i, w in enumerate(room.windows)],
        "objects": [_object(scene, o, assets) for o in scene.objects if o.on in PLACES],
        "proceduralParameters": {
            "ceilingMaterial": {"name": "PureWhite"},
            "floorColliderThickness": 1.0,
            "receptacleHeight": 0.7,
            "reflections": [],
            "skyboxId": "SkyAlbany",
            "lights": [],
        },
        "metadata": {"schema": SCHEMA, "agent": _agent(room), "boxes": boxes},
    }


def _asset_id(o: SceneObject, assets: Retriever) -> str:
    """The asset's id; a box has one of its own for each object, because Unity does not scale assets."""
    asset = assets(o.category, o.size)
    return f"box_{o.id}" if asset == box(o.category, o.size) else asset.id


def _object(scene: Scene, o: SceneObject, assets: Retriever) -> dict[str, Any]:
    return {
        "id": o.id,
        "assetId": _asset_id(o, assets),
        "objectType": o.category,
        "position": _xyz((o.pos[0], o.pos[1], o.pos[2] + o.size[2] / 2)),
        "rotation": {"x": 0, "y": frames.to_unity_yaw(o.yaw), "z": 0},
        "kinematic": True,
        "room": ROOM,
        "children": [_object(scene, c, assets) for c in scene.objects if c.on == o.id],
    }


def _wall(room: Room, wall: Wall) -> dict[str, Any]:
    bottom, top = [(*wall.b, 0.0), (*wall.a, 0.0)], [(*wall.b, room.height), (*wall.a, room.height)]
    return {
        "id": f"wall|{wall.index}",
        "roomId": ROOM,
        "polygon": [_xyz(p) for p in (*bottom, *top)],
        "material": {"name": "PureWhite"},
    }


def _opening(room: Room, opening: Opening, kind: str, i: int) -> dict[str, Any]:
    length = room.walls[opening.wall].length
    start, end = (length - opening.end) / 100, (length - opening.start) / 100
    bottom, top = (opening.sill, opening.head) if isinstance(opening, Window) else (0.0, _height(opening))
    low, high = bottom / 100, top / 100
    found = {
        "id": f"{kind}|{i}",
        "assetId": "Doorway_1" if kind == "door" else "Window_Fixed_60x36",
        "room0": ROOM,
        "room1": ROOM,
        "wall0": f"wall|{opening.wall}",
        "wall1": f"wall|{opening.wall}",
        "holePolygon": [{"x": start, "y": low, "z": 0}, {"x": end, "y": high, "z": 0}],
        "assetPosition": {"x": (start + end) / 2, "y": (low + high) / 2, "z": 0},
    }
    if isinstance(opening, Door):
        found |= {"openable": opening.hinge != "none", "openness": 1.0}
    return found


def _height(opening: Opening) -> float:
    assert isinstance(opening, Door)
    return opening.height


def _agent(room: Room) -> dict[str, Any]:
    """A robot just inside the first door, looking into the room; in the middle where there is none."""
    x, y, yaw = *room.centroid, 180.0
    if room.doors:
        door = room.doors[0]
        wall = room.walls[door.wall]
        x, y = wall.at((door.start + door.end) / 2, 40)
        yaw = wall.yaw
    position = _xyz((x, y, AGENT_HEIGHT * 100))
    return {
        "position": position,
        "rotation": {"x": 0, "y": frames.to_unity_yaw(yaw), "z": 0},
        "horizon": 30,
        "standing": True,
    }


def _xyz(point: tuple[float, float, float]) -> dict[str, float]:
    x, y, z = frames.to_unity(point)
    return {"x": round(x / 100, 5), "y": round(y / 100, 5), "z": round(z / 100, 5)}
