"""Bounded, deterministic repair: try the small moves that a fault suggests, keep one only when the report gets better.

"Better" is fewer hard faults, then fewer that are more than out of reach, then less of them, then fewer soft ones, in that order; so a repaired room is never worse than it was, by
construction. The number of trials is bounded. Raw and repaired results are to be reported apart: repair says nothing about the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from layout import frames
from layout.catalogue import base
from layout.checks import check, door_zone
from layout.geometry import Wall, point_to_segment
from layout.placement import shortfall
from layout.report import Report, Violation
from layout.rules import BY_SUBJECT, RULES, Rule
from layout.schema import PLACES, Scene, SceneObject, Spec

_CENTIMETRES_OF = {"cm": 1.0, "cm2": 0.01, "deg": 0.5, "objects": 100.0}
ANCHORED = frozenset(rule.subject for rule in RULES if rule.kind == "back_to_wall")


@dataclass(frozen=True)
class Repaired:
    """The room after repair, both reports, and what was done, one sentence a move."""

    scene: Scene
    before: Report
    after: Report
    moves: tuple[str, ...]


def cost(report: Report) -> tuple[int, int, float, int, float]:
    """What repair lowers: hard faults, those of them that are more than out of reach, their size, soft faults, their size.

    So what cannot be reached is not put through a wall to be nearer. Areas and angles are on a scale of centimetres.
    """

    def size(violations: tuple[Violation, ...]) -> float:
        return sum((50.0 if v.amount is None else v.amount) * _CENTIMETRES_OF[v.unit] for v in violations)

    soft = tuple(v for v in report.violations if v.severity == "soft")
    graver = sum(v.code != "unreachable" for v in report.hard)
    return len(report.hard), graver, round(size(report.hard), 3), len(soft), round(size(soft), 3)


def repair(
    scene: Scene,
    spec: Spec | None = None,
    *,
    locked: frozenset[str] = frozenset(),
    may_drop: bool = False,
    max_trials: int = 300,
) -> Repaired:
    """Mend what small moves can mend.

    `locked` objects keep their pose exactly. With `may_drop`, what still has a hard fault in the end is left out where that helps; objects
    that `spec` counts on are not, because their absence is a hard fault itself. `max_trials` bounds the calls of the validator.
    """
    before = report = check(scene, spec)
    moves: list[str] = []
    trials, improved = 0, True
    while improved and report.violations:
        improved = False
        for fault in sorted(report.violations, key=lambda v: v.severity):
            for candidate, text in _candidates(scene, fault, locked, may_drop):
                if trials >= max_trials:
                    return Repaired(scene, before, report, tuple(moves))
                trials += 1
                found = check(candidate, spec)
                new, old = cost(found), cost(report)
                # Not even two things out of reach are worth one in a wall.
                if new < old and new[1] <= old[1]:
                    scene, report, improved = candidate, found, True
                    moves.append(text)
                    break
            if improved:
                break
    return Repaired(scene, before, report, tuple(moves))


def _candidates(
    scene: Scene, fault: Violation, locked: frozenset[str], may_drop: bool
) -> Iterator[tuple[Scene, str]]:
    """Rooms to try for one fault, the least change first."""
    objects = [
        scene.by_id[name]
        for name in fault.ids
        if name in scene.by_id and not locked & {name, *(child.id for child in _standing_on(scene, name))}
    ]
    # Wall pieces hold a room together: what stands free moves first.
    for o in sorted(objects, key=lambda o: base(o.category) in ANCHORED):
        for pose, what in _poses(scene, o, fault):
            yield carried(scene, o, *pose), f"{o.id}: {what} ({fault.code})"
    if may_drop and fault.severity == "hard":
        for o in objects:
            yield without(scene, o.id), f"{o.id}: left out ({fault.code})"


Pose = tuple[float, float, float, float]  # x, y, z, yaw


def _poses(scene: Scene, o: SceneObject, fault: Violation) -> Iterator[tuple[Pose, str]]:
    x, y, z = o.pos
    if fault.code == "out_of_bounds":
        yield from _pushed_in(scene, o)
    elif fault.code == "collision":
        yield from _slid_apart(scene, o, fault)
    elif fault.code in ("floating", "overhang", "too_high"):
        yield from _set_down(scene, o)
    elif fault.code == "off_wall":
        yield from _to_walls(scene, o)
    elif fault.code in ("wrong_facing", "detached"):
        yield from _to_target(scene, o, fault)
    elif fault.code in ("door_blocked", "window_blocked"):
        yield from _out_of_openings(scene, o)
    if o.on in PLACES and fault.code not in (
        "floating",
        "too_high",
        "size_range",
        "wrong_support",
        "wrong_room",
    ):
        for step in (10, 25, 50):
            for dx, dy in _own_axes(o):
                yield (x + dx * step, y + dy * step, z, o.yaw), f"moved {step} cm"


def _own_axes(o: SceneObject) -> list[tuple[float, float]]:
    """Directions along the object's width, then along its depth."""
    c, s = o.box.cos, o.box.sin
    return [(c, s), (-c, -s), (-s, c), (s, -c)]


