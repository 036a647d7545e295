"""Preference pairs from a model's own samples: n images of a prompt with fixed seeds, scored, and paired where they differ enough."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recipes.pair_folder import PairFolder
from recipes.terminal import batches, progress

if TYPE_CHECKING:
    from rewards.bridge import Bridge
    from rewards.cases import Outcome
    from rewriter.datasets import PromptRow

Strategy = Literal["best_worst", "adjacent", "random"]
STRATEGIES: tuple[Strategy, ...] = ("best_worst", "adjacent", "random")


def most_pairs(n: int, strategy: Strategy) -> int:
    """How many pairs n samples can give."""
    return {"best_worst": n // 2, "adjacent": n - 1, "random": n * (n - 1) // 2}[strategy]


def form_pairs(
    scores: Sequence[float], *, margin: float, count: int, strategy: Strategy, seed: int | Sequence[int] = 0
) -> list[tuple[int, int]]:
    """At most `count` (winner, loser) positions whose scores differ by at least `margin`, and at all; NaN is unknown and left out.

    best_worst: the best with the worst, the second best with the second worst, …: the clearest contrast. adjacent: neighbours in
    rank, the widest gaps first: small differences. random: any, uniformly.
    """
    import numpy as np

    known = [i for i, score in enumerate(scores) if not math.isnan(score)]
    ranked = sorted(known, key=lambda i: -scores[i])
    if strategy == "best_worst":
        offered = [(ranked[k], ranked[-1 - k]) for k in range(len(ranked) // 2)]
    elif strategy == "adjacent":
        offered = sorted(itertools.pairwise(ranked), key=lambda p: scores[p[1]] - scores[p[0]])
    elif strategy == "random":
        every = list(itertools.combinations(ranked, 2))
        offered = [every[i] for i in np.random.default_rng(seed).permutation(len(every))]
    else:
        raise ValueError(f"unknown strategy {strategy!r}; known: {', '.join(STRATEGIES)}")
    gaps = [(both, scores[both[0]] - scores[both[1]]) for both in offered]
    # Scores are float32: a margin of .1 must not refuse a gap of .1 for its last bit.
    return [both for both, gap in gaps if gap > 0 and gap >= margin * (1 - 1e-6)][:count]


def soft_label(gap: float, bounds: tuple[float, float]) -> float | None:
    """SmPO's probability that the winner is the better one: softmax of the two scores brought to [0, 1] by the reward's range.

    None where the reward declares no finite range.
    """
    width = bounds[1] - bounds[0]
    return 1 / (1 + math.exp(-gap / width)) if math.isfinite(width) else None


def make_all(
    rows: Sequence[PromptRow],
    texts: Sequence[str],
    bridge: Bridge,
    folder: PairFolder,
    *,
    margin: float,
    per_prompt: int,
    strategy: Strategy,
    judge_by: Literal["prompt", "rewrite"],
    soft_labels: bool,
    batch: int = 64,
) -> str:
    """Sample, score and pair every prompt that is not done; prompts of one batch are drawn together.

    Returns why scores are unknown, in the words of the first ("" if all are known).
    """
    waiting = [(row, text) for row, text in zip(rows, texts, strict=True) if row.id not in folder.done]
    reason = ""
    with progress("images", len(waiting) * bridge.images_per_prompt) as ticker:
        for chunk in batches(waiting, max(1, batch // bridge.images_per_prompt)):
            judged = [row if judge_by == "prompt" else replace(row, prompt=text) for row, text in chunk]
            outcomes = bridge.score_texts(list(map(_row, judged)), [text for _, text in chunk], images=True)
            made = []
            for (row, text), outcome in zip(chunk, outcomes, strict=True):
                scores = values_of(outcome, bridge.images_per_prompt)
                reason = reason or (outcome.note or outcome.cause if any(map(math.isnan, scores)) else "")
                chosen = form_pairs(
                    scores,
                    margin=margin,
                    count=per_prompt,
                    strategy=strategy,
                    seed=bridge.seeds(row.id)[0],
                )
                pairs = [
                    _write(folder.root, row, text, outcome, scores, both, k if per_prompt > 1 else None)
                    for k, both in enumerate(chosen)
                ]
                if soft_labels:
                    pairs = [_labelled(pair, bridge.reward.bounds) for pair in pairs]
                made.append(_made(row, bridge, scores, pairs))
            folder.keep(made)
            ticker.advance(len(chunk) * bridge.images_per_prompt)
    return reason


def values_of(outcome: Outcome, n: int) -> list[float]:
    """A score per sample, NaN where it or the picture is missing."""
    values = list(outcome.values) + [math.nan] * (n - len(outcome.values))
    images = list(outcome.images) + [None] * (n - len(outcome.images))
    return [value if image is not None else math.nan for value, image in zip(values, images, strict=True)]


def _row(row: PromptRow) -> Any:
    from rewards.cases import Row

    return Row(row.id, row.prompt, row.spec)


def _write(
    root: Path,
    row: PromptRow,
    text: str,
    outcome: Outcome,
    scores: Sequence[float],
    both: tuple[int, int],
    number: int | None,
) -> dict[str, Any]:
    """Both pictures of a pair on disk; its line for captions.jsonl."""
    from diffusion_core.data import Pair, caption_row, stem_of
    from recipes.pictures import save_png

    winner, loser = outcome.images[both[0]], outcome.images[both[1]]
    assert winner is not None and loser is not None, both  # noqa: PT018 - both were scored
    name = stem_of(row.id) + ("" if number is None else f"-{number}")
    pair = Pair(name, text, winner, loser, None, scores[both[0]], scores[both[1]], spec=row.spec)
    for side, image in (("chosen", winner), ("rejected", loser)):
        save_png(image, root / side / f"{name}.png")
    return {**caption_row(pair), "seeds": [outcome.seeds[i] for i in both]}


def _labelled(pair: dict[str, Any], bounds: tuple[float, float]) -> dict[str, Any]:
    label = soft_label(pair["score_chosen"] - pair["score_rejected"], bounds)
    return pair if label is None else {**pair, "prob_chosen": label}


def _made(row: PromptRow, bridge: Bridge, scores: Sequence[float], pairs: Sequence[Any]) -> dict[str, Any]:
    """The prompt's line in the log. `none`: prompts without a pair."""
    unknown = sum(map(math.isnan, scores))
    return {
        "id": row.id,
        "seeds": list(bridge.seeds(row.id)),
        "scores": [None if math.isnan(score) else score for score in scores],
        "pairs": list(pairs),
        "counts": {"samples": len(scores), "unknown": unknown, "without_pair": int(not pairs)},
    }
