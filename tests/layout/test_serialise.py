import json
import random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout import answer_schema, serialise, synthesis
from layout.instructions import instruct
from layout.parse import Parsed, ParseFailure, parse
from layout.schema import ROOM_TYPES, Scene

from .conftest import thing

BATHROOM = synthesis.draw("bathroom", "junk", 0).scene


@pytest.fixture
def answer(bedroom):
    return serialise.answer_text(bedroom)


def allowed(value, schema):
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def test_the_room_in_lines(room):
    assert serialise.room_text(room) == (
        "room bedroom height 260\n"
        "corners 0,0 400,0 400,350 0,350\n"
        "door wall 0 span 20,110,0,90 opens in\n"
        "window wall 2 span 200,340,350,350 sill 90 head 210"
    )


def test_the_prompt_ends_with_the_request(bedroom):
    text = serialise.prompt_text(bedroom.room, "a bed\n by the  window", plan=False, keep=bedroom.objects[:1])
    assert text.splitlines()[-3:] == [
        'keep {"id":"bed","on":"floor","yaw":90,"span":[0,205,140,300,0,50]}',
        "request a bed by the window",
        "answer objects",
    ]


@given(st.sampled_from(ROOM_TYPES), st.integers(0, 10**6), st.booleans())
@settings(max_examples=15, deadline=None)
def test_what_is_written_is_read_back_and_fits_the_schema(kind, index, plan):
    scene = synthesis.draw(kind, "wire", index).scene
    text = serialise.answer_text(scene, plan=plan)
    read = parse(text, scene.room)
    assert isinstance(read, Parsed)
    assert read.scene == serialise.carriers_first(scene)
    assert (read.plan is not None) is plan
    assert serialise.answer_text(read.scene, plan=plan) == text
    value = json.loads(text)
    request = instruct(scene, index).text
    assert allowed(value, answer_schema.answer_schema(scene.room, request, plan=plan))
    if plan:
        # The plan alone names the ids, in the order in which the objects follow.
        ids = serialise.ids_in_plan(read.plan or "")
        assert ids == [o.id for o in read.scene.objects]


def test_the_schema_from_a_plan_takes_the_answer_with_that_plan():
    for kind in ROOM_TYPES:
        scene = synthesis.draw(kind, "plan", 1).scene
        text = serialise.answer_text(scene)
        schema = answer_schema.answer_schema(scene.room, ids=serialise.ids_in_plan(json.loads(text)["plan"]))
        assert allowed(json.loads(text), schema)


def test_floats_are_rounded(bedroom):
    text = serialise.answer_text(
        bedroom.replaced(bedroom.by_id["bed"].moved(pos=(102.6, 220.2, 0), yaw=359.7))
    )
    assert '"id":"bed","on":"floor","yaw":0,"span":[23,183,118,323,0,50]' in text


def test_what_is_at_no_quarter_turn_says_size_and_position(bedroom):
    turned = bedroom.by_id["bed"].moved(pos=(202.6, 170.2, 0), yaw=37.3)
    text = serialise.answer_text(bedroom.replaced(turned))
    assert '"id":"bed","on":"floor","yaw":37,"size":[160,205,50],"pos":[203,170,0]' in text
    read = parse(text, bedroom.room)
    assert isinstance(read, Parsed)
    assert read.scene.by_id["bed"].pos == (203, 170, 0)


@pytest.mark.parametrize(
    ("span", "yaw", "size", "pos"),
    [
        ([0, 205, 140, 300, 0, 50], 90, (160, 205, 50), (102.5, 220, 0)),
        ([0, 205, 140, 300, 0, 50], 180, (205, 160, 50), (102.5, 220, 0)),
        ([205, 0, 300, 140, 50, 0], 270, (160, 205, 50), (102.5, 220, 0)),
        ([10, 10, 20, 30, 40, 40], 0, (1, 10, 1), (10.5, 25, 40)),
    ],
)
def test_a_span_is_a_size_and_a_place(span, yaw, size, pos):
    assert serialise.of_span(span, yaw) == (size, pos)


