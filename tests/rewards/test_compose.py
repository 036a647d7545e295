"""Several rewards into one number."""

import math

import pytest
import torch

from rewards.base import Item, Media, Reward, Scores, Status, check_reward
from rewards.compose import Composite, Term
from rewards.testing import Applicable, Brightness, Constant, NotANumber

approx = pytest.approx


def named(name: str, low: float = 0.0, high: float = 1.0) -> Constant:
    return Constant(name=name, fingerprint=name, bounds=(low, high))


def combine(composite: Composite, *values: list[float], groups: str = "", status=None) -> Scores:
    scores = [
        Scores.of(v, status=status[i] if status and status[i] else None, parts={"p": v})
        for i, v in enumerate(values)
    ]
    items = [Item("p", "c", {}, group=g) for g in groups or "x" * len(values[0])]
    return composite.combine(scores, items)


def test_sum_is_over_declared_ranges_and_not_over_what_came_in():
    composite = Composite([Term(named("pick", 16.0, 24.0), 1.0), Term(named("clip", 0.0, 1.0), 3.0)])
    assert combine(composite, [20.0, 24.0], [0.5, 1.0]).value.tolist() == [approx(0.5), approx(1.0)]


def test_cap_gives_no_bonus_above_it():
    composite = Composite([Term(named("clip", 0.0, 1.0), cap=0.28)])
    assert combine(composite, [0.14, 0.28, 0.9]).value.tolist() == [approx(0.5), approx(1.0), approx(1.0)]


def test_gate_sends_the_whole_sample_to_the_floor():
    composite = Composite([Term(named("align"), gate=0.5), Term(named("look"))])
    assert combine(composite, [0.5, 0.4], [1.0, 1.0]).value.tolist() == [approx(0.75), 0.0]


def test_conditional_term_counts_only_where_its_condition_holds():
    composite = Composite([Term(named("align"), 1.0), Term(named("look"), 1.0, only_if=("align", 0.8))])
    assert combine(composite, [0.8, 0.7], [1.0, 1.0]).value.tolist() == [approx(0.9), approx(0.35)]


def test_na_removes_a_term_for_its_whole_group_and_for_no_other():
    composite = Composite([Term(named("text"), 3.0), Term(named("look"), 1.0)])
    ok, na = Status.OK, Status.NA
    scores = combine(composite, [1.0, 1.0, 1.0], [0.2, 0.4, 0.2], groups="aab", status=[[ok, na, ok], None])
    assert scores.value.tolist() == [approx(0.2), approx(0.4), approx(0.8)]
    assert scores.status.tolist() == [ok, ok, ok]


def test_condition_on_a_term_that_does_not_apply_is_no_condition():
    composite = Composite([Term(named("text")), Term(named("look"), only_if=("text", 0.8))])
    assert combine(composite, [0.0], [0.6], status=[[Status.NA], None]).value.tolist() == [approx(0.6)]


def test_nothing_that_applies_is_na():
    composite = Composite([Term(named("text"))])
    scores = combine(composite, [0.0], status=[[Status.NA]])
    assert scores.status.tolist() == [Status.NA]
    assert math.isnan(scores.value[0])


@pytest.mark.parametrize("status", [Status.RETRYABLE, Status.BROKEN])
def test_failed_term_leaves_no_number(status):
    composite = Composite([Term(named("text"), gate=0.9), Term(named("look"))])
    scores = combine(composite, [0.1, 0.95], [0.5, 0.5], status=[None, [status, Status.OK]])
    assert scores.status.tolist() == [status, Status.OK]
    assert math.isnan(scores.value[0])
    assert math.isfinite(scores.value[1])


def test_policy_failure_of_a_term_is_the_floor_of_the_sum():
    composite = Composite([Term(named("safe")), Term(named("look"))])
    scores = combine(composite, [0.0], [1.0], status=[[Status.POLICY_FAIL], None])
    assert scores.value.tolist() == [0.0]
    assert scores.status.tolist() == [Status.POLICY_FAIL]


def test_parts_carry_the_members_names():
    scores = combine(Composite([Term(named("a")), Term(named("b"))]), [0.1], [0.2])
    assert {name: part.item() for name, part in scores.parts.items()} == {
        "a": approx(0.1),
        "a/p": approx(0.1),
        "b": approx(0.2),
        "b/p": approx(0.2),
    }


