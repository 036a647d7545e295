"""Every export carries an asymmetric pose to where `layout.frames` says, at eight yaws, and what can be read back comes back the same."""

import io
import json
import math

import numpy as np
import pytest
import trimesh

from layout import frames
from layout.adapters import procthor, sceneeval, ssr
from layout.assets import AssetFile, AssetRow, box
from layout.checks import check
from layout.export import EXPORTS, SUFFIXES, habitat, thor
from layout.export import sceneeval as sceneeval_export
from layout.export import ssr as ssr_export
from layout.export.glb import glb_bytes
from layout.export.mesh import furniture_mesh, object_meshes, prism, room_meshes
from layout.furniture import SHAPES, parts
from layout.geometry import signed_area
from layout.schema import Door, Room, Scene, Window
from layout.shell import THICKNESS, triangles, wall_pieces
from layout.synthesis import rooms

from .conftest import L_SHAPE, thing

YAWS = [0, 30, 90, 117.5, 180, 213, 270, 359]
AHEAD = (15.0, -70.0, 45.0)  # cm in the chair's frame: before it, to its left hand, above the floor


@pytest.fixture
def furnished():
    """An L with a door and a window, furniture on the floor, on tops, on a wall and under the ceiling."""
    room = Room(
        room_type="bedroom",
        polygon=L_SHAPE,
        height=250,
        doors=(Door(wall=0, start=40, end=130, height=205),),
        windows=(Window(wall=5, start=100, end=220, sill=85, head=215),),
    )
    objects = (
        thing("desk_1", "desk", (120, 60, 75), 180, (200, 30.5, 0)),
        thing("desk_chair_1", "desk_chair", (50, 55, 90), 31.5, (210, 110, 0)),
        thing("laptop_1", "laptop", (35, 25, 20), 180, (190, 35, 75), on="desk_1"),
        thing("painting_1", "painting", (60, 3, 40), 0, (150, 398.5, 140), on="wall"),
        thing("ceiling_light_1", "ceiling_light", (40, 40, 20), 0, (150, 200, 230), on="ceiling"),
    )
    return Scene(room=room, objects=objects)


def chair_and_marker(yaw):
    """A chair, and a mug in the air where the chair's frame says `AHEAD`."""
    room = Room(room_type="bedroom", polygon=((0, 0), (600, 0), (600, 500), (0, 500)))
    chair = thing("desk_chair_1", "desk_chair", (50, 60, 90), yaw, (260, 210, 0))
    x, y = chair.box.world(AHEAD[:2])
    return Scene(room=room, objects=(chair, thing("mug_1", "mug", (10, 10, 10), 0, (x, y, AHEAD[2]))))


@pytest.mark.parametrize("yaw", YAWS)
def test_glb_puts_the_marker_before_the_chair(yaw):
    scene = chair_and_marker(yaw)
    loaded = trimesh.load(io.BytesIO(glb_bytes(object_meshes(scene))), file_type="glb")
    chair, _ = loaded.graph["desk_chair_1"]
    mug, _ = loaded.graph["mug_1"]
    ahead = np.array([*frames.to_y_up([v / 100 for v in AHEAD]), 1])
    assert chair @ ahead == pytest.approx(mug[:, 3], abs=1e-6)
    assert frames.to_y_up((0, -1, 0)) == (0, 0, 1)  # glTF's front


@pytest.mark.parametrize("yaw", YAWS)
def test_obj_has_the_back_of_the_chair_behind_it(yaw, tmp_path):
    scene = chair_and_marker(yaw)
    path, materials = EXPORTS["obj"](scene, tmp_path / "room.obj", box)
    assert "newmtl" in materials.read_text()
    vertices, name = {}, ""
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "o":
            name = rest
        elif kind == "v":
            vertices.setdefault(name, []).append(frames.from_y_up([100 * float(v) for v in rest.split()]))
    chair = scene.objects[0]
    tops = [v for v in vertices["desk_chair_1"] if v[2] > 60]  # only the back is so high
    local = [chair.box.local((x, y)) for x, y, _ in tops]
    assert min(y for _, y in local) > 0.35 * 60
    corners = {(round(x, 1), round(y, 1)) for x, y, _ in vertices["desk_chair_1"]}
    assert {(round(x, 1), round(y, 1)) for x, y in chair.box.corners} <= corners


