"""`rewright layout generate`: a furnished room from a sentence."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.layout_files import UNITS, Reading, add_catalogue_argument, read_rooms
from recipes.terminal import remark, say, spell_seconds, table

if TYPE_CHECKING:
    from layout.asking import Step
    from layout.generate import Candidate, Generated
    from layout.schema import Room, RoomType, Scene, SceneObject

_DESCRIPTION = """
Furnish a room as a sentence says. The model plans, writes the furniture, and the validator chooses the best of n answers; what is wrong
with it is mended within bounds, and what could not be met is said.

The room: --room WIDTHxDEPTH (metres, or with a unit: 340x360cm, 11x12ft), or --room room.json; without it the size in the sentence, or a
room drawn by the seed. A room of a given size has a door in the south and a window in the north. A file with furniture keeps it where it is.
"""
_EPILOG = """
examples:
  rewright layout generate "a small bedroom for a student, desk at the window" --room 3.4x3.6
  rewright layout generate "a living room with a sofa and a TV" -n 8 --output out/living
  rewright layout generate "add two nightstands and a wardrobe" --room bedroom.json

It writes layout.json (the room), raw.json (as the model gave it) and report.json (both reports, every answer) into --output.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "generate",
        help="furnish a room as a sentence says",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("request", help="what the room should be or have")
    parser.add_argument("--room", help="WIDTHxDEPTH, or a JSON file with a room or a furnished scene")
    parser.add_argument(
        "--units", choices=tuple(UNITS), default="cm", help="of the lengths in a file of --room (default cm)"
    )
    parser.add_argument(
        "--type",
        choices=("bedroom", "living_room", "kitchen", "bathroom"),
        help="type of room (default: as the request says)",
    )
    add_catalogue_argument(parser)
    parser.add_argument("-n", type=int, default=8, help="answers to choose from (default 8)")
    parser.add_argument(
        "--output", type=Path, help="folder for the files (default: only the summary is printed)"
    )
    add_model_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the answers, and of a drawn room (default 0)")
    parser.add_argument(
        "--no-plan", action="store_true", help="let the model write the furniture without a plan"
    )
    held = parser.add_mutually_exclusive_group()
    held.add_argument(
        "--schema-alone",
        action="store_true",
        help="hold the model to a schema of the words and the room's size alone, not to the space that is left",
    )
    held.add_argument("--free", action="store_true", help="do not hold the model at all")
    parser.add_argument("--no-repair", action="store_true", help="leave the best answer as the model gave it")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which layout model, what runs it, and how it samples."""
    parser.add_argument("--model", help="folder or hub id of a layout model (default: the embedded one)")
    parser.add_argument(
        "--backend",
        choices=("transformers", "vllm"),
        default="transformers",
        help="what runs the model (default transformers)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        help="of sampling; 0 always takes the likeliest (default 0.8)",
    )
    parser.add_argument(
        "--tries",
        type=int,
        default=1,
        help="times a piece that brings a hard fault into the room is written before the next; 1 writes a room at once, twice as fast (default 1)",
    )


def run(args: argparse.Namespace) -> int:
    """0: a room without a hard fault; 1: something the request or the checks want is not met."""
    from layout.generate import generate
    from layout.request import refuse
    from layout.schema import Scene

    if not args.request.strip():
        raise ValueError("the request is empty; say what the room should be or have")
    refuse_arguments(args)
    room, kept = room_of(args.room, args.request, args.type, args.seed, args.units)
    refuse(Scene(room=room, objects=kept), args.request)  # before the model is loaded
    backend = load_backend(args.model, args.backend)
    found = generate(
        backend,
        room,
        args.request,
        n=args.n,
        plan=not args.no_plan,
        constrained=not args.free,
        space=not (args.free or args.schema_alone),
        keep=kept,
        mend=not args.no_repair,
        temperature=args.temperature,
        seed=args.seed,
        tries=args.tries,
        progress=telling(),
    )
    content = summary(found)
    if args.output is not None:
        write(found, content, args.output)
    say(json.dumps(content, ensure_ascii=False, indent=2) if args.json else told(found))
    return 0 if found.report is not None and found.report.ok else 1


def refuse_arguments(args: argparse.Namespace) -> None:
    """Raises ValueError for a number of answers, a temperature or a folder that cannot be."""
    if args.n < 1:
        raise ValueError(f"-n {args.n}: give a number of answers from 1 on")
    if args.tries < 1:
        raise ValueError(f"--tries {args.tries}: give a number from 1 on")
    if args.temperature < 0:
        raise ValueError(f"--temperature {args.temperature}: give 0 (greedy) or more")
    if args.output is not None and args.output.exists() and not args.output.is_dir():
        raise ValueError(f"--output {args.output} is a file; give a folder")


def telling() -> Callable[[Step], None]:
    """Says how many answers are there and how long the others will take."""
    began = time.monotonic()

    def tell(step: Step) -> None:
        if step.stage == "rooms" and step.done:
            left = (time.monotonic() - began) / step.done * (step.total - step.done)
            rest = f", {spell_seconds(left)} left" if step.done < step.total else ""
            remark(f"{step.done} of {step.total} answers{rest}")
        elif step.stage == "pieces":
            remark(f"piece {step.done + 1} of at most {step.total}")
        elif not step.done and step.stage != "rooms":
            remark(f"{step.stage} for {step.total} answers" if step.stage == "plans" else step.stage)

    return tell


def load_backend(model: str | None, backend: str) -> Any:
    """The embedded model or another, ready to answer."""
    from recipes.layout_backends import EMBEDDED, TransformersBackend, VllmBackend

    name = EMBEDDED if model is None else Path(model).resolve() if Path(model).is_dir() else model
    return VllmBackend.load(name) if backend == "vllm" else TransformersBackend.load(name)


def room_of(
    given: str | None, request: str, kind: RoomType | None, seed: int, units: str = "cm"
) -> tuple[Room, tuple[SceneObject, ...]]:
    """The empty room, and furniture that stays. Raises ValueError where it is not said what room it is."""
    from layout.request import room_for, size_in

    if given is not None and (given.endswith(".json") or Path(given).is_file()):
        scene = read_scene(Path(given), units)
        return scene.room, scene.objects
    if given is not None and size_in(given) is None:
        raise ValueError(f"--room {given!r}: give WIDTHxDEPTH such as 3.4x3.6, or a JSON file that exists")
    room, drawn = room_for(request, given, kind, seed)
    if drawn:
        size = f"{room.extent[0]:g} x {room.extent[1]:g} cm"
        remark(f"no size given: a {room.room_type.replace('_', ' ')} of {size} was drawn")
    return room, ()


def read_scene(path: Path, units: str = "cm", option: str = "--room ") -> Scene:
    """A scene, or a room as a scene without furniture. Raises ValueError with the file and the place in it."""
    if str(path) != "-" and not path.exists():
        raise ValueError(f"{option}{path}: there is no such file")
    found = read_rooms(str(path), Reading(units=units))
    if len(found) > 1:
        raise ValueError(f"{option}{path}: the file has {len(found)} rooms; give a file with one")
    return found[0].scene


def summary(found: Generated) -> dict[str, Any]:
    """Raw and repaired apart, and every answer in a line."""
    raw = found.best.report if found.best else None
    after = found.repaired
    return {
        "request": found.request,
        "asked_for": found.spec.model_dump(mode="json"),
        "answers": [_in_a_line(c) for c in found.candidates],
        "raw": raw.model_dump(mode="json") if raw else None,
        "repaired": after.after.model_dump(mode="json") if after else None,
        "substitutions": [s.message for s in found.best.substitutions] if found.best else [],
        "moves": list(after.moves) if after else [],
        "unmet": list(found.unmet),
    }


def _in_a_line(candidate: Candidate) -> dict[str, Any]:
    from layout.parse import ParseFailure

    if isinstance(candidate.parsed, ParseFailure):
        return {"parsed": False, "why": candidate.parsed.message}
    assert candidate.report is not None
    return {
        "parsed": True,
        "plan": candidate.parsed.plan,
        "objects": candidate.report.n_objects,
        "substitutions": [s.message for s in candidate.substitutions],
        "faults": dict(candidate.report.codes),
    }


def write(found: Generated, content: dict[str, Any], folder: Path) -> None:
    """The report, and the rooms where there are any."""
    texts = {"report.json": json.dumps(content, indent=2, ensure_ascii=False)}
    if found.scene is not None and found.best is not None and found.best.scene is not None:
        texts["layout.json"] = found.scene.model_dump_json(indent=1)
        texts["raw.json"] = found.best.scene.model_dump_json(indent=1)
    put_files({folder / name: text for name, text in texts.items()})


def put_files(texts: Mapping[Path, str]) -> None:
    """All of them or none: each is written beside its place and then put there."""
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.part").write_text(text + "\n", encoding="utf-8")
    for path in texts:
        os.replace(path.with_name(f"{path.name}.part"), path)
    remark(f"wrote {', '.join(sorted(map(str, texts)))}")


def told(found: Generated) -> str:
    """For people: the furniture, how many answers were good, what was mended, what is not met."""
    scene = found.scene
    if scene is None:
        return "no answer of the model could be read"
    rows = [
        [o.id, o.on, " x ".join(f"{v:g}" for v in o.size), f"{o.yaw:g}", ", ".join(f"{v:g}" for v in o.pos)]
        for o in scene.objects
    ]
    good = sum(c.report is not None and c.report.ok for c in found.candidates)
    lines = [table(["object", "on", "size (cm)", "yaw", "position"], rows), ""]
    lines.append(f"{good} of {len(found.candidates)} answers had no hard fault as the model gave them.")
    if found.best is not None:
        lines += [f"substituted: {s.message}" for s in found.best.substitutions]
    if found.repaired is not None:
        lines += [f"mended: {move}" for move in found.repaired.moves]
    lines += [f"not met: {sentence}" for sentence in found.unmet] or ["everything the checks know of is met"]
    return "\n".join(lines)
