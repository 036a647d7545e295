"""Injected defects: confirmed by the validator in the rejected room alone, mostly near misses, evenly spread; and what noise does instead."""

import json
import random
from collections import Counter
from itertools import pairwise

import jsonschema
import pytest

from layout import synthesis
from layout.answer_schema import answer_schema
from layout.checks import check
from layout.defects import INJECTORS
from layout.geometry import overrun
from layout.instructions import instruct
from layout.negatives import (
    WEIGHTS,
    as_written,
    harmless_share,
    inject,
    injected_pair,
    naive_noise,
    writable,
)
from layout.report import SEVERITY
from layout.schema import ROOM_TYPES, CountSpec, Scene, Spec
from layout.serialise import answer_text

ROOMS = [
    (scene, instruct(scene, f"negatives/{k}", level=2).spec)
    for kind in ROOM_TYPES
    for k in range(12)
    for scene in [synthesis.draw(kind, "negatives", k).scene]
]

BEYOND = ("out_of_bounds", "too_high")


@pytest.fixture(scope="module")
def pairs():
    """Every injector in every room, where it found something; through outer walls too, which decoding under the schema rules out."""
    found = {}
    for code in INJECTORS:
        held = code not in BEYOND
        found[code] = [p for k, (s, spec) in enumerate(ROOMS) if (p := inject(s, spec, code, k, held=held))]
    return found


@pytest.mark.parametrize("code", INJECTORS)
def test_the_defect_is_in_the_rejected_room_and_not_in_the_chosen_one(pairs, code):
    assert len(pairs[code]) >= 4, "too few rooms have this defect for the test to say anything"
    specs = {as_written(s).model_dump_json(): spec for s, spec in ROOMS}
    for p in pairs[code]:
        spec = specs[p.chosen.model_dump_json()]
        good, bad = check(p.chosen, spec), check(p.rejected, spec)
        assert not good.violations
        assert code in bad.codes
        assert {v.code for v in bad.hard} <= {code}
        assert as_written(p.rejected) == p.rejected, "the fault is there as the wire writes it"
        assert code in BEYOND or writable(p.rejected)


def test_what_decoding_rules_out_is_no_held_pair():
    held = [inject(s, spec, "out_of_bounds", k) for k, (s, spec) in enumerate(ROOMS)]
    found = [p for p in held if p]
    assert 3 <= len(found) < len(ROOMS)
    for p in found:
        assert len(p.chosen.room.polygon) > 4 or any(x % 10 for x, _ in p.chosen.room.polygon)
        schema = answer_schema(p.rejected.room, plan=False)
        assert jsonschema.Draft202012Validator(schema).is_valid(
            json.loads(answer_text(p.rejected, plan=False))
        )
    assert not any(inject(s, spec, "too_high", k) for k, (s, spec) in enumerate(ROOMS))


def test_every_type_of_room_has_every_hard_defect(pairs):
    for code in (c for c in INJECTORS if SEVERITY[c] == "hard"):
        assert {p.chosen.room.room_type for p in pairs[code]} == set(ROOM_TYPES), code


def test_most_defects_are_near_misses(pairs):
    out = [
        overrun(p.rejected.by_id[v.ids[0]].box.corners, p.rejected.room.polygon)
        for p in pairs["out_of_bounds"]
        for v in p.after.of("out_of_bounds")
    ]
    assert len(out) > 20
    assert 0.6 < sum(depth <= 16 for depth in out) / len(out) < 0.98


def test_a_pair_is_a_function_of_its_seed():
    scene, spec = ROOMS[0]
    assert injected_pair(scene, spec, 5) == injected_pair(scene, spec, 5)
    assert len({injected_pair(scene, spec, seed).code for seed in range(20)}) >= 6


def test_codes_are_used_evenly():
    """Over requests of all levels, as training has them: with relations in a quarter of them."""
    found = Counter()
    for seed in range(6):
        for k, (scene, _) in enumerate(ROOMS):
            pair = injected_pair(scene, instruct(scene, f"even/{seed}/{k}").spec, f"{seed}/{k}")
            found[pair.code] += 1
    assert set(found) == set(INJECTORS) - {"too_high"}
    assert set(INJECTORS) == set(WEIGHTS)
    assert max(found.values()) <= 0.15 * found.total()


def test_one_object_differs_or_one_is_missing_or_too_many(pairs):
    for code in ("out_of_bounds", "collision", "door_blocked", "off_wall", "wrong_facing", "too_high"):
        for p in pairs[code]:
            assert [o.id for o in p.rejected.objects] == [o.id for o in p.chosen.objects]
            moved = {a.id for a, b in zip(p.chosen.objects, p.rejected.objects, strict=True) if a != b}
            roots = [name for name in moved if p.chosen.by_id[name].on not in moved]
            assert len(roots) == 1, "one object, and what stands on it"
    more = [len(p.rejected.objects) - len(p.chosen.objects) for p in pairs["count"]]
    assert min(more) < 0 < max(more)


def test_ids_have_no_gaps_after_an_object_was_left_out(pairs):
    for p in pairs["count"]:
        numbers: dict[str, list[int]] = {}
        for o in p.rejected.objects:
            numbers.setdefault(o.category, []).append(int(o.id.rpartition("_")[2]))
        for counted in numbers.values():
            assert counted[0] == 1
            assert all(b == a + 1 for a, b in pairwise(counted))


def test_a_faulty_room_is_no_chosen_one(bedroom):
    outside = bedroom.replaced(bedroom.by_id["wardrobe"].moved(pos=(430, 100, 0)))
    assert injected_pair(outside, Spec(), 0) is None


def test_what_cannot_be_broken_gives_no_pair():
    scene, _ = ROOMS[0]
    assert inject(scene, Spec(), "count", 0) is None
    assert injected_pair(scene, Spec(), 0, codes=["count", "relation_unmet"]) is None
    empty = Scene(room=scene.room)
    assert injected_pair(empty, Spec(), 0) is None
    wanted = Spec(counts=(CountSpec(category="plant", n=0),))
    assert len(inject(empty, wanted, "count", 0).rejected.objects) == 1


def test_an_unknown_code_is_named():
    scene, spec = ROOMS[0]
    with pytest.raises(ValueError, match="no defect 'collisions' can be injected; known: out_of_bounds"):
        inject(scene, spec, "collisions", 0)
    with pytest.raises(ValueError, match="no defect too_tall"):
        injected_pair(scene, spec, 0, codes=["too_tall"])


def test_noise_is_often_no_defect():
    found = harmless_share(ROOMS, naive_noise)
    assert found["rooms"] == len(ROOMS)
    assert 0.1 < found["without_hard_fault"] < 0.7
    assert 0 < found["without_any_fault"] <= found["without_hard_fault"]
    assert harmless_share(ROOMS, lambda s, rng: s)["without_any_fault"] == 1
    with pytest.raises(ValueError, match="no rooms to damage"):
        harmless_share([], naive_noise)


def test_noise_moves_as_many_objects_as_it_is_told():
    scene, _ = ROOMS[1]
    for seed in range(5):
        noisy = naive_noise(scene, random.Random(seed))
        changed = [a for a, b in zip(scene.objects, noisy.objects, strict=True) if a != b]
        assert 1 <= sum(o.on not in {c.id for c in changed} for o in changed) == 1
    assert answer_text(naive_noise(scene, random.Random(1))) == answer_text(
        naive_noise(scene, random.Random(1))
    )
