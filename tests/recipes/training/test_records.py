"""run.json, metrics.jsonl, checkpoints and the plateau, without a model."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from recipes.callbacks import plateau, spell_seconds, split_step_time
from recipes.configuration import ConfigError
from recipes.resume import already_finished, check_same_run, checkpoints, newest_checkpoint
from recipes.run_record import MetricsLog, RunRecord, git_revision, make_output, sha256_rows


def test_metrics_after_the_checkpoint_are_dropped_and_a_torn_line_too(tmp_path: Path):
    log = MetricsLog(tmp_path)
    for step in range(1, 6):
        log.write({"step": step, "seconds": 10.0 * step, "loss": 1.0 / step})
    with log.path.open("a") as handle:
        handle.write('{"step": 6, "lo')
    assert log.rewind(3) == 30.0
    assert [json.loads(line)["step"] for line in log.path.read_text().splitlines()] == [1, 2, 3]


def test_the_summary_of_a_resumed_run_counts_the_seconds_before_it_too(tmp_path: Path):
    from recipes.rewriter_grpo import summarise

    log = MetricsLog(tmp_path)
    log.write({"step": 1, "seconds": 1800.0, "reward": 0.25})
    log.rewind(1)
    log.write({"step": 2, "seconds": 1830.0, "reward": 0.5})
    assert summarise(tmp_path, 2)["seconds"] == 1830.0


def test_what_is_not_a_finite_number_is_not_written(tmp_path: Path):
    log = MetricsLog(tmp_path)
    log.write({"step": 1, "reward": float("nan"), "kl": float("inf"), "note": "x", "loss": 0.5, "none": None})
    assert json.loads(log.path.read_text()) == {"step": 1, "loss": 0.5}


def test_the_newest_whole_checkpoint_is_taken_and_torn_ones_go(tmp_path: Path):
    for step, state in ((2, '{"global_step": 2}'), (10, '{"global_step": 10}'), (12, '{"glob'), (14, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-best").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-10"]
    assert newest_checkpoint(tmp_path, fresh=True) is None
    assert checkpoints(tmp_path) == []


@pytest.mark.parametrize(
    ("losses", "stop"),
    [
        ([], False),
        ([3.0, 2.0, 1.0], False),
        ([1.0, 0.999, 0.999], True),  # two without an improvement of 0.01
        ([1.0, 0.999, 0.9], False),
        ([1.0, 0.5, 0.6, 0.7], True),
    ],
)
def test_the_plateau(losses: list[float], stop: bool):
    assert plateau(losses, patience=2, delta=0.01) is stop
    assert plateau(losses, patience=0, delta=0.01) is False


def test_training_time_is_what_the_other_parts_leave():
    logs = {
        "step_time": 10.0,
        "time/sync": 1.0,
        "time/canary": 0.5,
        "time/rollout": 4.0,
        "image_reward/seconds": 2.5,
    }
    assert split_step_time(logs)["time/train"] == pytest.approx(2.0)
    assert "time/train" not in split_step_time({"step_time": 10.0})


def test_a_record_keeps_its_earlier_starts(tmp_path: Path):
    record = RunRecord(tmp_path, "rewriter_sft", {"a": 1}, {"run": 0}, {"model": "MIT"})
    record.start()
    record.start("checkpoint-2")
    record.finish("finished", steps=4)
    content = json.loads((tmp_path / "run.json").read_text())
    assert [start["resumed_from"] for start in content["starts"]] == [None, "checkpoint-2"]
    assert content["status"] == "finished"
    assert content["result"] == {"steps": 4}
    assert record.finished()


def test_the_hash_of_rows_sees_their_content_and_order():
    a, b = {"prompt": "x", "spec": None}, {"prompt": "y", "spec": None}
    assert sha256_rows([a, b]) == sha256_rows([dict(reversed(a.items())), b])
    assert sha256_rows([a, b]) != sha256_rows([b, a])


def test_no_repository_is_no_error(tmp_path: Path):
    assert git_revision(tmp_path) is None


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05 min"), (90, "1:30 min"), (7260, "2:01 h")])
def test_times_are_spelled(seconds: float, text: str):
    assert spell_seconds(seconds) == text


def test_two_runs_do_not_write_one_folder(tmp_path: Path):
    import subprocess
    import sys

    from recipes.run_record import make_output

    code = f"from recipes.run_record import make_output; make_output({str(tmp_path)!r}); print('mine', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    ) as other:
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(
            ConfigError, match=rf"another run is writing to '{tmp_path}' \(process {other.pid}\)"
        ):
            make_output(str(tmp_path))
        other.kill()
    make_output(str(tmp_path))  # a killed process holds nothing
    make_output(str(tmp_path))  # and one process may take its own folder again


def test_a_finished_run_is_over_only_for_the_inputs_it_was_made_of(tmp_path: Path):
    record = RunRecord(tmp_path, "rewriter_grpo", {"adapter": "sft"}, {"run": 0}, inputs={"generator": "1"})
    record.start()
    record.finish("finished")
    (tmp_path / "rewriter").mkdir()
    (tmp_path / "rewriter" / "rewriter.json").write_text("{}")
    assert already_finished(tmp_path, {"adapter": "sft"}, {"generator": "1"})
    assert not already_finished(tmp_path, {"adapter": "sft"}, {"generator": "2"})


def test_a_run_does_not_go_on_with_other_inputs(tmp_path: Path):
    RunRecord(
        tmp_path, "rewriter_grpo", {"max_steps": 3}, {}, inputs={"adapter": "1", "prompts": "p"}
    ).start()
    check_same_run(tmp_path, {"max_steps": 3}, frozenset(), {"adapter": "1", "prompts": "p"})
    with pytest.raises(ConfigError, match=r"\(another content of adapter\)"):
        check_same_run(tmp_path, {"max_steps": 3}, frozenset(), {"adapter": "2", "prompts": "p"})


def test_the_hash_of_a_source_sees_its_content_and_not_the_length_of_the_run(tmp_path: Path):
    from recipes.prompt_rows import source_hash

    file = tmp_path / "prompts.txt"
    file.write_text("a fox\n")
    before = source_hash(str(file), 0)
    file.write_text("a dog\n")
    assert source_hash(str(file), 0) != before
    assert source_hash("shapes", 0) == source_hash("shapes", 0) != source_hash("shapes", 1)


def _claimed_as_a_later_process(folder: str) -> int:
    os.environ["RANK"] = "1"
    for _ in range(200):
        make_output(folder)
    return os.getpid()


def test_the_processes_of_one_run_may_try_the_folder_at_the_same_moment(tmp_path):
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        assert all(pool.map(_claimed_as_a_later_process, [str(tmp_path)] * 3))
    assert list(tmp_path.iterdir()) == []
