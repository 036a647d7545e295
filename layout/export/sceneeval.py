"""SceneEval's scene state (format "sceneState", scene@1.0.2): z up, metres, poses as column-major 4x4 matrices.

Its models are glTF files, y up with the front at +Z, so a matrix is T·Rz(yaw)·Rx(90°)·scale: the first column is the model's x, the second,
which points up, its y.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from layout import frames
from layout.assets import Asset, Retriever, box
from layout.schema import Room, Scene, SceneObject, Window

ROOM = "0"


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The scene state at `path`."""
    path.write_text(json.dumps(state(scene, assets), indent=1) + "\n", encoding="utf-8")
    return [path]


def state(scene: Scene, assets: Retriever = box) -> dict[str, Any]:
    """The contents of the file."""
    index = {o.id: i for i, o in enumerate(scene.objects)}
    return {
        "format": "sceneState",
        "scene": {
            "version": "scene@1.0.2",
            "id": scene.room.room_type,
            "unit": 1.0,
            "up": [0, 0, 1],
            "front": [0, -1, 0],
            "assetSource": ["box" if assets is box else "assets"],
            "arch": {
                "version": "arch@1.0.2",
                "id": f"{scene.room.room_type}-arch",
                "up": [0, 0, 1],
                "front": [0, -1, 0],
                "scaleToMeters": 1,
                "regions": [{"id": ROOM, "type": scene.room.room_type}],
                "elements": [_floor(scene.room), *_walls(scene.room)],
            },
            "object": [
                _object(o, assets(o.category, o.size), i, index.get(o.on))
                for i, o in enumerate(scene.objects)
            ],
        },
    }


def _floor(room: Room) -> dict[str, Any]:
    return {
        "id": "floor",
        "type": "Floor",
        "roomId": ROOM,
        "depth": 0.05,
        "points": [_point(p) for p in room.polygon],
    }


def _walls(room: Room) -> list[dict[str, Any]]:
    found = []
    for wall in room.walls:
        holes = [
            {
                "type": type(o).__name__,
                "box": {
                    "min": [o.start / 100, (o.sill if isinstance(o, Window) else 0.0) / 100],
                    "max": [o.end / 100, (o.head if isinstance(o, Window) else o.height) / 100],
                },
            }
            for o in (*room.doors, *room.windows)
            if o.wall == wall.index
        ]
        found.append(
            {
                "id": f"wall|{wall.index}",
                "type": "Wall",
                "roomId": ROOM,
                "height": room.height / 100,
                "depth": 0.12,
                "points": [_point(wall.a), _point(wall.b)],
                "holes": holes,
            }
        )
    return found


def _point(p: tuple[float, float]) -> list[float]:
    return [p[0] / 100, p[1] / 100, 0.0]


def _object(o: SceneObject, asset: Asset, index: int, parent: int | None) -> dict[str, Any]:
    return {
        "id": o.id,
        "index": index,
        "modelId": f"{'box' if asset.id.startswith('box_') else 'assets'}.{asset.id}",
        "parentId": "" if parent is None else o.on,
        "parentIndex": parent,
        "category": o.category,
        "transform": {"rows": 4, "cols": 4, "data": matrix(o, asset)},
    }


def matrix(o: SceneObject, asset: Asset) -> list[float]:
    """16 numbers, column by column: a point of the model (y up, metres) to the room (z up, metres)."""
    columns = frames.to_matrix([v / 100 for v in o.pos], o.yaw)
    sx, sy, sz = asset.scale(o.size)
    x, y = columns[0:3], columns[4:7]
    turned = [*(v * sx for v in x), 0.0, 0.0, 0.0, sz, 0.0, *(-v * sy for v in y), 0.0, *columns[12:16]]
    return [round(v, 7) + 0.0 for v in turned]
