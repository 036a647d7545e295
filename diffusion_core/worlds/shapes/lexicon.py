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


# What users say. The first entry of each list is the dialect's own word.
COLOR_SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet", "ruby", "cherry-red"),
    "green": ("green", "emerald", "grass-green", "leaf-green"),
    "blue": ("blue", "navy", "azure", "cobalt", "sapphire"),
    "yellow": ("yellow", "golden", "lemon", "canary-yellow"),
    "purple": ("purple", "violet", "plum", "lilac"),
    "orange": ("orange", "tangerine", "pumpkin-coloured", "apricot"),
}
COLOR_KNOWLEDGE: dict[str, str] = {
    "red": "the colour of a fire engine",
    "green": "the colour of fresh grass",
    "blue": "the colour of a clear sky",
    "yellow": "the colour of a ripe lemon",
    "purple": "the colour of an aubergine",
    "orange": "the colour of a carrot",
}
SHAPE_SYNONYMS: dict[str, tuple[tuple[str, str], ...]] = {  # (singular, plural)
    "circle": (
        ("circle", "circles"),
        ("disc", "discs"),
        ("dot", "dots"),
        ("filled circle", "filled circles"),
        ("ball", "balls"),
    ),
    "square": (("square", "squares"), ("box", "boxes"), ("block", "blocks"), ("tile", "tiles")),
    "triangle": (
        ("triangle", "triangles"),
        ("pyramid", "pyramids"),
        ("three-sided shape", "three-sided shapes"),
    ),
    "star": (("star", "stars"), ("five-pointed star", "five-pointed stars"), ("starlet", "starlets")),
    "cross": (("cross", "crosses"), ("plus sign", "plus signs"), ("plus", "pluses")),
    "ring": (("ring", "rings"), ("hoop", "hoops"), ("donut", "donuts"), ("doughnut", "doughnuts")),
}
SIZE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "small": ("small", "tiny", "little", "mini"),
    "large": ("large", "big", "huge", "giant"),
}
BACKGROUND_PHRASES: dict[str, tuple[str, ...]] = {
    "white": (
        "on a white background",
        "on white",
        "against a plain white backdrop",
        "on a snow-white canvas",
    ),
    "black": ("on a black background", "on black", "against a pitch-black backdrop", "on a jet-black canvas"),
    "gray": ("on a gray background", "on grey", "against a plain grey backdrop", "on a slate-grey canvas"),
}
RELATION_PHRASES: dict[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of", "on the left side of"),
    "right of": ("right of", "to the right of", "on the right-hand side of"),
    "above": ("above", "over", "higher up than"),
    "below": ("below", "under", "beneath", "underneath"),
}
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
GROUP_NOUNS: dict[int, tuple[str, ...]] = {
    2: ("a pair of", "a couple of", "twin"),
    3: ("a trio of",),
    4: ("a quartet of",),
}
VAGUE: dict[str, tuple[int, int]] = {
    "a few": (2, 4),
    "some": (2, 4),
    "several": (3, 4),
    "a handful of": (3, 4),
}

FOREIGN: dict[str, dict[str, str]] = {
    "de": {
        "red": "rot", "green": "grün", "blue": "blau", "yellow": "gelb", "purple": "lila", "orange": "orange",
        "circle": "Kreis", "square": "Quadrat", "triangle": "Dreieck", "star": "Stern", "cross": "Kreuz", "ring": "Ring",
        "circles": "Kreise", "squares": "Quadrate", "triangles": "Dreiecke", "stars": "Sterne", "crosses": "Kreuze", "rings": "Ringe",
        "small": "klein", "large": "groß", "1": "ein", "2": "zwei", "3": "drei", "4": "vier", "and": "und",
        "left of": "links von", "right of": "rechts von", "above": "über", "below": "unter",
        "white": "auf weißem Hintergrund", "black": "auf schwarzem Hintergrund", "gray": "auf grauem Hintergrund",
    },
    "fr": {
        "red": "rouge", "green": "vert", "blue": "bleu", "yellow": "jaune", "purple": "violet", "orange": "orange",
        "circle": "cercle", "square": "carré", "triangle": "triangle", "star": "étoile", "cross": "croix", "ring": "anneau",
        "circles": "cercles", "squares": "carrés", "triangles": "triangles", "stars": "étoiles", "crosses": "croix", "rings": "anneaux",
        "small": "petit", "large": "grand", "1": "un", "2": "deux", "3": "trois", "4": "quatre", "and": "et",
        "left of": "à gauche de", "right of": "à droite de", "above": "au-dessus de", "below": "en dessous de",
        "white": "sur fond blanc", "black": "sur fond noir", "gray": "sur fond gris",
    },
    "es": {
        "red": "rojo", "green": "verde", "blue": "azul", "yellow": "amarillo", "purple": "morado", "orange": "naranja",
        "circle": "círculo", "square": "cuadrado", "triangle": "triángulo", "star": "estrella", "cross": "cruz", "ring": "anillo",
        "circles": "círculos", "squares": "cuadrados", "triangles": "triángulos", "stars": "estrellas", "crosses": "cruces", "rings": "anillos",
        "small": "pequeño", "large": "grande", "1": "un", "2": "dos", "3": "tres", "4": "cuatro", "and": "y",
        "left of": "a la izquierda de", "right of": "a la derecha de", "above": "encima de", "below": "debajo de",
        "white": "sobre fondo blanco", "black": "sobre fondo negro", "gray": "sobre fondo gris",
    },
}  # fmt: skip
