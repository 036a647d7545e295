import ast
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout import metrics
from layout.adapters import layoutgpt
from layout.checks import check, collides
from layout.geometry import outside_area, overlap_area, overrun
from layout.metrics import distribution, monte_carlo
from layout.metrics.evaluation import oor, oor_unturned
from layout.schema import CountSpec, RelationSpec, Room, Scene, Spec

from .conftest import L_SHAPE, thing

OBLIQUE = ((0, 0), (420, 0), (420, 230), (250, 380), (0, 380))
NOTCHED = ((0, 0), (500, 0), (500, 350), (320, 350), (320, 250), (200, 250), (200, 350), (0, 350))
ROOMS = [
    Room(room_type="bedroom", polygon=ring)
    for ring in (((0, 0), (400, 0), (400, 300), (0, 300)), L_SHAPE, OBLIQUE, NOTCHED)
]

things = st.builds(
    lambda i, x, y, z, w, d, h, yaw: (w, d, h, yaw, x, y, z),
    st.integers(0, 9), st.integers(-20, 520), st.integers(-20, 420), st.sampled_from([0, 0, 0, 60]),
    st.integers(20, 220), st.integers(20, 120), st.integers(10, 200), st.sampled_from([0, 90, 180, 270, 30, 45, 133]),
)  # fmt: skip
scenes = st.builds(
    lambda room, rows: Scene(
        room=room,
        objects=tuple(thing(f"o{i}", "box", r[:3], r[3], r[4:]) for i, r in enumerate(rows)),
    ),
    st.sampled_from(ROOMS),
    st.lists(things, min_size=2, max_size=4),
)


@given(scenes)
@settings(max_examples=40, deadline=None)
def test_two_ways_of_measuring_a_room_agree(scene):
    """Clipping against sampling: areas within the sampling error, verdicts alike wherever they are not on the edge."""
    for o in scene.objects:
        exact = outside_area(o.box.corners, scene.room.polygon)
        assert monte_carlo.outside_area(o, scene) == pytest.approx(exact, abs=0.03 * o.box.area + 1)
        far = float(monte_carlo.distance_outside(monte_carlo.rim_points(o), scene.room.polygon).max())
        if scene.room in (ROOMS[0], ROOMS[2]):  # convex: the measure is exact
            assert overrun(o.box.corners, scene.room.polygon) == pytest.approx(far, abs=1e-6)
        else:
            # Points on the rim are 2 cm apart, so sampling may miss the farthest by one.
            assert overrun(o.box.corners, scene.room.polygon) <= far + 1
            assert (overrun(o.box.corners, scene.room.polygon) > 1) == (far > 1) or far < 6
    for i, b in enumerate(scene.objects):
        for a in scene.objects[:i]:
            small = min(a.box.area, b.box.area)
            exact = overlap_area(a.box.corners, b.box.corners)
            assert monte_carlo.common_area(a, b) == pytest.approx(exact, abs=0.03 * small + 1)
            if not 0.003 * small < exact < 0.03 * small:  # clear of the threshold at 1 %
                assert (collides(a, b) > 0) == monte_carlo.collide(a, b)


def test_the_checker_shares_nothing_but_the_data_model():
    tree = ast.parse(Path(monte_carlo.__file__).read_text())
    ours = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("layout")
    }
    assert ours == {"layout.schema"}
    # Nor the derived geometry that scenes carry along: only stored fields are read.
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not read & {"box", "walls", "corners", "area", "by_id"}


@pytest.mark.parametrize("seat", ["desk_chair", "dining_chair", "bar_stool", "ottoman"])
def test_both_checkers_let_the_same_seats_under_the_same_tables(seat):
    from layout.rules import TUCKED

    assert monte_carlo.SEATS[seat] == set(TUCKED[seat])


def test_rates_by_hand(bedroom):
    broken = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(380, 160, 0)))  # 10 cm out, into the desk
    far = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(395, 100, 0)))  # 25 cm out
    e = metrics.evaluate([bedroom, broken, far])
    assert e["valid_scene"] == pytest.approx(1 / 3)
    assert e["oob_scene"] == pytest.approx(2 / 3)
    assert e["oob_object"] == pytest.approx(2 / 24)
    assert e["oob_scene_10cm"] == pytest.approx(1 / 3)
    assert e["collision_scene"] == pytest.approx(1 / 3)
    assert e["collision_object"] == pytest.approx(2 / 24)
    assert e["collision_pair"] == pytest.approx(1 / 84)
    assert e["objects"] == 8
    assert e["door_clear"] == 1
    total = sum(o.box.area for o in bedroom.objects)
    assert e["oob_area"] == pytest.approx((10 * 150 + 25 * 150) / (3 * total))


