"""Guides: what is offered is clear of everything, what a good room has is offered, and texts are as the wire has them."""

import json
import random
from itertools import pairwise

import pytest

from layout import guide as guides
from layout.answer_schema import yaws
from layout.asking import NumberChoice
from layout.checks import check
from layout.geometry import overrun
from layout.guide import RoomGuide, joined
from layout.parse import Parsed, parse
from layout.schema import Room, Scene
from layout.serialise import answer_text
from recipes.layout_rows import row

from .conftest import thing

SPACE = {"collision", "out_of_bounds", "door_blocked", "floating", "too_high", "overhang"}
OBLIQUE = Room(room_type="bedroom", polygon=((100, 0), (400, 0), (400, 350), (0, 350), (0, 100)))


def scenes(count, seed=11):
    return [row(seed, "test", i, kinds={"whole": 1}).scene for i in range(count)]


def upright(room):
    return all(yaw % 90 == 0 for yaw in yaws(room))


def offered(guide):
    """The texts that may come next, written out."""
    options = guide.options()
    return options.texts() if isinstance(options, NumberChoice) else options


def walked(guide, rng):
    """A text of choices at random."""
    text = ""
    while options := offered(guide):
        taken = rng.choice(options)
        guide.take(taken)
        text += taken
    return text


def test_chance_that_is_guided_meets_nothing(monkeypatch):
    rng, lost = random.Random(0), []
    anywhere = guides._anywhere
    monkeypatch.setattr(guides, "_anywhere", lambda *given: lost.append(1) or anywhere(*given))
    clear = 0
    for scene in scenes(60):
        lost.clear()
        guide = RoomGuide(scene.room, [o.id for o in scene.objects], "[")
        text = walked(guide, rng)
        read = parse('{"objects":' + text, scene.room)
        assert isinstance(read, Parsed)
        assert read.scene.objects == tuple(guide.objects)
        if not lost:  # where a piece fits nowhere any more it may stand anywhere
            clear += 1
            assert not SPACE & set(check(read.scene).codes)
    assert clear > 50


def test_the_rooms_of_training_are_among_the_choices():
    pieces = missed = 0
    for scene in scenes(60):
        text = answer_text(scene, plan=False).partition("[")[2]
        guide = RoomGuide(scene.room, [o.id for o in scene.objects], "")
        while options := offered(guide):
            taken = next((o for o in options if text.startswith(o)), None)
            if taken is None:
                missed += 1
                break
            guide.take(taken)
            text = text[len(taken) :]
        else:
            assert text == ""
        pieces += len(guide.objects)
    assert missed <= 0.02 * pieces


def test_no_choice_is_the_beginning_of_another():
    scene = scenes(1)[0]
    guide, rng = RoomGuide(scene.room, [o.id for o in scene.objects], "["), random.Random(1)
    while options := offered(guide):
        ordered = sorted(options)
        assert not any(b.startswith(a) for a, b in pairwise(ordered))
        guide.take(rng.choice(options))


def test_a_span_is_no_shorter_and_no_longer_than_its_kind(room):
    guide = RoomGuide(room, ["wardrobe_1"], "[")
    guide.take(next(o for o in offered(guide) if '"yaw":180' in o))
    guide.take("150,")
    assert offered(guide)[0] == "230,"
    assert offered(guide)[-1] == "390,"


def test_one_piece_ends_with_the_name_of_the_next(bedroom):
    ids = ["double_bed_1", "desk_1"]
    guide = RoomGuide(bedroom.room, ids, ',"objects":[', most=1)
    text = walked(guide, random.Random(2))
    assert text.startswith(',"objects":[{"id":"double_bed_1","on":"floor","yaw":')
    assert text.endswith(']},{"id":"desk')
    whole = walked(RoomGuide(bedroom.room, ids, "]},", guide.objects), random.Random(2))
    assert whole.startswith(']},{"id":"desk_1","on":"floor"')
    assert whole.endswith("]}]}")
    assert json.loads(whole.removeprefix("]},").removesuffix("]}"))["id"] == "desk_1"


def test_ranges_that_touch_are_one():
    assert joined([(5, 9), (1, 2), (3, 4), (20, 30), (22, 25), (8, 7)]) == ((1, 9), (20, 30))
    assert joined([]) == ()
    assert NumberChoice(((1, 2), (5, 5)), ",").texts() == ["1,", "2,", "5,"]


def test_what_fits_nowhere_is_still_written():
    room = Room(room_type="bedroom", polygon=((0, 0), (130, 0), (130, 130), (0, 130)))
    guide = RoomGuide(room, ["double_bed_1"], "[")
    read = parse('{"objects":' + walked(guide, random.Random(0)), room)
    assert isinstance(read, Parsed)
    assert read.scene.objects[0].category == "double_bed"


def test_along_an_oblique_wall_every_choice_of_a_position_is_clear():
    desk = thing("desk_1", "desk", (120, 60, 75), 0, (250, 320, 0))
    guide = RoomGuide(OBLIQUE, ["desk_1", "bookshelf_1"], "]},", [desk])
    heads = [o for o in offered(guide) if '"size":[' in o]
    assert {json.loads(o.split('"yaw":')[1].split(",")[0]) for o in heads} == {45, 135, 225, 315}
    guide.take(next(o for o in heads if '"yaw":135' in o))
    for text in ("80,", "30,", '200],"pos":['):
        assert text in offered(guide)
        guide.take(text)
    xs = offered(guide)
    assert "70," in xs
    guide.take("70,")
    ys = [int(o.removesuffix(",")) for o in offered(guide)]
    for y in ys:
        shelf = thing("bookshelf_1", "bookshelf", (80, 30, 200), 135, (70, y, 0))
        report = check(Scene(room=OBLIQUE, objects=(desk, shelf)))
        assert not SPACE & set(report.codes), y
    assert not check(
        Scene(
            room=OBLIQUE, objects=(thing("bookshelf_1", "bookshelf", (80, 30, 200), 135, (70, min(ys), 0)),)
        )
    ).of("off_wall")  # the first is the one at the wall
    shelf = thing("bookshelf_1", "bookshelf", (80, 30, 200), 135, (70, min(ys) - 2, 0))
    assert overrun(shelf.box.corners, OBLIQUE.polygon) > 0.5


@pytest.mark.parametrize("scene", [s for s in scenes(60) if not upright(s.room)][:3])
def test_oblique_rooms_are_followed_as_well(scene):
    guide = RoomGuide(scene.room, [o.id for o in scene.objects], "[")
    read = parse('{"objects":' + walked(guide, random.Random(3)), scene.room)
    assert isinstance(read, Parsed)
    assert not {"floating", "too_high"} & set(check(read.scene).codes)