@pytest.mark.parametrize("yaw", YAWS)
def test_thor_puts_the_marker_before_the_chair(yaw):
    chair, mug = thor.house(chair_and_marker(yaw))["objects"]
    phi = math.radians(chair["rotation"]["y"])
    # Unity's model frame of our (x, y, z) is (−x, z, −y), its front +Z; a positive turn is clockwise from above.
    x, y, z = -AHEAD[0] / 100, AHEAD[2] / 100, -AHEAD[1] / 100
    placed = (x * math.cos(phi) + z * math.sin(phi), y, z * math.cos(phi) - x * math.sin(phi))
    at = chair["position"]
    assert at["x"] + placed[0] == pytest.approx(mug["position"]["x"], abs=1e-4)
    assert at["z"] + placed[2] == pytest.approx(mug["position"]["z"], abs=1e-4)
    assert placed[1] + 0.05 == pytest.approx(
        mug["position"]["y"]
    )  # a pivot is the centre of the box: 5 cm up in the mug
    assert at["y"] == pytest.approx(0.45)


@pytest.mark.parametrize("yaw", YAWS)
def test_habitat_puts_the_marker_before_the_chair(yaw):
    scene = chair_and_marker(yaw)
    rows = habitat.instance(scene, "room", {o.id: box(o.category, o.size) for o in scene.objects})[
        "object_instances"
    ]
    w, x, y, z = rows[0]["rotation"]
    v = np.array(frames.to_y_up([c / 100 for c in AHEAD]))
    turned = v + 2 * np.cross((x, y, z), np.cross((x, y, z), v) + w * v)
    assert turned + rows[0]["translation"] == pytest.approx(np.array(rows[1]["translation"]), abs=1e-4)
    assert rows[0]["non_uniform_scale"] == [0.5, 0.9, 0.6]


@pytest.mark.parametrize("yaw", YAWS)
def test_sceneeval_puts_the_marker_before_the_chair(yaw):
    scene = chair_and_marker(yaw)
    chair, mug = (
        np.array(sceneeval_export.matrix(o, box(o.category, o.size))).reshape(4, 4).T for o in scene.objects
    )
    # The model is a unit cube, y up: our cm in it are shares of the chair's size.
    model = frames.to_y_up((AHEAD[0] / 50, AHEAD[1] / 60, AHEAD[2] / 90))
    assert chair @ [*model, 1] == pytest.approx(mug[:, 3], abs=1e-5)


@pytest.mark.parametrize("yaw", YAWS)
def test_ssr_puts_the_marker_before_the_chair_and_comes_back(yaw):
    scene = chair_and_marker(yaw)
    value = ssr_export.ssr(scene)
    chair, mug = value["objects"]
    x, y, z, w = chair["rot"]
    v = np.array(frames.to_y_up([c / 100 for c in AHEAD]))
    turned = v + 2 * np.cross((x, y, z), np.cross((x, y, z), v) + w * v)
    assert turned + chair["pos"] == pytest.approx(np.array(mug["pos"]), abs=1e-3)
    back = ssr.read_ssr(value)
    assert (back.room.polygon, back.objects[0].id) == (scene.room.polygon, "desk_chair_1")
    for a, b in zip(scene.objects, back.objects, strict=True):
        assert b.pos == pytest.approx(a.pos, abs=0.02)
        assert (b.size, b.yaw) == (pytest.approx(a.size), pytest.approx(a.yaw, abs=1e-3))
    with pytest.raises(ValueError, match="'bounds_bottom' is missing"):
        ssr.read_ssr({"room_type": "bedroom"})
    with pytest.raises(ValueError, match="'all' is none of ours"):
        ssr.read_ssr(value | {"room_type": "all"})


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_writes_what_it_says_it_wrote(name, furnished, tmp_path):
    path = tmp_path / f"room{SUFFIXES[name]}"
    written = EXPORTS[name](furnished, path, box)
    assert written[0] == path
    assert all(p.stat().st_size > 0 for p in written)
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == set(written)


