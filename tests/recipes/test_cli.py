"""The command line: it teaches, it starts fast, it fails with one line."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.cli import COMMANDS, HANDED_ON, main

OWN = [name for name in COMMANDS if name not in HANDED_ON]


def out_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_the_help_names_every_command(capsys):
    text = out_of(["--help"], capsys)
    assert all(re.search(rf"^\s+{name} ", text, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", OWN)
def test_every_command_teaches_with_examples(name, capsys):
    text = out_of([name, "--help"], capsys)
    assert f"rewright {name}" in text
    assert "examples:" in text
    assert len(text.splitlines()) > 10


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from recipes.cli import build_parser; build_parser('rewrite'); "
        "print([m for m in ('torch', 'transformers', 'trl', 'numpy', 'diffusers', 'vllm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["frobnicate"])
    assert stop.value.code == 2
    assert "evaluate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["rewrite"], "give either a prompt or --input"),
        (["rewrite", "x", "--input", "y.txt"], "give either a prompt or --input"),
        (["rewrite", "x", "--n", "0"], "--n 0: give a number of rewrites from 1 on"),
        (["rewrite", "x"], "no trained rewriter in runs"),
        (["rewrite", "--input", "y.txt"], "--input needs --output"),
        (["rewrite", "--input", "y.txt", "--output", "z.jsonl"], "y.txt does not exist"),
        (["rewrite", "x", "--adapter", "."], "no rewriter.json"),
        (["generate", "x", "-o", "x.jpg"], "ends in .png"),
        (["generate", " ", "-o", "x.png"], "the prompt is empty"),
        (["generate", "x", "-o", "x.png", "-n", "0"], "-n 0"),
        (["generate", "x", "-o", "x.png", "--model", "./nothing"], "./nothing"),
        (["serve", "--port", "70000"], "--port 70000"),
        (["report", "."], "evaluation.json does not exist"),
        (["bench", "nothing"], "unknown bench 'nothing'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_1(obedient, capsys, argv, said):
    assert main(argv) == 1
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1
    assert err.startswith("rewright: ")


def test_a_port_in_use_is_said_before_a_model_is_loaded(obedient, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_made_is_named(obedient, capsys):
    Path("file").write_text("in the way")
    argv = ["generate", "x", "-o", "file/x.png", "--model", "fake_world:generator"]
    assert main(argv) == 1
    assert "file" in capsys.readouterr().err


def test_debug_shows_the_traceback(obedient, capsys):
    assert main(["report", "nowhere", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_nobody_foresaw_is_still_one_line(obedient, monkeypatch, capsys):
    import recipes.report

    def broken(args):
        raise KeyError("surprise")

    monkeypatch.setattr(recipes.report, "run", broken)
    assert main(["report", "."]) == 1
    err = capsys.readouterr().err
    assert "KeyError" in err
    assert "--debug" in err


def test_images_are_written_and_seeds_count_up(obedient, capsys):
    from recipes.pictures import load_png

    assert (
        main(
            [
                "generate",
                "two red circles",
                "-o",
                "new/x.png",
                "-n",
                "2",
                "--seed",
                "5",
                "--model",
                "fake_world:generator",
            ]
        )
        == 0
    )
    assert load_png(Path("new/x_0.png")).shape == (384, 384, 3)
    assert Path("calls.txt").read_text() == "two red circles|5\ntwo red circles|6\n"


def test_the_cache_can_be_looked_at_and_cleared(obedient, capsys):
    assert main(["cache", "stats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 0
    argv = "evaluate --prompts prompts.jsonl --generator fake_world:generator --seeds 1 --arms original --output out --no-report"
    assert main(argv.split()) == 0
    capsys.readouterr()
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] > 0
    assert main(["cache", "clear"]) == 0
    assert "freed" in capsys.readouterr().out
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 0


def test_the_doctor_names_what_is_missing_and_how_to_get_it(obedient, monkeypatch, capsys):
    import recipes.doctor as doctor

    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("trl", "fastapi") else real(name))
    monkeypatch.setattr(doctor, "_models", list)
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert re.search(r"MISSING\s+trl", text)
    assert re.search(r"absent\s+fastapi", text)
    assert "rewright[serve]" in text


def test_the_doctor_is_content_when_only_options_are_absent(obedient, monkeypatch, capsys):
    import recipes.doctor as doctor

    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: None if name in ("fastapi", "torchtune") else real(name)
    )
    monkeypatch.setattr(doctor, "_models", list)
    assert main(["doctor", "--json"]) == 0
    assert {"level", "name", "found", "advice"} == set(json.loads(capsys.readouterr().out)[0])


def test_the_newest_rewriter_is_taken(obedient):
    import os

    from recipes.runs import rewriter_folder

    for i, name in enumerate(("one", "two")):
        folder = Path("runs") / name / "rewriter"
        folder.mkdir(parents=True)
        (folder / "rewriter.json").write_text("{}")
        os.utime(folder / "rewriter.json", (1e9 - i, 1e9 - i))
    assert rewriter_folder(None) == Path("runs/one/rewriter")
    assert rewriter_folder("runs/two") == Path("runs/two/rewriter")


class Answers:
    """A back end that says how it was asked, or fails."""

    def __init__(self, error: Exception | None = None):
        self.error, self.asked = error, []

    def generate(self, conversations, n, params):
        self.asked.append(params)
        if self.error is not None:
            raise self.error
        return [[f"{i + 1} red circles" for i in range(n)] for _ in conversations]


@pytest.fixture
def answers(obedient, monkeypatch):
    """`rewright rewrite` with a back end of our own."""
    from rewriter import Rewriter
    from rewriter.dialects import load_dialect
    from rewriter.templates import load_template

    backend = Answers()
    made = Rewriter(backend, load_template("shapes"), load_dialect("shapes"))
    monkeypatch.setattr(Rewriter, "from_pretrained", lambda *args, **options: made)
    folder = Path("runs/one/rewriter")
    folder.mkdir(parents=True)
    (folder / "rewriter.json").write_text("{}")
    return backend


def test_a_model_that_does_not_answer_is_one_line_and_exit_code_1(answers, capsys):
    from rewriter.llm import LLMError

    for error in (LLMError("out of memory"), RuntimeError("out of memory")):
        answers.error = error
        assert main(["rewrite", "a red disc"]) == 1
        said = capsys.readouterr()
        assert said.err == "rewright: the model did not answer: out of memory\n"
        assert said.out == ""


def test_several_rewrites_are_sampled_and_a_single_one_is_not(answers):
    for n in ("1", "4"):
        assert main(["rewrite", "a red disc", "--n", n]) == 0
    assert [params.temperature for params in answers.asked] == [0.0, 0.7]
