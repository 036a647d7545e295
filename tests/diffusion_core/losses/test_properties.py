"""What must hold for any numbers: values at policy = reference, symmetries, signs of gradients, and what is refused."""

import math
from dataclasses import fields

import pytest
import torch

from diffusion_core.losses import LOSSES, build_loss
from diffusion_core.losses.inputs import (
    ComparedLogProbs,
    InversionErrors,
    PredictionBatch,
    SegmentErrors,
    SoftPairErrors,
    UnpairedErrors,
)
from diffusion_core.types import PairErrors, StepLogProbs

LN2 = math.log(2)
SIGMOID = ("diffusion_dpo", "inpo", "dcpo")


def row(*values: float, grad: bool = False) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def pair(policy_w=(0.05, 0.08), policy_l=(0.06, 0.05), ref_w=(0.055, 0.07), ref_l=(0.05, 0.06)) -> PairErrors:
    """Two pairs; gradients by all four, so that one that must not be there is seen."""
    return PairErrors(*(row(*v, grad=True) for v in (policy_w, policy_l, ref_w, ref_l)))


def at_reference(cls: type):
    """A batch of the class where policy and reference agree, of two samples."""
    w, lo = (0.05, 0.08), (0.06, 0.05)
    same = pair(w, lo, w, lo)
    if issubclass(cls, SoftPairErrors):
        return SoftPairErrors(same.policy_w, same.policy_l, same.ref_w, same.ref_l, row(0.9, 0.6))
    if issubclass(cls, StepLogProbs):
        return StepLogProbs(*(row(*v, grad=True) for v in (w, lo, w, lo)))
    if cls is SegmentErrors:
        sides = [torch.tensor(v, dtype=torch.float64)[:, None].requires_grad_() for v in (w, lo, w, lo)]
        return SegmentErrors(*sides, row(1, -1)[:, None])
    if cls is UnpairedErrors:
        return UnpairedErrors(row(*w, grad=True), row(*w, grad=True), torch.tensor([True, False]))
    if cls is InversionErrors:
        return InversionErrors(
            torch.zeros(2, 3, requires_grad=True),
            torch.zeros(2, 3, requires_grad=True),
            row(0.1, 0.5, 0.9).float(),
        )
    if cls is PredictionBatch:
        made = [
            torch.randn(2, 3, generator=torch.Generator().manual_seed(i), dtype=torch.float64)
            for i in range(4)
        ]
        p_w, p_l, t_w, t_l = made
        return PredictionBatch(
            p_w.requires_grad_(),
            p_l.requires_grad_(),
            p_w.detach().clone().requires_grad_(),
            p_l.detach().clone().requires_grad_(),
            t_w,
            t_l,
        )
    return same


AT_REFERENCE = {
    "diffusion_dpo": LN2, "inpo": LN2, "dcpo": LN2, "smpo": LN2, "inversion_dpo": LN2, "densedpo": LN2, "sdpo": LN2,
    "spo": LN2, "d3po": LN2, "pso": LN2, "kto": 0.5, "dmpo": 1.614463080360851,
}  # fmt: skip


@pytest.mark.parametrize("name", AT_REFERENCE)
def test_the_value_at_policy_equal_reference(name: str):
    loss = build_loss(name)
    assert loss(at_reference(loss.inputs)).loss.item() == pytest.approx(AT_REFERENCE[name], rel=1e-6)


def test_links_at_policy_equal_reference():
    same = at_reference(PairErrors)
    assert build_loss("diffusion_dpo", link="hinge")(same).loss.item() == pytest.approx(1.0)
    ipo = build_loss("diffusion_dpo", link="ipo", beta=2500.0, half=False)
    assert ipo(same).loss.item() == pytest.approx(4e-8, rel=1e-6)
    assert build_loss("diffusion_dpo", link="robust", label_smoothing=0.1)(same).loss.item() == pytest.approx(
        LN2
    )


def test_ties_count_nothing_or_half():
    metrics = build_loss("diffusion_dpo")(at_reference(PairErrors)).metrics
    assert (metrics["implicit_acc"].item(), metrics["implicit_acc_half"].item()) == (0.0, 0.5)


