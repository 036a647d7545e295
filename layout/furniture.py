"""Parametric furniture: every category as a few boxes in the unit cube, so that a bed looks like a bed at any size.

A part is (x0, x1, y0, y1, z0, z1) in shares of the size: x and y from −0.5 to 0.5 with the front at −y, z from 0 to 1. The parts of a
category together fill its bounding box on all six sides, so the size on the plan is the size of the mesh.
"""

from __future__ import annotations

from layout.catalogue import base

Part = tuple[float, float, float, float, float, float]

_BOX: tuple[Part, ...] = ((-0.5, 0.5, -0.5, 0.5, 0, 1),)


def _legs(top: float, inset: float = 0.0, thick: float = 0.08) -> tuple[Part, ...]:
    """Four legs up to `top`."""
    low, high = 0.5 - inset - thick, 0.5 - inset
    return tuple(
        (x0, x1, y0, y1, 0.0, top)
        for x0, x1 in ((-high, -low), (low, high))
        for y0, y1 in ((-high, -low), (low, high))
    )


_BED = (
    (-0.5, 0.5, -0.5, 0.46, 0.1, 0.5),
    (-0.5, 0.5, 0.46, 0.5, 0, 1),
    *_legs(0.1),
)
_TABLE = ((-0.5, 0.5, -0.5, 0.5, 0.93, 1), *_legs(0.93, 0.02))
_CHAIR = ((-0.5, 0.5, -0.5, 0.5, 0.42, 0.52), (-0.5, 0.5, 0.4, 0.5, 0.52, 1), *_legs(0.42, 0.03))
_SOFA = (
    (-0.5, 0.5, -0.5, 0.25, 0, 0.5),
    (-0.5, 0.5, 0.25, 0.5, 0, 1),
    (-0.5, -0.42, -0.5, 0.25, 0.5, 0.7),
    (0.42, 0.5, -0.5, 0.25, 0.5, 0.7),
)
_SHELF = (
    (-0.5, 0.5, 0.44, 0.5, 0, 1),
    (-0.5, -0.46, -0.5, 0.44, 0, 1),
    (0.46, 0.5, -0.5, 0.44, 0, 1),
    *((-0.46, 0.46, -0.46, 0.44, z, z + 0.03) for z in (0.02, 0.25, 0.5, 0.73, 0.97)),
)
_CABINET = (
    (-0.5, 0.5, -0.46, 0.5, 0, 1),
    (-0.49, -0.01, -0.5, -0.46, 0.03, 0.97),
    (0.01, 0.49, -0.5, -0.46, 0.03, 0.97),
)
_DRAWERS = (
    (-0.5, 0.5, -0.45, 0.5, 0, 1),
    *((-0.48, 0.48, -0.5, -0.45, z, z + 0.28) for z in (0.04, 0.36, 0.68)),
)
_COUNTER = ((-0.5, 0.5, -0.44, 0.5, 0, 0.95), (-0.5, 0.5, -0.5, 0.5, 0.95, 1))
_LAMP = (
    (-0.3, 0.3, -0.3, 0.3, 0, 0.03),
    (-0.04, 0.04, -0.04, 0.04, 0.03, 0.75),
    (-0.5, 0.5, -0.5, 0.5, 0.75, 1),
)
_SCREEN = (
    (-0.5, 0.5, -0.5, 0.0, 0.08, 1),
    (-0.2, 0.2, -0.5, 0.5, 0, 0.03),
    (-0.05, 0.05, 0.0, 0.2, 0.03, 0.4),
)
_TOILET = (
    (-0.35, 0.35, -0.3, 0.2, 0, 0.4),
    (-0.5, 0.5, -0.5, 0.2, 0.4, 0.52),
    (-0.5, 0.5, 0.2, 0.5, 0.3, 1),
)
_TUB = (
    (-0.5, 0.5, -0.5, 0.5, 0, 0.3),
    (-0.5, 0.5, -0.5, -0.4, 0.3, 1),
    (-0.5, 0.5, 0.4, 0.5, 0.3, 1),
    (-0.5, -0.44, -0.4, 0.4, 0.3, 1),
    (0.44, 0.5, -0.4, 0.4, 0.3, 1),
)
_SHOWER = (
    (-0.5, 0.5, -0.5, 0.5, 0, 0.06),
    (-0.5, 0.5, 0.48, 0.5, 0.06, 1),
    (-0.5, -0.48, -0.5, 0.48, 0.06, 1),
    (-0.1, 0.1, 0.3, 0.48, 0.9, 0.93),
)
_PLANT = (
    (-0.3, 0.3, -0.3, 0.3, 0, 0.3),
    (-0.5, 0.5, -0.5, 0.5, 0.4, 0.85),
    (-0.3, 0.3, -0.3, 0.3, 0.85, 1),
    (-0.06, 0.06, -0.06, 0.06, 0.3, 0.4),
)

SHAPES: dict[str, tuple[Part, ...]] = {
    **dict.fromkeys(("double_bed", "single_bed"), _BED),
    **dict.fromkeys(("desk", "dining_table", "coffee_table", "side_table", "vanity_table", "bench", "bar_stool"), _TABLE),
    **dict.fromkeys(("dining_chair", "desk_chair"), _CHAIR),
    **dict.fromkeys(("sofa", "armchair"), _SOFA),
    "bookshelf": _SHELF,
    **dict.fromkeys(("wardrobe", "sideboard", "tv_stand", "wall_cabinet", "fridge"), _CABINET),
    **dict.fromkeys(("dresser", "nightstand"), _DRAWERS),
    **dict.fromkeys(("counter", "stove", "kitchen_sink", "vanity"), _COUNTER),
    **dict.fromkeys(("floor_lamp", "table_lamp"), _LAMP),
    **dict.fromkeys(("television", "monitor"), _SCREEN),
    "toilet": _TOILET,
    "bathtub": _TUB,
    "shower": _SHOWER,
    "plant": _PLANT,
}  # fmt: skip


def parts(category: str) -> tuple[Part, ...]:
    """The boxes of a category; one box for what has no shape of its own."""
    return SHAPES.get(base(category), _BOX)
