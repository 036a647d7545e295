"""What may be used commercially is written down; what is not written down is refused."""

from pathlib import Path

import pytest

from recipes.licences import LICENCES, LicenceRefused, require_commercial, use_of
from recipes.train import main


@pytest.mark.parametrize(
    "name",
    ["Apache-2.0", "MIT", "apache-2.0", " mit ", "CC-BY-4.0", "MIT OR CC-BY-NC-4.0", "MIT AND Apache-2.0"],
)
def test_permissive_licences_pass(name: str):
    require_commercial({"model": name})


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("CC-BY-NC-4.0", "non-commercial"),
        ("OpenRAIL++-M", "restricted"),
        ("MIT AND CC-BY-NC-4.0", "non-commercial"),
        ("Apache-2.0 AND unknown", "unknown"),
        ("unknown", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        ("my own", "unknown"),
    ],
)
def test_everything_else_is_refused(name: str | None, use: str):
    assert use_of(name) == use
    with pytest.raises(LicenceRefused, match="generator"):
        require_commercial({"data": "MIT", "generator": name or ""})


def test_every_refused_part_is_named_and_a_misspelling_is_recognised():
    with pytest.raises(LicenceRefused) as caught:
        require_commercial({"data": "Apache 2.0", "model": "CC-BY-NC-4.0", "reward": "MIT"})
    message = str(caught.value)
    assert "data: Apache 2.0, unknown (did you mean Apache-2.0?)" in message
    assert "model: CC-BY-NC-4.0, non-commercial" in message
    assert "reward" not in message


def test_the_table_is_sorted_by_what_it_allows():
    order = ("commercial", "restricted", "non-commercial")
    assert [order.index(use) for use in LICENCES.values()] == sorted(
        order.index(use) for use in LICENCES.values()
    )


def test_a_run_refuses_data_without_a_licence(tmp_path: Path, bench):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(bench.pairs.read_text().replace('"licence": "Apache-2.0"', '"note": ""'))
    words = [
        "rewriter/sft/smoke",
        *bench.common,
        "--output_dir",
        str(tmp_path / "run"),
        "--pairs",
        str(pairs),
    ]
    with pytest.raises(LicenceRefused, match="data: not known"):
        main([*words, "--commercial_only"])
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_run_refuses_a_generator_without_a_licence(tmp_path: Path, bench):
    (bench.root / "tiny_generator.py").write_text(
        "def generate(prompts, seeds):\n    raise AssertionError('drawn')\n"
    )
    words = [
        "rewriter/grpo/smoke",
        *bench.common,
        "--output_dir",
        str(tmp_path / "run"),
        "--generator",
        "tiny_generator:generate",
    ]
    with pytest.raises(LicenceRefused, match="generator: not known"):
        main([*words, "--commercial_only", "--reward", "tiny_reward:brightness"])
