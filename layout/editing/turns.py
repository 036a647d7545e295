"""How an edit says that something is turned: "around", "by 90 degrees clockwise", "to face the window", "to the north"."""

from __future__ import annotations

from collections.abc import Sequence

from layout.editing.operations import Place
from layout.editing.where import COMPASS, Resolve, place_at

_HALF = (("around",), ("round",), ("the", "other", "way", "around"), ("the", "other", "way"))
_WAYS = {"clockwise": -1, "right": -1, "counterclockwise": 1, "anticlockwise": 1, "left": 1}
_FACING = ("to face", "facing", "face", "to look at", "looking at", "towards", "toward", "to", "at")


def turn_at(words: Sequence[str], i: int, ids: Sequence[str], resolve: Resolve) -> tuple[Place, int] | None:
    """(a place "turned" by degrees counter-clockwise, or "facing" something; where it ends), or None."""
    for half in _HALF:
        if tuple(words[i : i + len(half)]) == half:
            return Place("turned", amount=180.0, words=" ".join(half)), i + len(half)
    by = _degrees_at(words, i)
    if by is not None:
        return by
    for said in _FACING:
        lead = said.split()
        if list(words[i : i + len(lead)]) != lead:
            continue
        found = place_at(["facing", *words[i + len(lead) :]], 0, ids, resolve, None, new=True)
        if found is not None:
            end = i + len(lead) + found[1] - 1
            place = found[0]
            heard = " ".join(["facing", *words[i + len(lead) : end]])
            return Place("facing", place.targets, place.part, place.side, words=heard), end
    if words[i : i + 1] and words[i] in COMPASS and words[i] not in _WAYS:
        return Place("facing", part="side", side=COMPASS[words[i]], words=f"facing {words[i]}"), i + 1
    return None


def _degrees_at(words: Sequence[str], i: int) -> tuple[Place, int] | None:
    """ "by 90 degrees", "90° to the left", "clockwise": counter-clockwise where no way is said."""
    begun, amount = i, None
    if words[i : i + 1] == ["by"]:
        i += 1
    if (
        i + 1 < len(words)
        and words[i].replace(".", "", 1).isdigit()
        and words[i + 1] in ("degrees", "degree", "°", "deg")
    ):
        amount, i = float(words[i]), i + 2
    elif tuple(words[i : i + 3]) == ("a", "quarter", "turn"):
        amount, i = 90.0, i + 3
    k = i + 2 if tuple(words[i : i + 2]) == ("to", "the") else i
    way = 1
    if words[k : k + 2] in (["counter", "clockwise"], ["anti", "clockwise"]):
        i, amount = k + 2, amount or 90.0
    elif words[k : k + 1] and words[k] in _WAYS:
        way, i, amount = _WAYS[words[k]], k + 1, amount or 90.0
    if amount is None:
        return None
    return Place("turned", amount=way * amount, words=" ".join(words[begun:i])), i