@pytest.mark.parametrize("half", [True, False])
def test_gradients_at_policy_equal_reference_are_equal_and_opposite(half: bool):
    batch, loss = at_reference(PairErrors), build_loss("diffusion_dpo", beta=3000.0, half=half)
    loss(batch).loss.backward()
    expected = loss.effective_beta / (2 * 2)  # k σ(0) over B = 2 pairs
    assert batch.policy_w.grad.tolist() == pytest.approx([expected] * 2)
    assert batch.policy_l.grad.tolist() == pytest.approx([-expected] * 2)


@pytest.mark.parametrize("name", SIGMOID)
def test_swapping_the_pair_turns_the_margin(name: str):
    """L(z) − L(−z) = −z."""
    loss, one = build_loss(name), pair()
    other = PairErrors(one.policy_l, one.policy_w, one.ref_l, one.ref_w)
    assert torch.equal(loss.inside(other), -loss.inside(one))
    assert (loss(one).loss - loss(other).loss).item() == pytest.approx(
        -loss.inside(one).mean().item(), rel=1e-9
    )


@pytest.mark.parametrize(
    ("name", "moves"),
    [("diffusion_dpo", False), ("dmpo", False), ("rpo", True), ("mapo", True), ("sft", True)],
)
def test_raising_both_errors_together_is_seen_by_those_that_look_at_the_winner(name: str, moves: bool):
    loss, batch = build_loss(name), pair()
    raised = PairErrors(batch.policy_w + 0.01, batch.policy_l + 0.01, batch.ref_w, batch.ref_l)
    assert (abs((loss(raised).loss - loss(batch).loss).item()) > 1e-6) == moves


def test_the_robust_link_is_unbiased_under_flipped_labels():
    """The mean over a share s of flipped labels is the loss on clean ones: that is what the division by 1 − 2s is for."""
    s, one = 0.2, pair()
    flipped = PairErrors(one.policy_l, one.policy_w, one.ref_l, one.ref_w)
    robust = build_loss("diffusion_dpo", link="robust", label_smoothing=s)
    noisy = (1 - s) * robust(one).loss + s * robust(flipped).loss
    assert noisy.item() == pytest.approx(build_loss("diffusion_dpo")(one).loss.item(), rel=1e-9)


def test_label_smoothing_of_the_sigmoid_link_by_hand():
    one, s = pair(), 0.1
    z = build_loss("diffusion_dpo").inside(one)
    by_hand = (-(1 - s) * torch.nn.functional.logsigmoid(z) - s * torch.nn.functional.logsigmoid(-z)).mean()
    assert build_loss("diffusion_dpo", label_smoothing=s)(one).loss.item() == pytest.approx(
        by_hand.item(), rel=1e-12
    )


def test_rpo_without_its_term_is_diffusion_dpo_and_with_it_keeps_the_winner_error_down():
    batch = pair()
    assert build_loss("rpo", kappa=0.0)(batch).loss.item() == build_loss("diffusion_dpo")(batch).loss.item()
    together = at_reference(PairErrors)
    build_loss("rpo", kappa=0.5)(together).loss.backward()
    assert together.policy_w.grad.tolist() == pytest.approx([1.5 * 5000 / 8] * 2)
    assert together.policy_l.grad.tolist() == pytest.approx([-5000 / 8] * 2)


def test_dcpo_and_inpo_of_equal_beta_are_diffusion_dpo_bit_for_bit():
    batch = pair()
    plain = build_loss("diffusion_dpo", beta=500.0)(batch).loss
    assert torch.equal(build_loss("dcpo")(batch).loss, plain)
    assert torch.equal(build_loss("inpo", beta=500.0)(batch).loss, plain)


@pytest.mark.parametrize("sign", [1, -1])
def test_inversion_dpo_does_not_start_by_itself(sign: int):
    """The distances are squares with their minimum at policy = reference: whichever the sign, nothing moves there."""
    gap = torch.zeros(1, 3, requires_grad=True)
    shift = InversionErrors(gap.square(), gap.square(), torch.tensor([0.1, 0.5, 0.9]))
    build_loss("inversion_dpo", sign=sign)(shift).loss.backward()
    assert gap.grad.abs().max().item() == 0
    away = [torch.full((1, 3), 0.02, requires_grad=True) for _ in range(2)]
    batch = InversionErrors(away[0].square(), away[1].square(), torch.tensor([0.1, 0.5, 0.9]))
    build_loss("inversion_dpo", sign=sign)(batch).loss.backward()
    # as released, descending drives the policy away from its reference on winners; as derived, towards it
    assert torch.equal(away[0].grad.sign(), torch.full((1, 3), -float(sign)))
    assert torch.equal(away[1].grad.sign(), torch.full((1, 3), float(sign)))


