import pytest

from layout import relations
from layout.geometry import Box
from layout.schema import RelationSpec


def box(x, y, w=60, d=40, h=80, yaw=0, z=0):
    return Box.of((x, y, z), (w, d, h), yaw)


def test_sides_are_the_reference_s_own():
    bed = box(200, 200, 160, 200, 50, yaw=90)  # faces east, so its left (local −x) is south
    south, east = box(200, 50, h=50), box(400, 200, h=50)
    assert [relations.side_share(south, bed, s) for s in ("left", "right", "front", "back")] == [1, 0, 0, 0]
    assert [relations.side_share(east, bed, s) for s in ("left", "right", "front", "back")] == [0, 0, 1, 0]


def test_the_height_window_of_a_side_is_a_quarter_wider_than_the_reference():
    low, tall = box(0, 0, h=40), box(100, 0, h=180)
    # Window: middle 20 ± 25 → 45 of the tall one's 180 cm.
    assert relations.side_share(tall, low, "right") == pytest.approx(45 / 180)


def test_a_long_target_is_faced_at_any_angle_that_sees_it():
    wall_of_shelves = Box.of((0, -300, 0), (900, 2, 80), 0)
    assert relations.facing_score(box(0, 0, 10, 10, yaw=40), wall_of_shelves) > 0.9
    assert relations.facing_score(box(0, 0, 10, 10, yaw=180), wall_of_shelves) == 0


def test_facing_a_small_target_off_the_line_is_seen_partly_and_scored_by_the_angle():
    watcher = box(0, 0, 60, 10)
    assert relations.facing_score(watcher, box(0, -100, 20, 20)) == 1
    assert relations.facing_score(watcher, box(200, -100, 20, 20)) == 0  # nothing of it ahead
    assert 0 < relations.facing_score(watcher, box(28, -60, 40, 20)) < 1
    assert relations.facing_score(watcher, box(0, -100, 20, 20, z=200)) == 0  # above the line of sight


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0, {"next_to"}),
        (45, {"next_to", "near"}),
        (75, {"next_to", "near"}),
        (100, {"near"}),
        (200, {"across_from"}),
        (350, {"across_from"}),
        (500, {"far_from"}),
    ],
)
def test_distance_bands_with_their_bells(gap, expected):
    a, b = box(0, 0), box(60 + gap, 0)
    assert {name for name in relations.BANDS if relations.PAIR[name](a, b) > 0.5} == expected


def test_on_top_needs_half_the_foot_above():
    table = box(0, 0, 100, 60, 75)
    assert relations.on_top_share(box(0, 0, 20, 20, 30, z=75), table) == 1
    assert relations.on_top_share(box(50, 0, 20, 20, 30, z=75), table) == 0.5
    assert relations.on_top_share(box(0, 0, 20, 20, 30, z=40), table) == 0


def test_chairs_around_a_table_surround_it():
    table = box(0, 0, 100, 100)
    four = [box(0, -80), box(80, 0), box(0, 80), box(-80, 0)]
    assert relations.surround_score(four, table) == pytest.approx(1)
    assert relations.surround_score([box(0, -80), box(1, -80), box(2, -80)], table) < 0.75


def test_between_two():
    assert relations._between(box(100, 0), box(0, 0), box(200, 0)) == 1
    assert relations._between(box(100, 60), box(0, 0), box(200, 0)) < 0.5
    assert relations._between(box(300, 0), box(0, 0), box(200, 0)) == 0


def test_parts_of_the_room(bedroom):
    by = bedroom.by_id
    assert relations.score(bedroom, "against", by["bed"], ["wall"]) == 1
    assert relations.score(bedroom, "against", by["rug"], ["wall"]) < 0.5
    assert relations.score(bedroom, "in", by["right_stand"], ["corner"]) == 1
    assert relations.at_corner(box(200, 175), bedroom.room) < 0.5
    assert relations.score(bedroom, "in_middle_of", by["rug"], ["room"]) > 0.5
    desk_there = bedroom.replaced(by["desk"].moved(pos=(270, 320, 0), yaw=0))
    assert relations.score(desk_there, "at", desk_there.by_id["desk"], ["window"]) == 1
    assert relations.score(bedroom, "at", by["desk"], ["window"]) == 0


def test_a_room_without_windows_is_near_none(bedroom):
    bare = bedroom.model_copy(update={"room": bedroom.room.model_copy(update={"windows": ()})})
    assert relations.room_distance(bare.by_id["bed"].box, bare.room, "window") is None
    assert relations.score(bare, "near", bare.by_id["bed"], ["window"]) == 0


def test_specs_count_over_choices(bedroom):
    def meets(relation, subject, *references, n=1, quantifier="ge"):
        spec = RelationSpec(
            relation=relation, subject=subject, references=references, n=n, quantifier=quantifier
        )
        return relations.satisfied(bedroom, spec)

    assert meets("beside", "nightstand", "double_bed", n=2, quantifier="eq")
    assert meets("left_of", "nightstand", "double_bed", n=1, quantifier="eq")
    assert meets("facing", "desk_chair", "desk")
    assert meets("on_top_of", "table_lamp", "nightstand")
    assert not meets(
        "between", "double_bed", "nightstand", "nightstand"
    )  # its middle is 82 cm beside their line
    assert not meets("on_top_of", "table_lamp", "desk")
    assert not meets("beside", "nightstand", "sofa")  # there is no sofa
    assert meets("beside", "nightstand", "sofa", n=0, quantifier="eq")


def test_an_unknown_relation_lists_the_known(bedroom):
    with pytest.raises(ValueError, match=r"unknown relation 'atop'.*on_top_of"):
        relations.score(bedroom, "atop", bedroom.objects[0], [bedroom.objects[1]])
    with pytest.raises(ValueError, match=r"unknown relation 'atop' to the wall.*against wall"):
        relations.score(bedroom, "atop", bedroom.objects[0], ["wall"])
