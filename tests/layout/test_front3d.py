"""Houses in 3D-FRONT's JSON, made here: outline from triangles, sizes in three places, and a marker in front of a chair at eight yaws."""

import copy

import numpy as np
import pytest

from layout import frames
from layout.adapters.front3d import read_house, room_kind
from layout.assets import AssetRow

from .test_export import AHEAD, YAWS

CORNER = (2.0, 1.0)  # where the room's south-west corner is in the house, x and y of ours in metres


def y_up(x, y, z):
    """A point of the room in cm, in the house's metres."""
    return list(frames.to_y_up((x / 100 + CORNER[0], y / 100 + CORNER[1], z / 100)))


def mesh(uid, kind, points, faces):
    return {"uid": uid, "jid": "", "type": kind, "xyz": [v for p in points for v in p], "faces": faces}


def child(ref, pos=(0, 0, 0), rot=(0, 0, 0, 1), scale=(1, 1, 1)):
    return {
        "ref": ref,
        "instanceid": f"furniture/{ref}",
        "pos": list(pos),
        "rot": list(rot),
        "scale": list(scale),
    }


def house(*, furniture=(), children=()):
    """An L of 5 x 4 m in two floor meshes, one of them with a corner in the middle of an edge, and a wall 2.7 m high."""
    one = [y_up(*p, 0) for p in ((0, 0), (500, 0), (500, 200), (300, 200), (0, 200), (250, 0))]
    two = [y_up(*p, 0) for p in ((0, 200), (300, 200), (300, 400), (0, 400))]
    wall = [y_up(0, 0, 0), y_up(500, 0, 0), y_up(500, 0, 270)]
    meshes = [
        mesh("f1", "Floor", one, [0, 5, 4, 5, 3, 4, 5, 1, 3, 1, 2, 3]),
        mesh("f2", "Floor", two, [0, 1, 2, 0, 2, 3]),
        mesh("w1", "WallInner", wall, [0, 1, 2]),
    ]
    room = {
        "type": "MasterBedroom",
        "instanceid": "MasterBedroom-1",
        "children": [child("f1"), child("f2"), child("w1"), *children],
    }
    return {"uid": "h", "furniture": list(furniture), "mesh": meshes, "scene": {"room": [{"type": "Balcony", "children": []}, room]}}  # fmt: skip


CHAIR = {"uid": "c", "jid": "chair-7", "category": "Office Chair", "size": [0.5, 0.9, 0.6]}
MUG = {"uid": "m", "jid": "mug-1", "title": "accessory/mug", "bbox": [0.1, 0.1, 0.1]}


@pytest.mark.parametrize("yaw", YAWS)
def test_the_marker_is_before_the_chair(yaw):
    turn = frames.to_quaternion(yaw)
    x, y, z, w = turn
    v = np.array(frames.to_y_up([c / 100 for c in AHEAD]))
    turned = v + 2 * np.cross(
        (x, y, z), np.cross((x, y, z), v) + w * v
    )  # the quaternion's own rule, not ours
    at = np.array(y_up(150, 150, 0))
    (scene,) = read_house(
        house(furniture=[CHAIR, MUG], children=[child("c", at, turn), child("m", at + turned)])
    )
    chair, mug = scene.objects
    assert (chair.category, mug.category) == ("desk_chair", "mug")
    assert chair.size == pytest.approx((50, 60, 90))
    assert chair.yaw == pytest.approx(yaw, abs=1e-6)
    assert chair.pos == pytest.approx((150, 150, 0), abs=1e-6)
    local = chair.box.local((mug.pos[0], mug.pos[1]))
    assert (*local, mug.pos[2]) == pytest.approx(AHEAD, abs=1e-3)


def test_the_outline_comes_from_the_triangles_and_the_height_from_the_walls():
    (scene,) = read_house(house())
    assert set(scene.room.polygon) == {(0, 0), (500, 0), (500, 200), (300, 200), (300, 400), (0, 400)}
    assert len(scene.room.polygon) == 6
    assert (scene.room.height, scene.room.room_type) == (270, "bedroom")


def test_sizes_scales_corners_and_tables_are_read():
    corner = {"uid": "d", "jid": "desk", "title": "table/desk", "bbox": [[0, 0, 0], [1.2, 0.75, 0.6]]}
    bare = {
        "uid": "s",
        "jid": "shelf-1",
        "category": "Bookcase / jewelry Armoire",
        "title": "cabinet/bookcase",
    }
    gone = {"uid": "x", "jid": "none", "category": "Sofa", "valid": False}
    at = y_up(100, 100, 0)
    value = house(
        furniture=[corner, bare, gone],
        children=[child("d", at, frames.to_quaternion(90)), child("s", at, scale=(2, 1, 1)), child("x", at)],
    )
    with pytest.raises(
        ValueError,
        match=r"room\[1\] \(MasterBedroom\): bookshelf 'furniture/s': no size for the model 'shelf-1'",
    ):
        read_house(value)
    (scene,) = read_house(
        value, {"shelf-1": AssetRow(id="shelf-1", category="bookshelf", size=(40, 30, 180))}
    )
    desk, shelf = scene.objects
    assert desk.size == pytest.approx((120, 60, 75))
    # The model's origin is a corner of it, its middle 60 cm to the side and 30 before; turned by 90° that is 30 east and 60 north.
    assert desk.pos == pytest.approx((130, 160, 0))
    assert shelf.size == (80, 30, 180)


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [("MasterBedroom", "bedroom"), ("KidsRoom", "bedroom"), ("LivingDiningRoom", "living_room"), ("MasterBathroom", "bathroom"), ("Kitchen", "kitchen"), ("Balcony", None)],
)  # fmt: skip
def test_room_types(foreign, ours):
    assert room_kind(foreign) == ours


def test_what_cannot_be_read_is_said():
    with pytest.raises(ValueError, match=r"the list 'furniture' is missing"):
        read_house({})
    value = house()
    value["scene"]["room"][1]["type"] = "Garage"
    with pytest.raises(ValueError, match="the house has: Balcony, Garage"):
        read_house(value)
    tilted = house(furniture=[CHAIR], children=[child("c", rot=(0.7, 0, 0, 0.7))])
    with pytest.raises(ValueError, match="desk_chair 'furniture/c': the quaternion"):
        read_house(tilted)
    bare = copy.deepcopy(house())
    bare["scene"]["room"][1]["children"] = []
    with pytest.raises(ValueError, match="no floor mesh"):
        read_house(bare)
    bare = house()
    bare["mesh"][1]["faces"] = [0, 1, 2]
    (scene,) = read_house(bare)  # half of the second floor is a triangle
    assert len(scene.room.polygon) == 6
    torn = house()
    torn["mesh"][0]["faces"] = [0, 5, 4, 5, 1, 2]  # two triangles that meet in one corner
    with pytest.raises(
        ValueError, match=r"\(MasterBedroom\): the triangles of the floor do not join edge to edge"
    ):
        read_house(torn)