def test_kept_pieces_have_a_plan_of_their_own(room):
    stand = thing("nightstand_1", "nightstand", (40, 40, 55), 0, (100, 330, 0))
    other = thing("nightstand_2", "nightstand", (40, 40, 55), 0, (300, 330, 0))
    scene = Scene(room=room, objects=(stand, other))
    assert json.loads(serialise.answer_text(scene))["plan"] == "2 nightstand at wall 2"
    parts = json.loads(serialise.answer_text(scene, kept=1))["plan"]
    assert parts == "nightstand at wall 2; nightstand at wall 2"
    assert serialise.ids_in_plan(parts) == ["nightstand_1", "nightstand_2"]


def test_carriers_come_first(room):
    lamp = thing("table_lamp_1", "table_lamp", (20, 20, 40), 0, (100, 330, 55), on="nightstand_1")
    stand = thing("nightstand_1", "nightstand", (40, 40, 55), 0, (100, 330, 0))
    text = serialise.answer_text(Scene(room=room, objects=(lamp, stand)))
    assert text.index('"id":"nightstand_1"') < text.index('"id":"table_lamp_1"')


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o["span"].__setitem__(1, 401),
        lambda o: o["span"].__setitem__(2, -1),
        lambda o: o.update(yaw=45),
        lambda o: o.update(id="spaceship_1"),
        lambda o: o.update(span=[0, 205, 140, 300]),
        lambda o: o.update(colour="red"),
        lambda o: o["span"].__setitem__(0, 0.5),
        lambda o: o.pop("on"),
    ],
)
def test_the_schema_refuses_what_a_room_cannot_hold(room, change):
    bed = thing("double_bed_1", "double_bed", (160, 204, 50), 90, (102, 220, 0))
    value = json.loads(serialise.answer_text(Scene(room=room, objects=(bed,))))
    free, planned = answer_schema.answer_schema(room), answer_schema.answer_schema(room, ids=["double_bed_1"])
    assert allowed(value, free)
    assert allowed(value, planned)
    change(value["objects"][0])
    assert not allowed(value, free)
    assert not allowed(value, planned)


def test_an_oblique_room_offers_the_yaws_of_its_walls():
    scene = synthesis.draw_room(random.Random(3), "bedroom", "oblique")
    offered = answer_schema.yaws(scene)
    assert {0, 90, 180, 270} < set(offered)
    assert len(offered) == 8


def test_a_planned_schema_bounds_places_and_carriers(room):
    schema = answer_schema.answer_schema(room, ids=["nightstand_1", "table_lamp_1"])
    stand, lamp = schema["properties"]["objects"]["prefixItems"]
    ends = stand["properties"]["span"]["prefixItems"]
    assert [(e["minimum"], e["maximum"]) for e in ends] == [(0, 400)] * 2 + [(0, 350)] * 2 + [(0, 260)] * 2
    assert stand["properties"]["on"] == {"enum": ["floor"]}
    assert lamp["properties"]["on"] == {"enum": ["nightstand_1"]}


def test_an_oblique_room_bounds_sizes_of_what_is_turned():
    room = synthesis.draw_room(random.Random(3), "bedroom", "oblique")
    schema = answer_schema.answer_schema(room, ids=["nightstand_1"])
    straight, turned = schema["properties"]["objects"]["prefixItems"][0]["anyOf"]
    assert set(straight["properties"]["yaw"]["enum"]) == {0, 90, 180, 270}
    assert turned["properties"]["size"]["prefixItems"][0] == {"type": "integer", "minimum": 35, "maximum": 65}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            "a bedroom with a bed, two nightstands and a wardrobe",
            {"double_bed": 1, "nightstand": 2, "wardrobe": 1},
        ),
        (
            "4 dining chairs around a dining table, no plants",
            {"dining_chair": 4, "dining_table": 1, "plant": 0},
        ),
        (
            "a couch, both armchairs, a TV stand with the television",
            {"sofa": 1, "armchair": 2, "tv_stand": 1, "television": 1},
        ),
        ("two large bookshelves; the bookshelf by the door", {"bookshelf": 2}),
        ("somewhere nice to sit", {}),
        (
            "Living room of 30.6 m2: sofa 200 x 90 x 80 cm, 2 armchairs 70 x 70 x 80 cm, desk 120 x 60 x 75 cm",
            {"sofa": 1, "armchair": 2, "desk": 1},
        ),
        ("13 x 12 ft: bed and 2 plants", {"double_bed": 1, "plant": 2}),
    ],
)
def test_a_request_s_words_name_objects(request_, expected):
    assert serialise.mentioned(request_) == expected