def test_a_glb_has_names_extras_and_the_sizes_of_the_objects(furnished):
    data = glb_bytes([*room_meshes(furnished.room), *object_meshes(furnished)], {"room_type": "bedroom"})
    length = int.from_bytes(data[12:16], "little")
    tree = json.loads(data[20 : 20 + length])
    nodes = {node["name"]: node for node in tree["nodes"]}
    assert nodes["desk_1"]["extras"] == {
        "kind": "object",
        "category": "desk",
        "size_cm": [120, 60, 75],
        "on": "floor",
    }
    assert nodes["floor"]["extras"]["kind"] == "floor"
    loaded = trimesh.load(io.BytesIO(data), file_type="glb")
    for o in furnished.objects:
        extents = loaded.geometry[f"{o.id}_mesh"].extents
        assert extents == pytest.approx([o.size[0] / 100, o.size[2] / 100, o.size[1] / 100], abs=1e-5)
    assert all(mesh.volume > 0 for mesh in loaded.geometry.values())  # faces look outwards


def test_thor_houses_come_back(furnished):
    (back,) = procthor.read_house(json.loads(json.dumps(thor.house(furnished))))
    assert same(back, furnished)


def test_sceneeval_states_come_back(furnished):
    back = sceneeval.read_state(json.loads(json.dumps(sceneeval_export.state(furnished))))
    assert same(back, furnished)


def test_rooms_of_every_shape_and_type_come_back_without_a_fault():
    for drawn in rooms(5, 12):
        for back in (
            procthor.read_house(thor.house(drawn.scene))[0],
            sceneeval.read_state(sceneeval_export.state(drawn.scene)),
        ):
            assert same(back, drawn.scene)
            assert not check(back).violations


def test_foreign_ids_are_numbered_by_category(furnished):
    house = thor.house(furnished)
    house["objects"][1]["id"] = "Chair|0|3"
    (back,) = procthor.read_house(house)
    assert sorted(back.by_id) == sorted(furnished.by_id)


def where(room, openings):
    """Both ends of every opening, in an order that does not depend on the file's."""
    ends = (room.walls[o.wall].at(o.start) + room.walls[o.wall].at(o.end) for o in openings)
    return sorted(tuple(round(v, 2) for v in spot) for spot in ends)


def same(back, scene):
    assert back.room == scene.room.model_copy(
        update={"polygon": back.room.polygon, "doors": back.room.doors, "windows": back.room.windows}
    )
    assert sorted(back.room.polygon) == sorted(scene.room.polygon)
    for mine, theirs in ((scene.room.doors, back.room.doors), (scene.room.windows, back.room.windows)):
        assert where(back.room, theirs) == [pytest.approx(spot, abs=0.01) for spot in where(scene.room, mine)]
    for o in scene.objects:
        other = back.by_id[o.id]
        assert (other.category, other.on) == (o.category, o.on)
        assert other.size == pytest.approx(o.size, abs=0.02)
        assert other.pos == pytest.approx(o.pos, abs=0.02)
        assert other.yaw == pytest.approx(o.yaw, abs=1e-3)
    return True


def test_foreign_houses_need_sizes_and_upright_objects(furnished):
    house = thor.house(furnished)
    del house["metadata"]["boxes"]
    with pytest.raises(ValueError, match=r"no size for the asset 'box_desk_1'"):
        procthor.read_house(house)
    sizes = {f"box_{o.id}": o.size for o in furnished.objects}
    house["objects"][0]["rotation"]["x"] = 90
    with pytest.raises(ValueError, match="'desk_1' is tilted"):
        procthor.read_house(house, sizes)
    house["rooms"][0]["roomType"] = "Garage"
    with pytest.raises(ValueError, match="the house has: Garage"):
        procthor.read_house(house, sizes)
    with pytest.raises(ValueError, match="'walls' is missing"):
        procthor.read_house({"rooms": [], "objects": []})


