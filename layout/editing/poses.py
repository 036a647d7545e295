"""The spots where a thing could be: at walls, around other things, over the floor, on tops, under the ceiling, and near where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layout import frames
from layout.catalogue import CATALOGUE
from layout.catalogue import base as like
from layout.editing.operations import Place
from layout.editing.places import VECTORS, opening_box, walls_of
from layout.geometry import Box, Point, Wall
from layout.repair import Pose
from layout.rules import BY_SUBJECT, RULES
from layout.schema import PLACES, Scene, SceneObject

ALONG = 10  # cm between spots along a wall
GRID = 25  # cm between spots on the floor
GAPS = (0, 5, 15, 30, 45, 70, 110, 160, 220)  # cm between a thing and what it is placed by
TUCKED = -15  # the same for a seat under its table
NEARBY = (0, 5, 10, 20, 35, 50, 75, 100)  # cm a still thing may be put from its spot
STEP = 50.0  # cm of "to the left" where no length is said


@dataclass(frozen=True)
class Spot:
    """A pose (x, y, z, yaw) and what carries it."""

    pose: Pose
    on: str

    def of(self, o: SceneObject) -> SceneObject:
        """The thing there; whole centimetres on the floor, since texts have no others."""
        x, y, z, yaw = self.pose
        return o.moved(pos=(x, y, z), yaw=yaw % 360, on=self.on)


def spots(
    scene: Scene, o: SceneObject, places: Sequence[Place], before: Scene, *, still: bool
) -> Iterator[Spot]:
    """All of them, each once, whatever stands there; `places` say around what and on what to look."""
    seen: set[Spot] = set()
    found = _near_its_spot(scene, o, places, before) if still else _anywhere(scene, o, places, before)
    for spot in found:
        x, y, z, yaw = spot.pose
        plain = Spot((round(x, 3), round(y, 3), round(z, 3), round(yaw, 3) % 360), spot.on)
        if plain not in seen:
            seen.add(plain)
            yield plain


def _anywhere(scene: Scene, o: SceneObject, places: Sequence[Place], before: Scene) -> Iterator[Spot]:
    for p in places:
        if p.relation == "shifted":
            v, step = VECTORS[p.side or "north"], p.amount or STEP
            for share in (1.0,) if p.amount else (1.0, 0.5, 2.0, 3.0):
                x, y = o.pos[0] + v[0] * step * share, o.pos[1] + v[1] * step * share
                yield Spot((x, y, o.pos[2], o.yaw), o.on)
            return
    entry = CATALOGUE.get(o.category)
    kinds = set(entry.on) if entry is not None else {o.on if o.on in PLACES else scene.by_id[o.on].category}
    wanted = [t for p in places if p.relation == "on_top_of" for t in p.targets]
    carriers = [
        c for c in scene.objects if (c.id in wanted if wanted else {c.category, like(c.category)} & kinds)
    ]
    for carrier in carriers:
        yield from _on_top(carrier, o)
    if wanted:
        return
    if "floor" in kinds:
        yield from _on_floor(scene, o, places)
    if "wall" in kinds and (o.on == "wall" or not carriers):
        bottoms = {o.pos[2]} if o.on == "wall" and o.pos[2] > 0 else set()
        if entry is not None:
            low, high = entry.bottom
            bottoms |= {low, (low + high) // 2, high}
        above = [
            scene.by_id[t].box.top + 5
            for p in places
            for t in p.targets
            if p.relation == "above" and t in scene.by_id
        ]
        for wall in scene.room.walls:
            for mark in _marks(wall, o.size[0]):
                if any(q.wall == wall.index and q.start < mark + o.size[0] / 2 and mark - o.size[0] / 2 < q.end
                       for q in (*scene.room.doors, *scene.room.windows)) and like(o.category) != "curtain":  # fmt: skip
                    continue
                for bottom in (*bottoms, *above):
                    yield Spot((*wall.at(mark, o.size[1] / 2), bottom, wall.yaw), "wall")
    if "ceiling" in kinds:
        for x, y in _grid(scene, GRID):
            yield Spot((x, y, scene.room.height - o.size[2], 0.0), "ceiling")
        x, y = scene.room.centroid
        yield Spot((round(x), round(y), scene.room.height - o.size[2], 0.0), "ceiling")


def _on_floor(scene: Scene, o: SceneObject, places: Sequence[Place]) -> Iterator[Spot]:
    for wall in scene.room.walls:
        off = 0 if 0 in wall.inward else 1  # at an oblique wall rounding may cost a centimetre
        for mark in _marks(wall, o.size[0]):
            x, y = wall.at(mark, o.size[1] / 2 + off)
            yield Spot((round(x * 2) / 2, round(y * 2) / 2, 0.0, wall.yaw), "floor")
    ruled = {c for rule in BY_SUBJECT.get(like(o.category), ()) for c in rule.targets}
    ruled |= {rule.subject for rule in RULES if like(o.category) in rule.targets}
    named = {t for p in places for t in p.targets}
    around = [t for t in scene.objects if (t.id in named or like(t.category) in ruled) and t.id != o.id]
    for target in around:
        yield from _around(target.box, o)
    faced = [
        scene.by_id[t].box
        for p in places
        for t in p.targets
        if p.relation in ("facing", "opposite") and t in scene.by_id
    ]
    yaws = sorted({0.0, 90.0, 180.0, 270.0, o.yaw})
    for x, y in [*_grid(scene, GRID), tuple(round(v) for v in scene.room.centroid)]:
        for yaw in yaws:
            yield Spot((x, y, 0.0, yaw), "floor")
        for box in faced:
            if box.centre != (x, y):
                yield Spot((x, y, 0.0, round(frames.yaw_towards(box.x - x, box.y - y)) % 360), "floor")


def _marks(wall: Wall, width: float) -> list[float]:
    """Where along a wall the middle of a thing may be, both ends first."""
    slack = wall.length - width
    if slack < 0:
        return []
    return [width / 2 + v for v in (0.0, slack, *range(ALONG, int(slack), ALONG))]


def _around(b: Box, o: SceneObject) -> Iterator[Spot]:
    """At each side of a target: turned to it, away from it and as it stands, at several gaps and shifts."""
    w, d = o.size[0], o.size[1]
    for side, (nx, ny) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        half, across = (b.depth / 2, b.width / 2) if nx == 0 else (b.width / 2, b.depth / 2)
        for yaw in (b.yaw + (180, 270, 0, 90)[side], b.yaw + (0, 90, 180, 270)[side], b.yaw):
            square = round((yaw - b.yaw) % 180) == 90
            deep, wide = (d, w) if (nx == 0) != square else (w, d)
            flush = across - wide / 2  # level with one end
            for shift in sorted({0.0, flush, -flush, across / 2, -across / 2}):
                for gap in (TUCKED, *GAPS):
                    out = half + gap + deep / 2
                    x, y = b.world(
                        (nx * out + (shift if nx == 0 else 0), ny * out + (shift if ny == 0 else 0))
                    )
                    yield Spot((round(x * 2) / 2, round(y * 2) / 2, 0.0, yaw % 360), "floor")


def _grid(scene: Scene, step: int) -> list[Point]:
    width, depth = scene.room.extent
    return [(x, y) for x in range(step, int(width), step) for y in range(step, int(depth), step)]


def _on_top(carrier: SceneObject, o: SceneObject) -> Iterator[Spot]:
    """On a top: in the middle and on a grid over it, with the carrier's front or turned to a side of it."""
    b = carrier.box
    for turn in (0, 180, 90, 270):
        w, d = (o.size[0], o.size[1]) if turn % 180 == 0 else (o.size[1], o.size[0])
        free_w, free_d = max(0.0, (b.width - w) / 2), max(0.0, (b.depth - d) / 2)
        for across in (0.0, -1.0, 1.0, -0.5, 0.5):
            for along in (0.0, 1.0, -1.0, 0.5, -0.5):
                x, y = b.world((across * free_w, along * free_d))
                yield Spot((round(x, 1), round(y, 1), b.top, (carrier.yaw + turn) % 360), carrier.id)


