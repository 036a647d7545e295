"""Changes of a room: what is said of them is true, and what stays is what was there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout import synthesis
from layout.checks import check
from layout.instructions import sized_instruction
from layout.schema import PLACES, ROOM_TYPES, Room, Scene
from layout.serialise import ids_in_plan, mentioned
from layout.transform import from_south_west, quarter_turned
from layout.turns import turn


@given(st.sampled_from(ROOM_TYPES), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_a_change_ends_in_a_valid_room_of_which_its_words_are_true(kind, index):
    scene = synthesis.draw(kind, "turn", index).scene
    found = turn(scene, index, held_out=index % 2 == 0)
    assert found is not None
    assert check(found.scene, found.instruction.spec).violations == ()
    assert 0 < found.kept < len(found.scene.objects)

    def poses(objects):
        return sorted((o.category, o.size, o.yaw, o.pos) for o in objects)

    assert poses(found.scene.objects) == poses(scene.objects)
    # Nothing that was there stands on something new.
    before = {o.id for o in found.scene.objects[: found.kept]}
    assert all(o.on in PLACES or o.on in before for o in found.scene.objects[: found.kept])


def test_a_change_is_the_same_for_the_same_seed():
    scene = synthesis.draw("bedroom", "turn", 0).scene
    assert turn(scene, 5) == turn(scene, 5)
    assert len({turn(scene, k).instruction.text for k in range(20)}) > 8


def test_both_kinds_of_change_occur_and_templates_are_held_out():
    scene = synthesis.draw("living_room", "turn", 0).scene
    seen = {turn(scene, k).instruction.template for k in range(80)}
    assert {t.split(".")[0] for t in seen} == {"add", "move"}
    assert "4" not in {t.split(".")[1] for t in seen}
    assert {turn(scene, k, held_out=True).instruction.template for k in range(30)} == {"add.4", "move.4"}


def test_one_piece_is_too_few_to_change():
    scene = synthesis.draw("bedroom", "turn", 0).scene
    assert turn(Scene(room=scene.room, objects=scene.objects[:1]), 0) is None


def test_given_sizes_name_every_piece():
    scene = synthesis.draw("kitchen", "sized", 2).scene
    said = sized_instruction(scene, 0)
    assert said.text.startswith(f"Kitchen of {scene.room.area / 1e4:.1f} m2: ")
    for o in scene.objects:
        assert " x ".join(f"{v:.0f}" for v in o.size) + " cm" in said.text
    assert set(mentioned(said.text)) == {o.category for o in scene.objects}
    assert sum(c.n for c in said.spec.counts) == len(scene.objects)


@pytest.mark.parametrize("turns", range(4))
def test_walls_are_counted_from_the_south_west(turns):
    scene = quarter_turned(synthesis.draw("bathroom", "turns", 1).scene, turns)
    room = from_south_west(scene.room)
    assert sum(room.polygon[0]) == min(sum(p) for p in room.polygon)
    for old, new in zip((*scene.room.doors, *scene.room.windows), (*room.doors, *room.windows), strict=True):
        there, here = scene.room.walls[old.wall], room.walls[new.wall]
        assert (there.a, there.b, old.start, old.end) == (here.a, here.b, new.start, new.end)
    assert from_south_west(room) is room


def test_the_plan_of_a_change_numbers_on():
    assert ids_in_plan("desk at wall 1; desk at wall 2") == ["desk_1", "desk_2"]


def test_a_room_that_begins_elsewhere_keeps_its_faults():
    ring = ((400, 350), (0, 350), (0, 0), (400, 0))
    room = Room(room_type="bedroom", polygon=ring, doors=({"wall": 2, "start": 20, "end": 110},))
    assert from_south_west(room).doors[0].wall == 0
