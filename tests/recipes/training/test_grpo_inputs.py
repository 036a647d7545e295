"""What a GRPO run is made of, without vLLM: prompts it cannot use, and inputs that change under its feet."""

import json
from pathlib import Path

import pytest

from recipes.train import main


def grpo(bench, output: Path, prompts: Path, *more: str) -> list[str]:
    return [
        "rewriter/grpo/smoke", *bench.common, "--output_dir", str(output), "--dialect", "flux-dev", "--prompts", str(prompts),
        "--generator", str(bench.zoo), "--reward", "tiny_reward:brightness", "--cache", ":memory:", "--max_steps", "1",
        "--use_vllm", "false", "--max_completion_length", "4", "--images_per_prompt", "1", "--image_steps", "1", *more,
    ]  # fmt: skip


def write(path: Path, *prompts: str) -> Path:
    path.write_text("".join(json.dumps({"prompt": p, "licence": "MIT"}) + "\n" for p in prompts))
    return path


SHORT = ("draw a star", "a ring please")


@pytest.mark.parametrize(
    ("bad", "more", "reason"),
    [
        ("a star " * 2800, [], "too_long"),
        ('{"objects": []}', [], "structured"),
        (
            "star " * 100,
            ["--use_vllm", "true", "--vllm_max_model_length", "100"],
            "are more than vllm_max_model_length=100",
        ),
    ],
    ids=["20,000 characters", "JSON", "no room"],
)
def test_prompts_that_cannot_be_trained_on_are_left_out_and_named(
    bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str, more: list[str], reason: str
):
    file = write(tmp_path / "p.jsonl", SHORT[0], bad, SHORT[1])
    assert main([*grpo(bench, tmp_path / "run", file, *more), "--dry_run"]) == 0
    said = capsys.readouterr()
    assert "1 of 3 prompts cannot be trained on (the first: 'p:2'" in said.err
    assert reason in said.err
    assert bad not in said.out


def test_a_file_of_such_prompts_only_is_refused(bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = write(tmp_path / "p.jsonl", "a star " * 2800)
    for more in (["--dry_run"], []):
        assert main([*grpo(bench, tmp_path / "run", file), *more]) == 2
        assert "1 of 1 prompts cannot be trained on" in capsys.readouterr().err
    assert not (tmp_path / "run" / "run.json").exists()


def test_changed_prompts_or_another_adapter_are_not_passed_over(
    bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = write(tmp_path / "p.jsonl", *SHORT)
    assert main(grpo(bench, tmp_path / "first", file)) == 0
    adapter = tmp_path / "first" / "rewriter"
    words = grpo(bench, tmp_path / "second", file, "--adapter", str(adapter))
    assert main(words) == 0
    assert main(words) == 0
    assert "is finished" in capsys.readouterr().err
    write(file, *reversed(SHORT))
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes((tmp_path / "second" / "rewriter" / weights.name).read_bytes())
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "another content of prompts" in said
    assert "another content of adapter" in said