def test_what_is_asked_for_bounds_the_number_of_objects(room):
    schema = answer_schema.answer_schema(room, "a toilet and three plants, no desk")
    objects = schema["properties"]["objects"]
    offered = objects["items"]["properties"]["id"]["enum"]
    assert objects["minItems"] == 4
    assert "toilet_1" in offered  # unusual in a bedroom, but named
    assert "desk_1" not in offered
    assert "bathtub_1" not in offered


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "empty", "0"),
        ("I would rather not.", "not_json", "0"),
        ('{"objects":[{"id":"a"', "truncated", "21"),
        ('{"objects":[], "plan":"a', "truncated", "22"),
        ('{"objects":[}', "not_json", "12"),
        ('{"objects":"none"}', "schema", "objects"),
        ('{"furniture":[]}', "schema", "objects"),
        ('{"objects":[{"id":"bed_1","on":"floor","size":[160,205],"yaw":0,"pos":[1,1,0]}]}', "schema", "objects[0].size"),
        ('{"objects":[{"id":"bed_1","on":"floor","size":[160,205,1.5],"yaw":0,"pos":[1,1,0]}]}', "schema", "objects[0].size[2]"),
        ('{"objects":[{"id":"bed_1","on":"floor","size":[160,0,50],"yaw":0,"pos":[1,1,0]}]}', "schema", "objects[0].size[1]"),
        ('{"objects":[{"id":"bed_1","on":"floor","yaw":0,"span":[0,10,0,10,0]}]}', "schema", "objects[0].span"),
        ('{"objects":[{"id":"bed_1","on":"floor","yaw":45,"span":[0,10,0,10,0,10]}]}', "schema", "objects[0]"),
        ('{"objects":[{"id":"bed_1","on":"floor","yaw":0,"span":[0,10,0,10,0,10],"pos":[1,1,0]}]}', "schema", "objects[0]"),
        ('{"objects":[{"id":"bed_1","on":"floor","yaw":0,"size":[10,10,10]}]}', "schema", "objects[0]"),
        ('{"objects":[{"id":"Bed!","on":"floor","size":[160,205,50],"yaw":0,"pos":[1,1,0]}]}', "schema", "objects[0].id"),
        ('{"objects":[{"id":"bed_1","on":"cloud","size":[160,205,50],"yaw":0,"pos":[1,1,0]}]}', "structure", "objects"),
        ("[" * 100_000, "not_json", "0"),
        ('{"objects":' + "[" * 100_000, "not_json", "0"),
    ],
)  # fmt: skip
def test_a_failure_names_its_kind_and_its_place(room, text, code, place):
    failure = parse(text, room)
    assert isinstance(failure, ParseFailure)
    assert (failure.code, failure.place) == (code, place)


def test_text_around_the_json_is_no_matter(bedroom, answer):
    for text in (f"```json\n{answer}\n```", f"<answer>{answer}</answer>", f"Here you are: {answer} Enjoy."):
        read = parse(text, bedroom.room)
        assert isinstance(read, Parsed)


@given(st.text(max_size=60), st.integers(0, 900))
@settings(max_examples=60, deadline=None)
def test_no_text_makes_the_parser_raise(junk, cut):
    whole = serialise.answer_text(BATHROOM)
    parse(junk, BATHROOM.room)
    parse(whole[:cut] + junk + whole[cut + 3 :], BATHROOM.room)


def test_a_duplicate_id_is_named(room):
    one = '{"id":"bed_1","on":"floor","size":[160,205,50],"yaw":0,"pos":[100,200,0]}'
    failure = parse(f'{{"objects":[{one},{one}]}}', room)
    assert isinstance(failure, ParseFailure)
    assert failure.code == "structure"
    assert "used twice" in failure.message
