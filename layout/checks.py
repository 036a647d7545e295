"""The validator: what is wrong with a furnished room, one entry per fault with a code, the objects, an amount and a sentence.

It drives data filtering, preference pairs, rewards, best-of-n, repair, metrics and what the user reads. Hard faults make a room unusable
(through the wall, into each other, in the doorway, in the air, out of reach); soft ones make it a poor room. Every threshold stands below.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from layout import placement, relations
from layout.catalogue import CATALOGUE, base
from layout.geometry import Box, covered_area, outside_area, overlap_area, overrun, separated
from layout.report import Report, Violation, fault
from layout.rules import BY_SUBJECT, MAX_FLOOR_SHARE, TUCK_SHARE, TUCKED, WALL_GAP, WINDOW_BAND, Rule
from layout.schema import PLACES, Door, Quantifier, Scene, SceneObject, Spec, Window, compare
from layout.walkable import RADIUS, STEP_OVER, Walkable, blocks_way, walkable

BOUNDS_TOLERANCE = 1.0  # cm an object may stick out: what rounding to whole centimetres costs
COLLISION_AREA = 10.0  # cm² of common footprint, or
COLLISION_SHARE = 0.01  # of the smaller footprint, whichever is more
COLLISION_HEIGHT = 2.0  # cm of common height; rugs are thinner
CONTACT = 1.0  # cm between an object and what carries it
HANGING = 2.0  # cm between a wall or ceiling and what hangs there
MIN_SUPPORT = 0.5  # share of a footprint that has to rest on its carrier
DOOR_AREA = 200.0  # cm² of a door's clear floor that may be taken
WINDOW_SHARE = 0.05  # of a window's area that one object may hide
ACCESS_SHARE = 0.3  # of the zone before the side of use that may be taken
CUT_OFF_SHARE = 0.1  # of the free floor that no door leads to
SIZE_TOLERANCE = 2.0  # cm outside of the catalogue's range


def check(scene: Scene, spec: Spec | None = None) -> Report:
    """Everything that is wrong with a room, and with it as an answer to `spec` where one is given."""
    obstacles = [o for o in scene.objects if _obstructs(o)]
    floor = walkable(scene.room, [o.box for o in obstacles])
    found = [
        *_bounds(scene),
        *_collisions(scene),
        *_support(scene),
        *_openings(scene),
        *_access(scene, obstacles, floor),
        *_placement(scene),
        *_catalogue(scene),
        *(_requests(scene, spec) if spec else ()),
    ]
    n = len(scene.objects)
    return Report(
        violations=tuple(found),
        n_objects=n,
        n_pairs=n * (n - 1) // 2,
        free_area=floor.free_area,
        connected_share=floor.connected_share,
    )


def _obstructs(o: SceneObject) -> bool:
    """Whether a person walks around it: on the floor, but neither a rug, nor overhead, nor a chair that is pushed aside."""
    entry = CATALOGUE.get(o.category)
    return o.on == "floor" and blocks_way(o.box) and not (entry and entry.movable)


def _bounds(scene: Scene) -> Iterator[Violation]:
    room = scene.room
    for o in scene.objects:
        # Left of every wall's line is inside whatever the room's shape; only the others are measured.
        inside = all(wall.into(corner) >= 0 for wall in room.walls for corner in o.box.corners)
        out = 0.0 if inside else overrun(o.box.corners, room.polygon)
        if out > BOUNDS_TOLERANCE:
            area = outside_area(o.box.corners, room.polygon)
            text = f"{o.id} sticks {out:.0f} cm out of the room ({area:.0f} cm² of {o.box.area:.0f})"
            yield fault("out_of_bounds", (o.id,), area, "cm2", text)
        over = o.box.top - room.height
        if over > CONTACT:
            yield fault(
                "too_high",
                (o.id,),
                over,
                "cm",
                f"{o.id} reaches {over:.0f} cm above the ceiling at {room.height:g} cm",
            )


def tucked(a: SceneObject, b: SceneObject, area: float) -> bool:
    """Whether an overlap is a seat pushed under its table, within the share that may be."""
    for seat, table in ((a, b), (b, a)):
        if base(table.category) in TUCKED.get(base(seat.category), ()):
            return area <= TUCK_SHARE * seat.box.area
    return False


def collides(a: SceneObject, b: SceneObject) -> float:
    """cm² of common footprint of two objects that are in each other's way; 0 when they are not."""
    p, q = a.box, b.box
    if not p.near(q) or p.height_overlap(q) <= COLLISION_HEIGHT:
        return 0.0
    area = overlap_area(p.corners, q.corners)
    if area <= max(COLLISION_AREA, COLLISION_SHARE * min(p.area, q.area)) or tucked(a, b, area):
        return 0.0
    return area


