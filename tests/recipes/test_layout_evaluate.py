"""A layout evaluation whose outcome is known, and the whole command on a model of random weights."""

import csv
import json
import re
from collections.abc import Sequence
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from layout.adapters.annotations import COLUMNS
from layout.generate import Asked as Text
from layout.schema import Scene, SceneObject
from layout.serialise import answer_text, prompt_text
from recipes.cli import main
from recipes.layout_arms import Model
from recipes.layout_evaluate import Plan, evaluate, read_sets
from recipes.layout_figures import CAVEATS, SINGLE
from recipes.layout_sets import Asked, Store, synthetic

PROMPT = "Condition:\nRoom Type: {}\nRoom Size: max length 320px, max width 288px\n"
BED = {"height": 40.0, "length": 128.0, "width": 168.0, "left": 64.0, "top": 84.0, "depth": 20.0, "orientation": 0.0}  # fmt: skip
LAMP = {"height": 20.0, "length": 20.0, "width": 20.0, "left": 500.0, "top": 84.0, "depth": 10.0, "orientation": 0.0}  # fmt: skip
ROW = {
    "ID": "1",
    "Description": "A bedroom with a plant and a desk against the wall.",
    "ObjCount": "eq,1,plant; eq,1,desk; eq,1,swan",
    "ObjAttr": "eq,1,swan,white",
    "OORel": "",
    "OARel": "eq,1,against,desk,wall",
    "SceneScope": "single_room",
}


class Copyist:
    """Answers every request as told, `wrong` at the seeds it is asked for."""

    follows = True

    def __init__(self, right: dict[str, str], wrong: dict[str, str], bad: Sequence[int] = ()) -> None:
        self.right, self.wrong, self.bad, self.calls = right, wrong, set(bad), 0

    def complete(self, asked: Sequence[Text], *, temperature: float, seed: int) -> list[str]:
        if not asked[0].begun:
            self.calls += 1
        known = self.wrong if self.calls in self.bad else self.right
        texts = [known[a.prompt] for a in asked]
        return [self.rest(text, a.begun) for text, a in zip(texts, asked, strict=True)]

    @staticmethod
    def rest(text: str, begun: str) -> str:
        """What follows; a plan that was begun otherwise is over, and the objects are the same."""
        _, end, objects = text.partition('","objects":')
        return text.removeprefix(begun) if text.startswith(begun) else end + objects


def middle(asked: Asked) -> Scene:
    """One plant in the middle of a room."""
    x, y = (round(side / 2) for side in asked.room.extent)
    plant = SceneObject(id="plant_1", category="plant", size=(30, 30, 60), pos=(x, y, 0), yaw=0)
    return Scene(room=asked.room, objects=(plant,))


def pushed_out(scene: Scene) -> Scene:
    """The first object 30 cm over the west wall, or what stands there out with it."""
    first = scene.objects[0]
    reach = first.box.x - min(x for x, _ in first.box.corners)
    return scene.replaced(first.moved(pos=(round(reach) - 30, *first.pos[1:])))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """The held-out rooms of these tests, drawn once."""
    folder = tmp_path_factory.mktemp("rooms")
    synthetic(Store(folder), 1)
    return folder / "rooms.jsonl"


@pytest.fixture
def files(tmp_path, drawn) -> Path:
    """LayoutGPT's two files, one room each with a bed inside and a lamp far outside; a row of SceneEval's; the held-out rooms."""
    for name, kind, objects in (
        ("gpt4_bedroom.json", "bedroom", [["double_bed", BED]]),
        ("gpt4_livingroom.json", "living room", [["sofa", BED], ["floor_lamp", LAMP]]),
    ):
        rows = [{"query_id": name, "prompt": PROMPT.format(kind), "object_list": objects}]
        (tmp_path / name).write_text(json.dumps(rows))
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(ROW)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rooms.jsonl").write_text(drawn.read_text())
    return tmp_path


def plan_of(files: Path, main_model: Model, *stages: Model, **changes) -> Plan:
    values = {"rooms": 1, "seeds": 2, "best_of": 2, "temperature": 0.8, "layoutgpt": files, "sceneeval": files / "rows.csv", "output": files / "out"}  # fmt: skip
    return Plan(main_model, stages, **(values | changes))


