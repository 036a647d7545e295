"""Where a thing may go: every pose at walls, around targets, on tops and over the floor, the promising ones through the validator.

Deterministic and bounded. Poses that stick out, collide or stand in a doorway are sorted out by cheap geometry; of the others those that are
where the words want them, and where the rule table does, come first, and the least faulty of `CHECKED` by the validator is taken.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from layout import placement
from layout.catalogue import CATALOGUE, base
from layout.checks import check, collides, door_zone
from layout.editing.operations import Place
from layout.editing.places import score
from layout.editing.poses import spots
from layout.geometry import overlap_area, separated
from layout.repair import Pose, carried, cost
from layout.report import Report
from layout.rules import BY_SUBJECT, WALL_GAP, Rule
from layout.schema import PLACES, Scene, SceneObject, Spec
from layout.walkable import STEP_OVER

CHECKED = 48  # poses that go through the validator, and
ROUNDS = 3  # times so many while all of them have a hard fault
ROUGH = 20  # cm of distance from the old spot that count as the same


@dataclass(frozen=True)
class Task:
    """A thing to be placed: as it is or will be, what stands on it, and the places it is to have.

    A `still` thing (turned, resized, put in another's place) is tried on its spot and close to it, and nowhere else.
    """

    o: SceneObject
    children: tuple[SceneObject, ...] = ()
    places: tuple[Place, ...] = ()
    still: bool = False


def place(scene: Scene, task: Task, spec: Spec, before: Scene, seed: int = 0) -> Scene | None:
    """`scene` with the thing at the best pose found; None where there is none in the room."""
    zones = [door_zone(scene, door) for door in scene.room.doors]
    free = []
    for spot in spots(scene, task.o, task.places, before, still=task.still):
        o = spot.of(task.o)
        if _free(scene, o, zones):
            fit = [score(scene, o, p, before) for p in task.places]
            free.append((sum(value <= 0.5 for value in fit), round(-sum(fit), 1), o, spot))
    least = min((unmet for unmet, *_ in free), default=0)
    if sum(unmet == least for unmet, *_ in free) >= CHECKED:  # the others would not be tried
        free = [f for f in free if f[0] == least]
    ranked = [(unmet, _rules_missed(scene, o), _moved(task, o), fit, spot) for unmet, fit, o, spot in free]
    # Spots alike in rank are tried in a mixed order, or all the tried ones would be in one corner.
    random.Random(f"{seed}/{task.o.id}").shuffle(ranked)
    ranked.sort(key=lambda r: r[:4])
    best: tuple[tuple[float, ...], Scene] | None = None
    rounds = ROUNDS if least == 0 else 1  # where no free spot is as the words say, more of them are no better
    for k in range(0, min(len(ranked), CHECKED * rounds), CHECKED):
        for *_, spot in ranked[k : k + CHECKED]:
            found = put(scene, Task(task.o.moved(on=spot.on), task.children), spot.pose)
            key = rank(found, [task], check(found, spec), before)
            if best is None or key < best[0]:
                best = key, found
        if best is not None and best[0][0] == 0:
            break
    return None if best is None else best[1]


def rank(scene: Scene, tasks: Sequence[Task], report: Report, before: Scene) -> tuple[float, ...]:
    """(hard faults and places not met, places not met, the rest of the validator's cost, how ill the places fit): less is better.

    A place that is not met counts as a hard fault: an edit that was not done is no edit.
    """
    unmet, fit = 0, 0.0
    for task in tasks:
        o = scene.by_id.get(task.o.id)
        for p in task.places or (() if o else (None,)):
            value = score(scene, o, p, before) if o is not None and p is not None else 0.0
            unmet += value <= 0.5
            fit += value
    hard, graver, amount, soft, soft_amount = cost(report)
    return hard + unmet, graver + unmet, unmet, amount, soft, soft_amount, -round(fit, 3)


def put(scene: Scene, task: Task, pose: Pose) -> Scene:
    """The room with the thing at a pose and what stands on it carried along."""
    with_it = Scene(room=scene.room, objects=(*scene.objects, task.o, *task.children))
    return carried(with_it, task.o, *pose)


def hindrance(scene: Scene, task: Task, before: Scene) -> str:
    """What is wrong with the first spot that the words give, a sentence of the validator."""
    for spot in spots(scene, task.o, task.places, before, still=task.still):
        report = check(put(scene, Task(task.o.moved(on=spot.on), task.children), spot.pose))
        return next((v.message for v in report.hard if task.o.id in v.ids), "no place for it is free")
    return "no place for it is free"


def _free(scene: Scene, o: SceneObject, zones: Sequence[list[tuple[float, float]]]) -> bool:
    """Whether it is in the room, in nothing's way and in no doorway."""
    box, room = o.box, scene.room
    if box.top > room.height + 1:
        return False
    inside = all(wall.into(p) >= -1 for wall in room.walls for p in box.corners)
    if not inside and overlap_area(room.polygon, box.corners) < box.area - 1:
        return False
    if box.height > STEP_OVER and any(not separated(zone, box.corners) for zone in zones):
        return False
    return not any(collides(o, other) for other in scene.objects)


def _rules_missed(scene: Scene, o: SceneObject) -> int:
    """How many rules of the table it would break, and whether it could not be used from any side."""
    missed = 0
    if o.on == "floor":
        for rule in BY_SUBJECT.get(base(o.category), ()):
            if rule.kind == "back_to_wall":
                missed += placement.wall_gap(o.box, scene.room.walls) > WALL_GAP
                continue
            targets = [t for t in scene.objects if base(t.category) in rule.targets]
            if targets:
                missed += not any(_obeys(rule, o, t) for t in targets)
        entry = CATALOGUE.get(o.category)
        if entry is not None and entry.use:
            solid = [p.box for p in scene.objects if p.on in PLACES and p.box.height > STEP_OVER]
            shares = [
                placement.blocked_share(o.box.zone(side, entry.clearance), scene.room.polygon, solid)
                for side in entry.use
            ]
            missed += min(shares) > 0.3
        for other in scene.objects:  # a bed between two nightstands
            for rule in BY_SUBJECT.get(base(other.category), ()):
                if base(o.category) in rule.targets and not any(
                    _obeys(rule, other, t) for t in (o, *scene.objects) if base(t.category) in rule.targets
                ):
                    missed += 1
    return missed


def _obeys(rule: Rule, o: SceneObject, target: SceneObject) -> bool:
    if rule.kind != "faces" and not o.box.near(target.box, rule.high + 1):
        return False  # bounds first: most are metres apart
    return placement.shortfall(rule, o.box, target.box) <= 0


def _moved(task: Task, o: SceneObject) -> int:
    """How far from where it was, roughly; 0 for what may go anywhere."""
    if not task.still and not any(p.relation in ("closer", "farther", "shifted") for p in task.places):
        return 0
    dx, dy = o.pos[0] - task.o.pos[0], o.pos[1] - task.o.pos[1]
    return round((abs(dx) + abs(dy)) / ROUGH)
