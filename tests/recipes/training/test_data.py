"""Pairs made as PromptEnhancer makes them: only SFT templates, only what the judge prefers, deterministic, resumable."""

import json
from pathlib import Path

import pytest

from recipes.rewriter_data import candidates, main

WORLD = '''
import json
from pathlib import Path

import numpy as np

from diffusion_core.worlds.shapes import caption, render, sample_layout
from recipes.rewriter_data import candidates
from diffusion_core.worlds.shapes import SceneSpec

DRAWN = []


class Literal:
    """Draws canonical captions exactly; of anything else it draws a gray page."""

    fingerprint, licence, name = "literal-1", "Apache-2.0", "literal"

    def __init__(self):
        self.known = {row["rewrite"]: SceneSpec.model_validate(row["spec"]) for row in candidates(0, 40)}

    def generate(self, prompts, seeds):
        DRAWN.extend(prompts)
        blank = np.full((48, 48, 3), 128, np.uint8)
        return [
            render(sample_layout(self.known[p], np.random.default_rng(s))) if p in self.known else blank
            for p, s in zip(prompts, seeds)
        ]
'''


@pytest.fixture
def literal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    (tmp_path / "literal_world.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path / "cache"))
    yield tmp_path
    sys.modules.pop("literal_world", None)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_candidates_use_sft_templates_and_training_scenes_only():
    from diffusion_core.worlds.shapes.users import templates_of

    rows = list(candidates(0, 60))
    assert {row["template"] for row in rows} <= set(templates_of("sft"))
    assert rows[:10] == list(candidates(0, 10))
    assert len({row["prompt"] for row in rows}) > 50


def test_a_pair_is_kept_where_the_rewrite_passes_more_often(literal: Path):
    assert (
        main(
            [
                "sft",
                "--output",
                "pairs.jsonl",
                "--count",
                "24",
                "--images",
                "1",
                "--generator",
                "literal_world:Literal",
            ]
        )
        == 0
    )
    kept = lines(literal / "pairs.jsonl")
    assert kept
    assert all(row["pass_rewrite"] > row["pass_prompt"] for row in kept)
    dropped = [row for row in lines(literal / "pairs.jsonl.part")[1:] if not row["kept"]]
    assert all(not row["pass_rewrite"] > row["pass_prompt"] for row in dropped)
    assert len(kept) + len(dropped) == 24


def test_an_interrupted_command_goes_on(literal: Path):
    words = ["sft", "--output", "pairs.jsonl", "--images", "1", "--generator", "literal_world:Literal"]
    assert main([*words, "--count", "8"]) == 0
    part = literal / "pairs.jsonl.part"
    part.write_text(part.read_text() + '{"id": "sft-0-8", "pro')  # torn
    import literal_world

    literal_world.DRAWN.clear()
    assert main([*words, "--count", "16"]) == 0
    rows = lines(part)[1:]
    assert [row["id"] for row in rows] == [f"sft-0-{i}" for i in range(16)]
    assert not {row["rewrite"] for row in rows[:8]} & set(literal_world.DRAWN)


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        (["--images", "2"], "images"),
        (["--steps", "3"], "steps"),
        (["--generator", "other_world:Literal"], "generator"),
    ],
)
def test_other_verdicts_are_not_taken_for_those_asked_for(
    literal: Path, capsys: pytest.CaptureFixture[str], more: list[str], changed: str
):
    other = WORLD.replace("literal-1", "literal-2").replace("render(sample", "blank if p else render(sample")
    (literal / "other_world.py").write_text(other)
    words = ["sft", "--output", "pairs.jsonl", "--count", "8", "--images", "1"]
    assert main([*words, "--generator", "literal_world:Literal"]) == 0
    before = lines(literal / "pairs.jsonl.part")
    if changed == "generator":
        with pytest.raises(ValueError, match="none of 8 pairs passed"):
            main([*words, *more])
    else:
        assert main([*words, "--generator", "literal_world:Literal", *more]) == 0
    assert f"(changed: {changed})" in capsys.readouterr().err
    assert lines(literal / "pairs.jsonl.part")[0] != before[0]
    assert len(lines(literal / "pairs.jsonl.part")) == 9


def test_unfiltered_pairs_are_judged_once_a_filter_is_asked_for(literal: Path):
    words = ["sft", "--output", "pairs.jsonl", "--count", "24", "--images", "1"]
    assert main([*words, "--no-filter"]) == 0
    assert len(lines(literal / "pairs.jsonl")) == 24
    assert main([*words, "--generator", "literal_world:Literal"]) == 0
    assert all("pass_rewrite" in row for row in lines(literal / "pairs.jsonl"))


def test_a_candidate_that_reads_otherwise_now_is_judged_again(literal: Path):
    words = ["sft", "--output", "pairs.jsonl", "--count", "3", "--no-filter"]
    assert main(words) == 0
    part = literal / "pairs.jsonl.part"
    rows = lines(part)
    rows[2]["prompt"] = "as an older grammar put it"
    part.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(words) == 0
    assert [row["prompt"] for row in lines(literal / "pairs.jsonl")] == [
        r["prompt"] for r in candidates(0, 3)
    ]


def test_a_generator_without_a_fingerprint_is_known_by_its_name():
    from recipes.bridging import identity
    from rewards.external import ExternalGenerator

    drawn = ExternalGenerator(lambda prompts, seeds: [], "mine:draw")
    assert identity(drawn) == "mine:draw@undeclared"


def test_prompts_for_grpo_hold_no_caption(tmp_path: Path):
    from rewriter.datasets import read_prompts

    output = tmp_path / "prompts.jsonl"
    assert main(["prompts", "--output", str(output), "--count", "20"]) == 0
    assert all("rewrite" not in row and "caption" not in row for row in lines(output))
    assert len(read_prompts(output)) == 20


def test_a_generator_that_can_nothing_is_an_error(literal: Path):
    (literal / "blank_world.py").write_text(
        "import numpy as np\n\n\ndef generate(prompts, seeds):\n    return [np.zeros((48, 48, 3), np.uint8) for _ in prompts]\n"
    )
    with pytest.raises(ValueError, match="none of 4 pairs passed"):
        main(
            [
                "sft",
                "--output",
                "pairs.jsonl",
                "--count",
                "4",
                "--images",
                "1",
                "--generator",
                "blank_world:generate",
            ]
        )
