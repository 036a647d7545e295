"""SceneEval's scene states (scene@1.0.2) as our scenes: z up, metres, column-major matrices of models that are y up themselves.

A state names models but not their sizes: boxes of ours are unit cubes whose scale is their size, others come from a table of assets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from layout import frames
from layout.adapters.importing import category_name, new_id, on_wall, ring_and_corner, with_support
from layout.assets import AssetRow
from layout.geometry import Point
from layout.schema import ROOM_TYPES, Door, Room, RoomType, Scene, SceneObject, Window


def read_state(
    state: Mapping[str, Any], models: Mapping[str, AssetRow] | None = None, room_type: RoomType | None = None
) -> Scene:
    """The scene of a state. `models` are the assets by model id, `room_type` is needed where the state does not say it.

    Raises ValueError that names what is missing or cannot be read.
    """
    if state.get("format") != "sceneState" or "scene" not in state:
        raise ValueError('no SceneEval scene state: "format" has to be "sceneState"')
    scene = state["scene"]
    elements = scene.get("arch", {}).get("elements", [])
    floor = next((e for e in elements if e.get("type") == "Floor"), None)
    if floor is None:
        raise ValueError("the scene state has no element of type Floor, so the room has no outline")
    kind = room_type or _room_type(scene)
    ring, corner = ring_and_corner([(100 * p[0], 100 * p[1]) for p in floor["points"]])
    walls = [e for e in elements if e.get("type") == "Wall"]
    height = max((100 * w["height"] for w in walls), default=260.0)
    empty = Room(room_type=kind, polygon=ring, height=round(height, 4))
    doors, windows = [], []
    for wall in walls:
        for hole in wall.get("holes", []):
            _add_hole(hole, wall, empty, corner, doors, windows)
    room = Room(room_type=kind, polygon=ring, height=empty.height, doors=tuple(doors), windows=tuple(windows))
    rows = scene.get("object", [])
    return Scene(room=room, objects=with_support(room, _objects(rows, corner, models or {})))


def _room_type(scene: Mapping[str, Any]) -> RoomType:
    for region in scene.get("arch", {}).get("regions", []):
        if region.get("type") in ROOM_TYPES:
            return cast(RoomType, region["type"])
    raise ValueError(
        f"the scene state does not say which room it is; give the room type ({', '.join(ROOM_TYPES)})"
    )


def _add_hole(
    hole: Mapping[str, Any],
    wall: Mapping[str, Any],
    room: Room,
    corner: Point,
    doors: list[Door],
    windows: list[Window],
) -> None:
    """The hole's box is (along the wall, up) from the wall's first point."""
    (ax, ay), (bx, by) = ((100 * p[0], 100 * p[1]) for p in (wall["points"][0][:2], wall["points"][1][:2]))
    length = math.hypot(bx - ax, by - ay)
    (m0, low), (m1, high) = ((100 * v for v in hole["box"][end]) for end in ("min", "max"))
    a, b = (
        (ax + (bx - ax) * m / length - corner[0], ay + (by - ay) * m / length - corner[1]) for m in (m0, m1)
    )
    found = on_wall(room.walls, a, b)
    if found is None:
        raise ValueError(
            f"wall {wall.get('id')!r} has a hole from {m0:g} to {m1:g} cm that is on no edge of the floor"
        )
    index, start, end = found
    high, low = round(min(high, room.height), 4), round(low, 4)
    if hole.get("type") == "Window":
        windows.append(Window(wall=index, start=start, end=end, sill=low, head=high))
    else:
        doors.append(Door(wall=index, start=start, end=end, height=high))


def _objects(rows: list[Any], corner: Point, models: Mapping[str, AssetRow]) -> list[SceneObject]:
    objects: list[SceneObject] = []
    by_index: dict[Any, str] = {}
    for i, row in enumerate(rows):
        columns, scale = _z_up(row["transform"]["data"], f"object[{i}]")
        try:
            (x, y, z), yaw = frames.from_matrix(columns)
        except ValueError as error:
            raise ValueError(f"object[{i}] ({row.get('modelId')}): {error}") from error
        category, size = _model(row, scale, models)
        name = new_id(row.get("id"), category, by_index.values())
        by_index[row.get("index", i)] = name
        pos = (round(100 * x - corner[0], 4), round(100 * y - corner[1], 4), round(100 * z, 4))
        objects.append(SceneObject(id=name, category=category, size=size, yaw=yaw, pos=pos))
    return [_on_parent(o, row, by_index) for o, row in zip(objects, rows, strict=True)]


def _on_parent(o: SceneObject, row: Mapping[str, Any], by_index: Mapping[Any, str]) -> SceneObject:
    """Standing on the parent the row names; files of others repeat the object's own index there."""
    parent = by_index.get(row.get("parentIndex"))
    return o if not row.get("parentId") or parent in (None, o.id) else o.moved(on=parent)


def _z_up(data: list[float], where: str) -> tuple[list[float], tuple[float, float, float]]:
    """The matrix as one of a model that is z up, and the model's scale along (width, depth, height)."""
    if len(data) != 16:
        raise ValueError(f"{where}: a transform has 16 numbers, got {len(data)}")
    x, y, z = data[0:3], data[4:7], data[8:11]
    lengths = [math.sqrt(sum(v * v for v in axis)) for axis in (x, y, z)]
    if lengths[1] and abs(y[2]) / lengths[1] > 0.99:  # the model's own y points up: T·Rz·Rx(90°)
        flipped = [*x, 0.0, *(-v for v in z), 0.0, *y, 0.0, *data[12:16]]
        return flipped, (lengths[0], lengths[2], lengths[1])
    return list(data), (lengths[0], lengths[1], lengths[2])


def _model(
    row: Mapping[str, Any], scale: tuple[float, float, float], models: Mapping[str, AssetRow]
) -> tuple[str, tuple[float, float, float]]:
    """Category and size in cm of a row's model."""
    model = str(row.get("modelId", ""))
    if model.startswith("box."):
        category, own = row.get("category") or model.removeprefix("box.box_"), (100.0, 100.0, 100.0)
    elif model in models or model.partition(".")[2] in models:
        asset = models.get(model) or models[model.partition(".")[2]]
        category, own = row.get("category") or asset.category, asset.size
    else:
        raise ValueError(
            f"no size for the model {model!r}; give a file of assets with its id, category and size"
        )
    size = tuple(round(a * b, 2) for a, b in zip(own, scale, strict=True))
    return category_name(category), cast(tuple[float, float, float], size)
