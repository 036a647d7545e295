"""SFT through the command, on a tiny model: it learns, stops, goes on after a kill with the same weights, and its folder loads."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.train import main

KILLED = """
import os, signal, sys
from recipes import callbacks

def die(self, args, state, control, **kwargs):
    if state.global_step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)

callbacks.Progress.on_step_end = die
from recipes.train import main
sys.exit(main(sys.argv[1:]))
"""


def sft(bench, output: Path, *more: str) -> list[str]:
    return [
        "rewriter/sft/smoke", *bench.common, "--output_dir", str(output), "--pairs", str(bench.pairs), "--max_pairs", "36",
        "--max_steps", "7", "--learning_rate", "0.01", "--lr_scheduler_type", "linear", *more,
    ]  # fmt: skip


def killed(words: list[str], step: int, bench) -> int:
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), str(bench.root)])
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(step=step), *words],
        env=environment,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    return done.returncode


@pytest.fixture(scope="module")
def whole(bench) -> Path:
    """An uninterrupted run."""
    output = bench.root / "sft-whole"
    assert main(sft(bench, output)) == 0
    return output


def test_the_loss_falls_and_the_adapter_moves(whole: Path, weights_of):
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    losses = [row["eval_loss"] for row in rows if "eval_loss" in row]
    assert losses[-1] < losses[0] - 0.1
    assert any(float(w.abs().max()) > 0 for name, w in weights_of(whole).items() if "lora_B" in name)


def test_a_killed_run_goes_on_to_bitwise_the_same_weights(bench, whole: Path, weights_of):
    output = bench.root / "sft-killed"
    killed(sft(bench, output), 5, bench)  # after checkpoint 4
    assert not (output / "rewriter").exists()
    torn = output / "checkpoint-6"  # what a kill in the middle of writing leaves
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_st')
    assert main(sft(bench, output)) == 0
    one, other = weights_of(whole), weights_of(output)
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
    steps = [json.loads(line)["step"] for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    record = json.loads((output / "run.json").read_text())
    assert [start["resumed_from"] is not None for start in record["starts"]] == [False, True]


def test_a_finished_run_given_again_changes_nothing(whole: Path, bench, weights_of):
    before = weights_of(whole)
    assert main(sft(bench, whole)) == 0
    assert all((before[name] == w).all() for name, w in weights_of(whole).items())


def test_another_configuration_does_not_go_on_in_the_same_folder(
    whole: Path, bench, capsys: pytest.CaptureFixture[str]
):
    assert main([*sft(bench, whole), "--learning_rate", "0.02"]) == 2
    assert "learning_rate was 0.01, now 0.02" in capsys.readouterr().err


def test_changed_pairs_under_the_same_name_are_not_passed_over(bench, capsys: pytest.CaptureFixture[str]):
    pairs, output = bench.root / "changing.jsonl", bench.root / "sft-changing"
    lines = bench.pairs.read_text().splitlines(keepends=True)
    words = [*sft(bench, output), "--pairs", str(pairs), "--max_steps", "2"]
    pairs.write_text("".join(lines))
    assert main(words) == 0
    pairs.write_text("".join(reversed(lines)))
    assert main(words) == 2
    assert "another content of pairs" in capsys.readouterr().err
    assert main([*words, "--fresh"]) == 0


def test_the_record_says_what_the_run_was(whole: Path, bench):
    record = json.loads((whole / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["licences"] == {"model": "Apache-2.0", "data": "Apache-2.0"}
    assert record["config"]["learning_rate"] == 0.01
    assert record["seeds"] == {"run": 0}
    assert len(record["datasets"][0]["sha256"]) == 64
    assert {"torch", "trl", "transformers"} <= record["versions"].keys()


def test_the_folder_is_a_rewriter(whole: Path):
    from rewriter import Rewriter

    loaded = Rewriter.from_pretrained(str(whole / "rewriter"), backend="transformers")
    assert isinstance(loaded("please draw one red star on white"), str)
    assert loaded.licence == "Apache-2.0"
    card = (whole / "rewriter" / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "32 for training" in card or "for training" in card


def test_training_stops_at_the_plateau(bench):
    output = bench.root / "sft-plateau"
    words = sft(bench, output, "--plateau_patience", "1", "--plateau_delta", "5.0")
    assert main(words) == 0
    summary = json.loads((output / "summary.json").read_text())
    assert summary["steps"] == 4  # evaluations at 2 and 4; no improvement of 5 nats


def test_training_stops_at_its_time_limit(bench):
    output = bench.root / "sft-timed"
    assert main([*sft(bench, output), "--max_seconds", "0.001"]) == 0
    assert json.loads((output / "summary.json").read_text())["steps"] == 1


def test_a_rewriter_is_trained_on(bench, whole: Path, weights_of):
    """`initial_adapter`: the loss begins where the first run ended."""
    output = bench.root / "sft-continued"
    assert (
        main([*sft(bench, output), "--initial_adapter", str(whole / "rewriter"), "--learning_rate", "0.001"])
        == 0
    )

    def losses(run: Path) -> list[float]:
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [row["loss"] for row in rows if "loss" in row]

    assert losses(output)[0] < losses(whole)[0] - 0.1
    assert any((weights_of(output)[name] != w).any() for name, w in weights_of(whole).items())


def test_the_module_takes_trls_grammar(bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What `python -m recipes.rewriter_sft` and `accelerate launch -m recipes.rewriter_sft` call."""
    from recipes.rewriter_sft import main as module

    words = sft(bench, tmp_path / "run")
    assert module(["--config", *words, "--dry_run"]) == 0
    assert "the first:" in capsys.readouterr().out
    assert module(["--config", words[0], "--learning_rte", "1"]) == 2
    assert "did you mean 'learning_rate'" in capsys.readouterr().err


