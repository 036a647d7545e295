"""What layout models are asked in an evaluation: held-out synthetic rooms, the same rooms with sized objects, LayoutGPT's rooms, SceneEval's rows.

Each set is a list of `Asked`: an empty room, a request, what the request stands for, and somebody's room for it where there is one. The
spec serves to measure; a model sees the room and the request alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from layout.adapters.annotations import Annotated
from layout.schema import Room, Scene, Spec

AREA_EACH = 10_000.0  # cm² of floor that a SceneEval row's room has at least for every object it names
ROOM_DRAWS = 60
LAYOUTGPT_FILES = ("gpt4_bedroom.json", "gpt4_livingroom.json")


@dataclass(frozen=True)
class Asked:
    """A request for a room. `reference` is the room of the synthesiser, or of LayoutGPT."""

    id: str
    room: Room
    request: str
    spec: Spec
    reference: Scene | None = None
    note: Mapping[str, Any] | None = None


class Store:
    """JSON lines made once: kept with what they were made from, made again when that has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def held(self, name: str, made_from: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """The lines, or None where there are none that were made from this."""
        path = self.folder / f"{name}.jsonl"
        if not path.is_file():
            return None
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines] if json.loads(head) == dict(made_from) else None

    def lines(
        self, name: str, made_from: Mapping[str, Any], make: Callable[[], list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """The lines, from the file or from `make`, which are then written whole or not at all."""
        found = self.held(name, made_from)
        if found is None:
            found = make()
            path = self.folder / f"{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (dict(made_from), *found))
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        return found


def synthetic(store: Store, count: int) -> list[Asked]:
    """`count` test rooms of every type with held-out wordings; kept, since a test room is one in twenty that are drawn."""
    from recipes.layout_measure import SEED, examples
    from recipes.layout_rows import row

    first = row(SEED, "test", 0)
    digest = sha256((first.request + first.scene.model_dump_json()).encode()).hexdigest()
    made_from = {"rooms": count, "seed": SEED, "first": digest}

    def make() -> list[dict[str, Any]]:
        return [
            {
                "request": r.request,
                "spec": r.instruction.spec.model_dump(mode="json"),
                "scene": r.scene.model_dump(mode="json"),
            }
            for r in examples(count)
        ]

    return [_asked(i, line) for i, line in enumerate(store.lines("rooms", made_from, make))]


def _asked(i: int, line: Mapping[str, Any]) -> Asked:
    scene = Scene.model_validate(line["scene"])
    return Asked(f"synthetic-{i}", scene.room, line["request"], Spec.model_validate(line["spec"]), scene)


def contract(rooms: list[Asked]) -> list[Asked]:
    """OptiScene's own contract for the same rooms: the request gives the area and every object with its size."""
    from layout.instructions import sized_instruction

    found = []
    for asked in rooms:
        assert asked.reference is not None, asked.id
        said = sized_instruction(asked.reference, asked.id)
        found.append(Asked(f"contract-{asked.id}", asked.room, said.text, said.spec, asked.reference))
    return found


def layoutgpt(folder: Path) -> list[Asked]:
    """LayoutGPT's rooms: empty ones of their sizes to furnish, with the rooms of GPT-4 as references.

    Their rooms have no openings. Ours get the door and the window that `layout.request.plain_room` gives a room of a known size, and the
    request says what their prompt says: type and size.
    """
    from layout.request import plain_room
    from recipes.layout_files import Reading, read_rooms

    missing = [name for name in LAYOUTGPT_FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"--layoutgpt {folder}: {' and '.join(missing)} not there; give the folder of both")
    found = []
    for name in LAYOUTGPT_FILES:
        for read in read_rooms(str(folder / name), Reading("layoutgpt")):
            width, depth = (round(side) for side in read.scene.room.extent)
            kind = read.scene.room.room_type
            request = f"Design a {kind.replace('_', ' ')} of {width / 100:.1f} x {depth / 100:.1f} m."
            found.append(Asked(read.name, plain_room(kind, width, depth), request, Spec(), read.scene))
    return found


def sceneeval(path: Path) -> list[Asked]:
    """SceneEval's rows of the four types, each in a room of its own drawing, since the sentences give no sizes."""
    from layout.adapters.annotations import read_annotations

    if not path.is_file():
        raise ValueError(f"--sceneeval {path}: there is no such file")
    found = []
    for row in read_annotations(path):
        covered = {"asked": dict(row.asked), "covered": dict(row.covered)}
        found.append(Asked(f"sceneeval-{row.id}", drawn_room(row), row.text, row.spec, None, covered))
    return found


def drawn_room(row: Annotated) -> Room:
    """The first of up to 60 rooms of the synthesiser, drawn by the row's ID, with 1 m² of floor for every object that the row names and,
    where the row speaks of a window, a window; else the largest of them."""
    from layout.synthesis import draw_room

    rng = random.Random(f"sceneeval/{row.id}")
    rooms = [draw_room(rng, row.room_type) for _ in range(ROOM_DRAWS)]
    lit = [room for room in rooms if room.windows or not row.needs_window]
    fitting = (room for room in lit if room.area >= AREA_EACH * row.objects)
    return next(fitting, None) or max(lit or rooms, key=lambda room: room.area)
