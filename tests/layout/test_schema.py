import pytest
from pydantic import ValidationError

from layout.schema import CountSpec, Door, Room, Scene, SceneObject, Window, compare

SQUARE = ((0, 0), (400, 0), (400, 300), (0, 300))


def room(polygon=SQUARE, **changes):
    return Room(room_type="bedroom", polygon=polygon, **changes)


@pytest.mark.parametrize(
    ("polygon", "message"),
    [
        (((0, 0), (400, 300), (400, 0), (0, 300)), "edge 0 from .* crosses edge 2"),
        (SQUARE[::-1], "run clockwise"),
        (((0, 0), (4, 0), (4, 3), (0, 3)), "were these metres"),
        (((0, 0), (40000, 0), (40000, 30000), (0, 30000)), "were these millimetres"),
        (((50, 0), (400, 0), (400, 300), (50, 300)), "south-west corner is at \\(50"),
        (((0, 0), (400, 0), (400, 0), (0, 300)), "vertices 1 and 2 are 0 cm apart"),
    ],
)
def test_a_polygon_that_is_no_room_is_refused_with_the_place(polygon, message):
    with pytest.raises(ValidationError, match=message):
        room(polygon)


@pytest.mark.parametrize(
    ("openings", "message"),
    [
        (
            {"doors": (Door(wall=1, start=250, end=340),)},
            r"doors\[0\]: ends at 340 cm on wall 1, which is 300 cm long",
        ),
        ({"doors": (Door(wall=4, start=0, end=90),)}, "wall 4 does not exist"),
        ({"windows": (Window(wall=0, start=10, end=90, head=300),)}, "the room is 260 cm high"),
        (
            {"doors": (Door(wall=0, start=0, end=90),), "windows": (Window(wall=0, start=80, end=200),)},
            r"windows\[0\]: overlaps doors\[0\]",
        ),
    ],
)
def test_an_opening_that_does_not_fit_is_refused_with_the_place(openings, message):
    with pytest.raises(ValidationError, match=message):
        room(**openings)


def test_openings_are_the_right_way_round():
    with pytest.raises(ValidationError, match="ends at 10 cm but starts at 90"):
        Door(wall=0, start=90, end=10)
    with pytest.raises(ValidationError, match="not above its sill"):
        Window(wall=0, start=0, end=90, sill=100, head=80)


def chair(name, on="floor"):
    return SceneObject(id=name, category="desk_chair", size=(50, 50, 90), pos=(100, 100, 0), on=on)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ((chair("a"), chair("a")), "'a' is used twice"),
        ((chair("a", on="b"),), "neither a place"),
        ((chair("a", on="b"), chair("b", on="a")), "stands on itself"),
        ((chair("floor"),), "is a place"),
    ],
)
def test_a_scene_refuses_broken_structure(objects, message):
    with pytest.raises(ValidationError, match=message):
        Scene(room=room(), objects=objects)


def test_two_hundred_objects_and_no_more():
    Scene(room=room(), objects=tuple(chair(f"c{i}") for i in range(200)))
    with pytest.raises(ValidationError, match="200"):
        Scene(room=room(), objects=tuple(chair(f"c{i}") for i in range(201)))


def test_whole_numbers_stay_whole_in_json(bedroom):
    text = bedroom.model_dump_json()
    assert '"pos":[102.5,220,0]' in text
    assert Scene.model_validate_json(text) == bedroom


def test_a_moved_object_has_its_new_footprint(bedroom):
    bed = bedroom.by_id["bed"]
    assert bed.box.x == 102.5
    assert bed.moved(pos=(200, 220, 0)).box.x == 200
    assert bedroom.replaced(bed.moved(pos=(200, 220, 0))).by_id["bed"].box.x == 200
    with pytest.raises(ValidationError):
        bed.moved(yaw=400)


def test_the_area_and_centroid_of_an_l():
    shape = room(((0, 0), (400, 0), (400, 200), (200, 200), (200, 400), (0, 400)))
    assert shape.area == 120_000
    assert shape.centroid == pytest.approx((500 / 3, 500 / 3))
    assert shape.extent == (400, 400)


def test_quantifiers():
    assert [compare(2, q, 2) for q in ("eq", "lt", "gt", "le", "ge")] == [True, False, False, True, True]
    with pytest.raises(ValidationError):
        CountSpec(category="Bed!", n=1)
