"""How users say one thing, one relation, one background: the words that the templates put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from diffusion_core.worlds.shapes.captions import NUMBERS, shape_words
from diffusion_core.worlds.shapes.lexicon import (
    BACKGROUND_PHRASES,
    COLOR_KNOWLEDGE,
    COLOR_SYNONYMS,
    FOREIGN,
    GROUP_NOUNS,
    INVERSE,
    RELATION_PHRASES,
    SHAPE_SYNONYMS,
    SIZE_SYNONYMS,
)
from diffusion_core.worlds.shapes.spec import LETTERS, RelationSpec, SceneSpec


@dataclass(frozen=True, slots=True)
class Voice:
    """How somebody talks. Probabilities are per word."""

    synonyms: float = 0.0
    knowledge: float = 0.0
    typos: float = 0.0
    numbers: str = "word"  # word | digit | implied
    order: str = "before"  # attributes before or after the noun
    invert: bool = False  # relations told from the other side
    upper: bool = False
    shuffle: bool = False


def _pick(options: Sequence[str], rng: np.random.Generator, chance: float) -> str:
    """The dialect's own word, or with `chance` one of the others."""
    return (
        str(options[int(rng.integers(1, len(options)))])
        if len(options) > 1 and rng.random() < chance
        else options[0]
    )


def _garble(word: str, rng: np.random.Generator, voice: Voice) -> str:
    """Swap, drop or double one letter inside a longer word."""
    if voice.upper:
        word = word.upper()
    if len(word) < 4 or rng.random() >= voice.typos * 3:
        return word
    at = int(rng.integers(1, len(word) - 1))
    kind = int(rng.integers(3))
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def color(name: str, rng: np.random.Generator, voice: Voice) -> str:
    return _garble(_pick(COLOR_SYNONYMS[name], rng, voice.synonyms), rng, voice)


def size(name: str, rng: np.random.Generator, voice: Voice) -> str:
    return _garble(_pick(SIZE_SYNONYMS[name], rng, voice.synonyms), rng, voice)


def noun(shape: str | None, many: bool, rng: np.random.Generator, voice: Voice) -> str:
    if shape is None or shape in LETTERS:
        word = shape_words(shape, many)
        return word.replace(shape, f'"{shape}"') if shape else word
    options = tuple(pair[int(many)] for pair in SHAPE_SYNONYMS[shape])
    return _garble(_pick(options, rng, voice.synonyms), rng, voice)


def singular(shape: str) -> str:
    return shape_words(shape, False)


def plural(shape: str) -> str:
    return shape_words(shape, True)


def _article(phrase: str) -> str:
    return "an" if phrase[:1].lower() in "aeiou" else "a"


def _number(count: int, rng: np.random.Generator, voice: Voice) -> str:
    if voice.numbers == "implied" and count in GROUP_NOUNS:
        return str(rng.choice(GROUP_NOUNS[count]))
    return str(count) if voice.numbers == "digit" else NUMBERS[count]


def group(
    spec: SceneSpec, index: int, rng: np.random.Generator, voice: Voice, number: str | None = None
) -> str:
    """One group with its number or article: "two tiny crimson discs", "a star that is small and red"."""
    entry = spec.objects[index]
    count = entry.count[0]
    many = count > 1 or number is not None
    thing = noun(entry.shape, many, rng, voice)
    words = [size(entry.size, rng, voice) if entry.size else "", "", ""]
    tail = ""
    if entry.color:
        if rng.random() < voice.knowledge:
            tail = f" in {COLOR_KNOWLEDGE[entry.color]}"
        else:
            words[1] = color(entry.color, rng, voice)
    if voice.order == "after" and (words[0] or words[1]):
        attributes = " and ".join(word for word in words if word)
        tail = f" that {'are' if many else 'is'} {attributes}" + tail
        words = ["", "", ""]
    words[2] = thing
    phrase = " ".join(word for word in words if word)
    if number is None:
        number = _number(count, rng, voice) if many or voice.numbers == "digit" else _article(phrase)
    return f"{number} {phrase}{tail}"


def reference(spec: SceneSpec, index: int, rng: np.random.Generator, voice: Voice) -> str:
    """ "the crimson discs": enough to know which group is meant. Size only where colour and shape are shared."""
    entry = spec.objects[index]
    shared = any(
        o.color == entry.color and o.shape == entry.shape for i, o in enumerate(spec.objects) if i != index
    )
    plain = Voice(synonyms=voice.synonyms, typos=voice.typos, upper=voice.upper)
    words = [size(entry.size, rng, plain) if entry.size and (shared or not entry.color) else ""]
    words += [
        color(entry.color, rng, plain) if entry.color else "",
        noun(entry.shape, entry.count[0] > 1, rng, plain),
    ]
    return "the " + " ".join(word for word in words if word)


def relation(spec: SceneSpec, entry: RelationSpec, rng: np.random.Generator, voice: Voice) -> str:
    """One relation as a clause; an inverting voice says "b right of a" for "a left of b"."""
    a, rel, b = entry.a, entry.rel, entry.b
    if voice.invert:
        a, rel, b = b, INVERSE[rel], a
    words = _pick(RELATION_PHRASES[rel], rng, max(voice.synonyms, 0.5))
    verb = "are" if spec.objects[a].count[0] > 1 else "is"
    verb = str(rng.choice([verb + " ", "", "placed "]))
    return f"{reference(spec, a, rng, voice)} {verb}{words} {reference(spec, b, rng, voice)}"


def background(spec: SceneSpec, rng: np.random.Generator, voice: Voice) -> str:
    return _pick(BACKGROUND_PHRASES[spec.background or "white"], rng, max(voice.synonyms, 0.3))


def join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def foreign(
    language: str, polite: bool = False
) -> Callable[..., tuple[str, SceneSpec, tuple[str, ...]] | None]:
    """The scene in another language: simple word order, as tourists and dictionaries have it."""
    words = FOREIGN[language]
    opening = {"de": "zeichne bitte ", "fr": "dessine ", "es": "dibuja "}[language] if polite else ""

    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        if any(entry.shape is None or entry.shape in LETTERS for entry in spec.objects):
            return None

        def thing(index: int, counted: bool) -> str:
            entry = spec.objects[index]
            many = entry.count[0] > 1
            name = words[plural(entry.shape or "") if many else (entry.shape or "")]
            attributes = [words[a] for a in (entry.size, entry.color) if a]
            ordered = [*attributes, name] if language == "de" else [name, *attributes]
            return " ".join([words[str(entry.count[0])] if counted else "", *ordered]).strip()

        text = f" {words['and']} ".join(thing(g, True) for g in range(len(spec.objects)))
        text += "".join(f", {thing(r.a, False)} {words[r.rel]} {thing(r.b, False)}" for r in spec.relations)
        text += f" {words[spec.background]}" if spec.background else ""
        return opening + text, spec, ("foreign", language)

    return template