@pytest.fixture
def known(files):
    """A function from the calls that go wrong to a model of known answers, and its name."""
    sets = read_sets(plan_of(files, Model("none", "none", lambda: Copyist({}, {}))))
    right, wrong = {}, {}
    for name, rows in sets.items():
        for asked in rows:
            scene = asked.reference if name in ("synthetic", "contract") else middle(asked)
            for plan in (True, False):
                prompt = prompt_text(asked.room, asked.request, plan=plan)
                right[prompt] = answer_text(scene, plan=plan)
                wrong[prompt] = answer_text(pushed_out(scene), plan=plan)
    return lambda name, bad=(): Model(name, f"fingerprint-{name}", lambda: Copyist(right, wrong, bad))


def mean(figures: dict, name: str) -> float:
    return figures[name]["mean"]


def test_the_figures_are_those_of_the_known_answers(files, known):
    """Of the two answers to each room the first is pushed out of it: half of the headline, none of the best of two."""
    found = evaluate(plan_of(files, known("half", bad=[1])))
    arms = found["synthetic"]["arms"]
    single, best = arms[SINGLE]["figures"], arms["best of 2"]["figures"]
    assert mean(single, "parse") == 1
    assert mean(single, "oob_scene") == mean(single, "oob_sampled") == 0.5
    assert mean(single, "valid") == 0.5
    assert mean(best, "oob_scene") == 0
    assert mean(best, "complete") == mean(best, "present") == 1
    assert mean(best, "seconds") == pytest.approx(2 * mean(single, "seconds"), rel=0.01)
    assert arms[SINGLE]["faults"]["out_of_bounds"] == 4
    assert set(arms[SINGLE]["by_type"]) == {"bedroom", "living_room", "kitchen", "bathroom"}
    assert mean(arms["synthesiser"]["figures"], "complete") == 1
    assert mean(arms["random placement"]["figures"], "valid") == 0
    assert mean(arms["random placement"]["figures"], "present") == 1
    against = found["synthetic"]["differences"][f"best of 2 − {SINGLE}"]
    assert mean(against, "oob_scene") == -1, "of the first answers alone, on which the best can be paired"
    assert mean(arms["free"]["figures"], "oob_scene") == 0
    assert mean(arms["area + sized objects"]["figures"], "complete") == 1
    assert arms["synthesiser"]["category_kl"] == 0


def test_both_makers_of_layoutgpts_rooms_go_through_one_evaluator(files, known):
    found = evaluate(plan_of(files, known("good")))["layoutgpt"]
    theirs, ours = (found["pooled"]["arms"][who]["figures"] for who in ("LayoutGPT (GPT-4)", "ours"))
    assert (mean(theirs, "oob_scene"), mean(theirs, "oob_scene_10cm"), mean(ours, "oob_scene")) == (
        0.5,
        0.5,
        0,
    )
    assert (mean(theirs, "objects"), mean(ours, "objects")) == (1.5, 1)
    assert mean(found["living_room"]["arms"]["LayoutGPT (GPT-4)"]["figures"], "oob_scene") == 1
    assert found["pooled"]["count_ratio"]["mean"] == pytest.approx(2 / 3)
    assert found["living_room"]["count_ratio"]["mean"] == 0.5
    assert "door_clear" not in theirs


def test_a_room_of_layoutgpts_is_asked_for_as_their_prompt_says(files, known):
    asked = read_sets(plan_of(files, known("good")))["layoutgpt"][1]
    assert asked.request == "Design a living room of 4.0 x 3.6 m."
    assert asked.room.extent == (400, 360)
    assert (len(asked.room.doors), len(asked.room.windows)) == (1, 1)


