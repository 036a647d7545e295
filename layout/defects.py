"""Ways to make a good room wrong in one way: a small function for each of the validator's codes.

An injector takes a scene, what was asked of it and a random generator, and gives a candidate, or None where the room has nothing to break in
that way. Candidates promise nothing; `layout.negatives` checks them. Most amplitudes are near misses of 2 to 15 cm, because that is how a
trained language model fails: a wardrobe pushed two metres through a wall teaches nothing it does not know. Half of what could be moved is
stretched instead: on the wire that is one wrong number of a span.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from layout.catalogue import CATALOGUE
from layout.checks import door_zone
from layout.geometry import Point, Polygon, gap
from layout.repair import ANCHORED, carried, without
from layout.rules import BY_SUBJECT, WALL_GAP
from layout.schema import PLACES, Scene, SceneObject, Spec
from layout.walkable import STEP_OVER, blocks_way

NEAR, FAR = (2, 15), (16, 60)  # cm
NEAR_SHARE = 0.75
STRETCHED = 0.5  # share of the moves in which one face moves and the other stays
SLIDE = 150.0  # cm that an object is slid at most to meet another
T = TypeVar("T")
Injector = Callable[[Scene, Spec, random.Random], Scene | None]


def amount(rng: random.Random) -> int:
    """Whole centimetres of a defect, mostly a near miss."""
    return rng.randint(*(NEAR if rng.random() < NEAR_SHARE else FAR))


def out_of_bounds(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Pushed through one of the two walls it stands nearest to."""
    o = _any(rng, [o for o in scene.objects if o.on == "floor"])
    if o is None:
        return None
    near = sorted(scene.room.walls, key=lambda w: abs(w.into(o.box.centre)))
    wall = rng.choice(near[:2])
    out = min(wall.into(p) for p in o.box.corners) + amount(rng)
    return _pushed(scene, o, -wall.inward[0] * out, -wall.inward[1] * out, rng)


