"""Colours and what they belong to: "red circle" must not become a circle of another colour, nor two of them three.

Works on the dialect's lexicon and on word order alone (number, size, colour, noun next to each other). Whatever is put another way
("a circle and a square, both red") binds nothing here and is left to the judge.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from rewriter.guards.facts import Facts
from rewriter.lexicon import NOTHING, NUMBER_WORDS, Token, wordset

_NOT_A_COLOR = wordset("mix mixture blend between combine combining mixing mixed shade shades tint hue")
_OPEN = wordset(  # words that say a thing again or add to it: counts of phrases then do not add up by themselves
    "another more same again else twin too also additional extra one ones copy duplicate many twice double each every "
    "row rows column columns grid total half rest remaining others second third last"
)
_FRAMES = wordset(
    "canvas image images picture pictures format frame poster background backdrop photo aspect crop icon card layout"
)
_DEFINITE = wordset("the this that these those its their his her my your der die das le la les el los las")
_ONE = {"a": 1.0, "an": 1.0, "one": 1.0, "single": 1.0, "lone": 1.0}


@dataclass(frozen=True)
class Group:
    """One noun phrase as it stands: "two small red circles"."""

    count: float | None
    size: str | None
    colors: frozenset[str]
    noun: str
    definite: bool  # "the", "these"
    number_at: int | None  # token index of its number, if a number is written


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
        if wanted and i + 1 < len(tokens) and _is_part_of_other(tokens, i):
            continue
        if not wanted or negated or not wanted.isdisjoint(said) or token.word in lost:
            continue
        if token.word not in rewrite.words and not _is_choice(tokens, i, meaning, said):
            lost.append(token.word)
    return lost


def _is_part_of_other(tokens: list[Token], i: int) -> bool:
    """ "square canvas", "white-hot": neither a square nor something white."""
    following = tokens[i + 1]
    if tokens[i].nouns:
        return following.word in _FRAMES
    compound = following.word == "-" and i + 2 < len(tokens) and tokens[i + 2].is_word
    return (
        compound and not tokens[i + 2].colors and not tokens[i + 2].word.startswith(("colo", "tint", "ish"))
    )


def _is_choice(
    tokens: list[Token], i: int, meaning: Callable[[Token], frozenset[str]], said: set[str]
) -> bool:
    """ "red or blue": one of them is enough."""
    window = tokens[max(0, i - 4) : i + 5]
    if not any(t.word in ("or", "oder", "ou", "o", "either") for t in window):
        return False
    return any(meaning(t) & said for t in window)


@lru_cache(maxsize=1024)
def groups(facts: Facts) -> list[Group]:
    """Affirmative noun phrases whose noun is in the lexicon."""
    lexicon, tokens, mask = facts.lexicon, facts.tokens, facts.negated.mask
    counts = {n.index: n for n in facts.numbers}
    found: list[Group] = []
    for i, token in enumerate(tokens):
        if not token.nouns or mask[i]:
            continue
        if i + 1 < len(tokens) and _is_part_of_other(tokens, i):
            continue
        j, size, colors, count, number_at = i - 1, None, NOTHING, None, None
        if j >= 0 and tokens[j].colors and not mask[j]:
            colors = tokens[j].colors
            j -= 3 if j > 1 and tokens[j - 1].word == "-" else 1  # "canary-yellow" is one word
            if j >= 0 and tokens[j].word in ("or", "and", "-", "/"):
                continue  # "red and blue circles": how many of each is not said
        if j >= 0 and tokens[j].word in lexicon.sizes:
            size = lexicon.sizes[tokens[j].word]
            j -= 1
        definite = j >= 0 and tokens[j].word in _DEFINITE
        if j > 0 and tokens[j].word == "of":  # a pair of
            j -= 1
        if j >= 0:
            number = counts.get(j)
            if number is not None:
                count, number_at = (number.value if number.exact else None), j
            elif tokens[j].word in _ONE:
                count = _ONE[tokens[j].word]
        found.append(Group(count, size, colors, token.key, definite, number_at))
    return found


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


def changed_bindings(original: Facts, rewrite: Facts) -> Iterator[tuple[str, str]]:
    """(code, message) for a colour moved to another noun, and for a count of a coloured noun that changed."""
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
            yield "binding", f"{_name(group)} became {', '.join(sorted({_name(g) for g in coloured}))}"
    if not _OPEN.isdisjoint(original.words):
        return
    yield from _changed_counts(before, after)


def _changed_counts(before: Sequence[Group], after: Sequence[Group]) -> Iterator[tuple[str, str]]:
    by_kind: dict[tuple[frozenset[str], str], list[Group]] = {}
    for group in before:
        if not group.definite:  # "the red circle" is one that was named before, or will be
            by_kind.setdefault((group.colors, group.noun), []).append(group)
    for (colors, noun), same in by_kind.items():
        counts = [g.count for g in same if g.count]
        if len(counts) < len(same) or len({g.size for g in same}) > 1 or (not colors and len(same) > 1):
            continue  # several phrases of one kind may mean the same things or others
        said = [g.count for g in after if g.noun == noun and (g.colors & colors or not colors) and g.count]
        if said and not {*said, sum(said)} & {*counts, sum(counts)}:
            yield (
                "number",
                f"{_number(sum(counts))} {_name(same[0])} became {' and '.join(map(_number, said))}",
            )


def _name(group: Group) -> str:
    return " ".join(["/".join(sorted(group.colors))] * bool(group.colors) + [group.noun])


def _number(value: float) -> str:
    words = {v: k for k, v in reversed(NUMBER_WORDS["en"].items()) if v < 13}
    return words.get(int(value), f"{value:g}")
