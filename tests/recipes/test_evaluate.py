"""An evaluation whose outcome is known: figures, files, resumption, refusals."""

import json
from pathlib import Path

import pytest

from recipes.arms import RewriterArm, Text, plain_arm
from recipes.cli import main
from recipes.evaluation_sets import Prompt
from recipes.measure import arm_texts
from rewriter.schema import RewriteResult

BASE = [
    "evaluate",
    "--prompts",
    "prompts.jsonl",
    "--generator",
    "fake_world:generator",
    "--seeds",
    "3",
    "--output",
    "out",
]
PLAIN = [*BASE, "--arms", "original,rules,oracle"]


def read(path: str) -> dict:
    return json.loads(Path(path).read_text())


def calls() -> int:
    return len(Path("calls.txt").read_text().splitlines())


def test_the_figures_are_those_of_the_known_outcome(obedient):
    assert main(PLAIN) == 0
    found = read("out/summary.json")
    assert set(found) == {"seconds", "arms", "gap_closed", "paired"}
    assert set(found["arms"]["original"]) == {"strict", "shaped", "n_prompts", "n_seeds"}
    # One of four prompts asks for what the generator scribbles: a red circle.
    assert found["arms"]["original"]["strict"] == pytest.approx(0.25)
    assert found["arms"]["oracle"] == {"strict": 1.0, "shaped": 1.0, "n_prompts": 4, "n_seeds": 3}
    assert found["paired"]["oracle-original"]["mean"] == pytest.approx(0.75)
    analysis = read("out/evaluation.json")["sets"]["yours"]
    assert analysis["arms"]["original"]["pass_at_k"]["mean"] == pytest.approx(0.25)
    assert analysis["arms"]["oracle"]["versus_original"]["win"] == pytest.approx(0.75)
    assert analysis["arms"]["original"]["by_tag"]["polite"] == {"mean": 1.0, "n": 1}
    assert analysis["arms"]["original"]["images"]["dark"] == 0.0


def test_every_arm_is_drawn_with_the_same_seeds_and_every_image_has_its_row(obedient):
    assert main(PLAIN) == 0
    rows = {
        arm: [
            json.loads(line) for line in Path(f"out/sets/yours/{arm}.rows.jsonl").read_text().splitlines()[1:]
        ]
        for arm in ("original", "rules", "oracle")
    }
    assert [len(found) for found in rows.values()] == [12, 12, 12]
    seeds = [[(row["row_id"], row["k"], row["seed"]) for row in found] for found in rows.values()]
    assert seeds[0] == seeds[1] == seeds[2]
    first = rows["oracle"][0]
    assert first["rewrite"] == "two red circles"
    assert (first["status"], first["parts"]["strict"], first["value"]) == ("OK", 1.0, 1.0)


def test_a_finished_arm_is_not_measured_again_and_a_changed_one_is(obedient):
    assert main(PLAIN) == 0
    before = Path("out/sets/yours/oracle.rows.jsonl").stat().st_mtime_ns
    drawn = calls()
    assert main(PLAIN) == 0
    assert Path("out/sets/yours/oracle.rows.jsonl").stat().st_mtime_ns == before
    assert calls() == drawn
    with Path("prompts.jsonl").open("a") as out:
        out.write(
            '{"prompt": "an orange cross", "spec": {"objects": [{"shape": "cross", "color": "orange"}]}}\n'
        )
    assert main(PLAIN) == 0
    assert read("out/summary.json")["arms"]["oracle"]["n_prompts"] == 5


@pytest.mark.parametrize("option", [["--steps", "3"], ["--guidance", "1.5"]], ids=lambda words: words[0])
def test_other_steps_or_guidance_are_measured_and_not_read_from_the_last_time(obedient, option):
    assert main(PLAIN) == 0
    drawn = calls()
    assert main([*PLAIN, *option]) == 0
    assert calls() > drawn
    assert read("out/evaluation.json")["settings"][option[0][2:]] == float(option[1])


def test_what_failed_for_a_while_is_measured_again_and_the_rest_is_kept(obedient):
    assert main(PLAIN) == 0
    path = Path("out/sets/yours/oracle.rows.jsonl")
    whole = path.read_text()
    head, *rows = map(json.loads, whole.splitlines())
    for row in rows:
        if row["row_id"] == rows[0]["row_id"]:
            row |= {"status": "RETRYABLE", "value": None, "parts": {}}
        else:
            row["note"] = "kept"
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, *rows)))
    assert main(PLAIN) == 0
    again = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert [row["status"] for row in again] == ["OK"] * 12
    assert [row["note"] == "kept" for row in again] == [False] * 3 + [True] * 9
    assert [row["row_id"] for row in again] == [row["row_id"] for row in rows]


def test_commercial_use_only_asks_for_the_licences_of_prompts_and_base_too(obedient, capsys):
    assert main([*PLAIN, "--commercial-only"]) == 1
    assert "data: not known" in capsys.readouterr().err
    lines = [json.loads(line) for line in Path("prompts.jsonl").read_text().splitlines()]
    Path("free.jsonl").write_text("".join(json.dumps({**line, "licence": "MIT"}) + "\n" for line in lines))
    free = [*PLAIN, "--commercial-only", "--prompts", "free.jsonl"]
    assert main(free) == 0
    assert read("out/run.json")["licences"]["data"] == "MIT"
    assert main([*free, "--arms", "original,zero_shot", "--base", "nobodys/model"]) == 1
    assert "base: not known" in capsys.readouterr().err


