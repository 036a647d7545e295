"""USD and DXF, read back by small parsers of their own: places, turns, sizes, layers, and the marker in front of a chair at eight yaws."""

import math
import re

import pytest

from layout.export.dxf import LAYERS, dxf
from layout.export.usd import usda
from layout.geometry import signed_area
from layout.schema import Door, Room, Scene, Window
from layout.shell import THICKNESS, leaves
from layout.synthesis import rooms

from .conftest import L_SHAPE, thing
from .test_export import AHEAD, YAWS, chair_and_marker


def _numbers(body, pattern):
    return [float(v) for v in re.findall(r"-?[\d.]+(?:e-?\d+)?", re.search(pattern, body)[1])]


def usd_prims(text):
    """{name: {"translate", "yaw", "points", "faces", "category"}} of a file as usda writes it, brackets checked."""
    assert text.startswith("#usda 1.0\n")
    for left, right in ("()", "[]", "{}"):
        assert text.count(left) == text.count(right)
    found = {}
    for name, body in re.findall(r'\n    def Xform "(\w+)"\n    \{\n(.*?)\n    \}', text, re.DOTALL):
        flat = _numbers(body, r"points = \[(.*?)\]\n")
        found[name] = {
            "translate": _numbers(body, r"xformOp:translate = \((.*?)\)"),
            "yaw": _numbers(body, r"xformOp:rotateZ = (.*)")[0],
            "points": list(zip(flat[::3], flat[1::3], flat[2::3], strict=True)),
            "counts": [int(v) for v in _numbers(body, r"faceVertexCounts = \[(.*?)\]")],
            "indices": [int(v) for v in _numbers(body, r"faceVertexIndices = \[(.*?)\]")],
            "category": (re.search(r'category = "(\w+)"', body) or [None, None])[1],
        }
    return found


def dxf_entities(text):
    """The entities as (kind, layer, [(code, value), …]); vertices stay with their polyline."""
    lines = text.split("\n")
    assert lines[-1] == ""
    pairs = [(int(code), value) for code, value in zip(lines[:-1:2], lines[1::2], strict=True)]
    assert pairs[-1] == (0, "EOF")
    assert (
        [v for c, v in pairs if c == 0].count("SECTION")
        == [v for c, v in pairs if c == 0].count("ENDSEC")
        == 3
    )
    start = pairs.index((2, "ENTITIES")) + 1
    found = []
    for code, value in pairs[start:-2]:
        if code == 0:
            found.append((value, []))
        else:
            found[-1][1].append((code, value))
    return [(kind, dict(rest)[8], rest) for kind, rest in found]


def polylines(entities, layer):
    """Rings of a layer."""
    rings, ring = [], None
    for kind, name, rest in entities:
        if kind == "POLYLINE":
            assert dict(rest)[70] == "1"  # closed
            ring = [] if name == layer else None
        elif kind == "VERTEX" and ring is not None:
            ring.append((float(dict(rest)[10]), float(dict(rest)[20])))
        elif kind == "SEQEND" and ring is not None:
            rings.append(ring)
            ring = None
    return rings


@pytest.mark.parametrize("yaw", YAWS)
def test_usd_puts_the_marker_before_the_chair(yaw):
    prims = usd_prims(usda(chair_and_marker(yaw)))
    chair, mug = prims["desk_chair_1"], prims["mug_1"]
    angle = math.radians(chair["yaw"])  # rotateZ turns counter-clockwise about +z
    x, y = AHEAD[0] / 100, AHEAD[1] / 100
    placed = (
        chair["translate"][0] + x * math.cos(angle) - y * math.sin(angle),
        chair["translate"][1] + x * math.sin(angle) + y * math.cos(angle),
        AHEAD[2] / 100,
    )
    assert placed == pytest.approx(mug["translate"], abs=1e-5)
    back = [p for p in chair["points"] if p[2] > 0.6]  # only the back is so high, and it is behind: front −y
    assert min(p[1] for p in back) > 0.35 * 0.6


