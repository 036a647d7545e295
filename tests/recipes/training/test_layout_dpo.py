"""Layout DPO through the command on a tiny model: pairs checked before the first step, the run recorded and gone on with, and watched."""

import json
from pathlib import Path

import pytest

from recipes.cli import main as cli
from recipes.configuration import ConfigError
from recipes.layout_pair_rows import arranged, encode, length, read_pairs
from recipes.layout_tokenizer import build
from recipes.layout_watch import LOST, Watch
from recipes.train import main


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    assert cli(["layout", "pairs", "--stage", "2", "--count", "14", "--output", str(file)]) == 0
    return file


def dpo(pairs: Path, output: Path, *more: str) -> list[str]:
    """Without furnishing rooms: a model of noise needs longer for a plan than for all else."""
    return [
        "layout/dpo/smoke",
        *("--pairs", str(pairs), "--output_dir", str(output), "--watch_rooms", "0", "--eval_strategy", "no"),
        *more,
    ]


@pytest.fixture(scope="module")
def trained(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("dpo") / "whole"
    assert main(dpo(pairs, output)) == 0
    return output


def weights(run: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(run / "layout_lm" / "model.safetensors")


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_its_record_its_metrics_and_a_model_that_loads(trained: Path):
    from transformers import AutoModelForCausalLM

    record = json.loads((trained / "run.json").read_text())
    assert (record["recipe"], record["status"]) == ("layout_dpo", "finished")
    assert record["licences"] == {"model": "Apache-2.0", "data": "Apache-2.0"}
    assert record["datasets"][0]["train"] == 12
    steps = [row for row in rows(trained) if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3]
    # The reference is the model itself: at the first step nothing is preferred yet.
    assert steps[0]["rewards/margins"] == pytest.approx(0, abs=1e-3)
    AutoModelForCausalLM.from_pretrained(trained / "layout_lm")


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(trained: Path, pairs: Path, tmp_path: Path):
    output = tmp_path / "stopped"
    assert main(dpo(pairs, output, "--max_seconds", "0.001")) == 0
    assert json.loads((output / "summary.json").read_text())["steps"] == 1
    assert main(dpo(pairs, output)) == 0
    one, other = weights(trained), weights(output)
    assert all((one[name] == other[name]).all() for name in one)


def test_other_pairs_are_another_run(trained: Path, pairs: Path, tmp_path: Path, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text("".join(pairs.read_text().splitlines(keepends=True)[:13]))
    assert main(dpo(other, trained)) == 2
    assert "another content of pairs 0" in capsys.readouterr().err


def test_the_frozen_copy_and_the_log_probabilities_taken_before_are_one_reference(
    trained: Path, pairs: Path, tmp_path: Path
):
    output = tmp_path / "copy"
    assert main(dpo(pairs, output, "--precompute_ref_log_probs", "false")) == 0
    losses = [[row["loss"] for row in rows(run) if "loss" in row] for run in (trained, output)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_an_adapter_is_trained_against_the_model_without_it(trained: Path, pairs: Path, tmp_path: Path):
    output = tmp_path / "adapter"
    base = ["--base_model", str(trained / "layout_lm"), "--lora_r", "4", "--model_licence", "Apache-2.0"]
    assert main(dpo(pairs, output, *base, "--precompute_ref_log_probs", "false")) == 0
    before, after = weights(trained), weights(output)
    changed = {name for name in before if not bool((before[name] == after[name]).all())}
    assert changed
    assert all(name.endswith("proj.weight") for name in changed)


def test_a_run_furnishes_rooms_and_keeps_the_best_checkpoint(pairs: Path, tmp_path: Path):
    """The smoke configuration as it is: a model of noise never gets better, so that the result is the model as it was."""
    output = tmp_path / "watched"
    words = ["layout/dpo/smoke", "--pairs", str(pairs), "--output_dir", str(output), "--max_steps", "1"]
    assert main(words) == 0
    seen = [row for row in rows(output) if "eval_badness" in row]
    assert [row["step"] for row in seen] == [0, 1]
    assert all(row["eval_parse"] == 1 for row in seen)
    summary = json.loads((output / "summary.json").read_text())
    better = seen[1]["eval_badness"] < seen[0]["eval_badness"]
    assert summary["best_step"] == (1 if better else 0)
    assert summary["start"]["hard_faults"] == seen[0]["eval_hard_faults"]


def test_a_pair_that_does_not_fit_stops_the_run_before_it_begins(pairs: Path, tmp_path: Path, capsys):
    assert main(dpo(pairs, tmp_path / "short", "--max_length", "200")) == 2
    assert "give a larger max_length" in capsys.readouterr().err
    assert not (tmp_path / "short" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--pairs", "nowhere.jsonl"],
            "pairs: nowhere.jsonl does not exist; make it with `rewright layout pairs",
        ),
        (["--base_model", ""], "base_model: missing"),
        (["--validation_pairs", "14"], "validation_pairs: 14 of 14 pairs leave none to train on"),
        (["--loss_type", "sigmoid", "sfft"], "loss_type: sfft: not one of sigmoid, "),
        (["--use_muon", "true"], "use_muon: preferences are trained with AdamW"),
        (["--watch_rooms", "2"], "watch_rooms: needs evaluations"),
        (["--least_objects", "95"], "least_objects=95.0 must lie in [0, 1]"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_is_said(pairs: Path, tmp_path: Path, capsys, words: list[str], message: str):
    assert main([*dpo(pairs, tmp_path / "run"), *words]) == 2
    assert message in capsys.readouterr().err


def changed(pairs: Path, folder: Path, **values: object) -> str:
    file = folder / "changed.jsonl"
    lines = pairs.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | values)
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def test_rooms_of_held_out_splits_are_refused(pairs: Path, tmp_path: Path):
    assert len(read_pairs([str(pairs)], None, 0)) == 14
    for digit, split in (("000000000000", "test"), ("000000000001", "validation"), ("none", "unknown")):
        with pytest.raises(ConfigError, match=f"line 3: the room {digit} is of the {split} split"):
            read_pairs([changed(pairs, tmp_path, room_hash=digit)], None, 0)
    with pytest.raises(ConfigError, match="line 3: prompt, chosen"):
        read_pairs([changed(pairs, tmp_path, rejected="")], None, 0)
    with pytest.raises(ConfigError, match="pairs: missing"):
        read_pairs([], None, 0)


def test_pairs_of_several_files_are_mixed_and_every_pair_is_there_once(pairs: Path):
    tokenizer = build()
    mixed = read_pairs([str(pairs), str(pairs)], None, 3)
    assert len(mixed) == 28
    encoded = [encode(tokenizer, row, 800) for row in mixed]
    order = arranged(encoded, 2, 3)
    assert sorted(map(str, order)) == sorted(map(str, encoded))
    padded = sum(abs(length(order[k]) - length(order[k + 1])) for k in range(0, 28, 2))
    assert padded < sum(abs(length(encoded[k]) - length(encoded[k + 1])) for k in range(0, 28, 2))
    for row, ids in zip(mixed, encoded, strict=True):
        assert tokenizer.decode(ids["rejected_ids"], skip_special_tokens=True) == row["rejected"]
        assert ids["chosen_ids"][-1] == tokenizer.eos_token_id


def history(*badness: float, objects: float = 10.0) -> list[dict]:
    return [{"step": k, "eval_badness": b, "eval_objects": objects} for k, b in enumerate(badness)]


def test_training_stops_when_the_answers_get_worse_or_lose_furniture():
    watch = Watch(None, rooms=1, seed=0, temperature=1.0, batch=1, patience=2, least_objects=0.95)
    assert watch.over(history(0.5, 0.4, 0.45)) is None
    assert watch.over(history(0.5, 0.4, 0.4, 0.4)) is None, "as good is not worse"
    assert "2 evaluations in a row" in watch.over(history(0.5, 0.4, 0.45, 0.41))
    fewer = watch.judged({"hard_faults": 0.1, "objects": 9.4}, history(0.5))
    assert fewer["badness"] == pytest.approx(LOST + 0.1)
    assert "less than 95% of the start's objects" in watch.over(history(0.5, fewer["badness"]))
    assert watch.judged({"hard_faults": 0.1, "objects": 9.6}, history(0.5))["badness"] == 0.1
    assert watch.judged({"hard_faults": 0.1, "objects": 2.0}, [])["badness"] == 0.1, "the start itself"


def test_the_watched_rooms_are_of_the_validation_split():
    from layout.synthesis import split_of

    watch = Watch(None, rooms=6, seed=0, temperature=1.0, batch=1, patience=2, least_objects=0.95)
    assert {split_of(r.scene.room) for r in watch.rows()} == {"validation"}
    assert all(r.plan and not r.kept for r in watch.rows())