def _collisions(scene: Scene) -> Iterator[Violation]:
    objects = scene.objects
    for i, b in enumerate(objects):
        for a in objects[:i]:
            area = collides(a, b)
            if area:
                share = area / min(a.box.area, b.box.area)
                text = f"{b.id} and {a.id} overlap by {area:.0f} cm² ({share:.0%} of the smaller)"
                yield fault("collision", (b.id, a.id), area, "cm2", text)


def _support(scene: Scene) -> Iterator[Violation]:
    for o in scene.objects:
        if o.on not in PLACES:
            yield from _on_object(o, scene.by_id[o.on])
            continue
        if o.on == "floor":
            off, limit, what = abs(o.box.bottom), CONTACT, "off the floor"
        elif o.on == "ceiling":
            off, limit, what = abs(scene.room.height - o.box.top), HANGING, "off the ceiling it hangs from"
        else:
            off, limit, what = (
                placement.wall_gap(o.box, scene.room.walls),
                HANGING,
                "off the wall it hangs on",
            )
        if off > limit:
            text = (
                f"{o.id} is {off:.0f} cm {what}"
                if off < math.inf
                else f"{o.id} has no wall at its back to hang on"
            )
            yield fault("floating", (o.id,), off, "cm", text)


def _on_object(o: SceneObject, carrier: SceneObject) -> Iterator[Violation]:
    off = o.box.bottom - carrier.box.top
    if abs(off) > CONTACT:
        where = "above" if off > 0 else "below"
        text = f"{o.id} is {abs(off):.0f} cm {where} the top of {carrier.id}, which it stands on"
        yield fault("floating", (o.id, carrier.id), abs(off), "cm", text)
    loose = o.box.area - o.box.overlap(carrier.box)
    if loose > (1 - MIN_SUPPORT) * o.box.area + 1e-6:
        text = f"{o.id} hangs over the edge of {carrier.id} with {loose / o.box.area:.0%} of its foot"
        yield fault("overhang", (o.id, carrier.id), loose, "cm2", text)


def door_zone(scene: Scene, door: Door) -> list[tuple[float, float]]:
    """The floor that a door needs: its width by the reach of its leaf."""
    return scene.room.walls[door.wall].strip(door.start, door.end, door.clear_depth)


def _meets(box: Box, zone: list[tuple[float, float]]) -> bool:
    """Whether a footprint and a zone have ground in common; bounds first, they tell most apart."""
    xs, ys = [p[0] for p in zone], [p[1] for p in zone]
    x0, y0, x1, y1 = box.bounds
    if x1 <= min(xs) or max(xs) <= x0 or y1 <= min(ys) or max(ys) <= y0:
        return False
    return not separated(zone, box.corners)


def _openings(scene: Scene) -> Iterator[Violation]:
    for i, door in enumerate(scene.room.doors):
        zone = door_zone(scene, door)
        solid = [o for o in scene.objects if o.box.height > STEP_OVER and o.box.bottom < door.height]
        taken = [o for o in solid if _meets(o.box, zone)]
        area = covered_area(zone, (o.box.corners for o in taken)) if taken else 0.0
        if area > DOOR_AREA:
            names = tuple(o.id for o in taken)
            text = f"{', '.join(names)} in the way of door {i}: {area:.0f} cm² of the floor it needs"
            yield fault("door_blocked", (*names, f"door_{i}"), area, "cm2", text)
    for i, window in enumerate(scene.room.windows):
        for o in scene.objects:
            hidden = _hidden(scene, window, o)
            if hidden > WINDOW_SHARE * window.width * (window.head - window.sill):
                text = f"{o.id} hides {hidden:.0f} cm² of window {i}"
                yield fault("window_blocked", (o.id, f"window_{i}"), hidden, "cm2", text)


def _hidden(scene: Scene, window: Window, o: SceneObject) -> float:
    """cm² of a window behind an object that stands within `WINDOW_BAND` of it; curtains are meant to."""
    tall = min(o.box.top, window.head) - max(o.box.bottom, window.sill)
    if tall <= 0 or base(o.category) == "curtain":
        return 0.0
    wall = scene.room.walls[window.wall]
    inside = [p for p in o.box.corners if wall.into(p) < WINDOW_BAND]
    if not inside:
        return 0.0
    if not _meets(o.box, wall.strip(window.start, window.end, WINDOW_BAND)):
        return 0.0
    marks = [wall.mark(p) for p in o.box.corners]
    return max(0.0, min(max(marks), window.end) - max(min(marks), window.start)) * tall


