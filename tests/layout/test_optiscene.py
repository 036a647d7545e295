"""OptiScene's rows: both orders of the sides, every way its files wrap them, and a marker in front of a chair at eight yaws."""

import json
import math

import pytest

from layout.adapters.optiscene import read_row
from layout.checks import check
from layout.export.optiscene import row
from layout.schema import Room, Scene
from layout.synthesis import rooms

from .conftest import L_SHAPE, thing
from .test_export import AHEAD, YAWS, chair_and_marker

# The shape of the released demo, in our own words: a sofa 3.5 m long, 1.2 m deep, .9 m high, written as h, w, d.
PROMPT = """[Task Room Type]
living room
[/Task Room Type]

[Task Room Area]
42.0
[/Task Room Area]

[Task Objects and Bounding Box Size]
{"objects": [{"object": "1 grey sofa with a chaise", "bounding box": [{"h": 3.5, "w": 1.2, "d": 0.9}]},
 {"object": "2 tall floor lamp", "bounding box": [{"h": 0.4, "w": 0.4, "d": 1.8}, {"h": 0.4, "w": 0.4, "d": 1.8}]}]}
[/Task Objects and Bounding Box Size]
"""
ANSWER = """<reasoning>
[Reason] the [Design] follows [/Reason]
</reasoning>
<answer>
[Design]
{"room type": "living room", "objects": [
 {"object": "1 grey sofa with a chaise", "coordinates": [{"x": 0, "y": -2, "z": 0}], "rotate": [{"angle": 3.14159265}]},
 {"object": "2 tall floor lamp", "coordinates": [{"x": 2, "y": -2, "z": 0}, {"x": -2, "y": -2, "z": 0}], "rotate": [{"angle": 0}, {"angle": -1.57079633}]}]}
[/Design]
</answer>"""


@pytest.mark.parametrize("yaw", YAWS)
def test_the_marker_is_before_the_chair_and_everything_comes_back(yaw):
    scene = chair_and_marker(yaw)
    value = row(scene)
    design = json.loads(value["output"].split("[Design]")[1].split("[/Design]")[0])
    (chair,), (mug,) = (o["coordinates"] for o in design["objects"])
    angle = design["objects"][0]["rotate"][0]["angle"]
    x, y = AHEAD[0] / 100, AHEAD[1] / 100
    assert chair["x"] + x * math.cos(angle) - y * math.sin(angle) == pytest.approx(mug["x"], abs=1e-3)
    assert chair["y"] + x * math.sin(angle) + y * math.cos(angle) == pytest.approx(mug["y"], abs=1e-3)
    assert mug["z"] == pytest.approx(AHEAD[2] / 100)
    assert (chair["x"], chair["y"]) == (-0.4, -0.4)  # from the middle of 6 x 5 m
    back = read_row(json.loads(json.dumps(value)))
    assert back.room.polygon == scene.room.polygon
    for a, b in zip(scene.objects, back.objects, strict=True):
        assert (b.category, b.size) == (a.category, a.size)
        assert b.pos == pytest.approx(a.pos, abs=0.02)
        assert b.yaw == pytest.approx(a.yaw, abs=1e-3)


def test_the_demo_is_read_by_its_own_order_of_sides():
    scene = read_row({"instruction": "place them", "input": PROMPT, "output": ANSWER}, axes="wdh")
    sofa, lamp, other = scene.objects
    assert (sofa.size, lamp.size) == ((350, 120, 90), (40, 40, 180))
    assert (sofa.yaw, lamp.yaw, other.yaw) == (180, 0, 270)
    assert scene.room.extent == pytest.approx((648.07, 648.07), abs=0.01)
    assert sofa.pos == pytest.approx((324.04, 124.04, 0), abs=0.01)
    assert [o.id for o in scene.objects] == ["sofa_1", "floor_lamp_1", "floor_lamp_2"]
    assert read_row({"input": PROMPT, "output": ANSWER}).objects[0].size == (
        120,
        90,
        350,
    )  # by the names: 3.5 m high


def test_preference_rows_and_messages_are_read():
    plain = {"instruction": "place them", "input": PROMPT, "output": ANSWER}
    other = {**plain, "output": ANSWER.replace('"x": 2', '"x": 9')}
    expected = read_row(plain)
    assert read_row({"combined_prompts": [plain, other]}) == expected
    messages = [{"role": "user", "content": "place them" + PROMPT}, {"role": "assistant", "content": ANSWER}]
    assert read_row({"messages": messages}) == expected
    shown = PROMPT.replace("42.0", "9.0") + PROMPT  # an example before the task
    assert read_row({"input": shown, "output": ANSWER}) == expected


def test_an_oblique_outline_keeps_its_centroid_as_the_origin():
    room = Room(room_type="bedroom", polygon=L_SHAPE)
    scene = Scene(room=room, objects=(thing("desk_1", "desk", (120, 60, 75), 0, (100, 370, 0)),))
    value = row(scene)
    assert sum(x for x, _ in value["polygon"]) != 0  # the corners' mean is not the centroid of an L
    back = read_row(value)
    assert sorted(back.room.polygon) == sorted(L_SHAPE)
    assert back.objects[0].pos == pytest.approx((100, 370, 0), abs=0.02)


def test_synthetic_rooms_come_back_without_a_new_hard_fault():
    for drawn in rooms(7, 12):
        back = read_row(json.loads(json.dumps(row(drawn.scene))))
        assert sorted(o.category for o in back.objects) == sorted(o.category for o in drawn.scene.objects)
        assert not check(back).hard


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p, a: (p.replace("Task Room Area", "Area"), a), r"the prompt has no block \[Task Room Area\]"),
        (lambda p, a: (p.replace("42.0", "-4"), a), "-4 m² is no room"),
        (lambda p, a: (p.replace("living room", "garage"), a), "'garage' is none of ours"),
        (lambda p, a: (p, a.replace("1 grey sofa", "1 green sofa")), "'1 green sofa with a chaise' of the answer has no bounding box"),
        (lambda p, a: (p, a.replace('{"angle": 0}, ', "")), "2 bounding boxes, 2 coordinates and 1 rotations"),
        (lambda p, a: (p, "I would rather not"), "no JSON in 'I would rather not'"),
        (lambda p, a: (p, None), 'give "input" and "output"'),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(change, said):
    prompt, answer = change(PROMPT, ANSWER)
    with pytest.raises(ValueError, match=said):
        read_row({"input": prompt, "output": answer})
