"""`rewright layout`: make, check, measure, draw, export, show and drive through furnished rooms."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from layout.schema import ROOM_TYPES, RoomType
from recipes.layout_files import FORMATS, UNITS, Reading, ReadRoom, read_rooms
from recipes.terminal import remark, say

_DESCRIPTION = """
Furnished rooms: a polygon with doors and windows, and objects with a size, a position and a yaw. A room is a JSON object
{"room": {...}, "objects": [...]}; a file holds one, a list, or one a line. Centimetres, z up, south-west corner at (0, 0),
yaw counter-clockwise, an object at yaw 0 faces south.
"""
_EPILOG = """
examples:
  rewright layout synth --count 200 --seed 0 --output rooms        make rooms
  rewright layout check rooms/test/part-00000.jsonl                what is wrong with them
  rewright layout render room.json -o plan.png                     a floor plan
  rewright layout export room.json -o room.glb                     for Blender and browsers
  rewright layout view room.json -o room.html                      to look around in
  rewright layout navigate room.json --from door --to desk         a robot's way

`rewright layout SUB --help` explains each.
"""
_MOST = 50  # files that one command writes without being told which rooms


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


def run(args: argparse.Namespace) -> int:
    return _RUN[args.sub](args)


def _add_file(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", help="rooms as JSON or JSON lines; - reads standard input")
    sub.add_argument(
        "--format", choices=FORMATS, default="rewright", help="whose format it is (default rewright)"
    )
    sub.add_argument(
        "--units", choices=tuple(UNITS), default="cm", help="of the lengths in a rewright file (default cm)"
    )
    sub.add_argument(
        "--sizes", type=Path, help="sizes of models that a procthor or sceneeval file only names"
    )
    sub.add_argument(
        "--room-type", choices=ROOM_TYPES, help="of a sceneeval or ssr file that does not say it"
    )
    sub.add_argument(
        "--any-category", action="store_true", help="read objects that the catalogue does not know"
    )


def _add_output(sub: argparse.ArgumentParser, text: str) -> None:
    sub.add_argument("-o", "--output", type=Path, required=True, help=text)
    sub.add_argument("--room", type=int, metavar="K", help="only the room number K of the file, from 0")


def _read(args: argparse.Namespace) -> list[ReadRoom]:
    how = Reading(args.format, args.units, args.sizes, args.room_type, args.any_category)
    rooms = read_rooms(args.file, how)
    k = getattr(args, "room", None)
    if k is None:
        return rooms
    if not 0 <= k < len(rooms):
        raise ValueError(f"--room {k}: the file has the rooms 0 to {len(rooms) - 1}")
    return [rooms[k]]


def _targets(args: argparse.Namespace, rooms: list[ReadRoom], suffix: str) -> list[Path]:
    """One file a room; with several, a number before the suffix."""
    if len(rooms) > _MOST:
        raise ValueError(f"{args.file} has {len(rooms)} rooms; choose one with --room K")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    if len(rooms) == 1:
        return [args.output]
    stem = args.output.name.removesuffix(suffix)
    return [args.output.with_name(f"{stem}_{i}{suffix}") for i in range(len(rooms))]


def _wrote(paths: list[Path]) -> None:
    remark(
        "wrote " + (str(paths[0]) if len(paths) == 1 else f"{paths[0]} … {paths[-1]} ({len(paths)} files)")
    )


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
    _add_file(sub)
    sub.add_argument("--json", type=Path, help="write the reports as JSON lines too")
    sub.add_argument("--quiet", action="store_true", help="the summary alone")


def _check(args: argparse.Namespace) -> int:
    from layout.checks import check

    rooms = _read(args)
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
        args.json.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    good = sum(report.ok for report in reports)
    clean = sum(not report.violations for report in reports)
    say(f"{good} of {len(rooms)} rooms without a hard fault, {clean} without any")
    return 0 if good == len(rooms) else 1


def _add_metrics(sub: argparse.ArgumentParser) -> None:
    _add_file(sub)
    sub.add_argument("--reference", help="a rewright file whose categories the KL divergence is taken from")
    sub.add_argument("--json", type=Path, help="write the numbers with their definitions")


def _metrics(args: argparse.Namespace) -> int:
    from layout.metrics import evaluate

    rooms = _read(args)
    specs = [r.spec for r in rooms] if any(r.spec for r in rooms) else None
    reference = [r.scene for r in read_rooms(args.reference, Reading())] if args.reference else None
    result = evaluate([r.scene for r in rooms], specs, reference)
    say(result.table())
    if args.json:
        args.json.write_text(json.dumps(result.to_dict(), indent=1) + "\n", encoding="utf-8")
    return 0


def _add_render(sub: argparse.ArgumentParser) -> None:
    _add_file(sub)
    _add_output(sub, "SVG or PNG file, by its ending")
    sub.add_argument("--check", action="store_true", help="mark what the validator finds in red")
    sub.add_argument("--scale", type=float, default=2.0, help="pixels a centimetre (default 2)")


def _render(args: argparse.Namespace) -> int:
    from layout.checks import check
    from layout.render import plan

    rooms = _read(args)
    suffix = _picture_suffix(args.output)
    if not args.scale > 0:
        raise ValueError(f"--scale {args.scale:g}: give a number above 0")
    paths = _targets(args, rooms, suffix)
    for r, path in zip(rooms, paths, strict=True):
        _save_plan(plan(r.scene, check(r.scene, r.spec) if args.check else None), path, args.scale)
    _wrote(paths)
    return 0


def _picture_suffix(path: Path) -> str:
    if path.suffix.lower() not in (".svg", ".png"):
        raise ValueError(f"{path}: plans are written as SVG or PNG; give a name that ends in .svg or .png")
    return path.suffix


def _save_plan(drawing: object, path: Path, scale: float) -> None:
    from layout.render import Drawing, png, svg

    assert isinstance(drawing, Drawing)
    if path.suffix.lower() == ".svg":
        path.write_text(svg(drawing, scale), encoding="utf-8")
    else:
        path.write_bytes(png(drawing, scale))


def _add_export(sub: argparse.ArgumentParser) -> None:
    from layout.export import EXPORTS

    _add_file(sub)
    _add_output(
        sub,
        "file to write; its ending says the format (.glb, .obj, .thor.json, .scene_instance.json, .sceneeval.json, .ssr.json)",
    )
    sub.add_argument("--to", choices=tuple(EXPORTS), help="the format, whatever the ending")
    sub.add_argument(
        "--assets",
        type=Path,
        help="JSON lines of your models: id, category, size in cm (default: parametric boxes)",
    )


def _export(args: argparse.Namespace) -> int:
    from layout.assets import AssetFile, box
    from layout.export import EXPORTS, SUFFIXES

    name = args.to or next((n for n, suffix in SUFFIXES.items() if args.output.name.endswith(suffix)), None)
    if name is None:
        raise ValueError(
            f"{args.output}: no known ending ({', '.join(SUFFIXES.values())}); say the format with --to"
        )
    suffix = SUFFIXES[name] if args.output.name.endswith(SUFFIXES[name]) else args.output.suffix
    rooms = _read(args)
    assets = AssetFile.read(args.assets) if args.assets else box
    written = []
    for r, path in zip(rooms, _targets(args, rooms, suffix), strict=True):
        written += EXPORTS[name](r.scene, path, assets)
    _wrote(written)
    return 0


def _add_view(sub: argparse.ArgumentParser) -> None:
    _add_file(sub)
    _add_output(sub, "HTML file; it needs no network and no other file")


def _view(args: argparse.Namespace) -> int:
    from layout.viewer import page

    rooms = _read(args)
    paths = _targets(args, rooms, args.output.suffix)
    for r, path in zip(rooms, paths, strict=True):
        path.write_text(page(r.scene), encoding="utf-8")
    _wrote(paths)
    return 0


def _add_navigate(sub: argparse.ArgumentParser) -> None:
    _add_file(sub)
    sub.add_argument("--room", type=int, metavar="K", help="the room number K of the file, from 0")
    sub.add_argument(
        "--from",
        dest="start",
        default="door",
        help='an object\'s id or category, "door", or a point x,y in cm (default door)',
    )
    sub.add_argument("--to", dest="goal", required=True, help="the same")
    sub.add_argument("--radius", type=float, default=18.0, help="of the robot in cm (default 18)")
    sub.add_argument("-o", "--output", type=Path, help="draw the way on a plan, SVG or PNG")


def _navigate(args: argparse.Namespace) -> int:
    from layout.navigate import navigate
    from layout.render import plan

    if args.output:
        _picture_suffix(args.output)
    rooms = _read(args)
    if len(rooms) > 1:
        raise ValueError(f"{args.file} has {len(rooms)} rooms; choose one with --room K")
    scene = rooms[0].scene
    way = navigate(scene, _place(args.start), _place(args.goal), args.radius)
    if way.points is None:
        say(way.reason)
        return 1
    say(" → ".join(f"({x:g}, {y:g})" for x, y in way.points))
    say(f"{way.length:.0f} cm")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        _save_plan(plan(scene, ways=[way.points]), args.output, 2.0)
        _wrote([args.output])
    return 0


def _place(text: str) -> str | tuple[float, float]:
    x, comma, y = text.partition(",")
    if not comma:
        return text
    try:
        return float(x), float(y)
    except ValueError:
        raise ValueError(f"{text!r}: a point is two numbers in cm, such as 120,80") from None


_SUBS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str, str]] = {
    "synth": (_add_synth, "make a data set of rooms with instructions, split by room", "  rewright layout synth --count 20000 --seed 0 --output rooms --workers 2"),
    "check": (_add_check, "say what is wrong with rooms; exit code 1 when a fault is hard", "  rewright layout check room.json\n  rewright layout check rooms/test/part-00000.jsonl --quiet"),
    "metrics": (_add_metrics, "measure rooms, each number with its definition", "  rewright layout metrics rooms/test/part-00000.jsonl --json metrics.json\n  rewright layout metrics gpt4_bedroom.json --format layoutgpt"),
    "render": (_add_render, "draw floor plans", "  rewright layout render room.json -o plan.svg --check\n  rewright layout render metres.json --units m -o plan.png"),
    "export": (_add_export, "write rooms for other programs", "  rewright layout export room.json -o room.glb\n  rewright layout export room.json -o room.thor.json --assets mine.jsonl"),
    "view": (_add_view, "write a page to look around a room in, without network", "  rewright layout view room.json -o room.html"),
    "navigate": (_add_navigate, "plan a robot's way between objects or points; exit code 1 when there is none", "  rewright layout navigate room.json --from door --to desk -o way.png\n  rewright layout navigate room.json --from 60,40 --to bed_1 --radius 25"),
}  # fmt: skip
_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    "synth": _synth,
    "check": _check,
    "metrics": _metrics,
    "render": _render,
    "export": _export,
    "view": _view,
    "navigate": _navigate,
}
