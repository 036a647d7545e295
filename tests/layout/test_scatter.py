"""Furniture at random: nothing is added, resized or left outside of the bounding rectangle, and tops keep what stands on them."""

import pytest

from layout.checks import check
from layout.scatter import scatter
from layout.schema import ROOM_TYPES
from layout.synthesis import draw

SCENES = [draw(kind, "scatter", 0).scene for kind in ROOM_TYPES]


@pytest.mark.parametrize("scene", SCENES, ids=ROOM_TYPES)
def test_the_same_objects_in_another_place(scene):
    found = scatter(scene, 1)
    assert [(o.id, o.size, o.on) for o in found.objects] == [(o.id, o.size, o.on) for o in scene.objects]
    assert [o.pos[2] for o in found.objects] == [o.pos[2] for o in scene.objects]
    assert sum(a.pos != b.pos for a, b in zip(found.objects, scene.objects, strict=True)) > 2
    width, depth = scene.room.extent
    for o in found.objects:
        assert all(-1 <= x <= width + 1 and -1 <= y <= depth + 1 for x, y in o.box.corners), o.id


@pytest.mark.parametrize("scene", SCENES, ids=ROOM_TYPES)
def test_what_stands_on_something_goes_with_it(scene):
    assert not check(scatter(scene, 2)).of("overhang")


def test_the_seed_decides():
    scene = SCENES[0]
    assert scatter(scene, 5) == scatter(scene, 5)
    assert scatter(scene, 5) != scatter(scene, 6)


def test_an_object_longer_than_the_room_is_centred(bedroom):
    long = bedroom.replaced(bedroom.by_id["rug"].moved(size=(900, 900, 1)))
    assert scatter(long, 0).by_id["rug"].pos[:2] == (200, 175)
