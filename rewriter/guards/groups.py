"""Noun phrases as they stand: "two small red circles". Read by word order alone: number, size, colour and noun next to each other.

Whatever is put another way ("a circle and a square, both red") is no group and is left to the judge.
"""

from functools import lru_cache
from typing import NamedTuple

from rewriter.guards.facts import Facts
from rewriter.guards.numbers import BOUNDS
from rewriter.lexicon import NOTHING, Lexicon, Token, stem, wordset

_FRAMES = wordset(
    "canvas image images picture pictures format frame poster background backdrop photo aspect crop icon card layout"
)
_DEFINITE = wordset("the this that these those its their his her my your der die das le la les el los las")
_NOT_SO_VAGUE = BOUNDS | wordset("quite very no not only too so as")
_ONE = {"a": 1.0, "an": 1.0, "one": 1.0, "single": 1.0, "lone": 1.0}


class Group(NamedTuple):
    """One noun phrase as it stands: "two small red circles"."""

    start: int  # token indices: its first adjective, and its noun
    at: int
    count: float | None
    size: str | None
    colors: frozenset[str]
    noun: str
    definite: bool  # "the", "these"
    number_at: int | None  # token index of its number, if a number is written
    vague: tuple[int, int] | None = None  # the counts that "a few" may mean


@lru_cache(maxsize=1024)
def groups(facts: Facts) -> list[Group]:
    """Affirmative noun phrases whose noun is in the lexicon."""
    lexicon, tokens, mask = facts.lexicon, facts.tokens, facts.negated.mask
    counts = {n.index: n for n in facts.numbers}
    found: list[Group] = []
    for i in facts.nouns_at:
        token = tokens[i]
        if mask[i] or is_part_of_other(tokens, i):
            continue
        j, size, colors, count, number_at, vague = i - 1, None, NOTHING, None, None, None
        if j >= 0 and tokens[j].colors and not mask[j]:
            colors = tokens[j].colors
            if j > 1 and tokens[j - 1].word == "-":  # "canary-yellow" is one word; "blue-green" may be either
                colors |= tokens[j - 2].colors
                j -= 2
            j -= 1
            if j >= 0 and tokens[j].word in ("or", "and", "-", "/"):
                continue  # "red and blue circles": how many of each is not said
        if j >= 0 and tokens[j].word in lexicon.sizes:
            size = lexicon.sizes[tokens[j].word]
            j -= 1
        start = j + 1
        definite = j >= 0 and tokens[j].word in _DEFINITE
        if j > 0 and tokens[j].word == "of":  # a pair of
            j -= 1
        if j >= 0:
            number = counts.get(j)
            if number is not None:
                count, number_at = (number.value if number.exact else None), j
            elif tokens[j].word in _ONE:
                count = _ONE[tokens[j].word]
            elif stem(token.word) != token.word:  # "some star" is one
                vague = _vague(tokens, j, lexicon)
        found.append(Group(start, i, count, size, colors, token.key, definite, number_at, vague))
    return found


def _vague(tokens: list[Token], j: int, lexicon: Lexicon) -> tuple[int, int] | None:
    """The bounds of "a few", unless the words before change them ("quite a few", "at least several")."""
    before = {t.word for t in tokens[max(0, j - 2) : j]}
    return None if before & _NOT_SO_VAGUE else lexicon.vague.get(tokens[j].word)


def is_part_of_other(tokens: list[Token], i: int) -> bool:
    """ "square canvas", "white-hot": neither a square nor something white."""
    if i + 1 == len(tokens):
        return False
    following = tokens[i + 1]
    if tokens[i].nouns:
        return following.word in _FRAMES
    if tokens[i].word.endswith("ish") and following.colors:
        return True  # "bluish green"
    compound = following.word == "-" and i + 2 < len(tokens) and tokens[i + 2].is_word
    return (
        compound and not tokens[i + 2].colors and not tokens[i + 2].word.startswith(("colo", "tint", "ish"))
    )


def same_kind(a: Group, b: Group) -> bool:
    """Whether two phrases may mean the same things: what one leaves open is no difference."""
    return a.noun == b.noun and bool(a.colors & b.colors or not a.colors or not b.colors)


def describe(group: Group) -> str:
    return " ".join(["/".join(sorted(group.colors))] * bool(group.colors) + [group.noun])
