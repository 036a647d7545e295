"""Edits carried out: what is asked for is done, everything else stays to the digit, and what is not done is said."""

import random

import pytest

from layout import synthesis
from layout.asking import Step
from layout.catalogue import CATALOGUE
from layout.checks import check
from layout.edit import edit
from layout.editing.places import met
from layout.editing.words import read
from layout.schema import ROOM_TYPES, Scene
from layout.serialise import answer_text
from tests.layout.test_generate import Reciter

REQUESTS = (
    "add a plant in a corner",
    "remove {id}",
    "move {id} to the north wall",
    "move {id} near the door and add a painting",
    "turn {id} around",
    "make {id} bigger",
    "swap {id} and {other}",
    "replace {id} with a plant",
    "add two plants; remove {other}",
)


@pytest.mark.parametrize("kind", ROOM_TYPES)
@pytest.mark.parametrize("index", range(2))
def test_what_an_edit_is_not_about_stays_to_the_digit(kind, index):
    """Whether or not the edit can be done: also with poses between whole centimetres, and ids of one's own."""
    drawn = synthesis.draw(kind, "locality", index).scene
    names = {o.id: f"mine_{k}" for k, o in enumerate(drawn.objects)}
    shifted = [o.moved(id=names[o.id], on=names.get(o.on, o.on), pos=(o.pos[0] + 0.125, o.pos[1] + 0.25, o.pos[2])) for o in drawn.objects]  # fmt: skip
    scene = Scene(room=drawn.room, objects=tuple(shifted))
    rng = random.Random(f"{kind}/{index}")
    for request in rng.sample(REQUESTS, 4):
        floor = [o.id for o in scene.objects if o.on == "floor"]
        name, other = rng.sample(floor, 2)
        entry = CATALOGUE[scene.by_id[name].category]
        if "bigger" in request and scene.by_id[name].size[:2] == (entry.width[1], entry.depth[1]):
            continue
        done = edit(None, scene, request.format(id=name, other=other), n=1)
        touched = done.edits.touched
        riders = {o.id for o in scene.objects if _bottom(scene, o.id) in touched}
        rest = [o for o in scene.objects if o.id not in touched | riders]
        assert [done.scene.by_id[o.id] for o in rest] == rest
        assert done.locality == 1.0
        assert not done.ok or done.new_faults == ()


def _bottom(scene: Scene, name: str) -> str:
    """The thing on the floor, wall or ceiling that carries it in the end."""
    while scene.by_id[name].on in scene.by_id:
        name = scene.by_id[name].on
    return name


DONE = (
    "move the desk to the middle of the room",
    "move the wardrobe to the east wall",
    "add a plant in the north east corner",
    "add an armchair facing the bed",
    "put a lamp on the desk",
    "put a laptop on the desk and a plant near the door",
    "turn the wardrobe to the north",
    "make the wardrobe 120 cm wide",
    "replace the wardrobe with a bookshelf",
    "remove the rug and both nightstands",
    "shift the rug 20 cm to the right",
    "move the lamp to the right_stand",
    "add a painting above the bed",
    "add a ceiling light in the middle of the room",
    "swap the wardrobe and the desk",
    "move the chair away from the desk",
    "remove the desk and move the chair to the window",
)


@pytest.mark.parametrize("request_", DONE)
def test_what_can_be_done_is_done_without_a_new_hard_fault(bedroom, request_):
    done = edit(None, bedroom, request_)
    assert done.ok, done.unmet
    assert {v.message for v in check(done.scene).hard} <= {v.message for v in check(bedroom).hard}
    for op in read(request_, bedroom).operations:
        for name in op.ids:
            assert (name in done.scene.by_id) == (op.kind != "remove")
            for place in op.places:
                assert met(done.scene, done.scene.by_id[name], place, bedroom)


def test_what_stands_on_a_thing_goes_with_it(bedroom):
    done = edit(None, bedroom, "remove left_stand")
    assert "lamp" not in done.scene.by_id
    assert "lamp is removed with left_stand, on which it stands" in done.notes
    moved = edit(None, bedroom, "move left_stand to the south wall")
    old, new = bedroom.by_id["left_stand"].box, moved.scene.by_id["left_stand"].box
    lamp = moved.scene.by_id["lamp"]
    assert new.local(lamp.box.centre) == pytest.approx(old.local(bedroom.by_id["lamp"].box.centre), abs=0.01)
    assert lamp.on == "left_stand"
    taller = edit(None, bedroom, "make left_stand 65 cm high")
    assert taller.scene.by_id["lamp"].pos[2] == 65


