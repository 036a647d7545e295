"""`rewright layout pairs`: verified rows with the validator's word, the same plan on both sides, files that go on and appear whole."""

import json
from collections import defaultdict
from collections.abc import Sequence

import pytest

from layout.checks import check
from layout.generate import Asked, candidate
from layout.negatives import inject
from layout.parse import Parsed, parse
from layout.serialise import answer_text
from layout.synthesis import room_hash, split_of
from recipes import layout_pairs_file
from recipes.cli import main
from recipes.layout_pairs import Drawn, Injected, Noisy, Sampled, near_miss, near_miss_row
from recipes.layout_pairs_file import summary, summary_path, write_pairs

DRAWN = Drawn(seed=1)
HARD = ("collision", "unreachable", "floating")
ROWS = Injected(DRAWN)(range(60))


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(row, side):
    found = parse(row[side], DRAWN.row(row["index"]).scene.room)
    assert isinstance(found, Parsed)
    return found


def test_what_a_row_says_of_its_texts_is_what_the_validator_finds_in_them():
    assert len(ROWS) >= 58
    for row in ROWS:
        spec = DRAWN.row(row["index"]).instruction.spec
        good, bad = (check(read(row, side).scene, spec) for side in ("chosen", "rejected"))
        assert row["chosen_faults"] == dict(good.codes) == {}
        assert row["rejected_faults"] == dict(bad.codes)
        assert row["code"] in bad.codes
        assert row["rejected_hard"] == len(bad.hard)
        assert (row["chosen_objects"], row["rejected_objects"]) == (good.n_objects, bad.n_objects)


def test_the_rejected_answer_has_the_plan_of_the_chosen_one_where_the_objects_are_the_same():
    planned = [row for row in ROWS if row["plan"]]
    assert len(planned) > 30
    for row in planned:
        good, bad = read(row, "chosen"), read(row, "rejected")
        same = [o.id for o in good.scene.objects] == [o.id for o in bad.scene.objects]
        assert same is (row["code"] != "count")
        assert (good.plan == bad.plan) is same
        assert good.plan
    assert all(
        read(row, side).plan is None for row in ROWS if not row["plan"] for side in ("chosen", "rejected")
    )


def test_no_room_is_of_the_test_or_validation_split():
    for row in ROWS:
        room = DRAWN.row(row["index"]).scene.room
        assert split_of(room) == "train"
        assert row["room_hash"] == room_hash(room)


def test_chosen_answers_are_what_fine_tuning_has():
    for row in ROWS[:20]:
        drawn = DRAWN.row(row["index"])
        assert (row["prompt"], row["chosen"]) == (drawn.prompt, drawn.completion)


def test_noise_is_kept_though_nothing_may_be_wrong():
    rows = Noisy(DRAWN)(range(60))
    found = summary(rows)
    assert found["codes"] == {"noise": len(rows)}
    assert found["rejected_without_any_fault"] > 0.05
    assert any(not row["rejected_faults"] for row in rows)


class Erring:
    """Answers each prompt by its texts in turn: a good one, then ones with a defect."""

    follows = False

    def __init__(self, texts: dict[str, list[str]]) -> None:
        self.texts, self.said = texts, defaultdict(int)

    def complete(self, asked: Sequence[Asked], *, temperature: float, seed: int) -> list[str]:
        found = []
        for a in asked:
            texts = self.texts[a.prompt]
            found.append(texts[self.said[a.prompt] % len(texts)])
            self.said[a.prompt] += 1
        return found


@pytest.fixture
def erring():
    """A model that is right in some of its answers, for 24 prompts without a plan; some it never gets right."""
    drawn, texts = Drawn(seed=3, plan_share=0.0), {}
    for i in range(24):
        r = drawn.row(i)
        bad = [p for code in HARD if (p := inject(r.scene, r.instruction.spec, code, i))]
        wrong = [answer_text(p.rejected, plan=False) for p in bad]
        texts[r.prompt] = wrong + ([] if i % 3 == 0 else [r.completion])
    return Sampled(drawn, Erring(texts), n=4)


