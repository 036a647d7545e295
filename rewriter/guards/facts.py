"""What a prompt fixes, read once per text and lexicon: tokens, negated parts, numbers, language.

All completions of a group share their original, so that its reading is cached.
"""

from dataclasses import dataclass
from functools import lru_cache

from rewriter.guards.language import detect_language
from rewriter.guards.negation import Negated, find_negation
from rewriter.guards.numbers import Number, find_numbers
from rewriter.guards.outlines import resolve_outlines
from rewriter.guards.spans import Spans, find_spans
from rewriter.lexicon import Lexicon, Token, tokenize


@dataclass(frozen=True, eq=False)
class Facts:
    """One reading of one text; compared by identity."""

    text: str
    spans: Spans
    tokens: list[Token]
    words: list[str]  # words only, lower case
    negated: Negated
    numbers: list[Number]
    language: str | None
    lexicon: Lexicon


@lru_cache(maxsize=8192)
def read(text: str, lexicon: Lexicon) -> Facts:
    spans = find_spans(text)
    tokens = resolve_outlines(tokenize(spans.bare, lexicon), lexicon)
    words = [t.word for t in tokens if t.is_word]
    language = detect_language(spans.bare, words)
    negated = find_negation(tokens, lexicon)
    return Facts(
        text,
        spans,
        tokens,
        words,
        negated,
        find_numbers(tokens, negated, language or "en"),
        language,
        lexicon,
    )