def test_monte_carlo_rates_by_hand(bedroom):
    broken = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(380, 160, 0)))
    estimate = monte_carlo.evaluate([bedroom, broken])
    assert (estimate.oob_scene, estimate.collision_scene) == (0.5, 0.5)
    assert (estimate.oob_object, estimate.collision_object) == (1 / 16, 2 / 16)
    assert estimate.oob_far[1] == pytest.approx(10)


def test_overlap_ratios_by_hand():
    room = ROOMS[0]
    a = thing("a", "box", (100, 40, 50), 0, (100, 100, 0))
    turned = thing("b", "box", (100, 40, 50), 90, (160, 100, 0))
    above = thing("c", "box", (100, 40, 20), 0, (100, 100, 60))
    assert oor(Scene(room=room, objects=(a, turned))) == pytest.approx(10 * 40 / 8000)
    assert oor_unturned(Scene(room=room, objects=(a, turned))) == pytest.approx(40 * 40 / 8000)
    assert oor(Scene(room=room, objects=(a, above))) == 0
    assert oor_unturned(Scene(room=room, objects=(a, above))) == 0.5
    assert oor(Scene(room=room)) == 0


def test_faithfulness_counts_what_was_asked_for(bedroom):
    spec = Spec(
        counts=(CountSpec(category="nightstand", n=3), CountSpec(category="desk", n=1)),
        relations=(RelationSpec(relation="facing", subject="desk_chair", references=("desk",)),),
    )
    e = metrics.evaluate([bedroom, bedroom], [spec, None])
    assert (e["count_met"], e["present"], e["relation_met"]) == (0.5, 0.75, 1)


def test_nothing_to_measure_is_unknown_and_not_zero():
    e = metrics.evaluate([Scene(room=ROOMS[0])])
    assert e["oob_object"] is None
    assert e["door_clear"] is None
    assert e["oob_scene"] == 0


def test_every_number_stands_beside_its_definition(bedroom):
    e = metrics.evaluate([bedroom, bedroom], [None, None], reference=[bedroom])
    assert set(e.values) == set(metrics.DEFINITIONS)
    for name, line in zip(e.values, e.table().splitlines()[1:], strict=True):
        assert line.startswith(name)
        assert line.endswith(metrics.DEFINITIONS[name])
    assert json.loads(json.dumps(e.to_dict()))["metrics"]["oor"]["definition"] == metrics.DEFINITIONS["oor"]


def test_kl_and_diversity(bedroom):
    assert distribution.category_kl([bedroom], [bedroom]) == pytest.approx(0)
    chairs = Scene(room=bedroom.room, objects=(bedroom.by_id["chair"],))
    assert distribution.category_kl([chairs], [bedroom]) > 5
    assert distribution.diversity([bedroom, bedroom]) == 0
    assert distribution.diversity([bedroom, chairs]) > 0.9


def test_wrong_calls_say_what_is_wrong(bedroom):
    with pytest.raises(ValueError, match="no rooms"):
        metrics.evaluate([])
    with pytest.raises(ValueError, match="1 specs for 2 rooms"):
        metrics.evaluate([bedroom, bedroom], [None])
    with pytest.raises(ValueError, match="at least two"):
        distribution.diversity([bedroom])
    with pytest.raises(ValueError, match="no objects"):
        distribution.category_kl([Scene(room=ROOMS[0])], [bedroom])


LAYOUTGPT_ROW = {
    "prompt": "Condition:\nRoom Type: bedroom\nRoom Size: max length 320px, max width 240px\n",
    "query_id": "row",
    "object_list": [
        ["double_bed", {"length": 128.0, "width": 160.0, "height": 64.0, "left": 64.0, "top": 80.0, "depth": 32.0, "orientation": 0.0}],
        ["pendant_lamp", {"length": 16.0, "width": 16.0, "height": 40.0, "left": 300.0, "top": 200.0, "depth": 180.0, "orientation": -90.0}],
    ],
}  # fmt: skip


def test_a_layoutgpt_row_in_centimetres():
    scene = layoutgpt.read_scene(LAYOUTGPT_ROW)
    bed, lamp = scene.objects
    assert scene.room.extent == (400, 300)
    assert (bed.size, bed.pos, bed.yaw) == (
        (160, 200, 80),
        (80, 200, 0),
        0,
    )  # the top left of the page is north-west
    assert (lamp.id, lamp.yaw, lamp.on) == ("pendant_lamp_1", 270, "ceiling")
    assert check(scene).of("out_of_bounds") == ()
    with pytest.raises(ValueError, match="row x: the prompt has no 'max length"):
        layoutgpt.read_scene({"prompt": "a bedroom", "query_id": "x", "object_list": []})
