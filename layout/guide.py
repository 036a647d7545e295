"""What may be written next in an answer: the objects of a plan, choice by choice, each where it meets nothing.

A `RoomGuide` is followed while a model writes. It offers the texts of which one comes next (how a piece stands, then its six numbers one by
one), is told which was taken, and so knows the room as far as it is written. That is the same space as `layout.answer_schema.piece_schema`
has, and more exact: the end of a span follows from its beginning, and at the yaw of an oblique wall every position is tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from layout import oblique, regions
from layout.answer_schema import yaws
from layout.asking import NumberChoice
from layout.catalogue import CATALOGUE, Category
from layout.places import Pair, Place, Span, places
from layout.schema import PLACES, RelationSpec, Room, SceneObject
from layout.serialise import category_of, of_span, origin

Size = tuple[float, float, float]
Signs = tuple[str, str, str, str, str]
# cm between the positions that are tried where it only matters whether there is one: on the floor, and at walls and on tops.
LOOK, LOOK_CLOSELY = 8, 4


class Numbers(Protocol):
    """The six numbers of a piece, one after the other: what follows each but the last, the ranges of the next, and what they come to."""

    signs: Signs

    def allowed(self, numbers: Sequence[int]) -> Sequence[Pair]: ...

    def placed(self, numbers: Sequence[int]) -> tuple[Size, Size]: ...


class RoomGuide:
    """The answer from its objects on: `ids` in their order, of which the first, `before`, are there already.

    Where the request said how something stands (`said`), a piece is offered only the places at which that holds, if there are any.
    `opening` is the text before the first of the new pieces. After `most` new pieces (None: all) the text ends, with the name of the
    next piece: in training one token had both.
    """

    def __init__(
        self,
        room: Room,
        ids: Sequence[str],
        opening: str,
        before: Sequence[SceneObject] = (),
        *,
        said: Sequence[RelationSpec] = (),
        most: int | None = None,
    ) -> None:
        self.room, self.ids, self.opening = room, ids, opening
        self.said = said
        self.objects = list(before)
        self._oblique_yaws = [yaw for yaw in yaws(room) if yaw % 90]
        self._first = len(before)
        self._last = len(ids) if most is None else min(len(ids), len(before) + most)
        self._heads: dict[str, tuple[str, int, Numbers]] = {}
        self._chosen: tuple[str, int, Numbers] | None = None
        self._numbers: list[int] = []

    def options(self) -> list[str] | NumberChoice:
        """The texts of which one comes next; none at the end."""
        if len(self.objects) == self._last:
            return []
        if self._chosen is None:
            self._heads = dict(self._ways())
            return list(self._heads)
        form = self._chosen[2]
        return NumberChoice(joined(form.allowed(self._numbers)), self._sign(form))

    def take(self, text: str) -> None:
        """What was written, one of the options."""
        if self._chosen is None:
            self._chosen = self._heads[text]
            return
        on, yaw, form = self._chosen
        self._numbers.append(int(text.removesuffix(self._sign(form))))
        if len(self._numbers) == 6:
            size, pos = form.placed(self._numbers)
            name = self.ids[len(self.objects)]
            self.objects.append(
                SceneObject(id=name, category=category_of(name), size=size, yaw=yaw, pos=pos, on=on)
            )
            self._chosen, self._numbers = None, []

    def _sign(self, form: Numbers) -> str:
        """What is written with the next number."""
        k = len(self._numbers)
        if k < 5:
            return form.signs[k]
        following = len(self.objects) + 1
        return "]}]}" if following == len(self.ids) else ']},{"id":"' + category_of(self.ids[following])

    def _ways(self) -> Iterator[tuple[str, tuple[str, int, Numbers]]]:
        """How the next piece may stand, by the text that says so."""
        name = self.ids[len(self.objects)]
        entry = CATALOGUE[category_of(name)]
        whole = len(self.objects) == self._first
        start = self.opening + '{"id":"' + name if whole else name.removeprefix(category_of(name))
        coming = self.ids[len(self.objects) + 1 :]
        kept = regions.kept_for(self.room, self.said, coming, category_of(name))
        everywhere = places(self.room, entry, self.objects, kept)
        found = regions.as_said(everywhere, self.room, self.said, name, self.objects)
        turned = list(self._oblique(entry)) if self._oblique_yaws and found is everywhere else []
        for place in found if found or turned else _anywhere(self.room, entry, self.objects):
            carrier = next((o for o in self.objects if o.id == place.on), None)
            under = self.room.height if place.on == "ceiling" else None
            for yaw in place.yaws:
                form = _SpanNumbers(place.spans, yaw, origin(carrier), under)
                yield f'{start}","on":"{place.on}","yaw":{yaw},"span":[', (place.on, yaw, form)
        for on, yaw, form in turned:
            yield f'{start}","on":"{on}","yaw":{yaw},"size":[', (on, yaw, form)

    def _oblique(self, entry: Category) -> Iterator[tuple[str, int, Numbers]]:
        """Along oblique walls and on what stands there, where the smallest of its kind fits."""
        for on in (*PLACES[:2], *(o.id for o in self.objects if o.box.yaw % 90)):
            kind = on if on in PLACES else category_of(on)
            if kind not in entry.on:
                continue
            for yaw in self._oblique_yaws:
                form = _PoseNumbers(self.room, tuple(self.objects), entry, on, yaw)
                if form.fits():
                    yield on, yaw, form


class _SpanNumbers:
    """x0, x1, y0, y1, z0, z1 within one of several spans."""

    signs: Signs = (",", ",", ",", ",", ",")

    def __init__(
        self, spans: Sequence[Span], yaw: int, corner: tuple[int, int, int], under: float | None
    ) -> None:
        self.spans, self.yaw, self.corner, self.under = spans, yaw, corner, under

    def allowed(self, numbers: Sequence[int]) -> list[Pair]:
        k = len(numbers)
        ranges = []
        for span in self.spans:
            if all(low <= n <= high for n, (low, high) in zip(numbers, span.ends, strict=False)):
                low, high = span.ends[k]
                if k % 2:
                    begun = numbers[-1]
                    low, high = max(low, begun + span.least[k // 2]), min(high, begun + span.most[k // 2])
                ranges.append((low, high))
        return ranges

    def placed(self, numbers: Sequence[int]) -> tuple[Size, Size]:
        return of_span(numbers, self.yaw, self.corner, under=self.under)


class _PoseNumbers:
    """Width, depth, height within the category's range, then x, y, z where a piece of this size meets nothing."""

    signs: Signs = (",", ",", '],"pos":[', ",", ",")

    def __init__(
        self, room: Room, objects: Sequence[SceneObject], entry: Category, on: str, yaw: int
    ) -> None:
        self.room, self.objects, self.entry, self.on, self.yaw = room, objects, entry, on, yaw
        self._free_XY = np.zeros((0, 0), dtype=bool)

    def fits(self, width: float | None = None, depth: float | None = None) -> bool:
        """Whether there is a place for the smallest of its kind, or for one of this width and depth."""
        size = width or self.entry.width[0], depth or self.entry.depth[0], self.entry.height[0]
        return bool(self._positions(size, LOOK if self.on == "floor" else LOOK_CLOSELY).any())

    def _largest(self, low: float, high: float, numbers: Sequence[int]) -> int:
        """The greatest width, or the greatest depth at the width that is written, for which there is a place; `low` has one."""
        least, most = math.ceil(low), math.floor(high)
        while least < most:
            middle = (least + most + 1) // 2
            least, most = (middle, most) if self.fits(*numbers, middle) else (least, middle - 1)
        return least

    def allowed(self, numbers: Sequence[int]) -> list[Pair]:
        k = len(numbers)
        if k < 2:
            low, high = (self.entry.width, self.entry.depth)[k]
            return [(math.ceil(low), self._largest(low, high, numbers))]
        if k == 2:
            low, high = self.entry.height
            return [(math.ceil(low), math.floor(max(low, min(high, self.room.height))))]
        if k == 3:
            self._free_XY = self._positions(numbers)
            if not self._free_XY.any():  # one so high meets something
                self._free_XY[:] = True
            return _runs(np.any(self._free_XY, axis=1))
        if k == 4:
            return _runs(self._free_XY[numbers[3]])
        if self.on == "wall":
            low, high = self.entry.bottom
            return [(round(low), max(round(low), round(min(high, self.room.height - numbers[2]))))]
        carrier = next((o for o in self.objects if o.id == self.on), None)
        bottom = round(carrier.box.top) if carrier else 0
        return [(bottom, bottom)]

    def placed(self, numbers: Sequence[int]) -> tuple[Size, Size]:
        w, d, h, x, y, z = numbers
        return (w, d, h), (x, y, z)

    def _positions(self, size: Sequence[float], step: int = 1) -> np.ndarray:
        return oblique.positions(self.room, self.objects, self.entry, self.on, self.yaw, size, step=step)


