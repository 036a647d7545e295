"""From request to room without a language model: what a model may write, what is kept of it, and what is said about the rest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import jsonschema
import pytest

from layout import synthesis
from layout.generate import Asked, Job, answers, generate, ids_of, spec_of
from layout.keeping import off_wire, on_wire
from layout.parse import Parsed
from layout.request import plain_room, room_type_in, size_in
from layout.schema import ROOM_TYPES, CountSpec, Scene
from layout.serialise import answer_text


@dataclass
class Reciter:
    """Goes on with the texts it was given, one a request in turn, cut where the beginning it is shown ends."""

    texts: Sequence[str]
    asked: list[Asked] = field(default_factory=list)
    follows = True

    def complete(self, asked: Sequence[Asked], *, temperature: float, seed: int) -> list[str]:
        self.asked += asked
        found = []
        for i, a in enumerate(asked):
            text = self.texts[i % len(self.texts)]
            head = a.begun if text.startswith(a.begun) else ""
            rest = text[len(head) :]
            if a.constraint is not None and a.constraint.ebnf is not None:
                rest = rest[: rest.index('","objects":[{"id":"') + len('","objects":[{"id":"')]
            found.append(rest)
        return found


@pytest.mark.parametrize("kind", ROOM_TYPES)
def test_a_right_answer_comes_through_as_it_is(kind):
    scene = synthesis.draw(kind, "generate", 0).scene
    found = generate(Reciter([answer_text(scene)]), scene.room, f"a {kind.replace('_', ' ')}")
    assert found.scene == scene
    assert found.unmet == ()
    assert found.repaired is None


def test_the_objects_are_held_to_the_ids_of_the_models_own_plan():
    scene = synthesis.draw("bedroom", "generate", 1).scene
    model = Reciter([answer_text(scene)])
    generate(model, scene.room, "a bedroom", space=False)
    constraint = model.asked[1].constraint
    assert constraint is not None
    assert constraint.schema is not None
    offered = [item["properties"]["id"]["const"] for item in constraint.schema["prefixItems"]]
    assert offered == [o.id for o in scene.objects]
    assert constraint.before + constraint.after == '","objects":}'


def test_the_best_of_several_is_the_one_with_the_fewest_faults(bedroom):
    drawn = synthesis.draw("bedroom", "generate", 2).scene
    first = drawn.objects[0]
    outside = drawn.replaced(first.moved(pos=(first.pos[0] + 500, first.pos[1], 0)))
    found = generate(Reciter([answer_text(outside), answer_text(drawn)]), drawn.room, "a bedroom", n=2)
    assert [c.report.ok for c in found.candidates] == [False, True]
    assert found.scene == drawn


def test_raw_and_mended_are_kept_apart(bedroom):
    off = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(410, 100, 0)))
    text = answer_text(off, plan=False)
    found = generate(Reciter([text]), bedroom.room, "a bedroom", plan=False, constrained=False)
    assert found.best is not None
    assert not found.best.report.ok
    assert found.repaired is not None
    assert found.repaired.after.ok
    assert found.best.scene.by_id["wardrobe"].pos[0] == 410
    assert generate(Reciter([text]), bedroom.room, "a bedroom", plan=False, constrained=False, mend=False).scene == found.best.scene  # fmt: skip


def test_what_the_words_ask_for_and_is_not_there_is_said():
    scene = synthesis.draw("bathroom", "generate", 3).scene
    found = generate(
        Reciter([answer_text(scene)]),
        scene.room,
        "a bathroom with a grand sofa",
        mend=False,
        constrained=False,
    )
    assert any("sofa" in sentence for sentence in found.unmet)


def test_text_that_is_no_answer_is_no_room(room):
    found = generate(Reciter(["I would rather not"]), room, "a bedroom", constrained=False)
    assert found.scene is None
    assert found.unmet == ("no answer of the model could be read",)


def test_kept_furniture_keeps_its_pose(bedroom):
    bed = bedroom.by_id["bed"].moved(id="double_bed_1", pos=(103, 220, 0))  # as the wire has it
    model = Reciter(['wardrobe at wall 1","objects":[{"id":"'])
    answers(model, [Job(Scene(room=bedroom.room, objects=(bed,)), "add a wardrobe")])
    plan, objects = model.asked
    assert plan.begun == '{"plan":"double_bed at wall 3; '
    assert objects.begun == '{"plan":"double_bed at wall 3; wardrobe at wall 1'
    only, second = objects.constraint.schema["prefixItems"]
    assert second["properties"]["id"]["const"] == "wardrobe_1"
    value = json.loads('{"id":"double_bed_1","on":"floor","yaw":90,"span":[1,206,140,300,0,50]}')
    assert jsonschema.Draft202012Validator(only).is_valid(value)
    assert not jsonschema.Draft202012Validator(only).is_valid(value | {"yaw": 0})


def test_kept_furniture_comes_back_as_its_owner_has_it(bedroom):
    """Own ids, fractions of a centimetre, and what stands on them; only a new piece may be called what is free."""
    owned = bedroom.by_id["bed"].moved(id="double_bed_2", pos=(102.5, 220, 0))
    kept = Scene(room=bedroom.room, objects=(owned, *bedroom.objects[1:]))
    wire, owners = on_wire(kept)
    assert [o.id for o in wire.objects][:3] == ["double_bed_1", "nightstand_1", "nightstand_2"]
    assert next(o for o in wire.objects if o.category == "table_lamp").on == "nightstand_1"
    new = owned.moved(id="double_bed_2", pos=(300, 100, 0))
    mug = bedroom.by_id["lamp"].moved(id="mug_1", category="mug", on="double_bed_2")
    answer = Scene(room=wire.room, objects=(*wire.objects, new, mug))
    found = off_wire(answer, kept, owners)
    assert found.objects[: len(kept.objects)] == kept.objects
    assert [(o.id, o.on) for o in found.objects[-2:]] == [
        ("double_bed_1", "floor"),
        ("mug_1", "double_bed_1"),
    ]


def test_ids_without_a_plan_come_from_the_words():
    assert ids_of("nonsense", "a desk and two plants") == ["desk_1", "plant_1", "plant_2"]
    assert ids_of("", "surprise me") == []
    assert len(ids_of("99 plant at wall 1", "")) == 30


def test_one_is_at_least_one_and_none_is_none():
    counts = {c.category: c for c in spec_of("a desk, two nightstands and no rug").counts}
    assert counts["desk"] == CountSpec(category="desk", n=1, quantifier="ge")
    assert counts["nightstand"].n == 2
    assert counts["rug"] == CountSpec(category="rug", n=0, quantifier="eq")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("3.4x3.6", (340, 360)),
        ("a bedroom of 3.4 x 3.6 m", (340, 360)),
        ("340x360cm", (340, 360)),
        ("11 by 12 ft", (335, 366)),
        ("4m × 5m", (400, 500)),
        ("a desk", None),
    ],
)
def test_sizes_in_words(text, size):
    assert size_in(text) == size


def test_a_size_that_is_no_room_is_refused():
    with pytest.raises(ValueError, match="is no room"):
        size_in("340x360 m")


def test_the_type_named_first_is_meant():
    assert room_type_in("a Living-room".replace("-", " ")) == "living_room"
    assert room_type_in("bedroom beside the kitchen") == "bedroom"
    assert room_type_in("somewhere nice") is None


@pytest.mark.parametrize("kind", ROOM_TYPES)
def test_a_plain_room_of_any_size_is_a_room(kind):
    for width, depth in ((100, 100), (340, 360), (2000, 150)):
        assert plain_room(kind, width, depth).extent == (width, depth)


def test_bad_arguments_are_refused(room):
    with pytest.raises(ValueError, match="request is empty"):
        generate(Reciter([""]), room, "  ")
    with pytest.raises(ValueError, match="n=0"):
        generate(Reciter([""]), room, "a bedroom", n=0)


def test_parsed_answers_carry_their_plan():
    scene = synthesis.draw("kitchen", "generate", 0).scene
    found = generate(Reciter([answer_text(scene)]), scene.room, "a kitchen")
    assert isinstance(found.candidates[0].parsed, Parsed)
    assert found.candidates[0].parsed.plan == json.loads(answer_text(scene))["plan"]
