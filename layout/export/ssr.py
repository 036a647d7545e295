"""ReSpace's structured scene representation (SSR), see `layout.adapters.ssr`; doors and windows have no place in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from layout import frames
from layout.assets import Retriever, box
from layout.schema import Scene


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The scene at `path`. `assets` is not asked: SSR describes, and its own pipeline retrieves."""
    path.write_text(json.dumps(ssr(scene), indent=1) + "\n", encoding="utf-8")
    return [path]


def ssr(scene: Scene) -> dict[str, Any]:
    """The contents of the file."""
    room = scene.room
    middle = room.extent[0] / 2, room.extent[1] / 2

    def point(x: float, y: float, z: float) -> list[float]:
        return [round(v / 100, 4) + 0.0 for v in frames.to_y_up((x - middle[0], y - middle[1], z))]

    return {
        "room_type": room.room_type.replace("_", ""),
        "bounds_top": [point(x, y, room.height) for x, y in room.polygon],
        "bounds_bottom": [point(x, y, 0) for x, y in room.polygon],
        "objects": [
            {
                "desc": o.category.replace("_", " "),
                "size": [v / 100 for v in (o.size[0], o.size[2], o.size[1])],
                "pos": point(*o.pos),
                "rot": [round(v, 7) for v in frames.to_quaternion(o.yaw)],
            }
            for o in scene.objects
        ],
    }
