"""Own categories and products through a layout model that knows the built-in ones only.

A request for "two Billys" is put to it as one for two bookshelves; what comes back is renamed, and every new piece of a category with
products gets the size of the nearest one exactly. Reports say each change of size. The schema takes the own sizes where it bounds sizes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from layout.catalogue import BUILT_IN, CATALOGUE, Category, Size, base, named, own
from layout.placement import wall_gap
from layout.rules import WALL_GAP
from layout.schema import Scene, SceneObject
from layout.serialise import mentioned
from layout.wording import NUMBERS, plural

_WORD = re.compile(r"[A-Za-z0-9]+")
_NUMBER = re.compile(rf"^(?:\d+|an?|both|{'|'.join(NUMBERS.values())})$", re.IGNORECASE)


@dataclass(frozen=True)
class Substitution:
    """A piece that got the size of a product: its id, and both sizes in cm."""

    id: str
    written: Size
    product: Size

    @property
    def message(self) -> str:
        written, product = (" x ".join(f"{v:g}" for v in size) for size in (self.written, self.product))
        return f"{self.id}: {product} cm, the nearest of the catalogue, in place of {written} cm"


def wanted(request: str) -> dict[str, int]:
    """The own categories that a request names and how many of each.

    Raises ValueError for one that the model cannot be asked for because it is like nothing built in.
    """
    found = {name: n for name, n in mentioned(request).items() if name not in BUILT_IN}
    for name in found:
        if not CATALOGUE[name].like:
            raise ValueError(
                f"a layout model does not know {name!r}; say in the catalogue which built-in category it is like"
            )
    return found


def in_known_words(request: str) -> str:
    """The request with own nouns replaced by what they are like; where that adds up, the first mention says how many there are in all."""
    counts: Counter[str] = Counter()
    for name, n in mentioned(request).items():
        counts[base(name)] += n
    own_bases = {base(name) for name in wanted(request)}
    spans = list(_mentions(request))
    said = Counter(base(name) for name, _, _ in spans if base(name) in own_bases)
    pieces, at, seen = [], 0, set()
    for name, start, end in spans:
        kind = base(name)
        if kind not in own_bases:
            continue
        noun = BUILT_IN[kind].synonyms[0]
        if said[kind] == 1:
            text = plural(noun) if counts[kind] > 1 else noun
        else:
            start = _with_number(request, at, start)
            text = f"{counts[kind]} {plural(noun)}" if kind not in seen else f"the {noun}"
        pieces += [request[at:start], text]
        at = end
        seen.add(kind)
    return "".join([*pieces, request[at:]])


def _mentions(request: str) -> Iterator[tuple[str, int, int]]:
    """(category, start, end) of every noun, the longest first, as `layout.serialise.mentioned` reads them."""
    words = list(_WORD.finditer(request))
    i = 0
    while i < len(words):
        for length in (3, 2, 1):
            name = named(" ".join(w[0] for w in words[i : i + length])) if i + length <= len(words) else None
            if name is not None:
                yield name, words[i].start(), words[i + length - 1].end()
                i += length
                break
        else:
            i += 1


def _with_number(request: str, after: int, start: int) -> int:
    """Where a noun's number begins, or the noun itself when the word before it is none."""
    before = list(_WORD.finditer(request, after, start))
    return before[-1].start() if before and _NUMBER.match(before[-1][0]) else start


def wire_entries(counts: Mapping[str, int]) -> list[Category]:
    """The built-in categories as the model is to use them: with the sizes of own products, and of the own categories asked for."""
    found = {entry.name: entry for entry in own() if entry.name in BUILT_IN}
    asked: dict[str, list[Category]] = {}
    for name, n in counts.items():
        if n and CATALOGUE[name].like:
            asked.setdefault(base(name), []).append(CATALOGUE[name])
    for kind, entries in asked.items():
        if counts.get(kind):
            entries = [*entries, CATALOGUE[kind]]
        first = found.get(kind, BUILT_IN[kind])
        sides = {
            side: (
                min(getattr(e, side)[0] for e in entries),
                max(getattr(e, side)[1] for e in entries),
            )
            for side in ("width", "depth", "height", "bottom")
        }
        places = tuple(dict.fromkeys(base(place) for e in entries for place in e.on))
        found[kind] = replace(first, **sides, on=places, products=())
    return list(found.values())


def taken_back(
    scene: Scene, counts: Mapping[str, int], kept: frozenset[str]
) -> tuple[Scene, tuple[Substitution, ...]]:
    """An answer with own names and product sizes; `counts` is what the request names, `kept` the ids that stay as they are."""
    scene = _renamed(scene, counts, kept)
    changes = []
    for o in scene.objects:
        if o.id in kept or o.category not in CATALOGUE or not CATALOGUE[o.category].products:
            continue
        product = min(
            CATALOGUE[o.category].products,
            key=lambda size, o=o: sum(abs(v - w) for v, w in zip(size, o.size, strict=True)),
        )
        if product != o.size:
            changes.append(Substitution(o.id, o.size, product))
            scene = _resized(scene, scene.by_id[o.id], product)
    return scene, tuple(changes)


def _renamed(scene: Scene, counts: Mapping[str, int], kept: frozenset[str]) -> Scene:
    """The first so many new pieces of a built-in category under the own names that were asked for."""
    due = [name for name, n in counts.items() if CATALOGUE[name].like for _ in range(n)]
    taken = {o.id for o in scene.objects}
    for o in scene.objects:
        if o.id in kept and o.category in due:
            due.remove(o.category)
    renamed: dict[str, tuple[str, str]] = {}
    for o in scene.objects:
        name = next((n for n in due if base(n) == o.category), None)
        if o.id in kept or name is None:
            continue
        due.remove(name)
        number = next(k for k in range(1, len(taken) + 2) if f"{name}_{k}" not in taken)
        renamed[o.id] = f"{name}_{number}", name
        taken.add(f"{name}_{number}")
    if not renamed:
        return scene
    ids = {old: new for old, (new, _) in renamed.items()}
    objects = (
        o.moved(
            id=ids.get(o.id, o.id), category=renamed.get(o.id, ("", o.category))[1], on=ids.get(o.on, o.on)
        )
        for o in scene.objects
    )
    return Scene(room=scene.room, objects=tuple(objects))


def _resized(scene: Scene, o: SceneObject, size: Size) -> Scene:
    """The scene with a piece of another size: its back stays where it was when that is at a wall, its top keeps what stands on it."""
    x, y, z = o.pos
    if wall_gap(o.box, scene.room.walls) <= WALL_GAP:
        x, y = o.box.world((0.0, (o.size[1] - size[1]) / 2))
    if o.on == "ceiling":
        z += o.size[2] - size[2]
    changed = o.moved(size=size, pos=(round(x, 4), round(y, 4), z))
    risen = changed.box.top - o.box.top
    scene = scene.replaced(changed)
    for child in scene.objects:
        if child.on == o.id and risen:
            scene = _raised(scene, child, risen)
    return scene


def _raised(scene: Scene, o: SceneObject, by: float) -> Scene:
    scene = scene.replaced(o.moved(pos=(o.pos[0], o.pos[1], o.pos[2] + by)))
    for child in scene.objects:
        if child.on == o.id:
            scene = _raised(scene, child, by)
    return scene