def test_an_asset_database_gives_width_depth_height_in_cm(tmp_path):
    path = tmp_path / "db.json"
    path.write_text(
        json.dumps({"Bed": [{"assetId": "Bed_1", "boundingBox": {"x": 1.6, "y": 0.5, "z": 2.1}}]})
    )
    assert procthor.read_sizes(path) == {"Bed_1": (160, 210, 50)}
    path.write_text("[1]")
    with pytest.raises(ValueError, match="no ProcTHOR asset database"):
        procthor.read_sizes(path)


def test_sceneeval_models_of_others_need_a_table(furnished):
    desk = AssetRow(id="desk.7", category="desk", size=(100, 50, 70))
    state = sceneeval_export.state(furnished, AssetFile([desk]))
    assert state["scene"]["object"][0]["modelId"] == "assets.desk.7"
    with pytest.raises(ValueError, match=r"no size for the model 'assets.desk.7'"):
        sceneeval.read_state(state)
    back = sceneeval.read_state(state, {"desk.7": desk})
    assert back.by_id["desk_1"].size == pytest.approx((120, 60, 75), abs=0.01)
    with pytest.raises(ValueError, match="sceneState"):
        sceneeval.read_state({"format": "other"})


def test_the_nearest_asset_in_size_and_meaning_is_taken(tmp_path):
    path = tmp_path / "assets.jsonl"
    rows = [
        {"id": "small", "category": "desk", "size": [100, 60, 75], "embedding": [1, 0]},
        {"id": "large", "category": "desk", "size": [180, 80, 75], "embedding": [0, 1]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assets = AssetFile.read(path)
    assert assets("desk", (110, 60, 75)).id == "small"
    assert assets("desk", (110, 60, 75), [0.0, 1.0]).id == "large"
    assert assets("sofa", (200, 90, 80)) == box("sofa", (200, 90, 80))
    assert assets("desk", (200, 60, 75)).scale((200, 80, 75)) == pytest.approx((200 / 180, 1, 1))
    with pytest.raises(ValueError, match="one text encoder"):
        assets("desk", (110, 60, 75), [1.0])
    path.write_text('{"id": "x", "category": "desk"}')
    with pytest.raises(ValueError, match=r"line 1: size"):
        AssetFile.read(path)


@pytest.mark.parametrize("category", SHAPES)
def test_parametric_furniture_fills_its_size_exactly(category):
    vertices, faces = furniture_mesh(category, (80, 60, 90))
    low, high = np.min(vertices, axis=0), np.max(vertices, axis=0)
    assert low == pytest.approx([-40, -30, 0])
    assert high == pytest.approx([40, 30, 90])
    assert all(x0 < x1 and y0 < y1 and z0 < z1 for x0, x1, y0, y1, z0, z1 in parts(category))
    assert trimesh.Trimesh(vertices, faces, process=False).volume > 0


def test_walls_leave_out_the_openings_and_nothing_else(furnished):
    room = furnished.room
    solid = sum(signed_area(p.footprint) * (p.top - p.bottom) for p in wall_pieces(room) if p.kind == "wall")
    full = sum(
        signed_area(p.footprint) * (p.top - p.bottom)
        for p in wall_pieces(Room(room_type="bedroom", polygon=L_SHAPE, height=250))
    )
    assert full - solid == pytest.approx(THICKNESS * (90 * 205 + 120 * 130))
    assert [p.name for p in wall_pieces(room) if p.kind == "glass"] == ["window_0"]


def test_ears_cover_the_polygon_once():
    ring = ((0, 0), (400, 0), (400, 300), (300, 300), (300, 200), (100, 200), (100, 300), (0, 300))
    found = triangles(ring)
    assert len(found) == len(ring) - 2
    assert sum(signed_area([ring[i] for i in t]) for t in found) == pytest.approx(signed_area(ring))
    vertices, faces = prism(ring, 0, 10)
    assert trimesh.Trimesh(vertices, faces).is_watertight
