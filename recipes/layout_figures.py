"""From answers to the figures of a layout evaluation: arms beside their references, stages paired by room, LayoutGPT's rooms, SceneEval's rows."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from layout.checks import check
from layout.metrics.distribution import category_kl, diversity
from layout.said import said_relations
from layout.scatter import scatter, scatter_held
from layout.schema import ROOM_TYPES, Scene
from recipes.layout_arms import Answers, best_of, repaired, scenes, unread
from recipes.layout_sets import Asked
from recipes.layout_tally import SHARES, Tally, differences, tally
from recipes.statistics import draw_weights, ratio_interval
from recipes.terminal import progress

CAVEATS = (
    "Synthetic rooms are easier than 3D-FRONT's: no figure here compares with one on 3D-FRONT.",
    "No human preference was collected: what counts as good is the validator's rules and the synthesiser's rooms.",
)
PAIRED = ("valid", "complete", "hard", "oob_scene", "collision_scene", "objects", "present", "relation_met")
GEOMETRIC = (
    "parse", "oob_scene", "oob_scene_10cm", "oob_sampled", "collision_scene", "collision_sampled", "collision_object", "oor", "oor_unturned",
    "objects", "seconds",
)  # fmt: skip
SHOWN = 3  # sample rooms of every type; the first ones, not the best

SINGLE, REPAIRED, LOOSE = "single sample", "single sample, repaired", "schema alone"
CHANCE = "chance, held to the space"
ABOUT = {
    SINGLE: "plan first; each piece held to the space that the room and the pieces before it leave, and to what the words say of its place; one "
    "pass, no choice, no repair",
    REPAIRED: "the same answers after repair that knows only the words",
    LOOSE: "plan first, held to a schema of the words and the room's size alone; no choice, no repair",
    "piece by piece": "held to the space, and a piece that brings a hard fault into the room is written again before the next, up to seven times; no repair",
    "free": "the same requests, decoding not held to the schema",
    "no plan": "held to the schema alone, objects without a plan before them",
    "area + sized objects": "OptiScene's contract: the request gives the area and every object with its size",
    CHANCE: "lower reference for what is held: the synthesiser's objects by name, sizes and places by chance under the same guide",
    "random placement": "lower reference: the synthesiser's objects at random poses",
    "synthesiser": "upper reference: the room that the request was made from",
}


def synthetic_figures(
    rooms: Sequence[Asked],
    held: Sequence[Answers],
    others: Mapping[str, Sequence[Answers]],
    seeds: int,
    n: int,
    sized: tuple[Sequence[Asked], Sequence[Answers]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(figures of every arm on the held-out rooms, the sample rooms of the report). `held` are at least max(seeds, n) answers each."""
    specs = [asked.spec for asked in rooms]
    read = [scenes(found, rooms) for found in held[:seeds]]
    chosen = best_of(held[:n], rooms)
    with progress("repair", 2 * len(rooms)) as ticker:
        mended, best_mended = repaired(read[0], rooms, ticker), repaired(chosen, rooms, ticker)
    best = f"best of {n}"
    reference = [_furnished(asked) for asked in rooms]
    each = sum(found.seconds for found in held[:n]) / n
    drawn: dict[str, tuple[list[list[Scene | None]], float | None]] = {
        SINGLE: (read, sum(found.seconds for found in held[:seeds]) / seeds),
        REPAIRED: ([mended], None),
        best: ([chosen], each * n),
        f"{best}, repaired": ([best_mended], None),
        **{way: ([scenes(a, rooms) for a in found], found[0].seconds) for way, found in others.items()},
        CHANCE: ([_by_chance(rooms)], None),
        "random placement": (
            [[scatter(r, asked.id) for r, asked in zip(reference, rooms, strict=True)]],
            None,
        ),
        "synthesiser": ([list(reference)], None),
    }
    about = ABOUT | {
        best: f"the least faulty of {n} answers by a validator that knows only the words",
        f"{best}, repaired": "and then repaired",
    }
    tallies = {name: tally(answers, specs, seconds) for name, (answers, seconds) in drawn.items()}
    arms = {
        name: _arm(rooms, drawn[name][0], found, about[name], reference) for name, found in tallies.items()
    }
    asked, answers = sized
    in_contract = [scenes(found, asked) for found in answers]
    counted = tally(in_contract, [a.spec for a in asked], answers[0].seconds)
    name = "area + sized objects"
    arms[name] = _arm(asked, in_contract, counted, about[name], reference)
    for arm, (given, room_list) in {
        SINGLE: (held[:seeds], rooms),
        **{way: (given, rooms) for way, given in others.items()},
        name: (answers, asked),
    }.items():
        arms[arm]["unread"] = unread(given, room_list)
    order = [
        SINGLE,
        REPAIRED,
        best,
        f"{best}, repaired",
        *others,
        name,
        CHANCE,
        "random placement",
        "synthesiser",
    ]
    against = [REPAIRED, best, f"{best}, repaired", *others]
    content = {
        "rooms": len(rooms),
        "seeds": seeds,
        "best": best,
        "arms": {arm: arms[arm] for arm in order},
        "differences": {
            f"{arm} − {SINGLE}": _json(differences(tallies[arm], tallies[SINGLE], PAIRED)) for arm in against
        },
    }
    return content, {"synthetic": _samples(rooms, read[0], chosen, best)}