def _near_its_spot(scene: Scene, o: SceneObject, places: Sequence[Place], before: Scene) -> Iterator[Spot]:
    """Where it is, turned as the words say or kept at the wall it was at, and steps from there."""
    base = before.by_id.get(o.id, o)  # with the size it had
    for p in places:
        if p.relation == "instead_of":
            base = before.by_id[p.targets[0]]
    for yaw in _yaws(scene, o, base, places):
        for x, y in _kept_edges(base, o, yaw):
            for dx in sorted({s * v for v in NEARBY for s in (1, -1)}, key=abs):
                for dy in sorted({s * v for v in NEARBY for s in (1, -1)}, key=abs):
                    yield from _carried_by(scene, o, base, x + dx, y + dy, yaw)


def _carried_by(
    scene: Scene, o: SceneObject, base: SceneObject, x: float, y: float, yaw: float
) -> Iterator[Spot]:
    """On what carried the thing before, or what carried the one whose place it takes."""
    entry = CATALOGUE.get(o.category)
    if base.on in PLACES and (base.id == o.id or entry is None or base.on in entry.on):
        z = (
            base.pos[2]
            if base.on == "wall"
            else scene.room.height - o.size[2]
            if base.on == "ceiling"
            else 0.0
        )
        yield Spot((x, y, z, yaw), base.on)
    elif base.on in scene.by_id and (
        entry is None or {scene.by_id[base.on].category, like(scene.by_id[base.on].category)} & set(entry.on)
    ):
        yield Spot((x, y, scene.by_id[base.on].box.top, yaw), base.on)
    elif entry is not None and "floor" in entry.on:
        yield Spot((x, y, 0.0, yaw), "floor")


