"""Preference pairs by verified defects: a valid room, and the same room with exactly one kind of fault that the validator confirms.

OptiScene damages its good rooms by noise and calls them worse. Measured on synthetic rooms, a large share of such negatives has no fault at
all (`harmless_share`), so that a model is taught to prefer one good room to another. Here a candidate is kept only when the validator finds
the intended code in it and not in the good room, and no other hard fault; both are checked as the wire writes them, in whole centimetres.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from layout.answer_schema import yaws
from layout.checks import check
from layout.defects import INJECTORS
from layout.parse import Parsed, parse
from layout.repair import carried
from layout.report import SEVERITY, Report
from layout.schema import Scene, Spec
from layout.serialise import answer_text

TRIES = 12  # candidates for one code before another is drawn
NO_SPEC = Spec()
# How often a code is drawn first. Rooms that have nothing to break in one way fall to the other codes, and the weights make up for it: a
# rectangle, which decoding does not leave, has no out_of_bounds, and three requests of four have no relation. Fitted on 400 rooms so that
# each code gets the same share, half of it for sizes; too_high is beyond what the schema allows and comes without `held` only.
WEIGHTS: dict[str, float] = {
    "out_of_bounds": 7.9,
    "collision": 1.0,
    "door_blocked": 1.1,
    "unreachable": 0.85,
    "floating": 0.8,
    "overhang": 1.25,
    "too_high": 0.5,
    "count": 1.2,
    "window_blocked": 2.6,
    "no_access": 8.3,
    "off_wall": 0.75,
    "wrong_facing": 2.15,
    "detached": 1.6,
    "relation_unmet": 45.0,
    "size_range": 0.4,
}
# Soft codes that come with a code by themselves: what is pushed through the wall behind it no longer stands at it.
_WITH_HARD = frozenset(
    ["no_access", "cut_off", "off_wall", "wrong_facing", "detached", "window_blocked", "relation_unmet"]
)
_WITH_SOFT: dict[str, frozenset[str]] = {
    "no_access": frozenset(["cut_off", "off_wall", "detached", "wrong_facing"]),
    "off_wall": frozenset(["relation_unmet"]),
    "detached": frozenset(["relation_unmet", "wrong_facing"]),
    "wrong_facing": frozenset(["relation_unmet"]),
    "window_blocked": frozenset(["relation_unmet", "detached"]),
    "relation_unmet": frozenset(["off_wall", "detached", "wrong_facing", "no_access"]),
    "size_range": frozenset(["off_wall"]),
}


@dataclass(frozen=True)
class Pair:
    """A room and the same room made wrong in one way (`code`; "noise" for what nobody verified), with the validator's word on both."""

    chosen: Scene
    rejected: Scene
    code: str
    before: Report
    after: Report


def as_written(scene: Scene) -> Scene | None:
    """The scene that a reader of its wire text has: whole centimetres, carriers first; None where the wire cannot hold it."""
    read = parse(answer_text(scene, plan=False), scene.room)
    return read.scene if isinstance(read, Parsed) else None


def writable(scene: Scene) -> bool:
    """Whether decoding held to `answer_schema` could have written it: within the rectangle around the room, at yaws of its walls."""
    width, depth = scene.room.extent
    offered = set(yaws(scene.room))
    for o in scene.objects:
        x0, y0, x1, y1 = o.box.bounds if o.yaw % 90 == 0 else (*o.box.centre, *o.box.centre)
        inside = min(x0, y0, o.box.bottom) >= 0 and x1 <= width and y1 <= depth
        if not inside or o.box.top > scene.room.height or o.yaw not in offered:
            return False
    return True


def verified(code: str, before: Report, after: Report) -> bool:
    """Whether a room has the intended fault that the good one has not, no other hard fault, and no soft one that does not follow from it."""
    new = set(after.codes) - set(before.codes)
    allowed = _WITH_HARD if SEVERITY[code] == "hard" else _WITH_SOFT.get(code, frozenset())
    return code in new and new - {code} <= allowed


