"""What a prompt says must not be there, and whether a rewrite keeps to it.

The scope of a cue runs forward over a few content words up to the next clause, preposition or place word. That is crude, and
chosen so that doubt never counts against a rewrite: a token is affirmative, negated, or unclear, and unclear is not checked.
"""

from collections.abc import Iterator
from typing import NamedTuple

from rewriter.guards.cues import (
    DEGREE,
    HARD,
    LEADING,
    NONE,
    RELATIONAL,
    RESTATED,
    SOFT,
    STOP,
    TAKEN_BACK,
    cue_at,
    cue_starts,
)
from rewriter.lexicon import DETERMINERS, PRONOUNS, Lexicon, Token, wordset

_ADDING = wordset("also too another more plus and on against background backdrop as well")
MAX_SCOPE = 5  # content words


class Phrase(NamedTuple):
    """One negated thing: the keys of its content words in order; the last one is what is negated."""

    keys: tuple[str, ...]
    start: int
    end: int  # exclusive token index
    replaced: bool = False  # taken back: it needs no mention


class Negated(NamedTuple):
    """`mask` per token: 0 affirmative, 1 negated, 2 unclear."""

    mask: list[int]
    phrases: list[Phrase]
    has_pronoun: bool  # beside phrases "one", "it": a named thing may be meant again without its name


def find_negation(tokens: list[Token], lexicon: Lexicon) -> Negated:
    mask = [0] * len(tokens)
    phrases: list[Phrase] = []
    end = 0  # of what was read so far
    for i in cue_starts(tokens):
        length, kind = cue_at(tokens, i) if i >= end else (0, NONE)
        if kind == NONE:
            continue
        if kind in (TAKEN_BACK, RESTATED):
            mask[:i] = [2] * i
            phrases.clear()
        if kind == TAKEN_BACK:
            phrases += _replaced_color(tokens, i, i + length)
        end = i + length
        mask[i:end] = [2] * length
        if kind == HARD:
            end = _scope(tokens, end, mask, phrases, lexicon)
        elif kind == SOFT:
            end = _unclear(tokens, end, mask)
    if not phrases:
        return Negated(mask, phrases, False)
    pronoun = any(t.word in PRONOUNS for t, m in zip(tokens, mask, strict=True) if m == 0)
    return Negated(mask, phrases, pronoun)


def _replaced_color(tokens: list[Token], start: int, end: int) -> list[Phrase]:
    """The colour of the one thing named before, where the correction from `start` to `end` gives that thing another:
    "white circle? no, yellow circle". Anything less plain stays unclear."""
    colored = [k for k in range(start) if tokens[k].colors]
    nouns = [k for k in range(start) if tokens[k].nouns]
    rest = tokens[end:]
    new = frozenset().union(*(t.colors for t in rest))
    if len(colored) != 1 or len(nouns) != 1 or nouns[0] != colored[0] + 1 or not new:
        return []
    old, noun = tokens[colored[0]], tokens[nouns[0]]
    plain = all(t.word not in _ADDING and t.nouns <= noun.nouns for t in rest)
    if not plain or new & old.colors or any(cue_at(tokens, k)[1] != NONE for k in range(end, len(tokens))):
        return []
    return [Phrase((old.key,), colored[0], nouns[0], replaced=True)]


