"""The layout model: rows, tokenizer, SFT through the command on a tiny model, and decoding that cannot leave the wire's form."""

import json
from pathlib import Path

import jsonschema
import pytest

from layout.generate import Job, answers, generate
from layout.parse import Parsed, parse
from layout.request import plain_room
from layout.schema import ROOM_TYPES, Scene
from layout.serialise import carriers_first
from layout.synthesis import split_of
from recipes.layout_rows import RowReader, prompted, row, slip, typed
from recipes.layout_tokenizer import build, numbers_of
from recipes.train import main

ROWS = [row(0, "train", i) for i in range(24)]


@pytest.fixture(scope="module")
def tokenizer():
    return build()


@pytest.fixture(scope="module")
def tiny(tokenizer):
    """Random weights: what it writes is noise, held to the grammar."""
    from recipes.arguments import LayoutModelArguments
    from recipes.layout_backends import TransformersBackend
    from recipes.layout_model import new_model

    sizes = LayoutModelArguments(base_model="new", width=64, head_width=32, layers=2, feed_forward=96)
    return TransformersBackend(new_model(tokenizer, sizes, 640, 0), tokenizer)


def test_a_row_is_a_function_of_its_number():
    assert row(0, "train", 3) == ROWS[3]
    assert row(1, "train", 3) != ROWS[3]


def test_rows_keep_to_their_split_and_wording():
    assert {split_of(r.scene.room) for r in ROWS} == {"train"}
    held_out = row(0, "test", 0, kinds={"whole": 0.5, "change": 0.5})
    assert split_of(held_out.scene.room) == "test"
    assert int(held_out.instruction.template.split(".")[1]) % 5 == 4
    said = [r.instruction.template for r in ROWS if r.instruction.template != "sized"]
    assert all(int(template.split(".")[1]) % 5 != 4 for template in said)


def test_the_answer_of_a_row_is_its_room():
    for r in ROWS:
        read = parse(r.completion, r.scene.room)
        assert isinstance(read, Parsed)
        assert (read.plan is not None) is r.plan


def test_text_comes_back_from_the_tokens(tokenizer):
    for r in ROWS:
        for text in (r.prompt, r.completion):
            assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    odd = 'naïve café, 12345 cm {"id":"my_own_thing"} 床'
    assert tokenizer.decode(tokenizer(odd)["input_ids"]) == odd


def test_an_answer_is_short_in_tokens(tokenizer):
    lengths = [len(tokenizer(r.completion)["input_ids"]) for r in ROWS]
    assert sum(lengths) / len(lengths) < 200
    assert max(lengths) < 300


def test_every_number_is_one_token(tokenizer):
    found = numbers_of(tokenizer)
    assert len({i for ids in found.values() for i in ids}) == 3 * 1201
    assert tokenizer("[120,60,75]")["input_ids"][1] == found[120][1]


def test_an_object_is_nine_tokens(tokenizer):
    text = ']},{"id":"desk_1","on":"floor","yaw":90,"span":[0,60,30,150,0,75'
    assert len(tokenizer(text)["input_ids"]) == 9


def test_near_numbers_begin_alike(tiny, tokenizer):
    import torch

    embeddings, ids = tiny.model.get_input_embeddings().weight.detach(), numbers_of(tokenizer)

    def likeness(a: int, b: int) -> float:
        return float(torch.cosine_similarity(embeddings[ids[a][0]], embeddings[ids[b][0]], dim=0))

    assert likeness(300, 302) > likeness(300, 320) > likeness(300, 700)


def test_the_loss_is_on_the_answer_and_nothing_is_cut(tokenizer):
    read = RowReader(tokenizer, seed=0, split="train", count=9, plan_share=0.85, max_length=640, batch=2)
    batch = read({"row": [0, 1]})
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        answer = [i for i in labels if i != -100]
        assert ids[-len(answer) :] == answer
        assert ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids[: -len(answer)]).startswith("room ")
    short = RowReader(tokenizer, seed=0, split="train", count=9, plan_share=0.85, max_length=60, batch=2)
    with pytest.raises(ValueError, match=r"more than 60; give a larger max_length"):
        short({"row": [0]})


