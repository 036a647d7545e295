"""From the answers for single images to what a completion earns, and what its group may keep."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from rewards.accounting import Accounting, mean
from rewards.base import Item, Scores, Status
from rewards.cases import Case, Outcome, PartScore, Target, Unit
from rewards.failures import Failure
from rewards.judging import item_of

Answer = PartScore | Failure
_LOST = Failure(Status.BROKEN, "broken", "no answer")


def combined(
    units: Sequence[Unit], combine: Callable[[Sequence[Scores], Sequence[Item]], Scores] | None
) -> list[Answer]:
    """The members' answers as one answer per unit; `combine` is a composite's. A failed member names the failure."""
    if combine is None:
        return [unit.answers[0] or _LOST for unit in units]
    members = [
        _as_scores(answers)
        for answers in zip(*([a or _LOST for a in unit.answers] for unit in units), strict=True)
    ]
    if not members:
        return []
    whole = combine(members, [item_of(unit) for unit in units])
    values, statuses = whole.value.tolist(), whole.status.tolist()
    columns = {name: part.tolist() for name, part in whole.parts.items()}
    found: list[Answer] = []
    for i, unit in enumerate(units):
        status = Status(statuses[i])
        if status in (Status.RETRYABLE, Status.BROKEN):
            failures = [answer for answer in unit.answers if isinstance(answer, Failure)]
            found.append(max(failures, key=lambda failure: failure.status, default=_LOST))
        else:
            parts = {name: column[i] for name, column in columns.items()}
            found.append(PartScore(values[i], parts, status, whole.notes[i]))
    return found


def outcome_of(
    case: Case, units: Sequence[Unit], answers: Sequence[Answer], *, floor: float, images: bool
) -> Outcome:
    """The mean over the seeds, or the worst that happened to one of them."""
    if case.conditioning is None:
        return Outcome(floor, Status.POLICY_FAIL, cause=case.reason, note=case.reason)
    outcome = Outcome(
        None,
        Status.OK,
        conditioning=case.conditioning,
        seeds=tuple([unit.shot.seed for unit in units]),
        values=tuple([math.nan if isinstance(a, Failure) else a.value for a in answers]),
        parts_per_seed=tuple([{} if isinstance(a, Failure) else a.parts for a in answers]),
        images=[_as_image(unit.shot.pixels) for unit in units] if images else [],
        copied=case.copied,
    )
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    if failures:
        worst = max(failures, key=lambda failure: failure.status)
        outcome.status, outcome.cause, outcome.note = worst.status, worst.cause, worst.note
        return outcome
    held = [answer for answer in answers if isinstance(answer, PartScore)]
    names = dict.fromkeys([name for answer in held for name in answer.parts])
    outcome.parts = {name: mean([answer.parts.get(name, math.nan) for answer in held]) for name in names}
    outcome.note = "; ".join(dict.fromkeys([answer.note for answer in held if answer.note]))
    if any(answer.status == Status.NA for answer in held):
        outcome.status, outcome.cause = Status.NA, "na"
        return outcome
    failed = [answer.status == Status.POLICY_FAIL for answer in held]
    outcome.value = mean([floor if bad else answer.value for answer, bad in zip(held, failed, strict=True)])
    if all(failed):
        outcome.status, outcome.cause = Status.POLICY_FAIL, "reward"
    return outcome


def drop_thin_groups(cases: Sequence[Case], outcomes: Sequence[Outcome], tally: Accounting) -> None:
    """None for every member of a group that kept fewer than max(2, half) valid ones.

    A group of one (evaluation with one generation per prompt) has nobody to be compared with and keeps its value.
    """
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for case, outcome in zip(cases, outcomes, strict=True):
        groups[case.group].append(outcome)
    for members in groups.values():
        valid = sum(outcome.value is not None for outcome in members)
        tally.groups += 1
        if valid < min(len(members), max(2, math.ceil(len(members) / 2))):
            tally.groups_dropped += 1
            for outcome in members:
                if outcome.value is not None:
                    outcome.value, outcome.cause = None, "group_dropped"


def part_means(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Means over the scored completions, as part/name."""
    scored = [outcome for outcome in outcomes if outcome.value is not None and outcome.status == Status.OK]
    names = dict.fromkeys(name for outcome in scored for name in outcome.parts)
    return {f"part/{name}": mean(o.parts.get(name, math.nan) for o in scored) for name in names}


def mean_gain(targets: Sequence[Target], outcomes: Sequence[Outcome], baselines: Sequence[Outcome]) -> float:
    """Mean of reward minus baseline, over completions where both are known; one baseline per distinct row, in order."""
    rows = dict.fromkeys(target.row_id for target in targets)
    base = {row: outcome.value for row, outcome in zip(rows, baselines, strict=True)}
    pairs = [(outcome.value, base[target.row_id]) for target, outcome in zip(targets, outcomes, strict=True)]
    return mean(value - held for value, held in pairs if value is not None and held is not None)


def _as_image(pixels: np.ndarray | None) -> np.ndarray | None:
    """(C, H, W) → (H, W, C), as picture libraries want it."""
    return None if pixels is None else np.ascontiguousarray(pixels.transpose(1, 2, 0))


def _as_scores(answers: Sequence[Answer]) -> Scores:
    held = [answer if isinstance(answer, PartScore) else None for answer in answers]
    names = dict.fromkeys(name for answer in held if answer is not None for name in answer.parts)
    return Scores.of(
        [math.nan if answer is None else answer.value for answer in held],
        parts={n: [math.nan if a is None else a.parts.get(n, math.nan) for a in held] for n in names},
        status=[answer.status for answer in answers],
        notes=[answer.note for answer in answers],
    )
