"""Rooms as the text a language model reads and writes.

The answer is one line of JSON without spaces; training, constrained decoding and parsing use these same bytes:

    {"plan":"double_bed at wall 3; …","objects":[{"id":"double_bed_1","on":"floor","yaw":90,"span":[0,205,140,300,0,50]},…]}

Whole centimetres and degrees. The category is the id without its number; carriers come before what they carry. `span` is where a thing begins
and ends along x, y and z. So what touches repeats a number that is there already, a wall's or a neighbour's, and nothing has to be added
or halved to say so: small models copy well and add badly. The span of what stands on something else is counted from that thing's
south-western corner and top, z under the ceiling is counted down from it. What is not at a quarter turn says
`"size":[w,d,h],"pos":[x,y,z]` instead, `pos` being the centre of its bottom in the room. Without a plan the first property is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from layout.catalogue import CATALOGUE, named
from layout.instructions import plan_text
from layout.schema import PLACES, Room, Scene, SceneObject

MAX_PER_CATEGORY = 8  # ids of one category that a schema without a plan offers
MAX_OBJECTS = 30  # objects that a schema without a plan allows
PLAN_CHARACTERS = 1200
_GROUP = re.compile(r"^(?:(\d{1,2}) )?([a-z][a-z0-9_]*) ")
_UNITS = ("m", "m2", "sqm", "cm", "mm", "ft", "feet", "sqft", "x", "by")
_NUMBER_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "both": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
}  # fmt: skip


def room_text(room: Room) -> str:
    """The empty room in a few lines: type, outline, openings; wall i runs from corner i to the next.

    A door comes with the rectangle of floor that has to stay free before it, a window with where it is: like the spans of furniture, so that
    nothing has to be worked out to stay clear of them.

    room bedroom height 260
    corners 0,0 400,0 400,350 0,350
    door wall 0 span 20,110,0,90 opens in
    window wall 2 span 200,340,350,350 sill 90 head 210
    """
    lines = [f"room {room.room_type} height {round(room.height)}"]
    lines.append("corners " + " ".join(f"{round(x)},{round(y)}" for x, y in room.polygon))
    for d in room.doors:
        opens = "" if d.hinge == "none" or d.swing == "none" else f" opens {d.swing}"
        floor = room.walls[d.wall].strip(d.start, d.end, d.clear_depth)
        lines.append(f"door wall {d.wall} span {_flat_span(floor)}{opens}")
    for w in room.windows:
        ends = [room.walls[w.wall].at(mark, 0) for mark in (w.start, w.end)]
        lines.append(
            f"window wall {w.wall} span {_flat_span(ends)} sill {round(w.sill)} head {round(w.head)}"
        )
    return "\n".join(lines)


def _flat_span(points: Sequence[tuple[float, float]]) -> str:
    """x0,x1,y0,y1 around points, in whole cm."""
    xs, ys = [math.floor(x + 0.5) for x, _ in points], [math.floor(y + 0.5) for _, y in points]
    return f"{min(xs)},{max(xs)},{min(ys)},{max(ys)}"


def prompt_text(room: Room, request: str, *, plan: bool = True, keep: Sequence[SceneObject] = ()) -> str:
    """What a layout model is asked: the room, pieces that stay where they are, the request, and whether to plan first."""
    kept = [f"keep {_dumps(object_json(o, keep, room.height))}" for o in keep]
    answer = "answer plan and objects" if plan else "answer objects"
    return "\n".join([room_text(room), *kept, f"request {' '.join(request.split())}", answer])


def answer_text(scene: Scene, *, plan: bool = True, kept: int = 0) -> str:
    """The answer that describes a scene, in the wire's form; lengths and yaws are rounded to whole numbers.

    The first `kept` objects were there before; the plan of what is new follows theirs and does not run on from it.
    """
    ordered = carriers_first(scene)
    before = plan_text(Scene(room=scene.room, objects=ordered.objects[:kept]))
    new = plan_text(ordered, first=kept)
    answer: dict[str, Any] = {"plan": "; ".join(filter(None, (before, new)))} if plan else {}
    answer["objects"] = [object_json(o, ordered.objects, ordered.room.height) for o in ordered.objects]
    return _dumps(answer)


def object_json(o: SceneObject, others: Sequence[SceneObject], height: float) -> dict[str, Any]:
    """One object of the answer, its keys in the order in which they are written; `others` have what it stands on, the room is `height` cm high."""
    yaw = round(o.yaw) % 360
    named = {"id": o.id, "on": o.on, "yaw": yaw}
    if yaw % 90:
        return named | {"size": [max(1, round(v)) for v in o.size], "pos": [round(v) for v in o.pos]}
    (w, d, h), (x, y, z) = o.size, o.pos
    if yaw % 180:
        w, d = d, w
    carrier = next((c for c in others if c.id == o.on), None)
    x0, y0, z0 = origin(carrier)
    low = height - z - h if o.on == "ceiling" else z - z0
    ends = (
        *_ends(x - w / 2 - x0, x + w / 2 - x0),
        *_ends(y - d / 2 - y0, y + d / 2 - y0),
        *_ends(low, low + h),
    )
    return named | {"span": list(ends)}


def origin(carrier: SceneObject | None) -> tuple[int, int, int]:
    """Where the span of what stands on something is counted from: its south-western corner and top, in whole cm; the room's corner without one."""
    if carrier is None:
        return 0, 0, 0
    x, y, _, _ = carrier.box.bounds
    return math.floor(x + 0.5), math.floor(y + 0.5), math.floor(carrier.box.top + 0.5)


