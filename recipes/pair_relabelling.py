"""An existing set of pairs scored with another reward: pairs that it orders the other way are swapped, ties left out.

Pseudo-labels of a reward instead of people's choices are what the AI feedback of Diffusion-DPO and the labels of SmPO are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recipes.pair_folder import PairFolder
from recipes.pair_making import soft_label
from recipes.terminal import batches, progress

if TYPE_CHECKING:
    from diffusion_core.data import Pair
    from rewards.base import Reward

_CHUNK = 64  # pairs between two entries of the log


def relabel_all(
    pairs: Sequence[Pair], reward: Reward, folder: PairFolder, *, margin: float, soft_labels: bool
) -> str:
    """Score and write every pair that is not done. Returns why scores are unknown ("" if all are known)."""
    waiting = [pair for pair in pairs if pair.id not in folder.done]
    reason = ""
    with progress("pairs", len(waiting)) as ticker:
        for chunk in batches(waiting, _CHUNK):
            made = []
            for pair, (scores, note) in zip(chunk, score_pairs(chunk, reward), strict=True):
                reason = reason or note
                kept, fate = reordered(pair, scores, margin=margin)
                if kept is not None and soft_labels:
                    kept = replace(kept, prob_chosen=soft_label(kept.margin or 0.0, reward.bounds))
                made.append(_made(pair, scores, fate, _write(kept, folder)))
            folder.keep(made)
            ticker.advance(len(chunk))
    return reason


def reordered(pair: Pair, scores: tuple[float, float], *, margin: float = 0.0) -> tuple[Pair | None, str]:
    """The pair with these scores (of chosen, of rejected), the better one first, and its fate: kept, swapped, tied or unknown.

    The captions of a pair with two are swapped with their pictures. An older `prob_chosen` was another judge's and is dropped.
    """
    first, second = scores
    if math.isnan(first) or math.isnan(second):
        return None, "unknown"
    if first == second or abs(first - second) < margin * (1 - 1e-6):
        return None, "tied"
    if first > second:
        return replace(pair, score_chosen=first, score_rejected=second, prob_chosen=None), "kept"
    swapped = replace(
        pair,
        prompt=pair.prompt if pair.prompt_rejected is None else pair.prompt_rejected,
        prompt_rejected=None if pair.prompt_rejected is None else pair.prompt,
        chosen=pair.rejected,
        rejected=pair.chosen,
        score_chosen=second,
        score_rejected=first,
        prob_chosen=None,
    )
    return swapped, "swapped"


def score_pairs(pairs: Sequence[Pair], reward: Reward) -> list[tuple[tuple[float, float], str]]:
    """Per pair the scores of chosen and rejected against its prompt, NaN where unknown, and why. Failed calls are retried."""
    from rewards.deadline import Deadline
    from rewards.drawing import grouped
    from rewards.failures import Failure
    from rewards.judging import Scorer
    from rewards.outcomes import combined
    from rewards.retries import Stage

    combine = getattr(reward, "combine", None)
    members: Sequence[Any] = reward.members if combine else (reward,)  # type: ignore[attr-defined]
    units = [_unit(pair, side, len(members)) for pair in pairs for side in ("chosen", "rejected")]
    never = Deadline()
    for positions in grouped(range(len(units)), lambda i: units[i].shot.pixels.shape):
        jobs = [units[i] for i in positions]
        for index, member in enumerate(members):
            whole = None
            if member.scope == "group":
                whole = grouped(range(len(jobs)), [unit.group for unit in jobs].__getitem__)
            stage = Stage(
                call=Scorer(member, never, "reject"),
                run=lambda work, timeout_s: work(),
                max_batch=member.max_batch,
                deadline=never,
            )
            for unit, answer in zip(jobs, stage(jobs, whole), strict=True):
                unit.answers[index] = answer
    answers = combined(units, combine)
    values = [math.nan if isinstance(answer, Failure) else answer.value for answer in answers]
    notes = [
        answer.note or "" if math.isnan(value) else "" for answer, value in zip(answers, values, strict=True)
    ]
    return [((values[i], values[i + 1]), notes[i] or notes[i + 1]) for i in range(0, len(values), 2)]


def _unit(pair: Pair, side: str, members: int) -> Any:
    from diffusion_core.media import read_array
    from rewards.cases import Row, Shot, Target, Unit
    from rewards.keys import pixel_digest

    array = read_array(getattr(pair, side))
    if array.ndim == 4:
        raise ValueError(f"pair {pair.id!r} is a video; rewards score pictures here")
    pixels = array.transpose(2, 0, 1)
    digest = pixel_digest(pixels)
    shown = pair.prompt if side == "chosen" or pair.prompt_rejected is None else pair.prompt_rejected
    target = Target.of(Row(pair.id, pair.prompt, pair.spec))
    return Unit(Shot(shown, 0, digest, digest, pixels), target, pair.id, [None] * members)


def _write(pair: Pair | None, folder: PairFolder) -> list[dict[str, Any]]:
    from diffusion_core.data import SIDES, caption_row, stem_of, write_media

    if pair is None:
        return []
    for side in SIDES:
        write_media(getattr(pair, side), folder.root / side / stem_of(pair.id))
    return [caption_row(pair)]


def _made(pair: Pair, scores: tuple[float, float], fate: str, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    known = [None if math.isnan(score) else score for score in scores]
    return {"id": pair.id, "scores": known, "pairs": pairs, "counts": {fate: 1}}
