"""A robot's way: as long as worked out by hand, never nearer to anything than its radius, and None with a reason where there is none."""

import math
from itertools import pairwise

import pytest

from layout.geometry import point_to_boundary
from layout.navigate import navigate
from layout.schema import Door, Room, Scene
from layout.walkable import CELL, blocks_way

from .conftest import L_SHAPE, thing


def clearance(scene, points):
    """cm between the way and the nearest wall or obstacle, every centimetre."""
    boxes = [o.box for o in scene.objects if o.on == "floor" and blocks_way(o.box)]
    least = math.inf
    for (ax, ay), (bx, by) in pairwise(points):
        n = max(1, math.ceil(math.dist((ax, ay), (bx, by))))
        for i in range(n + 1):
            p = (ax + (bx - ax) * i / n, ay + (by - ay) * i / n)
            least = min(least, point_to_boundary(p, scene.room.polygon))
            for box in boxes:
                a, b = box.local(p)
                least = min(least, math.hypot(max(abs(a) - box.width / 2, 0), max(abs(b) - box.depth / 2, 0)))
    return least


def empty(polygon=((0, 0), (400, 0), (400, 300), (0, 300))):
    return Scene(room=Room(room_type="bedroom", polygon=polygon, doors=(Door(wall=0, start=40, end=120),)))


def test_a_free_way_is_straight():
    way = navigate(empty(), (52.5, 52.5), (352.5, 252.5))
    assert len(way.points) == 2
    assert way.length == pytest.approx(math.hypot(300, 200), abs=2 * CELL)


def test_around_an_inner_corner_the_way_bends_once_at_the_radius():
    scene = empty(L_SHAPE)
    way = navigate(scene, (452.5, 152.5), (252.5, 352.5), radius=20)
    taut = math.dist((452.5, 152.5), (300, 200)) + math.dist((300, 200), (252.5, 352.5))
    assert taut < way.length < taut + 40
    assert 20 - 1e-6 <= clearance(scene, way.points) < 20 + 2 * CELL


def test_no_piece_of_furniture_is_touched(bedroom):
    for radius in (10, 18):
        way = navigate(bedroom, "door", "desk", radius)
        assert way.points is not None, way.reason
        assert clearance(bedroom, way.points) >= radius - 1e-6
        end = way.points[-1]
        assert bedroom.by_id["desk"].box.gap(thing("at", "mug", (1, 1, 1), 0, (*end, 0)).box) <= radius + 21


def test_a_small_thing_is_reached_at_its_carrier(bedroom):
    assert navigate(bedroom, "door_0", "lamp").points == navigate(bedroom, "door_0", "left_stand").points


def test_a_robot_that_does_not_fit_is_told_why(bedroom):
    blocked = Scene(
        room=bedroom.room, objects=(thing("wall_of_shelves", "bookshelf", (390, 40, 200), 0, (200, 175, 0)),)
    )
    way = navigate(blocked, "door", (200, 300))
    assert (way.points, way.length) == (None, None)
    assert way.reason == "no way of 36 cm width leads from door to (200, 300)"
    assert "cannot stand at (200, 175)" in navigate(blocked, "door", (200, 175)).reason


def test_places_that_do_not_exist_are_named(bedroom):
    with pytest.raises(ValueError, match=r"no 'piano'.*desk.*door_0"):
        navigate(bedroom, "door", "piano")
    with pytest.raises(ValueError, match=r"1 door\(s\)"):
        navigate(bedroom, "door_3", "desk")
    with pytest.raises(ValueError, match="not in the room, which is 400 x 350 cm"):
        navigate(bedroom, (900, 0), "desk")
    with pytest.raises(ValueError, match="larger than 0"):
        navigate(bedroom, "door", "desk", 0)
