"""Somebody's own furniture: read with every fault named, known within `using`, asked of a model in words it knows, given its exact size."""

import json

import pytest

from layout import catalogue
from layout.answer_schema import answer_schema
from layout.catalogue import CATALOGUE, base, category, named, of_room, using
from layout.checks import check
from layout.export.mesh import furniture_mesh
from layout.generate import generate
from layout.own_catalogue import load
from layout.own_pieces import in_known_words
from layout.palette import colour
from layout.schema import Room, Scene
from layout.serialise import answer_text, mentioned

from .conftest import thing
from .test_generate import Reciter

SOFAS = [{"name": "sofa", "size": [218, 88, 83]}, {"name": "sofa", "size": [160, 85, 80]}]
BILLY = {"name": "billy", "like": "bookshelf", "size": [80, 28, 202], "synonyms": ["Billy", "Billy bookcase"]}


@pytest.fixture
def write(tmp_path):
    def written(entries, name="mine.json"):
        path = tmp_path / name
        path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
        return path

    return written


def test_an_own_kind_is_known_within_using_and_nowhere_else(write):
    before = list(CATALOGUE)
    with using(load(write([BILLY]))):
        assert named("Billy bookcases") == "billy"
        assert mentioned("two Billys and a desk") == {"billy": 2, "desk": 1}
        assert "billy" in [c.name for c in of_room("bedroom")]
        assert category("billy").clearance == category("bookshelf").clearance
        assert (base("billy"), base("desk")) == ("bookshelf", "desk")
        assert (colour("billy"), furniture_mesh("billy", (1, 1, 1))) == (
            colour("bookshelf"),
            furniture_mesh("bookshelf", (1, 1, 1)),
        )
        assert [c.name for c in catalogue.own()] == ["billy"]
    assert list(CATALOGUE) == before
    assert named("billy") is None


def test_the_schema_and_the_validator_take_own_sizes(write, room):
    desk = thing("desk_1", "desk", (120, 60, 75), 270, (370, 270, 0))
    with using(load(write([{"name": "desk", "units": "m", "size": [1.3, 0.65, 0.73]}]))):
        slanted = Room(room_type="bedroom", polygon=((0, 0), (400, 0), (400, 350), (100, 350), (0, 250)))
        (item,) = answer_schema(slanted, ids=["desk_1"])["properties"]["objects"]["prefixItems"]
        width = item["anyOf"][1]["properties"]["size"]["prefixItems"][0]  # of what is not at a quarter turn
        assert (width["minimum"], width["maximum"]) == (130, 130)
        assert "size_range" in check(Scene(room=room, objects=(desk,))).codes
        assert "desk" in mentioned("a desk")
    assert "size_range" not in check(Scene(room=room, objects=(desk,))).codes


def test_an_own_kind_obeys_the_rules_of_what_it_is_like(write, room):
    shelf = thing("billy_1", "billy", (80, 28, 202), 0, (200, 200, 0))
    with using(load(write([BILLY]))):
        assert "off_wall" in check(Scene(room=room, objects=(shelf,))).codes
    assert "off_wall" not in check(Scene(room=room, objects=(shelf,))).codes


def test_yaml_ranges_feet_and_own_places_are_read(write):
    text = """
- {name: aquarium, units: m, width: [0.6, 1.2], depth: 0.4, height: 0.5, rooms: [living_room], on: [altar]}
- {name: altar, like: sideboard, units: ft, width: 5}
"""
    aquarium, altar = load(write(text, "mine.yaml"))
    assert (aquarium.width, aquarium.depth, aquarium.products) == ((60, 120), (40, 40), ())
    assert altar.width == (152.4, 152.4)
    assert altar.depth == category("sideboard").depth
    assert altar.use == ("front",)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("", "a catalogue is a list of entries"),
        ("{", "no JSON: Expecting property name enclosed in double quotes in line 1"),
        ([], "a catalogue is a list of entries"),
        ([3], "entry 0: an entry has a name and a size"),
        ([{"size": [1, 2, 3]}], "entry 0: name: Field required"),
        ([{"name": "Billy"}], r"entry 0 \(Billy\): name: String should match pattern"),
        ([{"name": "x", "size": [80, 28]}], r"entry 0 \(x\): size"),
        ([{"name": "x", "size": [80, -28, 20]}], r"entry 0 \(x\): size.1: Input should be greater than 0"),
        ('[{"name": "x", "size": [80, NaN, 20]}]', r"size.1: Input should be a finite number"),
        ([{"name": "x", "colour": "red"}], r"entry 0 \(x\): colour: Extra inputs"),
        ([{"name": "x", "size": [2.18, 0.88, 0.83]}], "if these are metres, add units: m"),
        ([{"name": "x", "size": [218, 88, 83], "units": "m"}], "are the units really 'm'"),
        ([{"name": "x", "size": [218, 88, 83]}], "x: rooms: is missing"),
        ([{"name": "x", "like": "throne", "size": [90, 90, 90]}], "like: 'throne' is not built in"),
        ([{"name": "desk", "like": "sofa"}], "desk is built in and behaves as itself"),
        ([{"name": "desk", "width": [120, 80]}], "width: the range runs from 120 down to 80"),
        ([{"name": "desk", "size": [120, 60, 75], "width": 120}], "give either size or width"),
        ([{"name": "desk", "size": [120, 60, 75]}, {"name": "desk", "width": 120}], "give each its size"),
        ([{"name": "desk", "on": ["moon"]}], "on: 'moon' is neither"),
        ([{"name": "floor", "like": "desk"}], "'floor' is a place"),
    ],
)
def test_what_is_wrong_with_a_catalogue_is_said_with_entry_and_field(write, entries, said):
    with pytest.raises(ValueError, match=said) as error:
        load(write(entries))
    assert "mine.json" in str(error.value)


