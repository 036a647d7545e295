"""OptiScene's and 3D-SynthPlace's rows: a prompt with room type, area and sized objects; an answer with their places. z up, metres, radians.

The origin is the room's centroid, an angle is counter-clockwise, positions are of the bottom. Left open by the format, and read so:

- The room is an area alone. Rows of ours carry "polygon" (metres from the centroid) and "height"; a row without is a square of its area.
- Which side h, w and d are: their long prompt means height, width, depth by their names ("hwd"), their released demo writes a sofa of
  3.5 x 1.2 m and .9 m high as h=3.5, w=1.2, d=.9 ("wdh"). It has to be said; the default are the names.
- No object has a declared front: an angle of 0 is taken to face south, as our yaw, which is how their demo turns a TV towards its sofa.
- What an object is stands in free text: the category is the first noun that the catalogue knows, "object" where it knows none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

from layout import frames
from layout.adapters.importing import new_id, ring_and_corner, with_support
from layout.schema import ROOM_TYPES, Room, RoomType, Scene, SceneObject
from layout.serialise import mentioned

Axes = Literal["hwd", "wdh"]
AXES: tuple[Axes, ...] = ("hwd", "wdh")
HEIGHT = 280.0  # cm of a room that does not say it


def read_row(row: Mapping[str, Any], axes: Axes = "hwd", room_type: RoomType | None = None) -> Scene:
    """The scene of a row: {"instruction", "input", "output"}, {"messages"}, or the chosen side of {"combined_prompts"}.

    Raises ValueError that names the block or the object that is missing or cannot be read.
    """
    prompt, answer = _texts(row)
    kind = room_type or _block(prompt, "Task Room Type").strip().lower().replace(" ", "_")
    if kind not in ROOM_TYPES:
        raise ValueError(f"the room type {kind!r} is none of ours; give one of {', '.join(ROOM_TYPES)}")
    centroid, room = _room(row, prompt, cast(RoomType, kind))
    sizes = {
        o["object"]: o["bounding box"]
        for o in _json(_block(prompt, "Task Objects and Bounding Box Size"))["objects"]
    }
    design = _json(answer[answer.rindex("[Design]") :] if "[Design]" in answer else answer)
    objects: list[SceneObject] = []
    taken: set[str] = set()
    for text, box, at, turn in _pieces(design["objects"], sizes):
        category = next((name for name, n in mentioned(text).items() if n), "object")
        name = new_id(None, category, taken)
        taken.add(name)
        size = {key: round(100 * float(box[key]), 4) for key in "hwd"}
        width, depth, height = (size[key] for key in (("w", "d", "h") if axes == "hwd" else ("h", "w", "d")))
        x, y, z = frames.from_centred([100 * float(at[key]) for key in "xyz"], centroid)
        objects.append(
            SceneObject(
                id=name,
                category=category,
                size=(width, depth, height),
                yaw=round(frames.normalise_yaw(math.degrees(float(turn["angle"]))), 4) % 360,
                pos=(round(x, 4), round(y, 4), round(z, 4)),
            )
        )
    return Scene(room=room, objects=with_support(room, objects))


def _texts(row: Mapping[str, Any]) -> tuple[str, str]:
    """(what was asked, what was answered)."""
    if "combined_prompts" in row:  # a preference row: the first is the chosen one
        row = row["combined_prompts"][0]
    if "messages" in row:
        said = {m["role"]: m["content"] for m in row["messages"]}
        row = {"input": said.get("user"), "output": said.get("assistant")}
    prompt, answer = row.get("input") or row.get("instruction"), row.get("output")
    if not isinstance(prompt, str) or not isinstance(answer, str):
        raise ValueError('no OptiScene row: give "input" and "output", "messages" or "combined_prompts"')
    return prompt, answer


def _block(text: str, name: str) -> str:
    """The contents of the last block of a name: a long prompt shows an example before it."""
    found = re.findall(rf"\[{name}\](.*?)(?:\[/{name}\]|(?=\[Task )|\Z)", text, re.DOTALL)
    if not found:
        raise ValueError(f"the prompt has no block [{name}]")
    return found[-1]


def _json(text: str) -> Any:
    """The first JSON object in a text."""
    start = text.find("{")
    if start < 0:
        raise ValueError(f"no JSON in {' '.join(text.split())[:40]!r}")
    value, _ = json.JSONDecoder().raw_decode(text, start)
    if not isinstance(value, dict) or not isinstance(value.get("objects"), list):
        raise ValueError('the JSON has no list "objects"')
    return value


def _room(row: Mapping[str, Any], prompt: str, kind: RoomType) -> tuple[tuple[float, float], Room]:
    """(where the centroid is in our frame, the room)."""
    if row.get("polygon"):
        ring, corner = ring_and_corner([(100 * x, 100 * y) for x, y in row["polygon"]])
    else:
        area = float(_block(prompt, "Task Room Area"))
        if not area > 0:
            raise ValueError(f"[Task Room Area]: {area:g} m² is no room")
        half = 50 * math.sqrt(area)
        ring, corner = ring_and_corner([(-half, -half), (half, -half), (half, half), (-half, half)])
    height = round(100 * float(row["height"]), 4) if row.get("height") else HEIGHT
    return (-corner[0], -corner[1]), Room(room_type=kind, polygon=ring, height=height)


def _pieces(rows: list[Any], sizes: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    """(text, bounding box, coordinates, rotation) of every single piece; a row of "2 nightstand" is two."""
    for row in rows:
        text = str(row["object"])
        boxes = sizes.get(text)
        if boxes is None:
            raise ValueError(f"object {text!r} of the answer has no bounding box in the prompt")
        if not len(boxes) == len(row["coordinates"]) == len(row["rotate"]):
            raise ValueError(
                f"object {text!r} has {len(boxes)} bounding boxes, {len(row['coordinates'])} coordinates and {len(row['rotate'])} rotations"
            )
        for box, at, turn in zip(boxes, row["coordinates"], row["rotate"], strict=True):
            yield text, box, at, turn
