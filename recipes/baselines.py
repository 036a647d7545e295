"""Rewriters that learn nothing: the bar that a trained one has to clear.

`rules_rewrite` is a hand-written parser of English shape requests. It was written from the vocabulary alone, before any generated test prompt
was looked at, and is not adapted to them; what it does not understand it leaves as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from diffusion_core.worlds.shapes.captions import NUMBERS, shape_words

TEMPLATE = "{prompt}; simple flat shapes, clear background"  # the fixed wrapper of the `template` arm

_COLORS = {
    "red": "red crimson scarlet ruby cherry",
    "green": "green emerald grass leaf lime",
    "blue": "blue navy azure cobalt sapphire sky",
    "yellow": "yellow golden gold lemon canary",
    "purple": "purple violet plum lilac magenta",
    "orange": "orange tangerine pumpkin apricot carrot",
}
_SHAPES = {
    "circle": "circle disc disk dot ball",
    "square": "square box block tile",
    "triangle": "triangle pyramid",
    "star": "star starlet",
    "cross": "cross plus",
    "ring": "ring hoop donut doughnut",
}
_SIZES = {"small": "small tiny little mini smaller", "large": "large big huge giant bigger larger"}
_COUNTS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "pair": 2,
    "couple": 2,
    "twin": 2,
    "trio": 3,
    "quartet": 4,
}
_COUNTS |= {"few": 3, "some": 3, "several": 3, "handful": 3, **{str(n): n for n in range(1, 5)}}
_BACKGROUNDS = {"white": "white", "black": "black", "dark": "black", "gray": "gray", "grey": "gray"}
_RELATIONS = (
    (r"(?:to |on )?(?:the )?left(?:-hand)?(?: side)? of|left of", "left of"),
    (r"(?:to |on )?(?:the )?right(?:-hand)?(?: side)? of|right of", "right of"),
    (r"above|over|on top of", "above"),
    (r"below|beneath|underneath|under", "below"),
)
_NEGATION = re.compile(
    r"(?:,|\.|;|\bbut\b)?\s*\b(?:no|not|without(?: any)?|leave out|instead of|nothing|i don't want|don't draw)\b[^,.;]*?(?=$|[,.;]|\bon\b|\bagainst\b|\bjust\b)"
)


def _lookup(table: dict[str, str]) -> dict[str, str]:
    return {word: name for name, words in table.items() for word in words.split()}


_COLOR_OF, _SHAPE_OF, _SIZE_OF = _lookup(_COLORS), _lookup(_SHAPES), _lookup(_SIZES)


@dataclass
class _Group:
    count: int = 1
    size: str = ""
    color: str = ""
    shape: str = ""

    def words(self) -> str:
        parts = (NUMBERS[self.count], self.size, self.color, shape_words(self.shape, self.count > 1))
        return " ".join(part for part in parts if part)

    def name(self) -> str:
        return " ".join(part for part in (self.color, shape_words(self.shape, self.count > 1)) if part)


def _shape_of(word: str) -> str | None:
    for candidate in (word, word.removesuffix("s"), word.removesuffix("es")):
        if candidate in _SHAPE_OF:
            return _SHAPE_OF[candidate]
    return word.upper() if re.fullmatch(r"[aeht]", word) else None


def _groups(text: str) -> list[_Group]:
    """Things in reading order; attributes wait for the noun that they stand in front of."""
    found: list[_Group] = []
    pending, letter = _Group(), False
    for word in re.findall(r"[a-z]+|\d+", text):
        if word.startswith("letter"):
            letter = True
            continue
        shape = _shape_of(word) if letter or word not in ("a", "e", "h", "t") else None
        if shape:
            pending.shape, letter = shape, False
            found.append(pending)
            pending = _Group()
        elif word in _COUNTS:
            pending.count = _COUNTS[word]
        elif word in _COLOR_OF:
            if found and not pending.size and not found[-1].color and re.search(r"\b(?:is|are|in|,)\b", text):
                found[-1].color = _COLOR_OF[word]
            else:
                pending.color = _COLOR_OF[word]
        elif word in _SIZE_OF:
            pending.size = _SIZE_OF[word]
    return found


def _relations(text: str) -> tuple[str, list[str]]:
    """Cut "the X rel the Y" clauses out of the text; returns what is left and the clauses in the dialect."""
    clauses = []
    for pattern, rel in _RELATIONS:
        clause = re.compile(
            rf"[,.]?\s*\bthe ([^,.;]+?) (?:is |are |placed )*(?:{pattern}) the ([^,.;]+?)(?=$|[,.;]| on | against )"
        )
        for match in clause.finditer(text):
            first, second = _groups(match[1]), _groups(match[2])
            if first and second:
                for group, words in ((first[0], match[1]), (second[0], match[2])):
                    group.count = (
                        2
                        if words.strip().endswith("s") and not words.strip().endswith(("cross", "plus"))
                        else 1
                    )
                clauses.append(f"{first[0].name()} {rel} {second[0].name()}")
        text = clause.sub("", text)
    return text, clauses


def rules_rewrite(prompt: str) -> str:
    """The prompt in the generator's dialect as far as the rules reach; the prompt itself where they find nothing to draw."""
    text = prompt.lower().replace('"', "")
    background = re.search(
        r"\b(white|black|dark|gr[ae]y)\b[ -]?(?:background|backdrop|canvas|paper)?|\bbg (\w+)", text
    )
    name = _BACKGROUNDS.get((background[1] or background[2]) if background else "")
    text = re.sub(
        r"\b(?:on|against|bg)\b[^,.;]*\b(?:white|black|dark|gr[ae]y)\b(?: background| backdrop| canvas)?",
        "",
        text,
    )
    text = _NEGATION.sub("", text)
    text, clauses = _relations(text)
    groups = [group for group in _groups(text) if group.shape]
    if not groups:
        return prompt
    return "; ".join(
        [", ".join(group.words() for group in groups), *clauses, *([f"{name} background"] if name else [])]
    )
