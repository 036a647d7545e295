"""Stages of the demo: reused, resumed, contained; and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.demo import (
    copy_rewriter,
    finish,
    first_stages,
    grpo_stage,
    grpo_steps,
    last_stages,
    seconds_per_step,
)
from recipes.stages import Ledger, Stage, StageFailed, _counted, _status, key_of, run_stage

POPEN = subprocess.Popen


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stage(out: str = "out.json", **options) -> Stage:
    """A command that is quick and writes a file."""
    return Stage("look", ["doctor", "--json"], Path(out), **options)


def fake_command(monkeypatch, code: str) -> None:
    """The stage's process runs `code` instead of a rewright command."""
    import recipes.stages as module

    monkeypatch.setattr(
        module.subprocess, "Popen", lambda argv, **kw: POPEN([sys.executable, "-c", code], **kw)
    )


def test_a_finished_stage_is_not_run_again_until_what_it_reads_changes(folder, monkeypatch):
    fake_command(monkeypatch, "open('out.json', 'a').write('x')")
    source = Path("in.txt")
    source.write_text("one")
    ledger = Ledger.load(folder / "stages.json")
    run_stage(stage(reads=[source]), ledger, folder / "logs")
    run_stage(stage(reads=[source]), Ledger.load(folder / "stages.json"), folder / "logs")
    assert Path("out.json").read_text() == "x"
    source.write_text("two")
    run_stage(stage(reads=[source]), Ledger.load(folder / "stages.json"), folder / "logs")
    assert Path("out.json").read_text() == "xx"
    Path("out.json").unlink()
    run_stage(stage(reads=[source]), Ledger.load(folder / "stages.json"), folder / "logs")
    assert Path("out.json").read_text() == "x", "a result that was deleted is made again"


def test_a_failed_stage_shows_the_end_of_its_log_and_is_not_recorded(folder, monkeypatch):
    fake_command(monkeypatch, "print('before'); raise SystemExit('no such model')")
    with pytest.raises(StageFailed, match="no such model") as failed:
        run_stage(stage(), Ledger.load(folder / "stages.json"), folder / "logs")
    assert "logs/look.log" in str(failed.value)
    assert not Ledger.load(folder / "stages.json").done


def test_the_seconds_of_failed_tries_count_until_what_was_read_changes(folder, monkeypatch):
    source = Path("in.txt")
    source.write_text("one")
    ledger = Ledger.load(folder / "stages.json")
    fake_command(monkeypatch, "import time; time.sleep(1.2); raise SystemExit(1)")
    with pytest.raises(StageFailed):
        run_stage(stage(reads=[source]), ledger, folder / "logs")
    fake_command(monkeypatch, "open('out.json', 'w').close()")
    assert run_stage(stage(reads=[source]), Ledger.load(folder / "stages.json"), folder / "logs") > 1.2
    assert Ledger.load(folder / "stages.json").done["look"]["seconds"] > 1.2
    source.write_text("two")
    assert run_stage(stage(reads=[source]), Ledger.load(folder / "stages.json"), folder / "logs") < 1.2


def test_a_run_on_other_data_starts_over_and_a_longer_one_goes_on(folder, monkeypatch):
    fake_command(monkeypatch, "open('out.json', 'w').close()")
    source, checkpoint = Path("in.txt"), Path("run/checkpoint-1")
    source.write_text("one")
    checkpoint.mkdir(parents=True)
    for argv, text, kept in ((["a"], "one", True), (["a", "longer"], "one", True), (["a"], "two", False)):
        source.write_text(text)
        made = Stage("look", argv, Path("out.json"), [source], run=Path("run"))
        run_stage(made, Ledger.load(folder / "stages.json"), folder / "logs")
        assert checkpoint.exists() is kept


def test_another_generator_under_the_same_name_is_drawn_with_again(folder):
    weights = Path("mine/transformer/weights.bin")
    weights.parent.mkdir(parents=True)
    args = arguments(folder, "--smoke", "--generator", "mine")
    ledger = Ledger(folder / "stages.json", {n: {"key": "k", "seconds": 1.0} for n in ("data", "sft")})

    def keys() -> dict[str, str]:
        stages = [*first_stages(args), grpo_stage(args, ledger), *last_stages(args)]
        return {s.name: key_of(s) for s in stages}

    weights.write_bytes(b"1")
    before = keys()
    Path("mine/README.md").write_text("said of it")
    assert keys() == before
    weights.write_bytes(b"2")
    assert {name for name, key in keys().items() if key != before[name]} == {"data", "grpo", "evaluation"}
    assert first_stages(arguments(folder))[0].reads, "the embedded one is a folder too"


