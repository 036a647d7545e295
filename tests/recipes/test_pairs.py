"""`rewright pairs` and `rewright fifa`: what they write can be loaded, an interruption loses nothing, errors are one line."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffusion_core.data import Pair, check_pairs, load_pairs, save_pairs
from diffusion_core.media import read_array
from recipes.cli import main
from recipes.pair_making import form_pairs, soft_label
from recipes.pair_relabelling import reordered, score_pairs

REWARDS = '''
import hashlib
from pathlib import Path

CALLS = Path(__file__).with_name("scored.txt")


def _number(image):
    return int(hashlib.sha256(image.tobytes()).hexdigest()[:6], 16) / 16**6


def anything(images, prompts):
    """A number in [0, 1] that depends on the picture alone."""
    with CALLS.open("a") as out:
        out.write("".join(prompt + "\\n" for prompt in prompts))
    return [_number(image) for image in images]


def brightness(images, prompts):
    return [float(image.mean()) / 255 for image in images]


def partly(images, prompts):
    """Unknown for prompts with a star."""
    return [None if "star" in prompt else _number(image) for image, prompt in zip(images, prompts)]


def same(images, prompts):
    return [0.5] * len(images)


def stops(images, prompts):
    """As `anything`, but the user presses control-C at the third prompt."""
    if Path(__file__).with_name("stop").exists() and any("please" in prompt for prompt in prompts):
        raise KeyboardInterrupt
    return anything(images, prompts)


for function in (anything, brightness, partly, same, stops):
    function.bounds, function.licence = (0.0, 1.0), "MIT"
    function.fingerprint = "test-" + function.__name__
'''
MAKE = ["pairs", "--prompts", "prompts.jsonl", "--generator", "fake_world:generator", "-n", "4"]


@pytest.fixture
def rewards(obedient: Path):
    """The obedient generator, its four prompts, and rewards that look at the picture."""
    (obedient / "my_rewards.py").write_text(REWARDS)
    yield obedient
    sys.modules.pop("my_rewards", None)


def make(*more: str, output: str = "out", reward: str = "my_rewards:anything") -> int:
    return main([*MAKE, "--reward", reward, "--output", output, *more])


def captions(folder: str = "out") -> list[dict]:
    return [json.loads(line) for line in Path(folder, "captions.jsonl").read_text().splitlines()]


# -- making --------------------------------------------------------------------------------------------------------------


def test_a_folder_is_written_that_can_be_trained_on(rewards, capsys):
    assert make("--margin", "0") == 0
    pairs = load_pairs("out")
    check_pairs(pairs)
    assert len(pairs) == 4
    assert all(pair.margin > 0 for pair in pairs)
    assert pairs[0].prompt == "a pair of crimson discs"
    assert pairs[0].spec["objects"][0]["color"] == "red"
    assert Path("out/preview.png").is_file()
    said = capsys.readouterr()
    assert "4 pairs of 4 prompts in out" in said.out
    assert "images: 16 of 16" in said.err


def test_the_manifest_says_what_made_the_pairs(rewards):
    make("--margin", "0", "--seed", "3")
    manifest = json.loads(Path("out/pairs.json").read_text())
    assert manifest["models"]["generator"] == {"name": "obedient", "fingerprint": "obedient-1"}
    assert manifest["models"]["reward"]["name"] == "anything"
    assert manifest["licences"] == {"prompts": "unknown", "generator": "Apache-2.0", "reward": "MIT"}
    assert manifest["counts"] == {"rows": 4, "pairs": 4, "samples": 16, "unknown": 0, "without_pair": 0}
    assert manifest["setting"]["seed"] == 3
    assert manifest["versions"]["torch"]


def test_the_winner_is_the_best_and_the_loser_the_worst_of_the_samples(rewards):
    from my_rewards import anything

    make("--margin", "0")
    rows = [json.loads(line) for line in Path("out/made.jsonl").read_text().splitlines()[1:]]
    for row, pair in zip(rows, load_pairs("out"), strict=True):
        assert (pair.score_chosen, pair.score_rejected) == (max(row["scores"]), min(row["scores"]))
        assert anything([read_array(pair.chosen)], [""])[0] == pytest.approx(pair.score_chosen, abs=1e-6)


def test_an_interrupted_run_goes_on_to_the_same_pairs(rewards, capsys):
    Path("stop").touch()
    options = ("--margin", "0", "--batch", "4")  # a prompt at a time
    assert make(*options, reward="my_rewards:stops", output="torn") == 130
    assert "2 prompts are done; the same command goes on" in capsys.readouterr().err
    with Path("torn/made.jsonl").open("a") as log:
        log.write('{"id": "half a li')
    Path("stop").unlink()
    drawn = len(Path("calls.txt").read_text().splitlines())
    assert make(*options, reward="my_rewards:stops", output="torn") == 0
    assert len(Path("calls.txt").read_text().splitlines()) <= drawn + 8
    assert make(*options, reward="my_rewards:stops", output="whole") == 0
    assert captions("torn") == captions("whole")
    for file in Path("whole/chosen").iterdir():
        assert (Path("torn/chosen") / file.name).read_bytes() == file.read_bytes()


def test_a_finished_run_can_be_extended(rewards):
    make("--margin", "0", "--limit", "2")
    first = captions()
    make("--margin", "0")
    assert captions()[:2] == first
    assert len(captions()) == 4


def test_another_setting_in_the_same_folder_is_refused(rewards, capsys):
    make("--margin", "0")
    capsys.readouterr()
    assert make("--margin", "0.01") == 1
    assert "out was made in another setting (margin: 0.0); give the same" in capsys.readouterr().err


def test_other_pairs_in_the_folder_are_refused(rewards, capsys):
    save_pairs([plain_pair("a")], "out")
    assert make("--margin", "0") == 1
    assert "out holds pairs that were made otherwise" in capsys.readouterr().err


def test_unknown_scores_are_left_out_and_counted(rewards, capsys):
    assert make("--margin", "0", reward="my_rewards:partly") == 0
    assert len(captions()) == 3
    assert "1 prompts gave none; 4 scores are unknown and left out" in capsys.readouterr().out


def test_no_pair_at_all_says_why(rewards, capsys):
    assert make(reward="my_rewards:same") == 1
    err = capsys.readouterr().err
    assert (
        "no pair: of 16 images of 4 prompts, 0 scores are unknown and left out, and no two known ones differ by"
        in err
    )


def test_several_pairs_of_a_prompt_have_names_of_their_own(rewards):
    make("--margin", "0", "--pairs_per_prompt", "2", "--strategy", "adjacent", "--soft_labels")
    rows = captions()
    assert len(rows) == 8
    assert all(0.5 < row["prob_chosen"] < 0.74 for row in rows)
    check_pairs(load_pairs("out"))


def test_the_embedded_prompts_and_a_zoo_generator_work_together(rewards, tmp_path):
    import torch

    from diffusion_core.adapters.builders import save_zoo

    torch.manual_seed(0)
    save_zoo(tmp_path / "zoo")
    argv = "pairs --generator zoo --prompts shapes --limit 2 -n 3 --steps 2 --reward my_rewards:anything --margin 0 --output z"
    assert main(argv.split()) == 0
    assert [pair.id for pair in load_pairs("z")] == ["shapes-0-0", "shapes-0-1"]
    assert read_array(load_pairs("z")[0].chosen).shape == (16, 16, 3)


def test_rewrites_are_drawn_and_the_user_s_prompt_is_judged(rewards, monkeypatch):
    import recipes.pairs

    monkeypatch.setattr(
        recipes.pairs, "_texts", lambda args, rows: [f"rewritten {i}" for i in range(len(rows))]
    )
    make("--margin", "0", "--adapter", "rewriter")
    assert captions()[0]["prompt"] == "rewritten 0"
    assert "a pair of crimson discs" in Path("scored.txt").read_text()
    Path("scored.txt").unlink()
    make("--margin", "0", "--adapter", "rewriter", "--judge_by", "rewrite", output="other")
    assert set(Path("scored.txt").read_text().split("\n")) == {*(f"rewritten {i}" for i in range(4)), ""}


def test_licences_are_required_on_request(rewards, capsys):
    assert make("--commercial-only") == 1
    assert "prompts: not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("pairs --output x", "give either --prompts (a file, or shapes) or --relabel PAIRS"),
        ("pairs --output x --prompts shapes --relabel y", "give either --prompts"),
        ("pairs --output x --prompts shapes -n 1", "--n 1: give at least 2"),
        ("pairs --output x --prompts shapes --margin -1", "--margin -1.0: give 0 or more"),
        ("pairs --output x --prompts shapes --margin nan", "--margin nan: give 0 or more"),
        (
            "pairs --output x --prompts shapes --margin 2",
            "--margin 2 is more than the range of shapes, 0 to 1",
        ),
        ("pairs --output x --prompts shapes -n 4 --pairs_per_prompt 3", "best_worst gives at most 2 of -n 4"),
        ("pairs --output x --prompts shapes --judge_by rewrite", "--judge_by rewrite needs a rewriter"),
        ("pairs --output x --prompts absent.txt", "absent.txt does not exist"),
        ("pairs --output x --prompts shapes --reward nothing", "unknown reward 'nothing'"),
        ("pairs --output x --relabel absent", "absent does not exist; pairs are read from"),
        ("fifa absent --keep 1", "give --output DIR for the chosen pairs, or --compare"),
        ("fifa absent --share 2 --compare", "--share 2 must lie in (0, 1]"),
        ("fifa absent --keep 1 --output x --json", "--json prints the comparison"),
        ("fifa absent --keep 1 --compare --seeds 0", "--seeds 0"),
        ("fifa absent --keep 1 --compare --k 0", "k=0 must be at least 1"),
        ("fifa absent --keep 1 --compare", "absent does not exist"),
    ],
)
def test_wrong_use_is_one_line(obedient, capsys, argv, said):
    assert main(argv.split()) == 1
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1


# -- which samples are paired --------------------------------------------------------------------------------------------

SCORES = [0.2, math.nan, 0.9, 0.5, 0.6]


@pytest.mark.parametrize(
    ("strategy", "count", "expected"),
    [
        ("best_worst", 1, [(2, 0)]),
        ("best_worst", 2, [(2, 0), (4, 3)]),
        ("adjacent", 1, [(2, 4)]),
        ("adjacent", 3, [(2, 4), (3, 0), (4, 3)]),
    ],
)
def test_strategies(strategy, count, expected):
    assert form_pairs(SCORES, margin=0.1, count=count, strategy=strategy) == expected


def test_random_pairs_are_distinct_ordered_and_repeatable():
    found = form_pairs(SCORES, margin=0, count=9, strategy="random", seed=1)
    assert len(set(found)) == 6
    assert all(SCORES[w] > SCORES[l] for w, l in found)  # noqa: E741 - winner and loser
    assert found == form_pairs(SCORES, margin=0, count=9, strategy="random", seed=1)
    assert found != form_pairs(SCORES, margin=0, count=9, strategy="random", seed=2)


def test_the_margin_is_kept_to_the_last_bit_of_float32():
    close = [float(np.float32(0.7)), float(np.float32(0.6))]
    assert form_pairs(close, margin=0.1, count=1, strategy="best_worst") == [(0, 1)]
    assert form_pairs(close, margin=0.11, count=1, strategy="best_worst") == []
    assert form_pairs([0.5, 0.5], margin=0, count=1, strategy="best_worst") == []


def test_the_soft_label_is_smpo_s_softmax_of_scaled_scores():
    low, high = 0.11543526500463486, 0.28201571106910706
    assert 2 * soft_label(high - low, (low, high)) - 1 == pytest.approx(math.tanh(0.5))
    assert soft_label(0.0, (0, 1)) == 0.5
    assert soft_label(1.0, (-math.inf, math.inf)) is None


# -- relabelling ---------------------------------------------------------------------------------------------------------


def plain_pair(name: str, chosen: int = 200, rejected: int = 50, **more) -> Pair:
    pictures = [np.full((6, 6, 3), value, np.uint8) for value in (chosen, rejected)]
    return Pair(name, f"prompt of {name}", *pictures, **more)


def relabel(*more: str, reward: str = "my_rewards:brightness") -> int:
    return main(["pairs", "--relabel", "set", "--reward", reward, "--output", "out", *more])


def test_relabelling_swaps_drops_ties_and_counts(rewards, capsys):
    save_pairs([plain_pair("kept"), plain_pair("swapped", 10, 90), plain_pair("tied", 100, 101)], "set")
    assert relabel("--margin", "0.1") == 0
    kept, swapped = load_pairs("out")
    assert (kept.id, swapped.id) == ("kept", "swapped")
    assert read_array(swapped.chosen)[0, 0, 0] == 90
    assert swapped.margin == pytest.approx(80 / 255, abs=1e-6)
    assert "1 labels swapped (50.0%); left out: 1 tied, 0 unknown" in capsys.readouterr().out


def test_relabelling_goes_on(rewards, capsys):
    save_pairs([plain_pair("a"), plain_pair("b", 10, 90)], "set")
    assert relabel("--limit", "1") == 0
    assert relabel() == 0
    assert [pair.id for pair in load_pairs("out")] == ["a", "b"]
    assert "1 done before; going on" in capsys.readouterr().err


def test_pairs_keep_the_spec_that_the_shapes_judge_needs(rewards, capsys):
    make("--margin", "0")
    assert main(["pairs", "--relabel", "out", "--reward", "shapes", "--output", "again"]) == 1
    assert "no pair is left of 4: 4 tied, 0 unknown" in capsys.readouterr().err


def test_a_reward_that_knows_nothing_of_the_pairs_says_why(rewards, capsys):
    save_pairs([plain_pair("a")], "set")
    assert relabel(reward="shapes") == 1
    assert "no pair is left of 1: 0 tied, 1 unknown (no scene spec" in capsys.readouterr().err


def test_captions_go_with_their_pictures():
    pair = plain_pair("a", prompt_rejected="the other", prob_chosen=0.9)
    swapped, fate = reordered(pair, (0.1, 0.3))
    assert fate == "swapped"
    assert (swapped.prompt, swapped.prompt_rejected, swapped.prob_chosen) == (
        "the other",
        "prompt of a",
        None,
    )
    assert swapped.chosen is pair.rejected


def test_what_is_unknown_is_neither_kept_nor_swapped():
    assert reordered(plain_pair("a"), (math.nan, 0.3)) == (None, "unknown")


def test_a_composite_reward_scores_pairs_of_different_size():
    from rewards.compose import Composite, Term
    from rewards.external import ExternalReward

    def height(images, prompts):
        return [len(image) / 10 for image in images]

    both = Composite([Term(ExternalReward(height, "a:height", bounds=(0, 1)))], name="both")
    small = plain_pair("a")
    tall = replace(small, chosen=np.zeros((9, 6, 3), np.uint8))
    (scores, note), (_, _) = score_pairs([tall, small], both)
    assert scores == pytest.approx((0.9, 0.6))
    assert note == ""


# -- choosing ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scored_set(rewards) -> Path:
    """Twelve scored pairs of six prompts in ./set."""
    words = [
        "red circle",
        "blue square",
        "green star",
        "small ring",
        "two crosses",
        "a large purple triangle on black",
    ]
    pairs = [
        replace(plain_pair(f"{i:02d}"), prompt=words[i % 6], score_chosen=i / 12, score_rejected=0.0)
        for i in range(12)
    ]
    save_pairs(pairs, "set")
    return rewards


def test_the_chosen_pairs_are_written_with_their_scores(scored_set, capsys):
    Path("set/pairs.json").write_text('{"licences": {"generator": "MIT"}}')
    assert main(["fifa", "set", "--keep", "4", "--k", "2", "--output", "best"]) == 0
    assert len(load_pairs("best")) == 4
    manifest = json.loads(Path("best/pairs.json").read_text())
    assert manifest["licences"] == {"generator": "MIT"}
    assert manifest["counts"] == {"pairs": 4, "of": 12}
    assert "wrote 4 of 12 pairs to best" in capsys.readouterr().err


def test_weights_of_zero_choose_the_widest_margins(scored_set):
    assert (
        main(
            ["fifa", "set", "--share", "0.25", "--k", "1", "--alpha", "0", "--gamma", "0", "--output", "best"]
        )
        == 0
    )
    assert [pair.id for pair in load_pairs("best")] == ["11", "10", "09"]


def test_the_comparison_has_every_choice_at_equal_size(scored_set, capsys):
    assert (
        main(
            ["fifa", "set", "--keep", "5", "--k", "1", "--gamma", "3", "--compare", "--json", "--seeds", "3"]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"fifa", "fifa, greedy", "margin only", "random", "all pairs"}
    assert {row["pairs"] for name, row in found.items() if name != "all pairs"} == {5}
    assert found["margin only"]["margin"] >= found["fifa"]["margin"]
    assert found["fifa, greedy"]["duplicates"] == 0
    assert found["all pairs"]["duplicates"] == 0.5
    assert found["random"]["deviation"]["margin"] > 0
    assert main(["fifa", "set", "--keep", "5", "--k", "1", "--compare", "--greedy"]) == 0
    assert "margin only" in capsys.readouterr().out


def test_quality_and_embeddings_may_be_one_s_own(scored_set):
    Path("mine.py").write_text(
        "import numpy as np\nquality = lambda texts: [-len(t) for t in texts]\nembed = lambda texts: np.eye(len(texts))\n"
    )
    argv = "fifa set --keep 2 --k 1 --alpha 100 --quality mine:quality --embed mine:embed --output best"
    assert main(argv.split()) == 0
    sys.modules.pop("mine", None)
    assert {len(pair.prompt) for pair in load_pairs("best")} == {len("red circle")}


def test_pairs_without_scores_are_sent_to_relabel(rewards, capsys):
    save_pairs([plain_pair("a")], "set")
    assert main(["fifa", "set", "--keep", "1", "--compare"]) == 1
    assert "1 of 1 pairs have no scores" in capsys.readouterr().err
