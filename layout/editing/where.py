"""Phrases of place in an edit: "to the window wall", "next to the bed", "in the north east corner", "50 cm to the left"."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from layout.catalogue import CATALOGUE, base
from layout.editing.nouns import Phrase, phrase_at
from layout.editing.operations import Place

# Left and right of nothing in particular are those of the floor plan.
COMPASS = {
    "north": "north", "south": "south", "east": "east", "west": "west", "northern": "north", "southern": "south", "eastern": "east",
    "western": "west", "left": "west", "right": "east", "top": "north", "bottom": "south",
}  # fmt: skip
_CORNERS = {
    "northeast": ("north", "east"), "northwest": ("north", "west"), "southeast": ("south", "east"), "southwest": ("south", "west"),
}  # fmt: skip
UNITS = {"cm": 1.0, "centimetres": 1.0, "centimeters": 1.0, "mm": 0.1, "m": 100.0, "metres": 100.0, "meters": 100.0, "metre": 100.0, "meter": 100.0, "ft": 30.48, "feet": 30.48}  # fmt: skip
FLAT = ("rug", "bath_mat")
_ARTICLES = ("the", "a", "an", "my", "that", "this")
_WINDOWS = {"window": "window", "windows": "window", "door": "door", "doors": "door", "doorway": "door"}

# The longest that fits is taken. "to" stands for a way with an end, "at" for a place.
PREPOSITIONS: dict[str, str] = {
    "to the left of": "left_of", "on the left of": "left_of", "left of": "left_of", "on the left side of": "left_of", "to the left side of": "left_of",
    "to the right of": "right_of", "on the right of": "right_of", "right of": "right_of", "on the right side of": "right_of", "to the right side of": "right_of",
    "in front of": "in_front_of", "at the foot of": "in_front_of", "behind": "behind", "across from": "across_from", "across the room from": "across_from",
    "opposite": "opposite", "opposite to": "opposite", "opposite of": "opposite", "facing": "facing", "to face": "facing", "facing towards": "facing", "facing to": "facing",
    "towards": "towards", "toward": "towards", "closer to": "closer", "nearer to": "closer", "nearer": "closer",
    "further from": "farther", "farther from": "farther", "further away from": "farther", "farther away from": "farther",
    "away from": "far_from", "far from": "far_from", "far away from": "far_from", "next to": "beside", "right next to": "beside", "beside": "beside",
    "alongside": "beside", "adjacent to": "beside", "close to": "near", "near to": "near", "near": "near", "around": "near", "by": "at", "at": "at",
    "on top of": "on", "onto": "on", "on to": "on", "on": "on", "under": "under", "below": "under", "beneath": "under", "underneath": "under",
    "between": "between", "against": "against", "up against": "against", "along": "against", "up to": "to", "into": "in", "in": "in",
    "inside": "in", "to": "to", "over to": "to", "from": "from", "above": "above", "over": "above",
}  # fmt: skip
_LONGEST = max(len(p.split()) for p in PREPOSITIONS)
Resolve = Callable[[Phrase], tuple[str, ...]]


def place_at(
    words: Sequence[str],
    i: int,
    ids: Sequence[str],
    resolve: Resolve,
    subject: str | None,
    *,
    new: bool = False,
) -> tuple[Place, int] | None:
    """(what a phrase of place means, where it ends); None where no such phrase begins at a word.

    `subject` is the category of what is placed: a lamp "on the desk" stands on it, a chair "on the rug" over it. `resolve` turns a noun
    phrase into ids and raises ValueError where it cannot. What is `new` is not shifted: "to the left" is then a side of the room.
    """
    shifted = None if new else _shift_at(words, i)
    if shifted is not None:
        return shifted
    begun = i
    if words[i : i + 1] == ["slightly"] or tuple(words[i : i + 2]) in (("a", "bit"), ("a", "little")):
        i += 1 if words[i] == "slightly" else 2
    for length in range(_LONGEST, 0, -1):
        said = PREPOSITIONS.get(" ".join(words[i : i + length])) if i + length <= len(words) else None
        if said is None:
            continue
        found = _target_at(words, begun, i + length, said, ids, resolve, subject)
        if found is not None:
            return found
    return None


def _target_at(
    words: Sequence[str],
    begun: int,
    i: int,
    said: str,
    ids: Sequence[str],
    resolve: Resolve,
    subject: str | None,
) -> tuple[Place, int] | None:
    """What follows a preposition: a part of the room, a direction, or furniture."""
    part = _part_at(words, i)
    if part is not None:
        name, side, end = part
        relation = _ROOM.get((said, name)) or _ROOM.get(("*", name))
        if relation is None or said in ("between", "from", "above"):
            return None
        if said in _DISTANCES:
            relation = _DISTANCES[said]
        return Place(relation, part=name, side=side, words=" ".join(words[begun:end])), end
    phrase = phrase_at(words, i, ids)
    if phrase is None:
        return None
    targets, end = resolve(phrase), phrase.end
    heard = " ".join(
        [*words[begun:i], *targets] if phrase.pronoun else words[begun:end]
    )  # "next to it" says nothing alone
    if said == "between" and words[end : end + 1] == ["and"]:
        second = phrase_at(words, end + 1, ids)
        if second is None:
            return None
        targets, end = (*targets, *resolve(second)), second.end
        heard = " ".join(words[begun:end])
    if said == "between" and len(targets) != 2:
        raise ValueError(
            f"{' '.join(words[begun:end])!r}: something is between two things, not {len(targets)}"
        )
    relation = _OBJECT.get(said)
    if relation is None:
        return None
    if said == "on" and subject is not None:
        relation = "over" if phrase.categories and base(phrase.categories[0]) in FLAT else "on_top_of"
        if relation == "on_top_of" and CATALOGUE[subject].on == ("wall",):
            relation = "above"
    return Place(relation, targets, words=heard), end


# Prepositions and parts of the room; "*" is any preposition that is not listed.
_ROOM: dict[tuple[str, str], str] = {
    **{(p, "window"): "at" for p in ("at", "to", "under", "in_front_of", "beside", "against", "on", "towards")},
    **{(p, "window"): "near" for p in ("near",)},
    **{(p, part): "facing" for p in ("facing", "opposite") for part in ("window", "door", "wall", "side")},
    **{(p, "door"): "near" for p in ("at", "to", "near", "beside", "in_front_of", "towards", "against")},
    **{(p, "wall"): "against" for p in ("at", "to", "against", "on", "near", "beside", "in_front_of", "towards")},
    **{(p, "corner"): "in" for p in ("in", "to", "at", "on", "near")},
    **{(p, "room"): "in_middle_of" for p in ("in", "to", "at", "on")},
    **{(p, "side"): "on_side" for p in ("in", "to", "at", "on", "towards")},
    **{("*", part): "" for part in ("window", "door", "wall", "corner", "room", "side")},
}  # fmt: skip
_DISTANCES = {"far_from": "far_from", "closer": "closer", "farther": "farther"}
_ROOM |= {(said, part): said for said in _DISTANCES for part in ("window", "door", "wall", "corner")}
_ROOM = {key: relation for key, relation in _ROOM.items() if relation}

# Prepositions and furniture. "at the desk" is within half a metre, as "next to" is.
_OBJECT: dict[str, str] = {
    **{name: name for name in ("left_of", "right_of", "in_front_of", "behind", "across_from", "opposite", "facing", "closer", "farther", "far_from", "near", "under", "between", "above")},
    "beside": "next_to", "at": "next_to", "to": "next_to", "against": "next_to", "towards": "closer", "on": "on_top_of",
}  # fmt: skip


def _part_at(words: Sequence[str], i: int) -> tuple[str, str | None, int] | None:
    """(part, which, end) of "the north wall", "the window wall", "the wall with the door", "a corner", "the middle of the room"."""
    while i < len(words) and words[i] in _ARTICLES:
        i += 1
    sides = []
    while i < len(words) and (words[i] in COMPASS or words[i] in _CORNERS):
        sides += _CORNERS.get(words[i], (COMPASS.get(words[i], ""),))
        i += 1
    if i >= len(words):
        return ("side", " ".join(sides), i) if sides else None
    word, following = words[i], " ".join(words[i + 1 : i + 2])
    side = " ".join(sides) or None
    if word in _WINDOWS and following == "wall" and side is None:
        return "wall", _WINDOWS[word], i + 2
    if word in _WINDOWS:
        return _WINDOWS[word], side, i + 1
    if word in ("wall", "walls"):
        return _wall_at(words, i + 1, side)
    if word in ("corner", "corners"):
        return "corner", side, i + 1
    if word in ("middle", "centre", "center") and side is None:
        end = _after(words, i + 1, ("of", "the", "room"))
        return "room", None, end
    if side is not None:
        end = i
        if word in ("side", "part", "end", "half"):
            end = _after(words, i + 1, ("of", "the", "room"))
        return "side", side, end
    return None


def _wall_at(words: Sequence[str], i: int, side: str | None) -> tuple[str, str | None, int]:
    """After "wall": which one, by what is in it, opposite of it, or its number."""
    rest = list(words[i : i + 4])
    if side is None and rest[:1] and rest[0].isdigit():
        return "wall", rest[0], i + 1
    for lead, prefix in (("with", ""), ("opposite", "opposite ")):
        if side is None and rest[:1] == [lead]:
            k = 2 if rest[1:2] and rest[1] in _ARTICLES else 1
            if len(rest) > k and rest[k] in _WINDOWS:
                return "wall", prefix + _WINDOWS[rest[k]], i + k + 1
    return "wall", side, i


def _after(words: Sequence[str], i: int, optional: Sequence[str]) -> int:
    """The end of a fixed phrase that is there as a whole or not at all."""
    return i + len(optional) if tuple(words[i : i + len(optional)]) == tuple(optional) else i


def length_at(words: Sequence[str], i: int) -> tuple[float, int] | None:
    """(cm, end) of "50 cm" or "1.8 m"."""
    if i + 1 < len(words) and words[i + 1] in UNITS and words[i].replace(".", "", 1).isdigit():
        return float(words[i]) * UNITS[words[i + 1]], i + 2
    return None


def _shift_at(words: Sequence[str], i: int) -> tuple[Place, int] | None:
    """ "50 cm to the left", "north by 1 m", "a bit to the east": a step from where something is."""
    begun, amount = i, None
    for lead in (("a", "bit"), ("a", "little"), ("slightly",)):
        if tuple(words[i : i + len(lead)]) == lead:
            amount, i = 30.0, i + len(lead)
    found = length_at(words, i + (words[i : i + 1] == ["by"]))
    if found is not None:
        amount, i = found
    end = i
    for lead in (("to", "the"), ("towards", "the"), ("to",), ()):
        if tuple(words[i : i + len(lead)]) == lead:
            end = i + len(lead)
            break
    if end >= len(words) or words[end] not in COMPASS:
        return None
    direction, end = COMPASS[words[end]], end + 1
    if words[end : end + 1] and words[end] in (
        "of", "side", "wall", "corner", "end", "half", "part", "window", "door", *COMPASS,
    ):  # fmt: skip
        return None
    after = length_at(words, end + 1) if words[end : end + 1] == ["by"] else None
    if after is not None:
        amount, end = after
    return Place("shifted", part="side", side=direction, amount=amount, words=" ".join(words[begun:end])), end