def inject(scene: Scene, spec: Spec, code: str, seed: int | str, *, held: bool = True) -> Pair | None:
    """The room with one verified fault of this code; None when `TRIES` candidates did not give one.

    `held`: only what decoding held to the schema could write. Raises ValueError for an unknown code.
    """
    if code not in INJECTORS:
        raise ValueError(f"no defect {code!r} can be injected; known: {', '.join(INJECTORS)}")
    return _pair(scene, spec, [code], seed, held)


def injected_pair(
    scene: Scene,
    spec: Spec | None = None,
    seed: int | str = 0,
    codes: Sequence[str] | None = None,
    *,
    held: bool = True,
) -> Pair | None:
    """A verified pair with a code drawn by `WEIGHTS` from `codes` (all of them by default); codes that fail give way to the next drawn.

    `held`: only what decoding held to the schema could write; between other answers a model never has to choose. The same arguments give
    the same pair; give every room a seed of its own, for it decides which codes come first. None where the room itself has a hard fault,
    or no code can be injected into it.
    """
    unknown = [code for code in codes or () if code not in INJECTORS]
    if unknown:
        raise ValueError(f"no defect {', '.join(unknown)} can be injected; known: {', '.join(INJECTORS)}")
    rng = random.Random(f"{seed}/codes")
    # Efraimidis and Spirakis 2006: sorting by u^(1/w) draws without replacement in proportion to the weights.
    order = sorted(codes or INJECTORS, key=lambda code: -(rng.random() ** (1 / WEIGHTS[code])))
    return _pair(scene, spec or NO_SPEC, order, seed, held)


def _pair(scene: Scene, spec: Spec, order: Sequence[str], seed: int | str, held: bool) -> Pair | None:
    chosen = as_written(scene)
    if chosen is None:
        return None
    before = check(chosen, spec)
    if not before.ok:
        return None
    for code in order:
        rng = random.Random(f"{seed}/{code}")
        for _ in range(TRIES):
            candidate = INJECTORS[code](chosen, spec, rng)
            rejected = as_written(candidate) if candidate is not None else None
            if rejected is None or (held and not writable(rejected)):
                continue
            after = check(rejected, spec)
            if verified(code, before, after):
                return Pair(chosen, rejected, code, before, after)
    return None


def naive_noise(scene: Scene, rng: random.Random, *, moved: int = 1, turn_share: float = 0.5) -> Scene:
    """OptiScene's way, the arm to compare with: `moved` random objects shifted by a Gaussian of 30 to 50 cm, some turned by quarters.

    Nobody looks at the result.
    """
    for o in rng.sample(scene.objects, min(moved, len(scene.objects))):
        sigma = rng.uniform(30, 50)
        x, y = round(o.pos[0] + rng.gauss(0, sigma)), round(o.pos[1] + rng.gauss(0, sigma))
        turn = rng.choice([90, 180, 270]) if rng.random() < turn_share else 0
        scene = carried(scene, scene.by_id[o.id], x, y, o.pos[2], (o.yaw + turn) % 360)
    return scene


def harmless_share(
    rooms: Iterable[tuple[Scene, Spec]], damage: Callable[[Scene, random.Random], Scene], seed: int = 0
) -> dict[str, float]:
    """Of rooms damaged without looking: the share without a hard fault, and the share without any fault at all.

    `damage` is `naive_noise` or its like. Raises ValueError when there are no rooms.
    """
    n = no_hard = none = 0
    for k, (scene, spec) in enumerate(rooms):
        report = check(damage(scene, random.Random(f"{seed}/{k}")), spec)
        n, no_hard, none = n + 1, no_hard + report.ok, none + (not report.violations)
    if not n:
        raise ValueError("no rooms to damage; give at least one")
    return {"rooms": float(n), "without_hard_fault": no_hard / n, "without_any_fault": none / n}
