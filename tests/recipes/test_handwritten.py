"""The hand-written prompts are what the headline is measured on: they must be many, valid, varied and drawable."""

import json
from collections import Counter
from importlib.resources import files

import numpy as np

from diffusion_core.worlds.shapes import SceneSpec, caption, render, sample_layout
from recipes.evaluation_sets import check_specs, handwritten, held_out
from rewards.shapes import detect, judge

PROMPTS = handwritten()


def test_there_are_at_least_a_hundred_distinct_prompts():
    assert len({prompt.prompt for prompt in PROMPTS}) == len(PROMPTS) >= 110


def test_every_line_of_the_file_has_exactly_prompt_spec_and_tags():
    text = (files("recipes") / "data" / "handwritten.jsonl").read_text(encoding="utf-8")
    assert {tuple(json.loads(line)) for line in text.splitlines()} == {("prompt", "spec", "tags")}


def test_every_spec_is_a_scene_and_survives_its_canonical_form():
    check_specs(PROMPTS, "handwritten.jsonl")
    for prompt in PROMPTS:
        spec = SceneSpec.model_validate(prompt.spec)
        assert SceneSpec.model_validate(spec.to_json()) == spec


def test_a_drawing_of_each_spec_is_judged_right():
    for prompt in PROMPTS:
        spec = SceneSpec.model_validate(prompt.spec)
        assert spec.total[0] <= 4, f"the generator draws one to four objects: {prompt.prompt}"
        layout = sample_layout(spec, np.random.default_rng(0))
        assert judge(detect(render(layout)), spec).strict == 1.0, prompt.prompt


def test_the_oracle_caption_names_what_the_spec_names():
    for prompt in PROMPTS:
        spec = SceneSpec.model_validate(prompt.spec)
        words = caption(spec)
        for group in spec.objects:
            assert all(
                word is None or word.lower() in words.lower()
                for word in (group.color, group.size, group.shape)
            )


def test_the_kinds_of_difficulty_are_all_there():
    tags = Counter(tag for prompt in PROMPTS for tag in prompt.tags)
    for kind in (
        "negation",
        "pronoun",
        "vague_count",
        "comparative",
        "synonym",
        "language",
        "typo",
        "letter",
        "background",
    ):
        assert tags[kind] >= 5, kind


def test_a_short_run_takes_prompts_from_the_whole_file():
    few = handwritten(20)
    assert len(few) == 20
    assert [prompt.row_id for prompt in few] == sorted({prompt.row_id for prompt in few})
    assert int(few[-1].row_id.split("-")[1]) > 0.9 * len(PROMPTS)


def test_held_out_prompts_are_new_combinations_in_new_wordings():
    from diffusion_core.worlds.shapes import split_of

    prompts = held_out(200)
    assert len({prompt.prompt for prompt in prompts}) == 200
    assert held_out(10) == prompts[:10], "the first ones do not depend on how many are asked for"
    assert all(prompt.tags for prompt in prompts)
    assert {split_of(SceneSpec.model_validate(prompt.spec)) for prompt in prompts} == {"held_out"}
