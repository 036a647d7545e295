"""Colours and nouns, and which belongs to which: "red circle" must not become a circle of another colour."""

from collections.abc import Callable, Iterator
from operator import attrgetter

from rewriter.guards.facts import Facts
from rewriter.guards.groups import describe, groups, is_part_of_other
from rewriter.lexicon import Token, wordset

_NOT_A_COLOR = wordset("mix mixture blend between combine combining mixing mixed shade shades tint hue")


def lost_colors(original: Facts, rewrite: Facts) -> list[str]:
    """Colours the original states and the rewrite does not name (by any of their words)."""
    if not _NOT_A_COLOR.isdisjoint(original.words):
        return []
    return _lost(original, rewrite, attrgetter("colors"))


def lost_nouns(original: Facts, rewrite: Facts) -> list[str]:
    """Nouns of the lexicon that the original states and the rewrite does not (by any of their words)."""
    return _lost(original, rewrite, attrgetter("nouns"))


def _lost(original: Facts, rewrite: Facts, meaning: Callable[[Token], frozenset[str]]) -> list[str]:
    said = set().union(*map(meaning, rewrite.tokens))
    lost: list[str] = []
    tokens = original.tokens
    for i, (token, negated) in enumerate(zip(tokens, original.negated.mask, strict=True)):
        wanted = meaning(token)
        if wanted and i + 1 < len(tokens) and is_part_of_other(tokens, i):
            continue
        if not wanted or negated or not wanted.isdisjoint(said) or token.word in lost:
            continue
        if token.word not in rewrite.words and not _is_choice(tokens, i, meaning, said):
            lost.append(token.word)
    return lost


def _is_choice(
    tokens: list[Token], i: int, meaning: Callable[[Token], frozenset[str]], said: set[str]
) -> bool:
    """ "red or blue", "a blue-green circle": one of them is enough."""
    if tokens[i].colors and any(
        0 <= i + side < len(tokens) and tokens[i + side // 2].word == "-" and meaning(tokens[i + side]) & said
        for side in (-2, 2)
    ):
        return True
    window = tokens[max(0, i - 4) : i + 5]
    if not any(t.word in ("or", "oder", "ou", "o", "either") for t in window):
        return False
    return any(meaning(t) & said for t in window)


def changed_bindings(original: Facts, rewrite: Facts) -> Iterator[str]:
    """A colour that moved to another noun, as text."""
    before, after = groups(original), groups(rewrite)
    if not before or not after:
        return
    for group in before:
        if not group.colors:
            continue
        same_noun = [g for g in after if g.noun == group.noun]
        coloured = [g for g in same_noun if g.colors]
        if (
            coloured
            and not any(g.colors & group.colors for g in coloured)
            and len(coloured) == len(same_noun)
        ):
            yield f"{describe(group)} became {', '.join(sorted({describe(g) for g in coloured}))}"