def test_what_was_there_before_is_not_learned(tokenizer):
    read = RowReader(tokenizer, seed=0, split="train", count=9, plan_share=0.85, max_length=640, batch=2)
    changes = [r for r in (row(0, "train", i, kinds={"change": 1}) for i in range(12)) if r.kept]
    assert {r.plan for r in changes} == {True, False}
    for r in changes:
        ids, labels = read.encode(r)
        learned = tokenizer.decode([i for i in labels if i != -100])
        kept, new = r.scene.objects[: r.kept], r.scene.objects[r.kept :]
        # Of the first piece its name is one token with the words before it, which are learned.
        for o in kept[1:]:
            assert f'"id":"{o.id}"' not in learned
        for o in new:
            assert f'"id":"{o.id}"' in learned
        assert len(ids) == len(labels)


def test_requests_are_typed_as_people_type():
    import random

    text = "Design a bedroom with a wardrobe, two nightstands and a dressing table."
    typed_texts = [typed(text, random.Random(k), False) for k in range(300)]
    assert 0.1 < sum(t.islower() for t in typed_texts) / 300 < 0.3
    slips = sum(
        a.lower() != b.lower() for t in typed_texts for a, b in zip(t.split(), text.split(), strict=True)
    )
    assert 0.01 < slips / (300 * 7) < 0.06
    assert {typed(text, random.Random(k), True) for k in range(50)} == {text, text.lower()}
    for k in range(200):
        slipped = slip("wardrobe", random.Random(k))
        assert slipped[0] == "w"
        assert abs(len(slipped) - 8) <= 1


def test_a_group_has_every_row_once(tokenizer):
    read = RowReader(tokenizer, seed=0, split="train", count=20, plan_share=0.85, max_length=640, batch=2)
    wanted = sorted(tuple(ids) for ids, _ in map(read.encode, ROWS[:20]))
    assert sorted(map(tuple, read({"row": range(20)})["input_ids"])) == wanted


def test_noise_held_to_the_grammar_always_parses(tiny):
    jobs = [
        Job(
            Scene(room=plain_room(kind, 380, 420)), f"a {kind.replace('_', ' ')} with a plant and two mirrors"
        )
        for kind in ROOM_TYPES
    ]
    texts = answers(tiny, jobs, temperature=1.5, seed=1)
    for job, text in zip(jobs, texts, strict=True):
        read = parse(text, job.kept.room)
        assert isinstance(read, Parsed), text
        # Noise promises nothing, or little: the words do.
        assert (len(read.scene.of("plant")), len(read.scene.of("mirror"))) == (1, 2)
    assert answers(tiny, jobs, temperature=1.5, seed=1) == texts


def test_the_grammar_takes_what_training_writes(tiny, tokenizer):
    from xgrammar import GrammarMatcher

    from layout.generate import Constraint, _draft, _objects_asked
    from recipes.layout_backends import grammar_of

    planned = [r for r in ROWS if r.plan and not r.kept][:4]
    for r in planned:
        job = Job(Scene(room=r.scene.room), r.request)
        draft = _draft(job, True, True)
        plan = json.loads(r.completion)["plan"]
        objects = _objects_asked(job, draft, plan)
        assert isinstance(objects.constraint, Constraint)
        matcher = GrammarMatcher(tiny._compiler.compile_grammar(grammar_of(objects.constraint)))
        rest = r.completion.removeprefix(objects.begun)
        for token in [*tokenizer(rest)["input_ids"], tokenizer.eos_token_id]:
            assert matcher.accept_token(token), tokenizer.decode([token])
        assert matcher.is_terminated()
        # The tokens are those of training: cutting the answer behind its plan does not change them.
        whole = tokenizer(prompted(tokenizer, r.prompt) + r.completion)["input_ids"]
        begun = tokenizer(prompted(tokenizer, r.prompt) + objects.begun)["input_ids"]
        assert whole[: len(begun)] == begun


def test_kept_furniture_stays_through_decoding(tiny):
    from layout.schema import SceneObject

    room = plain_room("bedroom", 380, 420)
    bed = SceneObject(id="our_bed", category="double_bed", size=(160, 205, 50), yaw=90, pos=(102.5, 220, 0))
    found = generate(tiny, room, "add a desk", keep=[bed], seed=3)
    assert found.scene is not None
    assert found.scene.by_id["our_bed"] == bed