def test_a_stage_that_leaves_nothing_has_failed(folder, monkeypatch):
    fake_command(monkeypatch, "pass")
    with pytest.raises(StageFailed, match=r"did not write out\.json"):
        run_stage(stage(), Ledger.load(folder / "stages.json"), folder / "logs")


def test_an_interrupt_reaches_the_stage_and_nothing_is_left_running(folder, monkeypatch):
    import recipes.stages as module

    code = """
import time
try:
    open('started', 'w').close()
    time.sleep(60)
except KeyboardInterrupt:
    open('saved', 'w').close()
"""
    fake_command(monkeypatch, code)
    children = []

    def interrupt_once_it_runs(stage, process, log, began):
        children.append(process)
        while not Path("started").exists():
            module.time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_watch", interrupt_once_it_runs)
    with pytest.raises(KeyboardInterrupt):
        run_stage(stage(), Ledger.load(folder / "stages.json"), folder / "logs")
    assert children[0].poll() is not None
    assert Path("saved").exists()
    assert not Ledger.load(folder / "stages.json").done


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_demo_leaves_nothing_running(folder, number):
    child = "import os, time; open('child', 'w').write(str(os.getpid())); open('ready', 'w').close(); time.sleep(60)"
    code = f"""
import subprocess, sys
from pathlib import Path
import recipes.demo, recipes.stages
from recipes.cli import main
from recipes.stages import Ledger, Stage, run_stage

real = subprocess.Popen
recipes.stages.subprocess.Popen = lambda argv, **kw: real([sys.executable, "-c", {child!r}], **kw)
stage = Stage("sft", [], Path("out"))
recipes.demo.run = lambda args: run_stage(stage, Ledger.load(Path("stages.json")), Path("logs"))
sys.exit(main(["demo"]))
"""
    root = str(Path(__file__).parents[2])
    demo = POPEN([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, stderr=subprocess.PIPE)
    for _ in range(600):
        if Path("ready").exists():
            break
        time.sleep(0.05)
    demo.send_signal(number)
    demo.send_signal(number)  # make passes on what `timeout` has sent already
    said = demo.communicate(timeout=60)[1].decode()
    assert demo.returncode == 130, said
    assert "interrupted" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("child").read_text()), 0)


def test_what_is_shown_of_a_stage_is_its_last_whole_row_or_its_last_count(folder):
    log, metrics = Path("s.log"), Path("metrics.jsonl")
    log.write_text("noise\n")
    training = Stage("grpo", [], Path("o"), metrics=metrics, steps=40)
    assert _status(training, log) == "working"
    metrics.write_text(
        '{"step": 11, "reward": 0.5}\n{"step": 12, "reward": 0.61, "other": 1}\n{"step": 13, "rew'
    )
    assert _status(training, log) == "step 12 of 40, reward 0.610"
    log.write_text("images: 12 of 90\nsome remark\nimages: 24 of 90\nmore: noise")
    assert _status(Stage("evaluation", [], Path("o")), log) == "images: 24 of 90"


def test_what_a_stage_counts_comes_with_the_time_left(folder):
    log, metrics = Path("s.log"), Path("metrics.jsonl")
    log.write_text("rewrites (sft): 90 of 90, 0:00 min left\nimages: 24 of 90, 3:10 min left\n")
    assert _status(Stage("evaluation", [], Path("o")), log) == "images: 24 of 90, 3:10 min left"
    assert (_counted(log).done, _counted(log).total) == (24, 90)
    log.write_text("step 120/600  loss 0.512  1.0 s a step, 8:00 min left\nsome remark\n")
    metrics.write_text('{"step": 125, "loss": 0.5}\n')
    fine_tuning = Stage("sft", [], Path("o"), metrics=metrics)
    assert _status(fine_tuning, log) == "step 125 of 600, loss 0.500, 8:00 min left"
    assert (_counted(log).done, _counted(log).total) == (120, 600)


def test_the_count_of_an_earlier_try_is_not_shown(folder, monkeypatch):
    fake_command(monkeypatch, "print('images: 90 of 90'); raise SystemExit(1)")
    with pytest.raises(StageFailed):
        run_stage(stage(), Ledger.load(folder / "stages.json"), folder / "logs")
    log = folder / "logs" / "look.log"
    assert _counted(log).done == 90
    with log.open("a") as out:
        out.write("--- rewright doctor --json\n")
    assert _counted(log) is None


