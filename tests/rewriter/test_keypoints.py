"""The 24 key points and their mapping to UniGenBench."""

from collections import Counter

import pytest

from rewriter.keypoints import CATEGORIES, KEYPOINTS, UNIGEN_EXTRA, UNIGEN_ZH, category_mean, from_unigenbench


def test_there_are_24_points_in_six_categories_of_the_papers_sizes():
    assert len(KEYPOINTS) == 24
    sizes = Counter(point.category for point in KEYPOINTS.values())
    assert [sizes[c] for c in CATEGORIES] == [3, 5, 6, 6, 2, 2]
    assert all(point.definition for point in KEYPOINTS.values())


def test_27_test_points_map_to_23_key_points_and_three_extras():
    labels = set(UNIGEN_ZH.values())
    assert len(UNIGEN_ZH) == len(labels) == 27
    mapped = Counter(from_unigenbench(label) for label in labels)
    assert mapped[None] == len(UNIGEN_EXTRA) == 3
    assert set(KEYPOINTS) - set(mapped) == {"text_layout"}
    assert {name: n for name, n in mapped.items() if name and n > 1} == {"layout": 2}


def test_chinese_labels_mean_the_same_points():
    assert from_unigenbench("语法-否定") == from_unigenbench("Grammar - Negation") == "negation"


def test_an_unknown_label_names_the_known_ones():
    with pytest.raises(
        ValueError, match="'Grammar' is not a UniGenBench test point; known: Grammar - Negation"
    ):
        from_unigenbench("Grammar")


def test_the_category_mean_weighs_categories_alike():
    scores = {"negation": 1.0, "pronoun": 0.0, "counting": 0.0}
    assert category_mean(scores) == pytest.approx(0.25)
    assert category_mean(scores, by_category=False) == pytest.approx(1 / 3)


@pytest.mark.parametrize("scores", [{}, {"negations": 1.0}])
def test_no_score_or_a_misspelt_one_is_refused(scores):
    with pytest.raises(ValueError, match="known: negation"):
        category_mean(scores)
