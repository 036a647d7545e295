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
    REFERENCE_CLASSES,
    Marks,
    SceneHeads,
    cell_labels,
    noun_positions,
    phrase_labels,
    reference_labels,
    reference_positions,
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
    marks = Marks.of(tokenizer)
    found = [tokenizer.convert_ids_to_tokens(tokens[0][k]) for k in noun_positions(tokens[0], 3, marks)]
    assert found == ["circles", "a", "shape"]
    assert noun_positions(tokens[1], 1, marks) == [2]
    assert noun_positions(tokens[1][:3], 1, marks) == [2]  # nothing behind the noun


def test_a_relations_nouns_stand_before_its_word_and_before_the_end_of_its_clause():
    tokenizer = word_tokenizer(dialect_words(), 48)
    marks = Marks.of(tokenizer)
    two = SPEC.model_copy(
        update={
            "relations": (
                *SPEC.relations,
                SPEC.relations[0].model_copy(update={"a": 1, "rel": "left of", "b": 2}),
            )
        }
    )
    for spec, words in ((SPEC, ["shape", "circles"]), (two, ["shape", "circles", "a", "shape"])):
        tokens = tokenizer(caption(spec))["input_ids"]
        found = reference_positions(tokens, len(spec.relations), marks)
        assert tokenizer.convert_ids_to_tokens([tokens[k] for k in found]) == words
    bare = two.model_copy(update={"background": None})  # the last clause ends with the caption
    tokens = tokenizer(caption(bare))["input_ids"]
    assert reference_positions(tokens, 2, marks)[-1] == len(tokens) - 1
    assert reference_positions(tokenizer("one star")["input_ids"], 0, marks) == []


def test_a_relation_is_told_from_both_sides():
    assert reference_labels(SPEC) == [[2, 0, 2], [0, 2, 3]]  # above; seen from the other side, below


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
    tokenizer = word_tokenizer(dialect_words(), 48)
    tokens = torch.tensor([tokenizer(caption(SPEC))["input_ids"]])
    phrase, reference = heads.text_losses(torch.randn(*tokens.shape, 8), tokens, [SPEC], Marks.of(tokenizer))
    assert phrase.item() == pytest.approx(sum(math.log(n) for n in PHRASE_CLASSES), rel=1e-5)
    assert reference.item() == pytest.approx(sum(math.log(n) for n in REFERENCE_CLASSES), rel=1e-5)


def test_empty_captions_ask_for_nothing():
    heads = SceneHeads(8, 8)
    marks = Marks.of(word_tokenizer(dialect_words(), 48))
    assert heads.text_losses(torch.randn(2, 1, 8), torch.tensor([[2], [2]]), [None, None], marks) == (0, 0)
