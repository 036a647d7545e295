"""Names on a plan: inside the footprint where they fit, else a number and a line in the key. No two texts on the same spot."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from layout.geometry import Point
from layout.render.drawing import INK, Drawing, Label, overlapping
from layout.schema import Scene, SceneObject

SIZES = (11.0, 9.5, 8.0)
NUMBER = 7.5
RED = "#a31515"


class Lettering:
    """Places the names of a scene's objects; `key` holds those that got a number."""

    def __init__(self, scene: Scene, drawing: Drawing, bad: Collection[str] = ()) -> None:
        self.key: list[str] = []
        self._scene, self._drawing, self._bad = scene, drawing, bad
        self._taken: list[tuple[float, float, float, float]] = []

    def draw_names(self) -> None:
        """Large pieces first: they have room for their names; a rug is seen between what stands on it."""
        numbered = []
        for o in sorted(self._scene.objects, key=lambda o: -o.box.area):
            label = next((one for one in self._written(o) if self._free(one, o)), None)
            if label is None:
                numbered.append(o)
            else:
                self._put(label)
        kinds = list(dict.fromkeys(o.category for o in numbered))  # one number a category
        for o in numbered:
            n = kinds.index(o.category) + 1
            options = [self._label(o, str(n), at, NUMBER) for at in _spots(o, 0.38)]
            seen = [one for one in options if self._clear(one)] or options
            self._put(next((one for one in seen if not self._covered(one, o)), seen[0]))
        self.key = [f"{n} {kind.replace('_', ' ')}" for n, kind in enumerate(kinds, 1)]

    def _put(self, label: Label) -> None:
        self._taken.append(label.box)
        self._drawing.shapes.append(label)

    def _label(self, o: SceneObject, text: str, at: Point, size: float, upright: bool = False) -> Label:
        bad = o.id in self._bad
        return Label(text, at, size, RED if bad else INK, upright=upright, bold=bad, halo="#ffffff")

    def _written(self, o: SceneObject) -> Iterator[Label]:
        """The name in all the ways it might be written, the best first."""
        x0, y0, x1, y1 = o.box.bounds
        for size in SIZES:
            for upright in (False, True) if x1 - x0 >= y1 - y0 else (True, False):
                for at in (*_spots(o, 0.27), *_spots(o, 0.42)):
                    yield self._label(o, o.category.replace("_", " "), at, size, upright)

    def _free(self, label: Label, o: SceneObject) -> bool:
        """Whether a name lies in its own footprint and on nothing else that is written or stands there."""
        x0, y0, x1, y1 = label.box
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        w, d = o.box.width / 2, o.box.depth / 2
        if any(abs(a) > w - 1 or abs(b) > d - 1 for a, b in map(o.box.local, corners)):
            return False
        return self._clear(label) and not self._covered(label, o)

    def _covered(self, label: Label, o: SceneObject) -> bool:
        """Whether something higher than the object stands where its text would be."""
        over = (p for p in self._scene.objects if p is not o and p.on != "ceiling" and p.box.top > o.box.top)
        return any(overlapping(label.box, p.box.bounds) for p in over)

    def _clear(self, label: Label) -> bool:
        return not any(overlapping(label.box, other) for other in self._taken)


def _spots(o: SceneObject, share: float) -> Iterator[Point]:
    """The centre, then points off it by a share of the footprint."""
    w, d = o.box.width * share, o.box.depth * share
    for a, b in ((0, 0), (0, -d), (0, d), (-w, 0), (w, 0), (-w, -d), (w, -d), (-w, d), (w, d)):
        yield o.box.world((a, b))
