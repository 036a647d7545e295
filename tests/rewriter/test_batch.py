"""Batch rewriting survives interruption, and refuses to mix what does not belong together."""

import json
from pathlib import Path

import pytest

from rewriter.batch import BatchError, rewrite_file
from rewriter.llm import LLMError
from rewriter.rewriter import Rewriter
from tests.rewriter.conftest import ScriptedLLM
from tests.rewriter.test_rewriter import make

PROMPTS = [
    "a pair of red discs",
    "two crimson discs",
    "2 red dots",
    "two scarlet circles",
    "a duo of ruby balls",
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(PROMPTS) + "\n")
    return path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_prompt_gets_a_line_in_order(source, tmp_path, scripted):
    seen: list[tuple[int, int]] = []
    out = tmp_path / "deep" / "out.jsonl"
    summary = rewrite_file(make(scripted), source, out, batch_size=2, on_progress=lambda *x: seen.append(x))
    assert [row["prompt"] for row in lines(out)] == PROMPTS
    assert lines(out)[0] == {
        "id": "in:1", "prompt": PROMPTS[0], "rewrite": "two red circles", "changed": True, "fallback_used": False, "reason": None,
        "violations": [], "model": "unknown",
    }  # fmt: skip
    assert (summary.total, summary.written, summary.changed, summary.fallbacks) == (5, 5, 5, 0)
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_a_second_run_asks_nothing_and_changes_nothing(source, tmp_path, scripted):
    out = tmp_path / "out.jsonl"
    rewrite_file(make(scripted), source, out)
    before = out.read_bytes()
    scripted.asked.clear()
    summary = rewrite_file(make(scripted), source, out)
    assert (summary.skipped, summary.written, scripted.asked) == (5, 0, [])
    assert out.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 30, 190])
def test_a_torn_last_line_is_written_again(source, tmp_path, scripted, cut):
    out = tmp_path / "out.jsonl"
    rewrite_file(make(scripted), source, out)
    whole = out.read_bytes()
    out.write_bytes(whole[:-cut])
    scripted.asked.clear()
    rewrite_file(make(scripted), source, out)
    assert out.read_bytes() == whole
    assert len(scripted.asked) == 1 + (cut > 180)


def test_an_interrupted_run_goes_on_where_it_stopped(source, tmp_path):
    out = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        rewrite_file(make(InterruptedLLM(ScriptedLLM())), source, out, batch_size=2)
    assert len(lines(out)) == 2
    rewrite_file(make(ScriptedLLM()), source, out, batch_size=2)
    assert [row["prompt"] for row in lines(out)] == PROMPTS


class InterruptedLLM:
    """Ctrl-C in the second batch."""

    def __init__(self, inner: ScriptedLLM):
        self.inner, self.name, self.tally = inner, inner.name, inner.tally

    def generate(self, messages, n, params):
        if PROMPTS[3] in [m[-1]["content"] for m in messages]:
            raise KeyboardInterrupt
        return self.inner.generate(messages, n, params)


def test_prompts_without_an_answer_are_not_recorded_and_end_the_run(source, tmp_path):
    out = tmp_path / "out.jsonl"
    llm = ScriptedLLM(answers={PROMPTS[2]: LLMError("out of memory")})
    with pytest.raises(BatchError, match=r"answered none of 2 prompts .* 2 of 5 are in"):
        rewrite_file(make(llm), source, out, batch_size=2)
    assert len(lines(out)) == 2


def test_an_output_of_other_prompts_is_refused(source, tmp_path, scripted):
    out = tmp_path / "out.jsonl"
    rewrite_file(make(scripted), source, out)
    source.write_text("another prompt\n")
    with pytest.raises(
        BatchError, match="id 'in:1' has another prompt than the input; choose another --output"
    ):
        rewrite_file(make(scripted), source, out)


def test_an_output_of_another_rewriter_is_refused(source, tmp_path, scripted):
    out = tmp_path / "out.jsonl"
    rewrite_file(make(scripted), source, out)
    other: Rewriter = make(scripted)
    other.revision = "second"
    with pytest.raises(BatchError, match=r"written by another rewriter \(unknown, this one is second\)"):
        rewrite_file(other, source, out)


def test_a_file_that_is_no_batch_is_refused_and_kept(source, tmp_path, scripted):
    out = tmp_path / "out.jsonl"
    out.write_text("my notes\n")
    with pytest.raises(BatchError, match="line 1 is not a line of a rewrite batch"):
        rewrite_file(make(scripted), source, out)
    assert out.read_text() == "my notes\n"


@pytest.mark.parametrize(
    "content",
    [
        "my notes",
        "7",
        '{"id": "x", "prompt": "a ring"}',
        "line\nmy notes",
        '{"prompt": "a red circle"}',
        '{"prompt": "a"}\n{"prom',
    ],
)
def test_a_file_without_a_final_newline_is_no_torn_batch(source, tmp_path, scripted, content):
    out = tmp_path / "out.jsonl"
    out.write_text(content)
    with pytest.raises(BatchError, match="is not a line of a rewrite batch"):
        rewrite_file(make(scripted), source, out)
    assert out.read_text() == content


def test_a_batch_of_another_model_keeps_its_torn_line(source, tmp_path, scripted):
    out = tmp_path / "out.jsonl"
    rewrite_file(make(scripted), source, out)
    torn = out.read_bytes()[:-5]
    out.write_bytes(torn)
    other: Rewriter = make(scripted)
    other.revision = "second"
    with pytest.raises(BatchError, match="another rewriter"):
        rewrite_file(other, source, out)
    assert out.read_bytes() == torn


def test_the_input_is_never_the_output(tmp_path, scripted):
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a red circle"}')
    (tmp_path / "link.jsonl").symlink_to(path)
    for output in (path, tmp_path / "link.jsonl", tmp_path / "." / "x" / ".." / "p.jsonl"):
        with pytest.raises(BatchError, match="is the input itself"):
            rewrite_file(make(scripted), path, output)
    assert path.read_text() == '{"prompt": "a red circle"}'


def test_an_output_that_cannot_be_written_is_refused(source, tmp_path, scripted):
    with pytest.raises(BatchError, match=r"cannot write .*; choose another --output"):
        rewrite_file(make(scripted), source, tmp_path)


def test_two_runs_on_one_output_are_refused(source, tmp_path, scripted):
    import fcntl

    out = tmp_path / "out.jsonl"
    with out.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BatchError, match="another run is writing"):
            rewrite_file(make(scripted), source, out)
