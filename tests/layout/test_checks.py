"""A right room has no fault; a room made wrong in one way has that fault, with the amount worked out by hand."""

import pytest

from layout.checks import check
from layout.report import SEVERITY
from layout.schema import CountSpec, Door, RelationSpec, Room, Scene, Spec

from .conftest import L_SHAPE, thing


def codes(scene, spec=None):
    return set(check(scene, spec).codes)


def wrong(bedroom, name, **changes):
    return check(bedroom.replaced(bedroom.by_id[name].moved(**changes)))


def test_the_right_room_has_no_fault(bedroom):
    report = check(bedroom)
    assert report.violations == ()
    assert report.ok
    assert report.n_objects == 8
    assert report.n_pairs == 28
    assert report.connected_share == pytest.approx(1, abs=0.1)


def test_out_of_bounds_measures_the_area_outside(bedroom):
    report = wrong(bedroom, "wardrobe", pos=(380, 100, 0))  # 60 deep, centre 380: 10 cm past x = 400
    (fault,) = report.of("out_of_bounds")
    assert (fault.ids, fault.amount, fault.unit, fault.severity) == (("wardrobe",), 1500, "cm2", "hard")
    assert "10 cm out of the room" in fault.message


def test_the_cut_out_of_an_l_is_outside():
    room = Room(room_type="bedroom", polygon=L_SHAPE)
    inside = Scene(room=room, objects=(thing("d", "dresser", (100, 40, 80), 0, (250, 380, 0)),))
    assert check(inside).of("out_of_bounds") == ()
    over = Scene(room=room, objects=(thing("d", "dresser", (100, 40, 80), 0, (300, 380, 0)),))
    assert check(over).of("out_of_bounds")[0].amount == 50 * 40


def test_an_oblique_wall_counts_as_it_lies():
    room = Room(room_type="bedroom", polygon=((0, 0), (400, 0), (400, 200), (200, 400), (0, 400)))
    box = thing("w", "wardrobe", (100, 60, 210), 0, (330, 250, 0))
    # Corners (380, 280) and (280, 280): the wall x + y = 600 cuts a right triangle of leg 60 off.
    assert check(Scene(room=room, objects=(box,))).of("out_of_bounds")[0].amount == pytest.approx(1800)
    # At the oblique wall itself, back to it: parallel and inside.
    there = thing("w", "wardrobe", (100, 60, 210), 315, (278, 278, 0))
    assert codes(Scene(room=room, objects=(there,))) == set()


def test_too_high(bedroom):
    (fault,) = wrong(bedroom, "wardrobe", size=(150, 60, 280)).of("too_high")
    assert fault.amount == 20


def test_a_collision_is_the_common_footprint(bedroom):
    (fault,) = wrong(bedroom, "wardrobe", pos=(370, 160, 0)).of(
        "collision"
    )  # reaches y 235, the desk begins at 210
    assert (fault.ids, fault.amount) == (("desk", "wardrobe"), 25 * 60)


def test_one_above_the_other_is_no_collision(bedroom):
    lamp = thing("light", "ceiling_light", (40, 40, 20), 0, (102, 220, 240), on="ceiling")
    shelf = thing("art", "painting", (80, 3, 60), 90, (1.5, 220, 120), on="wall")
    assert codes(Scene(room=bedroom.room, objects=(*bedroom.objects, lamp, shelf))) == set()


def test_a_chair_may_be_tucked_up_to_its_share(bedroom):
    assert (
        wrong(bedroom, "chair", pos=(333, 270, 0)).of("collision") == ()
    )  # 18 of 50 cm under the desk: 36 %
    assert wrong(bedroom, "chair", pos=(340, 270, 0)).of("collision")[0].amount == 25 * 50