def _by_chance(rooms: Sequence[Asked]) -> list[Scene | None]:
    return [scatter_held(_furnished(a), a.id, said_relations(a.request)) for a in rooms]


def _furnished(asked: Asked) -> Scene:
    assert asked.reference is not None, asked.id
    return asked.reference


def _arm(
    rooms: Sequence[Asked],
    answers: Sequence[Sequence[Scene | None]],
    found: Tally,
    about: str,
    reference: Sequence[Scene],
) -> dict[str, Any]:
    kinds = np.array([asked.room.room_type for asked in rooms])
    first = [scene for scene in answers[0] if scene is not None]
    objects = any(scene.objects for scene in first)
    return {
        "about": about,
        "answers": found.shape[1],
        "figures": _json(found.intervals()),
        "by_type": {kind: _json(found.intervals(kinds == kind)) for kind in ROOM_TYPES if kind in kinds},
        "category_kl": round(category_kl(first, reference), 4) if objects else None,
        "diversity": round(diversity(first), 4) if len(first) > 1 else None,
        "faults": dict(_faults(answers).most_common()),
    }


def _faults(answers: Sequence[Sequence[Scene | None]]) -> Counter[str]:
    """In how many of the answers there is a hard fault of each kind."""
    found: Counter[str] = Counter()
    for scene in (s for drawn in answers for s in drawn if s is not None):
        found.update({v.code for v in check(scene).hard})
    return found


def _json(intervals: Mapping[str, Any]) -> dict[str, Any]:
    return {name: i.to_json() for name, i in intervals.items()}


def _samples(
    rooms: Sequence[Asked], raw: Sequence[Scene | None], chosen: Sequence[Scene | None], best: str
) -> list[dict[str, Any]]:
    """The first rooms of every type: the request, the single sample, the chosen one."""
    shown = []
    for kind in ROOM_TYPES:
        of_kind = [i for i, asked in enumerate(rooms) if asked.room.room_type == kind][:SHOWN]
        for i in of_kind:
            sides = [("single sample", raw[i]), (best, chosen[i]), ("synthesiser", rooms[i].reference)]
            shown.append(
                {"type": kind, "request": rooms[i].request, "sides": [_side(*side) for side in sides]}
            )
    return shown


def _side(name: str, scene: Scene | None) -> dict[str, Any]:
    return {"name": name, "scene": None if scene is None else scene.model_dump(mode="json")}


def stage_figures(rooms: Sequence[Asked], stages: Mapping[str, Sequence[Answers]]) -> dict[str, Any]:
    """Stages of training on the same rooms and seeds, each against the one before and the last against the first; {} for none."""
    specs = [asked.spec for asked in rooms]
    found = {
        name: tally(
            [scenes(a, rooms) for a in answers], specs, sum(a.seconds for a in answers) / len(answers)
        )
        for name, answers in stages.items()
    }
    names = list(found)
    pairs = list(zip(names[1:], names, strict=False))
    if len(names) > 2:
        pairs.append((names[-1], names[0]))
    return {} if not found else {
        "stages": {name: {"figures": _json(t.intervals())} for name, t in found.items()},
        "differences": {
            f"{after} − {before}": _json(differences(found[after], found[before], PAIRED)) for after, before in pairs
        },
    }  # fmt: skip


