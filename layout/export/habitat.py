"""Habitat: a scene instance with the room as its stage and unit models scaled to size; y up, metres, rotations (w, x, y, z).

NAME.scene_instance.json            what stands where
NAME.scene_dataset_config.json      where the models are
stages/NAME.glb, objects/box_CATEGORY.glb
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from layout import frames
from layout.assets import Asset, Retriever, box
from layout.export.glb import glb_bytes
from layout.export.mesh import Mesh, furniture_mesh, room_meshes
from layout.palette import colour
from layout.schema import Scene, SceneObject

SUFFIX = ".scene_instance.json"


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The scene instance at `path`, its data set's configuration, the stage, and a model for every box; other assets are only named."""
    name = path.name.removesuffix(SUFFIX).removesuffix(".json")
    chosen = {o.id: assets(o.category, o.size) for o in scene.objects}
    written = [
        path,
        path.with_name(f"{name}.scene_dataset_config.json"),
        path.parent / "stages" / f"{name}.glb",
    ]
    path.write_text(json.dumps(instance(scene, name, chosen), indent=1) + "\n", encoding="utf-8")
    written[1].write_text(json.dumps(_dataset(name), indent=1) + "\n", encoding="utf-8")
    written[2].parent.mkdir(exist_ok=True)
    written[2].write_bytes(glb_bytes(room_meshes(scene.room)))
    for o in scene.objects:
        model = path.parent / "objects" / f"{chosen[o.id].id}.glb"
        if chosen[o.id] == box(o.category, o.size) and model not in written:
            model.parent.mkdir(exist_ok=True)
            cube = Mesh(o.category, *furniture_mesh(o.category, (1.0, 1.0, 1.0)), colour(o.category))
            model.write_bytes(glb_bytes([cube]))
            written.append(model)
    return written


def instance(scene: Scene, name: str, chosen: dict[str, Asset]) -> dict[str, Any]:
    """The contents of the scene instance."""
    return {
        "translation_origin": "asset_local",
        "stage_instance": {"template_name": f"stages/{name}"},
        "object_instances": [_object(o, chosen[o.id]) for o in scene.objects],
    }


def _object(o: SceneObject, asset: Asset) -> dict[str, Any]:
    x, y, z, w = frames.to_quaternion(o.yaw)
    sx, sy, sz = asset.scale(o.size)
    return {
        "template_name": f"objects/{asset.id}",
        "translation": [round(v / 100, 5) for v in frames.to_y_up(o.pos)],
        "rotation": [round(v, 7) for v in (w, x, y, z)],
        "non_uniform_scale": [round(v, 5) for v in (sx, sz, sy)],  # the model's own axes: width, up, depth
        "motion_type": "STATIC",
    }


def _dataset(name: str) -> dict[str, Any]:
    return {
        "stages": {"paths": {".glb": ["stages"]}},
        "objects": {"paths": {".glb": ["objects"]}},
        "scene_instances": {"paths": {".json": [f"{name}{SUFFIX}"]}},
    }
