import pytest

from layout.geometry import Box
from layout.schema import Door, Room
from layout.walkable import CELL, blocks_way, walkable

DOOR = Door(wall=0, start=20, end=110)


def room(polygon=((0, 0), (400, 0), (400, 300), (0, 300)), doors=(DOOR,)):
    return Room(room_type="bedroom", polygon=polygon, doors=doors)


def test_an_empty_room_is_free_but_for_the_strip_along_its_walls():
    floor = walkable(room(), [])
    assert floor.free_area == (400 - 50) * (300 - 50)
    assert floor.connected_share == 1


def test_an_obstacle_takes_its_footprint_and_a_rounded_rim():
    box = Box.of((200, 150, 0), (60, 40, 80), 0)
    rim = 60 * 40 + 2 * 25 * (60 + 40) + 3.14159 * 25 * 25
    taken = 350 * 250 - walkable(room(), [box]).free_area
    assert taken == pytest.approx(rim, rel=0.03)
    turned = Box.of((200, 150, 0), (60, 40, 80), 30)
    assert 350 * 250 - walkable(room(), [turned]).free_area == pytest.approx(rim, rel=0.03)


@pytest.mark.parametrize("yaw", [0, 90, 180, 270])
def test_quarter_turns_go_the_same_way_as_any_other_angle(yaw):
    exact = walkable(room(), [Box.of((210, 130, 0), (130, 40, 80), yaw)])
    nearly = walkable(room(), [Box.of((210, 130, 0), (130, 40, 80), yaw + 1e-7)])
    assert (exact.free == nearly.free).all()


@pytest.mark.parametrize(("gap", "open_"), [(40, False), (60, True)])
def test_a_barrier_with_a_gap(gap, open_):
    """A wall of boxes across the room at y = 150, open at its east end."""
    box = Box.of(((400 - gap) / 2, 150, 0), (400 - gap, 20, 100), 0)
    floor = walkable(room(), [box])
    assert (floor.connected_share == 1) is open_
    beyond = Box.of((200, 280, 0), (80, 40, 80), 0)
    assert floor.serves(beyond, ("front",)) is open_
    assert floor.serves(beyond, ()) is open_


def test_the_side_of_use_counts():
    cupboard = Box.of((200, 280, 0), (80, 40, 80), 180)  # with its front to the wall
    floor = walkable(room(), [cupboard])
    assert not floor.serves(cupboard, ("front",))
    assert floor.serves(cupboard, ("back",))
    assert floor.distance(cupboard) == pytest.approx(25, abs=CELL)


def test_without_a_door_nothing_is_reached():
    floor = walkable(room(doors=()), [])
    assert floor.connected_share == 0
    assert floor.distance(Box.of((200, 150, 0), (40, 40, 40), 0)) is None
    narrow = walkable(room(((0, 0), (400, 0), (400, 45), (0, 45)), doors=()), [])
    assert narrow.connected_share is None


def test_what_is_stepped_over_and_what_is_walked_under():
    assert not blocks_way(Box.of((0, 0, 0), (100, 100, 1), 0))
    assert not blocks_way(Box.of((0, 0, 190), (100, 100, 40), 0))
    assert blocks_way(Box.of((0, 0, 0), (100, 100, 30), 0))


def test_an_oblique_wall_keeps_its_distance():
    floor = walkable(room(((0, 0), (400, 0), (400, 100), (200, 300), (0, 300))), [])
    # Inside area minus the strip of 25 cm along five walls: an offset polygon with two corners of 135° (cut by 2·25²·tan 22.5°).
    area, perimeter = 400 * 300 - 200 * 200 / 2, 400 + 100 + 200 * 2**0.5 + 200 + 300
    corners = 3 * 25**2 + 2 * 25**2 * 0.41421
    assert floor.free_area == pytest.approx(area - 25 * perimeter + corners, rel=0.02)
