"""What a prompt fixes, read once per text and lexicon: tokens, negated parts, numbers, language.

All completions of a group share their original, so that its reading is cached.
"""

from dataclasses import dataclass
from functools import lru_cache

from rewriter.guards.form import plain
from rewriter.guards.language import detect_language
from rewriter.guards.negation import Negated, find_negation
from rewriter.guards.numbers import Number, find_numbers
from rewriter.guards.outlines import resolve_outlines
from rewriter.guards.spans import Spans, find_spans
from rewriter.lexicon import Lexicon, Token, tokenize


@dataclass(frozen=True, eq=False)
class Facts:
    """One reading of one text; compared by identity. What guards ask of every text is worked out here, once."""

    text: str
    plain: str  # as it is compared with another text as a whole
    spans: Spans
    tokens: list[Token]
    words: list[str]  # words only, lower case
    word_set: frozenset[str]
    nouns_at: list[int]  # token indices of the lexicon's nouns
    colors_at: list[int]  # and of its colours
    nouns: frozenset[str]  # all that these may mean
    colors: frozenset[str]
    negated: Negated
    numbers: list[Number]
    language: str | None
    lexicon: Lexicon


@lru_cache(maxsize=8192)
def read(text: str, lexicon: Lexicon) -> Facts:
    spans = find_spans(text)
    tokens = resolve_outlines(tokenize(spans.bare, lexicon), lexicon)
    words = [t.word for t in tokens if t.is_word]
    telling = [i for i, t in enumerate(tokens) if t.tells]
    nouns_at = [i for i in telling if tokens[i].nouns]
    colors_at = [i for i in telling if tokens[i].colors]
    counts_at = [i for i in telling if tokens[i].may_count]
    language = detect_language(spans.bare, words)
    negated = find_negation(tokens, lexicon)
    return Facts(
        text=text,
        plain=plain(text),
        spans=spans,
        tokens=tokens,
        words=words,
        word_set=frozenset(words),
        nouns_at=nouns_at,
        colors_at=colors_at,
        nouns=frozenset().union(*[tokens[i].nouns for i in nouns_at]),
        colors=frozenset().union(*[tokens[i].colors for i in colors_at]),
        negated=negated,
        numbers=find_numbers(tokens, counts_at, negated, language or "en") if counts_at else [],
        language=language,
        lexicon=lexicon,
    )
