"""Furnished rooms from files: our JSON or JSON lines in any unit, and other projects' formats. Errors say the file, the room and the place."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from layout.adapters.optiscene import AXES, Axes
from layout.catalogue import category
from layout.own_catalogue import UNITS
from layout.schema import ROOM_TYPES, RoomType, Scene, SceneObject, Spec

TINY = 5.0  # cm; furniture is longer, but for what lies on tables
FAR = 20  # times the room's longest side: no slip of a pen, and no picture to draw it in
FORMATS = ("rewright", "layoutgpt", "procthor", "sceneeval", "ssr", "optiscene", "3dfront")


@dataclass(frozen=True)
class ReadRoom:
    """A room of a file: how to call it, the scene, and what was asked for where the file says so."""

    name: str
    scene: Scene
    spec: Spec | None = None


@dataclass(frozen=True)
class Reading:
    """How a file is to be read; `assets` is a table of sizes for formats that only name their models."""

    format: str = "rewright"
    units: str = "cm"
    assets: Path | None = None
    room_type: RoomType | None = None
    any_category: bool = False
    axes: Axes = "hwd"


def read_rooms(path: str, how: Reading) -> list[ReadRoom]:
    """Every room in a file, "-" being standard input. Raises ValueError or OSError that names the place."""
    shown = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{shown} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    if not text.strip():
        raise ValueError(f"{shown} is empty; give a room as JSON, or one a line")
    found: list[ReadRoom] = []
    for place, value in _values(text, shown):
        try:
            found += _READERS[how.format](value, place, how)
        except ValidationError as error:
            raise ValueError(f"{place}: {_explained(error, how)}") from error
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{place}: no room in the format {how.format!r} ({type(error).__name__}: {error})"
            ) from error
        except ValueError as error:
            raise ValueError(f"{place}: {_with_unit(str(error), how)}") from error
    if not found:
        raise ValueError(f"{shown} holds no room: the list is empty")
    return found


def _values(text: str, shown: str) -> Iterator[tuple[str, Any]]:
    """The JSON values of a text with where each is: the text as a whole, a list's items, or its lines."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not _is_json(lines[0][1]):
            raise ValueError(
                f"{shown}: no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
            ) from error
    except RecursionError as error:
        raise ValueError(f"{shown}: no room: brackets are nested thousands deep") from error
    else:
        if isinstance(value, list):
            yield from ((f"{shown} item {i}", item) for i, item in enumerate(value))
        else:
            yield shown, value
        return
    for n, line in lines:
        try:
            yield f"{shown} line {n}", json.loads(line)
        except json.JSONDecodeError as broken:
            raise ValueError(f"{shown} line {n}: no JSON: {broken.msg} in column {broken.colno}") from broken


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def _rewright(value: Any, place: str, how: Reading) -> list[ReadRoom]:
    if not isinstance(value, dict):
        raise ValueError(f'a room is a JSON object with "room" and "objects", not {type(value).__name__}')
    if "polygon" in value:  # an empty room, without the scene around it
        value = {"room": value}
    if "room" not in value:
        raise ValueError(f'the key "room" is missing; there are: {", ".join(map(str, value)) or "none"}')
    scene = Scene.model_validate(
        {"room": _scaled_room(value["room"], how), "objects": _scaled_objects(value.get("objects", []), how)}
    )
    if not how.any_category:
        for o in scene.objects:
            try:
                category(o.category)
            except ValueError as error:
                raise ValueError(
                    f"object {o.id!r}: {error} (--catalogue FILE adds your own; --any-category checks its geometry alone)"
                ) from error
            _plausible(o, scene)
    asked = value.get("spec") or (value.get("instruction") or {}).get("spec")
    return [ReadRoom(str(value.get("id") or place), scene, Spec.model_validate(asked) if asked else None)]


def _plausible(o: SceneObject, scene: Scene) -> None:
    """Raise ValueError for what only a mistaken unit explains: furniture of two centimetres, or kilometres away."""
    entry = category(o.category)
    metres = (o.size[0] * 100, o.size[1] * 100, o.size[2] * 100)
    if max(o.size) < TINY and entry.fits(o.size) > TINY and entry.fits(metres) < max(metres) / 2:
        size = " x ".join(f"{v:g}" for v in o.size)
        raise ValueError(f"object {o.id!r} is {size} cm; lengths are centimetres, were these metres?")
    if max(abs(v) for v in o.pos) > FAR * max(*scene.room.extent, scene.room.height):
        raise ValueError(
            f"object {o.id!r} is at ({', '.join(f'{v:g}' for v in o.pos)}) cm, far from the room of "
            f"{scene.room.extent[0]:g} x {scene.room.extent[1]:g} cm"
        )


def _scaled_room(room: Any, how: Reading) -> Any:
    """Lengths in centimetres, whatever unit they came in; what is no length or no number stays for the schema to refuse."""
    if how.units == "cm" or not isinstance(room, dict):
        return room
    lengths = {"height", "start", "end", "sill", "head"}
    scaled = {key: _times(v, how) if key in {*lengths, "polygon"} else v for key, v in room.items()}
    for kind in ("doors", "windows"):
        if isinstance(room.get(kind), list):
            scaled[kind] = [_scaled_room(opening, how) for opening in room[kind]]
    return scaled