def _yaws(scene: Scene, o: SceneObject, base: SceneObject, places: Sequence[Place]) -> list[float]:
    """Turned by what is said, or to what it is to face; quarter turns first where both will do."""
    for p in places:
        if p.relation == "turned":
            return [(o.yaw + (p.amount or 0.0)) % 360]
    faced: list[Point] = [
        scene.by_id[t].box.centre
        for p in places
        for t in p.targets
        if p.relation == "facing" and t in scene.by_id
    ]
    for p in places:
        if p.relation == "facing" and p.part in ("window", "door"):
            openings = scene.room.windows if p.part == "window" else scene.room.doors
            faced += [opening_box(scene.room, w).centre for w in openings]
        if p.relation == "facing" and p.part == "wall":
            return [(w.yaw + 180) % 360 for w in walls_of(scene.room, p.side)]
        if p.relation == "facing" and p.part == "side":
            vectors = [VECTORS[s] for s in (p.side or "").split()]
            return [frames.yaw_towards(sum(v[0] for v in vectors), sum(v[1] for v in vectors)) % 360]
    if not faced:
        return [base.yaw]
    straight = [
        round(frames.yaw_towards(x - o.pos[0], y - o.pos[1])) % 360
        for x, y in faced
        if (x, y) != o.box.centre
    ]
    quarters = [round(v / 90) * 90 % 360 for v in straight]
    return list(dict.fromkeys([*quarters, *straight]))


def _kept_edges(base: SceneObject, o: SceneObject, yaw: float) -> list[Point]:
    """Centres for the new size or yaw: backs level, also with either side level, and the old centre."""
    b = base.box
    if round(yaw - base.yaw) % 360 != 0:
        return [(round(b.x * 2) / 2, round(b.y * 2) / 2)]
    back = b.depth / 2 - o.size[1] / 2
    side = (b.width - o.size[0]) / 2
    local = dict.fromkeys([(0.0, back), (side, back), (-side, back), (0.0, 0.0)])
    return [(round(x, 2), round(y, 2)) for x, y in (b.world(p) for p in local)]
