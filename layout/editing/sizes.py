"""How an edit says that something has another size: "bigger", "a bit narrower", "180 cm wide", "to 160 x 200 cm"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layout.catalogue import CATALOGUE, Range
from layout.editing.operations import Size
from layout.editing.where import UNITS, length_at
from layout.schema import Room, SceneObject

STEP = 1.2  # what "bigger" multiplies a side by; "a bit" half of that
WIDTH, DEPTH, HEIGHT, LONGER = "width", "depth", "height", "longer side"
_SIDES = {
    "wide": WIDTH, "width": WIDTH, "deep": DEPTH, "depth": DEPTH, "tall": HEIGHT, "high": HEIGHT, "height": HEIGHT, "long": LONGER, "length": LONGER,
}  # fmt: skip
_COMPARED: dict[str, tuple[tuple[str, ...], int]] = {
    "bigger": ((WIDTH, DEPTH), 1), "larger": ((WIDTH, DEPTH), 1), "smaller": ((WIDTH, DEPTH), -1),
    "wider": ((WIDTH,), 1), "broader": ((WIDTH,), 1), "narrower": ((WIDTH,), -1), "deeper": ((DEPTH,), 1), "shallower": ((DEPTH,), -1),
    "longer": ((LONGER,), 1), "shorter": ((LONGER,), -1), "taller": ((HEIGHT,), 1), "higher": ((HEIGHT,), 1), "lower": ((HEIGHT,), -1),
}  # fmt: skip
_VERBS: dict[str, tuple[tuple[str, ...], int]] = {
    "enlarge": _COMPARED["bigger"], "widen": _COMPARED["wider"], "shrink": _COMPARED["smaller"],
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """Sides and what becomes of them: a factor, or centimetres."""

    words: str
    factors: dict[str, float]
    lengths: dict[str, float]


def change_at(words: Sequence[str], i: int, verb: str) -> tuple[Change | None, int]:
    """(the change said at a word, its end); (None, i) where none is said. "widen" alone is one."""
    begun = i
    if words[i : i + 1] == ["to"]:
        i += 1
    exact = _product_at(words, i)
    if exact is not None:
        sides, end = exact
        return Change(
            " ".join(words[begun:end]), {}, dict(zip((WIDTH, DEPTH, HEIGHT), sides, strict=False))
        ), end
    lengths: dict[str, float] = {}
    while True:
        k = i + 1 if lengths and words[i : i + 1] == ["and"] else i
        found = length_at(words, k)
        if found is None or words[found[1] : found[1] + 1] == []:
            break
        cm, k = found
        k += words[k : k + 1] == ["in"]
        if words[k] not in _SIDES:
            break
        lengths[_SIDES[words[k]]] = cm
        i = k + 1
    if lengths:
        return Change(" ".join(words[begun:i]), {}, lengths), i
    share = 1.0
    for lead in (("a", "bit"), ("a", "little"), ("slightly",), ("somewhat",)):
        if tuple(words[i : i + len(lead)]) == lead:
            share, i = 0.5, i + len(lead)
    if words[i : i + 1] == ["much"]:
        share, i = 2.0, i + 1
    if words[i : i + 1] and words[i] in _COMPARED:
        sides_, way = _COMPARED[words[i]]
        i += 1
    elif verb in _VERBS:
        sides_, way = _VERBS[verb]
    else:
        return None, begun
    factor = (1 + (STEP - 1) * share) ** way
    return Change(" ".join(words[begun:i]) or verb, dict.fromkeys(sides_, factor), {}), i


def _product_at(words: Sequence[str], i: int) -> tuple[list[float], int] | None:
    """ "160 x 200 cm", "1.6 by 2 m": width, depth and perhaps height."""
    numbers: list[float] = []
    while i < len(words) and words[i].replace(".", "", 1).isdigit() and len(numbers) < 3:
        numbers.append(float(words[i]))
        i += 1
        if i < len(words) and words[i] in UNITS and words[i + 1 : i + 2] in (["x"], ["by"]):
            i += 1
        if words[i : i + 1] not in (["x"], ["by"]):
            break
        i += 1
    if len(numbers) < 2 or words[i : i + 1] == [] or words[i] not in UNITS:
        return None
    return [v * UNITS[words[i]] for v in numbers], i + 1


def resized(o: SceneObject, change: Change, room: Room) -> Size:
    """The new size in whole cm: said lengths as they are, compared ones within what the category has.

    Raises ValueError for a length that no furniture in this room has, and for a change that the category does not allow.
    """
    size: dict[str, float] = {WIDTH: o.size[0], DEPTH: o.size[1], HEIGHT: o.size[2]}
    longer = WIDTH if o.size[0] >= o.size[1] else DEPTH
    entry = CATALOGUE.get(o.category)
    most = max(*room.extent, room.height)
    for side, cm in change.lengths.items():
        if not 1 <= cm <= most:
            raise ValueError(f"{change.words!r}: {o.id} cannot be {cm:g} cm in a room of {room.extent[0]:g} x {room.extent[1]:g} x {room.height:g} cm")  # fmt: skip
        size[longer if side == LONGER else side] = round(cm)
    for side, factor in change.factors.items():
        name = longer if side == LONGER else side
        value = size[name] * factor
        if entry is not None:
            ranges: dict[str, Range] = {WIDTH: entry.width, DEPTH: entry.depth, HEIGHT: entry.height}
            low, high = ranges[name]
            value = min(max(value, min(low, size[name])), max(high, size[name]))
        size[name] = round(value)
    if entry is not None and entry.square and size[WIDTH] != size[DEPTH]:
        chosen = WIDTH if size[WIDTH] != o.size[0] else DEPTH
        size[WIDTH] = size[DEPTH] = size[chosen]
    found = (size[WIDTH], size[DEPTH], size[HEIGHT])
    if all(abs(a - b) < 0.5 for a, b in zip(found, o.size, strict=True)):
        raise ValueError(
            f"{change.words!r}: {o.id} is {' x '.join(f'{v:g}' for v in o.size)} cm already, "
            + (
                "as asked"
                if change.lengths
                else f"as far as a {o.category.replace('_', ' ')} goes; give centimetres to go further"
            )
        )
    return found
