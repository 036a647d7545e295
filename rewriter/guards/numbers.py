"""Numbers a prompt fixes, and whether a rewrite still says them.

An explicit number must survive; a vague word ("a few", "several") may become one. Where arithmetic is part of the request
("four shapes, half of them red"), the number may also appear as a sum of the rewrite's numbers.
"""

import itertools
import re
from collections.abc import Container
from functools import lru_cache
from typing import NamedTuple

from rewriter.guards.negation import Negated
from rewriter.lexicon import NUMBER_WORDS, TENS, Token, wordset

BOUNDS = wordset(
    "than least most about around roughly approximately nearly almost between maybe up circa or to "
    "mindestens höchstens"
)
_PARTITION = wordset(
    "half rest remaining other others each every both total altogether row rows column columns line "
    "lines grid group groups among them these those all overall together sum which pair pairs set sets "
    "twice double hälfte moitié mitad jeweils davon chaque cada"
)
_ONE = wordset("a an one single lone solitary sole just only the ein eine einen un une una uno")
_ONE_IDIOM = wordset(
    "of fewer more less another is are that which and not should must"
)  # "one of", "one fewer", "one is"
_OR = wordset("or to oder ou o bis à")
_MEASURE = wordset("% px pixel pixels degrees ° x × by percent k mm cm fps")  # "1024 x 1024", "16:9", "50 %"
_ADJECTIVE = wordset(
    "pointed sided cornered armed legged eyed headed handed storey story tailed winged petaled petalled quarter quarters"
)
_BY = (["by"], ["x"], ["×"], ["-", "by", "-"])
_ROWS = wordset("row rows column columns line lines")
_GRID = wordset("grid array matrix arrangement layout pattern") | _ROWS
_SIZE = re.compile(r"(\d{1,2})[x×](\d{1,2})")  # 2x2
_BEFORE_ONE = wordset("the that this other another each every no any which")


class Number(NamedTuple):
    """One number in a text; `exact` unless the words around make it a bound, a range or a reference ("one of them")."""

    value: float
    index: int  # of its token
    exact: bool
    derived: bool = False  # the product of two others: "a 2 by 2 grid", "two rows of two"


def find_numbers(tokens: list[Token], at: list[int], negated: Negated, language: str) -> list[Number]:
    """All numbers of the tokens `at`, in order. A number inside a negated part ("not two but three") is not exact."""
    words = [token.word for token in tokens]
    found: list[Number] = []
    for i in at:
        value = _value(words[i], language)
        if not value or _is_part_of_adjective(tokens, i, language):  # "zero squares" is a negation
            continue
        before = words[i - 1] if i else ""
        if words[i] == "couple" and words[i + 1 : i + 2] != ["of"]:
            continue  # "a couple" may be two people
        if found and (found[-1].index == i - 1 or (found[-1].index == i - 2 and before == "-")):
            last, key = found[-1], tokens[i].key
            if last.value in TENS and 1 <= value <= 9:
                found[-1] = Number(last.value + value, i, last.exact)
                continue
            if key in ("pair", "dozen", "hundred", "thousand"):  # two dozen, two pairs
                found[-1] = Number(last.value * value, i, last.exact)
                continue
        if value == 12 and tokens[i].key == "dozen" and "half" in words[max(0, i - 2) : i]:
            value = 6.0
        exact = not negated.mask[i] and _is_exact(words, i, value, language)
        if exact and found and before in ("-", "–") and found[-1].index == i - 2:
            exact = found[-1].value in TENS  # 2-4
        found.append(Number(value, i, exact))
    return found if _GRID.isdisjoint(words) else _with_products(words, at, found)


def _is_exact(words: list[str], i: int, value: float, language: str) -> bool:
    """Whether the words around the number at i leave it one."""
    before, after = words[i - 1] if i else "", words[i + 1] if i + 1 < len(words) else ""
    if before in BOUNDS or (before in ("a", "an") and i > 1 and words[i - 2] in BOUNDS):  # "about a dozen"
        return False
    if after in _OR or after in _MEASURE or ":" in (before, after):
        return False
    if value == 1 and (after in _ONE_IDIOM or before in _BEFORE_ONE):
        return False
    if after in ("-", "–") and i + 2 < len(words) and value not in TENS:  # 2-4
        return _value(words[i + 2], language) is None
    return "too" not in words or not _is_too_many(words, i)


