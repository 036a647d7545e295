"""`rewright layout edit`: a furnished room changed as a sentence says, everything else exactly where it was."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.layout_files import UNITS, add_catalogue_argument
from recipes.layout_generate import (
    add_model_arguments,
    load_backend,
    put_files,
    read_scene,
    refuse_arguments,
    telling,
)
from recipes.terminal import remark, say, table

if TYPE_CHECKING:
    from layout.edit import Edited
    from layout.schema import SceneObject

_DESCRIPTION = """
Change a furnished room as a sentence says. The words are read by rules: add, remove, move, swap, turn, replace, resize and keep, with
places such as "to the window wall", "next to the bed", "in the north east corner", "on the desk", "50 cm to the left" (of the floor plan).
What is not understood is said and nothing is changed. Everything an edit is not about keeps its pose exactly; what stands on a thing
goes with it. New places come from the layout model or from a search over poses, whichever the validator likes better.
"""
_EPILOG = """
examples:
  rewright layout edit room.json "move the desk to the window wall, add a bookshelf"
  rewright layout edit room.json "remove the rug and the two nightstands" -o room.json
  rewright layout edit room.json "make the bed 180 cm wide; put a lamp on the desk" --model none --output out/edited

Exit code 0: done, without a new hard fault; 1: something of it is not. -o writes the room, --output a folder with layout.json (the room),
raw.json (before repair) and report.json. Rooms are written in centimetres.
"""
SEARCH_ALONE = "none"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "edit",
        help="change a furnished room as a sentence says; the rest stays exactly",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="JSON file with one furnished room; - reads standard input")
    parser.add_argument("request", help="what to change")
    parser.add_argument(
        "--units", choices=tuple(UNITS), default="cm", help="of the lengths in the file (default cm)"
    )
    add_catalogue_argument(parser)
    parser.add_argument("-n", type=int, default=8, help="answers of the model to choose from (default 8)")
    parser.add_argument("-o", dest="room_file", type=Path, metavar="FILE", help="file for the room")
    parser.add_argument("--output", type=Path, help="folder for the room and the report")
    add_model_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the answers and of the search (default 0)")
    parser.add_argument("--no-repair", action="store_true", help="leave the best candidate as it is")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """0: every operation done and no new hard fault; 1: something is not."""
    from layout.edit import edit
    from layout.editing.words import read

    refuse_arguments(args)
    scene = read_scene(args.file, args.units, option="")
    read(args.request, scene)  # before the model: loading takes seconds
    done = edit(
        backend_of(args.model, args.backend),
        scene,
        args.request,
        n=args.n,
        mend=not args.no_repair,
        temperature=args.temperature,
        seed=args.seed,
        tries=args.tries,
        progress=telling(),
    )
    content = summary(done)
    files: dict[Path, str] = {}
    if args.room_file is not None:
        files[args.room_file] = done.scene.model_dump_json(indent=1)
    if args.output is not None:
        files[args.output / "layout.json"] = done.scene.model_dump_json(indent=1)
        files[args.output / "raw.json"] = done.raw.model_dump_json(indent=1)
        files[args.output / "report.json"] = json.dumps(content, indent=2, ensure_ascii=False)
    if files:
        put_files(files)
    say(json.dumps(content, ensure_ascii=False, indent=2) if args.json else told(done))
    return 0 if done.ok else 1


def backend_of(model: str | None, backend: str) -> Any:
    """A layout model, or None for the search alone: where that is asked for, and where nothing is and none is embedded."""
    if model == SEARCH_ALONE:
        return None
    from recipes.layout_backends import EMBEDDED

    if model is None and not (EMBEDDED / "config.json").is_file():
        remark("no layout model is embedded here; new places come from the search alone")
        return None
    return load_backend(model, backend)


def summary(done: Edited) -> dict[str, Any]:
    """What was understood, what changed, what is wrong with it, and where it comes from."""
    return {
        "request": done.request,
        "operations": [str(op) for op in done.edits.operations],
        "notes": list(done.notes),
        "done": done.ok,
        "unmet": list(done.unmet),
        "locality": done.locality,
        "source": done.source,
        "answers": {"read": done.answers, "asked": done.of},
        "changes": [
            {
                "id": c.id,
                "what": c.what,
                "before": c.before.model_dump(mode="json") if c.before else None,
                "after": c.after.model_dump(mode="json") if c.after else None,
            }
            for c in done.changes
        ],
        "moves": list(done.moves),
        "asked_for": done.spec.model_dump(mode="json"),
        "before": done.before_report.model_dump(mode="json"),
        "after": done.report.model_dump(mode="json"),
    }


def told(done: Edited) -> str:
    """For people: what was understood, the poses before and after, what is not met."""
    lines = [f"understood: {op}" for op in done.edits.operations]
    lines += [f"note: {note}" for note in done.notes]
    rows = [[c.id, c.what, _pose(c.before), _pose(c.after)] for c in done.changes]
    header = ["object", "", "before: place, size, yaw, position", "after"]
    lines += ["", table(header, rows) if rows else "nothing changed", ""]
    if done.locality is not None:
        lines.append(f"{done.locality:.0%} of what the edit is not about is exactly as it was")
    if done.of:
        lines.append(f"chosen: from the {done.source}, of {done.answers} readable answers and the search")
    lines += [f"mended: {move}" for move in done.moves]
    lines += [f"not met: {sentence}" for sentence in done.unmet] or ["everything asked for is done"]
    return "\n".join(lines)


def _pose(o: SceneObject | None) -> str:
    if o is None:
        return "–"
    size, pos = " x ".join(f"{v:g}" for v in o.size), ", ".join(f"{v:g}" for v in o.pos)
    return f"{o.on}, {size}, {o.yaw:g}°, ({pos})"
