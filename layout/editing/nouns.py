"""Noun phrases of an edit: "the two nightstands", "a large plant", "another chair", "desk_1", "it"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from layout.catalogue import named

# Words for several categories. The first that fits is meant when something new is asked for (`words.Reader`).
FAMILIES: dict[str, tuple[str, ...]] = {
    "bed": ("double_bed", "single_bed"),
    "chair": ("desk_chair", "dining_chair", "armchair"),
    "table": ("dining_table", "coffee_table", "side_table", "vanity_table"),
    "lamp": ("floor_lamp", "table_lamp"),
    "light": ("ceiling_light", "floor_lamp", "table_lamp"),
    "stool": ("bar_stool", "ottoman"),
    "sink": ("kitchen_sink", "vanity"),
    "cabinet": ("wall_cabinet", "counter", "sideboard"),
    "clock": ("alarm_clock",),
    "basket": ("laundry_basket",),
    "bowl": ("fruit_bowl",),
    "screen": ("monitor",),
    "computer": ("laptop",),
    "book": ("books",),
    "flower": ("vase",),
}
NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
MOST = 20  # of one kind in one breath
_DEFINITE = {"the", "my", "this", "that", "these", "those", "our", "his", "her", "their", "its"}
_EVERY = {"both", "all", "every", "each"}
_INDEFINITE = {"a", "an", "another", "some"}
_PLAIN = {
    "new", "extra", "more", "additional", "nice", "comfortable", "cosy", "modern", "simple", "wooden", "white", "black", "grey", "gray", "brown", "red",
    "blue", "green", "yellow", "old", "existing",
}  # fmt: skip
_LARGE, _SMALL = {"big", "large", "huge"}, {"small", "little", "tiny"}


@dataclass(frozen=True)
class Phrase:
    """A noun phrase and where it ends. One of `id`, `pronoun` and `categories` says what it is about."""

    words: str
    end: int
    categories: tuple[str, ...] = ()
    id: str | None = None
    pronoun: bool = False
    definite: bool | None = None  # None: without any article
    number: int | None = None
    every: bool = False
    plural: bool = False
    size: Literal["large", "small"] | None = None
    noun: str = ""


def tokens(text: str) -> list[str]:
    """Words, numbers, ids and the marks that separate; all in small letters."""
    plain = text.lower().replace("’", "'").replace("-", " ").replace("×", " x ")
    plain = re.sub(r"\b(\w+)'s\b", r"\1", plain)
    return re.findall(r"\d+(?:\.\d+)?|[a-zäöüß][a-z0-9_äöüß]*|[,;.&°:!?]", plain)


def noun_at(words: Sequence[str], i: int) -> tuple[tuple[str, ...], int, bool] | None:
    """(categories, number of words, whether plural) of the longest noun that begins at a word."""
    for length in (3, 2, 1):
        if i + length > len(words):
            continue
        text = " ".join(words[i : i + length])
        single = next((s for s in _singulars(text) if s in FAMILIES), None)
        if single is not None:
            return FAMILIES[single], length, single != text
        name = named(text)
        if name is not None:
            return (name,), length, _is_plural(text, name)
    return None


def _singulars(text: str) -> list[str]:
    return [text, text.removesuffix("s"), text.removesuffix("es")]


def _is_plural(text: str, name: str) -> bool:
    """Whether a known noun is said of several: it ends in s, and without that it is known as well ("books" are one thing)."""
    if text.endswith("ves"):
        return named(text.removesuffix("ves") + "f") == name
    return text.endswith("s") and any(named(s) == name for s in _singulars(text)[1:] if s != text)


def phrase_at(words: Sequence[str], i: int, ids: Sequence[str]) -> Phrase | None:
    """The noun phrase that begins at a word; None where there is none, or where a word in it is not known."""
    begun = i
    if i < len(words) and words[i] in ("it", "them") and words[i] not in ids:
        return Phrase(words[i], i + 1, pronoun=True, plural=words[i] == "them")
    definite: bool | None = None
    number: int | None = None
    every = False
    size: Literal["large", "small"] | None = None
    while i < len(words):
        word = words[i]
        if word in _DEFINITE:
            definite = True
        elif word in _EVERY:
            every, definite = True, True
        elif word in _INDEFINITE:
            definite = False
            number = number or (None if word == "some" else 1)
        elif (
            word == "of" and number is not None and i > begun
        ):  # "two of the chairs": any two, not the two there are
            following = phrase_at(words, i + 1, ids)
            if following is None or following.definite is not True:
                return None
            said = " ".join(words[begun : following.end])
            return Phrase(
                said, following.end, following.categories, definite=False, number=number, plural=True
            )
        elif word in NUMBERS or (word.isdigit() and 0 < int(word) <= MOST):
            number = NUMBERS.get(word) or int(word)
            definite = definite or False
        elif word in _LARGE | _SMALL:
            size = "large" if word in _LARGE else "small"
        elif word not in _PLAIN or noun_at(words, i):
            break
        i += 1
    if i >= len(words):
        return None
    if words[i] in ids and (set(words[i]) & set("_0123456789") or noun_at(words, i) is None):
        return Phrase(" ".join(words[begun : i + 1]), i + 1, id=words[i], definite=definite is not False)
    noun = noun_at(words, i)
    if noun is None:
        return None
    categories, length, plural = noun
    end = i + length
    if end < len(words) and words[end].isdigit() and len(categories) == 1:  # "nightstand 2"
        name = f"{categories[0]}_{words[end]}"
        if name in ids:
            return Phrase(" ".join(words[begun : end + 1]), end + 1, id=name, definite=True)
    said = " ".join(words[begun:end])
    return Phrase(
        said, end, categories, None, False, definite, number, every, plural, size, " ".join(words[i:end])
    )