def test_rates_of_sceneevals_rows_are_over_what_can_be_seen_and_the_rest_is_counted(files, known, capsys):
    found = evaluate(plan_of(files, known("good")))["sceneeval"]
    assert (found["asked"]["count"], found["covered"]["count"]) == (3, 2)
    assert mean(found["figures"], "count_met") == 0.5, "the plant is there, the desk is not"
    assert mean(found["figures"], "part_met") == 0
    assert "of 2 that can be evaluated; 1 of 3 cannot; at least 33.3 % of all" in capsys.readouterr().out


def test_stages_are_paired_by_room_and_seed(files, known):
    worse, better = known("worse", bad=[1]), known("better")  # the first call is for the schema alone
    stages = evaluate(plan_of(files, better, worse, better))["stages"]
    assert mean(stages["held"]["differences"]["better − worse"], "oob_scene") == 0
    found = stages["schema alone"]
    assert mean(found["stages"]["worse"]["figures"], "oob_scene") == 0.5
    pair = found["differences"]["better − worse"]
    assert mean(pair, "oob_scene") == -0.5
    assert (pair["oob_scene"]["low"], pair["oob_scene"]["high"]) == (-0.5, -0.5), (
        "every room changed by the same"
    )
    assert mean(pair, "objects") == 0
    assert len(list((files / "out" / "answers").glob("synthetic.*-worse*"))) == 4


def test_what_is_answered_is_not_asked_again(files, known, capsys):
    evaluate(plan_of(files, known("good")))
    first = json.loads((files / "out" / "evaluation.json").read_text())

    def unwanted():
        raise AssertionError("the model was loaded again")

    again = Model("good", "fingerprint-good", unwanted)
    second = evaluate(plan_of(files, again))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    with pytest.raises(AssertionError, match="loaded again"):
        evaluate(plan_of(files, again, temperature=0.7))


def test_a_stopped_run_keeps_what_was_answered(files, known):
    class Stopped(Copyist):
        def complete(self, asked, *, temperature, seed):
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().complete(asked, temperature=temperature, seed=seed)

    good = known("good").backend
    stopped = Model("good", "fingerprint-good", lambda: Stopped(good.right, good.wrong))
    with pytest.raises(KeyboardInterrupt) as stop:
        evaluate(plan_of(files, stopped))
    assert "the same command goes on there" in stop.value.__notes__[0]
    assert not (files / "out" / "evaluation.json").exists()
    kept = sorted((files / "out" / "answers").iterdir())
    assert [path.name.split(".")[2:] for path in kept] == [["held", "0", "jsonl"]]
    written = kept[0].stat().st_mtime_ns
    evaluate(plan_of(files, known("good")))
    assert kept[0].stat().st_mtime_ns == written


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.fetched = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"


