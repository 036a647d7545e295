"""FiFA against brute force, and the case in which a score per pair and the set's objective choose differently."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from diffusion_core.data import Pair, PairError
from diffusion_core.filters import (
    FiFA,
    Terms,
    _entropy_gains,
    content_words,
    importance,
    measure,
    neighbour_distances,
    select_greedy,
    select_top,
    standard,
    summary,
)
from diffusion_core.text_embeddings import from_model, hashed_ngrams, unit_rows

BLANK = np.zeros((2, 2, 3), np.uint8)


def scored(*rows: tuple[str, float]) -> list[Pair]:
    return [
        Pair(str(i), prompt, BLANK, BLANK, score_chosen=margin, score_rejected=0.0)
        for i, (prompt, margin) in enumerate(rows)
    ]


def terms_of(margins, angles_deg, quality=None) -> Terms:
    """Prompts as points on a circle; equal angles are one prompt."""
    angles, text = np.unique(np.radians(angles_deg), return_inverse=True)
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    words = np.zeros(len(margins)) if quality is None else np.array(quality, float)
    return Terms(np.array(margins, float), words, embeddings, text)


def random_terms(count: int = 24, seed: int = 0) -> Terms:
    rng = np.random.default_rng(seed)
    angles = rng.choice(rng.uniform(0, 360, count // 2), count)  # with duplicates
    return terms_of(rng.uniform(0, 1, count), angles, rng.uniform(0, 1, count))


def brute_distance(terms: Terms, row: int, among, k: int) -> float:
    points = terms.embeddings[terms.text].astype(float)
    return sorted(np.linalg.norm(points[row] - points[i]) for i in among if i != row)[k - 1]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_neighbours_count_the_copies_of_a_prompt(k):
    terms = random_terms()
    expected = [brute_distance(terms, i, range(len(terms)), k) for i in range(len(terms))]
    np.testing.assert_allclose(neighbour_distances(terms, k), expected, atol=2e-3)


def test_importance_is_the_sum_of_standardised_terms():
    terms = terms_of([0, 1, 2, 3], [0, 10, 30, 180], [1, 0, 0, 0])
    logs = np.log([2 * np.sin(np.radians(a / 2)) + 0.01 for a in (10, 10, 20, 150)])
    expected = standard(terms.margin) + 2 * standard(terms.quality) + 3 * standard(logs)
    np.testing.assert_allclose(importance(terms, FiFA(alpha=2, gamma=3, k=1)), expected, rtol=1e-4)


def test_without_the_other_terms_the_margin_decides():
    terms = random_terms()
    best = select_top(terms, 5, FiFA(alpha=0, gamma=0))
    assert best.tolist() == np.argsort(-terms.margin)[:5].tolist()
    assert select_greedy(terms, 5, FiFA(alpha=0, gamma=0)).tolist() == best.tolist()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gains_are_differences_of_the_entropy_of_the_chosen_set(k):
    terms, fifa = random_terms(), FiFA(k=k)
    points = terms.embeddings[terms.text].astype(float)

    def entropy(rows: list[int]) -> float:
        if len(rows) < 2:
            return 0.0
        nearest = min(k, len(rows) - 1)
        return sum(np.log(brute_distance(terms, i, rows, nearest) + fifa.epsilon) for i in rows)

    chosen = [0, 5, 9, 11, 17, 3]
    for size in range(len(chosen) + 1):
        some = chosen[:size]
        distances = np.linalg.norm(points[:, None] - points[some], axis=2)
        gains = _entropy_gains(distances, some, fifa)
        for candidate in set(range(len(terms))) - set(some):
            assert gains[candidate] == pytest.approx(entropy([*some, candidate]) - entropy(some), abs=1e-6)


# Pairs 0 and 1 share a prompt and have the widest margins; the others stand alone.
DUPLICATES = terms_of([1.0, 0.95, 0.9, 0.2, 0.1], [0, 0, 90, 180, 270])
GOLDEN = FiFA(alpha=0, gamma=0.6, k=1)


def test_golden_a_score_per_pair_keeps_both_duplicates_and_greedy_one_of_them():
    assert select_top(DUPLICATES, 2, GOLDEN).tolist() == [2, 0]
    assert select_top(DUPLICATES, 3, GOLDEN).tolist() == [2, 0, 1]
    assert select_greedy(DUPLICATES, 3, GOLDEN).tolist() == [0, 2, 3]
    assert summary(DUPLICATES, np.array([2, 0, 1]), GOLDEN)["duplicates"] == pytest.approx(1 / 3)
    assert summary(DUPLICATES, np.array([0, 2, 3]), GOLDEN)["duplicates"] == 0


def test_greedy_finds_the_best_set_where_all_sets_can_be_tried():
    logs = np.log(neighbour_distances(DUPLICATES, 1) + GOLDEN.epsilon)

    def objective(rows) -> float:
        near = [np.log(brute_distance(DUPLICATES, i, rows, 1) + GOLDEN.epsilon) for i in rows]
        return standard(DUPLICATES.margin)[list(rows)].sum() + GOLDEN.gamma * sum(near) / logs.std()

    best = max(itertools.combinations(range(5), 3), key=objective)
    assert set(select_greedy(DUPLICATES, 3, GOLDEN)) == set(best)
    assert objective(best) > objective((0, 1, 2))


def test_greedy_avoids_copies_where_every_prompt_has_one():
    terms = terms_of([1.0, 0.9, 0.8, 0.2, 0.1, 0.0], [0, 0, 90, 90, 180, 180])
    assert select_top(terms, 3, FiFA()).tolist() == [0, 1, 2]
    assert set(terms.text[select_greedy(terms, 3, FiFA())]) == {0, 1, 2}


def test_a_shortlist_as_long_as_the_choice_is_the_top():
    terms = random_terms()
    assert set(select_greedy(terms, 6, FiFA(k=2), shortlist=6)) == set(select_top(terms, 6, FiFA(k=2)))


def test_measuring_joins_prompts_that_differ_in_case_and_spaces():
    terms = measure(scored(("A red  circle", 0.5), ("a red circle", 0.2), ("a blue square", 0.1)))
    assert terms.text.tolist() == [0, 0, 1]
    assert terms.margin.tolist() == [0.5, 0.2, 0.1]
    assert neighbour_distances(terms, 1)[:2].tolist() == [0, 0]


def test_pairs_without_scores_are_refused_with_the_way_out():
    pairs = [*scored(("a", 1.0)), Pair("bare", "b", BLANK, BLANK)]
    with pytest.raises(PairError, match=r"1 of 2 pairs have no scores \(the first: 'bare'\); .* --relabel"):
        measure(pairs)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: measure([]), "no pairs to choose from"),
        (lambda: measure(scored(("a", 1)), quality=lambda p: []), r"shape \(0,\); give one finite number"),
        (lambda: measure(scored(("a", 1)), quality=lambda p: [float("nan")]), "one finite number"),
        (lambda: measure(scored(("a", 1)), embed=lambda p: np.zeros(3)), r"shape \(3,\); give one finite"),
        (lambda: measure(scored(("a", 1)), embed=lambda p: np.full((1, 2), np.inf)), "not finite"),
        (lambda: measure(scored(("a", 1)), embed=lambda p: np.zeros((2, 3))), "2 embeddings for 1 prompts"),
        (lambda: select_top(DUPLICATES, 6, GOLDEN), "6 pairs of 5"),
        (lambda: select_greedy(DUPLICATES, 0, GOLDEN), "0 pairs of 5"),
        (lambda: select_top(DUPLICATES, 2, FiFA(k=5)), "k=5 neighbours of each of 5 pairs; take a lower k"),
        (lambda: FiFA(k=0), "k=0"),
        (lambda: FiFA(epsilon=0), "epsilon=0"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_content_words_are_counted_once_and_capped():
    assert content_words(["a red, red circle on the left", "the and of", ""], cap=4) == [0.75, 0, 0]
    assert content_words([" ".join(f"word{chr(97 + i)}" for i in range(26))]) == [1.0]


def test_prompts_that_share_words_are_nearer():
    near, also, far = hashed_ngrams(["two red circles", "three red circles", "a fox in snow"])
    assert near @ also > 0.3 > near @ far + 0.15
    assert np.linalg.norm(near) == pytest.approx(1)


def test_embeddings_do_not_depend_on_the_process():
    (vector,) = hashed_ngrams(["red"])
    assert np.flatnonzero(vector).tolist() == [78, 456, 664, 837, 911, 977]


def test_a_text_without_words_is_the_zero_vector():
    assert not hashed_ngrams(["!!", "red"])[0].any()
    assert unit_rows(np.zeros((1, 3))).tolist() == [[0, 0, 0]]


def test_a_transformers_folder_embeds_texts(tmp_path):
    from diffusion_core.adapters import builders

    tokenizer = builders.clip_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    builders.clip_encoder(tokenizer).save_pretrained(tmp_path)
    vectors = from_model(tmp_path, ["a red circle", "a", "a red circle"], batch_size=2)
    assert vectors.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)
