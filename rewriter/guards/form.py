"""Guards on the form of a rewrite: nothing in it, too much of it, loops, and text that is meant for someone else than the generator."""

import itertools
import re
import unicodedata
from collections.abc import Sequence

from rewriter.lexicon import wordset
from rewriter.parsing import ROLE_TOKENS, TAG

_JUDGE = re.compile(
    r"\b(?:final\s+)?(?:score|rating|grade|verdict|reward)\s*(?::|=|is|of|\bto\b)?\s*(?:a\s+)?\d+(?:\.\d+)?(?:\s*(?:/|out\s+of)\s*\d+)?\b"
    r"|\bfinal\s+(?:score|answer|verdict|rating)\b|\[\[\s*\d+(?:\.\d+)?\s*\]\]|\b\d+\s*/\s*10\b|\b(?:10|ten)\s+out\s+of\s+(?:10|ten)\b"
    r"|\b(?:full|perfect|maximum|highest|top|high)\s+(?:score|marks|rating|grade|reward)s?\b"
    r"|\b(?:rate|score|grade|judge)\s+(?:this|the|it)\b"
    r"|\b(?:ignore|disregard|forget|override)\s+(?:all\s+|any\s+|the\s+|your\s+)*(?:previous|prior|above|earlier|preceding|other|original|following)?\s*(?:instructions?|prompts?|rules?|rubric|criteria)\b"
    r"|\b(?:dear|attention|note\s+to(?:\s+the)?)\s+(?:judge|evaluator|grader|scorer|reviewer)\b|\b(?:the\s+)?(?:judge|evaluator|grader|scorer)\s+(?:should|must|will)\b"
    r"|\b(?:answer|reply|respond)\s+(?:with\s+)?[\"'“]?(?:yes|true|correct|1)\b|\ball\s+(?:criteria|requirements|key\s*points|questions|checks)\s+(?:are|were|is)\s+(?:met|satisfied|fulfilled|true|correct|yes)\b"
    r"|(?:^|\n)\s*(?:system|assistant|user|human)\s*:|\"(?:score|rating|verdict|reward)\"\s*:|</?(?:analysis|score|verdict|system|rating|reward)>",
    re.IGNORECASE,
)
# Every match of _JUDGE holds one of these; most prompts hold none, and this is quick to see.
_HINTS = wordset(
    "score rating rate grade verdict reward final [[ / marks judge ignore disregard forget override evaluator reviewer "
    "answer reply respond criteria requirements points questions checks system assistant user human analysis"
) | {"out of"}
_PIECE = re.compile(r"[^\W\d_]+|[^\s_]")  # letters together; digits and marks one by one
_PIECE_ASCII = re.compile(r"[a-zA-Z]+|[^\s_]")
_ALLOWED_FORMAT = {"\u200d", "\ufe0f"}  # emoji are joined with them


def injections(original: str, rewrite: str, plain_rewrite: str) -> list[str]:
    """Text in the rewrite that addresses a model or a judge. Words of the original are not held against it; control tokens are."""
    found = (
        [m[0] for pattern in (ROLE_TOKENS, TAG) for m in pattern.finditer(rewrite)]
        if "<" in rewrite or "[" in rewrite
        else []
    )
    # Outside ASCII, more letters than these mean the same without regard to case.
    if plain_rewrite.isascii() and not any(map(plain_rewrite.__contains__, _HINTS)):
        return found
    known = original.lower()
    return found + [m[0].strip() for m in _JUDGE.finditer(rewrite) if m[0].strip().lower() not in known]


def control_characters(original: str, rewrite: str) -> list[str]:
    """Names of invisible characters (bidirectional marks, zero-width, controls) that the original does not have."""
    if rewrite.isascii() and rewrite.isprintable():
        return []
    bad = (
        {
            c
            for c in rewrite
            if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn") and c not in _ALLOWED_FORMAT
        }
        - set(original)
        - {"\n", "\t"}
    )
    return [f"U+{ord(c):04X}" for c in sorted(bad)]


def repetition(words: Sequence[str]) -> str | None:
    """The repeated part, if the text runs in circles: one word four times in a row, or three-word sequences mostly repeated."""
    grams = list(zip(words, words[1:], words[2:], strict=False))
    distinct = set(grams)
    if len(distinct) == len(grams):
        return None
    for before, after in itertools.pairwise(grams):
        if before == after:  # then all four words are one
            return before[0]
    if len(grams) >= 10 and len(distinct) / len(grams) < 0.5:
        return " ".join(max(distinct, key=lambda g: (grams.count(g), g)))
    return None


def estimate_tokens(text: str, tokenizer: str) -> int:
    """Roughly how many tokens a text encoder makes of `text`, its start and end tokens included.

    An estimate without the tokenizer: CLIP's and T5's vocabularies hold common words whole and split long ones; every mark counts;
    a Chinese character is about one token for an LLM tokenizer and two for CLIP's bytes. Good to about 15 % on English prompts.
    """
    per_word = {"clip": 9, "t5": 6, "llm": 8, "word": 100}[tokenizer]
    pieces = (_PIECE_ASCII if text.isascii() else _PIECE).findall(text)
    if text.isascii() and max(map(len, pieces), default=0) <= per_word:
        return 2 + len(pieces)
    wide = 2 if tokenizer == "clip" else 1
    return 2 + sum([(len(p) + per_word - 1) // per_word if p.isascii() else len(p) * wide for p in pieces])


def plain(text: str) -> str:
    """What two prompts share that differ in case, white space and marks at their ends only."""
    return " ".join(text.lower().split()).strip(" .,;:!?")