def test_the_page_stands_alone_and_says_with_every_table_what_it_is_not(files, known):
    evaluate(plan_of(files, known("good"), known("<b>bold</b>", bad=[1]), known("good")))
    text = (files / "out" / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.fetched == []
    assert not re.search(r"url\(|@import", text)
    assert page.tags.count("svg") == 4 * 3 + 2 * 2, "every sample room from every side"
    said = [unescape(text).count(sentence) for sentence in CAVEATS]
    assert said == [page.tags.count("table") + 1] * 2, "under the title and under every table"
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_without_files_of_others_there_are_the_synthetic_rooms(files, known):
    found = evaluate(plan_of(files, known("good"), layoutgpt=None, sceneeval=None))
    assert {"layoutgpt", "sceneeval"}.isdisjoint(found)
    assert Page((files / "out" / "report.html").read_text()).tags.count("svg") == 4 * 3


def test_the_page_is_made_again_from_the_files(files, known, capsys):
    evaluate(plan_of(files, known("good"), layoutgpt=None, sceneeval=None))
    page = files / "out" / "report.html"
    first = page.read_text()
    page.unlink()
    assert main(["report", str(files / "out")]) == 0
    assert page.read_text() == first
    assert main(["report", str(files / "out"), "--curves", str(files)]) == 1
    assert "takes neither --curves nor --also" in capsys.readouterr().err


def test_faults_of_a_raw_answer_are_drawn_and_said(files, known):
    evaluate(plan_of(files, known("half", bad=[1])))
    text = (files / "out" / "report.html").read_text()
    assert len(re.findall(r"<li>hard: \w+ sticks \d+ cm out of the room", text)) >= 4
    assert '<li class="good">no fault</li>' in text


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A saved model of random weights with the tokenizer of the layout models."""
    from recipes.arguments import LayoutModelArguments
    from recipes.layout_model import new_model
    from recipes.layout_tokenizer import build

    folder, tokenizer = tmp_path_factory.mktemp("model"), build()
    sizes = LayoutModelArguments(base_model="new", width=64, head_width=32, layers=1, feed_forward=64)
    new_model(tokenizer, sizes, 640, 0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def command(files: Path, *words: str) -> int:
    return main(["evaluate", "--suite", "layout", *words, "--output", str(files / "out")])


def test_the_command_runs_a_random_model_through_every_arm(files, tiny, capsys):
    words = ["--rooms", "1", "--seeds", "1", "--best-of", "2", "--layoutgpt", str(files), "--sceneeval", str(files / "rows.csv")]  # fmt: skip
    assert command(files, "--stage", f"sft={tiny}", *words) == 0
    found = json.loads((files / "out" / "evaluation.json").read_text())
    assert found["settings"]["stages"] == {"sft": found["settings"]["fingerprint"]}
    figures = found["synthetic"]["arms"][SINGLE]["figures"]
    free = found["synthetic"]["arms"]["free"]
    assert sum(free["unread"].values()) == round(4 * (1 - mean(free["figures"], "parse"))) > 0
    assert mean(figures, "parse") == 1, "constrained decoding cannot leave the wire's form"
    out = capsys.readouterr().out
    assert "scene out-of-bounds, single sample" in out
    assert all(sentence in out for sentence in CAVEATS)
    assert (files / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "nowhere/at/all"], "--model nowhere/at/all holds no layout model"),
        (["--model", "{empty}"], "holds no layout model (config.json and *.safetensors"),
        (["--stage", "{tiny}"], "give NAME=FOLDER"),
        (["--stage", "a={tiny}", "--stage", "a={tiny}"], "two stages are called 'a'"),
        (["--stage", "a={empty}"], "--stage {empty} holds no layout model"),
        (["--model", "{tiny}", "--rooms", "0"], "--rooms 0: give a number from 1 on"),
        (["--model", "{tiny}", "--seeds", "0"], "--seeds 0"),
        (["--model", "{tiny}", "--best-of", "0"], "--best-of 0"),
        (["--model", "{tiny}", "--temperature", "0"], "--temperature 0"),
        (["--model", "{tiny}", "--layoutgpt", "{empty}"], "gpt4_bedroom.json and gpt4_livingroom.json not there"),
        (["--model", "{tiny}", "--sceneeval", "{empty}/no.csv"], "there is no such file"),
        (["--model", "{tiny}", "--sceneeval", "{wrong}"], "the columns ID, ObjCount, ObjAttr, OORel, OARel, SceneScope are missing"),
        (["--model", "{tiny}", "--adapter", "x"], "--adapter is an option of the rewriter suite, not of --suite layout"),
        (["--model", "{tiny}", "--count", "5"], "--count is an option of the rewriter suite"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_said_before_any_work(tmp_path, tiny, words, said, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.csv").write_text("Description\na bedroom\n")
    known = {"tiny": tiny, "empty": tmp_path / "empty", "wrong": tmp_path / "wrong.csv"}
    assert command(tmp_path, *(word.format(**known) for word in words)) == 1
    assert said.format(**known) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_rewriters_suite_refuses_the_options_of_layouts(capsys):
    assert main(["evaluate", "--rooms", "5"]) == 1
    assert "--rooms is an option of the layout suite, not of --suite rewriter" in capsys.readouterr().err


def test_a_broken_file_of_layoutgpts_is_named_with_its_row(files, tiny, capsys):
    (files / "gpt4_bedroom.json").write_text(json.dumps([{"prompt": "no size", "object_list": []}]))
    assert command(files, "--model", str(tiny), "--layoutgpt", str(files)) == 1
    assert "gpt4_bedroom.json item 0: row ?: the prompt has no" in capsys.readouterr().err
