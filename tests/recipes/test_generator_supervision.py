"""Targets that a training scene gives the embedded generator's heads: worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion_core.adapters.zoo_modules import word_tokenizer
from diffusion_core.worlds.shapes import Layout, Placed, SceneSpec, caption
from diffusion_core.worlds.shapes.lexicon import dialect_words
from recipes.generator_supervision import (
    CELL_CLASSES,
    IGNORED,
    PHRASE_CLASSES,
    SceneHeads,
    cell_labels,
    noun_positions,
    phrase_labels,
)

SPEC = SceneSpec.model_validate(
    {
        "objects": [
            {"shape": "circle", "color": "red", "size": "small", "count": 2},
            {"shape": "A", "count": 1},
            {"color": "orange", "count": 1},
        ],
        "relations": [{"a": 2, "rel": "above", "b": 0}],
        "background": "white",
    }
)


def test_a_groups_noun_is_the_word_before_its_comma_or_semicolon():
    tokenizer = word_tokenizer(dialect_words(), 48)
    tokens = tokenizer([caption(SPEC), "one star"], padding=True)["input_ids"]
    separators = frozenset(tokenizer.convert_tokens_to_ids([",", ";", tokenizer.pad_token]))
    found = [tokenizer.convert_ids_to_tokens(tokens[0][k]) for k in noun_positions(tokens[0], 3, separators)]
    assert found == ["circles", "a", "shape"]
    assert noun_positions(tokens[1], 1, separators) == [2]
    assert noun_positions(tokens[1][:3], 1, separators) == [2]  # nothing behind the noun


def test_a_phrase_is_its_counts_attributes_and_standing():
    assert phrase_labels(SPEC) == [
        [1, 1, 1, 1, 0, 0, 4, 0],  # two small red circles, below group 2
        [0, 0, 0, 7, 0, 0, 0, 0],  # one letter A, size and colour open
        [0, 0, 6, 0, 3, 0, 0, 0],  # one orange thing above group 0
    ]
    assert len(PHRASE_CLASSES) == 8


def test_cells_are_read_row_by_row_and_empty_ones_ask_for_no_colour():
    layout = Layout((Placed("star", "blue", "large", 40, 8), Placed("A", "red", "large", 9, 25)), "gray")
    cells = cell_labels(layout)
    assert cells[2] == [4, 2, 1, 2]
    assert cells[3] == [7, 0, 1, 2]
    assert cells[0] == [0, IGNORED, IGNORED, 2]
    assert len(cells) == 9


def test_an_untrained_head_that_knows_nothing_costs_the_logarithms_of_its_classes():
    heads = SceneHeads(8, 8)
    for p in heads.parameters():
        torch.nn.init.zeros_(p)
    block = torch.nn.Identity()
    heads.watch(block)
    layout = Layout((Placed("star", "blue", "large", 40, 8),), "gray")
    block(torch.randn(1, 9, 8))
    shape, color, size, background = (math.log(n) for n in CELL_CLASSES)
    expected = shape + background + (color + size) / 9  # one object in nine cells
    assert heads.cell_loss(torch.tensor([cell_labels(layout)])).item() == pytest.approx(expected, rel=1e-5)
    tokens = torch.tensor([[2, 5, 6, 7]])
    loss = heads.phrase_loss(
        torch.randn(1, 4, 8),
        tokens,
        [SPEC.model_copy(update={"objects": SPEC.objects[:1], "relations": ()})],
        frozenset(),
    )
    assert loss.item() == pytest.approx(sum(math.log(n) for n in PHRASE_CLASSES), rel=1e-5)


def test_empty_captions_ask_for_nothing():
    heads = SceneHeads(8, 8)
    assert heads.phrase_loss(torch.randn(2, 1, 8), torch.tensor([[2], [2]]), [None, None], frozenset()) == 0
