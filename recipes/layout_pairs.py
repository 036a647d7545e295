"""Preference pairs of a layout model: what was asked, a good answer, a worse one, and the validator's word on both.

    stage 1   the model's own near misses against its own best answer, or the synthesiser's room where it has none
    slips     a faultless room against itself with one piece that the model wrote once more, wrongly (`recipes.layout_slips`)
    stage 2   the synthesiser's room against itself with one verified defect (`layout.negatives`)
    naive     the synthesiser's room against itself with noise that nobody looked at: the arm to compare with

Prompts are rooms of the train split, drawn from another seed than the fine-tuning's. What is rejected keeps the plan of what is chosen where
its objects are the same, so that the two texts differ in numbers alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from layout.checks import check
from layout.generate import Candidate, Job, answers, candidate
from layout.negatives import Pair, as_written, injected_pair, naive_noise
from layout.parse import Parsed, parse
from layout.repair import cost
from layout.report import Report
from layout.schema import Scene
from layout.serialise import answer_text
from layout.synthesis import room_hash
from recipes.layout_rows import KINDS, Row, row

if TYPE_CHECKING:
    from layout.generate import Backend

Stage = Literal["1", "slips", "2", "naive"]
STAGES: tuple[Stage, ...] = ("1", "slips", "2", "naive")
ASKED_FOR = {
    name: share for name, share in KINDS.items() if name != "change"
}  # whole rooms: what was there is not the model's
SFT_SEED = 0  # rows_seed of the packaged fine-tuning
MAX_FAULTS, MAX_KINDS = 3, 2  # of a near miss; what is worse than this teaches little
ASKED = ("count", "relation_unmet")  # faults against the request, beside the hard ones


@dataclass(frozen=True)
class Drawn:
    """Where prompts come from: the same seed and number are the same room and request."""

    seed: int
    plan_share: float = 0.85

    def row(self, index: int) -> Row:
        return row(self.seed, "train", index, plan_share=self.plan_share, kinds=ASKED_FOR)


@dataclass
class Injected:
    """Stage 2. `codes` None: all of them; `held`: only what decoding held to the schema could write."""

    drawn: Drawn
    codes: Sequence[str] | None = None
    held: bool = True

    def __call__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        found = []
        for i in indices:
            r = self.drawn.row(i)
            seed = f"{self.drawn.seed}/{i}"
            pair = injected_pair(r.scene, r.instruction.spec, seed, self.codes, held=self.held)
            made = None if pair is None else pair_row(i, "2", r, pair)
            found += [made] if made is not None else []
        return found


@dataclass
class Noisy:
    """The naive arm: `moved` objects of every room shifted and turned at random."""

    drawn: Drawn
    moved: int = 1

    def __call__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        found = []
        for i in indices:
            r = self.drawn.row(i)
            good = as_written(r.scene)
            bad = as_written(
                naive_noise(r.scene, random.Random(f"{self.drawn.seed}/{i}/noise"), moved=self.moved)
            )
            if good is None or bad is None or bad == good:
                continue
            reports = (check(s, r.instruction.spec) for s in (good, bad))
            made = pair_row(i, "naive", r, Pair(good, bad, "noise", *reports))
            found += [made] if made is not None else []
        return found


@dataclass
class Sampled:
    """Stage 1: `n` answers a prompt from the model, held to the schema as in use. Counts what it saw."""

    drawn: Drawn
    backend: Backend
    n: int = 8
    temperature: float = 1.0
    seen: dict[str, int] = field(
        default_factory=lambda: {"prompts": 0, "answers": 0, "unread": 0, "hard": 0, "objects": 0}
    )

    def __call__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        rows = {i: self.drawn.row(i) for i in indices}
        texts = self._answers(rows)
        found = []
        for i, r in rows.items():
            options = [candidate(text, r.scene.room, r.instruction.spec) for text in texts[i]]
            self.seen["prompts"] += 1
            count_answers(self.seen, options)
            made = near_miss_row(i, r, options)
            found += [made] if made is not None else []
        return found

    def _answers(self, rows: dict[int, Row]) -> dict[int, list[str]]:
        """`n` texts a prompt; prompts of like length are answered together."""
        found: dict[int, list[str]] = {}
        for plan in (True, False):
            order = sorted(
                (i for i, r in rows.items() if r.plan is plan), key=lambda i: len(rows[i].completion)
            )
            jobs = [
                Job(Scene(room=rows[i].scene.room), rows[i].request) for i in order for _ in range(self.n)
            ]
            if not jobs:
                continue
            seed = self.drawn.seed + min(order)
            texts = answers(self.backend, jobs, plan=plan, temperature=self.temperature, seed=seed)
            found.update({i: texts[k * self.n : (k + 1) * self.n] for k, i in enumerate(order)})
        return found


def count_answers(seen: dict[str, int], options: Sequence[Candidate]) -> None:
    """Add answers to what a source has seen."""
    reports = [c.report for c in options if c.report is not None]
    seen["answers"] += len(options)
    seen["unread"] += len(options) - len(reports)
    seen["hard"] += sum(not report.ok for report in reports)
    seen["objects"] += sum(report.n_objects for report in reports)


Source = Callable[[Sequence[int]], list[dict[str, Any]]]  # numbers of prompts to the pairs found for them


def pair_row(index: int, stage: Stage, r: Row, pair: Pair) -> dict[str, Any] | None:
    """A pair of scenes as the row of a file; None where the rejected text would not be read as the rejected scene."""
    chosen = answer_text(pair.chosen, plan=r.plan)
    rejected = answer_like(pair.chosen, pair.rejected, plan=r.plan)
    read = parse(rejected, r.scene.room)
    if not isinstance(read, Parsed) or read.scene != pair.rejected or chosen == rejected:
        return None
    return result_row(
        index, stage, r, pair.code, (chosen, pair.before), (rejected, pair.after), "synthesiser"
    )


def answer_like(chosen: Scene, rejected: Scene, *, plan: bool) -> str:
    """The answer of `rejected` behind the plan of `chosen`; behind its own where the plan promises other objects."""
    if not plan or [o.id for o in chosen.objects] != [o.id for o in rejected.objects]:
        return answer_text(rejected, plan=plan)
    whole, bare = answer_text(chosen, plan=True), answer_text(chosen, plan=False)
    same = 0
    while same < min(len(whole), len(bare)) and whole[-1 - same] == bare[-1 - same]:
        same += 1
    # What only the text with a plan begins with, then the other's objects.
    return whole[: len(whole) - same] + answer_text(rejected, plan=False)[len(bare) - same :]


def faults_that_count(report: Report) -> list[str]:
    """Codes of the hard faults and of what the request did not get."""
    return [v.code for v in report.violations if v.severity == "hard" or v.code in ASKED]


def near_miss(report: Report | None) -> bool:
    """Whether an answer is wrong in few ways: one to `MAX_FAULTS` faults that count, of at most `MAX_KINDS` kinds."""
    codes = faults_that_count(report) if report is not None else []
    return 1 <= len(codes) <= MAX_FAULTS and len(set(codes)) <= MAX_KINDS


def near_miss_row(index: int, r: Row, options: Sequence[Candidate]) -> dict[str, Any] | None:
    """The worst of a prompt's near misses against its best faultless answer, or against the synthesiser's room; None without a near miss.

    An answer of the model with fewer objects than the near miss is not chosen: it would be better for having less to get wrong.
    """
    misses = [c for c in options if near_miss(c.report)]
    if not misses:
        return None
    worst = max(misses, key=_cost)
    report = worst.report
    assert report is not None, "a near miss was read"
    own = [
        c
        for c in options
        if c.report is not None and not faults_that_count(c.report) and c.report.n_objects >= report.n_objects
    ]
    best = min(own, key=_cost, default=None)
    code = "+".join(dict.fromkeys(faults_that_count(report)))
    if best is not None and best.report is not None and _soft(best.report) <= _soft(report):
        return result_row(index, "1", r, code, (best.text, best.report), (worst.text, report), "model")
    good = as_written(r.scene)
    if good is None:
        return None
    reference = check(good, r.instruction.spec)
    return result_row(index, "1", r, code, (r.completion, reference), (worst.text, report), "synthesiser")


def _cost(c: Candidate) -> tuple[int, int, float, int, float]:
    assert c.report is not None, c.parsed
    return cost(c.report)


def _soft(report: Report) -> int:
    return len(report.violations) - len(report.hard)


def result_row(
    index: int,
    stage: Stage,
    r: Row,
    code: str,
    chosen: tuple[str, Report],
    rejected: tuple[str, Report],
    chosen_by: str,
) -> dict[str, Any]:
    return {
        "index": index,
        "stage": stage,
        "prompt": r.prompt,
        "chosen": chosen[0],
        "rejected": rejected[0],
        "code": code,
        "chosen_by": chosen_by,
        "chosen_faults": dict(chosen[1].codes),
        "rejected_faults": dict(rejected[1].codes),
        "rejected_hard": len(rejected[1].hard),
        "chosen_objects": chosen[1].n_objects,
        "rejected_objects": rejected[1].n_objects,
        "room_type": r.scene.room.room_type,
        "room_hash": room_hash(r.scene.room),
        "plan": r.plan,
    }