def test_what_the_stages_write_is_what_is_read(folder, monkeypatch, capsys):
    from types import SimpleNamespace

    from recipes.callbacks import Progress
    from recipes.terminal import progress

    with progress("pairs", 4) as ticker:
        ticker.advance(2)
    Path("s.log").write_text(capsys.readouterr().err)
    assert (_counted(Path("s.log")).text, bool(_counted(Path("s.log")).left)) == ("pairs: 2 of 4", True)
    bar, state = Progress(), SimpleNamespace(global_step=0, max_steps=40, is_world_process_zero=True)
    bar.on_train_begin(None, state, None)
    state.global_step = 1
    bar.on_log(None, state, None, logs={"loss": 0.5})
    bar.on_step_end(None, state, None)
    Path("s.log").write_text(capsys.readouterr().err)
    assert (_counted(Path("s.log")).text, bool(_counted(Path("s.log")).left)) == ("step 1 of 40", True)


def test_the_time_left_knows_the_limit_of_seconds(capsys):
    from types import SimpleNamespace

    from recipes.callbacks import Progress, TimeLimit

    limit = TimeLimit(SimpleNamespace(seconds=20.0), 50.0)
    bar = Progress(limit=limit)
    state = SimpleNamespace(global_step=0, max_steps=10**9, is_world_process_zero=True)
    bar.on_train_begin(None, state, None)
    state.global_step = 1
    bar.on_step_end(None, state, None)
    assert "0:30 min left" in capsys.readouterr().err
    assert TimeLimit(SimpleNamespace(seconds=20.0), None).seconds_left == float("inf")


def test_a_slow_count_is_said_between_the_tenths(capsys):
    from recipes.terminal import Ticker

    ticker = Ticker(None, None, "images", 1000, every_s=0.0)
    ticker.advance()
    assert capsys.readouterr().err.startswith("images: 1 of 1000, ")


def test_the_key_of_a_stage_covers_its_command_and_the_bytes_it_reads(folder):
    Path("adapter").mkdir()
    Path("adapter/a.bin").write_bytes(b"1")
    one = Stage("s", ["train", "x"], Path("o"), reads=[Path("adapter")])
    key = key_of(one)
    assert key == key_of(one)
    assert key != key_of(Stage("s", ["train", "y"], Path("o"), reads=[Path("adapter")]))
    Path("adapter/a.bin").write_bytes(b"2")
    assert key != key_of(one)


def arguments(folder: Path, *words: str):
    from recipes.cli import build_parser

    return build_parser("demo").parse_args(["demo", "--output", str(folder), *words])


def test_more_time_buys_more_steps_and_a_slower_machine_fewer():
    assert grpo_steps(1800) < grpo_steps(3600)
    assert grpo_steps(1800, slower=2.0) < grpo_steps(1800)
    assert grpo_steps(10) == 5


def test_a_second_demo_keeps_the_number_of_steps_of_the_first(folder):
    ledger = Ledger(
        folder / "stages.json", {name: {"key": "k", "seconds": 100.0} for name in ("data", "sft")}
    )
    (folder / "sft").mkdir()
    (folder / "sft" / "metrics.jsonl").write_text(
        '{"step": 10, "seconds": 5.0}\n{"step": 20, "seconds": 15.0}\n'
    )
    assert seconds_per_step(folder / "sft") == 1.0
    first = grpo_stage(arguments(folder), ledger)
    ledger.done["sft"]["seconds"] = 900.0
    assert grpo_stage(arguments(folder), ledger) == first
    assert grpo_stage(arguments(folder, "--minutes", "90"), ledger).steps > first.steps


def test_your_prompts_are_a_stage_of_their_own(folder):
    assert [s.name for s in first_stages(arguments(folder))] == ["data", "sft"]
    assert [s.name for s in last_stages(arguments(folder))] == ["evaluation"]
    assert [s.name for s in last_stages(arguments(folder, "--prompts", "mine.txt"))] == [
        "evaluation",
        "your prompts",
    ]


def test_a_bad_prompt_file_is_said_before_anything_is_trained(folder, monkeypatch, capsys):
    from recipes.cli import main

    monkeypatch.setattr("recipes.demo.check_ready", lambda generator: None)
    assert main(["demo", "--prompts", "nowhere.txt", "--output", "out"]) == 1
    assert "nowhere.txt does not exist" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_bad_spec_is_said_before_anything_is_trained(stopped, capsys):
    from recipes.cli import main

    Path("my.jsonl").write_text('{"prompt": "a grey star", "spec": {"objects": [{"color": "grey"}]}}\n')
    assert main(["demo", "--prompts", "my.jsonl", "--output", "out"]) == 1
    assert "the spec of 'a grey star' is no scene" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.fixture
