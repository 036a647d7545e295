"""`rewright layout`: make, check, measure, draw, export, show and drive through furnished rooms."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from layout.schema import ROOM_TYPES, RoomType
from recipes import layout_edit, layout_generate, layout_pairs_cli
from recipes.layout_files import Reading, add_file_arguments, read_arguments, read_rooms, write_whole
from recipes.layout_outputs import (
    add_export,
    add_navigate,
    add_render,
    add_view,
    export_rooms,
    navigate_room,
    render_rooms,
    view_rooms,
)
from recipes.terminal import say

_DESCRIPTION = """
Furnished rooms: a polygon with doors and windows, and objects with a size, a position and a yaw. A room is a JSON object
{"room": {...}, "objects": [...]}; a file holds one, a list, or one a line. Centimetres, z up, south-west corner at (0, 0),
yaw counter-clockwise, an object at yaw 0 faces south.
"""
_EPILOG = """
examples:
  rewright layout generate "a small bedroom, desk at the window"   by a layout model of yours (--model)
  rewright layout pairs --stage 2 --count 2000 --output pairs.jsonl  preference pairs to train it further
  rewright layout edit room.json "move the desk to the window" -o new.json   change it, the rest stays
  rewright layout synth --count 200 --seed 0 --output rooms        make rooms
  rewright layout check rooms/test/part-00000.jsonl                what is wrong with them
  rewright layout render room.json -o plan.png                     a floor plan
  rewright layout render room.json --view 3d -o room.png           the room in space
  rewright layout export room.json -o room.glb                     for Blender and browsers
  rewright layout view room.json -o room.html                      to look around in
  rewright layout navigate room.json --from door --to desk         a robot's way

`rewright layout SUB --help` explains each.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "layout",
        help="furnished 3D rooms: make, check, measure, draw, export, view, navigate",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subs = parser.add_subparsers(dest="sub", metavar="SUB", required=True)
    for name, (add, about, example) in _SUBS.items():
        sub = subs.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=f"examples:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add(sub)
    layout_generate.add_parser(subs)
    layout_pairs_cli.add_parser(subs)
    layout_edit.add_parser(subs)


def run(args: argparse.Namespace) -> int:
    from layout.catalogue import using
    from layout.own_catalogue import load

    path = getattr(args, "catalogue", None)
    with using(load(path) if path else ()):
        return _RUN[args.sub](args)


