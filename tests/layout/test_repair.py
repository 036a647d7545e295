import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout.checks import check
from layout.repair import cost, repair, without
from layout.schema import CountSpec, Room, Scene, Spec

from .conftest import thing


def shaken(scene, seed, amount=60):
    """Every object somewhere else and half of them turned."""
    draw = random.Random(seed)
    return Scene(
        room=scene.room,
        objects=tuple(
            o.moved(
                pos=(
                    o.pos[0] + draw.randint(-amount, amount),
                    o.pos[1] + draw.randint(-amount, amount),
                    o.pos[2],
                ),
                yaw=draw.choice([o.yaw, (o.yaw + 90) % 360]),
            )
            for o in scene.objects
        ),
    )


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("wardrobe", {"pos": (390, 100, 0)}, "out_of_bounds"),
        ("desk", {"pos": (370, 200, 0)}, "collision"),
        ("bed", {"pos": (102.5, 220, 30)}, "floating"),
        ("lamp", {"pos": (45, 120, 55)}, "overhang"),
        ("wardrobe", {"pos": (350, 100, 0)}, "off_wall"),
        ("chair", {"yaw": 270}, "wrong_facing"),
        ("chair", {"pos": (250, 270, 0)}, "detached"),
        ("chair", {"pos": (60, 50, 0)}, "door_blocked"),
    ],
)
def test_one_fault_is_mended(bedroom, name, change, code):
    broken = bedroom.replaced(bedroom.by_id[name].moved(**change))
    assert code in check(broken).codes
    mended = repair(broken)
    assert mended.after.violations == ()
    assert mended.moves
    assert mended.after == check(mended.scene)


def test_what_stands_on_a_thing_is_carried_along(bedroom):
    """The whole bedside pushed through the wall: the lamp comes back with its stand."""
    stand, lamp = bedroom.by_id["left_stand"], bedroom.by_id["lamp"]
    broken = bedroom.replaced(stand.moved(pos=(0, 120, 0))).replaced(lamp.moved(pos=(0, 120, 55)))
    mended = repair(broken).scene.by_id
    assert mended["left_stand"].pos == (20, 120, 0)
    assert mended["lamp"].pos == (20, 120, 55)


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_repair_never_makes_it_worse_and_is_deterministic(seed):
    from layout.schema import Door, Room

    room = Room(
        room_type="bedroom",
        polygon=((0, 0), (400, 0), (400, 350), (0, 350)),
        doors=(Door(wall=0, start=20, end=110),),
    )
    things = (
        thing("bed", "double_bed", (160, 205, 50), 90, (102.5, 220, 0)),
        thing("stand", "nightstand", (40, 40, 55), 90, (20, 120, 0)),
        thing("wardrobe", "wardrobe", (150, 60, 210), 270, (370, 100, 0)),
    )
    broken = shaken(Scene(room=room, objects=things), seed)
    one, two = repair(broken, max_trials=60), repair(broken, max_trials=60)
    assert one == two
    assert cost(one.after) <= cost(one.before)
    graver = [sum(v.code != "unreachable" for v in report.hard) for report in (one.before, one.after)]
    assert graver[1] <= graver[0]
    assert one.before == check(broken)
    assert {o.id for o in one.scene.objects} == {o.id for o in broken.objects}


def test_locked_objects_keep_their_pose_exactly(bedroom):
    broken = bedroom.replaced(bedroom.by_id["desk"].moved(pos=(370, 200, 0)))
    mended = repair(broken, locked=frozenset({"desk", "chair"}))
    for name in ("desk", "chair"):
        assert mended.scene.by_id[name] == broken.by_id[name]
    assert cost(mended.after) < cost(mended.before)


def test_only_what_nobody_asked_for_is_left_out(bedroom):
    crowd = tuple(thing(f"w{i}", "dresser", (160, 60, 80), 0, (200, 200, 0)) for i in range(2))
    full = Scene(room=bedroom.room, objects=(*bedroom.objects, *crowd))
    kept = repair(full, Spec(counts=(CountSpec(category="dresser", n=2),)), may_drop=True, max_trials=120)
    assert len(kept.scene.of("dresser")) == 2
    assert {o.id for o in repair(full, max_trials=40).scene.objects} == {o.id for o in full.objects}
    assert "lamp" not in without(bedroom, "left_stand").by_id


def test_the_number_of_trials_is_bounded(bedroom):
    broken = shaken(bedroom, 3)
    assert repair(broken, max_trials=0).scene == broken


def test_what_cannot_be_reached_is_not_put_through_a_wall():
    """A cost that trades what cannot be reached for what cannot be built is no better."""
    room = Room(room_type="bedroom", polygon=((0, 0), (400, 0), (400, 350), (0, 350)))
    out = Scene(room=room, objects=(thing("plant_1", "plant", (40, 40, 90), 0, (395, 100, 0)),))
    boxed = Room.model_validate(
        {
            **{n: getattr(room, n) for n in type(room).model_fields},
            "doors": [{"wall": 0, "start": 20, "end": 110}],
        }
    )
    wall_of = [
        thing(f"bookshelf_{k}", "bookshelf", (100, 40, 200), 0, (50 + 100 * k, 200, 0)) for k in range(4)
    ]
    shut = Scene(room=boxed, objects=(*wall_of, thing("desk_1", "desk", (120, 60, 75), 180, (200, 320, 0))))
    through, unreached = check(out), check(shut)
    assert through.codes.keys() >= {"out_of_bounds"}
    hard = [v for v in unreached.hard if v.code == "unreachable"]
    one = unreached.model_copy(update={"violations": tuple(hard[:1])})
    assert len(through.hard) == len(one.hard) == 1
    assert cost(one) < cost(through)