def _scaled_objects(objects: Any, how: Reading) -> Any:
    if how.units == "cm" or not isinstance(objects, list):
        return objects
    return [
        {key: _times(v, how) if key in ("size", "pos") else v for key, v in o.items()}
        if isinstance(o, dict)
        else o
        for o in objects
    ]


def _times(value: Any, how: Reading) -> Any:
    if isinstance(value, list):
        return [_times(v, how) for v in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * UNITS[how.units], 4)
    return value


def _explained(error: ValidationError, how: Reading) -> str:
    """The first few faults with their paths, and the option that would help."""
    said = []
    for e in error.errors(include_url=False)[:3]:
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in e["loc"]).lstrip(".")
        message = e["msg"].removeprefix("Value error, ")
        if e["type"] == "too_long":
            message = f"at most {e['ctx']['max_length']} items, not {e['ctx']['actual_length']}"
        elif e["type"] == "tuple_type":
            message = "must be a list"
        elif e["type"] == "model_type":
            message = "must be a JSON object"
        said.append(f"{path}: {message}" if path else message)
    more = len(error.errors()) - 3
    return _with_unit("; ".join(said) + (f"; and {more} more" if more > 0 else ""), how)


def _with_unit(text: str, how: Reading) -> str:
    """A message about lengths with the option that would help."""
    if "were these metres?" in text and how.units == "cm":
        text += " If so, give --units m."
    if "were these millimetres?" in text and how.units != "cm":
        text = f"{text.replace('; lengths are centimetres, were these millimetres?', '')} with --units {how.units}; without it lengths are centimetres"
    return text


def _layoutgpt(value: Any, place: str, how: Reading) -> list[ReadRoom]:
    from layout.adapters.layoutgpt import read_scene

    return [ReadRoom(str(value.get("query_id") or place), read_scene(value))]


def _procthor(value: Any, place: str, how: Reading) -> list[ReadRoom]:
    from layout.adapters.procthor import read_house, read_sizes

    scenes = read_house(value, read_sizes(how.assets) if how.assets else None)
    return [ReadRoom(f"{place} room {i}", scene) for i, scene in enumerate(scenes)]


def _sceneeval(value: Any, place: str, how: Reading) -> list[ReadRoom]:
    from layout.adapters.sceneeval import read_state
    from layout.assets import read_rows

    models = {row.id: row for row in read_rows(how.assets)} if how.assets else None
    return [ReadRoom(place, read_state(value, models, how.room_type))]


def _ssr(value: Any, place: str, how: Reading) -> list[ReadRoom]:
    from layout.adapters.ssr import read_ssr

    return [ReadRoom(place, read_ssr(value, how.room_type))]


def _optiscene(value: Any, place: str, how: Reading) -> list[ReadRoom]:
    from layout.adapters.optiscene import read_row

    return [ReadRoom(place, read_row(value, how.axes, how.room_type))]


def _front3d(value: Any, place: str, how: Reading) -> list[ReadRoom]:
    from layout.adapters.front3d import read_house
    from layout.assets import read_rows

    models = {row.id: row for row in read_rows(how.assets)} if how.assets else None
    return [ReadRoom(f"{place} room {i}", scene) for i, scene in enumerate(read_house(value, models))]


_READERS: dict[str, Callable[[Any, str, Reading], list[ReadRoom]]] = {
    "rewright": _rewright,
    "layoutgpt": _layoutgpt,
    "procthor": _procthor,
    "sceneeval": _sceneeval,
    "ssr": _ssr,
    "optiscene": _optiscene,
    "3dfront": _front3d,
}


def add_file_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", help="rooms as JSON or JSON lines; - reads standard input")
    sub.add_argument(
        "--format", choices=FORMATS, default="rewright", help="whose format it is (default rewright)"
    )
    sub.add_argument(
        "--units", choices=tuple(UNITS), default="cm", help="of the lengths in a rewright file (default cm)"
    )
    sub.add_argument(
        "--sizes", type=Path, help="sizes of models that a procthor, sceneeval or 3dfront file only names"
    )
    sub.add_argument(
        "--room-type", choices=ROOM_TYPES, help="of a sceneeval, ssr or optiscene file that does not say it"
    )
    sub.add_argument(
        "--axes",
        choices=AXES,
        default="hwd",
        help="what h, w and d of an optiscene file are: height, width, depth (default), or width, depth, height as in its demo",
    )
    sub.add_argument(
        "--any-category", action="store_true", help="read objects that the catalogue does not know"
    )
    add_catalogue_argument(sub)


def write_whole(path: Path, data: str | bytes) -> None:
    """A file that is there whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    os.replace(part, path)


def add_catalogue_argument(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--catalogue",
        type=Path,
        metavar="FILE",
        help="your own kinds of furniture and product sizes, JSON or YAML (docs/layout.md)",
    )


def read_arguments(args: argparse.Namespace) -> list[ReadRoom]:
    how = Reading(args.format, args.units, args.sizes, args.room_type, args.any_category, args.axes)
    rooms = read_rooms(args.file, how)
    k = getattr(args, "room", None)
    if k is None:
        return rooms
    if not 0 <= k < len(rooms):
        raise ValueError(f"--room {k}: the file has the rooms 0 to {len(rooms) - 1}")
    return [rooms[k]]
