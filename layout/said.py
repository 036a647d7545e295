"""Where a request says that things stand: "the desk at the window", "a plant in the corner", "both nightstands beside the bed".

Only what is said in one breath is heard: a piece of furniture, a phrase of place right behind it, and what that is about. What is said otherwise is
left to the model.
"""

from __future__ import annotations

from collections.abc import Sequence

from layout.catalogue import CATALOGUE, base
from layout.instructions import PAIR_PHRASES
from layout.rules import TUCKED
from layout.schema import RelationSpec
from layout.serialise import mentioned, nouns_in, words_of

_ARTICLES = ("the", "a", "an", "its", "my", "one", "of", "each", "that", "this")
_NUMBERED = {"one": 1, "two": 2, "three": 3, "four": 4}
_PAIR = {phrase.replace(" {r}", ""): relation for relation, phrase in PAIR_PHRASES.items()} | {
    "left of": "left_of", "on the left of": "left_of", "right of": "right_of", "on the right of": "right_of", "at the foot of": "in_front_of",
    "before": "in_front_of", "behind": "behind", "across from": "across_from", "adjacent to": "next_to", "right next to": "next_to",
    "by": "next_to", "close to": "next_to", "around": "next_to", "at": "next_to", "on top of": "on_top_of", "opposite to": "opposite",
}  # fmt: skip
_WINDOW = ("at", "by", "under", "below", "next to", "beside", "near", "in front of", "close to", "facing")
_DOOR = {"near": "near", "by": "near", "next to": "near", "close to": "near", "at": "near", "beside": "near", "far from": "far_from", "away from": "far_from"}  # fmt: skip
_PARTS = (
    (_WINDOW, ("window", "windows"), "at", "window"),
    (("in", "at"), ("corner",), "in", "corner"),
    (("at", "against", "along", "on", "to", "by"), ("wall",), "against", "wall"),
    (tuple(_DOOR), ("door",), "", "door"),
)
_LONGEST = max(len(phrase.split()) for phrase in _PAIR)


def said_relations(request: str) -> tuple[RelationSpec, ...]:
    """The relations that a request states, in its order, each once. Unknown words are no relation."""
    words = words_of(request)
    nouns = [(i, len(noun.split()), name) for i, noun, name in nouns_in(words)]
    wanted = mentioned(request)
    found: dict[tuple[str, str, str], RelationSpec] = {}
    for k, (i, length, subject) in enumerate(nouns):
        if wanted.get(subject) == 0:
            continue
        end = i + length
        following = nouns[k + 1] if k + 1 < len(nouns) else (len(words), 0, "")
        n = _how_many(words, i, subject, wanted.get(subject, 1))
        while heard := _room_part(words, end) or _other(words, end, following, subject):
            relation, reference, end = heard
            # What hangs is at a wall anyway, and nothing stands at what is not wanted.
            hung = relation == "against" and CATALOGUE[subject].on == ("wall",)
            if not hung and wanted.get(reference) != 0:
                spec = RelationSpec(relation=relation, subject=subject, references=(reference,), n=n)
                found.setdefault((relation, subject, reference), spec)
    return tuple(found.values())


def _phrase(words: Sequence[str], start: int, known: Sequence[str]) -> tuple[str, int] | None:
    """(the longest known phrase that begins here, where it ends)"""
    for length in range(_LONGEST, 0, -1):
        text = " ".join(words[start : start + length])
        if text in known and start + length <= len(words):
            return text, start + length
    return None


def _past_articles(words: Sequence[str], i: int) -> int:
    while i < len(words) and words[i] in _ARTICLES:
        i += 1
    return i


Heard = tuple[str, str, int]  # relation, what it is to, and where the words go on


def _room_part(words: Sequence[str], start: int) -> Heard | None:
    """What is said of a part of the room."""
    middle = _phrase(words, start, ("in the middle", "in the centre", "in the center"))
    if middle is not None:
        end = middle[1]
        of_room = list(words[end : end + 3]) == ["of", "the", "room"]
        return "in_middle_of", "room", end + (3 if of_room else 0)
    for known, parts, relation, reference in _PARTS:
        heard = _phrase(words, start, known)
        if heard is not None:
            at = _past_articles(words, heard[1])
            if at < len(words) and words[at] in parts:
                return _DOOR[heard[0]] if reference == "door" else relation, reference, at + 1
    return None


def _other(words: Sequence[str], start: int, following: tuple[int, int, str], subject: str) -> Heard | None:
    """What is said of another piece, where nothing but a phrase of place is before its name."""
    i, length, reference = following
    heard = _phrase(words, start, tuple(_PAIR))
    if not reference or heard is None or _past_articles(words, heard[1]) != i or reference == subject:
        return None
    relation = _PAIR[heard[0]]
    if relation == "on_top_of" and reference not in CATALOGUE[subject].on:
        return None
    if heard[0] in ("at", "around") and base(reference) not in TUCKED.get(base(subject), ()):
        return None
    return relation, reference, i + length


def _how_many(words: Sequence[str], i: int, subject: str, wanted: int) -> int:
    """How many of the subject are meant: "one of the chairs" one, "both nightstands" two, "the chairs" all that are wanted."""
    before = list(words[max(0, i - 3) : i])
    if before[-2:] == ["of", "the"] and before[0] in _NUMBERED:
        return _NUMBERED[before[0]]
    return max(1, wanted)
