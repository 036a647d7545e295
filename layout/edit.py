"""From a furnished room and a sentence to the room changed as it says, everything else exactly where it was.

The words become operations by rules (`layout.editing.words`). What is moved or added is placed by the layout model, best of n, and by a
search over poses (`layout.editing.search`); the better by the validator is taken, so that an edit succeeds also where the model does not.
Turning, resizing and swapping have hardly a choice and are searched alone. Only what was touched may be mended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from layout.asking import Backend, Step
from layout.checks import check
from layout.editing.operations import Edits
from layout.editing.plan import MODEL, SEARCH, Plan, riders
from layout.editing.words import read
from layout.generate import generate
from layout.repair import repair
from layout.report import Report
from layout.request import refuse
from layout.schema import Scene, SceneObject, Spec


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was; None where it was not or is no more."""

    id: str
    before: SceneObject | None
    after: SceneObject | None

    @property
    def what(self) -> str:
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        if self.before.size != self.after.size:
            return "resized"
        return "moved" if self.before.pos != self.after.pos or self.before.on != self.after.on else "turned"


@dataclass(frozen=True)
class Edited:
    """An edit carried out as well as it could be."""

    before: Scene
    request: str
    edits: Edits
    notes: tuple[str, ...]
    spec: Spec
    scene: Scene
    raw: Scene  # the chosen one before repair
    before_report: Report
    report: Report
    source: str  # of the chosen one: "model" or "search"
    moves: tuple[str, ...]  # what repair did
    not_done: tuple[str, ...]  # operations whose places are not met
    answers: int  # of the model that could be read
    of: int  # asked for

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is not as it was, in the room's order."""
        names = [o.id for o in self.before.objects] + [
            o.id for o in self.scene.objects if o.id not in self.before.by_id
        ]
        pairs = ((n, self.before.by_id.get(n), self.scene.by_id.get(n)) for n in names)
        return tuple(Change(n, old, new) for n, old, new in pairs if old != new)

    @property
    def locality(self) -> float | None:
        """Share of the things no operation is about that are exactly as they were; None where there are none."""
        riding = riders(self.before, self.edits.touched)
        rest = [o for o in self.before.objects if o.id not in self.edits.touched | riding]
        return sum(self.scene.by_id.get(o.id) == o for o in rest) / len(rest) if rest else None

    @property
    def new_faults(self) -> tuple[str, ...]:
        """Sentences on hard faults that the room did not have; what was asked for and is missing is in `unmet`."""
        old = {(v.code, frozenset(v.ids)) for v in self.before_report.hard}
        new = (v for v in self.report.hard if v.code != "count")
        return tuple(v.message for v in new if (v.code, frozenset(v.ids)) not in old)

    @property
    def unmet(self) -> tuple[str, ...]:
        """What of the edit was not done or is wrong with it, a sentence each, the grave first."""
        old = {(v.code, frozenset(v.ids)) for v in self.before_report.violations}
        new = [v for v in self.report.violations if (v.code, frozenset(v.ids)) not in old]
        said = [v for v in new if v.code != "relation_unmet"]
        return (*self.not_done, *(v.message for v in sorted(said, key=lambda v: v.severity)))

    @property
    def ok(self) -> bool:
        """Every operation done and no new hard fault."""
        return not self.not_done and not self.new_faults and not self.report.of("count")


def edit(
    backend: Backend | None,
    scene: Scene,
    request: str,
    *,
    n: int = 8,
    mend: bool = True,
    temperature: float = 0.8,
    seed: int = 0,
    tries: int = 1,
    progress: Callable[[Step], None] | None = None,
) -> Edited:
    """`scene` changed as `request` says. Without a `backend` the search alone places.

    Raises ValueError, before anything is computed, for words that are not understood, things that are not there, steps that contradict
    each other, and n below 1.
    """
    if n < 1:
        raise ValueError(f"n={n}: give a number of answers from 1 on")
    say = progress or (lambda step: None)
    edits = read(request, scene)
    plan = Plan(scene, edits)
    base, kept, spec = plan.base, plan.kept, plan.spec
    say(Step("search", 0, 1))
    options = [plan.option(SEARCH, found) for found in plan.searched(base, plan.tasks, seed)]
    say(Step("search", 1, 1))
    answers = asked = 0
    hopeless = _refused(base, plan) if backend is not None and plan.for_model else None
    if hopeless is not None:
        plan.notes.append(f"the model was not asked: {hopeless}")
    elif backend is not None and plan.for_model:
        still = [t for t in plan.tasks if t not in plan.for_model and not plan.depends(t)]
        start = next(iter(plan.searched(base, still, seed)), base)
        found = generate(
            backend, scene.room, plan.asked, n=n, keep=start.objects, mend=False, temperature=temperature, seed=seed, tries=tries,
            progress=progress,
        )  # fmt: skip
        asked = len(found.candidates)
        for candidate in found.candidates:
            if candidate.scene is not None:
                answers += 1
                options += [plan.option(MODEL, s) for s in plan.taken(start, candidate.scene, seed)]
    best = min(options, key=lambda option: (option.key, option.source != MODEL))
    raw, moves = best.scene, ()
    if mend and best.report.violations and plan.tasks:
        say(Step("repair", 0, 1))
        mended = repair(best.scene, spec, locked=kept)
        after = plan.option(best.source, mended.scene)
        if mended.moves and after.key < best.key:
            best, moves = after, mended.moves
    done = plan.ordered(best.scene)
    return Edited(
        before=scene, request=request, edits=edits, notes=(*edits.notes, *plan.notes), spec=spec, scene=done, raw=plan.ordered(raw),
        before_report=check(scene), report=check(done, spec), source=best.source, moves=moves, not_done=plan.not_done(done),
        answers=answers, of=asked,
    )  # fmt: skip


def _refused(base: Scene, plan: Plan) -> str | None:
    """Why no answer of a model can be what is asked for; the search may still put something smaller, or report what is in the way."""
    try:
        refuse(base, plan.asked)
    except ValueError as error:
        return str(error)
    return None
