"""Wavefront OBJ with its materials beside it: y up, metres, one group an object. For tools that read nothing newer."""

from __future__ import annotations

from pathlib import Path

from layout import frames
from layout.assets import Retriever, box
from layout.export.mesh import Mesh, object_meshes, room_meshes
from layout.palette import rgb
from layout.schema import Scene


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """`path` and a .mtl of the same name. Meshes are parametric; `assets` is not asked."""
    materials = path.with_suffix(".mtl")
    meshes = [*room_meshes(scene.room), *object_meshes(scene)]
    lines = [f"mtllib {materials.name}"]
    first = 1
    for mesh in meshes:
        lines += [f"o {mesh.name}", f"usemtl {_material(mesh)}"]
        lines += ["v {:.5f} {:.5f} {:.5f}".format(*frames.to_y_up(v)) for v in mesh.placed()]
        lines += [f"f {a + first} {b + first} {c + first}" for a, b, c in mesh.faces]
        first += len(mesh.vertices)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    kinds = {_material(mesh): mesh for mesh in meshes}
    blocks = [
        "newmtl {}\nKd {:.4f} {:.4f} {:.4f}\nd {:g}\n".format(
            name, *(v / 255 for v in rgb(mesh.colour)), mesh.alpha
        )
        for name, mesh in kinds.items()
    ]
    materials.write_text("\n".join(blocks), encoding="utf-8")
    return [path, materials]


def _material(mesh: Mesh) -> str:
    return f"m{mesh.colour[1:]}"
