"""Words: what the generator's dialect uses, and what users say instead."""

from __future__ import annotations

from diffusion_core.worlds.shapes.captions import NUMBERS, shape_words
from diffusion_core.worlds.shapes.spec import BACKGROUNDS, COLORS, RELATIONS, SHAPES, SIZES


def dialect_words() -> list[str]:
    """The closed vocabulary of canonical captions, in a fixed order; everything else is unknown to the generator."""
    words = [*NUMBERS[1:], *SIZES, *COLORS]
    for shape in (*SHAPES, None):
        words += [word.lower() for plural in (False, True) for word in shape_words(shape, plural).split()]
    words += [word for relation in RELATIONS for word in relation.split()]
    return list(dict.fromkeys([*words, *BACKGROUNDS, "background", ",", ";"]))
