"""How many of each kind: two red circles must not become three, whatever the order or the grouping of the words."""

from collections.abc import Iterator

from rewriter.guards.facts import Facts
from rewriter.guards.groups import Group, describe, groups
from rewriter.guards.numbers import BOUNDS
from rewriter.lexicon import NUMBER_WORDS, wordset

_OPEN = wordset(  # words that say a thing again or add to it: counts of phrases then do not add up by themselves
    "another more same again else twin too also additional extra one ones copy duplicate many twice double each every "
    "row rows column columns grid total half rest remaining others second third last"
)


def split_numbers(original: Facts, rewrite: Facts) -> set[int]:
    """Token indices of the original's numbers that the rewrite's numbers for the same noun add up to; "shapes" are all nouns."""
    after = [g for g in groups(rewrite) if g.count]
    if not after:
        return set()
    everything = sum(g.count or 0 for g in after)
    found = {
        g.number_at
        for g in groups(original)
        if g.number_at is not None and g.count == sum(a.count or 0 for a in after if a.noun == g.noun)
    }
    for number in original.numbers:
        near = original.tokens[number.index + 1 : number.index + 4]
        if number.value == everything and any(t.key in original.lexicon.generic for t in near):
            found.add(number.index)
    return found


def changed_counts(original: Facts, rewrite: Facts) -> Iterator[str]:
    """What the original counts and the rewrite counts differently, as text."""
    before, after = groups(original), groups(rewrite)
    if not before or not after or not _OPEN.isdisjoint(original.word_set):
        return
    by_kind: dict[tuple[frozenset[str], str], list[Group]] = {}
    for group in before:
        if not group.definite:  # "the red circle" is one that was named before, or will be
            by_kind.setdefault((group.colors, group.noun), []).append(group)
    for (colors, noun), same in by_kind.items():
        said = [g.count for g in after if g.noun == noun and (g.colors & colors or not colors) and g.count]
        if bounds := _vague(original, before, same):
            total = sum(said)
            if said and not bounds[0] <= total <= bounds[1]:
                yield f"{bounds[0]} to {bounds[1]} {describe(same[0])} became {_number(total)}"
            continue
        counts = [g.count for g in same if g.count]
        if len(counts) < len(same) or len({g.size for g in same}) > 1 or (not colors and len(same) > 1):
            continue  # several phrases of one kind may mean the same things or others
        if said and not {*said, sum(said)} & {*counts, sum(counts)}:
            yield f"{_number(sum(counts))} {describe(same[0])} became {' and '.join(map(_number, said))}"


def _vague(original: Facts, before: list[Group], same: list[Group]) -> tuple[int, int] | None:
    """The bounds of a vague count that nothing else in the prompt makes more exact ("several stars, at least four")."""
    only = len(same) == 1 and (same[0].colors or sum(g.noun == same[0].noun for g in before) == 1)
    return same[0].vague if only and BOUNDS.isdisjoint(original.word_set) else None


def _number(value: float) -> str:
    words = {v: k for k, v in reversed(NUMBER_WORDS["en"].items()) if v < 13}
    return words.get(int(value), f"{value:g}")