def test_the_weight_of_inversion_dpo_can_be_bounded():
    batch = InversionErrors(torch.tensor([[1e-4]]), torch.zeros(1, 1), torch.tensor([0.005]))
    free, bounded = build_loss("inversion_dpo")(batch), build_loss("inversion_dpo", max_weight=10.0)(batch)
    assert free.metrics["z"].item() == pytest.approx(1000 * 1e-4 * 100)
    assert bounded.metrics["z"].item() == pytest.approx(1000 * 1e-4 * 10)


WINNER_DOWN = [n for n in LOSSES if LOSSES[n].inputs in (PairErrors, SoftPairErrors)]


@pytest.mark.parametrize("name", WINNER_DOWN)
def test_descending_lowers_the_winners_error_and_raises_the_losers(name: str):
    loss = build_loss(name)
    batch = at_reference(loss.inputs)
    loss(batch).loss.backward()
    assert (batch.policy_w.grad > 0).all()
    if name == "sft":
        assert batch.policy_l.grad is None
    elif name == "pso_db":  # its prior outweighs: 0.5 · mean(e_l) against 5 · 0.1
        assert batch.policy_l.grad.tolist() == pytest.approx([(0.5 - 0.5) / 2] * 2, abs=1e-12)
    else:
        assert (batch.policy_l.grad < 0).all()


@pytest.mark.parametrize("name", ["spo", "d3po", "pso"])
def test_descending_makes_the_winning_step_likelier(name: str):
    batch = at_reference(StepLogProbs)
    build_loss(name)(batch).loss.backward()
    assert (batch.policy_w.grad < 0).all()
    assert (batch.policy_l.grad > 0).all()


def test_descending_draws_dspo_to_the_winner_and_kto_to_the_liked():
    batch = at_reference(PredictionBatch)
    build_loss("dspo")(batch).loss.backward()
    away = batch.policy_w.detach() - batch.target_w
    assert ((batch.policy_w.grad * away).sum() > 0).item()
    thumbs = at_reference(UnpairedErrors)
    build_loss("kto")(thumbs).loss.backward()
    assert thumbs.policy.grad[0] > 0 > thumbs.policy.grad[1]


def test_the_sign_of_diffusers_orpo_is_turned():
    """Along the gradient that raises the winner's error the odds term must rise too: theirs falls."""
    for compat, sign in ((False, 1), (True, -1)):
        batch = pair()
        odds = build_loss("orpo", reference_compat=compat)(batch).loss - batch.policy_w.mean()
        odds.backward()
        assert torch.equal(batch.policy_w.grad.sign(), sign * torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("name", [*LOSSES, "pso_db sigmoid"])
def test_the_reference_gets_no_gradient(name: str):
    loss = build_loss(name.split()[0], **({"link": "sigmoid"} if " " in name else {}))
    batch = at_reference(loss.inputs)
    loss(batch).loss.backward()
    for field in fields(batch):
        value = getattr(batch, field.name)
        if field.name.startswith("ref"):
            assert value.requires_grad
            assert value.is_leaf
            assert value.grad is None


@pytest.mark.parametrize("name", LOSSES)
def test_metrics_are_detached_scalars(name: str):
    loss = build_loss(name)
    output = loss(at_reference(loss.inputs))
    assert output.loss.requires_grad
    assert output.metrics
    assert all(value.ndim == 0 and not value.requires_grad for value in output.metrics.values())


def test_kto_measures_its_baseline_over_all_processes_where_it_is_told():
    policy, ref, liked = row(0.04, 0.05), row(0.05, 0.05), torch.tensor([True, False])
    own = build_loss("kto", beta=100.0)(UnpairedErrors(policy, ref, liked))
    told = build_loss("kto", beta=100.0)(UnpairedErrors(policy, ref, liked, kl=row(0.0)[0]))
    assert own.metrics["kl"].item() == pytest.approx(0.005)
    assert told.loss.item() != pytest.approx(own.loss.item())
    below = build_loss("kto", beta=100.0)(UnpairedErrors(policy, ref, liked, kl=row(-0.01)[0]))
    assert below.loss.item() == told.loss.item()  # max(0, ...) is taken of the mean of all


def test_kto_weighs_thumbs_up_and_down_by_hand():
    policy, ref, liked = row(0.05, 0.05), row(0.05, 0.05), torch.tensor([True, False])
    loss = build_loss("kto", liked_weight=3.0, disliked_weight=1.0)(UnpairedErrors(policy, ref, liked)).loss
    assert loss.item() == pytest.approx((3 * 0.5 + 1 * 0.5) / 2)
    one = build_loss("kto", liked_weight=3.0, disliked_weight=0.0)(UnpairedErrors(policy, ref, ~liked)).loss
    assert one.item() == pytest.approx(3 * 0.5 / 2)


def test_low_precision_is_refused():
    with pytest.raises(ValueError, match=r"PairErrors\.policy_l is torch\.bfloat16: preference margins"):
        PairErrors(torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16), torch.zeros(2), torch.zeros(2))


