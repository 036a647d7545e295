"""Stages of the demo: reused, resumed, contained; and what it leaves behind."""

import json
import sys
from pathlib import Path

import pytest

from recipes.demo import copy_rewriter, finish, grpo_steps, stages
from recipes.stages import Ledger, Stage, StageFailed, key_of, run_stage


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

    real = module.subprocess.Popen
    monkeypatch.setattr(
        module.subprocess, "Popen", lambda argv, **kw: real([sys.executable, "-c", code], **kw)
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
    assert not (folder / "stages.json").exists()


def test_a_stage_that_leaves_nothing_has_failed(folder, monkeypatch):
    fake_command(monkeypatch, "pass")
    with pytest.raises(StageFailed, match=r"did not write out\.json"):
        run_stage(stage(), Ledger.load(folder / "stages.json"), folder / "logs")


def test_the_key_of_a_stage_covers_its_command_and_the_bytes_it_reads(folder):
    Path("adapter").mkdir()
    Path("adapter/a.bin").write_bytes(b"1")
    one = Stage("s", ["train", "x"], Path("o"), reads=[Path("adapter")])
    key = key_of(one)
    assert key == key_of(one)
    assert key != key_of(Stage("s", ["train", "y"], Path("o"), reads=[Path("adapter")]))
    Path("adapter/a.bin").write_bytes(b"2")
    assert key != key_of(one)


def test_more_minutes_buy_more_steps():
    assert grpo_steps(30) < grpo_steps(60)
    assert grpo_steps(1) >= 5


def test_your_prompts_are_a_stage_of_their_own(folder):
    names = [s.name for s in stages(folder, 30, None)]
    assert names == ["data", "sft", "grpo", "evaluation"]
    assert [s.name for s in stages(folder, 30, Path("mine.txt"))] == [*names, "your prompts"]


def test_the_configurations_it_names_are_packaged(folder):
    from recipes.configuration import resolve_config
    from recipes.demo import CONFIG_GRPO, CONFIG_SFT

    assert resolve_config(CONFIG_SFT).is_file()
    assert resolve_config(CONFIG_GRPO).is_file()


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
