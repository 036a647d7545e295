"""What a floor plan shows, read back from its shapes, its SVG and its pixels."""

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from layout.checks import check
from layout.render import plan, png, svg
from layout.render.drawing import Label, Path, overlapping
from layout.render.plan import PALE_RED, RED
from layout.schema import Door, Room, Scene
from layout.shell import outer_ring

L_SHAPE = ((0, 0), (500, 0), (500, 200), (300, 200), (300, 400), (0, 400))
SVG = "{http://www.w3.org/2000/svg}"


def labels(drawing):
    return [s for s in drawing.shapes if isinstance(s, Label)]


def outlines(drawing):
    return {s.title.split(":")[0]: s for s in drawing.shapes if isinstance(s, Path) and s.title}


def test_every_object_and_opening_is_drawn_where_it_stands(bedroom):
    found = outlines(plan(bedroom))
    for o in bedroom.objects:
        xs, ys = zip(*found[o.id].points, strict=True)
        drawn = (min(xs), min(ys), max(xs), max(ys))
        assert drawn == pytest.approx(o.box.bounds, abs=0.01)
    assert {"door 0, 90 cm wide", "window 0, sill 90 cm"} <= set(found)


def test_every_object_has_its_name_or_a_number_of_the_key(bedroom):
    drawing = plan(bedroom)
    texts = [label.text for label in labels(drawing)]
    for o in bedroom.objects:
        assert any(o.category.replace("_", " ") in text for text in texts)
    assert any(text.startswith("1 ") and "table lamp" in text for text in texts)
    assert "double bed" in texts


def test_no_two_texts_are_written_over_each_other(bedroom):
    boxes = [label.box for label in labels(plan(bedroom))]
    assert not any(overlapping(a, b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_faults_are_red_and_said(bedroom):
    blocked = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(70, 60, 0)))
    report = check(blocked)
    drawing = plan(blocked, report)
    found = outlines(drawing)
    assert found["wardrobe"].stroke == RED
    assert found["rug"].stroke != RED
    assert any(
        s.fill == PALE_RED and s.dash for s in drawing.shapes if isinstance(s, Path)
    )  # the door's floor
    said = " ".join(label.text for label in labels(drawing))
    assert all(v.message in said for v in report.violations)


@pytest.mark.parametrize("hinge", ["start", "end", "both"])
@pytest.mark.parametrize("swing", ["in", "out"])
def test_a_leaf_swings_to_the_side_the_door_opens_to(hinge, swing):
    room = Room(
        room_type="bedroom",
        polygon=L_SHAPE,
        doors=(Door(wall=0, start=100, end=190, hinge=hinge, swing=swing),),
    )
    leaves = [
        s for s in plan(Scene(room=room), labels=False).shapes
        if isinstance(s, Path) and s.fill == "#ffffff" and len(s.points) == 4 and s.width == 0.8 and s.points[0][0] <= 190
        and s.points[0][0] >= 100
    ]  # fmt: skip
    ends = [leaf.points[1] for leaf in leaves]
    assert {x for x, _ in ends} == {"start": {100}, "end": {190}, "both": {100, 190}}[hinge]
    assert all((y > 0) == (swing == "in") for _, y in ends)


def test_walls_are_drawn_outside_of_the_room_with_one_thickness():
    room = Room(room_type="bedroom", polygon=L_SHAPE)
    assert outer_ring(room, 10) == [(-10, -10), (510, -10), (510, 210), (310, 210), (310, 410), (-10, 410)]


def test_the_svg_is_well_formed_and_has_the_measures_in_metres(bedroom):
    tree = ElementTree.fromstring(svg(plan(bedroom)))
    texts = [element.text for element in tree.iter(f"{SVG}text")]
    assert texts.count("4.00") == 2
    assert texts.count("3.50") == 2
    titles = [element.text for element in tree.iter(f"{SVG}title")]
    assert any(title.startswith("bed: 160 x 205 x 50 cm") for title in titles)


def test_the_png_has_the_size_of_the_scale_and_the_bed_in_its_colour(bedroom):
    drawing = plan(bedroom, labels=False)
    x0, y0, x1, y1 = drawing.bounds(12)
    image = Image.open(io.BytesIO(png(drawing, scale=1))).convert("RGB")
    assert image.size == pytest.approx((x1 - x0, y1 - y0), abs=1)
    pixels = np.asarray(image)
    at = pixels[round(y1 - 200), round(150 - x0)]
    assert at == pytest.approx((0xC5, 0xD5, 0xE8), abs=6)


def test_a_png_that_would_be_huge_is_refused(bedroom):
    with pytest.raises(ValueError, match="smaller scale"):
        png(plan(bedroom), scale=100)
