"""The model card says what was done, and not what was done once."""

import json
from pathlib import Path

import pytest

from recipes.generator_card import card, compute, kernel

FIGURES = {
    "strict": 0.5,
    "interval": (0.4, 0.6),
    "one_and_two": 0.6,
    "by_objects": {1: 0.7},
    "atoms": 0.9,
    "by_kind": {},
    "images_per_second": 80.0,
}
REPORT = {"n": 600, "steps": 9, "guidance": 2.5, "canonical": FIGURES, "user_style": FIGURES}


def test_the_sampler_is_the_one_of_the_manifest():
    assert kernel({}) == kernel({"eta": 0.0}) == "Euler steps"
    assert kernel({"eta": 1.0}) == "DDIM steps with fresh noise (eta 1)"


@pytest.mark.parametrize(
    ("processes", "threads", "said"),
    [
        (1, 1, "on 1 thread of a CPU"),
        (1, 2, "on 2 threads of a CPU"),
        (2, 1, "on 2 CPU processes of 1 thread each"),
    ],
)
def test_the_machine_is_the_one_of_the_run(processes: int, threads: int, said: str):
    assert compute({"args": {"processes": processes}, "threads": threads}) == said


def test_a_card_is_made_of_the_manifest_and_the_run(tmp_path: Path):
    (tmp_path / "run.json").write_text(json.dumps({"args": {"processes": 2}, "threads": 1}))
    row = {"step": 1, "samples": 2000, "loss": 0.25, "seconds": 7200.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    manifest = {"canvas": 32, "prediction": "flow", "eta": 1.0, "text_layers": 4}
    text = card(REPORT, manifest, tmp_path)
    assert "a four-layer BERT" in text
    assert (
        "flow matching with flow prediction, 32 x 32 pixels, 9 DDIM steps with fresh noise (eta 1), guidance 2.5."
        in text
    )
    assert "2,000 samples in 2.00 hours on 2 CPU processes of 1 thread each, loss 0.2500." in text
    assert "## Training" not in card(REPORT, manifest, None)