def collision(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Slid into something beside it: on the floor, or on the same top."""
    o = _any(rng, [*_standing(scene), *(o for o in scene.objects if o.on not in PLACES)])
    others = [p for p in scene.objects if o is not None and p is not o and p.on == o.on and _solid(p)]
    other = _any(rng, others)
    return None if o is None or other is None else _slid(scene, o, other.box.corners, amount(rng), rng)


def door_blocked(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Slid into the floor that a door needs, one of the things that stand nearest to it."""
    if not scene.room.doors:
        return None
    zone = door_zone(scene, rng.choice(scene.room.doors))
    o = _any(rng, _nearest(_standing(scene), zone, 4))
    return None if o is None else _slid(scene, o, zone, amount(rng), rng)


def window_blocked(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Something higher than the sill, with its back to the window's wall and reaching over the end of the window."""
    window = _any(rng, scene.room.windows)
    if window is None:
        return None
    wall = scene.room.walls[window.wall]
    tall = [o for o in _standing(scene) if o.box.top > window.sill + 5]
    o = _any(rng, _nearest(tall, wall.strip(window.start, window.end, 1), 3))
    if o is None:
        return None
    over, half = 8 + amount(rng), o.size[0] / 2
    mark = rng.choice([window.start - half + over, window.end + half - over])
    return _posed(scene, o, wall.at(mark, o.size[1] / 2), wall.yaw)


def unreachable(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Turned with its side of use to the wall, or shut in by something else."""
    if rng.random() < 0.5:
        return no_access(scene, spec, rng)
    o = _any(rng, [o for o in _used(scene) if CATALOGUE[o.category].use == ("front",)])
    return None if o is None else _shifted(scene, o, 0, 0, turn=180)


def no_access(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Another thing slid into the floor before its side of use."""
    o = _any(rng, _used(scene))
    if o is None:
        return None
    entry = CATALOGUE[o.category]
    zone = o.box.zone(rng.choice(entry.use), entry.clearance)
    others = [p for p in _standing(scene) if p is not o and blocks_way(p.box) and not _movable(p)]
    p = _any(rng, _nearest(others, zone, 4))
    return None if p is None else _slid(scene, p, zone, rng.randint(10, round(entry.clearance)), rng)


def off_wall(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Pulled forward from the wall at its back, or turned from it."""
    o = _any(rng, [o for o in _standing(scene) if o.category in ANCHORED])
    if o is None:
        return None
    if rng.random() < 0.2:
        return _shifted(scene, o, 0, 0, turn=rng.choice([90, 180, 270]))
    away, (dx, dy) = WALL_GAP + amount(rng), o.box.front
    if rng.random() < STRETCHED:
        return _faced(scene, o, -dx, -dy, -away)
    return _shifted(scene, o, dx * away, dy * away)


def wrong_facing(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """A seat turned from what it should face."""
    o = _any(rng, _ruled(scene, ("faces",)))
    return None if o is None else _shifted(scene, o, 0, 0, turn=rng.choice([90, 180, 270]))


def detached(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Moved away from what it belongs to, a little past what the rule allows."""
    o = _any(rng, _ruled(scene, ("beside", "in_front_of", "near")))
    if o is None:
        return None
    rule = next(r for r in BY_SUBJECT[o.category] if r.kind not in ("back_to_wall", "faces"))
    target = min((t for t in scene.objects if t.category in rule.targets), key=lambda t: t.box.gap(o.box))
    away = rule.high - target.box.gap(o.box) + amount(rng)
    dx, dy = max(_axes(o), key=lambda a: a[0] * (o.box.x - target.box.x) + a[1] * (o.box.y - target.box.y))
    return _shifted(scene, o, dx * away, dy * away)


def floating(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Off the wall or the ceiling it hangs on, above or inside of what it stands on; seldom off the floor, which models seldom do."""
    places = {p: [o for o in scene.objects if o.on == p] for p in PLACES}
    places["top"] = [o for o in scene.objects if o.on not in PLACES]
    weights = {"floor": 0.1, "wall": 1.0, "ceiling": 1.0, "top": 2.0}
    there = [p for p in places if places[p]]
    if not there:
        return None
    place = rng.choices(there, [weights[p] for p in there])[0]
    o, off = rng.choice(places[place]), 1 + amount(rng)
    if place == "wall":
        return _shifted(scene, o, o.box.front[0] * off, o.box.front[1] * off)
    if place == "ceiling":
        return _shifted(scene, o, 0, 0, -off)
    return _shifted(scene, o, 0, 0, off if place == "floor" else rng.choice([off, -off]))


def overhang(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """Its middle moved past the edge of what carries it."""
    o = _any(rng, [o for o in scene.objects if o.on not in PLACES])
    if o is None:
        return None
    carrier = scene.by_id[o.on].box
    x, y = carrier.local(o.box.centre)
    past = 1 + min(amount(rng), round(min(o.size[:2]) / 2))
    if rng.random() < 0.5:
        x = rng.choice([-1, 1]) * (carrier.width / 2 + past)
    else:
        y = rng.choice([-1, 1]) * (carrier.depth / 2 + past)
    return _posed(scene, o, carrier.world((x, y)), o.yaw)


def too_high(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """What hangs on a wall, raised through the ceiling."""
    o = _any(rng, [o for o in scene.objects if o.on == "wall"])
    return None if o is None else _shifted(scene, o, 0, 0, scene.room.height + amount(rng) - o.box.top)


def count(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """One of a requested kind left out, or one too many."""
    wanted = _any(rng, spec.counts)
    if wanted is None:
        return None
    own = scene.of(wanted.category)
    if own and (wanted.quantifier == "ge" or rng.random() < 0.5):
        return renumbered(without(scene, rng.choice(own).id))
    if wanted.quantifier == "ge" or wanted.category not in CATALOGUE:
        return None
    return _one_more(scene, own[-1] if own else None, wanted.category, rng)


def relation_unmet(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """The subject or the reference of a stated relation moved or turned."""
    relation = _any(rng, spec.relations)
    if relation is None:
        return None
    names = {relation.subject, *relation.references}
    o = _any(rng, [o for o in scene.objects if o.category in names])
    if o is None:
        return None
    if rng.random() < 0.25:
        return _shifted(scene, o, 0, 0, turn=rng.choice([90, 180, 270]))
    dx, dy = rng.choice(_axes(o))
    away = rng.choice([amount(rng), rng.randint(16, 200)])
    return _shifted(scene, o, dx * away, dy * away)


def size_range(scene: Scene, spec: Spec, rng: random.Random) -> Scene | None:
    """One side larger or smaller than its category ever is."""
    carriers = {o.on for o in scene.objects}
    o = _any(rng, [o for o in scene.objects if o.category in CATALOGUE and o.id not in carriers])
    if o is None:
        return None
    entry, size, side = CATALOGUE[o.category], list(o.size), rng.randrange(2)
    low, high = (entry.width, entry.depth)[side]
    off = 2 + amount(rng)
    size[side] = rng.choice([high + off, max(1, low - off)])
    return scene.replaced(o.moved(size=tuple(size)))


INJECTORS: dict[str, Injector] = {
    "out_of_bounds": out_of_bounds,
    "collision": collision,
    "door_blocked": door_blocked,
    "unreachable": unreachable,
    "floating": floating,
    "overhang": overhang,
    "too_high": too_high,
    "count": count,
    "window_blocked": window_blocked,
    "no_access": no_access,
    "off_wall": off_wall,
    "wrong_facing": wrong_facing,
    "detached": detached,
    "relation_unmet": relation_unmet,
    "size_range": size_range,
}


def renumbered(scene: Scene) -> Scene:
    """Ids made of category and number, counted again in the scene's order: without gaps, as the wire wants them."""
    seen: dict[str, int] = {}
    names: dict[str, str] = {}
    for o in scene.objects:
        seen[o.category] = seen.get(o.category, 0) + 1
        names[o.id] = f"{o.category}_{seen[o.category]}"
    return Scene(
        room=scene.room,
        objects=tuple(o.moved(id=names[o.id], on=names.get(o.on, o.on)) for o in scene.objects),
    )


def _one_more(scene: Scene, like: SceneObject | None, category: str, rng: random.Random) -> Scene | None:
    """With another object of a category, the size of `like` where there is one, somewhere where such a thing may be."""
    entry = CATALOGUE[category]
    size = (
        like.size
        if like
        else tuple(round(sum(side) / 2) for side in (entry.width, entry.depth, entry.height))
    )
    on = like.on if like else rng.choice(entry.on)
    if on not in PLACES and on not in scene.by_id:
        carrier = _any(rng, scene.of(on))
        if carrier is None:
            return None
        on = carrier.id
    yaw = like.yaw if like else 0
    if on not in PLACES:
        top = scene.by_id[on].box
        w, d = max(0.0, (top.width - size[0]) / 2), max(0.0, (top.depth - size[1]) / 2)
        (x, y), z = top.world((rng.uniform(-w, w), rng.uniform(-d, d))), top.top
    elif on == "wall" or category in ANCHORED:
        wall = rng.choice([w for w in scene.room.walls if w.length >= size[0]] or scene.room.walls)
        x, y = wall.at(rng.uniform(size[0] / 2, max(size[0] / 2, wall.length - size[0] / 2)), size[1] / 2)
        z, yaw = (like.pos[2] if like else entry.bottom[0]) if on == "wall" else 0, wall.yaw
    else:
        (x, y), z = (rng.uniform(0, side) for side in scene.room.extent), 0
        z = scene.room.height - size[2] if on == "ceiling" else z
    new = SceneObject.model_validate(
        {
            "id": "new",
            "category": category,
            "size": size,
            "yaw": yaw,
            "pos": (round(x), round(y), z),
            "on": on,
        }
    )
    objects = list(scene.objects)
    objects.insert(objects.index(like) + 1 if like else len(objects), new)
    return renumbered(Scene(room=scene.room, objects=tuple(objects)))


def _any(rng: random.Random, options: Sequence[T]) -> T | None:
    return rng.choice(options) if options else None


def _solid(o: SceneObject) -> bool:
    return o.size[2] > STEP_OVER or o.on not in PLACES


def _standing(scene: Scene) -> list[SceneObject]:
    """On the floor and not a rug."""
    return [o for o in scene.objects if o.on == "floor" and o.size[2] > STEP_OVER]


def _movable(o: SceneObject) -> bool:
    return o.category in CATALOGUE and CATALOGUE[o.category].movable


def _used(scene: Scene) -> list[SceneObject]:
    return [o for o in _standing(scene) if o.category in CATALOGUE and CATALOGUE[o.category].use]


def _ruled(scene: Scene, kinds: Sequence[str]) -> list[SceneObject]:
    """Objects with a rule of one of these kinds about something that is there."""
    there = {o.category for o in scene.objects}
    return [
        o
        for o in scene.objects
        if any(r.kind in kinds and there & set(r.targets) for r in BY_SUBJECT.get(o.category, ()))
    ]


def _nearest(objects: Sequence[SceneObject], zone: Polygon, n: int) -> list[SceneObject]:
    return sorted(objects, key=lambda o: gap(o.box.corners, zone))[:n]


def _axes(o: SceneObject) -> list[Point]:
    """Directions along the object's width, then along its depth."""
    c, s = o.box.cos, o.box.sin
    return [(c, s), (-c, -s), (-s, c), (s, -c)]


def _slid(scene: Scene, o: SceneObject, zone: Polygon, depth: float, rng: random.Random) -> Scene | None:
    """Moved along one of its axes until it reaches `depth` cm into a zone; None where no axis leads there."""
    options = []
    for dx, dy in _axes(o):
        ahead = min(x * dx + y * dy for x, y in zone) - max(x * dx + y * dy for x, y in o.box.corners)
        ours, theirs = ([y * dx - x * dy for x, y in ring] for ring in (o.box.corners, zone))
        if -1 <= ahead <= SLIDE and min(max(ours), max(theirs)) - max(min(ours), min(theirs)) > STEP_OVER:
            options.append((dx * (ahead + depth), dy * (ahead + depth)))
    move = _any(rng, options)
    return None if move is None else _pushed(scene, o, move[0], move[1], rng)


def _pushed(scene: Scene, o: SceneObject, dx: float, dy: float, rng: random.Random) -> Scene | None:
    """Moved, or grown in that direction with its other faces where they were."""
    if rng.random() < STRETCHED and min(abs(dx), abs(dy)) < 1:
        length = math.hypot(dx, dy)
        return _faced(scene, o, dx / length, dy / length, length) if length else None
    return _shifted(scene, o, dx, dy)


def _faced(scene: Scene, o: SceneObject, dx: float, dy: float, by: float) -> Scene | None:
    """With the face that looks along the axis (dx, dy) moved by whole cm, outward when positive; None at an oblique yaw."""
    by = round(by)
    width, depth = o.size[:2]
    along = dx * o.box.cos + dy * o.box.sin
    if o.yaw % 90 or (width if abs(along) > 0.5 else depth) + by < 1:
        return None
    size = (width + by, depth, o.size[2]) if abs(along) > 0.5 else (width, depth + by, o.size[2])
    pos = (o.pos[0] + dx * by / 2, o.pos[1] + dy * by / 2, o.pos[2])
    return scene.replaced(o.moved(size=size, pos=pos))


def _shifted(scene: Scene, o: SceneObject, dx: float, dy: float, dz: float = 0, turn: float = 0) -> Scene:
    """Moved by whole centimetres and turned, with what stands on it."""
    x, y, z = o.pos
    return carried(scene, o, x + round(dx), y + round(dy), z + round(dz), (o.yaw + turn) % 360)


def _posed(scene: Scene, o: SceneObject, at: Point, yaw: float) -> Scene:
    return carried(scene, o, round(at[0]), round(at[1]), o.pos[2], round(yaw) % 360)
