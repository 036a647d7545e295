"""Which thing stands where: "a circle above a square" must not become a square above a circle.

Read only where two noun phrases have nothing but a place word between them; all else is left to the judge of the image.
"""

import itertools
from collections.abc import Iterator
from functools import lru_cache

from rewriter.guards.facts import Facts
from rewriter.guards.groups import Group, describe, groups, same_kind
from rewriter.lexicon import DETERMINERS, wordset

_INVERSE = {"left": "right", "right": "left", "above": "below", "below": "above"}
_PLACES = {
    **{
        f"{before}{side}{after}": side
        for side in ("left", "right")
        for before, after in (
            ("", " of"),
            ("to the ", " of"),
            ("on the ", " of"),
            ("at the ", " of"),
            ("on the ", " side of"),
            ("on the ", " - hand side of"),
        )
    },
    **dict.fromkeys(("above", "over", "on top of", "atop", "higher up than"), "above"),
    **dict.fromkeys(("below", "under", "beneath", "underneath"), "below"),
}
_VERBS = wordset(
    "is are sits sit sitting stands stand standing lies lie lying placed located positioned directly that which"
)
_FIRST = frozenset(place.split()[0] for place in _PLACES)
_TURNING = wordset(
    "actually swap swapped swapping reverse reversed switch switched opposite vice mirrored flipped flip"
)
_BEFORE_NOUN = DETERMINERS | wordset("of twin")


def changed_relations(original: Facts, rewrite: Facts) -> Iterator[str]:
    """Places that the original gives two things and the rewrite gives otherwise, as text; one left out is not one changed."""
    asked = _relations(original) if _TURNING.isdisjoint(original.word_set) else []
    said = _relations(rewrite) if asked else []
    if not said:
        return
    for a, _, b in asked:
        if same_kind(a, b):
            continue  # either may be meant
        wanted, found = _between(asked, a, b), _between(said, a, b)
        if found and wanted.isdisjoint(found):
            yield f"{describe(a)} {'/'.join(sorted(wanted))} {describe(b)} became {'/'.join(sorted(found))}"


@lru_cache(maxsize=1024)
def _relations(facts: Facts) -> list[tuple[Group, str, Group]]:
    """(a, place, b) for each two neighbouring noun phrases "a place b"."""
    found = groups(facts)
    pairs = itertools.pairwise(found)
    return [(a, place, b) for a, b in pairs if (place := _place(facts, a.at + 1, b.start))]


def _place(facts: Facts, start: int, end: int) -> str | None:
    if _FIRST.isdisjoint([t.word for t in facts.tokens[start : min(end, start + 3)]]):  # most pairs
        return None
    if any(facts.negated.mask[start:end]):
        return None
    between = facts.tokens[start:end]
    while between and between[0].word in _VERBS:
        between = between[1:]
    while between and " ".join([t.word for t in between]) not in _PLACES:
        if not (
            between[-1].may_count
            or between[-1].word in _BEFORE_NOUN
            or between[-1].word in facts.lexicon.vague
        ):
            return None
        between = between[:-1]
    return _PLACES.get(" ".join([t.word for t in between]))


def _between(relations: list[tuple[Group, str, Group]], a: Group, b: Group) -> set[str]:
    """Where things like `a` stand from things like `b`."""
    direct = {place for x, place, y in relations if same_kind(x, a) and same_kind(y, b)}
    return direct | {_INVERSE[place] for x, place, y in relations if same_kind(x, b) and same_kind(y, a)}