def test_the_prompts_of_the_repository_are_under_its_licence():
    from recipes.evaluation_sets import handwritten, held_out

    assert {prompt.licence for prompt in (*handwritten(3), *held_out(3))} == {"Apache-2.0"}


def test_an_interrupted_evaluation_keeps_its_finished_arms_and_says_so(obedient, monkeypatch, capsys):
    import recipes.measure as measure

    real, seen = measure.arm_rows, []

    def interrupted(arm, *args, **kwargs):
        seen.append(arm)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(arm, *args, **kwargs)

    monkeypatch.setattr(measure, "arm_rows", interrupted)
    assert main(PLAIN) == 130
    assert "goes on there" in capsys.readouterr().err
    assert Path("out/sets/yours/original.rows.jsonl").is_file()
    assert not Path("out/summary.json").exists()


def test_prompts_without_specs_get_pictures_and_no_verdict(obedient, capsys):
    Path("plain.txt").write_text("a fox\na dog in the rain\n")
    argv = [*BASE[:1], "--prompts", "plain.txt", *BASE[3:], "--arms", "original,template"]
    assert main(argv) == 0
    assert read("out/summary.json")["arms"]["original"]["strict"] is None
    assert len(list(Path("out/sets/yours/images/original").glob("*.png"))) == 6
    assert "nothing to judge" in capsys.readouterr().out
    assert "Nothing was judged" in Path("out/report.html").read_text()


def test_a_reward_of_ones_own_needs_no_spec(obedient):
    Path("plain.txt").write_text("a fox\na dog in the rain\n")
    argv = [
        *BASE[:1],
        "--prompts",
        "plain.txt",
        *BASE[3:],
        "--arms",
        "original,template",
        "--reward",
        "fake_world:length",
    ]
    assert main(argv) == 0
    found = read("out/evaluation.json")["sets"]["yours"]
    assert found["metric"] == "value"
    assert found["arms"]["original"]["value"]["mean"] == pytest.approx((5 + 17) / 200)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--arms", "original,magic"], "unknown arm 'magic'"),
        (["--arms", "original", "--seeds", "0"], "--seeds 0"),
        (["--arms", "original", "--limit", "0"], "--limit 0: give a number of prompts from 1 on"),
        (["--arms", "original", "--limit", "-3"], "--limit -3"),
        (["--arms", "original", "--count", "-1"], "--count -1"),
        (["--arms", "original", "--handwritten", "-1"], "--handwritten -1"),
        (["--arms", "original", "--pictures", "-1"], "--pictures -1"),
        (["--arms", "original", "--seed", "-1"], "--seed -1"),
        (["--arms", "original", "--steps", "0"], "--steps 0"),
        (["--arms", "original", "--prompts", "nowhere.jsonl"], "nowhere.jsonl does not exist"),
        (["--arms", "original", "--generator", "no_such_module:x"], "no_such_module"),
        (["--adapter", "nowhere"], "no rewriter in nowhere"),
        (["--adapter", "a=.", "--adapter", "a=."], "two adapters are called 'a'"),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_1(obedient, capsys, argv, said):
    assert main([*BASE, *argv]) == 1
    err = capsys.readouterr().err.strip()
    assert said in err
    assert err.splitlines()[-1].startswith("rewright: ")
    assert "Traceback" not in err


def test_a_spec_that_is_no_scene_is_refused_before_anything_is_drawn(obedient, capsys):
    Path("prompts.jsonl").write_text('{"prompt": "a pink fox", "spec": {"objects": [{"shape": "fox"}]}}\n')
    assert main([*PLAIN]) == 1
    assert "a pink fox" in capsys.readouterr().err
    assert not Path("calls.txt").exists()


class Parrot:
    """Stands for a rewriter: counts its calls."""

    def __init__(self, reason: str | None = None):
        self.reason, self.calls = reason, 0

    def rewrite(self, prompts):
        self.calls += 1
        fell = self.reason is not None
        return [
            RewriteResult(
                prompt=p if fell else p.upper(),
                original=p,
                changed=not fell,
                fallback_used=fell,
                reason=self.reason,
            )
            for p in prompts
        ]


def test_a_models_texts_are_asked_once_and_kept(tmp_path):
    parrot, prompts = Parrot(), [Prompt("1", "a fox"), Prompt("2", "a dog")]
    arm = RewriterArm("grpo", "key-1", lambda: parrot)
    assert arm_texts(arm, prompts, tmp_path) == [Text("A FOX", True), Text("A DOG", True)]
    assert arm_texts(arm, prompts, tmp_path) == [Text("A FOX", True), Text("A DOG", True)]
    assert parrot.calls == 1
    arm_texts(RewriterArm("grpo", "key-2", lambda: parrot), prompts, tmp_path)
    assert parrot.calls == 2, "other weights, other texts"


def test_a_model_that_does_not_answer_stops_the_evaluation():
    from rewriter.llm import LLMError

    with pytest.raises(LLMError, match="did not answer for 1 of 1"):
        RewriterArm("grpo", "key", lambda: Parrot("upstream_error")).texts([Prompt("1", "a fox")])


def test_a_refused_rewrite_counts_as_fallback_and_draws_the_prompt():
    text = RewriterArm("grpo", "key", lambda: Parrot("validator:color")).texts([Prompt("1", "a fox")])[0]
    assert (text.text, text.fallback, text.reason) == ("a fox", True, "validator:color")


def test_the_oracle_refuses_a_prompt_without_a_spec():
    with pytest.raises(ValueError, match="the oracle needs a spec"):
        plain_arm("oracle", "shapes").texts([Prompt("1", "a fox")])