def sft(output: Path, *more: str) -> list[str]:
    return ["layout/sft/smoke", "--output_dir", str(output), "--save_steps", "1", "--eval_strategy", "no", "--validation_rooms", "0", *more]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("layout") / "whole"
    assert main(sft(output)) == 0
    return output


def weights(run: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(run / "layout_lm" / "model.safetensors")


def test_a_run_leaves_its_record_and_a_model_that_loads(trained: Path):
    record = json.loads((trained / "run.json").read_text())
    assert record["recipe"] == "layout_sft"
    assert record["status"] == "finished"
    assert record["licences"] == {"model": "Apache-2.0", "data": "Apache-2.0"}
    losses = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in losses if "loss" in r] == [1, 2, 3]
    from recipes.layout_backends import TransformersBackend

    loaded = TransformersBackend.load(trained / "layout_lm")
    found = generate(loaded, plain_room("bathroom", 220, 260), "a bathroom with a toilet", n=2)
    assert all(c.scene is not None for c in found.candidates)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(trained: Path, tmp_path: Path):
    output = tmp_path / "stopped"
    assert main(sft(output, "--max_seconds", "0.001")) == 0
    assert json.loads((output / "summary.json").read_text())["steps"] == 1
    assert main(sft(output)) == 0
    one, other = weights(trained), weights(output)
    assert all((one[name] == other[name]).all() for name in one)


def test_another_seed_of_the_rows_is_another_run(trained: Path, capsys: pytest.CaptureFixture[str]):
    assert main(sft(trained, "--rows_seed", "1")) == 2
    assert "rows_seed was 0, now 1" in capsys.readouterr().err


def test_what_cannot_be_trained_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(sft(tmp_path / "a", "--base_model", str(tmp_path))) == 2
    assert "base_model:" in capsys.readouterr().err
    assert main(sft(tmp_path / "b", "--packing", "true")) == 2
    assert "packing" in capsys.readouterr().err


@pytest.fixture
def command(trained: Path):
    import argparse

    from recipes import layout_generate

    parser = argparse.ArgumentParser()
    layout_generate.add_parser(parser.add_subparsers(dest="command"))

    def call(*words: str) -> int:
        return layout_generate.run(
            parser.parse_args(["generate", *words, "--model", str(trained / "layout_lm")])
        )

    return call


def test_the_command_writes_both_rooms_and_the_report(command, tmp_path: Path, capsys):
    assert command("a bathroom with a toilet and a plant", "--room", "2.2x2.6", "-n", "2", "--output", str(tmp_path / "out")) in (0, 1)  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["layout.json", "raw.json", "report.json"]
    scene = Scene.model_validate_json((tmp_path / "out" / "layout.json").read_text())
    assert scene.room.extent == (220, 260)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [a["parsed"] for a in report["answers"]] == [True, True]
    assert "of 2 answers had no hard fault" in capsys.readouterr().out
    again = str(tmp_path / "out" / "layout.json")
    assert command("add a laundry basket", "--room", again, "-n", "1", "--output", str(tmp_path / "more")) in (0, 1)  # fmt: skip
    more = Scene.model_validate_json((tmp_path / "more" / "layout.json").read_text())
    assert more.objects[: len(scene.objects)] == scene.objects
    assert more.objects[-1].category == "laundry_basket"


def test_bad_rooms_are_refused_with_the_place(command, tmp_path: Path):
    with pytest.raises(ValueError, match="does not say what room"):
        command("something nice")
    with pytest.raises(ValueError, match="give WIDTHxDEPTH"):
        command("a bedroom", "--room", "big")
    broken = tmp_path / "room.json"
    broken.write_text('{"room_type": "bedroom", "polygon": [[0, 0], [0, 300], [300, 300], [300, 0]]}')
    with pytest.raises(ValueError, match="clockwise"):
        command("a bedroom", "--room", str(broken))
    with pytest.raises(ValueError, match="no such file"):
        command("a bedroom", "--room", str(tmp_path / "none.json"))


