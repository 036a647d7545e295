"""Bedrooms: a bed with its head at a wall, what belongs beside it, storage, then a desk or a seat where there is room."""

from __future__ import annotations

from layout.schema import SceneObject
from layout.synthesis import groups
from layout.synthesis.furnisher import Furnisher


def furnish(f: Furnisher) -> bool:
    """False when the bed found no place."""
    bed = _bed(f)
    if bed is None:
        return False
    large = f.room.area > 120_000
    steps = [
        (
            0.95,
            lambda: f.at_wall(
                "wardrobe", f.size("wardrobe", width=(100, 220) if large else (80, 160)), corner=0.6
            ),
        ),
        (0.6, lambda: groups.desk_group(f)),
        (0.45, lambda: f.at_wall("dresser", f.size("dresser"))),
        (0.3, lambda: f.at_wall("bookshelf", f.size("bookshelf"), corner=0.6)),
        (0.12, lambda: _vanity_table(f)),
        (0.15, lambda: _television(f)),
        (0.3 if large else 0.1, lambda: f.corner("armchair", f.size("armchair"))),
    ]
    f.rng.shuffle(steps)
    for chance, step in sorted(steps, key=lambda s: -(s[0] > 0.9)):
        if f.share < 0.42 and f.chance(chance):
            step()
    if f.chance(0.25):
        f.before("bench", f.size("bench", width=(80, 140)), bed, f.rng.randrange(2, 12, 2), facing=False)
    if f.chance(0.45):
        _rug(f, bed)
    groups.fillers(f, {"floor_lamp": 0.25, "plant": 0.4, "laundry_basket": 0.2})
    groups.pictures(f, bed)
    if f.chance(0.2):
        f.hang("mirror", f.size("mirror"))
    groups.curtains(f)
    groups.lights(f)
    groups.decorate(
        f, {"nightstand": ("table_lamp", "alarm_clock", "books"), "dresser": ("vase", "table_lamp")}, 0.8
    )
    return True


def _bed(f: Furnisher) -> SceneObject | None:
    """A bed with nightstands and at least one long side free."""
    double = f.room.area > 95_000 and f.chance(0.75)
    name = "double_bed" if double else "single_bed"
    for _ in range(8):
        mark = f.mark()
        width = (140, 180) if double else (90, 120)
        bed = f.at_wall(
            name, f.size(name, width=width, height=(45, 62)), corner=0.0 if double else 0.5, sides=(), tries=6
        )
        if bed is None:
            continue
        stand = f.size("nightstand")
        wanted = f.rng.choices([0, 1, 2], [0.1, 0.25, 0.65] if double else [0.25, 0.7, 0.05])[0]
        sides = f.rng.sample([-1, 1], 2)
        for side in sides[:wanted]:
            f.beside("nightstand", stand, bed, side, f.rng.choice([0, 2, 4, 6]))
        free = [f.keep(bed, side) for side in ("left", "right")]
        if any(free):
            return bed
        f.undo(mark)
    return None


def _vanity_table(f: Furnisher) -> None:
    mark = f.mark()
    table = f.at_wall("vanity_table", f.size("vanity_table"))
    if table is None:
        return
    if f.before("desk_chair", f.size("desk_chair"), table, 0) is None:
        f.undo(mark)
        return
    f.hang("mirror", f.size("mirror", width=(40, 80)), above=table)


def _television(f: Furnisher) -> None:
    stand = f.at_wall("tv_stand", f.size("tv_stand", width=(90, 140)))
    if stand is not None:
        f.on_top("television", stand, centred=True)


def _rug(f: Furnisher, bed: SceneObject) -> None:
    """Under the lower two thirds of the bed, or in the middle of the room."""
    if f.chance(0.5):
        w, d = int(bed.size[0]) // 10 * 10 + 100, 160
        x, y = bed.box.world((0, -bed.size[1] / 2 + 50))
        f.place("rug", (w, d, 1), x, y, bed.yaw)
    else:
        f.place("rug", f.size("rug", width=(120, 200)), *f.room.centroid, bed.yaw)
