"""glTF binary: y up, metres, front +Z; one node an object with its category, size and carrier as extras. Opens in Blender and browsers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from layout import frames
from layout.assets import Retriever, box
from layout.export.mesh import Mesh, object_meshes, room_meshes
from layout.palette import rgb
from layout.schema import Scene


def load_trimesh() -> Any:
    """trimesh, with its stand-ins for absent optional packages made harmless to look at.

    They raise ModuleNotFoundError even where one only asks `hasattr(value, "__dict__")`, as vLLM does of all that is loaded when it starts.
    """
    import trimesh
    from trimesh.exceptions import ExceptionWrapper

    def looked_at(self: Any, name: str) -> Any:
        if name == "__class__":
            return type(None)
        if name == "__dict__":
            raise AttributeError(name)
        kind, args = object.__getattribute__(self, "exception")
        raise kind(*args)

    ExceptionWrapper.__getattribute__ = looked_at  # type: ignore[method-assign]
    return trimesh


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The room and its furniture as one .glb. Meshes are parametric; `assets` is not asked."""
    path.write_bytes(
        glb_bytes([*room_meshes(scene.room), *object_meshes(scene)], {"room_type": scene.room.room_type})
    )
    return [path]


def glb_bytes(meshes: Iterable[Mesh], extras: dict[str, Any] | None = None) -> bytes:
    """Meshes as a binary glTF file."""
    import numpy as np

    trimesh = load_trimesh()
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    graph = trimesh.Scene(metadata=extras)
    for mesh in meshes:
        material = PBRMaterial(
            name=mesh.colour,
            baseColorFactor=[*rgb(mesh.colour), round(255 * mesh.alpha)],
            metallicFactor=0.0,
            roughnessFactor=0.8,
            alphaMode="BLEND" if mesh.alpha < 1 else "OPAQUE",
        )
        # Flat shading: every triangle has its own corners, so that a viewer does not smooth a box into a pillow.
        faces = np.array(mesh.faces)
        corners = np.array([frames.to_y_up(v) for v in mesh.vertices])[faces.reshape(-1)]
        solid = trimesh.Trimesh(
            corners,
            np.arange(len(corners)).reshape(-1, 3),
            visual=TextureVisuals(material=material),
            process=False,
        )
        graph.add_geometry(
            solid,
            node_name=mesh.name,
            geom_name=f"{mesh.name}_mesh",
            transform=_matrix(mesh),
            metadata=mesh.extras,
        )
    return cast(bytes, graph.export(file_type="glb", include_normals=True))


def _matrix(mesh: Mesh) -> Any:
    """(4, 4) of a node: the turn about +Y and the shift, in y-up coordinates."""
    import numpy as np

    c, s = frames.direction(mesh.yaw)
    x, y, z = frames.to_y_up(mesh.pos)
    return np.array([[c, 0, s, x], [0, 1, 0, y], [-s, 0, c, z], [0, 0, 0, 1]], dtype=float)