def stopped(folder, monkeypatch):
    """A demo that ends where its first stage would begin: a test of what comes before must never train."""
    monkeypatch.setattr("recipes.demo.check_ready", lambda generator: None)

    def stop(stage, ledger, logs):
        raise KeyboardInterrupt

    monkeypatch.setattr("recipes.demo.run_stage", stop)


def test_a_smoke_demo_has_a_folder_of_its_own(stopped):
    from recipes.cli import main

    assert main(["demo", "--smoke"]) == 130
    assert [path.name for path in Path("runs").iterdir()] == ["demo-smoke"]
    assert main(["demo"]) == 130
    assert Path("runs/demo").is_dir()


def test_the_rewriter_of_a_smoke_demo_is_not_taken_for_the_newest(folder):
    from recipes.runs import rewriter_folder

    for name in ("demo", "demo-smoke"):
        Path("runs", name, "rewriter").mkdir(parents=True)
        Path("runs", name, "rewriter", "rewriter.json").write_text("{}")
        assert rewriter_folder(None) == Path("runs/demo/rewriter")


def test_fresh_removes_what_a_demo_left_and_nothing_else(stopped, capsys):
    from recipes.cli import main

    thesis = Path("home/thesis.txt")
    thesis.parent.mkdir()
    thesis.write_text("years")
    assert main(["demo", "--fresh", "--output", "home"]) == 1
    assert "no demo has written it" in capsys.readouterr().err
    assert thesis.read_text() == "years"
    Path("old/sft").mkdir(parents=True)
    Path("old/stages.json").write_text("{}")
    for name in ("old", "new"):
        assert main(["demo", "--fresh", "--output", name]) == 130
        assert [path.name for path in Path(name).iterdir()] == [".lock"]
        assert main(["demo", "--fresh", "--output", name]) == 130, "only the lock is in it"


def test_what_is_missing_is_named_before_anything_is_trained(folder, monkeypatch, capsys):
    from recipes.cli import main
    from recipes.doctor import Finding

    monkeypatch.setattr(
        "recipes.doctor.diagnose", lambda: [Finding("missing", "trl", "not installed", "make env")]
    )
    assert main(["demo", "--output", "out"]) == 1
    assert "trl: not installed (make env)" in capsys.readouterr().err


def test_the_configurations_it_names_are_packaged(folder):
    from recipes.configuration import resolve_config
    from recipes.demo import CONFIG_GRPO, CONFIG_SFT, SMOKE_GRPO, SMOKE_SFT

    assert all(resolve_config(name).is_file() for name in (CONFIG_SFT, CONFIG_GRPO, SMOKE_SFT, SMOKE_GRPO))


def test_a_copied_rewriter_replaces_the_old_one_whole(folder):
    for name, content in (("new", "b"), ("old", "a")):
        Path(name).mkdir()
        Path(name, "rewriter.json").write_text(content)
    Path("old/stale.bin").write_text("x")
    copy_rewriter(Path("new"), Path("old"))
    assert [p.name for p in Path("old").iterdir()] == ["rewriter.json"]
    assert Path("old/rewriter.json").read_text() == "b"


def test_the_end_of_a_demo_leaves_summary_strip_and_report(obedient, monkeypatch, capsys):
    import recipes.evaluate as evaluate
    from recipes.arms import PlainArm, plain_arm
    from recipes.cli import main
    from rewriter.dialects import load_dialect

    real = evaluate.build_arms

    def with_grpo(*args):
        found = real(*args)
        oracle = plain_arm("oracle", "shapes")
        for arms in found.values():
            arms.insert(1, PlainArm("grpo", oracle.write, load_dialect("shapes")))
        return found

    monkeypatch.setattr(evaluate, "build_arms", with_grpo)
    argv = "evaluate --prompts prompts.jsonl --generator fake_world:generator --seeds 2 --arms original,oracle --output out --no-report"
    assert main(argv.split()) == 0
    Path("out/sets/handwritten").symlink_to(Path("out/sets/yours").resolve())
    ledger = Ledger.load(Path("out/stages.json"))
    ledger.record("sft", "k", 100.0)
    ledger.record("grpo", "k", 200.0)
    finish(Path("out"), ledger, None)
    found = json.loads(Path("out/summary.json").read_text())
    assert found["seconds"] == 300.0
    assert set(found["paired"]) >= {"grpo-original"}
    assert found["gap_closed"]["mean"] == pytest.approx(1.0)
    assert Path("out/before_after.png").stat().st_size > 1000
    assert "5.0 minutes in all: sft 100 s, grpo 200 s" in capsys.readouterr().out
    assert "3.3 min" in Path("out/report.html").read_text()