def _away(distance: float) -> float:
    """Whole centimetres, rounded away from zero: a move that stops short leaves the fault."""
    return math.copysign(math.ceil(abs(distance) - 1e-9), distance)


def _pushed_in(scene: Scene, o: SceneObject) -> Iterator[tuple[Pose, str]]:
    """Back over each wall it crosses, over all of them at once, and over each alone (a cut-out has walls that should not push)."""
    x, y, z = o.pos
    pushes = []
    for wall in scene.room.walls:
        past = -min(wall.into(p) for p in o.box.corners)
        if past > 0:
            pushes.append((wall.inward[0] * past, wall.inward[1] * past))
    both = (
        max((p[0] for p in pushes), key=abs, default=0.0),
        max((p[1] for p in pushes), key=abs, default=0.0),
    )
    for dx, dy in sorted([both, *pushes], key=lambda p: math.hypot(*p)):
        yield (x + _away(dx), y + _away(dy), z, o.yaw), "pushed into the room"


def _slid_apart(scene: Scene, o: SceneObject, fault: Violation) -> Iterator[tuple[Pose, str]]:
    """Out of the other along each axis of either, the shortest way first."""
    x, y, z = o.pos
    other = next(scene.by_id[name] for name in fault.ids if name != o.id)
    steps = []
    for dx, dy in _own_axes(o) + _own_axes(other):
        ours = [p[0] * dx + p[1] * dy for p in o.box.corners]
        theirs = [p[0] * dx + p[1] * dy for p in other.box.corners]
        depth = max(theirs) - min(ours)
        if depth > 0:
            steps.append((depth, dx, dy))
    for depth, dx, dy in sorted(steps):
        yield (x + _away(dx * depth), y + _away(dy * depth), z, o.yaw), f"moved {depth:.0f} cm off {other.id}"


def _set_down(scene: Scene, o: SceneObject) -> Iterator[tuple[Pose, str]]:
    """Onto what it is said to be on."""
    x, y, _ = o.pos
    if o.on == "floor":
        yield (x, y, 0, o.yaw), "set on the floor"
    elif o.on == "ceiling":
        yield (x, y, scene.room.height - o.size[2], o.yaw), "hung from the ceiling"
    elif o.on == "wall":
        for pose, what in _to_walls(scene, o):
            yield (*pose[:2], max(1.0, min(pose[2], scene.room.height - o.size[2])), pose[3]), what
    else:
        carrier = scene.by_id[o.on].box
        lx, ly = carrier.local((x, y))
        w, d = max(0.0, (carrier.width - o.size[0]) / 2), max(0.0, (carrier.depth - o.size[1]) / 2)
        over = carrier.world((min(w, max(-w, lx)), min(d, max(-d, ly))))
        yield (x, y, carrier.top, o.yaw), f"set on {o.on}"
        yield (round(over[0]), round(over[1]), carrier.top, o.yaw), f"moved onto {o.on}"


def _to_walls(scene: Scene, o: SceneObject) -> Iterator[tuple[Pose, str]]:
    """With its back to each wall, the nearest first, where it stands along it or as near as the wall is long."""
    for wall in sorted(scene.room.walls, key=lambda w: point_to_segment(o.box.centre, w.a, w.b)):
        yield _at_wall(o, wall, wall.mark(o.box.centre)), f"put against wall {wall.index}"


def _at_wall(o: SceneObject, wall: Wall, mark: float) -> Pose:
    half = o.size[0] / 2
    mark = min(max(mark, half), wall.length - half) if wall.length > o.size[0] else wall.length / 2
    x, y = wall.at(mark, o.size[1] / 2)
    return x, y, o.pos[2], wall.yaw


