"""Plans held to the words of a request."""

import pytest

from layout.generate import Job, answers
from layout.planning import agreed, begun_with, closed, lacking
from layout.schema import Scene
from layout.serialise import ids_in_plan, singly


@pytest.mark.parametrize(
    ("plan", "wanted", "kept", "expected"),
    [
        ("desk at wall 1; plant at wall 2", {"plant": 0}, (), "desk at wall 1"),
        ("desk at wall 1; 3 plant at wall 2", {"plant": 2}, (), "desk at wall 1; 2 plant at wall 2"),
        ("plant at wall 1; plant at wall 2; plant at wall 3", {"plant": 2}, (), "plant at wall 1; plant at wall 2"),
        ("nightstand beside the double_bed", {"nightstand": 2}, (), "2 nightstand beside the double_bed"),
        ("2 plant at wall 1", {"plant": 1}, (), "2 plant at wall 1"),  # "a plant" is at least one
        ("nonsense here; desk at wall 1; ; 7", {}, (), "desk at wall 1"),
        ("2 plant at wall 1; plant at wall 3", {"plant": 0}, ("plant", "plant"), "2 plant at wall 1"),
        ("2 plant at wall 1; plant at wall 3", {"plant": 2}, ("plant", "plant"), "2 plant at wall 1; plant at wall 3"),
        ("desk", {}, (), "desk in the open"),
        ("", {"desk": 1}, (), ""),
    ],
)  # fmt: skip
def test_a_plan_agrees_with_the_words(plan, wanted, kept, expected):
    assert agreed(plan, wanted, kept) == expected
    assert agreed(expected, wanted, kept) == expected


def test_one_is_one_where_the_words_are_in_the_singular():
    words = "A bedroom with a desk, plants and a lamp; the lamp on the nightstands"
    assert singly(words) == {"desk", "floor_lamp"}
    plan = "2 desk at wall 1; 2 plant at wall 2; nightstand beside the double_bed"
    assert agreed(plan, {"desk": 1, "plant": 1}, once=singly(words)) == plan.replace("2 desk", "desk")


def test_what_is_lacking_is_begun():
    assert lacking("desk at wall 1", {"desk": 1, "plant": 2, "sofa": 0, "rug": 1}, ["rug"]) == ["2 plant "]
    assert begun_with("desk at wall 1", "2 plant ") == "desk at wall 1; 2 plant "
    assert begun_with("", "rug ") == "rug "
    assert closed("", ["rug ", "2 plant "]) == "rug in the open; 2 plant in the open"
    assert ids_in_plan(closed("desk at wall 1", ["2 plant "])) == ["desk_1", "plant_1", "plant_2"]


class Forgetful:
    """A model that plans a desk and, asked to go on, says where the next thing goes; `stubborn` it goes on about desks."""

    follows = False

    def __init__(self, more):
        self.more, self.asked = more, []

    def complete(self, asked, *, temperature, seed):
        self.asked += asked
        plans = asked[0].constraint.ebnf is not None
        return [
            (self.more if a.begun else '{"plan":"desk at wall 1') + '","objects":[{"id":"' if plans else ""
            for a in asked
        ]


def test_a_model_goes_on_where_its_plan_lacks_something(room):
    model = Forgetful("at wall 2")
    text = answers(model, [Job(Scene(room=room), "a desk, a plant and two chairs at the dining table")])[0]
    assert text == ('{"plan":"desk at wall 1; plant at wall 2; dining_table at wall 2')
    begun = [a.begun for a in model.asked]
    assert begun[1] == '{"plan":"desk at wall 1; plant '
    assert begun[2] == '{"plan":"desk at wall 1; plant at wall 2; dining_table '


def test_what_a_model_will_not_place_is_placed_nowhere(room):
    model = Forgetful("")
    request = "a desk, a plant, a rug, a wardrobe, a mirror and a bookshelf"
    text = answers(model, [Job(Scene(room=room), request)])[0]
    assert ids_in_plan(text.removeprefix('{"plan":"')) == [
        f"{name}_1" for name in ("desk", "plant", "rug", "wardrobe", "mirror", "bookshelf")
    ]
    assert text.endswith("mirror in the open; bookshelf in the open")