def test_an_adapter_is_merged_into_what_is_saved(trained: Path, tmp_path: Path):
    output = tmp_path / "adapter"
    more = ["--base_model", str(trained / "layout_lm"), "--use_muon", "false", "--lora_r", "4", "--model_licence", "Apache-2.0"]  # fmt: skip
    assert main(sft(output, *more)) == 0
    before, after = weights(trained), weights(output)
    assert before.keys() == after.keys()
    changed = {name for name in before if not bool((before[name] == after[name]).all())}
    assert changed
    assert all(name.endswith("proj.weight") for name in changed)


@pytest.fixture(scope="module")
def test_rows():
    from recipes.layout_measure import examples

    return examples(1)


def test_the_measured_rooms_are_one_of_each_type_and_held_out(test_rows):
    assert sorted(r.scene.room.room_type for r in test_rows) == sorted(ROOM_TYPES)
    assert {split_of(r.scene.room) for r in test_rows} == {"test"}


def test_the_synthesisers_rooms_measure_as_right(test_rows):
    from recipes.layout_measure import _reference, measure

    found = measure([_reference(r) for r in test_rows], test_rows)
    assert (found["parse"], found["valid_scene"], found["oob_scene"], found["collision_scene"]) == (
        1,
        1,
        0,
        0,
    )
    assert found["present"] == found["count_met"] == 1
    assert found["relation_met"] in (1, None)


def test_noise_measures_as_parsed_and_wrong(tiny, test_rows):
    from recipes.layout_measure import measure, read

    candidates, _ = read(tiny, test_rows, plan=True, constrained=True, temperature=1.0, seed=0)
    raw = measure(candidates, test_rows)
    assert (raw["parse"], raw["n"]) == (1, len(test_rows))
    # Few of the things that noise writes stand where they could.
    assert raw["valid_scene"] < 1


def test_the_card_says_what_was_trained_and_measured(trained: Path):
    from recipes.layout_card import card

    figures = {
        "parse": {"mean": 1.0},
        "valid": {"mean": 0.25},
        "objects": {"mean": 8.5},
        "relation_met": None,
    }
    evaluation = {
        "settings": {"rooms": 5, "seeds": 3, "best_of": 8, "temperature": 0.8},
        "synthetic": {"arms": {"single sample": {"figures": figures}}},
    }
    text = card([trained, trained], evaluation, {"weights": 0.4, "tokens": 5051}, ["- a word more"])
    assert "| arm | parsed | valid rooms | objects a room |" in text
    assert "| single sample | 1.000 | 0.250 | 8.500 |" in text
    assert "n = 20 test rooms" in text
    assert text.count("(layout_sft): 3 steps of 3 planned of 4 fresh rooms") == 2
    assert "- a word more" in text


def test_arrays_said_twice_are_one_definition_and_the_grammar_is_the_same():
    from layout.answer_schema import answer_schema
    from layout.serialise import answer_text
    from recipes.layout_backends import with_shared_arrays

    scene = ROWS[0].scene
    schema = answer_schema(scene.room, ids=[o.id for o in carriers_first(scene).objects], plan=False)
    shared = with_shared_arrays(schema)
    assert len(json.dumps(shared)) < 0.8 * len(json.dumps(schema))
    value = json.loads(answer_text(scene, plan=False))
    outside = json.loads(json.dumps(value))
    last = outside["objects"][-1]
    (last.get("span") or last["pos"])[0] = 5000  # in an array that all objects share
    for asked in (schema, shared):
        check = jsonschema.Draft202012Validator(asked)
        assert check.is_valid(value)
        assert not check.is_valid(outside)
    assert with_shared_arrays({"type": "array", "items": {"type": "integer"}}) == {
        "type": "array",
        "items": {"type": "integer"},
    }


def test_a_batch_of_free_and_held_rows_counts_its_tokens_and_can_be_endless(tiny):
    from dataclasses import replace

    from layout.generate import Asked, Constraint

    held = Asked("a", "", Constraint(schema={"type": "integer", "minimum": 100, "maximum": 120}), 12)
    free = replace(held, constraint=None)
    texts = tiny.complete([held, free], temperature=1.0, seed=0)
    assert 100 <= int(texts[0]) <= 120
    assert tiny.lengths[0] <= 4  # the number in at most three tokens, and the end
    tiny.endless = True
    tiny.complete([free, free], temperature=1.0, seed=0)
    tiny.endless = False
    assert max(tiny.lengths) == 12
