"""Guides as a logits processor: what a model without training writes under them, and the same in a tokenizer that was not made for rooms."""

import random

import numpy as np
import pytest

from layout.checks import check
from layout.generate import Job, answers
from layout.guide import RoomGuide
from layout.parse import Parsed, parse
from layout.schema import Scene
from recipes.layout_guiding import Spelling, _Walk
from recipes.layout_rows import row
from recipes.layout_tokenizer import build
from rewriter.models import load_tokenizer

ROWS = [row(0, "train", i) for i in range(6)]


@pytest.fixture(scope="module")
def tokenizer():
    return build()


@pytest.fixture(scope="module")
def tiny(tokenizer):
    """Random weights: what it writes is noise, held to the guide."""
    from recipes.arguments import LayoutModelArguments
    from recipes.layout_backends import TransformersBackend
    from recipes.layout_model import new_model

    sizes = LayoutModelArguments(base_model="new", width=64, head_width=32, layers=2, feed_forward=96)
    return TransformersBackend(new_model(tokenizer, sizes, 640, 0), tokenizer)


def test_noise_that_follows_a_guide_meets_nothing(tiny, tokenizer):
    """A model without training, held to the space that is left: texts are in the tokens of training, rooms are clear."""
    jobs = [Job(Scene(room=r.scene.room), r.request) for r in ROWS]
    met = 0
    for job, text in zip(jobs, answers(tiny, jobs, space=True, seed=1), strict=True):
        read = parse(text, job.kept.room)
        assert isinstance(read, Parsed), text
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
        met += any(
            v.code in ("collision", "out_of_bounds", "door_blocked") for v in check(read.scene).violations
        )
    assert met <= 1  # an untrained plan may ask for more than a room holds
    assert answers(tiny, jobs, space=True, seed=1) == answers(tiny, jobs, space=True, seed=1)


def test_piece_by_piece_and_at_once_follow_the_same_guide(tiny):
    job = Job(Scene(room=ROWS[0].scene.room), "a bed, a desk and a plant")
    for tries in (1, 3):
        read = parse(answers(tiny, [job], space=True, tries=tries, seed=2)[0], job.kept.room)
        assert isinstance(read, Parsed)
        assert not check(read.scene).of("collision")


@pytest.mark.parametrize("name", ["own", "smollm2"])
def test_any_of_the_offered_tokens_leads_to_a_room(name, tokenizer):
    """Tokens at random among those that are not barred; SmolLM2's digits are tokens of their own."""
    chosen = tokenizer if name == "own" else load_tokenizer("smollm2")
    spelling, rng = Spelling(chosen), random.Random(0)
    assert (spelling.numbers(",") is not None) == (name == "own")
    for r in ROWS[:3]:
        scene = r.scene
        walk = _Walk(RoomGuide(scene.room, [o.id for o in scene.objects], '{"objects":['), spelling, -1)
        tokens: list[int] = []
        while walk.number is not None or walk.left:
            barred_V = np.ones(len(chosen), dtype=bool)
            walk.bar(barred_V)
            tokens.append(rng.choice(np.flatnonzero(~barred_V).tolist()))
            walk.accept(tokens[-1])
        read = parse(chosen.decode(tokens), scene.room)
        assert isinstance(read, Parsed), read
        assert [o.id for o in read.scene.objects] == [o.id for o in scene.objects]
