"""A room as one HTML page to look around in: orbit, zoom, click for name and size. No network, no other file, no library.

`PAGE.html#ID` opens with that object chosen.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from layout.export.mesh import Mesh, object_meshes, room_meshes
from layout.palette import rgb
from layout.schema import Scene


def page(scene: Scene, title: str = "") -> str:
    """The page of a scene; `title` stands in its bar, the type and area of the room where none is given."""
    room = scene.room
    title = title or f"{room.room_type.replace('_', ' ')}, {room.area / 1e4:.1f} m²"
    # "<" could end the script element from inside a string.
    data = json.dumps(scene_data(scene), separators=(",", ":")).replace("<", "\\u003c")
    template = files("layout").joinpath("viewer.html").read_text(encoding="utf-8")
    return template.replace("@@TITLE@@", html.escape(title)).replace("@@SCENE@@", data)


def scene_data(scene: Scene) -> dict[str, Any]:
    """What the page draws, in metres: meshes as world triangles, objects with their boxes for picking."""
    room = scene.room
    width, depth = (v / 100 for v in room.extent)
    return {
        "extent": [width, depth],
        "centre": [width / 2, depth / 2, 0.4],
        "meshes": [*_shell(scene), *(_mesh(m, "object") for m in object_meshes(scene))],
        "objects": [
            {
                "id": o.id,
                "label": o.category.replace("_", " "),
                "size": [v / 100 for v in o.size],
                "pos": [v / 100 for v in o.pos],
                "yaw": o.yaw,
                "on": o.on,
            }
            for o in scene.objects
        ],
    }


def _shell(scene: Scene) -> Iterator[dict[str, Any]]:
    """Floor, walls and panes; what belongs to a wall knows which way its room is, so that it can be cut away."""
    for mesh in room_meshes(scene.room):
        kind = mesh.extras["kind"]
        if kind == "floor":
            yield _mesh(mesh, kind)
            continue
        wall = scene.room.walls[mesh.extras["wall"]]
        yield _mesh(mesh, kind) | {
            "inward": [*wall.inward, 0.0],
            "point": [wall.a[0] / 100, wall.a[1] / 100, 0.0],
        }


def _mesh(mesh: Mesh, kind: str) -> dict[str, Any]:
    placed = mesh.placed()
    return {
        "name": mesh.name,
        "kind": kind,
        "colour": [round(v / 255, 4) for v in rgb(mesh.colour)],
        "alpha": mesh.alpha,
        "triangles": [round(v, 4) for face in mesh.faces for i in face for v in placed[i]],
    }
