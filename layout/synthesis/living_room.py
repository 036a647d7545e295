"""Living rooms: a sofa that looks at the television across a table, seats around it, a dining place, shelves along the walls."""

from __future__ import annotations

from layout.rules import rule
from layout.schema import SceneObject
from layout.synthesis import groups
from layout.synthesis.furnisher import Furnisher


def furnish(f: Furnisher) -> bool:
    """False when sofa, television and table do not fit together."""
    sofa, table = _seating(f)
    if sofa is None or table is None:
        return False
    area = f.room.area
    for side in (-1, 1):
        if f.chance(0.55 if area > 180_000 else 0.35):
            f.around(
                "armchair", f.size("armchair", width=(64, 90)), table, (side, 0.0), f.rng.randrange(36, 60, 4)
            )
    for side in f.rng.sample([-1, 1], 2):
        if f.chance(0.6):
            end = f.beside("side_table", f.size("side_table"), sofa, side, f.rng.choice([2, 6, 10]))
            if end is not None and f.chance(0.6):
                f.on_top("table_lamp", end)
    if f.chance(0.6):
        groups.rug_under(f, table, (30, 70))
    if area > 150_000 and f.chance(0.85):
        groups.dining_group(f, width=(80, 120) if area < 200_000 else (120, 200), tries=8)
    steps = [
        (0.65, lambda: f.at_wall("bookshelf", f.size("bookshelf"), corner=0.5)),
        (0.3, lambda: f.at_wall("bookshelf", f.size("bookshelf"), corner=0.5)),
        (0.5, lambda: f.at_wall("sideboard", f.size("sideboard"))),
        (0.3 if area > 180_000 else 0.15, lambda: groups.desk_group(f)),
    ]
    f.rng.shuffle(steps)
    for chance, step in steps:
        if f.share < 0.4 and f.chance(chance):
            step()
    groups.fillers(f, {"floor_lamp": 0.6, "plant": 0.7})
    groups.fillers(f, {"plant": 0.35})
    groups.pictures(f, sofa, 0.65)
    groups.curtains(f)
    groups.lights(f)
    groups.decorate(
        f,
        {
            "coffee_table": ("books", "vase", "mug"),
            "sideboard": ("vase", "table_lamp"),
            "side_table": ("books",),
        },
        0.5,
    )
    return True


def _seating(f: Furnisher) -> tuple[SceneObject | None, SceneObject | None]:
    """(sofa, coffee table) facing a television at the right distance."""
    distance = rule("near", "sofa")
    for _ in range(10):
        mark = f.mark()
        narrow = f.room.area < 160_000
        sofa = f.at_wall(
            "sofa", f.size("sofa", width=(150, 200) if narrow else (180, 260)), corner=0.1, tries=4
        )
        across = f.wall_opposite(sofa) if sofa is not None else None
        if sofa is not None and across is not None:
            wall, centre, away = across
            size = f.size("tv_stand", width=(100, 180))
            if distance.low + 10 <= away - size[1] <= distance.high - 10:
                stand = f.at_wall("tv_stand", size, walls=[wall], centre=centre, tries=4)
                table_size = f.size("coffee_table", width=(70, 120))
                table = f.before("coffee_table", table_size, sofa, f.rng.randrange(36, 48, 2), facing=False)
                if stand is not None and table is not None and away - size[1] > table_size[1] + 36 + 50:
                    # Nothing fixed comes between table and screen.
                    f.zones.append(stand.box.zone("front", stand.box.gap(table.box)))
                    f.on_top("television", stand, centred=True)
                    return sofa, table
        f.undo(mark)
    return None, None
