"""Kitchens: a run of modules along one wall or around a corner, cabinets above, then a table or an island where there is floor."""

from __future__ import annotations

from collections.abc import Sequence

from layout.geometry import Wall
from layout.schema import SceneObject
from layout.synthesis import groups
from layout.synthesis.furnisher import Furnisher

DEPTH = 62  # cm, of every module of a run
WORKTOP = 90


def furnish(f: Furnisher) -> bool:
    """False when stove, sink and fridge do not all fit."""
    if not (_around_corner(f) if f.chance(0.5) else _one_wall(f)):
        return False
    _cabinets(f)
    area = f.room.area
    if area > 140_000 and f.chance(0.4):
        _island(f)
    elif area > 85_000 and f.chance(0.85):
        groups.dining_group(f, width=(80, 120) if area < 120_000 else (80, 160))
    groups.fillers(f, {"bin": 0.5, "plant": 0.3})
    groups.lights(f)
    groups.decorate(
        f,
        {"counter": ("coffee_machine", "kettle", "toaster", "microwave"), "island": ("fruit_bowl", "vase")},
        0.8,
    )
    return True


def _modules(f: Furnisher) -> list[tuple[str, int]]:
    """Names and widths in order along the wall: the fridge at one end, worktop between sink and stove."""
    gap = f.rng.choice([40, 50, 60, 80])
    modules = [("fridge", f.rng.choice([60, 70, 80])), ("counter", f.rng.choice([30, 40, 60]))]
    modules += [("kitchen_sink", f.rng.choice([60, 80])), ("counter", gap), ("stove", 60)]
    modules += [("counter", f.rng.choice([40, 60, 80]))]
    if f.chance(0.4):
        modules.insert(3, ("dishwasher", 60))
    return modules


def _module(
    f: Furnisher, wall: Wall, mark: float, name: str, width: int, zone: bool = True
) -> SceneObject | None:
    height = f.rng.randint(170, 200) if name == "fridge" else WORKTOP
    x, y = wall.at(mark, DEPTH / 2)
    return f.place(name, (width, DEPTH, height), x, y, wall.yaw, sides=("front",) if zone else ())


def _run(f: Furnisher, wall: Wall, modules: Sequence[tuple[str, int]], start: float, forward: bool) -> int:
    """Place modules one after the other from `start` cm off one end of the wall; returns how many found their place.

    A module that does not fit (a door, a window before a fridge) is tried 10 cm further on.
    """
    at, done = start, 0
    for name, width in modules:
        while at + width <= wall.length + 1e-6:
            mark = at + width / 2 if forward else wall.length - at - width / 2
            if _module(f, wall, mark, name, width) is not None:
                at += width
                done += 1
                break
            at += 10
        else:
            break
    return done


def _complete(f: Furnisher) -> bool:
    return all(f.counts[name] for name in ("fridge", "kitchen_sink", "stove"))


def _one_wall(f: Furnisher) -> bool:
    for _ in range(6):
        mark = f.mark()
        wall = f.rng.choices(f.room.walls, [w.length**2 for w in f.room.walls])[0]
        if 0 in wall.inward:
            _run(f, wall, _modules(f), f.rng.choice([0, 0, 0, 10, 20]), f.chance(0.5))
            if _complete(f):
                return True
        f.undo(mark)
    return _around_corner(f, 3)


def _around_corner(f: Furnisher, tries: int = 6) -> bool:
    """A counter in a corner, the sink's part along one wall and the rest along the other."""
    for _ in range(tries):
        mark = f.mark()
        i = f.rng.randrange(len(f.room.walls))
        before, after = f.room.walls[i - 1], f.room.walls[i]
        square = before.inward[0] * after.inward[0] + before.inward[1] * after.inward[1] == 0
        convex = before.along[0] * after.along[1] - before.along[1] * after.along[0] > 0
        if square and convex and 0 in after.inward:
            modules = _modules(f)
            fridge, rest = modules[0], modules[2:]
            cut = f.rng.choice([1, 2])
            if _module(f, after, DEPTH / 2, "counter", DEPTH, zone=False) is not None:
                first, second = (after, before), (before, after)
                a, b = first if f.chance(0.5) else second
                _run(f, a, rest[:cut], DEPTH, a is after)
                _run(f, b, [*rest[cut:], fridge], DEPTH, b is after)
                if _complete(f):
                    return True
        f.undo(mark)
    return False


def _cabinets(f: Furnisher) -> None:
    """A hood over the stove and cabinets over some of the worktop, where there is no window."""
    for o in list(f.objects):
        if o.category == "stove" and f.chance(0.8):
            f.hang("hood", (60, 40, 40), above=o, tries=2)
        elif o.category in ("counter", "kitchen_sink") and 40 <= o.size[0] <= 100 and f.chance(0.5):
            f.hang("wall_cabinet", (int(o.size[0]), 34, 70), above=o, tries=2)


def _island(f: Furnisher) -> None:
    """An island in the open floor with stools along one long side."""
    size = f.size("island", width=(100, 180), height=(90, 90))
    for _ in range(6):
        mark = f.mark()
        island = f.somewhere("island", size, tries=6)
        if island is None:
            continue
        side = f.rng.choice([-1, 1])
        stools = [
            f.around("bar_stool", (40, 40, 66), island, (column, side), -10) for column in (-0.25, 0.25)
        ]
        if all(s is not None for s in stools) and f.keep(island, "front" if side > 0 else "back", 0.05):
            return
        f.undo(mark)
