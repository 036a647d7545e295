"""OptiScene's rows, see `layout.adapters.optiscene`: the prompt's blocks and the answer with its design, in the order h, w, d by their names.

Doors and windows have no place in the format; the outline does not either, so that it stands beside the texts as "polygon" and "height".
"""

from __future__ import annotations

import json
import math
from itertools import groupby
from pathlib import Path
from typing import Any

from layout import frames
from layout.assets import Retriever, box
from layout.catalogue import CATALOGUE
from layout.instructions import plan_text
from layout.schema import Scene, SceneObject

INSTRUCTION = (
    "Place the objects in the room without overlaps, first saying how they are grouped, then as JSON. Metres and radians; the origin is the "
    "middle of the floor, z points up; h, w and d are height, width and depth.\n\n"
)


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The row at `path`. `assets` is not asked: the format describes objects in words."""
    path.write_text(json.dumps(row(scene), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [path]


def row(scene: Scene) -> dict[str, Any]:
    """{"instruction", "input", "output", "polygon", "height"}."""
    room = scene.room
    kind = room.room_type.replace("_", " ")
    groups = [
        (f"{len(alike)} {_noun(category)}", alike)
        for category, found in groupby(sorted(scene.objects, key=_order(scene)), key=lambda o: o.category)
        for alike in [list(found)]
    ]
    sizes = [{"object": text, "bounding box": [_box(o) for o in alike]} for text, alike in groups]
    places = [
        {
            "object": text,
            "coordinates": [_place(scene, o) for o in alike],
            "rotate": [{"angle": round(math.radians(o.yaw), 6)} for o in alike],
        }
        for text, alike in groups
    ]
    blocks = {
        "Task Room Type": kind,
        "Task Room Area": f"{room.area / 1e4:.2f}",
        "Task Objects and Bounding Box Size": json.dumps({"objects": sizes}),
    }
    design = json.dumps({"room type": kind, "objects": places})
    return {
        "instruction": INSTRUCTION,
        "input": "".join(f"[{name}]\n{text}\n[/{name}]\n\n" for name, text in blocks.items()),
        "output": f"<reasoning>\n[Reason]\n{plan_text(scene)}\n[/Reason]\n</reasoning>\n<answer>\n[Design]\n{design}\n[/Design]\n</answer>",
        "polygon": [
            [round(v / 100, 4) for v in frames.to_centred((x, y, 0), room.centroid)[:2]]
            for x, y in room.polygon
        ],
        "height": round(room.height / 100, 4),
    }


def _order(scene: Scene) -> Any:
    """Categories in the order in which they first appear, since one row holds all pieces of a kind."""
    first: dict[str, int] = {}
    for i, o in enumerate(scene.objects):
        first.setdefault(o.category, i)
    return lambda o: first[o.category]


def _noun(category: str) -> str:
    entry = CATALOGUE.get(category)
    return entry.synonyms[0] if entry is not None else category.replace("_", " ")


def _box(o: SceneObject) -> dict[str, float]:
    width, depth, height = (round(v / 100, 4) for v in o.size)
    return {"h": height, "w": width, "d": depth}


def _place(scene: Scene, o: SceneObject) -> dict[str, float]:
    at = frames.to_centred(o.pos, scene.room.centroid)
    return {axis: round(v / 100, 4) + 0.0 for axis, v in zip("xyz", at, strict=True)}
