"""The bridge with the exact judge: pixels are drawn by the world's own renderer from the text that reaches it."""

import json
import re

import numpy as np
import pytest
import torch

from diffusion_core.types import Sample
from diffusion_core.worlds.shapes.render import render, sample_layout
from diffusion_core.worlds.shapes.spec import SceneSpec
from rewards.cases import Row
from rewards.shapes import ShapesJudge

SPEC = {
    "objects": [
        {"shape": "circle", "color": "red", "count": 2},
        {"shape": "square", "color": "blue", "count": 1},
    ]
}
CAPTION = "two red circles and one blue square"


class Obedient:
    """Draws the scene that a caption of two clauses says, and nothing for what it does not know."""

    fingerprint = "obedient-1"
    counts = {"one": 1, "two": 2, "three": 3}  # noqa: RUF012 - a fixed table

    def generate(self, requests):
        return [Sample(self._pixels(request.prompt, request.seed), request) for request in requests]

    def _pixels(self, caption, seed):
        objects = []
        for clause in re.split(" and |, ", caption):
            count, color, shape = clause.split()
            objects.append({"shape": shape.rstrip("s"), "color": color, "count": self.counts[count]})
        layout = sample_layout(SceneSpec.model_validate({"objects": objects}), np.random.default_rng(seed))
        return torch.from_numpy(render(layout).copy()).permute(2, 0, 1).float() / 255


@pytest.fixture
def bridge(make_bridge):
    return make_bridge(Obedient(), ShapesJudge(mode="strict"), dialect="shapes")


def test_faithful_rewrites_score_one_and_changed_requests_never_win(bridge, call):
    prompt = "a blue square with a couple of red circles"
    adversarial = [
        "two red circles and one green square",
        "three red circles and one blue square",
        "two blue circles and one red square",
        "two red circles",
        "",
    ]
    texts = [CAPTION, "one blue square and two red circles", *adversarial]
    rewards, metrics, _ = call(bridge, [prompt] * len(texts), texts, spec=[json.dumps(SPEC)] * len(texts))
    assert rewards[:2] == [1.0, 1.0]
    assert all(value == 0.0 for value in rewards[2:])
    assert metrics["image_reward/part/strict"] < 1.0 or metrics["image_reward/n_policy"] > 0


def things(*names):
    """A spec of single coloured things: things("red star", …)."""
    return {"objects": [{"color": name.split()[0], "shape": name.split()[1], "count": 1} for name in names]}


TWO_RED_STARS = {"objects": [{"shape": "star", "color": "red", "count": 2}], "exclude": [{"shape": "square"}]}
NATURAL_NEGATIONS = [
    ("I do not like circles. Draw a blue square.", things("blue square"), "one blue square", "one red circle, one blue square"),
    ("I don't really like circles, so a blue square", things("blue square"), "one blue square", "one red circle, one blue square"),
    ("don't like red, so a green star", things("green star"), "one green star", "one red star, one green star"),
    ("not a fan of rings: one red star", things("red star"), "one red star", "one red star, one red ring"),
    ("skip the squares, two red stars only", TWO_RED_STARS, "two red stars", "two red stars, one blue square"),
    ("Please skip squares. Two red stars", TWO_RED_STARS, "two red stars", "two red stars, one blue square"),
    ("forget about squares and draw two red stars", TWO_RED_STARS, "two red stars", "two red stars, one blue square"),
    ("drop the squares: two red stars", TWO_RED_STARS, "two red stars", "two red stars, one blue square"),
    ("get rid of the squares, two red stars", TWO_RED_STARS, "two red stars", "two red stars, one blue square"),
    ("remove the blue square, keep the red circle", things("red circle"), "one red circle", "one blue square, one red circle"),
    ("remove the blue square and keep the red circle", things("red circle"), "one red circle", "one blue square, one red circle"),
    ("draw a red circle and don't skip the blue square", things("red circle", "blue square"), "one red circle, one blue square", "one red circle"),
]  # fmt: skip


@pytest.mark.parametrize(("prompt", "spec", "faithful", "wrong"), NATURAL_NEGATIONS)
def test_natural_negations_are_read_as_people_mean_them(bridge, call, prompt, spec, faithful, wrong):
    rewards, _, extras = call(bridge, [prompt] * 2, [faithful, wrong], spec=[json.dumps(spec)] * 2)
    assert rewards == [1.0, 0.0]
    assert extras["outcome"][1].startswith("guard_"), "the text alone must show it: serving has no judge"


def test_spec_counts_and_not_the_rewrite(bridge):
    outcome = bridge.score_texts([Row("1", "p", SPEC)], ["two red circles and one green square"])[0]
    assert outcome.value == 0.0
    assert 0.0 < outcome.parts["shaped"] < 1.0
    assert outcome.images[0].shape == (48, 48, 3)


def test_row_without_a_spec_is_not_applicable_and_gets_none(bridge, call):
    rewards, _, _ = call(bridge, ["two red circles, one blue square"] * 2, [CAPTION] * 2, spec=[None, None])
    assert rewards == [None, None]
    assert bridge.last.n_none == {"na": 2}


def test_malformed_spec_is_broken_and_named(bridge):
    outcome = bridge.score_texts([Row("1", "p", {"objects": [{"shape": "blob"}]})], [CAPTION])[0]
    assert (outcome.value, outcome.cause) == (None, "broken")
    assert "blob" in outcome.note or "shape" in outcome.note
