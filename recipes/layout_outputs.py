"""The commands of `rewright layout` that turn rooms into pictures, meshes, pages and ways."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.layout_files import ReadRoom, add_file_arguments, read_arguments, write_whole
from recipes.terminal import remark, say

if TYPE_CHECKING:
    from layout.assets import Retriever
    from layout.export import Writer
    from layout.schema import Scene

_MOST = 50  # files that one command writes without being told which rooms


def _add_output(sub: argparse.ArgumentParser, text: str) -> None:
    sub.add_argument("-o", "--output", type=Path, required=True, help=text)
    sub.add_argument("--room", type=int, metavar="K", help="only the room number K of the file, from 0")


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


def add_render(sub: argparse.ArgumentParser) -> None:
    add_file_arguments(sub)
    _add_output(sub, "SVG or PNG file, by its ending")
    sub.add_argument(
        "--view",
        choices=("plan", "3d"),
        default="plan",
        help="a floor plan, or the room in space from above a corner (default plan)",
    )
    sub.add_argument(
        "--azimuth",
        type=float,
        metavar="DEGREES",
        help="with --view 3d, where one looks from: 0 south, 90 east (default: the corner that shows most fronts)",
    )
    sub.add_argument("--check", action="store_true", help="mark what the validator finds in red")
    sub.add_argument("--scale", type=float, default=2.0, help="pixels a centimetre (default 2)")


def render_rooms(args: argparse.Namespace) -> int:
    from layout.checks import check
    from layout.render import isometric, plan

    suffix = _picture_suffix(args.output)
    if args.azimuth is not None and args.view == "plan":
        raise ValueError("--azimuth turns a look into the room; give --view 3d too")
    rooms = read_arguments(args)
    if not args.scale > 0:
        raise ValueError(f"--scale {args.scale:g}: give a number above 0")
    paths = _targets(args, rooms, suffix)
    for r, path in zip(rooms, paths, strict=True):
        report = check(r.scene, r.spec) if args.check else None
        drawing = (
            plan(r.scene, report) if args.view == "plan" else isometric(r.scene, report, azimuth=args.azimuth)
        )
        _save_drawing(drawing, path, args.scale)
    _wrote(paths)
    return 0


def _picture_suffix(path: Path) -> str:
    if path.suffix.lower() not in (".svg", ".png"):
        raise ValueError(f"{path}: pictures are written as SVG or PNG; give a name that ends in .svg or .png")
    return path.suffix


def _save_drawing(drawing: object, path: Path, scale: float) -> None:
    from layout.render import Drawing, png, svg

    assert isinstance(drawing, Drawing)
    if path.suffix.lower() == ".svg":
        write_whole(path, svg(drawing, scale))
    else:
        write_whole(path, png(drawing, scale))


def add_export(sub: argparse.ArgumentParser) -> None:
    from layout.export import EXPORTS, SUFFIXES

    add_file_arguments(sub)
    _add_output(
        sub,
        f"file to write; its ending says the format ({', '.join(SUFFIXES.values())})",
    )
    sub.add_argument("--to", choices=tuple(EXPORTS), help="the format, whatever the ending")
    sub.add_argument(
        "--assets",
        type=Path,
        help="JSON lines of your models: id, category, size in cm (default: parametric boxes)",
    )


def export_rooms(args: argparse.Namespace) -> int:
    from layout.assets import AssetFile, box
    from layout.export import EXPORTS, SUFFIXES

    name = args.to or next((n for n, suffix in SUFFIXES.items() if args.output.name.endswith(suffix)), None)
    if name is None:
        raise ValueError(
            f"{args.output}: no known ending ({', '.join(SUFFIXES.values())}); say the format with --to"
        )
    suffix = SUFFIXES[name] if args.output.name.endswith(SUFFIXES[name]) else args.output.suffix
    rooms = read_arguments(args)
    assets = AssetFile.read(args.assets) if args.assets else box
    written = []
    for r, path in zip(rooms, _targets(args, rooms, suffix), strict=True):
        written += _exported(EXPORTS[name], r.scene, path, assets)
    _wrote(written)
    return 0


def _exported(writer: Writer, scene: Scene, path: Path, assets: Retriever) -> list[Path]:
    """Written beside its place, then put there: an export of several files names them by their places relative to each other."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
        made = writer(scene, Path(folder) / path.name, assets)
        places = [path.parent / p.relative_to(folder) for p in made]
        for source, place in zip(made, places, strict=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, place)
    return places


def add_view(sub: argparse.ArgumentParser) -> None:
    add_file_arguments(sub)
    _add_output(sub, "HTML file; it needs no network and no other file")


def view_rooms(args: argparse.Namespace) -> int:
    from layout.viewer import page

    rooms = read_arguments(args)
    paths = _targets(args, rooms, args.output.suffix)
    for r, path in zip(rooms, paths, strict=True):
        write_whole(path, page(r.scene))
    _wrote(paths)
    return 0


def add_navigate(sub: argparse.ArgumentParser) -> None:
    add_file_arguments(sub)
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


def navigate_room(args: argparse.Namespace) -> int:
    from layout.navigate import navigate
    from layout.render import plan

    if args.output:
        _picture_suffix(args.output)
    rooms = read_arguments(args)
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
        _save_drawing(plan(scene, ways=[way.points]), args.output, 2.0)
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