def joined(ranges: Sequence[Pair]) -> tuple[Pair, ...]:
    """Ranges of whole numbers in order, those that meet or touch as one; empty ones are left out."""
    found: list[Pair] = []
    for low, high in sorted(r for r in ranges if r[0] <= r[1]):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return tuple(found)


def _runs(free_N: Any) -> list[Pair]:
    """First and last index of every run of True in a row of booleans."""
    edges = np.flatnonzero(np.diff(np.asarray(free_N, dtype=np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], [e - 1 for e in edges[1::2]], strict=True))


def _anywhere(room: Room, entry: Category, objects: Sequence[SceneObject]) -> list[Place]:
    """On anything that may carry it, within the rectangle around the room: where nothing of this category fits any more."""
    width, depth = map(round, room.extent)
    low = math.ceil(entry.height[0])
    high = math.floor(max(entry.height[0], min(entry.height[1], room.height)))
    level = ((0, width - 1), (1, width), (0, depth - 1), (1, depth))
    top = round(room.height)
    stands = Span((*level, (0, 0), (low, high)), (1, 1, low), (width, depth, high))
    hangs = Span((*level, (0, top - low), (low, top)), (1, 1, low), (width, depth, top))
    carriers = [o.id for o in objects if category_of(o.id) in entry.on]
    on = [*(p for p in PLACES if p in entry.on), *carriers] or ["floor"]
    return [Place(p, (0, 90, 180, 270), (hangs if p == "wall" else stands,)) for p in on]
