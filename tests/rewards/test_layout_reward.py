"""The layout reward: perfect rooms earn 1, no fault and no missing object ever pays, what is unknown has no number."""

import random
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout.catalogue import CATALOGUE
from layout.checks import check
from layout.defects import collision, door_blocked, floating, off_wall, out_of_bounds, unreachable
from layout.repair import without
from layout.report import SEVERITY, Report, fault
from layout.schema import CountSpec, RelationSpec, Room, Scene, SceneObject, Spec
from layout.serialise import answer_text
from recipes.layout_rows import row
from rewards.base import Status
from rewards.layout import MOST, PART_OF, TYPICAL, WEIGHTS, LayoutReward, Target, fill, means, verdict

ROOM = Room(
    room_type="bedroom",
    polygon=((0, 0), (400, 0), (400, 350), (0, 350)),
    doors=({"wall": 0, "start": 20, "end": 110},),
    windows=({"wall": 2, "start": 60, "end": 200},),
)
ROWS = 12


@lru_cache
def example(index: int) -> tuple[Scene, Target]:
    """A room of the synthesiser, and what it was asked for."""
    drawn = row(7, "train", index, kinds={"whole": 1.0})
    asked = Target(room=drawn.scene.room, asked=drawn.instruction.spec, objects=len(drawn.scene.objects))
    return drawn.scene, asked


def value(scene: Scene, target: Target) -> float:
    found = verdict(scene, check(scene, target.asked), target).value
    assert found is not None
    assert 0 <= found <= 1
    return found


def thing(
    name: str, x: float, y: float, size: tuple[float, float, float] = (60, 60, 60), **more: object
) -> SceneObject:
    """A box of no known category: no rule but the geometry applies to it."""
    return SceneObject(id=name, category="box", size=size, pos=(x, y, 0), **more)


def scene_of(*objects: SceneObject) -> Scene:
    return Scene(room=ROOM, objects=objects)


def test_weights_are_shares_and_every_code_has_its_part():
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert PART_OF.keys() == SEVERITY.keys()
    assert set(PART_OF.values()) | {"present"} == set(WEIGHTS)
    assert WEIGHTS["collision"] >= WEIGHTS["in_bounds"], "else one is bought with the other"


@pytest.mark.parametrize("index", range(ROWS))
def test_the_synthesiser_earns_everything_through_the_text(index: int):
    scene, target = example(index)
    for plan in (True, False):
        found = LayoutReward().judge(answer_text(scene, plan=plan), target.model_dump_json())
        assert (found.value, found.status, found.parts["parse"]) == (1.0, Status.OK, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, ROWS - 1), st.data())
def test_leaving_things_out_never_pays(index: int, data: st.DataObject):
    scene, target = example(index)
    left, before = scene, 1.0
    for _ in range(3):
        if not left.objects:
            break
        left = without(left, data.draw(st.sampled_from([o.id for o in left.objects])))
        after = value(left, target)
        assert after < before
        before = after
    assert value(Scene(room=scene.room), target) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, ROWS - 1),
    st.sampled_from([out_of_bounds, collision, door_blocked, floating, off_wall, unreachable]),
    st.integers(0, 1000),
)
def test_a_defect_costs_and_leaving_its_object_out_costs_more(index: int, inject: object, seed: int):
    scene, target = example(index)
    worse = inject(scene, target.asked, random.Random(seed))
    report = check(worse, target.asked) if worse is not None else None
    if worse is None or not report.violations or len(worse.objects) != len(scene.objects):
        return
    damaged = value(worse, target)
    assert damaged < 1
    if len(report.violations) == 1:
        assert value(without(worse, report.violations[0].ids[0]), target) < damaged


@settings(max_examples=150, deadline=None)
@given(st.integers(0, ROWS - 1), st.data())
def test_a_fault_more_or_a_larger_one_never_raises_the_reward(index: int, data: st.DataObject):
    """On reports alone, so that one fault changes and nothing else."""
    scene, target = example(index)
    ids = [o.id for o in scene.objects]
    openings = [f"door_{i}" for i in range(len(scene.room.doors))]
    panes = [f"window_{i}" for i in range(len(scene.room.windows))]
    units = {"out_of_bounds": "cm2", "collision": "cm2", "floating": "cm", "overhang": "cm2", "door_blocked": "cm2",
             "window_blocked": "cm2", "no_access": "cm2", "cut_off": "cm2", "overfull": "cm2", "wrong_facing": "deg"}  # fmt: skip
    used = [o.id for o in scene.objects if o.category in CATALOGUE and CATALOGUE[o.category].use]

    def drawn() -> tuple | None:
        code = data.draw(st.sampled_from([c for c in SEVERITY if PART_OF[c] not in ("counts", "relations")]))
        named = {
            "collision": tuple(data.draw(st.permutations(ids))[:2]),
            "door_blocked": (ids[0], *openings[-1:]),
            "window_blocked": (ids[0], *panes[-1:]),
            "cut_off": (),
            "overfull": (),
            "no_access": tuple(used[:1]),
        }.get(code, (data.draw(st.sampled_from(ids)),))
        short = (code == "collision" and len(named) < 2) or (code == "door_blocked" and not openings)
        if short or (code == "window_blocked" and not panes) or (code == "no_access" and not used):
            return None
        return code, named, data.draw(st.floats(0.1, 40_000)), units.get(code, "cm")

    faults = [f for f in (drawn() for _ in range(data.draw(st.integers(1, 8)))) if f]

    def scored(chosen: list[tuple]) -> float:
        violations = tuple(fault(code, who, much, unit, "") for code, who, much, unit in chosen)
        n = len(ids)
        report = Report(violations=violations, n_objects=n, n_pairs=0, free_area=5e4, connected_share=1.0)
        found = verdict(scene, report, target).value
        assert found is not None
        return found

    before = 1.0
    for k in range(len(faults)):
        after = scored(faults[: k + 1])
        assert after <= before + 1e-12
        before = after
    if faults:
        k = data.draw(st.integers(0, len(faults) - 1))
        code, who, much, unit = faults[k]
        larger = [*faults[:k], (code, who, much * data.draw(st.floats(1, 20)), unit), *faults[k + 1 :]]
        assert scored(larger) <= before + 1e-12


