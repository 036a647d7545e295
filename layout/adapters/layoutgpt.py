"""LayoutGPT's outputs (MIT): CSS-like boxes in pixels, `left` and `top` the centre, the page's y axis downwards.

The prompt's "max length" is the room along the page's x and "max width" along its y. An object's `length` is along its own x axis, `width`
along its y, `orientation` in degrees counter-clockwise; at 0 its front is down the page, which is our yaw 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layout import frames
from layout.schema import Room, RoomType, Scene, SceneObject

ROOM_HEIGHT = 400.0  # cm; the format has no heights of rooms, so high that nothing is above it
_SIZE = re.compile(r"max length (\d+)px, max width (\d+)px")


def read_scene(row: Mapping[str, Any], px_per_m: float = frames.PX_PER_M) -> Scene:
    """One row of a published output file. Raises ValueError naming the row when its prompt has no room size."""
    size = _SIZE.search(row["prompt"])
    if size is None:
        raise ValueError(f"row {row.get('query_id', '?')}: the prompt has no 'max length …px, max width …px'")
    scale = 100 / px_per_m
    width, depth = int(size[1]) * scale, int(size[2]) * scale
    room_type: RoomType = "living_room" if "living" in row["prompt"].lower() else "bedroom"
    room = Room(
        room_type=room_type, polygon=((0, 0), (width, 0), (width, depth), (0, depth)), height=ROOM_HEIGHT
    )
    objects, seen = [], {}
    for label, css in row["object_list"]:
        category = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
        seen[category] = seen.get(category, 0) + 1
        height = css["height"] * scale
        objects.append(
            SceneObject(
                id=f"{category}_{seen[category]}",
                category=category,
                size=(css["length"] * scale, css["width"] * scale, height),
                yaw=frames.normalise_yaw(css["orientation"]),
                pos=frames.from_layoutgpt(css["left"], css["top"], css["depth"], height, depth, px_per_m),
                on="ceiling" if "lamp" in category and category != "floor_lamp" else "floor",
            )
        )
    return Scene(room=room, objects=tuple(objects))


def read(path: str | Path) -> list[Scene]:
    """All rooms of a published output file."""
    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    return [read_scene(row) for row in rows]
