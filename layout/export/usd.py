"""USD as text (.usda): z up, metres, one Xform an object with its mesh; opens in usdview, Omniverse, Blender and Houdini.

Written by hand, because OpenUSD's own library is a large dependency for a few hundred lines of text. Front −Y and yaw about z are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from layout.assets import Retriever, box
from layout.export.mesh import Mesh, object_meshes, room_meshes
from layout.palette import rgb
from layout.schema import Scene


def write(scene: Scene, path: Path, assets: Retriever = box) -> list[Path]:
    """The room and its furniture at `path`. Meshes are parametric; `assets` is not asked."""
    path.write_text(usda(scene), encoding="utf-8")
    return [path]


def usda(scene: Scene) -> str:
    """The contents of the file."""
    lines = [
        "#usda 1.0",
        "(",
        '    defaultPrim = "room"',
        "    metersPerUnit = 1",
        '    upAxis = "Z"',
        ")",
        "",
        'def Xform "room" (',
        '    kind = "assembly"',
        ")",
        "{",
        f'    custom string roomType = "{scene.room.room_type}"',
    ]
    for mesh in (*room_meshes(scene.room), *object_meshes(scene)):
        lines += ["", *_prim(mesh)]
    return "\n".join([*lines, "}", ""])


def prim_name(name: str) -> str:
    """A prim's name: USD's begin with a letter or an underscore."""
    return f"_{name}" if name[0].isdigit() else name


def _prim(mesh: Mesh) -> Iterator[str]:
    """An Xform with its place and turn, and the mesh below it."""
    yield f'    def Xform "{prim_name(mesh.name)}"'
    yield "    {"
    if "category" in mesh.extras:
        w, d, h = mesh.extras["size_cm"]
        yield f'        custom string category = "{mesh.extras["category"]}"'
        yield f'        custom string on = "{mesh.extras["on"]}"'
        yield f"        custom double3 sizeCm = ({w:g}, {d:g}, {h:g})"
    yield f"        double3 xformOp:translate = {_tuple(mesh.pos)}"
    yield f"        double xformOp:rotateZ = {_number(mesh.yaw)}"
    yield '        uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateZ"]'
    yield ""
    yield '        def Mesh "mesh"'
    yield "        {"
    yield f"            color3f[] primvars:displayColor = [{_tuple([v / 255 for v in rgb(mesh.colour)])}]"
    yield f"            float[] primvars:displayOpacity = [{_number(mesh.alpha)}]"
    yield f"            int[] faceVertexCounts = [{', '.join('3' for _ in mesh.faces)}]"
    yield f"            int[] faceVertexIndices = [{', '.join(str(i) for face in mesh.faces for i in face)}]"
    yield f"            point3f[] points = [{', '.join(_tuple(v) for v in mesh.vertices)}]"
    yield '            uniform token subdivisionScheme = "none"'
    yield "        }"
    yield "    }"


def _tuple(values: object) -> str:
    return "(" + ", ".join(_number(v) for v in values) + ")"  # type: ignore[attr-defined]


def _number(value: float) -> str:
    return f"{round(value, 6) + 0.0:.10g}"
