"""Bathrooms: bath or shower in a corner, toilet and vanity at walls, the mirror above, then what is left of the floor."""

from __future__ import annotations

from layout.synthesis import groups
from layout.synthesis.furnisher import Furnisher


def furnish(f: Furnisher) -> bool:
    """False when toilet, vanity and something to wash in do not all fit."""
    area = f.room.area
    for _ in range(6):
        mark = f.mark()
        wet = "bathtub" if area > 40_000 and f.chance(0.6) else "shower"
        size = (
            (f.rng.choice([150, 160, 170, 180]), 76, 58)
            if wet == "bathtub"
            else (90, f.rng.choice([80, 90]), 200)
        )
        bath = f.at_wall(wet, size, corner=1.0)
        toilet = f.at_wall("toilet", (f.rng.choice([36, 38, 40]), f.rng.choice([62, 66, 70]), 78), corner=0.1)
        width = (50, 80) if area < 50_000 else (60, 120)
        vanity = f.at_wall("vanity", f.size("vanity", width=width), corner=0.2)
        if bath is not None and toilet is not None and vanity is not None:
            break
        f.undo(mark)
    else:
        return False
    if f.chance(0.85):
        mirror_width = max(40, min(110, int(vanity.size[0]) // 10 * 10))
        f.hang("mirror", (mirror_width, 4, f.rng.randrange(60, 91, 10)), above=vanity, tries=2)
    if area > 45_000 and wet == "bathtub" and f.chance(0.3):
        f.at_wall("shower", (90, 90, 200), corner=1.0)
    if f.chance(0.4):
        f.at_wall("washing_machine", (60, f.rng.choice([54, 60]), 86), corner=0.6)
    if f.chance(0.5):
        f.before("bath_mat", (70, 50, 1), f.rng.choice([bath, vanity]), 4, facing=False)
    groups.fillers(f, {"laundry_basket": 0.45, "bin": 0.4, "plant": 0.25}, 0.45)
    if f.chance(0.5):
        f.hang("towel_rack", f.size("towel_rack"))
    groups.lights(f)
    groups.decorate(f, {"vanity": ("soap_dispenser", "towel"), "washing_machine": ("towel",)}, 0.9)
    return True