def _add_synth(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--count", type=int, required=True, help="number of rooms")
    sub.add_argument("--seed", type=int, default=0, help="the same seed gives the same rooms (default 0)")
    sub.add_argument(
        "--output",
        type=Path,
        required=True,
        help="a new folder, or one of a stopped run with the same settings",
    )
    sub.add_argument(
        "--rooms",
        help=f"room types, comma-separated, in equal parts (default: {', '.join(ROOM_TYPES)} as homes have them)",
    )
    sub.add_argument("--workers", type=int, default=1, help="processes (default 1)")


def _synth(args: argparse.Namespace) -> int:
    from layout.synthesis import MIX
    from recipes.layout_synth import synthesise

    if args.count < 1 or args.workers < 1:
        raise ValueError("--count and --workers are at least 1")
    mix: dict[RoomType, float] = dict(MIX)
    if args.rooms:
        names = [name.strip() for name in args.rooms.split(",")]
        unknown = [name for name in names if name not in ROOM_TYPES]
        if unknown:
            raise ValueError(f"--rooms {','.join(unknown)}: there are: {', '.join(ROOM_TYPES)}")
        if set(names) != set(MIX):
            mix = dict.fromkeys((t for t in ROOM_TYPES if t in names), 1.0)
    try:
        made = synthesise(args.output, args.seed, args.count, mix, args.workers)
    except KeyboardInterrupt as stop:
        stop.add_note("The same command goes on where it stopped.")
        raise
    splits = ", ".join(f"{n} {name}" for name, n in made["splits"].items())
    say(f"{made['rooms']} rooms ({splits}), {made['objects_per_room']:.1f} objects each, in {args.output}")
    return 0


def _add_check(sub: argparse.ArgumentParser) -> None:
    add_file_arguments(sub)
    sub.add_argument("--json", type=Path, help="write the reports as JSON lines too")
    sub.add_argument("--quiet", action="store_true", help="the summary alone")


def _check(args: argparse.Namespace) -> int:
    from layout.checks import check

    rooms = read_arguments(args)
    reports = [check(r.scene, r.spec) for r in rooms]
    for r, report in zip(rooms, reports, strict=True):
        if not args.quiet and (report.violations or len(rooms) == 1):
            say(
                f"{r.name}: {report.n_objects} objects, {len(report.hard)} hard and {len(report.violations) - len(report.hard)} soft faults"
            )
            for v in report.violations:
                say(f"  {v.severity} {v.code}: {v.message}")
    if args.json:
        rows = [
            {"name": r.name, **report.model_dump(mode="json")}
            for r, report in zip(rooms, reports, strict=True)
        ]
        write_whole(args.json, "".join(json.dumps(row) + "\n" for row in rows))
    good = sum(report.ok for report in reports)
    clean = sum(not report.violations for report in reports)
    say(f"{good} of {len(rooms)} rooms without a hard fault, {clean} without any")
    return 0 if good == len(rooms) else 1


def _add_metrics(sub: argparse.ArgumentParser) -> None:
    add_file_arguments(sub)
    sub.add_argument("--reference", help="a rewright file whose categories the KL divergence is taken from")
    sub.add_argument("--json", type=Path, help="write the numbers with their definitions")


def _metrics(args: argparse.Namespace) -> int:
    from layout.metrics import evaluate

    rooms = read_arguments(args)
    specs = [r.spec for r in rooms] if any(r.spec for r in rooms) else None
    reference = [r.scene for r in read_rooms(args.reference, Reading())] if args.reference else None
    result = evaluate([r.scene for r in rooms], specs, reference)
    say(result.table())
    if args.json:
        write_whole(args.json, json.dumps(result.to_dict(), indent=1) + "\n")
    return 0


_SUBS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str, str]] = {
    "synth": (_add_synth, "make a data set of rooms with instructions, split by room", "  rewright layout synth --count 20000 --seed 0 --output rooms --workers 2"),
    "check": (_add_check, "say what is wrong with rooms; exit code 1 when a fault is hard", "  rewright layout check room.json\n  rewright layout check rooms/test/part-00000.jsonl --quiet"),
    "metrics": (_add_metrics, "measure rooms, each number with its definition", "  rewright layout metrics rooms/test/part-00000.jsonl --json metrics.json\n  rewright layout metrics gpt4_bedroom.json --format layoutgpt"),
    "render": (add_render, "draw floor plans, or rooms in space", "  rewright layout render room.json -o plan.svg --check\n  rewright layout render room.json --view 3d -o room.png\n  rewright layout render room.json --view 3d --azimuth 35 -o room.svg\n  rewright layout render metres.json --units m -o plan.png"),
    "export": (add_export, "write rooms for other programs", "  rewright layout export room.json -o room.glb\n  rewright layout export room.json -o room.thor.json --assets mine.jsonl"),
    "view": (add_view, "write a page to look around a room in, without network", "  rewright layout view room.json -o room.html"),
    "navigate": (add_navigate, "plan a robot's way between objects or points; exit code 1 when there is none", "  rewright layout navigate room.json --from door --to desk -o way.png\n  rewright layout navigate room.json --from 60,40 --to bed_1 --radius 25"),
}  # fmt: skip
_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "synth": _synth,
    "check": _check,
    "metrics": _metrics,
    "render": render_rooms,
    "export": export_rooms,
    "view": view_rooms,
    "navigate": navigate_room,
    "generate": layout_generate.run,
    "pairs": layout_pairs_cli.run,
    "edit": layout_edit.run,
}