def test_the_further_through_the_wall_or_into_a_neighbour_the_less():
    target = Target(room=ROOM, objects=2)
    through = [
        value(scene_of(thing("a", 370 + d, 250), thing("b", 250, 60)), target) for d in range(0, 60, 3)
    ]
    into = [value(scene_of(thing("a", 200, 150), thing("b", 270 - d, 150)), target) for d in range(0, 60, 3)]
    for values in (through, into):
        assert values == sorted(values, reverse=True)
        assert len(set(values)) > 10, "near misses are told apart"
        assert values[0] > values[-1]


@pytest.mark.parametrize("depth", [4, 10, 25])
def test_out_of_the_wall_and_into_the_neighbour_is_no_bargain(depth: int):
    """ReSpace: out-of-bounds fell while collisions rose."""
    target = Target(room=ROOM, objects=2)
    outside = scene_of(thing("a", 310 - depth, 250), thing("b", 370 + depth, 250))
    inside = scene_of(thing("a", 310, 250), thing("b", 370 - depth, 250))
    assert check(outside).codes == {"out_of_bounds": 1}
    assert check(inside).codes == {"collision": 1}
    assert value(inside, target) < value(outside, target)


def test_neither_few_objects_nor_many_win():
    assert [fill(n, 10) for n in (0, 5, 10, 15)] == [0, 0.5, 1, 1]
    assert fill(30, 10) == pytest.approx(MOST / 3)
    grid = [thing(f"box_{i}", 150 + 62 * (i % 4), 130 + 62 * (i // 4)) for i in range(8)]
    target = Target(room=ROOM, objects=4)
    # Four good objects more make no fault smaller, and more than half as many again cost.
    bad = thing("bad", 420, 300)
    few, many = scene_of(*grid[:3], bad), scene_of(*grid[:7], bad)
    assert value(many, target) < value(few, target)
    assert value(scene_of(*grid[:3]), target) < value(scene_of(*grid[:4]), target)
    assert Target(room=ROOM).expected == TYPICAL["bedroom"]


def test_requests_that_are_met_pay_and_a_near_count_pays_more_than_a_far_one():
    asked = Spec(
        counts=(CountSpec(category="box", n=2), CountSpec(category="television", n=0)),
        relations=(RelationSpec(relation="next_to", subject="box", references=("box",)),),
    )
    target = Target(room=ROOM, asked=asked, objects=2)
    spots = [(200, 150), (265, 150), (330, 250), (200, 250)]
    rooms = {n: scene_of(*(thing(f"box_{i}", *spots[i]) for i in range(n))) for n in (1, 2, 3, 4)}
    parts = {n: verdict(r, check(r, asked), target).parts for n, r in rooms.items()}
    assert [parts[n]["present"] for n in (1, 2, 3, 4)] == [0.5, 1, 1, 1]
    assert [parts[n]["counts"] for n in (1, 2, 3, 4)] == [0.625, 1, 0.625, 0.5]
    assert [parts[n]["relations"] for n in (1, 2)] == [0, 1]
    assert max(rooms, key=lambda n: value(rooms[n], target)) == 2
    nothing = verdict(rooms[2], check(rooms[2]), Target(room=ROOM, objects=2)).parts
    assert [nothing[name] for name in ("present", "counts", "relations")] == [None] * 3


def test_no_number_for_what_is_unknown_and_zero_for_what_cannot_be_read():
    reward, target = LayoutReward(), Target(room=ROOM).model_dump_json()
    good = answer_text(scene_of(thing("lamp", 200, 150)), plan=False)
    logged: dict[str, float] = {}
    found = reward(
        completions=[good, "a nice room", good, good, good[:-3]],
        target=[target, target, None, '{"room": 3}', target],
        prompts=["x"] * 5,
        log_metric=logged.__setitem__,
    )
    assert found[1:] == [0.0, None, None, 0.0]
    assert found[0] is not None
    assert found[0] > 0
    assert logged["layout/parse"] == pytest.approx(1 / 3)
    assert logged["layout/fill"] == pytest.approx(1 / TYPICAL["bedroom"]), "over what could be read"
    states = [reward.judge(good, t).status for t in (None, '{"room": 3}')]
    assert states == [Status.NA, Status.BROKEN]
    assert reward.judge("", target).status == Status.POLICY_FAIL
    assert means([]) == {}


def test_the_reward_can_be_pickled_and_loads_no_torch():
    import pickle
    import subprocess
    import sys

    assert pickle.loads(pickle.dumps(LayoutReward())) == LayoutReward()  # noqa: S301 - our own bytes
    code = "import sys, rewards.layout; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
