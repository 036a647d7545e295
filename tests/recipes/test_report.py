"""The page stands alone, says what the figures say, and survives any text."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from recipes.cli import main
from recipes.curves import charts, read_series, smooth, svg, ticks
from recipes.pictures import data_uri, enlarge, grid, load_png, save_png, statistics, strip

EVALUATE = [
    "evaluate",
    "--prompts",
    "prompts.jsonl",
    "--generator",
    "fake_world:generator",
    "--seeds",
    "2",
    "--arms",
    "original,rules,oracle",
    "--output",
    "out",
]


@pytest.fixture
def page(obedient) -> str:
    with Path("prompts.jsonl").open("a") as out:
        out.write(
            json.dumps(
                {
                    "prompt": "<script>alert(1)</script> & a red circle",
                    "spec": {"objects": [{"color": "red"}]},
                }
            )
            + "\n"
        )
    assert main(EVALUATE) == 0
    return Path("out/report.html").read_text(encoding="utf-8")


def test_the_page_fetches_nothing(page):
    assert not re.search(r'(?:src|href)\s*=\s*"(?!data:)', page)
    assert "@import" not in page
    assert not re.search(r"url\(", page)
    assert page.count("data:image/png;base64,") == 5 * 2 * 2, "5 prompts, original and oracle, 2 seeds"


def test_verdicts_are_shown_as_badges(page):
    oracle_right = page.count('class="shot yes"')
    assert oracle_right >= 10
    assert page.count('class="shot no"') > 0


def test_a_prompt_cannot_become_markup(page):
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; a red circle" in page


def test_the_page_is_made_for_phones_too(page):
    assert 'name="viewport"' in page
    assert "@media (max-width: 640px)" in page


def test_curves_and_a_second_evaluation_are_added(obedient, page):
    run = Path("grpo")
    run.mkdir()
    rows = [
        {"step": s, "reward": 0.5 + s / 40, "image_reward/baseline": 0.5, "loss": 1 / s} for s in range(1, 21)
    ]
    rows = [{**row, "seconds": 6.0 * row["step"], "step_time": 6.0, "time/rollout": 2.0} for row in rows]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 21, "rew')
    assert main(["report", "out", "--curves", "grpo", "--also", "out"]) == 0
    text = Path("out/report.html").read_text()
    assert "Training: grpo" in text
    assert text.count("<svg") == 2, "reward with its baseline, and loss"
    assert "20 steps in 2.0 min; a step 6.0 s: roll-out 2.0 s" in text
    assert text.count("Your prompts") == 2 + page.count("Your prompts") - 1


def test_a_folder_without_an_evaluation_is_named(obedient, capsys):
    assert main(["report", "nowhere"]) == 1
    assert "nowhere/evaluation.json does not exist" in capsys.readouterr().err


def test_a_torn_last_line_of_a_running_training_is_skipped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0, "note": "x"}\n{"step": 3, "lo')
    assert read_series(path) == {"loss": [(1.0, 2.0), (2.0, 1.0)]}


def test_a_single_point_is_no_curve():
    assert charts({"loss": [(1.0, 1.0)]}) == []


def test_smoothing_keeps_a_straight_line_straight_inside():
    line = [(float(i), 2.0 * i) for i in range(100)]
    assert smooth(line)[50] == (50.0, pytest.approx(100.0))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 7.7), (0.101, 0.102), (5.0, 5.0), (0.0, 0.0)])
def test_ticks_cover_the_range_in_few_round_steps(low, high):
    found = ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert 2 <= len(found) <= 8


def test_a_chart_stays_inside_its_frame():
    drawn = svg([("a & b", [(0.0, -5.0), (3.0, 9.0), (10.0, 2.0)])])
    xs, ys = zip(
        *(map(float, p.split(",")) for p in re.search(r'polyline points="([^"]+)"', drawn)[1].split()),
        strict=True,
    )
    assert min(xs) >= 0
    assert max(xs) <= 340
    assert min(ys) >= 0
    assert max(ys) <= 190
    assert "a &amp; b" in drawn


def test_image_figures_of_known_images():
    black = np.zeros((8, 8, 3), np.uint8)
    assert statistics(black) == {"dark": 1.0, "edges": 0.0, "colour_entropy": 0.0}
    halves = black.copy()
    halves[:, 4:] = 255
    found = statistics(halves)
    assert found["dark"] == 0.5
    assert found["colour_entropy"] == pytest.approx(1.0)
    assert found["edges"] == pytest.approx(8 / (2 * 7 * 8))


def test_pictures_survive_png_and_magnification(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    save_png(image, tmp_path / "new" / "x.png")
    assert (load_png(tmp_path / "new" / "x.png") == image).all()
    assert enlarge(image, 20).shape == (20, 28, 3)
    assert (enlarge(image, 20)[::4, ::4] == image).all()
    assert enlarge(image, 3) is not None
    assert data_uri(image).startswith("data:image/png;base64,")


def test_a_strip_has_a_row_per_prompt_and_both_sides():
    image = np.full((6, 6, 3), 200, np.uint8)
    one = strip([("a long prompt " * 10, "short", [image] * 2, [image] * 2)])
    two = strip([("a long prompt " * 10, "short", [image] * 2, [image] * 2)] * 2)
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > one.shape[0] + 100
    assert grid([image] * 5).shape == (16, 26, 3)