def _scope(tokens: list[Token], i: int, mask: list[int], phrases: list[Phrase], lexicon: Lexicon) -> int:
    """Read one scope from token i on; returns where it ends."""
    keys: list[str] = []
    start, taken, listed, degree = i, 0, False, False

    def close(end: int) -> None:
        content = [k for k in keys if k not in PRONOUNS and k not in lexicon.generic]
        if content and not listed:
            phrases.append(Phrase(tuple(content), start, end))
        keys.clear()

    while i < len(tokens) and taken < MAX_SCOPE:
        token = tokens[i]
        following = tokens[i + 1] if i + 1 < len(tokens) else None
        if not token.is_word and token.word != "-":
            break
        if cue_at(tokens, i)[1] != NONE:
            break
        if token.word in ("or", "nor", "oder", "noch", "ou", "ni", "o"):
            close(i)
            start, listed, degree = i + 1, False, False
        elif token.word in ("and", "und", "et", "y"):
            close(i)
            if (
                following is None
                or following.word in DETERMINERS
                or following.may_count
                or following.negates
                or following.word == "keep"  # "remove the squares and keep the ring"
            ):
                break
            start, listed = i + 1, True  # "no cats and dogs": does it reach this far?
        elif token.word in DETERMINERS or token.word in LEADING:
            if keys and token.word in LEADING:
                break  # "instead of circles draw squares"
            mask[i] = 2
            degree = degree or token.word in DEGREE
        elif token.word in STOP:
            break
        elif _is_relational(token, following, lexicon):
            i = _unclear(tokens, i, mask)
            break
        elif token.is_word:
            taken += 1
            mask[i] = 2 if listed else 1
            keys.append(token.key)
            if degree:  # "a not too big blue square" is blue, and a square
                i += 1
                break
        i += 1
    close(i)
    return i


def _is_relational(token: Token, following: Token | None, lexicon: Lexicon) -> bool:
    """A verb that relates things which are there: "not touching the square", "not looking at the camera"."""
    if token.word in RELATIONAL and token.key not in lexicon.nouns:
        return True
    is_participle = token.word.endswith("ing") and len(token.word) > 5 and token.key not in lexicon.nouns
    return is_participle and following is not None and following.is_word


def _unclear(tokens: list[Token], i: int, mask: list[int]) -> int:
    """Mark the words up to the end of the clause as neither stated nor negated; returns where they end."""
    while i < len(tokens) and tokens[i].is_word and tokens[i].word not in STOP:
        mask[i] = 2
        i += 1
    return i


def affirmed_against(
    original_tokens: list[Token], original: Negated, rewrite_tokens: list[Token], rewrite: Negated
) -> Iterator[str]:
    """What the original negates and the rewrite states, as text; each thing once."""
    if not original.phrases:
        return
    stated_before = _affirmative(original_tokens, original)
    stated = _affirmative(rewrite_tokens, rewrite)
    rewrite_keys = [t.key if m == 0 else "" for t, m in zip(rewrite_tokens, rewrite.mask, strict=True)]
    original_keys = [t.key if m == 0 else "" for t, m in zip(original_tokens, original.mask, strict=True)]
    seen: set[tuple[str, ...]] = set()
    for phrase in original.phrases:
        if phrase.keys in seen:
            continue
        seen.add(phrase.keys)
        head = phrase.keys[-1]
        if len(phrase.keys) > 1:
            if _contains(rewrite_keys, phrase.keys) and not _contains(original_keys, phrase.keys):
                yield " ".join(phrase.keys)
                continue
            if original.has_pronoun:
                continue  # "not a red circle but a blue one"
        if (
            head in stated
            and head not in stated_before
            and not _hidden_in_cjk(head, original_tokens, original)
        ):
            yield head


def dropped(original: Negated, original_tokens: list[Token], rewrite_tokens: list[Token]) -> Iterator[str]:
    """Heads of negated phrases that a rewrite does not mention at all."""
    mentioned = {t.key for t in rewrite_tokens}
    stated = _affirmative(original_tokens, original)
    for phrase in original.phrases:
        if not phrase.replaced and phrase.keys[-1] not in mentioned and phrase.keys[-1] not in stated:
            yield phrase.keys[-1]


def _affirmative(tokens: list[Token], negated: Negated) -> set[str]:
    """Keys stated without doubt. Chinese is not cut into words: what a run contains is asked by `_hidden_in_cjk`."""
    return {t.key for t, m in zip(tokens, negated.mask, strict=True) if m == 0 and t.is_word}


def _contains(keys: list[str], phrase: tuple[str, ...]) -> bool:
    n = len(phrase)
    return any(tuple(keys[i : i + n]) == phrase for i in range(len(keys) - n + 1))


def _hidden_in_cjk(head: str, tokens: list[Token], negated: Negated) -> bool:
    return not head.isascii() and any(
        head in t.key for t, m in zip(tokens, negated.mask, strict=True) if m == 0
    )