def test_projecting_labelled_positions_only_changes_neither_loss_nor_gradient(bench):
    import torch
    from trl.trainer.utils import add_fused_lm_head

    from recipes.arguments import RewriterArguments
    from recipes.policy import head_at_labels, load_policy

    model = load_policy(RewriterArguments(base_model=str(bench.model), lora_r=4), None, 0)
    add_fused_lm_head(model.get_base_model(), outputs=("log_probs", "entropy"))
    ids = torch.randint(4, 40, (3, 12), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, :7] = -100

    def run():
        model.zero_grad()
        loss = model(input_ids=ids, labels=labels, fused_lm_head=True).loss
        loss.backward()
        return loss.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    all_positions = run()
    with head_at_labels():
        labelled = run()
    assert labelled[0] == pytest.approx(all_positions[0], abs=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(labelled[1], all_positions[1], strict=True))


def test_validation_never_shares_a_target_with_training():
    from recipes.rewriter_sft import split_pairs
    from rewriter.datasets import PromptRow
    from rewriter.schema import Rewrite

    pairs = [(PromptRow(str(i), f"p{i}"), Rewrite(prompt=f"r{i % 40}")) for i in range(200)]
    train, held_out = split_pairs(pairs, 0.2)
    assert len(train) + len(held_out) == 200
    assert not {r.prompt for _, r in train} & {r.prompt for _, r in held_out}


def test_one_step_on_the_real_smollm2(tmp_path: Path, bench, weights_of):
    """The embedded base model, loss on the rewrite only."""
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(bench.pairs.read_text().splitlines(keepends=True)[:10]))
    words = [
        "rewriter/sft/smoke",
        "--output_dir",
        str(tmp_path / "run"),
        "--pairs",
        str(pairs),
        "--max_steps",
        "1",
    ]
    more = [
        "--per_device_train_batch_size",
        "2",
        "--warmup_steps",
        "0",
        "--eval_strategy",
        "no",
        "--save_strategy",
        "no",
        "--lora_r",
        "4",
    ]
    assert main([*words, *more]) == 0
    moved = [float(w.abs().max()) for name, w in weights_of(tmp_path / "run").items() if "lora_B" in name]
    assert min(moved) > 0
