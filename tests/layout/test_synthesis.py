"""Every room of the synthesiser passes its own validator, and everything said about it is true."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layout
from layout import instructions, synthesis
from layout.catalogue import CATALOGUE, named
from layout.checks import check
from layout.metrics import monte_carlo
from layout.schema import ROOM_TYPES
from layout.synthesis.draw import LIMIT
from layout.synthesis.rooms import SHAPES
from layout.transform import mirrored, quarter_turned

SAMPLE = [d.scene for kind in ROOM_TYPES for d in (synthesis.draw(kind, "sample", i) for i in range(8))]


@given(st.sampled_from(ROOM_TYPES), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_every_room_passes_its_validator_and_every_spec_is_true(kind, index):
    scene = synthesis.draw(kind, "property", index).scene
    for level in instructions.LEVELS:
        instruction = instructions.instruct(scene, index, level, held_out=index % 2 == 0)
        assert check(scene, instruction.spec).violations == ()
        assert instruction.level == level


def test_sampling_finds_no_fault_either():
    estimate = monte_carlo.evaluate(SAMPLE)
    assert (estimate.oob_scene, estimate.collision_scene) == (0, 0)


@pytest.mark.parametrize("kind", ROOM_TYPES)
def test_the_main_pieces_are_there(kind):
    needed = {
        "bedroom": [{"double_bed", "single_bed"}],
        "living_room": [{"sofa"}, {"tv_stand"}, {"coffee_table"}],
        "kitchen": [{"fridge"}, {"stove"}, {"kitchen_sink"}],
        "bathroom": [{"toilet"}, {"vanity"}, {"bathtub", "shower"}],
    }[kind]
    for scene in (s for s in SAMPLE if s.room.room_type == kind):
        there = {o.category for o in scene.objects}
        assert all(options & there for options in needed)
        assert len(scene.objects) <= LIMIT[kind]


def test_rooms_are_whole_centimetres_and_degrees():
    for scene in SAMPLE:
        for o in scene.objects:
            assert all(v == int(v) for v in (*o.pos, *o.size, o.yaw))


def test_rooms_differ():
    assert len({s.model_dump_json() for s in SAMPLE}) == len(SAMPLE)
    assert {o.on for s in SAMPLE for o in s.objects} > {"floor", "wall", "ceiling"}
    corners = Counter(len(s.room.polygon) for s in SAMPLE)
    assert set(corners) == {4, 5, 6, 8}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_outline_can_be_asked_for(shape):
    import random

    room = synthesis.draw_room(random.Random(shape), "bedroom", shape)
    assert len(room.polygon) == {"rectangle": 4, "l": 6, "notched": 8, "oblique": 5}[shape]
    assert len(room.doors) == 1


def digest() -> str:
    text = "".join(
        d.scene.model_dump_json()
        + instructions.instruct(d.scene, d.index).model_dump_json()
        + instructions.plan_text(d.scene)
        for d in synthesis.rooms("repeat", 4)
    )
    return hashlib.sha256(text.encode()).hexdigest()


def test_another_process_draws_the_same_rooms():
    code = (
        "from layout import instructions, synthesis; import hashlib\n"
        "text = ''.join(d.scene.model_dump_json() + instructions.instruct(d.scene, d.index).model_dump_json()"
        " + instructions.plan_text(d.scene) for d in synthesis.rooms('repeat', 4))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(layout.__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert out.stdout.strip() == digest()


def test_a_part_of_a_seed_is_the_same_as_in_the_whole():
    whole = list(synthesis.rooms("parts", 5))
    assert list(synthesis.rooms("parts", 2, first=3)) == whole[3:]


@pytest.mark.parametrize("index", range(0, len(SAMPLE), 6))
def test_turned_and_mirrored_rooms_stay_right(index):
    scene = SAMPLE[index]
    for other in (
        quarter_turned(scene, 1),
        quarter_turned(scene, 3),
        mirrored(scene),
        mirrored(quarter_turned(scene, 2)),
    ):
        assert check(other).violations == ()
    assert quarter_turned(quarter_turned(scene, 1), 3).objects == scene.objects
    assert mirrored(mirrored(scene)).objects == scene.objects


def test_splits_go_by_the_empty_room():
    for scene in SAMPLE:
        bare = scene.room
        assert synthesis.split_of(bare) == synthesis.split_of(bare.model_copy())
    shares = Counter(synthesis.split_of(s.room) for s in SAMPLE)
    assert shares["train"] > 0.7 * len(SAMPLE)
    moved = SAMPLE[0].room.model_copy(update={"height": 300})
    assert synthesis.room_hash(moved) == synthesis.room_hash(SAMPLE[0].room)


def test_held_out_templates_are_apart():
    trained = {instructions.instruct(SAMPLE[i % 8], i).template for i in range(60)}
    tested = {instructions.instruct(SAMPLE[i % 8], i, held_out=True).template for i in range(60)}
    assert not trained & tested
    assert {t[0] for t in trained} == {t[0] for t in tested} == {"0", "1", "2", "3"}


def test_a_text_says_what_its_spec_asks():
    for index, scene in enumerate(SAMPLE):
        instruction = instructions.instruct(scene, index, 1)
        text = instruction.text.lower()
        for wanted in instruction.spec.counts:
            nouns = CATALOGUE[wanted.category].synonyms
            assert any(n.lower() in text or instructions.plural(n).lower() in text for n in nouns)


def test_people_s_nouns_are_understood():
    for name, entry in CATALOGUE.items():
        for noun in entry.synonyms:
            assert named(noun) == name
    assert named("Couches") == "sofa"
    assert named("bookshelves") == "bookshelf"
    assert named("spaceship") is None


def test_a_level_that_does_not_exist():
    with pytest.raises(ValueError, match="level 4 does not exist"):
        instructions.instruct(SAMPLE[0], 0, 4)


def test_the_plan_names_every_object_once():
    for scene in SAMPLE:
        counted: Counter[str] = Counter()
        for group in instructions.plan_text(scene).split("; "):
            words = group.split()
            n, name = (int(words[0]), words[1]) if words[0].isdigit() else (1, words[0])
            counted[name] += n
        assert counted == Counter(o.category for o in scene.objects)
