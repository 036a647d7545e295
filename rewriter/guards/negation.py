"""What a prompt says must not be there, and whether a rewrite keeps to it.

The scope of a cue runs forward over a few content words up to the next clause, preposition or place word. That is crude, and
chosen so that doubt never counts against a rewrite: a token is affirmative, negated, or unclear, and unclear is not checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rewriter.lexicon import DETERMINERS, NEGATION_CUES, PRONOUNS, Lexicon, Token, wordset

MAX_SCOPE = 5  # content words

_NOT_CUES = [  # word sequences with a negation word that negate nothing, or nothing that can be checked
    "not only", "not just", "nothing but", "nothing except", "nothing else", "nothing more", "no doubt", "no more than", "no fewer than",
    "no less than", "not more than", "not less than", "not fewer than", "no bigger than", "no other", "no others", "no additional",
    "no extra", "no further", "no more", "no matter", "none other than", "none else", "why not", "if not", "or not", "whether or not",
    "not necessarily", "not yet", "not all", "not every", "not both", "without any other", "without other", "without anything else",
    "without further", "not any other", "not sure", "nicht nur", "pas seulement", "no solo", "no sólo",
    "not important", "not matter",
]  # fmt: skip
_LONG_CUES = ["free of", "free from", "devoid of", "absence of", "lack of", "instead of", "rather than", "anything but", "other than",
              "leave out", "leaving out", "keep out", "anstatt", "statt", "au lieu de", "en lugar de", "en vez de"]  # fmt: skip
_SOFT_CUES = [
    "except",
    "except for",
    "excepting",
    "besides",
    "apart from",
    "aside from",
    "but for",
    "außer",
    "sauf",
    "excepto",
    "salvo",
]
# What was said before one of these is taken back; what of it still holds is unclear.
_TAKEN_BACK = [
    "no wait",
    "wait no",
    "wait , no",
    "no , wait",
    "scratch that",
    "i mean",
    "no sorry",
    "no , sorry",
    "sorry , no",
    "correction :",
]
_STOP = wordset(
    "but with on in at by for from under over left right above below near beside besides next to inside "
    "outside behind before after between around across along into onto upon beneath underneath atop "
    "against through of off than as like that which who whose where while when because so then just "
    "only instead rather is are was were be been being has have had will would should must can could "
    "may might there here if though although yet still sondern aber mit auf im in am an bei von zu vor "
    "hinter neben über unter links rechts ist sind sur dans avec mais est sont à au aux gauche droite "
    "pero sino con en es son está están sobre"
)
_VERBS = wordset(
    "want wants draw draws drawn include includes included including add adds added put show shows "
    "showing use using make made be need paint place render depict contain contains containing let see "
    "do does have any too very so really quite also ever actually please give appear appears allowed "
    "all both to kind sort type kinds sorts types single i you we"
)


@dataclass(frozen=True)
class Phrase:
    """One negated thing: the keys of its content words in order; the last one is what is negated."""

    keys: tuple[str, ...]
    start: int
    end: int  # exclusive token index


@dataclass(frozen=True)
class Negated:
    """`mask` per token: 0 affirmative, 1 negated, 2 unclear."""

    mask: list[int]
    phrases: list[Phrase]
    has_pronoun: bool  # "one", "it": a named thing may be meant again without its name


def find_negation(tokens: list[Token], lexicon: Lexicon) -> Negated:
    mask = [0] * len(tokens)
    phrases: list[Phrase] = []
    i = 0
    while i < len(tokens):
        length, kind = _cue(tokens, i)
        if kind == "none":
            i += 1
            continue
        if kind == "taken back":
            mask[: i + length] = [2] * (i + length)
            phrases.clear()
        mask[i : i + length] = [2] * length
        i += length
        if kind == "hard":
            i = _scope(tokens, i, mask, phrases, lexicon)
        elif kind == "soft":
            while i < len(tokens) and tokens[i].is_word and tokens[i].word not in _STOP:
                mask[i] = 2
                i += 1
    pronoun = any(t.word in PRONOUNS for t, m in zip(tokens, mask, strict=True) if m == 0)
    return Negated(mask, phrases, pronoun)


def _scope(tokens: list[Token], i: int, mask: list[int], phrases: list[Phrase], lexicon: Lexicon) -> int:
    """Read one scope from token i on; returns where it ends."""
    keys: list[str] = []
    start, taken, unclear = i, 0, False

    def close(end: int) -> None:
        content = [k for k in keys if k not in PRONOUNS and k not in lexicon.generic]
        if content and not unclear:
            phrases.append(Phrase(tuple(content), start, end))
        keys.clear()

    while i < len(tokens) and taken < MAX_SCOPE:
        token = tokens[i]
        following = tokens[i + 1] if i + 1 < len(tokens) else None
        if not token.is_word and token.word != "-":
            break
        if _cue(tokens, i)[1] != "none":
            break
        if token.word in ("or", "nor", "oder", "noch", "ou", "ni", "o"):
            close(i)
            start, unclear = i + 1, False
        elif token.word in ("and", "und", "et", "y"):
            close(i)
            if (
                following is None
                or following.word in DETERMINERS
                or following.word.isdecimal()
                or _is_cue_word(following)
            ):
                break
            start, unclear = i + 1, True  # "no cats and dogs": does it reach this far?
        elif token.word in DETERMINERS or (token.word in _VERBS and not keys):
            mask[i] = 2
        elif token.word in _STOP:
            break
        elif token.is_word:
            taken += 1
            leads_on = following is not None and following.is_word
            if (
                token.word.endswith("ing")
                and len(token.word) > 5
                and leads_on
                and token.key not in lexicon.nouns
            ):
                mask[i] = 2  # "not wearing a hat" is about the hat; "not looking at …" about nothing to check
                if following is not None and following.word in _STOP:
                    i += 1
                    break
            else:
                mask[i] = 2 if unclear else 1
                keys.append(token.key)
        i += 1
    close(i)
    return i


def _is_cue_word(token: Token) -> bool:
    return token.word in NEGATION_CUES or token.word.endswith(("n't", "n’t"))


def _table(entries: list[str], kind: str) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    table: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for entry in entries:
        words = tuple(entry.split())
        table.setdefault(words[0], []).append((words, kind))
    return table


_SEQUENCES: dict[str, list[tuple[tuple[str, ...], str]]] = {}
for _entries, _kind in (
    (_NOT_CUES, "skip"),
    (_LONG_CUES, "hard"),
    (_SOFT_CUES, "soft"),
    (_TAKEN_BACK, "taken back"),
):
    for _first, _rows in _table(_entries, _kind).items():
        _SEQUENCES[_first] = sorted(_SEQUENCES.get(_first, []) + _rows, key=lambda row: -len(row[0]))


_STARTS = {*_SEQUENCES, *NEGATION_CUES, "nothing"}


def _cue(tokens: list[Token], i: int) -> tuple[int, str]:
    """(length, kind) of the cue that starts at token i; kind is hard, soft, skip (negates nothing), taken back or none."""
    word = tokens[i].word
    if word not in _STARTS and "n" not in word:  # most words
        return 0, "none"
    for words, kind in _SEQUENCES.get(word, ()):
        if len(words) == 1 or tuple(t.word for t in tokens[i : i + len(words)]) == words:
            return len(words), kind
    if word == "nothing":  # "nothing red"
        return 1, "hard"
    if _is_cue_word(tokens[i]):
        if (
            word == "no"
            and i + 1 < len(tokens)
            and (not tokens[i + 1].is_word or tokens[i + 1].word.isdecimal())
        ):
            return 1, "skip"  # "No, …", "no. 5"
        return 1, "hard"
    return 0, "none"


def affirmed_against(
    original_tokens: list[Token], original: Negated, rewrite_tokens: list[Token], rewrite: Negated
) -> Iterator[str]:
    """What the original negates and the rewrite states, as text; each thing once."""
    if not original.phrases:
        return
    stated_before = _affirmative(original_tokens, original)
    stated = _affirmative(rewrite_tokens, rewrite)
    rewrite_keys = [t.key if m == 0 else "" for t, m in zip(rewrite_tokens, rewrite.mask, strict=True)]
    original_keys = [t.key if m == 0 else "" for t, m in zip(original_tokens, original.mask, strict=True)]
    seen: set[tuple[str, ...]] = set()
    for phrase in original.phrases:
        if phrase.keys in seen:
            continue
        seen.add(phrase.keys)
        head = phrase.keys[-1]
        if len(phrase.keys) > 1:
            if _contains(rewrite_keys, phrase.keys) and not _contains(original_keys, phrase.keys):
                yield " ".join(phrase.keys)
                continue
            if original.has_pronoun:
                continue  # "not a red circle but a blue one"
        if (
            head in stated
            and head not in stated_before
            and not _hidden_in_cjk(head, original_tokens, original)
        ):
            yield head


def dropped(original: Negated, original_tokens: list[Token], rewrite_tokens: list[Token]) -> Iterator[str]:
    """Heads of negated phrases that a rewrite does not mention at all."""
    mentioned = {t.key for t in rewrite_tokens}
    stated = _affirmative(original_tokens, original)
    for phrase in original.phrases:
        if phrase.keys[-1] not in mentioned and phrase.keys[-1] not in stated:
            yield phrase.keys[-1]


def _affirmative(tokens: list[Token], negated: Negated) -> set[str]:
    """Keys stated without doubt. Chinese is not cut into words: what a run contains is asked by `_hidden_in_cjk`."""
    return {t.key for t, m in zip(tokens, negated.mask, strict=True) if m == 0 and t.is_word}


def _contains(keys: list[str], phrase: tuple[str, ...]) -> bool:
    n = len(phrase)
    return any(tuple(keys[i : i + n]) == phrase for i in range(len(keys) - n + 1))


def _hidden_in_cjk(head: str, tokens: list[Token], negated: Negated) -> bool:
    return not head.isascii() and any(
        head in t.key for t, m in zip(tokens, negated.mask, strict=True) if m == 0
    )
