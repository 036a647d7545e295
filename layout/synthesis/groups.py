"""Pieces that come in groups or fill a room whatever its type: dining, desks, lights, plants, pictures, small things."""

from __future__ import annotations

from layout.catalogue import CATALOGUE
from layout.schema import SceneObject
from layout.synthesis.furnisher import Furnisher


def dining_group(f: Furnisher, width: tuple[int, int] = (80, 180), tries: int = 5) -> SceneObject | None:
    """A dining table with two to six chairs around it; nothing when fewer than two chairs find a place."""
    for _ in range(tries):
        mark = f.mark()
        size = f.size("dining_table", width=width)
        table = f.somewhere("dining_table", size, tries=6)
        if table is None:
            continue
        chair = f.size("dining_chair")
        gap = -f.rng.choice([0, 6, 10, 14])
        columns = [0.0] if size[0] < 120 else [-0.26, 0.26]
        seats = [(column, side) for column in columns for side in (-1, 1)]
        if size[0] >= 150 or (size[0] < 120 and f.chance(0.5)):
            seats += [(-1, 0.0), (1, 0.0)]
        placed = [f.around("dining_chair", chair, table, seat, gap) for seat in seats]
        if sum(c is not None for c in placed) >= 2:
            if f.chance(0.5):
                f.on_top(f.rng.choice(["fruit_bowl", "vase"]), table, centred=True)
            return table
        f.undo(mark)
    return None


def desk_group(f: Furnisher) -> SceneObject | None:
    """A desk at a wall, before a window by preference, with its chair tucked in and something to work with."""
    mark = f.mark()
    size = f.size("desk", width=(100, 160))
    desk = None
    if f.room.windows and f.chance(0.6):
        window = f.rng.choice(f.room.windows)
        wall = f.room.walls[window.wall]
        desk = f.at_wall("desk", size, walls=[wall], centre=(window.start + window.end) / 2, tries=4)
    desk = desk or f.at_wall("desk", size, tries=8)
    if desk is None:
        return None
    if f.before("desk_chair", f.size("desk_chair"), desk, -f.rng.choice([0, 8, 14])) is None:
        f.undo(mark)
        return None
    for name, chance in (("laptop", 0.4), ("monitor", 0.35), ("table_lamp", 0.4), ("books", 0.3)):
        if f.chance(chance):
            f.on_top(name, desk)
    return desk


def rug_under(f: Furnisher, o: SceneObject, margin: tuple[int, int] = (20, 60)) -> None:
    """A rug centred on a piece, larger than it."""
    entry = CATALOGUE["rug"]
    grow = 2 * f.rng.randrange(margin[0], margin[1] + 1, 10)
    w, d = (int(v) // 10 * 10 for v in (o.size[0] + grow, o.size[1] + grow))
    if entry.fits((w, d, 1)) == 0:
        f.place("rug", (w, d, 1), o.pos[0], o.pos[1], o.yaw)


def lights(f: Furnisher, chance: float = 0.6) -> None:
    """A light under the middle of the ceiling, where the room has its middle inside."""
    if f.chance(chance):
        f.ceiling("ceiling_light", *f.room.centroid)


def curtains(f: Furnisher, chance: float = 0.3) -> None:
    """Curtains before a window, down to just under its sill."""
    for window in f.room.windows:
        wall = f.room.walls[window.wall]
        size = (int(window.width // 10) * 10, 8, int(window.head - window.sill) + 20)
        if f.chance(chance) and CATALOGUE["curtain"].fits(size) == 0:
            x, y = wall.at((window.start + window.end) / 2, size[1] / 2)
            f.place("curtain", size, x, y, wall.yaw, z=window.sill - 10, on="wall")


def pictures(f: Furnisher, over: SceneObject | None, chance: float = 0.5) -> None:
    """A painting above a piece at the wall, and sometimes another elsewhere."""
    if f.chance(chance):
        f.hang("painting", f.size("painting", width=(60, 120)), above=over)
    if f.chance(chance / 3):
        f.hang("painting", f.size("painting"))


def fillers(f: Furnisher, names: dict[str, float], most: float = 0.42) -> None:
    """Corner pieces, each with its probability, as long as less than the share `most` of the floor is taken."""
    for name, chance in names.items():
        if f.share < most and f.chance(chance):
            f.corner(name, f.size(name))


def decorate(f: Furnisher, carriers: dict[str, tuple[str, ...]], chance: float = 0.5) -> None:
    """Small things on tops: for each carrier category one of the named things with a probability."""
    for o in list(f.objects):
        for name in carriers.get(o.category, ()):
            if f.chance(chance / len(carriers[o.category])):
                f.on_top(name, o)
