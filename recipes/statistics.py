"""Paired cluster-bootstrap intervals: the images of a prompt are not independent, and arms share prompts and seeds.

Axes: P prompts (the clusters), S seeds, D draws. A table of scores is (P, S) float with NaN where a sample has no score.
Every arm is resampled with the same draws, so that differences are paired by (prompt, seed). Intervals are percentiles (2.5, 97.5).
A rate of exactly 0 or 1 has an interval of width zero here: read it as "never seen in P prompts".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; None where nothing could be computed."""

    mean: float | None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Shares of (prompt, seed) pairs that the first arm won, tied and lost, and win minus loss."""

    win: float
    tie: float
    loss: float
    margin: Interval

    def to_json(self) -> dict:
        return {"win": self.win, "tie": self.tie, "loss": self.loss, "margin": self.margin.to_json()}


def draw_weights(prompts: int, *, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """How often each prompt is drawn, (D, P): rows sum to P."""
    if prompts < 1:
        raise ValueError("a bootstrap needs at least one prompt")
    rng = np.random.default_rng(seed)
    return rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=draws).astype(np.float64)


def complete_cases(arms: Mapping[str, np.ndarray]) -> np.ndarray:
    """(P, S) True where every arm has a score: no arm may drop a sample that the others keep."""
    return np.logical_and.reduce([np.isfinite(scores_PS) for scores_PS in arms.values()])


def _drawn_means(scores_PS: np.ndarray, kept_PS: np.ndarray, weights_DP: np.ndarray) -> np.ndarray:
    """Mean over the kept samples of each draw, (D,); NaN for a draw without any."""
    sums_P = np.where(kept_PS, scores_PS, 0.0).sum(axis=1)
    counts_P = kept_PS.sum(axis=1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights_DP @ sums_P) / (weights_DP @ counts_P)


def _interval(mean: float, drawn_D: np.ndarray) -> Interval:
    if not np.isfinite(mean):
        return Interval(None)
    drawn_D = drawn_D[np.isfinite(drawn_D)]
    if len(drawn_D) == 0:
        return Interval(float(mean))
    low, high = np.percentile(drawn_D, (2.5, 97.5))
    return Interval(float(mean), float(low), float(high))


def mean_interval(
    scores_PS: np.ndarray, weights_DP: np.ndarray, kept_PS: np.ndarray | None = None
) -> Interval:
    """The mean over samples (by default those with a score) and its interval."""
    kept_PS = np.isfinite(scores_PS) if kept_PS is None else kept_PS
    if not kept_PS.any():
        return Interval(None)
    return _interval(float(scores_PS[kept_PS].mean()), _drawn_means(scores_PS, kept_PS, weights_DP))


def difference(
    a_PS: np.ndarray, b_PS: np.ndarray, weights_DP: np.ndarray, kept_PS: np.ndarray | None = None
) -> Interval:
    """Mean of a - b over samples that both have (and that are kept), paired by prompt and seed."""
    delta_PS = a_PS - b_PS
    kept_PS = np.isfinite(delta_PS) & (True if kept_PS is None else kept_PS)
    return mean_interval(delta_PS, weights_DP, kept_PS)


def gap_closed(
    ours_PS: np.ndarray,
    original_PS: np.ndarray,
    oracle_PS: np.ndarray,
    weights_DP: np.ndarray,
    kept_PS: np.ndarray | None = None,
) -> Interval:
    """(ours - original) / (oracle - original). None where the oracle is not better than the original: there is no gap to close.

    Draws in which the gap vanishes are left out of the percentiles.
    """
    finite_PS = np.isfinite(ours_PS) & np.isfinite(original_PS) & np.isfinite(oracle_PS)
    kept_PS = finite_PS if kept_PS is None else finite_PS & kept_PS
    if not kept_PS.any():
        return Interval(None)
    gained = float((ours_PS - original_PS)[kept_PS].mean())
    gap = float((oracle_PS - original_PS)[kept_PS].mean())
    if gap <= 0:
        return Interval(None)
    gained_D = _drawn_means(ours_PS - original_PS, kept_PS, weights_DP)
    gap_D = _drawn_means(oracle_PS - original_PS, kept_PS, weights_DP)
    with np.errstate(invalid="ignore", divide="ignore"):
        share_D = np.where(gap_D > 0, gained_D / gap_D, np.nan)
    return _interval(gained / gap, share_D)


def win_tie_loss(
    a_PS: np.ndarray,
    b_PS: np.ndarray,
    weights_DP: np.ndarray,
    kept_PS: np.ndarray | None = None,
    tolerance: float = 1e-6,
) -> Outcomes | None:
    """How often a beats b on the same prompt and seed; None without a common sample."""
    delta_PS = a_PS - b_PS
    kept_PS = np.isfinite(delta_PS) & (True if kept_PS is None else kept_PS)
    if not kept_PS.any():
        return None
    sign_PS = np.where(np.abs(delta_PS) <= tolerance, 0.0, np.sign(delta_PS))
    held = sign_PS[kept_PS]
    return Outcomes(
        float((held > 0).mean()),
        float((held == 0).mean()),
        float((held < 0).mean()),
        mean_interval(sign_PS, weights_DP, kept_PS),
    )


def pass_at_k(strict_PS: np.ndarray, weights_DP: np.ndarray) -> Interval:
    """Share of prompts with at least one success among their S seeds; a prompt without any score is left out."""
    seen_P1 = np.isfinite(strict_PS).any(axis=1, keepdims=True)
    best_P1 = np.where(
        seen_P1,
        np.nanmax(np.where(np.isfinite(strict_PS), strict_PS, -np.inf), axis=1, keepdims=True),
        np.nan,
    )
    return mean_interval((best_P1 >= 1.0).astype(np.float64), weights_DP, seen_P1)


def by_tag(
    scores_PS: np.ndarray, tags: Sequence[Sequence[str]], kept_PS: np.ndarray | None = None
) -> dict[str, tuple[float, int]]:
    """Per tag the mean score of its prompts and how many prompts carry it."""
    kept_PS = np.isfinite(scores_PS) if kept_PS is None else np.isfinite(scores_PS) & kept_PS
    found = {}
    for tag in sorted({tag for row in tags for tag in row}):
        rows = np.array([tag in row for row in tags])
        chosen = kept_PS & rows[:, None]
        if chosen.any():
            found[tag] = (float(scores_PS[chosen].mean()), int(chosen.any(axis=1).sum()))
    return found


def ratio_interval(hits_PS: np.ndarray, cases_PS: np.ndarray, weights_DP: np.ndarray) -> Interval:
    """Σ hits / Σ cases over samples, such as the asked-for objects that are there; a sample without cases has 0 of both."""
    total = float(cases_PS.sum())
    return Interval(None) if total == 0 else _interval(hits_PS.sum() / total, _ratios(hits_PS, cases_PS, weights_DP))  # fmt: skip


def ratio_difference(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], weights_DP: np.ndarray
) -> Interval:
    """The first ratio minus the second, each a pair (hits, cases) of (P, S), resampled with the same prompts."""
    if not a[1].sum() or not b[1].sum():
        return Interval(None)
    whole = a[0].sum() / a[1].sum() - b[0].sum() / b[1].sum()
    return _interval(float(whole), _ratios(*a, weights_DP) - _ratios(*b, weights_DP))


def _ratios(hits_PS: np.ndarray, cases_PS: np.ndarray, weights_DP: np.ndarray) -> np.ndarray:
    """The ratio in each draw, (D,); NaN for a draw without any case."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights_DP @ hits_PS.sum(axis=1)) / (weights_DP @ cases_PS.sum(axis=1))
