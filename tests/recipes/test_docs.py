"""What the pages say is run: code blocks marked `<!-- test: ... -->`, and every `rewright` command must exist."""

import re
import shlex
from pathlib import Path

import pytest

from recipes.cli import COMMANDS, main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "quickstart.md", DOCS / "your-own-model.md", DOCS / "preference-data.md", DOCS / "layout.md"]


def block(page: Path, mark: str) -> str:
    """The code after `<!-- test: mark -->`."""
    found = re.search(
        rf"<!-- test: {re.escape(mark)} -->\n```\w+\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found, f"{page.name} has no block marked {mark!r}"
    return found[1]


@pytest.fixture
def own_model(tmp_path, monkeypatch) -> Path:
    page = DOCS / "your-own-model.md"
    (tmp_path / "my_model.py").write_text(block(page, "my_model.py"))
    (tmp_path / "my_prompts.txt").write_text("a barn\na red barn in the snow\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path / "cache"))
    yield tmp_path
    import sys

    sys.modules.pop("my_model", None)


def test_the_model_of_the_page_is_about_twenty_lines():
    lines = [line for line in block(DOCS / "your-own-model.md", "my_model.py").splitlines() if line.strip()]
    assert len(lines) <= 20


def test_the_commands_of_the_page_run(own_model):
    commands = block(DOCS / "your-own-model.md", "commands").strip().splitlines()
    assert len(commands) == 2
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    assert Path("barn.png").is_file()
    assert Path("runs/mine/report.html").is_file()


def test_the_python_of_the_page_runs(own_model):
    exec(compile(block(DOCS / "your-own-model.md", "python"), "your-own-model.md", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_exists(page):
    used = set(re.findall(r"^rewright (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert used
    assert used <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_commands_and_the_python_of_the_layout_page_run_and_draw_its_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in block(DOCS / "layout.md", "commands").strip().splitlines():
        assert main(shlex.split(command)[1:]) == 0, command
    assert Path("room_plan.png").read_bytes() == (DOCS / "room_plan.png").read_bytes()
    exec(compile(block(DOCS / "layout.md", "python"), "layout.md", "exec"), {})
