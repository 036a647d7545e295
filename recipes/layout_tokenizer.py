"""The tokenizer of the embedded layout model: what is said again and again is one token.

A number from 0 to 1200 is one token, with the comma or space behind it; so are a category, the text between two values, and every word
of the synthetic requests. Anything else is spelled by byte-pair merges learned from the requests, so no text is unknown. An object of
the answer takes 9 tokens:

    ]},{"id":"desk|_1","on":"floor","yaw":|90,"span":[|0,|60,|30,|150,|0,|75

The model reads the same JSON as everybody else; only how it is cut is its own.
"""

from __future__ import annotations

import json
import re
from typing import Any

from layout.catalogue import CATALOGUE
from layout.instructions import PAIR_PHRASES, ROOM_PHRASES
from layout.rules import RULES
from layout.wording import NUMBERS, PERSONAS, STYLES, TEMPLATES, plural

PAD, END = "<pad>", "</s>"
LARGEST = 1200  # cm; the largest number that is one token
MERGES = 600  # learned pairs of letters, for words that the synthetic requests do not have
PHRASES = ("at wall ", "under the ceiling", "in the open", "answer plan and objects", "answer objects")
_WORD = r"[A-Za-z]+(?:_[a-z]+)* ?"
_NAME = r"[a-z]+(?:_[a-z]+)*"


def phrases() -> list[str]:
    """What the plan and the prompt say between values, longest first."""
    said = {rule.phrase.format(target="\0").split("\0")[0] for rule in RULES if "{target}" in rule.phrase}
    return sorted({*PHRASES, *said}, key=len, reverse=True)


def pieces_pattern() -> str:
    """The regular expression that cuts a text; the first alternative that matches wins."""
    alternatives = [
        rf'(?:\]\}},|","objects":\[|\{{"objects":\[)?\{{"id":"{_NAME}',
        r'_\d+","on":"(?:(?:floor|wall|ceiling)","yaw":)?',
        r'_\d+","yaw":',
        r'(?:0|90|180|270),"span":\[',
        r'"size":\[',
        r'\],"pos":\[',
        r"\]\}\]\}",
        r'\{"plan":"',
        *(phrase.replace(" ", r"\ ") for phrase in phrases()),
        r"_\d+",
        r"\d{1,4}(?!\d)[, ]?",
        r"\d",
        _WORD,
        r"[^\sA-Za-z0-9] ?",
        r"\s",
    ]
    return "|".join(alternatives)


def wire_pieces() -> list[str]:
    """Every piece of the wire's text that is to be one token."""
    names = list(CATALOGUE)
    starts = ("", "]},", '","objects":[', '{"objects":[')
    found = [f'{start}{{"id":"{name}' for start in starts for name in names]
    for k in range(1, 13):
        found += [f'_{k}","on":"{place}","yaw":' for place in ("floor", "wall", "ceiling")]
        found += [f'_{k}","on":"', f'_{k}","yaw":']
    found += [f'{yaw},"span":[' for yaw in (0, 90, 180, 270)]
    found += ['"size":[', '],"pos":[', "]}]}", '{"plan":"', *phrases(), "; ", "\n"]
    found += [f"{n}{end}" for n in range(LARGEST + 1) for end in ("", ",", " ")]
    return found + names + [f"{name} " for name in names]


def request_texts() -> list[str]:
    """What requests are made of: the templates of training, styles, people, nouns and relations."""
    said = [text for level in TEMPLATES.values() for i, text in enumerate(level) if i % 5 != 4]
    said += [style for name in STYLES for style in (name, name.capitalize())]
    said += [who for people in PERSONAS.values() for _, who in people] + list(NUMBERS.values())
    said += [noun for c in CATALOGUE.values() for name in c.synonyms for noun in (name, plural(name))]
    said += [*PAIR_PHRASES.values(), *ROOM_PHRASES.values()]
    said += [
        "a an the both all of and but no some with other x m cm ft",
        "bedroom living room kitchen bathroom",
    ]
    said += ["room height corners door wall from to opens in out window sill head request keep living_room"]
    return said + [text[0].upper() + text[1:] for text in said] + [text.lower() for text in said]


def build() -> Any:
    """The PreTrainedTokenizerFast: the wire's pieces, the words of requests, and merges learned from these for other words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [re.sub(r"\{\w+\}", "", text) for text in request_texts()]
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = _cutter()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + MERGES, initial_alphabet=alphabet, show_progress=False
    )
    learned.train_from_iterator(texts, trainer)
    pairs = _merges(learned)
    words = sorted({word for text in texts for word in re.findall(r"[A-Za-z]+(?:_[a-z]+)*", text)})
    pieces = [*wire_pieces(), *words, *(f"{word} " for word in words)]
    vocabulary = [PAD, END, *alphabet, *("".join(pair) for pair in pairs), *map(_as_bytes, pieces)]
    ids = {token: i for i, token in enumerate(dict.fromkeys(vocabulary))}
    # ignore_merges: a piece that is in the vocabulary is that token, however it could be spelled.
    backend = Tokenizer(models.BPE(ids, pairs, ignore_merges=True))
    backend.pre_tokenizer, backend.decoder = _cutter(), decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=PAD, eos_token=END, clean_up_tokenization_spaces=False
    )


def _cutter() -> Any:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    return Sequence(
        [
            Split(Regex(pieces_pattern()), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _as_bytes(piece: str) -> str:
    """A piece in the byte alphabet of the vocabulary, where a space is Ġ."""
    from tokenizers.pre_tokenizers import ByteLevel

    (found, _), *rest = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(piece)
    assert not rest, piece
    return found


def _merges(tokenizer: Any) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def numbers_of(tokenizer: Any) -> dict[int, list[int]]:
    """The token ids of every number, with and without what follows it; nothing for a tokenizer that is not this one."""
    vocabulary = tokenizer.get_vocab()
    if _as_bytes(f"{LARGEST} ") not in vocabulary:
        return {}
    return {n: [vocabulary[_as_bytes(f"{n}{end}")] for end in ("", ",", " ")] for n in range(LARGEST + 1)}