def test_fingerprint_changes_with_every_setting():
    base = named("a")
    terms = [Term(base), Term(base, 2.0), Term(base, gate=0.5), Term(base, cap=0.5), Term(named("c"))]
    assert len({Composite([term]).fingerprint for term in terms}) == 5
    assert Composite([Term(base)]).fingerprint == Composite([Term(base)]).fingerprint


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "at least one"),
        ([Term(named("a")), Term(named("a"))], "distinct"),
        ([Term(named("a", 0.0, math.inf))], "finite range"),
        ([Term(named("a"), weight=0.0)], "positive"),
        ([Term(named("a"), cap=0.0)], "finite range"),
        ([Term(named("a"), only_if=("b", 0.5))], "known: a"),
    ],
)
def test_impossible_composites_are_refused(terms, message):
    with pytest.raises(ValueError, match=message):
        Composite(terms)


def test_infinite_reward_becomes_usable_with_a_cap():
    assert Composite([Term(named("a", 0.0, math.inf), cap=2.0)]).bounds == (0.0, 1.0)


# -- the contract every reward must keep -----------------------------------------------------------------------------


def media(*levels: float, size: int = 6) -> Media:
    return Media(torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 3, size, size).contiguous())


ITEMS = [
    Item("p", f"c{i}", {"apply": ["brightness"], "rgb": [1.0, 1.0, 1.0]}, group="g", seed=i) for i in range(3)
]


@pytest.mark.parametrize("make", [Brightness, Constant, Applicable])
def test_exact_rewards_keep_the_contract(make):
    check_reward(make(), media(0.2, 0.6, 1.0), ITEMS, atol=1e-6)


def test_composite_keeps_the_contract():
    composite = Composite([Term(Brightness(), 2.0, cap=0.8), Term(Constant(name="flat", fingerprint="flat"))])
    assert isinstance(composite, Reward)
    check_reward(composite, media(0.2, 0.6, 1.0), ITEMS, better=(1, 0), atol=1e-6)


def test_differentiable_reward_keeps_the_contract_and_has_the_exact_gradient():
    from rewards.testing import TemplateMSE

    reward = TemplateMSE()
    check_reward(reward, media(0.2, 0.6, 0.9), ITEMS, better=(2, 0), atol=1e-6)
    pixels = media(0.2, 0.6, 1.0).pixels.requires_grad_(True)
    reward.loss_value(Media(pixels), ITEMS).sum().backward()
    assert torch.allclose(pixels.grad, -2 * (pixels.detach() - 1.0) / pixels[0].numel())


def broken(**members):
    return type("Broken", (Brightness,), members)()


def _score(change):
    def score(self, media, items, *, deadline=None):
        return change(Brightness.score(self, media, items))

    return score


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (broken(score=_score(lambda s: Scores(s.value[1:], {}, s.status, s.notes))), "shape"),
        (broken(score=_score(lambda s: Scores(s.value.double(), {}, s.status, s.notes))), "float32"),
        (broken(score=_score(lambda s: Scores(s.value + 1, {}, s.status, s.notes))), "declared range"),
        (
            broken(score=_score(lambda s: Scores(s.value, {}, torch.full_like(s.status, 4), s.notes))),
            "NaN iff",
        ),
        (broken(score=_score(lambda s: Scores(s.value, {}, s.status, ()))), "notes"),
        (broken(score=_score(lambda s: Scores.of(s.value - s.value.mean() + 0.5))), "changed a value"),
        (broken(score=_score(lambda s: Scores.of(torch.rand(len(s.value))))), "scoring twice changed"),
        (NotANumber(fingerprint=""), "fingerprint"),
        (Brightness(bounds=(1.0, 1.0)), "not a range"),
    ],
)
def test_contract_check_names_the_broken_rule(reward, message):
    with pytest.raises(AssertionError, match=message):
        check_reward(reward, media(0.2, 0.6, 1.0), ITEMS)


def test_contract_check_catches_a_reward_that_raises_on_odd_frames():
    def score(self, media, items, *, deadline=None):
        if media.pixels.shape[-1] % 2:
            raise ValueError("odd")
        return Brightness.score(self, media, items)

    with pytest.raises(AssertionError, match="answer BROKEN instead"):
        check_reward(broken(score=score), media(0.2, 0.6, 1.0), ITEMS)


def test_contract_check_catches_na_that_does_not_follow_from_the_spec():
    def score(self, media, items, *, deadline=None):
        scores = Brightness.score(self, media, items)
        return Scores.of(
            scores.value, status=[Status.NA if v > 0.5 else Status.OK for v in scores.value.tolist()]
        )

    with pytest.raises(AssertionError, match="NA must follow"):
        check_reward(broken(score=score), media(0.2, 0.6, 1.0), ITEMS)
