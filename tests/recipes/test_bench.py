"""The benches run, compare the right things, and say what was missed."""

import json
from pathlib import Path

import numpy as np
import pytest

from recipes.bench import BENCHES, TARGETS, _line
from recipes.bench.grpo import PerCompletion, compared
from recipes.bench.shapes import DAMAGES, exact_share
from recipes.cli import main


def test_every_bench_has_a_module_and_every_target_a_bench(obedient, monkeypatch, capsys):
    from importlib import import_module

    for name in BENCHES:
        assert callable(import_module(f"recipes.bench.{name}").run)
    monkeypatch.setattr("recipes.bench.detector.run", lambda: {"detect_32px_images_per_s": 999.0})
    assert main(["bench", "detector", "--output", "new/bench.json"]) == 0
    text = capsys.readouterr().out
    assert "≥ 1,000" in text
    assert "missed" in text
    assert json.loads(Path("new/bench.json").read_text())["detector"] == {"detect_32px_images_per_s": 999.0}


def test_targets_are_met_from_the_right_side():
    assert _line("overhead_ms_per_sample_m1", 0.1)[-1] == "met"
    assert _line("overhead_ms_per_sample_m1", 0.3)[-1] == "missed"
    assert _line("warm_lookups_per_s", 30_000)[-1] == "met"
    assert _line("anything_else", 3.0)[2:] == ["", ""]
    assert set(TARGETS) >= {"speedup_rollout_generation_scoring", "warm_lookups_per_s"}


def test_the_speed_up_pays_for_the_weight_sync():
    ours = {"rollout": 4.0, "sync": 1.0, "generation": 4.0, "scoring": 1.0, "step": 20.0, "dedupe_rate": 0.5}
    theirs = {"rollout": 10.0, "generation": 8.0, "scoring": 2.0, "step": 30.0}
    found = compared(ours, theirs)
    assert found["speedup_rollout_generation_scoring"] == pytest.approx(2.0)
    assert found["speedup_whole_step"] == pytest.approx(1.5)
    assert found["speedup_images_by_deduplication"] == pytest.approx(2.0)


def test_the_baseline_draws_every_completion_again(obedient):
    from rewards.external import load_generator
    from rewards.shapes import ShapesJudge

    reward = PerCompletion(
        load_generator("fake_world:generator"), ShapesJudge("strict"), 2, 3, {"steps": None, "guidance": None}
    )
    spec = json.dumps({"objects": [{"shape": "circle", "color": "red", "count": 2}]})
    texts = ["two red circles", "two red circles", "nonsense"]
    values = reward(
        None,
        [[{"content": t}] for t in texts],
        prompt_text=["a pair of red discs"] * 3,
        spec=[spec] * 3,
        row_id=["r"] * 3,
    )
    assert values == [1.0, 1.0, 0.0]
    assert len(Path("calls.txt").read_text().splitlines()) == 6, (
        "equal completions are drawn twice: that is the point"
    )
    assert len(reward.generation) == len(reward.scoring) == 1


def test_the_judge_is_exact_on_clean_scenes_and_damage_is_damage():
    assert exact_share(30, 48, lambda image, _: image) == 1.0
    rng = np.random.default_rng(0)
    image = np.full((48, 48, 3), 128, np.uint8)
    image[10:30, 10:30] = (220, 40, 40)
    for name, damage in DAMAGES:
        hurt = damage(image, rng)
        assert hurt.shape == image.shape, name
        assert hurt.dtype == np.uint8, name
        assert (hurt != image).any(), name


def test_layouts_are_measured_and_missing_weights_are_said(capsys, monkeypatch, tmp_path):
    from layout.generate import Constraint
    from recipes import layout_backends
    from recipes.arguments import LayoutModelArguments
    from recipes.bench import layout as bench

    monkeypatch.setattr(bench, "OBJECTS", 4)
    monkeypatch.setattr(bench, "BATCH", 2)
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(layout_backends, "EMBEDDED", tmp_path / "none")
    sizes = LayoutModelArguments(base_model="new", width=32, head_width=32, layers=1, feed_forward=32)
    found = bench.run(sizes=sizes)
    assert "none holds no layout model: random weights of its size" in capsys.readouterr().err
    assert {"validator_rooms_per_s", "synthesis_rooms_per_s", "decoding_held_to_free_batch_8"} < set(TARGETS)
    assert set(found) == {
        "threads", "validator_rooms_per_s", "synthesis_rooms_per_s", "decoding_held_tokens_per_s", "decoding_held_to_free_batch_8",
        "decoding_schema_tokens_per_s", "decoding_schema_to_free_batch_8",
    }  # fmt: skip
    assert all(value > 0 for value in found.values())
    scenes = bench.scenes(2)
    assert all(a.guide is not None for a in bench.questions(scenes))
    asked = bench.questions(scenes, space=False)
    assert [len(s.objects) for s in scenes] == [4, 4]
    assert all(isinstance(a.constraint, Constraint) and a.constraint.schema for a in asked)
    assert asked[0].constraint.schema["maxItems"] == 4  # held to the plan of its own room


def test_a_trained_layout_model_is_timed_from_request_to_room(tmp_path):
    from recipes.arguments import LayoutModelArguments
    from recipes.bench import layout as bench

    backend = bench.stand_in(
        LayoutModelArguments(base_model="new", width=32, head_width=32, layers=1, feed_forward=32)
    )
    found = bench.seconds_a_layout(backend)
    assert set(found) == {"seconds_a_layout_n1", "seconds_a_layout_n8"}
    assert found["seconds_a_layout_n1"] > 0


def test_layout_options_are_refused_elsewhere(capsys):
    assert main(["bench", "detector", "--vllm"]) == 1
    assert "belong to `rewright bench layout`" in capsys.readouterr().err
