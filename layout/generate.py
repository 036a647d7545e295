"""From a request and an empty room to a furnished one: plan, objects, validator, repair.

A layout model writes its plan first; the ids in *that* plan, the room and the user's words alone make the schema to which its objects are
held, so every answer parses. Of n answers the one with the least faults is kept, mended within bounds, and what is still wrong or missing
is said. The language model comes in as a `Backend`; `recipes.layout_backends` has transformers and vLLM.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from layout import stepwise
from layout.answer_schema import answer_schema
from layout.asking import Asked, Backend, Constraint, Step
from layout.catalogue import CATALOGUE, using
from layout.checks import check
from layout.instructions import plan_text
from layout.keeping import off_wire, on_wire
from layout.own_pieces import Substitution, in_known_words, taken_back, wire_entries
from layout.parse import Parsed, ParseFailure, parse
from layout.planning import agreed, begun_with, closed, lacking
from layout.repair import Repaired, cost, repair
from layout.report import Report
from layout.request import refuse
from layout.said import said_relations
from layout.schema import CountSpec, Room, Scene, SceneObject, Spec
from layout.serialise import (
    MAX_OBJECTS,
    PLAN_CHARACTERS,
    ids_in_plan,
    mentioned,
    object_json,
    prompt_text,
    singly,
)
from layout.transform import from_south_west

PART = 8  # answers asked for at once; more come in parts, between which is told how far it is
OBJECT_CHARACTERS = 160  # no object of the wire is longer; a token is at least one character
FREE_TOKENS = 1400  # of an answer without a plan's bound on it
TEMPERATURE = 0.8
MORE_PLANS = 3  # times a plan that lacks what the request names is gone on with
_PLAN_START, _PLAN_END = '{"plan":"', '","objects":'


@dataclass(frozen=True)
class Job:
    """A request for a room, empty or with furniture that stays (named as the wire names it, `layout.keeping.on_wire`)."""

    kept: Scene
    request: str


@dataclass(frozen=True)
class Candidate:
    """One answer as the model gave it: its text, and the scene with its report, or why there is none."""

    text: str
    parsed: Parsed | ParseFailure
    report: Report | None
    substitutions: tuple[Substitution, ...] = ()  # pieces that got the size of a product

    @property
    def scene(self) -> Scene | None:
        return self.parsed.scene if isinstance(self.parsed, Parsed) else None


@dataclass(frozen=True)
class Generated:
    """The answers to one request. `best` is the least faulty of them as the model gave it; None when none could be read."""

    room: Room
    request: str
    spec: Spec
    candidates: tuple[Candidate, ...]
    best: Candidate | None
    repaired: Repaired | None  # of the best, where it had a fault that repair was asked to mend

    @property
    def scene(self) -> Scene | None:
        """The room to use: mended where it was mended."""
        return self.repaired.scene if self.repaired is not None else self.best.scene if self.best else None

    @property
    def report(self) -> Report | None:
        """Of `scene`."""
        return self.repaired.after if self.repaired is not None else self.best.report if self.best else None

    @property
    def unmet(self) -> tuple[str, ...]:
        """What is missing or wrong in the room to use, a sentence each, the grave faults first."""
        if self.report is None:
            return ("no answer of the model could be read",)
        ordered = sorted(self.report.violations, key=lambda v: v.severity)
        return tuple(v.message for v in ordered)


def generate(
    backend: Backend,
    room: Room,
    request: str,
    *,
    n: int = 1,
    plan: bool = True,
    constrained: bool = True,
    keep: Sequence[SceneObject] = (),
    mend: bool = True,
    temperature: float = TEMPERATURE,
    seed: int = 0,
    tries: int = 1,
    space: bool = True,
    progress: Callable[[Step], None] | None = None,
) -> Generated:
    """Furnish `room` as `request` says, with the best of `n` answers.

    `keep` are pieces that are there already: the answer begins with them, and they keep their pose exactly. `constrained` False lets the
    model write what it likes; `space` False holds it to the schema of the plan and the room alone, and no longer to the space that is left;
    `tries` above one writes a faulty piece again before the next (`layout.stepwise`). The same arguments give the same answers on the same
    backend. Raises ValueError for an empty request, n below 1, kept pieces that make no scene, or what no room like
    this can have (`layout.request.refuse`).

    Within `layout.catalogue.using`, own categories may be asked for; pieces of a category with products come in a product's size.
    """
    request = " ".join(request.split())
    if not request:
        raise ValueError("the request is empty; say what the room should be or have")
    if n < 1:
        raise ValueError(f"n={n}: give a number of answers from 1 on")
    kept = Scene(room=room, objects=tuple(keep))
    refuse(kept, request)
    wire, owners = on_wire(kept)
    spec = spec_of(request)
    counts, asked_for = {c.category: c.n for c in spec.counts}, in_known_words(request)
    say = progress or (lambda step: None)
    texts: list[str] = []
    with using(wire_entries(counts)):  # the model and its schema know the built-in names alone
        for k in range(0, n, PART):
            texts += answers(
                backend,
                [Job(wire, asked_for)] * min(PART, n - k),
                plan=plan,
                constrained=constrained,
                temperature=temperature,
                seed=_seed(seed, f"part {k}") if k else seed,
                tries=tries,
                space=space,
                progress=lambda step, k=k: say(_of_all(step, k, n)),
            )
    stays = frozenset(o.id for o in keep)
    candidates = tuple(_own_candidate(text, kept, owners, counts, spec) for text in texts)
    best = min((c for c in candidates if c.report is not None), key=_badness, default=None)
    repaired = None
    if mend and best is not None and best.scene is not None and best.report and best.report.violations:
        say(Step("repair", 0, 1))
        repaired = repair(best.scene, spec, locked=stays)
    return Generated(room, request, spec, candidates, best, repaired)


def _of_all(step: Step, before: int, n: int) -> Step:
    """A step of one part as one of all answers; pieces are of a room and not of the answers."""
    return step if step.stage == "pieces" else Step(step.stage, before + step.done, n)


def spec_of(request: str) -> Spec:
    """What the words of a request ask for: the furniture they name, and where they say that it stands.

    One is at least one; a larger number, or none, is exact.
    """
    counts = (
        CountSpec(category=name, n=n, quantifier="ge" if n == 1 else "eq")
        for name, n in mentioned(request).items()
    )
    return Spec(counts=tuple(counts), relations=said_relations(request))


def ids_of(plan: str, request: str, kept: Sequence[str] = ()) -> list[str]:
    """The ids of an answer: kept pieces, then what the plan promises beyond them; a plan that promises nothing stands for the request's words."""
    planned = [name for name in ids_in_plan(plan) if name not in kept]
    if not planned:
        wanted = mentioned(request).items()
        planned = [f"{name}_{k}" for name, n in wanted for k in range(1, n + 1)]
    new = [name for name in planned if name not in kept]
    return [*kept, *new][: max(MAX_OBJECTS, len(kept))]


