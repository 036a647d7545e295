"""Every loss against numbers taken from the released code, or worked out by hand; and nobody is `diffusion_dpo` under another name."""

import json
import math
from pathlib import Path

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

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "dpo_family.json").read_text())
VALUES, CLOSED = GOLDEN["values"], GOLDEN["closed_form"]
SHAPE = (4, 4, 4, 4)


def wave(shape: tuple[int, ...], phase: float) -> torch.Tensor:
    """sin(0.37 i + phase) over the flattened index, computed in float64."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(0.37 * index + phase).float().reshape(shape)


NOISE = wave((2, 4, 4, 4), 0.1).repeat(2, 1, 1, 1)
POLICY = NOISE + 0.30 * wave(SHAPE, 1) + 0.05 * wave(SHAPE, 2)
REFERENCE = NOISE + 0.31 * wave(SHAPE, 1) + 0.02 * wave(SHAPE, 3)


def predictions(
    policy: torch.Tensor, ref: torch.Tensor = REFERENCE, target: torch.Tensor = NOISE
) -> PredictionBatch:
    return PredictionBatch(*policy.chunk(2), *ref.chunk(2), *target.chunk(2))


def run(loss, make, policy: torch.Tensor = POLICY):
    """(output, gradient by the policy's prediction); `make` turns the prediction into the loss's input."""
    policy = policy.clone().requires_grad_()
    output = loss(make(policy))
    output.loss.backward()
    return output, policy.grad


def pair_errors(policy: torch.Tensor) -> PairErrors:
    return predictions(policy).errors()


def unpaired(policy: torch.Tensor) -> UnpairedErrors:
    errors = pair_errors(policy)
    return UnpairedErrors(
        torch.cat([errors.policy_w, errors.policy_l]),
        torch.cat([errors.ref_w, errors.ref_l]),
        torch.tensor([True, True, False, False]),
    )


def soft(p: float):
    def make(policy: torch.Tensor) -> SoftPairErrors:
        e = pair_errors(policy)
        return SoftPairErrors(e.policy_w, e.policy_l, e.ref_w, e.ref_l, torch.full((2,), p))

    return make


FROM_PREDICTIONS = {
    "diffusion_dpo_official_beta5000": ("diffusion_dpo", {"beta": 5000.0}, pair_errors),
    "diffusion_dpo_official_beta2000": ("diffusion_dpo", {"beta": 2000.0}, pair_errors),
    "diffusers_sd_sigmoid_beta2500": ("diffusion_dpo", {"beta": 2500.0, "half": False}, pair_errors),
    "diffusers_sd_hinge_beta2500": ("diffusion_dpo", {"beta": 2500.0, "half": False, "link": "hinge"}, pair_errors),
    "diffusers_sd_ipo_beta2500": ("diffusion_dpo", {"beta": 2500.0, "half": False, "link": "ipo"}, pair_errors),
    "mapo_beta0.1_snr0.5": ("mapo", {"reference_compat": True}, pair_errors),
    "smpo_beta2000_p0.5000": ("smpo", {}, soft(0.5)),
    "smpo_beta2000_p0.6000": ("smpo", {}, soft(0.6)),
    "smpo_beta2000_p0.7311": ("smpo", {}, soft(1 / (1 + math.exp(-1)))),
    "diffusers_orpo_beta0.1_WRONG_SIGN": ("orpo", {"reference_compat": True}, pair_errors),
    "dspo_sd15_beta0.01": ("dspo", {}, predictions),
    "sdpo_diffusion-dpo_beta5000_mu0.9": ("sdpo", {}, predictions),
    "sdpo_dmpo_beta2000_mu0.9": ("dmpo", {}, pair_errors),  # its scale is 1 there
    "diffusion_kto_beta1000_labels1100": ("kto", {}, unpaired),
}  # fmt: skip


@pytest.mark.parametrize("entry", FROM_PREDICTIONS)
def test_losses_and_gradients_are_the_released_ones(entry: str):
    name, hyper, make = FROM_PREDICTIONS[entry]
    expected = VALUES[entry]
    output, gradient = run(build_loss(name, **hyper), make)
    rough = 1e-4 if "ipo" in entry else 1e-5  # differences of 1e-4, squared, in float32
    assert output.loss.item() == pytest.approx(expected["loss"], rel=rough)
    # float32 moves a cancelling sum: its tolerance is of the size of what cancels
    assert gradient.sum().item() == pytest.approx(
        expected["grad_sum"], rel=2e-4, abs=3e-5 * expected["grad_l2"]
    )
    assert gradient.norm().item() == pytest.approx(expected["grad_l2"], rel=rough, abs=1e-12)
    assert gradient[0, 0, 0, 0].item() == pytest.approx(expected["grad[0,0,0,0]"], rel=10 * rough, abs=1e-12)
    sides = [side.norm().item() for side in gradient.chunk(2)]
    assert sides == pytest.approx([expected["grad_l2_w"], expected["grad_l2_l"]], rel=10 * rough, abs=1e-11)


def test_the_inside_term_and_the_errors_are_the_released_ones():
    expected = VALUES["diffusion_dpo_official_beta5000"]
    errors = pair_errors(POLICY)
    for ours, theirs in (("policy_w", "model_losses_w"), ("policy_l", "model_losses_l"), ("ref_w", "ref_losses_w"), ("ref_l", "ref_losses_l")):  # fmt: skip
        assert getattr(errors, ours).tolist() == pytest.approx(expected[theirs], rel=1e-6)
    loss = build_loss("diffusion_dpo")
    assert loss.inside(errors).tolist() == pytest.approx(expected["inside_term"], rel=2e-5)
    assert loss(errors).metrics["implicit_acc"].item() == expected["implicit_acc"]


def test_flow_dpo_is_the_same_loss_on_flow_targets():
    lat = wave(SHAPE, 4)
    velocity = NOISE - lat
    ref = velocity + 0.21 * wave(SHAPE, 1.5) + 0.02 * wave(SHAPE, 0.3)
    expected = VALUES["flow_dpo_flow_grpo_beta100"]
    output, gradient = run(
        build_loss("diffusion_dpo", beta=100.0),
        lambda policy: predictions(policy, ref, velocity).errors(),
        velocity + 0.20 * wave(SHAPE, 1.5),
    )
    assert output.loss.item() == pytest.approx(expected["loss"], rel=1e-5)
    assert gradient.norm().item() == pytest.approx(expected["grad_l2"], rel=1e-4)


def test_inversion_dpo_is_the_released_one():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
    alpha_bar = (1 - betas).cumprod(0).float()[torch.tensor([801, 401, 1])]
    shape = (1, 4, 4, 4)

    def gaps(policy: float, ref: float, shift: int) -> torch.Tensor:
        return torch.stack(
            [
                (policy * wave(shape, i + shift) - ref * wave(shape, i + shift)).square().mean()
                for i in range(3)
            ]
        )[None]

    batch = InversionErrors(gaps(0.20, 0.19, 0), gaps(0.20, 0.17, 10), alpha_bar)
    expected = VALUES["inversion_dpo_beta2000_N3_t801_401_1"]
    output = build_loss("inversion_dpo")(batch)
    assert output.loss.item() == pytest.approx(expected["loss"], rel=1e-4)
    assert output.metrics["z"].item() == pytest.approx(expected["inside_term"], rel=1e-4)
    derived = build_loss("inversion_dpo", sign=-1)(batch)
    assert derived.metrics["z"].item() == pytest.approx(-expected["inside_term"], rel=1e-4)


STEPS_FIELDS = ("policy_w", "policy_l", "ref_w", "ref_l")
STEPS = {
    "policy_w": [-1.0, -1.2], "ref_w": [-1.02, -1.10], "policy_l": [-1.3, -1.0], "ref_l": [-1.25, -1.3],
}  # fmt: skip


def steps(**more) -> StepLogProbs:
    return StepLogProbs(
        **{k: torch.tensor(v, requires_grad=k.startswith("policy")) for k, v in (STEPS | more).items()}
    )


def test_spo_is_the_released_one():
    batch, expected = steps(), VALUES["spo_ratio_loss_beta10_eps0.1"]
    output = build_loss("spo")(batch)
    output.loss.backward()
    assert output.loss.item() == pytest.approx(expected["loss"], rel=1e-5)
    assert batch.policy_w.grad.tolist() == pytest.approx(expected["grad_lp_w"], rel=1e-5)
    assert batch.policy_l.grad.tolist() == pytest.approx(expected["grad_lp_l"], rel=1e-5)
    assert output.metrics["clipped_l"].item() == 0.5


def test_d3po_is_the_released_one():
    assert build_loss("d3po")(steps()).loss.item() == pytest.approx(
        VALUES["d3po_beta0.1_eps0.1"]["loss"], rel=1e-5
    )


@pytest.mark.parametrize(("name", "entry"), [("spo", "spo"), ("d3po", "d3po"), ("pso", "pso")])
def test_a_clipped_margin_stays_within_its_bounds(name: str, entry: str):
    margin, low, high = CLOSED[f"{entry} margin/loss bounds"]
    loss = build_loss(name)
    assert loss.largest_margin == pytest.approx(margin, rel=1e-6)
    for side, bound in ((50.0, low), (-50.0, high)):
        far = StepLogProbs(
            torch.tensor([side]).double(), torch.tensor([-side]).double(), *torch.zeros(2, 1).double()
        )
        assert loss(far).loss.item() == pytest.approx(bound, rel=1e-6)


def test_pso_db_by_hand():
    batch = PairErrors(torch.tensor([0.1, 0.3]), torch.tensor([0.2, 0.25]), torch.zeros(2), torch.zeros(2))
    expected = VALUES["pso_db_beta5_neg0.1_prior0.5"]
    assert build_loss("pso_db")(batch).loss.item() == pytest.approx(expected["loss"], rel=1e-6)
    ref = torch.tensor([0.15, 0.2]), torch.tensor([0.3, 0.1])
    z = 5 * (torch.tensor([0.12, 0.19]) - torch.tensor([0.08, 0.275]))
    by_hand = torch.nn.functional.softplus(-z).mean() + 0.5 * 0.225
    batch = PairErrors(batch.policy_w, batch.policy_l, *ref)
    assert build_loss("pso_db", link="sigmoid")(batch).loss.item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_densedpo_by_hand():
    label = torch.tensor([[1.0, 0.0, -1.0, 1.0]])
    s_0, s_1 = torch.tensor([[0.1, 0.2, 0.3, 0.45]]), torch.tensor([[0.15, 0.1, 0.25, 0.3]])
    zero = torch.zeros_like(label)
    loss = build_loss("densedpo", beta=5.0)
    expected = CLOSED["densedpo beta=5 l=[1,0,-1,1] S0=[.1,.2,.3,.45] S1=[.15,.1,.25,.3]"]
    assert loss(SegmentErrors(s_0, s_1, zero, zero, label)).loss.item() == pytest.approx(expected, rel=1e-6)
    tied = s_0.clone().requires_grad_()
    output = loss(SegmentErrors(tied, s_1, zero, zero, torch.zeros_like(label)))
    output.loss.backward()
    assert output.loss.item() == pytest.approx(CLOSED["densedpo all ties"], rel=1e-6)
    assert tied.grad.abs().max().item() == 0
    whole = build_loss("diffusion_dpo", beta=5.0, half=False)
    ones = torch.ones_like(label)
    same = whole(PairErrors(s_0.sum(1), s_1.sum(1), torch.zeros(1), torch.zeros(1)))
    assert loss(SegmentErrors(s_0, s_1, zero, zero, ones)).loss.item() == pytest.approx(
        same.loss.item(), rel=1e-6
    )


def test_smpo_weights_by_hand():
    from diffusion_core.losses.smpo import PICKSCORE_RANGE, soft_label

    low, high = PICKSCORE_RANGE
    gaps = torch.tensor([0.0, 0.1, 0.5, 1.0], dtype=torch.float64)
    p = soft_label(low + gaps * (high - low), torch.full_like(gaps, low))
    assert (10 * (2 * p - 1)).tolist() == pytest.approx(
        CLOSED["smpo weight 10*(2p-1), p for normalised score gap 0,.1,.5,1"]
    )


def test_mapo_is_more_exact_than_its_release():
    """exp(x) - 1 of a small x loses digits that T = 1000 brings back: 4e-4 of the loss in the released float32."""
    loss = build_loss("mapo")
    exact = loss(PairErrors(*(getattr(pair_errors(POLICY), n).double() for n in STEPS_FIELDS))).loss.item()
    assert loss(pair_errors(POLICY)).loss.item() == pytest.approx(exact, rel=1e-6)
    assert VALUES["mapo_beta0.1_snr0.5"]["loss"] == pytest.approx(exact, rel=1e-3)
    assert VALUES["mapo_beta0.1_snr0.5"]["loss"] != pytest.approx(exact, rel=1e-4)


def test_phi_of_mapo_by_hand_and_finite_at_a_perfect_prediction():
    from diffusion_core.losses.mapo import phi

    points = torch.tensor([0.0, 1e-3, 0.05, 1.0], dtype=torch.float64)
    assert phi(points, 0.5).tolist() == pytest.approx(CLOSED["mapo phi(0,1e-3,.05,1) s=.5"], rel=1e-9)
    x = torch.tensor(
        [0.0, 1.99e-4, 2.01e-4], dtype=torch.float64, requires_grad=True
    )  # both sides of the series' end
    (gradient,) = torch.autograd.grad(phi(x, 0.5).sum(), x)
    assert gradient.tolist() == pytest.approx([-0.25, -0.25, -0.25], abs=1e-4)
    perfect = PairErrors(*torch.zeros(4, 2))
    assert build_loss("mapo")(perfect).loss.item() == pytest.approx(0.1 * math.log(2), rel=1e-6)
    assert math.isnan(build_loss("mapo", reference_compat=True)(perfect).loss.item())
    even = PairErrors(*torch.full((4, 2), 0.09))
    assert build_loss("mapo")(even).loss.item() == pytest.approx(
        VALUES["mapo_equal_w_l(0.09)"]["expected"], rel=1e-6
    )


@pytest.mark.parametrize(
    ("beta", "gap", "key"),
    [(5000, 1e-4, "0.0001"), (5000, -1e-4, "-0.0001"), (2000, 1e-3, "0.001"), (500, -2e-3, "-0.002")],
)
def test_the_scalar_table(beta: float, gap: float, key: str):
    errors = PairErrors(*(torch.tensor([x], dtype=torch.float64) for x in (gap, 0.0, 0.0, 0.0)))
    expected = CLOSED[f"dpo -logsig(-.5*{beta}*{key})"]
    assert build_loss("diffusion_dpo", beta=float(beta))(errors).loss.item() == pytest.approx(
        expected, rel=1e-9
    )


# What each name says of one and the same pair, or of its own input; `diffusion_dpo` itself first.
ALIAS = {
    "inpo": {"beta": 2000.0, "noising": "ddim_inversion"},
    "dcpo": {"beta": 500.0, "captions": "per_image"},
}


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "diffusion_dpo"])
def test_no_name_is_diffusion_dpo(name: str):
    """Where the formula is Diffusion-DPO's, what is prepared for it and its default strength are not."""
    cls, plain = LOSSES[name], LOSSES["diffusion_dpo"]
    assert cls is not plain
    if name in ALIAS:
        for key, value in ALIAS[name].items():
            assert getattr(cls(), key) == value != getattr(plain(), key)
    e = pair_errors(POLICY)
    reference = plain()(e).loss.item()
    made = {
        PairErrors: lambda: e,
        PredictionBatch: lambda: predictions(POLICY),
        SoftPairErrors: lambda: soft(0.6)(POLICY),
        StepLogProbs: steps,
        UnpairedErrors: lambda: unpaired(POLICY),
        SegmentErrors: lambda: SegmentErrors(
            *(x[:, None] for x in (e.policy_w, e.policy_l, e.ref_w, e.ref_l)), torch.ones(2, 1)
        ),
        InversionErrors: lambda: InversionErrors(
            e.policy_w[:, None], e.policy_l[:, None], torch.tensor([0.5])
        ),
    }
    if name == "sdpo":  # its value is Diffusion-DPO's by design: the gradient is not
        return
    assert abs(cls()(made[cls.inputs]()).loss.item() - reference) > 1e-3


def test_sdpo_scales_the_losers_gradient_and_nothing_else():
    """λ below 1, by hand: the loser's error points the winner's way with twice its size, so λ = (1 - μ) ‖g‖² / (2 ‖g‖²) = (1 - μ)/2."""
    gap = wave((2, 4, 4, 4), 1)
    target = torch.zeros(4, 4, 4, 4)
    policy = torch.cat([0.1 * gap, 0.2 * gap])
    ref = 0.15 * wave(SHAPE, 2)

    def of(name: str, **hyper):
        def make(p: torch.Tensor):
            batch = predictions(p, ref, target)
            return batch if name == "sdpo" else batch.errors()

        return run(build_loss(name, beta=100.0, **hyper), make, policy)

    (plain, g), (scaled, h) = of("diffusion_dpo"), of("sdpo", mu=0.4)
    assert scaled.metrics["loser_scale"].item() == pytest.approx(0.3, rel=1e-5)
    assert scaled.loss.item() == pytest.approx(plain.loss.item(), rel=1e-6)
    torch.testing.assert_close(h[:2], g[:2])
    torch.testing.assert_close(h[2:], 0.3 * g[2:])
    _, stopped = of("sdpo", mu=1.0)
    assert stopped[2:].abs().max().item() == 0


def test_sdpos_scale_is_one_for_the_batch():
    """Pairs whose losers are 1 and 3 times their winners: λ = (1 - μ) (1 + 1)/(1 + 3) for both, and not one each."""
    w = torch.ones(2, 3)
    batch = PredictionBatch(w, w * torch.tensor([[1.0], [3.0]]), *torch.zeros(4, 2, 3))
    found = build_loss("sdpo", mu=0.6)(batch).metrics["loser_scale"]
    assert found.item() == pytest.approx(0.4 * 2 / 4, rel=1e-6)


def test_a_tie_of_d3po_has_no_gradient_and_a_reversal_swaps_the_sides():
    tied = ComparedLogProbs(
        **{k: torch.tensor(v, requires_grad=k.startswith("policy")) for k, v in STEPS.items()},
        preference=torch.zeros(2),
    )
    output = build_loss("d3po")(tied)
    output.loss.backward()
    assert output.loss.item() == pytest.approx(math.log(2), rel=1e-6)
    assert tied.policy_w.grad.abs().max().item() == 0
    back = ComparedLogProbs(**{k: torch.tensor(v) for k, v in STEPS.items()}, preference=-torch.ones(2))
    swapped = steps(
        policy_w=STEPS["policy_l"], policy_l=STEPS["policy_w"], ref_w=STEPS["ref_l"], ref_l=STEPS["ref_w"]
    )
    assert build_loss("d3po")(back).loss.item() == pytest.approx(
        build_loss("d3po")(swapped).loss.item(), rel=1e-6
    )


def test_orpo_as_released_is_matched_under_compat_only():
    expected = VALUES["diffusers_orpo_beta0.1_WRONG_SIGN"]["loss"]
    assert build_loss("orpo")(pair_errors(POLICY)).loss.item() != pytest.approx(expected, rel=1e-5)