def _access(scene: Scene, obstacles: list[SceneObject], floor: Walkable) -> Iterator[Violation]:
    for o in scene.objects:
        entry = CATALOGUE.get(o.category)
        if entry is None or not entry.use or o.on != "floor":
            continue
        if scene.room.doors and not floor.serves(o.box, entry.use):
            away = floor.distance(o.box)
            far = (
                "nothing can be reached"
                if away is None
                else f"the way ends {max(0.0, away - RADIUS):.0f} cm from it"
            )
            text = f"{o.id} cannot be reached from the door on its {' or '.join(entry.use)}: {far}"
            yield fault("unreachable", (o.id,), away, "cm", text)
        others = [p.box for p in obstacles if p is not o]
        share, side = min(
            (placement.blocked_share(o.box.zone(s, entry.clearance), scene.room.polygon, others), s)
            for s in entry.use
        )
        if share > ACCESS_SHARE:
            across = o.box.width if side in ("front", "back") else o.box.depth
            text = f"{o.id} has its {side} blocked: {share:.0%} of the {entry.clearance:g} cm before it"
            yield fault("no_access", (o.id,), share * entry.clearance * across, "cm2", text)
    connected = floor.connected_share
    if scene.room.doors and connected is not None and 1 - connected > CUT_OFF_SHARE:
        cut = floor.free_area * (1 - connected)
        yield fault(
            "cut_off", (), cut, "cm2", f"{cut / 1e4:.1f} m² of free floor cannot be reached from the door"
        )


def _placement(scene: Scene) -> Iterator[Violation]:
    for o in scene.objects:
        if o.on != "floor":
            continue
        for rule in BY_SUBJECT.get(base(o.category), ()):
            if rule.kind == "back_to_wall":
                off = placement.wall_gap(o.box, scene.room.walls)
                if off > WALL_GAP:
                    how = "not with its back to a wall" if off == math.inf else f"{off:.0f} cm from the wall"
                    yield fault("off_wall", (o.id,), off, "cm", f"{o.id} is {how}")
            else:
                yield from _relative(scene, o, rule)


def _relative(scene: Scene, o: SceneObject, rule: Rule) -> Iterator[Violation]:
    targets = [t for t in scene.objects if base(t.category) in rule.targets and t is not o]
    if not targets:
        return
    miss, target = min(
        ((placement.shortfall(rule, o.box, t.box), t) for t in targets), key=lambda found: found[0]
    )
    if miss <= 0:
        return
    if rule.kind == "faces":
        yield fault(
            "wrong_facing", (o.id, target.id), miss, "deg", f"{o.id} looks {miss:.0f}° past {target.id}"
        )
        return
    where = rule.kind.replace("_", " ")
    by = "" if miss == math.inf else f" ({miss:.0f} cm off)"
    yield fault("detached", (o.id, target.id), miss, "cm", f"{o.id} is not {where} {target.id}{by}")


def _catalogue(scene: Scene) -> Iterator[Violation]:
    taken = 0.0
    for o in scene.objects:
        if o.on == "floor" and o.box.height > STEP_OVER:
            taken += o.box.area
        entry = CATALOGUE.get(o.category)
        if entry is None:
            continue
        off = entry.fits(o.size)
        if off > SIZE_TOLERANCE:
            yield fault(
                "size_range", (o.id,), off, "cm", f"{o.id} is {off:.0f} cm out of the size of a {o.category}"
            )
        place = o.on if o.on in PLACES else scene.by_id[o.on].category
        if place not in entry.on and base(place) not in entry.on:
            text = f"{o.id} is on {place}; a {o.category} belongs on: {', '.join(entry.on)}"
            yield fault("wrong_support", (o.id,), None, "cm", text)
        if scene.room.room_type not in entry.rooms:
            yield fault(
                "wrong_room",
                (o.id,),
                None,
                "objects",
                f"a {o.category} does not belong in a {scene.room.room_type}",
            )
    excess = taken - MAX_FLOOR_SHARE * scene.room.area
    if excess > 0:
        text = f"furniture covers {taken / scene.room.area:.0%} of the floor, above {MAX_FLOOR_SHARE:.0%}"
        yield fault("overfull", (), excess, "cm2", text)


def _number(quantifier: Quantifier, n: int) -> str:
    """A number that was asked for, in words and with its verb."""
    said = {"eq": "", "ge": "at least ", "le": "at most ", "gt": "more than ", "lt": "fewer than "}[
        quantifier
    ]
    return f"{said}{n} {'was' if n == 1 else 'were'}"


def _requests(scene: Scene, spec: Spec) -> Iterator[Violation]:
    for wanted in spec.counts:
        n = len(scene.of(wanted.category))
        if not compare(n, wanted.quantifier, wanted.n):
            text = f"{n} {wanted.category} where {_number(wanted.quantifier, wanted.n)} asked for"
            ids = tuple(o.id for o in scene.of(wanted.category))
            yield fault("count", ids, abs(n - wanted.n), "objects", text)
    for relation in spec.relations:
        if not relations.satisfied(scene, relation):
            n = relations.count_satisfying(scene, relation)
            text = (
                f"{n} {relation.subject} {relation.relation} {', '.join(relation.references)} "
                f"where {_number(relation.quantifier, relation.n)} asked for"
            )
            ids = tuple(o.id for o in scene.of(relation.subject))
            yield fault("relation_unmet", ids, abs(n - relation.n), "objects", text)
