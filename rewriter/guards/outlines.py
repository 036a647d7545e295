"""Shapes that a word beside them turns into others: "a hollow red circle", "a circle outline", "a circle with a hole" are rings."""

from collections.abc import Iterator

from rewriter.lexicon import Lexicon, Token, wordset

_HOLLOW = wordset("hollow unfilled")
_CUES = _HOLLOW | wordset("outline outlines hole holes")
_NOT = wordset("not no non never without")


def resolve_outlines(tokens: list[Token], lexicon: Lexicon) -> list[Token]:
    """The tokens, with each noun of `lexicon.hollow` that is drawn as an outline replaced by what that is."""
    if not lexicon.hollow or _CUES.isdisjoint([t.word for t in tokens]):
        return tokens
    return [
        lexicon.token(lexicon.hollow[token.key])
        if token.key in lexicon.hollow and any(_cues(tokens, i, lexicon))
        else token
        for i, token in enumerate(tokens)
    ]


def _cues(tokens: list[Token], i: int, lexicon: Lexicon) -> Iterator[bool]:
    j = i - 1  # back over the adjectives
    while j >= 0 and (
        tokens[j].colors or tokens[j].word in lexicon.sizes or tokens[j].word in ("-", ",", "and")
    ):
        j -= 1
    words = [t.word for t in tokens]
    yield j >= 0 and words[j] in _HOLLOW and not (j > 0 and words[j - 1] in _NOT)
    yield j >= 2 and words[j - 2 : j] in (["outline", "of"], ["outlines", "of"])
    after = words[i + 1 : i + 5]
    yield after[:1] in (["outline"], ["outlines"])
    yield after[:1] == ["with"] and not {"hole", "holes"}.isdisjoint(after) and _NOT.isdisjoint(after)