def test_the_door_needs_the_square_of_its_leaf(bedroom):
    (fault,) = wrong(bedroom, "rug", pos=(60, 60, 0), size=(60, 60, 10)).of("door_blocked")
    assert fault.ids == ("rug", "door_0")
    assert fault.amount == 60 * 60
    assert "door_blocked" not in wrong(bedroom, "rug", pos=(100, 100, 0)).codes  # a rug is walked over


def test_a_door_that_opens_outwards_needs_a_step():
    def report(swing, y):
        room = Room(
            room_type="bedroom",
            polygon=((0, 0), (400, 0), (400, 350), (0, 350)),
            doors=(Door(wall=0, start=20, end=110, swing=swing),),
        )
        return check(Scene(room=room, objects=(thing("plant", "plant", (40, 40, 90), 0, (60, y, 0)),)))

    assert report("in", 75).of("door_blocked")[0].amount == 40 * 35
    assert report("out", 85).of("door_blocked") == ()


def test_a_window_is_hidden_by_what_is_higher_than_its_sill(bedroom):
    report = wrong(
        bedroom, "wardrobe", pos=(150, 320, 0), yaw=0
    )  # x 75 to 225, window 60 to 200 from the right: x 200 to 340
    (fault,) = report.of("window_blocked")
    assert fault.amount == 25 * 120  # x 200 to 225, sill 90 to head 210
    assert wrong(bedroom, "desk", pos=(270, 320, 0), yaw=0).of("window_blocked") == ()  # 75 cm high


def test_what_floats_and_what_sinks(bedroom):
    assert wrong(bedroom, "bed", pos=(102.5, 220, 20)).of("floating")[0].amount == 20
    assert wrong(bedroom, "lamp", pos=(20, 120, 80)).of("floating")[0].amount == 25
    assert "below the top" in wrong(bedroom, "lamp", pos=(20, 120, 50)).of("floating")[0].message
    (fault,) = wrong(bedroom, "lamp", pos=(45, 120, 55)).of("overhang")  # 15 of 20 cm over the edge
    assert fault.amount == 15 * 20


def test_wall_and_ceiling_things_hang_there(bedroom):
    def hung(pos, yaw=90, on="wall", category="painting", size=(80, 3, 60)):
        return check(
            Scene(room=bedroom.room, objects=(*bedroom.objects, thing("x", category, size, yaw, pos, on)))
        )

    assert hung((1.5, 220, 120)).ok
    assert hung((11.5, 220, 120)).of("floating")[0].amount == 10
    assert hung((1.5, 220, 120), yaw=0).of("floating")[0].amount == 128.5  # the wall behind its back
    assert (
        hung((200, 100, 230), on="ceiling", category="ceiling_light", size=(40, 40, 20))
        .of("floating")[0]
        .amount
        == 10
    )


def test_a_walled_in_wardrobe_cannot_be_reached(bedroom):
    barrier = thing("barrier", "dresser", (160, 40, 100), 0, (320, 190, 0))
    side = thing("side", "dresser", (110, 40, 100), 90, (250, 118, 0))
    low = thing("low", "dresser", (140, 40, 100), 180, (330, 45, 0))
    scene = Scene(
        room=bedroom.room, objects=(*bedroom.objects[:1], bedroom.by_id["wardrobe"], barrier, side, low)
    )
    assert "wardrobe" in check(scene).ids("unreachable")
    assert "wardrobe" not in check(bedroom).ids("unreachable")


def test_the_front_has_to_be_clear(bedroom):
    plant = thing("plant", "plant", (50, 50, 100), 0, (315, 60, 0))
    tub = thing("box", "dresser", (100, 45, 80), 0, (317, 110, 0))
    assert (
        codes(Scene(room=bedroom.room, objects=(*bedroom.objects, plant))) == set()
    )  # 50 of 150 cm: under a third
    scene = Scene(room=bedroom.room, objects=(*bedroom.objects, tub))
    (fault,) = (v for v in check(scene).of("no_access") if v.ids == ("wardrobe",))
    assert fault.amount == pytest.approx(
        60 * 45
    )  # the zone is x 280 to 340, the box covers y 87.5 to 132.5 of it


