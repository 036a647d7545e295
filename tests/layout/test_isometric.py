"""Rooms in space: which faces are drawn, and in pixels what covers what."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from layout import furniture
from layout.checks import check
from layout.render import isometric, png, svg
from layout.render.drawing import Drawing
from layout.render.isometric import best_azimuth, low_walls, object_solids
from layout.render.png import picture
from layout.render.solids import Solid, View, paint_order
from layout.render.svg import MARGIN
from layout.schema import Door, Room, Scene, SceneObject, Window

RED, GREEN, BLUE = "#ff0000", "#00ff00", "#0000ff"
AZIMUTHS = (0.0, 35.0, 125.0, 200.0, 305.0)


def block(x, y, z, width, depth, height, colour, yaw=0.0):
    box = SceneObject(id="b", category="desk", size=(width, depth, height), yaw=yaw, pos=(x, y, z)).box
    return Solid(tuple(box.corners), z, z + height, colour)


def nearness(solid, view, u, v):
    """How near the first point of a solid is on the rays through points of the paper, -inf where they miss: rays cut by its half-spaces."""
    (rx, ry), (tx, ty) = view.right, view.towards
    tilt = math.radians(view.elevation)
    start = rx * u - tx * v * math.sin(tilt), ry * u - ty * v * math.sin(tilt), v * math.cos(tilt)
    along = tx * math.cos(tilt), ty * math.cos(tilt), math.sin(tilt)
    planes = [((0, 0, 1), solid.top), ((0, 0, -1), -solid.bottom)]
    for (nx, ny), (px, py) in zip(solid.normals(), solid.footprint, strict=True):
        planes.append(((nx, ny, 0), nx * px + ny * py))
    low, high = np.full(u.shape, -np.inf), np.full(u.shape, np.inf)
    for normal, limit in planes:
        rate = sum(a * b for a, b in zip(normal, along, strict=True))
        room = limit - sum(a * b for a, b in zip(normal, start, strict=True))
        if abs(rate) < 1e-9:
            high = np.where(room < 0, -np.inf, high)
        elif rate > 0:
            high = np.minimum(high, room / rate)
        else:
            low = np.maximum(low, room / rate)
    return np.where(high - low > 0.01, high, -np.inf)


def assert_nearest_last(solids, view, step=4.0):
    """At every point of a grid on the paper, the solid painted last is the one the ray meets first. Returns the points with more than one."""
    order = paint_order(solids, view)
    assert sorted(map(id, order)) == sorted(map(id, solids))
    outline = [view.screen(x, y, z) for s in solids for x, y in s.footprint for z in (s.bottom, s.top)]
    (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in zip(*outline, strict=True))
    u, v = np.meshgrid(np.arange(x0 + 0.37, x1, step), np.arange(y0 + 0.61, y1, step))
    met = np.stack([nearness(s, view, u, v) for s in order])
    painted = np.full(u.shape, -np.inf)
    for layer in met:
        painted = np.where(np.isfinite(layer), layer, painted)
    several = np.isfinite(met).sum(axis=0) > 1
    assert (painted[several] >= met.max(axis=0)[several] - 0.02).all()
    return int(several.sum())


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_a_furnished_room_is_painted_from_back_to_front(bedroom, azimuth):
    """Lamp on stand, chair at desk, rug below; checked against rays, which know nothing of the order."""
    solids = [s for o in bedroom.objects if o.id != "rug" for s in object_solids(o)]
    assert assert_nearest_last(solids, View(azimuth)) > 50


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_a_long_low_piece_does_not_cover_what_stands_on_and_before_it(azimuth):
    """Centres alone would say the contrary: the board's is nearer than the cup's, the beam's nearer than the post's."""
    solids = [
        block(0, 0, 0, 400, 60, 40, RED),
        block(-180, 20, 40, 15, 15, 10, GREEN),
        block(-190, -45, 0, 20, 20, 90, BLUE),
        block(190, 60, 0, 30, 20, 120, GREEN, yaw=30),
        block(0, -150, 0, 300, 20, 20, BLUE, yaw=10),
    ]
    assert assert_nearest_last(solids, View(azimuth)) > 20


def test_a_ring_of_pieces_is_still_painted_whole():
    """Three beams, each over the end of the next: no order is right, none may be lost."""
    corners = [
        (100 * math.cos(a), 100 * math.sin(a)) for a in (0.5, 0.5 + math.tau / 3, 0.5 + 2 * math.tau / 3)
    ]
    beams = []
    for i, (x, y) in enumerate(corners):
        qx, qy = corners[(i + 1) % 3]
        yaw = math.degrees(math.atan2(qy - y, qx - x)) % 360
        beams.append(block((x + qx) / 2, (y + qy) / 2, 0, 150, 12, 60, RED, yaw=round(yaw)))
    assert len(paint_order(beams, View(35))) == 3


@pytest.mark.parametrize("azimuth", AZIMUTHS)
def test_every_face_is_drawn_or_turned_away(bedroom, azimuth):
    """A box shows its top and the sides whose outward normal is turned to the viewer: two, or one seen straight on; nothing twice."""
    view = View(azimuth)
    tx, ty = view.towards
    drawing = isometric(bedroom, azimuth=azimuth)
    for o in bedroom.objects:
        if o.category == "table_lamp":
            continue
        sides = [
            (o.box.sin, -o.box.cos),
            (-o.box.sin, o.box.cos),
            (o.box.cos, o.box.sin),
            (-o.box.cos, -o.box.sin),
        ]
        shown = sum(nx * tx + ny * ty > 1e-6 for nx, ny in sides)
        drawn = [s.points for s in drawing.shapes if s.title.startswith(f"{o.id}:")]
        assert len(drawn) == len(set(drawn)) == (shown + 1) * len(furniture.parts(o.category))


def colour_at(drawing, view, point):
    x0, _, _, y1 = drawing.bounds(MARGIN)
    x, y = view.screen(*point)
    return picture(drawing, 1.0).getpixel((round(x - x0), round(y1 - y)))


def strongest(pixel):
    return "rgb"[max(range(3), key=lambda i: pixel[i])]


def scene_of(room, *objects):
    return Scene(room=room, objects=objects)


def test_in_pixels_the_nearer_box_covers_the_farther_one(room):
    """A red (faulty) wardrobe and a green plant on one line of sight, then with their places changed."""
    near, far = (200, 100), (200, 190)
    for plant, wardrobe, want in ((near, far, "g"), (far, near, "r")):
        scene = scene_of(
            room,
            SceneObject(id="p", category="sofa", size=(120, 60, 160), pos=(*plant, 0)),
            SceneObject(id="w", category="wardrobe", size=(120, 60, 160), pos=(*wardrobe, 0)),
        )
        report = check(scene_of(room, scene.objects[1].moved(pos=(390, 100, 0))))
        assert any("w" in v.ids for v in report.violations)
        drawing = isometric(scene, report, azimuth=0)
        front = scene.objects[0 if want == "g" else 1].box
        assert strongest(colour_at(drawing, View(0), (200, front.y - 30, 130))) == want


def test_in_pixels_a_thing_on_a_top_is_seen_and_a_rug_is_under_the_bed(room):
    desk = SceneObject(id="desk", category="desk", size=(120, 60, 75), pos=(200, 150, 0))
    screen = SceneObject(id="tv", category="plant", size=(30, 30, 40), pos=(200, 150, 75), on="desk")
    bed = SceneObject(id="bed", category="double_bed", size=(160, 200, 50), pos=(100, 230, 0))
    rug = SceneObject(id="rug", category="rug", size=(200, 230, 2), pos=(105, 200, 0))
    view = View(35)
    drawing = isometric(scene_of(room, screen, desk, rug, bed), azimuth=35)
    assert strongest(colour_at(drawing, view, (200, 150, 115))) == "g"
    assert strongest(colour_at(drawing, view, (40, 200, 25))) == "b"  # the mattress, not the rug below it
    assert colour_at(drawing, view, (195, 100, 2)) == pytest.approx((0xF1, 0xE9, 0xE2), abs=3)


def test_walls_next_to_the_viewer_are_low_and_what_hangs_on_them_is_left_out(room):
    assert low_walls(room, View(35)) == {0, 1}
    assert low_walls(room, View(215)) == {2, 3}
    picture_on = {
        side: SceneObject(id=side, category="painting", size=(60, 4, 40), yaw=yaw, pos=pos, on="wall")
        for side, yaw, pos in (("south", 180, (250, 2, 140)), ("west", 90, (2, 175, 140)))
    }
    titles = {
        s.title.split(":")[0] for s in isometric(scene_of(room, *picture_on.values()), azimuth=35).shapes
    }
    assert "west" in titles
    assert "south" not in titles
    assert "window_0" in titles
    assert "door 0" not in titles


def test_the_wall_in_the_notch_of_an_l_shape_does_not_hide_the_arm_behind_it():
    room = Room(
        room_type="living_room",
        polygon=((0, 0), (500, 0), (500, 200), (300, 200), (300, 400), (0, 400)),
        doors=(Door(wall=0, start=20, end=110),),
    )
    assert low_walls(room, View(55)) == {0, 1, 2, 3}
    assert low_walls(room, View(235)) == {2, 3, 4, 5}
    assert low_walls(room, View(305)) == {0, 5}


def test_oblique_walls_are_cut_by_where_they_look():
    """The chamfered corner is low when one looks over it and whole, with its window, from the other side."""
    room = Room(
        room_type="bedroom",
        polygon=((0, 0), (400, 0), (400, 250), (300, 350), (0, 350)),
        doors=(Door(wall=0, start=20, end=110),),
        windows=(Window(wall=2, start=20, end=120, sill=90, head=200),),
    )
    scene = Scene(room=room)
    assert 2 in low_walls(room, View(135))
    assert 2 not in low_walls(room, View(305))
    panes = [sum(s.title == "window_0" for s in isometric(scene, azimuth=a).shapes) for a in (135, 305)]
    assert panes[0] == 0
    assert panes[1] > 1  # its face and its top
    x, y = room.walls[2].at(70, -5)
    red, _, blue = colour_at(isometric(scene, azimuth=305), View(305), (x, y, 150))
    assert blue > red + 20


def test_the_default_look_sees_the_fronts(room):
    sofa = SceneObject(id="sofa", category="sofa", size=(200, 90, 80), yaw=90, pos=(45, 175, 0))
    tx, ty = View(best_azimuth(scene_of(room, sofa))).towards
    assert tx > 0.7
    assert abs(ty) > 0.4


def test_faults_are_red_only_with_a_report(bedroom):
    blocked = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(70, 60, 0)))
    strokes = {s.title.split(":")[0]: s.stroke for s in isometric(blocked, check(blocked)).shapes}
    assert strokes["wardrobe"] == "#c62828"
    assert strokes["rug"] != "#c62828"
    assert "#c62828" not in svg(isometric(blocked))


@pytest.mark.parametrize(
    "polygon", [((0, 0), (400, 0), (400, 350), (0, 350)), ((0, 0), (380, 40), (300, 340), (40, 300))]
)
def test_an_empty_room_is_a_picture_inside_its_paper(polygon):
    room = Room(room_type="bathroom", polygon=polygon, doors=(Door(wall=0, start=20, end=110),))
    drawing = isometric(Scene(room=room))
    assert isinstance(drawing, Drawing)
    image = picture(drawing, 1.0)
    border = [image.getpixel((x, y)) for x in range(image.width) for y in (0, image.height - 1)]
    assert set(border) == {(255, 255, 255)}
    assert png(drawing, 1.0).startswith(b"\x89PNG")


def test_a_file_keeps_the_colours_of_small_things(bedroom):
    """A palette by area would give the lamp the colour of the floor."""
    drawing = isometric(bedroom)
    kept = np.asarray(Image.open(io.BytesIO(png(drawing, 1.0))).convert("RGB")).astype(int)
    assert np.abs(kept - np.asarray(picture(drawing, 1.0)).astype(int)).max() <= 12


def test_looks_that_show_nothing_are_refused(bedroom):
    with pytest.raises(ValueError, match=r"azimuth nan: give degrees"):
        isometric(bedroom, azimuth=math.nan)
    with pytest.raises(ValueError, match=r"elevation 90: .* below 90"):
        isometric(bedroom, elevation=90)