def test_what_is_moved_off_a_removed_thing_stays(bedroom):
    done = edit(None, bedroom, "remove left_stand and move the lamp to the desk")
    assert done.scene.by_id["lamp"].on == "desk"
    with pytest.raises(
        ValueError, match="lamp stands on left_stand, which is removed; say where it is to go"
    ):
        edit(None, bedroom, "remove left_stand, keep the lamp")


def test_moved_things_keep_id_and_size_and_the_order_stays(bedroom):
    done = edit(None, bedroom, "move the wardrobe to the north wall, add a plant")
    assert [o.id for o in done.scene.objects] == [*(o.id for o in bedroom.objects), "plant_1"]
    assert done.scene.by_id["wardrobe"].size == bedroom.by_id["wardrobe"].size


def test_what_is_there_already_is_left_and_that_is_said(bedroom):
    done = edit(None, bedroom, "move the wardrobe to the east wall")
    assert done.changes == ()
    assert done.notes == ("wardrobe is there already: to the east wall",)


def test_what_cannot_be_done_is_said_with_the_reason(bedroom):
    done = edit(None, bedroom, "shift the desk 100 cm to the right")
    assert not done.ok
    assert done.scene == bedroom
    assert done.unmet == ("desk is not where it was to be: 100 cm to the right (desk sticks 100 cm out of the room (7200 cm² of 7200))",)  # fmt: skip


def test_the_same_seed_gives_the_same_room(bedroom):
    one, two = (edit(None, bedroom, "add an armchair and a plant", seed=3) for _ in range(2))
    assert one.scene == two.scene


def model_for(bedroom, *new):
    """A model that answers with the bedroom's things, named as the wire names them, and new ones behind."""
    from layout.keeping import on_wire

    wire, _ = on_wire(bedroom)
    return Reciter([answer_text(Scene(room=wire.room, objects=(*wire.objects, *new)))])


def test_a_good_answer_of_the_model_is_taken(bedroom):
    plant = bedroom.by_id["rug"].moved(id="plant_1", category="plant", size=(40, 40, 120), pos=(170, 30, 0), yaw=0)  # fmt: skip
    steps: list[Step] = []
    done = edit(model_for(bedroom, plant), bedroom, "add a plant", n=2, progress=steps.append)
    assert (done.source, done.answers, done.of) == ("model", 2, 2)
    assert done.scene.by_id["plant_1"].pos == (170, 30, 0)
    assert done.locality == 1.0
    assert Step("rooms", 2, 2) in steps


def test_where_the_model_does_not_meet_the_words_the_search_does(bedroom):
    blocking = bedroom.by_id["rug"].moved(id="plant_1", category="plant", size=(40, 40, 120), pos=(60, 40, 0), yaw=0)  # fmt: skip
    done = edit(model_for(bedroom, blocking), bedroom, "add a plant in the north east corner", n=1)
    assert (done.source, done.answers) == ("search", 1)
    assert done.ok


def test_what_the_model_leaves_out_is_placed_by_search(bedroom):
    plant = bedroom.by_id["rug"].moved(id="plant_1", category="plant", size=(40, 40, 120), pos=(170, 30, 0), yaw=0)  # fmt: skip
    done = edit(model_for(bedroom, plant), bedroom, "add a plant and an armchair", n=1)
    assert done.ok
    assert {"plant_1", "armchair_1"} <= set(done.scene.by_id)


def test_the_model_is_asked_in_the_words_it_was_taught(bedroom):
    model = model_for(bedroom)
    edit(model, bedroom, "move the desk to the window and add two plants next to it", n=1)
    request = next(line for line in model.asked[0].prompt.splitlines() if line.startswith("request "))
    assert request == "request Add a desk and two plants: the desk at the window; the plant next to the desk."


def test_no_answers_at_all_are_refused(bedroom):
    with pytest.raises(ValueError, match="n=0"):
        edit(None, bedroom, "add a plant", n=0)