def plan_grammar(begun: bool) -> str:
    """EBNF of a plan and the beginning of the objects, where the plan is over; `begun` when its first words are there already.

    The beginning belongs to it because a tokenizer may have the plan's last quote and what follows as one token.
    """
    start = "" if begun else f"{json.dumps(_PLAN_START)} "
    names = " | ".join(json.dumps(name) for name in CATALOGUE)
    end = json.dumps(_PLAN_END + '[{"id":"')
    return f'root ::= {start}[a-z0-9_; ]{{1,{PLAN_CHARACTERS}}} {end} name\nname ::= {names} | ""\n'


def answers(
    backend: Backend,
    jobs: Sequence[Job],
    *,
    plan: bool = True,
    constrained: bool = True,
    temperature: float = TEMPERATURE,
    seed: int = 0,
    tries: int = 1,
    space: bool = False,
    progress: Callable[[Step], None] | None = None,
) -> list[str]:
    """One text of the wire for each job, of which many may be for one room.

    With `space`, the pieces of a plan are held to what the room and the pieces before leave free (`layout.places`): no rewriting, one pass. With
    more than one of `tries`, they are written one by one, and one that brings a hard fault into the room is written again, so often at most
    (`layout.stepwise`).

    The walls that plans number are counted from the south-west, as in training, wherever the room's own outline begins.
    """
    jobs = [
        Job(Scene(room=from_south_west(job.kept.room), objects=job.kept.objects), job.request) for job in jobs
    ]
    say = progress or (lambda step: None)
    total = len(jobs)
    drafts = [_draft(job, plan, constrained) for job in jobs]
    if not (plan and constrained):
        say(Step("rooms", 0, total))
        rest = backend.complete(drafts, temperature=temperature, seed=seed)
        say(Step("rooms", total, total))
        return [draft.begun + text for draft, text in zip(drafts, rest, strict=True)]
    say(Step("plans", 0, total))
    plans = _plans(backend, jobs, drafts, temperature, seed)
    say(Step("plans", total, total))
    say(Step("rooms", 0, total))
    asked = [_objects_asked(*parts) for parts in zip(jobs, drafts, plans, strict=True)]
    if tries > 1 or space:
        writings = [_writing(job, a, space) for job, a in zip(jobs, asked, strict=True)]
        how = {"temperature": temperature, "seed": _seed(seed, "pieces")}
        if tries == 1 and backend.follows:
            texts = stepwise.write_at_once(backend, writings, **how)
        else:
            stepwise.write(backend, writings, tries=tries, progress=say, **how)
            texts = [w.text for w in writings]
        say(Step("rooms", total, total))
        return texts
    rest = backend.complete(asked, temperature=temperature, seed=_seed(seed, "objects"))
    say(Step("rooms", total, total))
    return [a.begun + text for a, text in zip(asked, rest, strict=True)]


def _writing(job: Job, asked: Asked, space: bool) -> stepwise.Writing:
    """The same question, to be answered piece by piece."""
    assert asked.constraint is not None
    assert asked.constraint.schema is not None
    opening = asked.constraint.before + "["
    items = asked.constraint.schema["prefixItems"]
    said = said_relations(job.request) if space else ()
    return stepwise.Writing(job.kept.room, asked.prompt, asked.begun, opening, items, space, said)


