"""Edits with a language model in the loop: random weights held to the grammar write readable places, and the search is better."""

import pytest

from layout.edit import edit
from layout.synthesis import draw
from recipes.arguments import LayoutModelArguments
from recipes.layout_backends import TransformersBackend
from recipes.layout_model import new_model
from recipes.layout_tokenizer import build


@pytest.fixture(scope="module")
def tiny():
    tokenizer = build()
    sizes = LayoutModelArguments(base_model="new", width=64, head_width=32, layers=2, feed_forward=96)
    return TransformersBackend(new_model(tokenizer, sizes, 640, 0), tokenizer)


def test_an_edit_is_done_whatever_the_model_writes(tiny):
    scene = draw("bathroom", "edit", 0).scene
    done = edit(tiny, scene, "add a laundry basket near the door", n=2)
    assert (done.answers, done.of) == (2, 2)
    assert done.ok, done.unmet
    assert done.locality == 1.0
    assert done.scene.objects[: len(scene.objects)] == scene.objects
