"""Colours and nouns, and which belongs to which: "red circle" must not become a circle of another colour."""

from collections.abc import Callable, Iterator
from operator import attrgetter

from rewriter.guards.facts import Facts
from rewriter.guards.groups import describe, groups, is_part_of_other, same_kind
from rewriter.lexicon import Token, wordset

_NOT_A_COLOR = wordset("mix mixture blend between combine combining mixing mixed shade shades tint hue")

_COMPARING = wordset(
    "bigger larger smaller tinier size sizes sized biggest largest smallest opposite than same"
)


def lost_colors(original: Facts, rewrite: Facts) -> list[str]:
    """Colours the original states and the rewrite does not name (by any of their words)."""
    if not _NOT_A_COLOR.isdisjoint(original.word_set):
        return []
    return _lost(original, original.colors_at, rewrite, rewrite.colors, attrgetter("colors"))


def lost_nouns(original: Facts, rewrite: Facts) -> list[str]:
    """Nouns of the lexicon that the original states and the rewrite does not (by any of their words)."""
    return _lost(original, original.nouns_at, rewrite, rewrite.nouns, attrgetter("nouns"))


def _lost(
    original: Facts,
    at: list[int],
    rewrite: Facts,
    said: frozenset[str],
    meaning: Callable[[Token], frozenset[str]],
) -> list[str]:
    tokens, mask = original.tokens, original.negated.mask
    lost: list[str] = []
    for i in at:
        word = tokens[i].word
        if mask[i] or not meaning(tokens[i]).isdisjoint(said) or word in lost or is_part_of_other(tokens, i):
            continue
        if word not in rewrite.word_set and not _is_choice(tokens, i, meaning, said):
            lost.append(word)
    return lost


def _is_choice(
    tokens: list[Token], i: int, meaning: Callable[[Token], frozenset[str]], said: frozenset[str]
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
        if same_noun and all(g.colors and g.colors.isdisjoint(group.colors) for g in same_noun):
            yield f"{describe(group)} became {', '.join(sorted({describe(g) for g in same_noun}))}"


def changed_sizes(original: Facts, rewrite: Facts) -> Iterator[str]:
    """Things that the original calls small and the rewrite large, or the other way round, as text.

    Silent where the original compares, or names a size away from its noun ("a star. it is small").
    """
    lexicon, before, after = original.lexicon, groups(original), groups(rewrite)
    sized = sum(group.size is not None for group in before)
    if not sized or not after or not _COMPARING.isdisjoint(original.word_set):
        return
    facts = zip(original.tokens, original.negated.mask, strict=True)
    if sized != sum(token.word in lexicon.sizes and not negated for token, negated in facts):
        return
    for group in before:
        alike = [g for g in before if same_kind(g, group) and not (g.definite and g.size is None)]
        if group.size is None or {g.size for g in alike} != {group.size}:
            continue
        said = {g.size for g in after if same_kind(g, group)} - {None}
        if said and group.size not in said:
            yield f"{group.size} {describe(group)} became {' and '.join(sorted(map(str, said)))}"