def test_a_models_near_misses_meet_its_own_best_answer_or_the_synthesisers(erring):
    rows = erring(range(24))
    assert {row["chosen_by"] for row in rows} == {"model", "synthesiser"}
    for row in rows:
        assert row["stage"] == "1"
        assert row["chosen_faults"] == {}
        assert row["rejected_hard"] >= 1
        assert set(row["code"].split("+")) <= {*HARD, "relation_unmet"}
        assert row["chosen_by"] == ("synthesiser" if row["index"] % 3 == 0 else "model")
        assert row["rejected"] != row["chosen"]
    assert erring.seen["answers"] == 96
    assert erring.seen["hard"] > 36


def test_only_near_misses_are_rejected_answers():
    row = DRAWN.row(0)
    spec = row.instruction.spec
    none = near_miss_row(0, row, [candidate("I would rather not", row.scene.room, spec)])
    assert none is None
    good = candidate(row.completion, row.scene.room, spec)
    assert not near_miss(good.report)
    heap = [o.moved(pos=(0, 0, o.pos[2])) for o in row.scene.objects]
    wreck = row.scene.model_copy(update={"objects": tuple(heap)})
    bad = candidate(answer_text(wreck), row.scene.room, spec)
    assert len(bad.report.hard) > 3
    assert near_miss_row(0, row, [bad, good]) is None


def test_furniture_is_not_what_is_unlearnt(tmp_path, erring):
    """Where the better answers have fewer objects, pairs are left out until they have as many."""
    fewer = [{**row, "chosen_objects": 5, "rejected_objects": 6} for row in ROWS[:20]]
    more = [{**row, "chosen_objects": 7, "rejected_objects": 6} for row in ROWS[20:30]]
    given = [*fewer[:10], *more, *fewer[10:]]
    made = write_pairs(tmp_path / "p.jsonl", {}, lambda numbers: [given[i] for i in numbers], 20, 5)
    assert made["chosen_objects"] >= made["rejected_objects"]
    assert made["dropped_for_object_count"] == 10


def test_a_stopped_file_goes_on_to_the_same_bytes(tmp_path):
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    settings = {"stage": "2"}
    made = write_pairs(whole, settings, Injected(DRAWN), 30, 8)

    class Stop(Exception):
        pass

    def until(limit):
        def source(numbers):
            if numbers[0] >= limit:
                raise Stop
            return Injected(DRAWN)(numbers)

        return source

    for limit in (8, 24):
        with pytest.raises(Stop):
            write_pairs(stopped, settings, until(limit), 30, 8)
        assert not stopped.exists()
    with (tmp_path / "stopped.jsonl.part").open("a") as torn:
        torn.write(json.dumps(ROWS[3]) + '\n{"index": 99')
    with pytest.raises(ValueError, match="begun with other settings"):
        write_pairs(stopped, {"stage": "naive"}, Injected(DRAWN), 30, 8)
    again = write_pairs(stopped, settings, Injected(DRAWN), 30, 8)
    assert stopped.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "stopped.jsonl.part").exists()
    assert {k: v for k, v in again.items() if "seconds" not in k} == {
        k: v for k, v in made.items() if "seconds" not in k
    }
    assert write_pairs(whole, settings, Injected(DRAWN), 30, 8) == made
    with pytest.raises(ValueError, match="holds 30 pairs of other settings"):
        write_pairs(whole, settings, Injected(DRAWN), 31, 8)


def test_a_source_that_gives_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(layout_pairs_file, "MAX_IDLE", 3)
    drawn = Drawn(seed=3, plan_share=0.0)
    right = Sampled(drawn, Erring({r.prompt: [r.completion] for r in map(drawn.row, range(12))}), n=2)
    with pytest.raises(
        ValueError, match=r"no pair in 12 prompts: of 24 answers 0 could not be read and 0 had a hard"
    ):
        write_pairs(tmp_path / "p.jsonl", {}, right, 5, 4)