def test_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match=r"StepLogProbs\.ref_w has shape \(3,\), policy_w has \(2,\)"):
        StepLogProbs(torch.zeros(2), torch.zeros(2), torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match=r"shape \(2, 4\), expected \(B\)"):
        PairErrors(*torch.zeros(4, 2, 4))
    with pytest.raises(ValueError, match=r"label must be \(2, 3\) of 1, -1 and 0"):
        SegmentErrors(*torch.zeros(4, 2, 3), torch.full((2, 3), 0.5))
    for alpha_bar in (torch.ones(1), torch.tensor([0.5, 0.0, 0.1])):
        with pytest.raises(ValueError, match=r"alpha_bar must be \(3,\) and above 0"):
            InversionErrors(*torch.zeros(2, 2, 3), alpha_bar)
    with pytest.raises(ValueError, match="liked must be bool"):
        UnpairedErrors(torch.zeros(2), torch.zeros(2), torch.zeros(2))


@pytest.mark.parametrize(
    ("name", "hyper", "message"),
    [
        ("dpo", {}, "unknown loss 'dpo'; known: sft, diffusion_dpo"),
        ("my.losses:Mine", {}, "cannot be imported"),
        ("diffusion_dpo", {"betta": 1.0}, "no hyper-parameter 'betta'; it has: beta=5000.0"),
        ("diffusion_dpo", {"beta": "2000"}, "beta='2000' must be a float"),
        ("diffusion_dpo", {"beta": True}, "must be a float"),
        ("diffusion_dpo", {"beta": 0.0}, "beta=0.0 must be above 0"),
        ("diffusion_dpo", {"beta": float("nan")}, "must be above 0"),
        ("diffusion_dpo", {"link": "exo"}, "unknown link 'exo'; known: sigmoid, hinge, ipo, robust"),
        ("diffusion_dpo", {"label_smoothing": 0.5}, r"must lie in \[0, 0.5\)"),
        ("diffusion_dpo", {"link": "hinge", "label_smoothing": 0.1}, "has no meaning"),
        ("spo", {"clip": 1.0}, r"clip=1.0 must lie in \(0, 1\)"),
        ("inversion_dpo", {"sign": 2}, "sign=2 must be 1"),
        ("inversion_dpo", {"max_weight": 0.0}, "max_weight=0.0 must be above 0"),
        ("rpo", {"link": "ipo"}, "sigmoid link"),
        ("rpo", {"label_smoothing": 0.1}, "sigmoid link"),
        ("sdpo", {"mu": 1.5}, "mu=1.5"),
        ("dmpo", {"alpha": 1.0}, "alpha=1.0"),
        ("rpo", {"kappa": -1.0}, "kappa"),
        ("pso_db", {"link": "ipo"}, "unknown link 'ipo'"),
        ("sft", {"beta": 1.0}, "it has: none"),
    ],
)
def test_a_bad_choice_is_refused_with_what_is_known(name: str, hyper: dict, message: str):
    with pytest.raises(ValueError, match=message):
        build_loss(name, **hyper)


def test_a_loss_of_ones_own_by_dotted_path():
    mine = build_loss("diffusion_core.losses.diffusion_dpo:DiffusionDPO", beta=7.0)
    assert mine == build_loss("diffusion_dpo", beta=7.0)


def test_sdpo_says_what_it_needs():
    with pytest.raises(TypeError, match="PredictionBatch"):
        build_loss("sdpo")(pair())


def test_compared_log_probs_are_step_log_probs():
    assert issubclass(ComparedLogProbs, StepLogProbs)