def test_usd_has_units_axis_sizes_and_whole_meshes():
    scene = next(iter(rooms(3, 1))).scene
    text = usda(scene)
    assert "metersPerUnit = 1\n" in text
    assert 'upAxis = "Z"\n' in text
    prims = usd_prims(text)
    assert {o.id for o in scene.objects} | {"floor"} <= set(prims)
    for o in scene.objects:
        prim = prims[o.id]
        extents = [max(axis) - min(axis) for axis in zip(*prim["points"], strict=True)]
        assert extents == pytest.approx([v / 100 for v in o.size], abs=1e-5)
        assert prim["category"] == o.category
        assert set(prim["counts"]) == {3}
        assert len(prim["indices"]) == 3 * len(prim["counts"])
        assert set(prim["indices"]) == set(range(len(prim["points"])))


def test_usd_names_begin_with_a_letter():
    room = Room(room_type="bedroom", polygon=L_SHAPE)
    prims = usd_prims(
        usda(Scene(room=room, objects=(thing("3_desks", "desk", (120, 60, 75), 0, (100, 370, 0)),)))
    )
    assert "_3_desks" in prims


@pytest.mark.parametrize("yaw", YAWS)
def test_dxf_draws_the_chair_where_it_is_with_its_mark_at_the_front(yaw):
    chair = chair_and_marker(yaw).objects[0]
    rings = polylines(dxf_entities(dxf(chair_and_marker(yaw))), "FURNITURE")
    assert [v for p in rings[0] for v in p] == pytest.approx(
        [v for p in chair.box.corners for v in p], abs=1e-3
    )
    tip = chair.box.local(rings[1][2])
    assert tip[1] < 0
    assert max(chair.box.local(p)[1] for p in rings[1][:2]) == pytest.approx(-30, abs=1e-3)


@pytest.mark.parametrize("hinge", ["start", "end", "both", "none"])
@pytest.mark.parametrize("swing", ["in", "out"])
def test_dxf_has_the_outline_the_openings_and_every_name(hinge, swing):
    room = Room(
        room_type="bedroom",
        polygon=L_SHAPE,
        doors=(Door(wall=3, start=40, end=130, hinge=hinge, swing=swing),),
        windows=(Window(wall=5, start=100, end=220),),
    )
    lamp = thing("lamp", "ceiling_light", (40, 40, 20), 0, (150, 200, 240), on="ceiling")
    entities = dxf_entities(
        dxf(Scene(room=room, objects=(lamp, thing("desk_1", "desk", (120, 60, 75), 0, (100, 370, 0)))))
    )
    assert {layer for _, layer, _ in entities} <= set(LAYERS)
    inner, outer = polylines(entities, "WALLS")
    assert inner == list(L_SHAPE)
    assert signed_area(outer) > signed_area(inner) + THICKNESS * 1000
    arcs = [dict(rest) for kind, _, rest in entities if kind == "ARC"]
    found = leaves(room.walls[3], room.doors[0])
    assert len(arcs) == len(found) == {"both": 2, "none": 0}.get(hinge, 1)
    for arc, leaf in zip(arcs, found, strict=True):
        ends = [
            (
                float(arc[10]) + float(arc[40]) * math.cos(math.radians(float(arc[a]))),
                float(arc[20]) + float(arc[40]) * math.sin(math.radians(float(arc[a]))),
            )
            for a in (50, 51)
        ]
        for end in (leaf.shut, leaf.open):
            assert min(math.dist(end, e) for e in ends) < 0.01
        assert (float(arc[51]) - float(arc[50])) % 360 == pytest.approx(90)
    assert [dict(rest)[1] for kind, _, rest in entities if kind == "TEXT"] == ["lamp", "desk_1"]
    assert len(polylines(entities, "OVERHEAD")) == 2
    assert polylines(entities, "WINDOWS") == [[(-THICKNESS, 300), (-THICKNESS, 180), (0, 180), (0, 300)]]