def test_the_command_writes_rows_and_a_summary(tmp_path, capsys):
    output = tmp_path / "pairs.jsonl"
    words = [
        "layout",
        "pairs",
        "--stage",
        "2",
        "--count",
        "12",
        "--output",
        str(output),
        "--codes",
        "collision,off_wall",
    ]
    assert main(words) == 0
    assert "12 pairs; chosen by synthesiser: 12" in capsys.readouterr().out
    rows = rows_of(output)
    assert {row["code"] for row in rows} == {"collision", "off_wall"}
    assert json.loads(summary_path(output).read_text())["settings"]["codes"] == ["collision", "off_wall"]
    assert main(words) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert (
        main(["layout", "pairs", "--stage", "naive", "--count", "30", "--output", str(tmp_path / "n.jsonl")])
        == 0
    )
    assert "without any fault: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stage", "2", "--seed", "0"], "--seed 0 draws the rooms of the fine-tuning"),
        (["--stage", "2", "--count", "0"], "--count 0: give a number"),
        (["--stage", "2", "--codes", "crash"], "--codes crash: there are: out_of_bounds, "),
        (["--stage", "naive", "--codes", "collision"], "--codes is for stage 2, not for naive"),
        (["--stage", "2", "--model", "x"], "--model is for stage 1 and slips, not for 2"),
        (["--stage", "2", "--own"], "--own is for stage slips, not for 2"),
        (["--stage", "slips", "--plan-share", "0"], "--plan-share 0: a slip needs a plan"),
        (["--stage", "1", "--temperature", "0"], "answers must differ"),
        (["--stage", "2", "--plan-share", "2"], "--plan-share 2.0 must lie in [0, 1]"),
    ],
)
def test_what_cannot_be_made_is_said(tmp_path, capsys, words, message):
    assert main(["layout", "pairs", "--count", "4", "--output", str(tmp_path / "p.jsonl"), *words]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_of_somebody_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.jsonl").write_text("mine\n")
    assert (
        main(["layout", "pairs", "--stage", "2", "--count", "4", "--output", str(tmp_path / "mine.jsonl")])
        == 1
    )
    assert "was not made by this command" in capsys.readouterr().err
    assert (tmp_path / "mine.jsonl").read_text() == "mine\n"


@pytest.mark.parametrize("own", [[], ["--own"]], ids=["synthesiser", "own"])
def test_a_slip_is_one_piece_of_a_faultless_room_and_its_fault_is_new(tmp_path, own):
    """The embedded model: what is chosen is faultless, what is rejected differs in one piece and has the fault that the row says."""
    output = tmp_path / "slips.jsonl"
    words = [*own, "--stage", "slips", "-k", "3", "--count", "6", "--plan-share", "1", "--seed", "4"]
    assert main(["layout", "pairs", *words, "--output", str(output)]) == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 6
    drawn = Drawn(4, 1.0)
    for made in rows:
        r = drawn.row(made["index"])
        assert (made["prompt"], made["stage"], made["chosen_by"]) == (
            r.prompt,
            "slips",
            "model" if own else "synthesiser",
        )
        assert own or made["chosen"] == r.completion
        texts = made["chosen"], made["rejected"]
        good, bad = (parse(text, r.scene.room) for text in texts)
        assert isinstance(good, Parsed)
        assert isinstance(bad, Parsed)
        pieces = [json.loads(text)["objects"] for text in texts]
        assert sum(a != b for a, b in zip(*pieces, strict=True)) == 1
        assert good.plan == bad.plan
        assert check(good.scene, r.instruction.spec).ok
        new = set(made["code"].split("+"))
        assert new <= set(check(bad.scene, r.instruction.spec).codes)
        assert not new & set(check(good.scene, r.instruction.spec).codes)
