"""Maximal empty rectangles, and the places that are made of them."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout import free_space
from layout.answer_schema import answer_schema, piece_schema
from layout.catalogue import CATALOGUE
from layout.checks import check
from layout.places import places
from layout.schema import Door, Room, Scene, Window
from layout.serialise import object_json

from .conftest import L_SHAPE, thing

EMPTY = Room(room_type="bedroom", polygon=((0, 0), (300, 0), (300, 200), (0, 200)))


def test_around_one_block_there_are_four():
    found = free_space.maximal((0, 10, 0, 8), [(4, 6, 3, 5)], (1, 1))
    assert set(found) == {(0, 4, 0, 8), (6, 10, 0, 8), (0, 10, 0, 3), (0, 10, 5, 8)}
    assert found[0] == (0, 4, 0, 8)  # the largest first
    assert set(free_space.maximal((0, 10, 0, 8), [(4, 6, 3, 5)], (5, 3))) == {(0, 10, 0, 3), (0, 10, 5, 8)}
    assert free_space.maximal((0, 10, 0, 8), [(0, 10, 0, 8)], (1, 1)) == []
    assert free_space.maximal((0, 10, 0, 8), [], (11, 1)) == []


def test_lengths_that_are_no_whole_numbers_are_rounded_to_the_side_of_what_is_taken():
    assert free_space.maximal((0, 10, 0, 1), [(3.5, 10, 0, 1)], (1, 1)) == [(0, 3, 0, 1)]
    assert free_space.maximal((0, 10, 0, 1), [(3.95, 10, 0, 1)], (1, 1)) == [(0, 4, 0, 1)]


blocks = st.tuples(*(st.integers(0, 9),) * 4).map(
    lambda b: (min(b[:2]), max(b[:2]) + 1, min(b[2:]), max(b[2:]) + 1)
)


@given(taken=st.lists(blocks, max_size=5), least=st.tuples(st.integers(1, 4), st.integers(1, 4)))
@settings(max_examples=60, deadline=None)
def test_what_meets_nothing_lies_in_one_of_them(taken, least):
    found = free_space.maximal((0, 10, 0, 10), taken, least)
    for r in found:
        assert all(r[1] <= t[0] or t[1] <= r[0] or r[3] <= t[2] or t[3] <= r[2] for t in taken)
    for u0 in range(11 - least[0]):
        for v0 in range(11 - least[1]):
            u1, v1 = u0 + least[0], v0 + least[1]
            free = all(u1 <= t[0] or t[1] <= u0 or v1 <= t[2] or t[3] <= v0 for t in taken)
            assert free == any(r[0] <= u0 and u1 <= r[1] and r[2] <= v0 and v1 <= r[3] for r in found)


def spans(room, category, *objects, on="floor"):
    return [s for p in places(room, CATALOGUE[category], objects) if p.on == on for s in p.spans]


def inside(span, x0, x1, y0, y1):
    return all(low <= v <= high for v, (low, high) in zip((x0, x1, y0, y1), span.ends, strict=False))


def test_beside_a_piece_and_not_in_it():
    bed = thing("double_bed_1", "double_bed", (160, 200, 50), 0, (100, 100, 0))
    found = spans(EMPTY, "wardrobe", bed)
    assert found
    assert any(inside(s, 180, 280, 0, 60) for s in found)
    assert not any(inside(s, 179, 280, 0, 60) for s in found)
    assert spans(EMPTY, "double_bed", bed) == []  # there is no room for a second one


def test_doorways_stay_free_but_for_rugs():
    room = EMPTY.model_copy(update={"doors": (Door(wall=0, start=100, end=190),)})
    assert not any(inside(s, 90, 190, 40, 100) for s in spans(room, "desk"))
    assert any(inside(s, 190, 290, 40, 100) for s in spans(room, "desk"))
    assert any(inside(s, 60, 200, 0, 100) for s in spans(room, "rug"))


def test_rugs_stay_in_the_room():
    room = Room(room_type="bedroom", polygon=L_SHAPE)
    assert not any(inside(s, 250, 400, 150, 300) for s in spans(room, "rug"))
    assert any(inside(s, 150, 300, 150, 300) for s in spans(room, "rug"))


def test_what_is_high_stays_clear_of_windows_and_what_hangs_stays_clear_of_both():
    room = EMPTY.model_copy(update={"windows": (Window(wall=2, start=100, end=200, sill=90, head=210),)})
    assert not any(inside(s, 100, 200, 140, 200) for s in spans(room, "wardrobe"))
    assert any(inside(s, 100, 200, 140, 200) for s in spans(room, "desk"))
    pictures = spans(room, "painting", on="wall")
    north = [s for s in pictures if s.ends[3] == (200, 200)]
    before = [s for s in north if inside(s, 120, 180, 196, 200)]
    assert {(s.ends[4][0], s.ends[5][1]) for s in before} == {
        (0, 90),
        (210, 260),
    }  # under the sill, over the head
    assert any(inside(s, 0, 60, 196, 200) for s in north)


def test_what_hangs_lets_low_things_under_it():
    shelf = thing("wall_cabinet_1", "wall_cabinet", (100, 30, 60), 0, (150, 185, 140))
    low = [s for s in spans(EMPTY, "plant", shelf) if inside(s, 130, 170, 160, 200)]
    assert {s.ends[5][1] for s in low} == {140}  # a plant may be 160 cm high, but not there
    assert any(s.ends[5][1] == 160 and inside(s, 0, 40, 160, 200) for s in spans(EMPTY, "plant", shelf))


def test_a_seat_reaches_under_its_table_as_far_as_the_validator_lets_it():
    desk = thing("desk_1", "desk", (120, 60, 75), 0, (150, 170, 0))
    ends = [s.ends[3][1] for s in spans(EMPTY, "desk_chair", desk) if inside(s, 130, 170, 100, 140)]
    assert max(ends) == 156  # 40 % of 40 cm, the smallest chair, under a desk that begins at 140
    chair = thing("desk_chair_1", "desk_chair", (40, 40, 90), 180, (150, 136, 0))
    assert not check(Scene(room=EMPTY, objects=(desk, chair))).of("collision")
    turned = desk.moved(yaw=180)  # nobody sits on this side
    assert max(s.ends[3][1] for s in spans(EMPTY, "plant", turned) if inside(s, 130, 170, 90, 130)) == 140


def at(room, category, yaw, *objects):
    return [s for p in places(room, CATALOGUE[category], objects) if p.yaws == (yaw,) for s in p.spans]


def test_what_is_used_from_its_front_keeps_floor_before_it():
    assert any(inside(s, 0, 100, 140, 200) for s in at(EMPTY, "wardrobe", 0))  # looks south into the room
    assert not any(inside(s, 0, 100, 0, 60) for s in at(EMPTY, "wardrobe", 0))  # looks at the wall
    assert any(inside(s, 0, 100, 50, 110) for s in at(EMPTY, "wardrobe", 0))
    assert not any(inside(s, 0, 100, 49, 109) for s in at(EMPTY, "wardrobe", 0))
    wardrobe = thing("wardrobe_1", "wardrobe", (100, 60, 200), 0, (150, 170, 0))
    assert not any(inside(s, 130, 170, 60, 100) for s in spans(EMPTY, "plant", wardrobe))
    assert any(inside(s, 130, 170, 50, 90) for s in spans(EMPTY, "plant", wardrobe))
    assert any(inside(s, 130, 170, 100, 140) for s in spans(EMPTY, "desk_chair", wardrobe))  # is pushed aside
    assert any(inside(s, 100, 200, 60, 140) for s in spans(EMPTY, "rug", wardrobe))


def test_where_there_is_no_floor_to_keep_free_a_piece_still_has_its_places():
    narrow = Room(room_type="bedroom", polygon=((0, 0), (210, 0), (210, 80), (0, 80)))
    table = thing("dining_table_1", "dining_table", (120, 80, 75), 0, (150, 40, 0))
    assert any(inside(s, 0, 90, 0, 60) for s in spans(narrow, "wardrobe", table))


def test_tops_are_counted_from_their_corner():
    stand = thing("nightstand_1", "nightstand", (50, 40, 60), 0, (100, 180, 0))
    lamp = thing("table_lamp_1", "table_lamp", (20, 20, 40), 0, (85, 180, 60), on="nightstand_1")
    clocks = spans(EMPTY, "alarm_clock", stand, lamp, on="nightstand_1")
    assert any(inside(s, 20, 35, 0, 10) for s in clocks)
    assert not any(inside(s, 10, 25, 15, 25) for s in clocks)
    assert all(s.ends[4] == (0, 0) for s in clocks)


@pytest.mark.parametrize("category", ["wardrobe", "painting", "ceiling_light"])
def test_the_schema_says_the_same(category):
    bed = thing("double_bed_1", "double_bed", (160, 200, 50), 0, (100, 100, 0))
    name = f"{category}_1"
    loose = answer_schema(EMPTY, ids=["double_bed_1", name])["properties"]["objects"]["prefixItems"][1]
    check_ = jsonschema.Draft202012Validator(piece_schema(EMPTY, name, [bed], loose))
    good = {
        "wardrobe": thing(name, category, (100, 60, 200), 180, (230, 30, 0)),
        "painting": thing(name, category, (60, 4, 60), 0, (230, 198, 120), on="wall"),
        "ceiling_light": thing(name, category, (40, 40, 20), 0, (100, 100, 240), on="ceiling"),
    }[category]
    assert check_.is_valid(object_json(good, [bed], EMPTY.height))
    bad = good.moved(pos=(100, 30, 0) if category == "wardrobe" else (100, 100, 60))
    assert not check_.is_valid(object_json(bad, [bed], EMPTY.height))