def _draft(job: Job, plan: bool, constrained: bool) -> Asked:
    """The first text asked for: a plan that will bind the objects, or the whole answer at once."""
    kept, request = job.kept, job.request
    prompt = prompt_text(kept.room, request, plan=plan)
    begun = _PLAN_START + plan_text(kept) + "; " if plan and kept.objects else ""
    if plan and constrained:
        return Asked(prompt, begun, Constraint(ebnf=plan_grammar(bool(begun))), PLAN_CHARACTERS)
    constraint = Constraint(schema=answer_schema(kept.room, request, plan=plan)) if constrained else None
    return Asked(prompt, begun, constraint, FREE_TOKENS)


def _plans(
    backend: Backend, jobs: Sequence[Job], drafts: Sequence[Asked], temperature: float, seed: int
) -> list[str]:
    """Plans that have what the words name: where one lacks a piece, it is begun and the model goes on."""
    wanted = [mentioned(job.request) for job in jobs]
    once = [singly(job.request) for job in jobs]
    there = [[o.category for o in job.kept.objects] for job in jobs]
    plans = [""] * len(jobs)
    asked = dict(enumerate(drafts))
    for attempt in range(1 + MORE_PLANS):
        texts = backend.complete(
            list(asked.values()), temperature=temperature, seed=_seed(seed, f"plan {attempt}")
        )
        for i, text in zip(list(asked), texts, strict=True):
            plans[i] = agreed(_plan_in(asked[i].begun + text), wanted[i], there[i], once[i])
        short = {i: lacking(plans[i], wanted[i], there[i]) for i in asked}
        asked = {i: _more(drafts[i], plans[i], groups[0]) for i, groups in short.items() if groups}
        if not asked:
            return plans
    for i in asked:
        plans[i] = closed(plans[i], lacking(plans[i], wanted[i], there[i]))
    return plans


def _more(draft: Asked, plan: str, group: str) -> Asked:
    """The plan again, from the name of what it lacks on."""
    begun = _PLAN_START + begun_with(plan, group)
    return Asked(draft.prompt, begun, Constraint(ebnf=plan_grammar(begun=True)), PLAN_CHARACTERS)


def _plan_in(text: str) -> str:
    """The plan in the beginning of an answer; one that was cut off in the middle loses its last words."""
    plan = text.removeprefix(_PLAN_START)
    if '"' in plan:
        return plan.partition('"')[0]
    return plan.rpartition("; ")[0]


def _objects_asked(job: Job, draft: Asked, plan: str) -> Asked:
    """The objects of a plan, to be written after it: each with its id, in the plan's order, the kept ones as they are."""
    kept = job.kept
    names = [o.id for o in kept.objects]
    ids = ids_of(plan, job.request, names)
    whole = answer_schema(kept.room, ids=ids, plan=False)["properties"]["objects"]
    items = list(whole["prefixItems"])
    items[: len(names)] = [_exactly(o, kept) for o in kept.objects]
    schema = {**whole, "prefixItems": items}
    room = OBJECT_CHARACTERS * (len(ids) + 1)
    return Asked(draft.prompt, _PLAN_START + plan, Constraint(_PLAN_END, schema, "}"), room)


def _exactly(o: SceneObject, kept: Scene) -> dict[str, Any]:
    """A schema that only this object fulfils."""
    values = object_json(o, kept.objects, kept.room.height)
    fixed = {name: {"const": value} for name, value in values.items()}
    return {
        "type": "object",
        "properties": fixed,
        "required": list(fixed),
        "additionalProperties": False,
    }


def candidate(text: str, room: Room, spec: Spec) -> Candidate:
    """A model's text read and checked."""
    return _candidate(text, parse(text, room), spec)


def _candidate(text: str, parsed: Parsed | ParseFailure, spec: Spec) -> Candidate:
    report = check(parsed.scene, spec) if isinstance(parsed, Parsed) else None
    return Candidate(text, parsed, report)


def _own_candidate(
    text: str, kept: Scene, owners: dict[str, str], counts: Mapping[str, int], spec: Spec
) -> Candidate:
    """An answer with the kept pieces as they are, also where a model that is not held to them wrote others, and with own names and sizes."""
    parsed = parse(text, kept.room)
    if isinstance(parsed, ParseFailure):
        return Candidate(text, parsed, None)
    scene = off_wire(parsed.scene, kept, owners) if kept.objects else parsed.scene
    scene, changes = taken_back(scene, counts, frozenset(o.id for o in kept.objects))
    return replace(_candidate(text, Parsed(scene=scene, plan=parsed.plan), spec), substitutions=changes)


def _badness(candidate: Candidate) -> tuple[int, int, float, int, float]:
    assert candidate.report is not None, candidate.parsed
    return cost(candidate.report)


def _seed(seed: int, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:4], "big")