def layoutgpt_figures(
    rooms: Sequence[Asked], answers: Sequence[Answers]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(ours and theirs through one evaluator, pooled and by type; two sample rooms of each type).

    Nothing but geometry is compared: their rooms have neither doors nor catalogue categories, so validity as a whole would not be fair.
    """
    nothing = [None] * len(rooms)
    ours = [scenes(found, rooms) for found in answers]
    theirs = [_furnished(asked) for asked in rooms]
    seconds = sum(found.seconds for found in answers) / len(answers)
    both = {"ours": tally(ours, nothing, seconds), "LayoutGPT (GPT-4)": tally([list(theirs)], nothing)}
    kinds = np.array([asked.room.room_type for asked in rooms])
    content = {}
    for part in ("pooled", *(kind for kind in ROOM_TYPES if kind in kinds)):
        chosen = np.ones(len(rooms), dtype=bool) if part == "pooled" else kinds == part
        a, b = (found.hits["objects"][chosen][:, :1] for found in both.values())
        content[part] = {
            "rooms": int(chosen.sum()),
            "arms": {who: {"figures": _geometric(_json(t.intervals(chosen)))} for who, t in both.items()},
            "count_ratio": ratio_interval(a, b, draw_weights(int(chosen.sum()))).to_json(),
        }
    samples = []
    for kind in ROOM_TYPES:
        for i in np.flatnonzero(kinds == kind)[:2]:
            sides = [_side("ours, single sample", ours[0][i]), _side("LayoutGPT (GPT-4)", theirs[i])]
            samples.append({"type": kind, "request": rooms[i].request, "sides": sides})
    return content, {"layoutgpt": samples}


def _geometric(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: figures[name] for name in GEOMETRIC if name in figures}


def external(rooms: Sequence[Asked], answers: Sequence[Answers]) -> dict[str, Any]:
    """SceneEval's rows: figures over the predicates that can be evaluated, and how many there are of each kind."""
    found = tally(
        [scenes(a, rooms) for a in answers],
        [asked.spec for asked in rooms],
        sum(a.seconds for a in answers) / len(answers),
    )
    asked, covered = Counter(), Counter()
    for row in rooms:
        assert row.note is not None, row.id
        asked.update(row.note["asked"])
        covered.update(row.note["covered"])
    kinds = Counter(row.room.room_type for row in rooms)
    return {
        "rooms": len(rooms),
        "seeds": len(answers),
        "types": dict(kinds),
        "figures": _json(found.intervals()),
        "asked": dict(asked),
        "covered": dict(covered),
    }


_BARS = (  # name, arm (None: best of n), figure, bound, bar; what a guide brings about is also said without it
    ("parse", SINGLE, "parse", ">=", 1.0),
    ("scene out-of-bounds", SINGLE, "oob_scene", "<=", 0.08),
    ("scene collision", SINGLE, "collision_scene", "<=", 0.12),
    ("overlap ratio (OOR)", SINGLE, "oor", "<=", 0.01),
    ("overlap ratio of what collides", SINGLE, "oor_colliding", "<=", 0.01),
    ("asked-for objects present", SINGLE, "present", ">=", 0.95),
    ("asked-for relations satisfied", SINGLE, "relation_met", ">=", 0.50),
    ("doors clear", SINGLE, "door_clear", ">=", 0.97),
    ("valid rooms", None, "valid", ">=", 0.90),
    ("scene out-of-bounds", LOOSE, "oob_scene", "<=", 0.08),
    ("scene collision", LOOSE, "collision_scene", "<=", 0.12),
    ("doors clear", LOOSE, "door_clear", ">=", 0.97),
)


def targets(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What this project holds its own model to, with what was measured; a figure that was not measured is not met."""
    arms, found = content["synthetic"]["arms"], []
    for name, arm, figure, bound, bar in _BARS:
        arm = arm or content["synthetic"]["best"]
        entry = _target(f"{name}, {arm}", figure, arms[arm]["figures"].get(figure), bound, bar)
        found.append(entry | {"synthesiser": cell(figure, arms["synthesiser"]["figures"].get(figure))})
    if "layoutgpt" in content:
        pooled = content["layoutgpt"]["pooled"]["arms"]["ours"]["figures"]
        for name, figure, bar in (
            ("out-of-bounds", "oob_scene", 0.05),
            ("collision", "collision_scene", 0.15),
        ):
            found.append(_target(f"scene {name} on LayoutGPT's rooms", figure, pooled.get(figure), "<=", bar))
        for part in content["layoutgpt"]:
            if part != "pooled":
                ratio = content["layoutgpt"][part]["count_ratio"]
                found.append(
                    _target(f"objects over LayoutGPT's, {part.replace('_', ' ')}", "valid", ratio, ">=", 0.80)
                )
    return found


def _target(
    name: str, figure: str, interval: Mapping[str, Any] | None, bound: str, bar: float
) -> dict[str, Any]:
    within = {"<=": operator.le, ">=": operator.ge}[bound]
    mean = None if interval is None else interval["mean"]
    return {
        "name": name,
        "shown": cell(figure, interval, whole=True),
        "synthesiser": "–",
        "bar": f"{bound} {100 * bar:g}" if figure in SHARES else f"{bound} {bar:g}",
        "met": mean is not None and within(mean, bar),
    }


def cell(name: str, interval: Mapping[str, Any] | None, *, signed: bool = False, whole: bool = False) -> str:
    """A figure as text, shares in percent; `whole` adds the interval."""
    if interval is None or interval["mean"] is None:
        return "–"
    scale, digits = (100, 1) if name in SHARES else (1, 4 if name.startswith("oor") else 2)
    form = f"{{:{'+' if signed else ''}.{digits}f}}"
    text = form.format(scale * interval["mean"])
    if not whole or interval["low"] is None:
        return text
    return f"{text} [{form.format(scale * interval['low'])}, {form.format(scale * interval['high'])}]"
