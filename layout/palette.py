"""Colours of furniture by what it is for: one table for floor plans, meshes and the viewer."""

from __future__ import annotations

from layout.catalogue import base

_GROUPS: dict[str, tuple[str, ...]] = {
    "#c5d5e8": ("double_bed", "single_bed"),
    "#d9c7a8": ("wardrobe", "dresser", "bookshelf", "sideboard", "nightstand", "tv_stand", "wall_cabinet"),
    "#e6d3b3": ("desk", "vanity_table", "coffee_table", "side_table", "dining_table", "island", "counter"),
    "#bcd3c0": ("sofa", "armchair", "ottoman", "bench"),
    "#cddccf": ("desk_chair", "dining_chair", "bar_stool"),
    "#d3d7dc": ("fridge", "stove", "kitchen_sink", "dishwasher", "hood", "washing_machine", "microwave"),
    "#cfe3ea": ("toilet", "vanity", "bathtub", "shower"),
    "#f1e9e2": ("rug", "bath_mat"),
    "#a9c79a": ("plant",),
    "#f3e2a2": ("floor_lamp", "table_lamp", "ceiling_light"),
    "#9aa3ad": ("television", "monitor", "laptop"),
    "#dde6ee": ("mirror", "painting", "curtain"),
}  # fmt: skip
OTHER = "#dcd8d2"
COLOURS: dict[str, str] = {name: colour for colour, names in _GROUPS.items() for name in names}


def colour(category: str) -> str:
    """#rrggbb of a category; one neutral tone for what is not in the table."""
    return COLOURS.get(base(category), OTHER)


def rgb(code: str) -> tuple[int, int, int]:
    """#rrggbb as three numbers from 0 to 255."""
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