def test_a_request_is_put_in_words_the_model_knows(write):
    with using(load(write([BILLY]))):
        assert in_known_words("A desk and two Billys, please") == "A desk and two bookshelves, please"
        both = in_known_words("a billy and two bookcases at the window")
        assert both == "3 bookshelves and the bookshelf at the window"
        assert mentioned(both) == {"bookshelf": 3}
    altar = load(write([{"name": "altar", "size": [90, 90, 90], "rooms": ["bedroom"]}]))
    with using(altar), pytest.raises(ValueError, match="does not know 'altar'; say in the catalogue which"):
        in_known_words("an altar")


def test_the_model_is_asked_for_what_it_knows_and_the_answer_is_renamed(write, room):
    shelf = thing("bookshelf_1", "bookshelf", (90, 30, 190), 0, (150, 335, 0))
    model = Reciter([answer_text(Scene(room=room, objects=(shelf,)))])
    with using(load(write([BILLY]))):
        found = generate(model, room, "a bedroom with a Billy", mend=False, space=False)
    plan, objects = model.asked
    assert "Billy" not in plan.prompt
    assert "bookshelf" in plan.prompt
    assert '"billy"' not in plan.constraint.ebnf
    assert objects.constraint.schema["prefixItems"][0]["properties"]["id"] == {"const": "bookshelf_1"}
    (billy,) = found.scene.objects
    assert (billy.id, billy.category, billy.size) == ("billy_1", "billy", (80, 28, 202))
    assert billy.pos == (150, 336, 0)  # its back is where the model put it, at the wall
    assert found.best.substitutions[0].message == (
        "billy_1: 80 x 28 x 202 cm, the nearest of the catalogue, in place of 90 x 30 x 190 cm"
    )
    assert not any(v.code in ("count", "size_range") for v in found.report.violations)


def test_pieces_get_the_nearest_product_and_what_stands_on_them_keeps_standing(write):
    room = Room(room_type="living_room", polygon=((0, 0), (500, 0), (500, 400), (0, 400)))
    kept = thing("my_sofa", "sofa", (200, 90, 80), 180, (150, 45, 0))
    sofa = thing("sofa_2", "sofa", (175, 90, 80), 0, (250, 355, 0))
    stand = thing("tv_stand_1", "tv_stand", (120, 40, 50), 270, (480, 200, 0))
    television = thing("television_1", "television", (100, 10, 60), 270, (480, 200, 50), on="tv_stand_1")
    text = answer_text(
        Scene(room=room, objects=(kept.moved(id="sofa_1"), sofa, stand, television)), plan=False
    )
    mine = [*SOFAS, {"name": "tv_stand", "size": [160, 40, 45]}]
    with using(load(write(mine))):
        found = generate(
            Reciter([text]), room, "two sofas and a television", keep=[kept], plan=False, mend=False
        )
    pieces = found.scene.by_id
    assert pieces["my_sofa"] == kept
    assert pieces["sofa_2"].size == (160, 85, 80)
    assert pieces["sofa_2"].box.corners[2][1] == pytest.approx(400)
    assert pieces["tv_stand_1"].size == (160, 40, 45)
    assert pieces["television_1"].pos[2] == 45
    assert len(found.best.substitutions) == 2


def test_kept_own_pieces_are_on_the_wire_as_what_they_are_like(write, room):
    billy = thing("my_billy", "billy", (80, 28, 202), 0, (150, 336, 0))
    shelf = thing("bookshelf_2", "bookshelf", (80, 28, 202), 0, (250, 336, 0))
    answer = answer_text(
        Scene(room=room, objects=(billy.moved(id="bookshelf_1", category="bookshelf"), shelf)), plan=False
    )
    with using(load(write([BILLY]))):
        found = generate(Reciter([answer]), room, "two billys", keep=[billy], plan=False, mend=False)
    assert [(o.id, o.category) for o in found.scene.objects] == [("my_billy", "billy"), ("billy_1", "billy")]
