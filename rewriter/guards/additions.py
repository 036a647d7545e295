"""What a rewrite adds: things, colours and letters that nobody asked for.

Adding is certain only where every word of the original is known: an unknown one may be the added thing by another name.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from rewriter.guards.cues import LEADING, STOP
from rewriter.guards.facts import Facts
from rewriter.guards.groups import describe, groups
from rewriter.lexicon import DETERMINERS, PRONOUNS, Token, wordset

_PLAIN = (
    STOP
    | LEADING
    | DETERMINERS
    | PRONOUNS
    | wordset("i me my we us no not without none please and or to exactly")
) | wordset(
    "background backgrounds picture image scene color colour coloured colored size side i'd i'll like thanks hand"
)
_ATTRIBUTES = wordset("background color colour size side")  # general nouns that stand for no thing
_LETTERS = re.compile(
    r"\b(?i:letters?)((?:\s*(?:,|&|\band\b)?\s*[\"'“‘]?\b[A-Zb-hj-z]\b(?!['’]\w)[\"'”’]?)+)"  # "a" may be an article
)


def invented_things(original: Facts, rewrite: Facts) -> Iterator[str]:
    """Nouns of the lexicon that the rewrite states and the original does not know, as text."""
    if not original.nouns or rewrite.nouns <= original.nouns or not _is_understood(original):
        return
    stated = [rewrite.tokens[i].key for i in rewrite.nouns_at if not rewrite.negated.mask[i]]
    for noun in dict.fromkeys(stated):
        if noun not in original.nouns and noun != "letter":  # a letter may be asked for by itself: "a blue A"
            yield noun


def invented_colors(original: Facts, rewrite: Facts) -> Iterator[tuple[bool, str]]:
    """(certain, thing with its colour) for colours that the original does not name.

    Certain where every thing of the original has its colour; a colour left open may be chosen.
    """
    before = groups(original)
    if not before or rewrite.colors <= original.colors or not _is_understood(original):
        return
    certain = len(before) == len(original.nouns_at) and all(g.colors for g in before)
    for group in groups(rewrite):
        if group.colors and group.colors.isdisjoint(original.colors):
            yield certain, describe(group)


def changed_letters(original: Facts, rewrite: Facts) -> Iterator[str]:
    """Letters named as such ("letter A") that are lost, and others in the rewrite that occur nowhere in the original."""
    asked = _letters(original.text)
    if not asked or any(original.negated.mask) or not original.text.isascii():
        return
    said = _letters(rewrite.text)
    standing = said | set(re.findall(r"\b[A-Z]\b", rewrite.text))
    written = set("".join(re.findall(r"\b(?:[A-Z]+|[a-z])\b", original.text)).upper())
    yield from sorted(f"{letter!r} is asked for and not said" for letter in asked - standing)
    yield from sorted(f"{letter!r} was not asked for" for letter in said - asked - written)


def _letters(text: str) -> set[str]:
    if "etter" not in text or text.isupper():
        return set()  # "THE LETTER A" may go on: "… RED CIRCLE"
    return {letter.upper() for m in _LETTERS.finditer(text) for letter in re.findall(r"\b[A-Za-z]\b", m[1])}


@lru_cache(maxsize=1024)
def _is_understood(facts: Facts) -> bool:
    """Whether every word is known, and none stands for a thing without naming it ("two shapes")."""
    lexicon = facts.lexicon

    def known(token: Token) -> bool:
        if token.key in lexicon.generic:
            return token.key in _ATTRIBUTES
        return bool(
            token.nouns or token.colors or token.may_count or token.word in lexicon.sizes
            or token.word in lexicon.vague or token.word in _PLAIN
        )  # fmt: skip

    return not facts.spans.quotes and all(known(t) for t in facts.tokens if t.is_word)
