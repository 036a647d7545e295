"""Intervals against closed forms and against the definitions written out."""

import numpy as np
import pytest

from recipes.statistics import (
    by_tag,
    complete_cases,
    difference,
    draw_weights,
    gap_closed,
    mean_interval,
    pass_at_k,
    ratio_difference,
    ratio_interval,
    win_tie_loss,
)


def clustered(prompts: int, seeds: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """0/1 scores that depend strongly on the prompt."""
    chance_P1 = np.where(rng.random((prompts, 1)) < rate, 0.9, 0.1)
    return (rng.random((prompts, seeds)) < chance_P1).astype(float)


def test_every_draw_takes_as_many_prompts_as_there_are():
    weights_DP = draw_weights(17, draws=50)
    assert (weights_DP.sum(axis=1) == 17).all()
    assert (draw_weights(17, draws=50) == weights_DP).all(), "the same seed draws the same"


def test_an_interval_has_the_width_of_the_cluster_means_standard_error():
    scores_PS = clustered(400, 4, 0.5, np.random.default_rng(0))
    interval = mean_interval(scores_PS, draw_weights(400))
    half = 1.96 * scores_PS.mean(axis=1).std() / np.sqrt(400)
    assert interval.mean == pytest.approx(scores_PS.mean())
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.08)


def test_an_interval_that_ignored_clusters_would_be_too_narrow():
    scores_PS = clustered(400, 4, 0.5, np.random.default_rng(1))
    interval = mean_interval(scores_PS, draw_weights(400))
    naive = 1.96 * scores_PS.std() / np.sqrt(scores_PS.size)
    assert (interval.high - interval.low) / 2 > 1.3 * naive


def test_the_interval_covers_the_truth_in_about_95_of_100_samples():
    rng = np.random.default_rng(2)
    weights_DP = draw_weights(80, draws=300)
    covered = 0
    for _ in range(120):
        interval = mean_interval(clustered(80, 2, 0.5, rng), weights_DP)
        covered += interval.low <= 0.5 <= interval.high
    assert 106 <= covered <= 120


def test_pairing_makes_a_difference_far_narrower_than_its_parts():
    rng = np.random.default_rng(3)
    a_PS = clustered(300, 4, 0.5, rng)
    b_PS = np.where(rng.random(a_PS.shape) < 0.05, 1.0, a_PS)
    weights_DP = draw_weights(300)
    delta, alone = difference(b_PS, a_PS, weights_DP), mean_interval(a_PS, weights_DP)
    assert delta.mean == pytest.approx((b_PS - a_PS).mean())
    assert delta.high - delta.low < (alone.high - alone.low) / 2
    assert delta.low > 0


def test_equal_arms_differ_by_exactly_nothing():
    scores_PS = clustered(50, 2, 0.3, np.random.default_rng(4))
    delta = difference(scores_PS, scores_PS, draw_weights(50))
    assert (delta.mean, delta.low, delta.high) == (0.0, 0.0, 0.0)


def test_gap_closed_is_the_ratio_of_the_gains():
    original_PS = np.zeros((40, 2))
    oracle_PS = np.ones((40, 2))
    ours_PS = np.tile([[1.0, 0.0], [1.0, 1.0]], (20, 1))
    gap = gap_closed(ours_PS, original_PS, oracle_PS, draw_weights(40))
    assert gap.mean == pytest.approx(0.75)
    assert gap.low < 0.75 < gap.high


def test_there_is_no_gap_to_close_where_the_oracle_is_no_better():
    scores_PS = clustered(30, 2, 0.5, np.random.default_rng(5))
    gap = gap_closed(scores_PS, scores_PS, scores_PS, draw_weights(30))
    assert gap.mean is None
    assert gap.low is None


def test_a_missing_score_is_left_out_of_all_arms_and_is_not_a_zero():
    a_PS, b_PS = np.ones((10, 2)), np.ones((10, 2))
    a_PS[0, 0] = np.nan
    kept_PS = complete_cases({"a": a_PS, "b": b_PS})
    weights_DP = draw_weights(10)
    assert kept_PS.sum() == 19
    assert mean_interval(a_PS, weights_DP).mean == 1.0
    assert difference(a_PS, b_PS, weights_DP, kept_PS).mean == 0.0


def test_nothing_scored_is_none():
    empty_PS = np.full((5, 2), np.nan)
    weights_DP = draw_weights(5)
    assert mean_interval(empty_PS, weights_DP).mean is None
    assert win_tie_loss(empty_PS, empty_PS, weights_DP) is None
    assert pass_at_k(empty_PS, weights_DP).mean is None


def test_win_tie_and_loss_are_counted_per_prompt_and_seed():
    a_PS = np.array([[1.0, 1.0], [0.0, 1.0]])
    b_PS = np.array([[0.0, 1.0], [1.0, 0.0]])
    found = win_tie_loss(a_PS, b_PS, draw_weights(2))
    assert (found.win, found.tie, found.loss) == (0.5, 0.25, 0.25)
    assert found.margin.mean == pytest.approx(0.25)


def test_pass_at_k_needs_one_success_among_the_seeds():
    strict_PS = np.array([[0.0, 1.0], [0.0, 0.0], [np.nan, 1.0], [1.0, 1.0]])
    assert pass_at_k(strict_PS, draw_weights(4)).mean == pytest.approx(0.75)


def test_key_points_are_averaged_over_the_prompts_that_carry_them():
    scores_PS = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found = by_tag(scores_PS, [("negation",), ("negation", "pronoun"), ()])
    assert found == {"negation": (0.75, 2), "pronoun": (1.0, 1)}


def test_a_ratio_is_pooled_over_cases_and_not_a_mean_of_shares():
    hits, cases = np.array([[1.0], [3.0], [0.0]]), np.array([[1.0], [9.0], [0.0]])
    found = ratio_interval(hits, cases, draw_weights(3, draws=400))
    assert found.mean == pytest.approx(0.4)
    assert found.low == pytest.approx(1 / 3)
    assert found.high == pytest.approx(1.0)
    assert ratio_interval(hits, np.zeros((3, 1)), draw_weights(3, draws=10)).mean is None


def test_a_ratio_of_single_cases_is_the_mean():
    scores = np.random.default_rng(0).random((20, 3))
    weights = draw_weights(20, draws=300)
    found, mean = ratio_interval(scores, np.ones_like(scores), weights), mean_interval(scores, weights)
    assert (found.mean, found.low, found.high) == pytest.approx((mean.mean, mean.low, mean.high))


def test_a_difference_of_ratios_is_paired():
    """Prompts differ far more than the arms do: only with the same draws is the interval narrow."""
    before = np.random.default_rng(1).random((50, 2))
    ones, weights = np.ones_like(before), draw_weights(50, draws=300)
    found = ratio_difference((before + 0.25, ones), (before, ones), weights)
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