def test_off_the_wall_and_facing_away(bedroom):
    assert wrong(bedroom, "wardrobe", pos=(340, 100, 0)).of("off_wall")[0].amount == 30
    assert wrong(bedroom, "wardrobe", yaw=90, pos=(370, 100, 0)).of("off_wall")[0].ids == ("wardrobe",)
    (fault,) = wrong(bedroom, "chair", yaw=270).of("wrong_facing")
    assert fault.ids == ("chair", "desk")
    assert fault.unit == "deg"


def test_dependants_stay_with_their_anchor(bedroom):
    assert wrong(bedroom, "right_stand", pos=(240, 20, 0), yaw=180).of("detached")[0].ids == (
        "right_stand",
        "bed",
    )
    (fault,) = wrong(bedroom, "chair", pos=(270, 270, 0)).of("detached")
    assert fault.amount == 340 - 295 - 35  # the gap of 45 cm is 10 above what the rule allows


def test_a_rule_without_its_target_says_nothing(bedroom):
    alone = Scene(room=bedroom.room, objects=(bedroom.by_id["left_stand"], bedroom.by_id["chair"]))
    assert codes(alone) == set()


def test_the_catalogue_is_checked(bedroom):
    assert wrong(bedroom, "desk", size=(300, 60, 75), pos=(370, 250, 0)).of("size_range")[0].amount == 120
    assert wrong(bedroom, "lamp", on="bed").of("wrong_support")[0].severity == "soft"
    toilet = thing("toilet", "toilet", (40, 70, 80), 0, (300, 315, 0))
    assert "wrong_room" in codes(Scene(room=bedroom.room, objects=(toilet,)))
    unknown = thing("piano", "grand_piano", (150, 180, 100), 0, (250, 120, 0))
    assert codes(Scene(room=bedroom.room, objects=(unknown,))) == set()


def test_an_overfull_room(bedroom):
    many = tuple(thing(f"d{i}", "grand_piano", (190, 200, 90), 0, (100 + 100 * i, 200, 0)) for i in range(3))
    (fault,) = check(Scene(room=bedroom.room, objects=many)).of("overfull")
    assert fault.amount == pytest.approx(3 * 190 * 200 - 0.55 * 140_000)


def test_a_request_is_checked(bedroom):
    spec = Spec(
        counts=(CountSpec(category="nightstand", n=2), CountSpec(category="sofa", n=1)),
        relations=(
            RelationSpec(relation="facing", subject="desk_chair", references=("desk",)),
            RelationSpec(relation="at", subject="desk", references=("window",)),
        ),
    )
    report = check(bedroom, spec)
    assert report.codes == {"count": 1, "relation_unmet": 1}
    assert "0 sofa where 1 was asked for" in report.of("count")[0].message
    assert "0 desk at window where at least 1 was asked for" in report.of("relation_unmet")[0].message


def test_an_unknown_code_lists_the_known(bedroom):
    with pytest.raises(ValueError, match="unknown code 'oob'; known: out_of_bounds"):
        check(bedroom).of("oob")
    assert {"hard", "soft"} == set(SEVERITY.values())


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_room_has_the_same_faults(bedroom, turns):
    from layout.transform import quarter_turned

    broken = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(380, 160, 0)))
    one, other = check(broken), check(quarter_turned(broken, turns))
    assert [(v.code, v.ids) for v in one.violations] == [(v.code, v.ids) for v in other.violations]
    assert [v.amount for v in one.violations] == pytest.approx([v.amount for v in other.violations], abs=1e-3)


def test_a_mirrored_room_has_the_same_faults(bedroom):
    from layout.transform import mirrored

    broken = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(380, 160, 0)))
    one, other = check(broken), check(mirrored(broken))
    assert sorted((v.code, v.ids) for v in one.violations) == sorted(
        (v.code, v.ids) for v in other.violations
    )