def _to_target(scene: Scene, o: SceneObject, fault: Violation) -> Iterator[tuple[Pose, str]]:
    """Turned to what it should face; put where the rule wants it."""
    x, y, z = o.pos
    target = next((scene.by_id[name] for name in fault.ids if name != o.id and name in scene.by_id), None)
    if target is None:
        return
    if target.box.centre != o.box.centre:
        straight = frames.yaw_towards(target.box.x - x, target.box.y - y)
        yield (x, y, z, round(straight / 90) * 90 % 360), f"turned to {target.id}"
        yield (x, y, z, round(straight) % 360), f"turned to {target.id}"
    for rule in BY_SUBJECT.get(base(o.category), ()):
        if rule.kind != "back_to_wall" and base(target.category) in rule.targets:
            for pose in _rule_poses(o, target, rule):
                yield (*pose[:2], z, pose[2]), f"put {rule.kind.replace('_', ' ')} {target.id}"


def _rule_poses(o: SceneObject, target: SceneObject, rule: Rule) -> Iterator[tuple[float, float, float]]:
    """(x, y, yaw) around a target that obey a rule about it; `o` faces the target unless it stands beside it."""
    b = target.box
    gap = rule.low if rule.kind == "beside" else (rule.low + min(rule.high, rule.low + 20)) / 2
    w, d = o.size[0], o.size[1]
    if rule.kind == "beside":
        places = [((s * (b.width / 2 + gap + w / 2), b.depth / 2 - d / 2), target.yaw) for s in (-1, 1)]
    else:
        places = [
            ((0.0, -(b.depth / 2 + gap + d / 2)), target.yaw + 180),
            ((b.width / 2 + gap + d / 2, 0.0), target.yaw + 270),
            ((-(b.width / 2 + gap + d / 2), 0.0), target.yaw + 90),
            ((0.0, b.depth / 2 + gap + d / 2), target.yaw),
        ]
    for local, yaw in places:
        x, y = b.world(local)
        moved = o.moved(pos=(round(x, 1), round(y, 1), o.pos[2]), yaw=yaw % 360)
        if shortfall(rule, moved.box, b) == 0:
            yield moved.pos[0], moved.pos[1], moved.yaw


def _out_of_openings(scene: Scene, o: SceneObject) -> Iterator[tuple[Pose, str]]:
    """Along the wall past either end of a door's or window's floor, or further into the room."""
    x, y, z = o.pos
    room = scene.room
    zones = [(room.walls[d.wall], door_zone(scene, d)) for d in room.doors]
    zones += [(room.walls[w.wall], room.walls[w.wall].strip(w.start, w.end, 40)) for w in room.windows]
    for wall, zone in zones:
        for dx, dy in ((-wall.along[0], -wall.along[1]), wall.along, wall.inward):
            depth = max(p[0] * dx + p[1] * dy for p in zone) - min(
                p[0] * dx + p[1] * dy for p in o.box.corners
            )
            if depth > 0:
                yield (
                    (x + _away(dx * depth), y + _away(dy * depth), z, o.yaw),
                    f"moved {depth:.0f} cm out of the way",
                )


def carried(scene: Scene, o: SceneObject, x: float, y: float, z: float, yaw: float) -> Scene:
    """The room with `o` at another pose and everything that stands on it carried along."""
    turn = yaw - o.yaw
    changed = {o.id: o.moved(pos=(round(x, 3), round(y, 3), round(z, 3)), yaw=yaw % 360)}
    new = changed[o.id].box
    for child in _standing_on(scene, o.id):
        cx, cy = new.world(o.box.local(child.box.centre))
        pos = (round(cx, 3), round(cy, 3), child.pos[2] + z - o.pos[2])
        changed[child.id] = child.moved(pos=pos, yaw=round((child.yaw + turn) % 360, 6) % 360)
    return Scene(room=scene.room, objects=tuple(changed.get(p.id, p) for p in scene.objects))


def without(scene: Scene, name: str) -> Scene:
    """The room without an object and what stands on it."""
    gone = {name} | {child.id for child in _standing_on(scene, name)}
    return Scene(room=scene.room, objects=tuple(o for o in scene.objects if o.id not in gone))


def _standing_on(scene: Scene, name: str) -> list[SceneObject]:
    direct = [o for o in scene.objects if o.on == name]
    return direct + [deeper for o in direct for deeper in _standing_on(scene, o.id)]