def lost_numbers(
    original: list[Number],
    original_words: frozenset[str],
    rewrite: list[Number],
    rewrite_words: frozenset[str],
    resolve: bool,
    split_up: Container[int] = (),
) -> list[float]:
    """Exact numbers of the original that the rewrite does not say, in order and without repetition.

    `split_up` holds the token indices of numbers that the rewrite says in parts ("three circles: …" as one red, two blue).
    """
    said = [n.value for n in rewrite]
    lost: list[float] = []
    for number in original:
        if number.derived and not resolve:
            continue
        if resolve and (not number.exact or number.index in split_up):
            continue
        if number.value in said or number.value in lost:
            continue
        if number.value == 1 and (resolve or _ONE & rewrite_words):
            continue  # one thing needs no numeral
        lost.append(number.value)
    if lost and resolve and _PARTITION & original_words:
        sums = _sums(said)
        lost = [value for value in lost if value not in sums]
    return lost


@lru_cache(maxsize=4096)
def _value(word: str, language: str) -> float | None:
    table = NUMBER_WORDS.get(language, NUMBER_WORDS["en"])
    if word[0].isdigit():
        digits = word.rstrip("x×") if word[-1] in "x×" else word
        return float(digits) if digits.isdecimal() and len(digits) < 10 else None
    if word[0] == "x" and word[1:].isdecimal() and len(word) < 5:  # x3
        return float(word[1:])
    value = table.get(word)
    if word == "pairs":  # "dozens of" is vague
        value = table.get("pair")
    return None if value is None else float(value)


def _is_part_of_adjective(tokens: list[Token], i: int, language: str) -> bool:
    """ "five-pointed star", "two-storey house": part of what a thing is, not how many there are."""
    if i + 1 == len(tokens):
        return False
    if i + 2 < len(tokens) and tokens[i + 1].word == "-" and tokens[i + 2].is_word:
        return tokens[i + 2].word != "by" and _value(tokens[i + 2].word, language) is None
    return tokens[i + 1].word in _ADJECTIVE


def _is_too_many(words: list[str], i: int) -> bool:
    """ "a dozen is too many": a number that is not wanted."""
    for j in range(i + 1, min(i + 5, len(words) - 1)):
        if not words[j][0].isalnum():
            return False
        if words[j] == "too":
            return words[j + 1] in ("many", "much", "few")
    return False


def _with_products(words: list[str], at: list[int], numbers: list[Number]) -> list[Number]:
    """The numbers, with how many things a grid or rows have in place of its sides."""
    known = {number.index: number for number in numbers}
    for a, b in itertools.pairwise(numbers):
        if b.index - a.index > 4:
            continue
        between = words[a.index + 1 : b.index]
        near = words[b.index + 1 : b.index + 3]
        grid = next((b.index + 1 + k for k, word in enumerate(near) if word in _GRID), None)
        if between in _BY and grid is not None:
            known[grid] = Number(a.value * b.value, grid, True, derived=True)
        elif len(between) == 2 and between[0] in _ROWS and between[1] == "of" and a.exact and b.exact:
            known[b.index] = Number(a.value * b.value, b.index, True, derived=True)
        else:
            continue
        known[a.index] = Number(a.value, a.index, False)
        if grid is not None:
            known[b.index] = Number(b.value, b.index, False)
    for i in at:
        if words[i + 1 : i + 2] and words[i + 1] in _GRID and (sides := _SIZE.fullmatch(words[i])):
            known[i + 1] = Number(float(sides[1]) * float(sides[2]), i + 1, True, derived=True)
    return [known[i] for i in sorted(known)]


def _sums(values: list[float]) -> set[float]:
    """Products of two and sums of any of the rewrite's first eight numbers."""
    sums: set[float] = {0.0}
    for value in values[:8]:
        sums |= {s + value for s in sums}
    return sums | {a * b for a, b in itertools.combinations(values[:8], 2)}