def _ends(low: float, high: float) -> tuple[int, int]:
    """Whole centimetres, at least one apart; halves go up at both ends, so that a whole length stays what it is."""
    first = math.floor(low + 0.5)
    return first, max(first + 1, math.floor(high + 0.5))


def of_span(
    span: Sequence[int], yaw: int, origin: tuple[int, int, int] = (0, 0, 0), *, under: float | None = None
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """(size, pos) of what reaches from x0 to x1, y0 to y1, z0 to z1 at a quarter turn, counted from `origin`, or down from a ceiling at `under`.

    The ends of a pair may come in either order.
    """
    (x0, x1), (y0, y1), (z0, z1) = (sorted(span[k : k + 2]) for k in (0, 2, 4))
    x1, y1, z1 = max(x1, x0 + 1), max(y1, y0 + 1), max(z1, z0 + 1)
    w, d = (x1 - x0, y1 - y0) if yaw % 180 == 0 else (y1 - y0, x1 - x0)
    bottom = under - z1 if under is not None else origin[2] + z0
    return (w, d, z1 - z0), (origin[0] + (x0 + x1) / 2, origin[1] + (y0 + y1) / 2, bottom)


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def category_of(name: str) -> str:
    """The category in an id: 'double_bed_1' is a double_bed."""
    return re.sub(r"_\d+$", "", name)


def carriers_first(scene: Scene) -> Scene:
    """The scene with every object behind the one it stands on, otherwise in its order."""
    done: list[SceneObject] = []
    seen: set[str] = set()

    def visit(o: SceneObject) -> None:
        if o.id in seen:
            return
        if o.on not in PLACES:
            visit(scene.by_id[o.on])
        seen.add(o.id)
        done.append(o)

    for o in scene.objects:
        visit(o)
    return scene if tuple(done) == scene.objects else Scene(room=scene.room, objects=tuple(done))


def ids_in_plan(plan: str) -> list[str]:
    """The ids a plan promises, in its order: '2 nightstand beside …' gives nightstand_1 and nightstand_2. Unknown words are no objects."""
    counts: Counter[str] = Counter()
    found = []
    for group in plan.split("; "):
        match = _GROUP.match(group + " ")
        if match is None or match[2] not in CATALOGUE:
            continue
        for _ in range(int(match[1] or 1)):
            counts[match[2]] += 1
            found.append(f"{match[2]}_{counts[match[2]]}")
    return found


def mentioned(request: str) -> dict[str, int]:
    """The categories a request names and how many of each, read from its words alone; "no plant" gives 0.

    The longest noun wins ("dining table" before "table"); a noun named again adds nothing.
    """
    words = words_of(request)
    found: dict[str, int] = {}
    for i, _, name in nouns_in(words):
        found.setdefault(name, _number_before(words, i))
    return found


def singly(request: str) -> frozenset[str]:
    """The categories that a request names in the singular and never in the plural: one of each is meant, and no more."""
    said: dict[str, bool] = {}
    for _, noun, name in nouns_in(words_of(request)):
        known = (name.replace("_", " "), *(s.lower().replace("-", " ") for s in CATALOGUE[name].synonyms))
        alone = noun in known or not noun.endswith("s")
        said[name] = said.get(name, True) and alone
    return frozenset(name for name, alone in said.items() if alone)


def words_of(request: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:\.\d+)?", request.lower().replace("-", " "))


def nouns_in(words: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """(place, noun, category) of every piece of furniture that is named."""
    i = 0
    while i < len(words):
        for length in (3, 2, 1):
            noun = " ".join(words[i : i + length])
            name = named(noun) if i + length <= len(words) else None
            if name is not None:
                yield i, noun, name
                i += length
                break
        else:
            i += 1


def _number_before(words: Sequence[str], i: int) -> int:
    """The number said right before a noun or its adjective; one when there is none, zero after "no" and "without"."""
    for word in reversed(words[max(0, i - 2) : i]):
        if word in ("no", "without"):
            return 0
        if word in _UNITS:  # the number before it measures something
            return 1
        if word in _NUMBER_WORDS:
            return _NUMBER_WORDS[word]
        if word.isdigit() and 0 < int(word) <= 20:
            return int(word)
    return 1
