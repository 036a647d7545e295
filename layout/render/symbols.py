"""What furniture looks like from above: the signs of architects' plans, in an object's own frame (front at −y, centimetres).

A symbol is the lines within the footprint; the outline is drawn by the plan. Each function takes half the width and half the depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from layout.geometry import Point
from layout.render.drawing import ellipse, rounded

Stroke = tuple[list[Point], bool]  # points, closed
Symbol = Callable[[float, float], Iterator[Stroke]]


def _box(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> Stroke:
    return rounded(x0, y0, x1, y1, radius), True


def _double_bed(w: float, d: float) -> Iterator[Stroke]:
    top = d - 8
    for x0, x1 in ((-w + 8, -4), (4, w - 8)):
        yield _box(x0, top - 36, x1, top, 7)
    yield [(-w, top - 46), (w, top - 46)], False
    yield [(-w, top - 64), (w, top - 64)], False


def _single_bed(w: float, d: float) -> Iterator[Stroke]:
    top = d - 8
    yield _box(-w + 10, top - 36, w - 10, top, 7)
    yield [(-w, top - 46), (w, top - 46)], False
    yield [(-w, top - 64), (w, top - 64)], False


def _sofa(w: float, d: float) -> Iterator[Stroke]:
    arm, back = min(18, w / 4), min(20, d / 2)
    yield [(-w + arm, -d), (-w + arm, d - back), (w - arm, d - back), (w - arm, -d)], False
    seats = max(1, round((2 * w - 2 * arm) / 65))
    for i in range(1, seats):
        x = -w + arm + (2 * w - 2 * arm) * i / seats
        yield [(x, -d), (x, d - back)], False


def _chair(w: float, d: float) -> Iterator[Stroke]:
    yield _box(-w + 4, -d + 3, w - 4, d - 9, 6)
    yield [(-w + 2, d - 5), (w - 2, d - 5)], False


def _wardrobe(w: float, d: float) -> Iterator[Stroke]:
    yield [(-w + 4, 0), (w - 4, 0)], False  # the rail, and clothes on it
    hangers = max(2, round(2 * w / 12))
    for i in range(hangers):
        x = -w + 8 + (2 * w - 16) * i / max(1, hangers - 1)
        lean = 3 if i % 2 else -3
        yield [(x - lean, -d * 0.7), (x + lean, d * 0.7)], False


def _shelf(w: float, d: float) -> Iterator[Stroke]:
    yield [(-w, d - 3), (w, d - 3)], False
    yield [(-w, -d), (w, d)], False


def _drawers(w: float, d: float) -> Iterator[Stroke]:
    yield [(-w, -d + 4), (w, -d + 4)], False


def _stove(w: float, d: float) -> Iterator[Stroke]:
    for x in (-w * 0.45, w * 0.45):
        for y in (-d * 0.4, d * 0.45):
            yield ellipse((x, y), w * 0.28, w * 0.28), True


def _kitchen_sink(w: float, d: float) -> Iterator[Stroke]:
    yield _box(-w + 6, -d + 10, w * 0.25, d - 14, 6)
    yield ellipse((-w * 0.35, d - 8), 2.5, 2.5), True
    for i in range(3):
        x = w * 0.4 + i * w * 0.18
        yield [(x, -d + 12), (x, d - 14)], False


def _crossed(w: float, d: float) -> Iterator[Stroke]:
    yield [(-w, -d), (w, d)], False
    yield [(-w, d), (w, -d)], False


def _fridge(w: float, d: float) -> Iterator[Stroke]:
    yield from _crossed(w, d)
    yield [(-w, -d + 5), (w, -d + 5)], False


def _machine(w: float, d: float) -> Iterator[Stroke]:
    yield [(-w, -d + 5), (w, -d + 5)], False
    yield ellipse((0, 0), min(w, d) * 0.6, min(w, d) * 0.6), True


def _toilet(w: float, d: float) -> Iterator[Stroke]:
    yield _box(-w + 2, d - 18, w - 2, d - 2, 3)
    yield ellipse((0, -9), w * 0.85, d - 12), True
    yield ellipse((0, -9), w * 0.55, d - 22), True


def _basin(w: float, d: float) -> Iterator[Stroke]:
    yield ellipse((0, -2), min(w * 0.75, 28), d * 0.6), True
    yield ellipse((0, d - 6), 2.5, 2.5), True


def _bathtub(w: float, d: float) -> Iterator[Stroke]:
    yield _box(-w + 7, -d + 7, w - 7, d - 7, 24)
    yield ellipse((-w + 26, 0), 3, 3), True


def _shower(w: float, d: float) -> Iterator[Stroke]:
    yield _box(-w + 4, -d + 4, w - 4, d - 4, 3)
    yield from _crossed(w - 4, d - 4)
    yield ellipse((0, 0), 4, 4), True


def _plant(w: float, d: float) -> Iterator[Stroke]:
    yield ellipse((0, 0), w * 0.45, d * 0.45), True
    for x, y in ((1, 0), (0.7, 0.7), (0, 1), (-0.7, 0.7)):
        yield [(-x * w * 0.95, -y * d * 0.95), (x * w * 0.95, y * d * 0.95)], False


def _lamp(w: float, d: float) -> Iterator[Stroke]:
    yield ellipse((0, 0), w * 0.4, d * 0.4), True


def _light(w: float, d: float) -> Iterator[Stroke]:
    yield [(-w * 0.7, -d * 0.7), (w * 0.7, d * 0.7)], False
    yield [(-w * 0.7, d * 0.7), (w * 0.7, -d * 0.7)], False


def _rug(w: float, d: float) -> Iterator[Stroke]:
    yield _box(-w + 6, -d + 6, w - 6, d - 6)


SYMBOLS: dict[str, Symbol] = {
    "double_bed": _double_bed,
    "single_bed": _single_bed,
    "sofa": _sofa,
    "armchair": _sofa,
    "desk_chair": _chair,
    "dining_chair": _chair,
    "wardrobe": _wardrobe,
    "bookshelf": _shelf,
    "dresser": _drawers,
    "nightstand": _drawers,
    "sideboard": _drawers,
    "stove": _stove,
    "kitchen_sink": _kitchen_sink,
    "fridge": _fridge,
    "dishwasher": _drawers,
    "washing_machine": _machine,
    "toilet": _toilet,
    "vanity": _basin,
    "bathtub": _bathtub,
    "shower": _shower,
    "plant": _plant,
    "floor_lamp": _lamp,
    "table_lamp": _lamp,
    "ceiling_light": _light,
    "rug": _rug,
}
ROUND = frozenset(
    {"plant", "floor_lamp", "table_lamp", "ceiling_light", "vase", "fruit_bowl", "mug", "bar_stool", "kettle"}
)
