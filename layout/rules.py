"""Where things belong: one table that the synthesiser places by, the validator checks by and the instruction writer speaks from.

Gaps are horizontal centimetres between footprints, angles degrees. A rule with targets says nothing in a room that has none of them: a lone
nightstand is odd, not wrong. Sources: Merrell et al. 2011 (bedside, conversation and walking distances), Infinigen's `home.py` (BSD-3),
NKBA's kitchen guidelines; the figures are restated and rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["back_to_wall", "faces", "beside", "in_front_of", "near"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One relation that a category should have.

    - `back_to_wall`: the back face is at most `high` from a wall that it is parallel to.
    - `faces`: the line of sight from the centre meets the nearest target, or misses it by at most `high` degrees.
    - `beside`: at the left or right of the nearest target and level with its back half, gap `low` to `high`.
    - `in_front_of`: before the front face of the nearest target, centre within its width, gap `low` to `high`.
    - `near`: gap to the nearest target `low` to `high`.
    """

    kind: Kind
    subject: str
    targets: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    phrase: str = ""  # how an instruction says it; {target} is the target's noun


WALL_GAP = 5.0  # cm; what still counts as standing at the wall
WALL_ANGLE = 5.0  # degrees; what still counts as parallel to it

_AGAINST_WALL = (
    "double_bed", "single_bed", "nightstand", "wardrobe", "dresser", "bookshelf", "sideboard", "vanity_table", "desk", "tv_stand",
    "fridge", "counter", "stove", "kitchen_sink", "dishwasher", "toilet", "vanity", "bathtub", "shower", "washing_machine",
)  # fmt: skip

RULES: tuple[Rule, ...] = (
    *(Rule("back_to_wall", name, high=WALL_GAP, phrase="against the wall") for name in _AGAINST_WALL),
    Rule("beside", "nightstand", ("double_bed", "single_bed"), 0, 15, "beside the {target}"),
    Rule("faces", "desk_chair", ("desk", "vanity_table"), high=15, phrase="facing the {target}"),
    Rule("near", "desk_chair", ("desk", "vanity_table"), 0, 35, "at the {target}"),
    Rule("in_front_of", "bench", ("double_bed", "single_bed"), 0, 25, "at the foot of the {target}"),
    Rule("faces", "sofa", ("tv_stand",), high=15, phrase="facing the {target}"),
    Rule("near", "sofa", ("tv_stand",), 140, 450, "across from the {target}"),
    Rule("in_front_of", "coffee_table", ("sofa",), 30, 60, "in front of the {target}"),
    Rule(
        "near", "side_table", ("sofa", "armchair", "single_bed", "double_bed"), 0, 40, "next to the {target}"
    ),
    Rule("faces", "armchair", ("coffee_table",), high=40, phrase="facing the {target}"),
    Rule("faces", "dining_chair", ("dining_table",), high=15, phrase="facing the {target}"),
    Rule("near", "dining_chair", ("dining_table",), 0, 35, "around the {target}"),
    Rule("near", "bar_stool", ("island",), 0, 35, "at the {target}"),
    Rule("near", "ottoman", ("armchair", "sofa", "double_bed"), 0, 90, "near the {target}"),
)

# A seat may reach under a table, up to this share of the seat's footprint.
TUCK_SHARE = 0.4
TUCKED: dict[str, tuple[str, ...]] = {
    "desk_chair": ("desk", "vanity_table"),
    "dining_chair": ("dining_table",),
    "bar_stool": ("island",),
    "ottoman": ("desk", "vanity_table", "coffee_table"),
}

WINDOW_BAND = 40.0  # cm of floor before a window where what is higher than the sill takes its light
MAX_FLOOR_SHARE = 0.55  # of the floor under furniture, rugs aside; above it a room is overfull

BY_SUBJECT: dict[str, tuple[Rule, ...]] = {
    name: tuple(rule for rule in RULES if rule.subject == name) for name in {rule.subject for rule in RULES}
}


def rule(kind: Kind, subject: str) -> Rule:
    """The rule of a kind for a category. Raises KeyError when the table has none."""
    for candidate in BY_SUBJECT.get(subject, ()):
        if candidate.kind == kind:
            return candidate
    raise KeyError(f"no rule {kind!r} for {subject!r}")
