"""Kernels against closed forms: exact moments on Gaussian data, agreement with each other and with torch's
own normal."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from diffusion_core.kernels import DDIM, Ancestral, FlowEuler, FlowSDE
from diffusion_core.processes import DDPM, Flow
from diffusion_core.types import Gauss

LINEAR = DDPM(schedule="linear", beta_start=1e-4, beta_end=0.02)


def tensors(count: int, *shape: int) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=g, dtype=torch.float64) for _ in range(count)]


@pytest.mark.parametrize(
    ("eta", "variances"),
    [(1.0, [0.111, 0.153, 0.197, 0.219]), (0.0, [0.140, 0.188, 0.223, 0.236])],
)
def test_ddim_variance_on_a_normal_of_variance_one_quarter(moments, eta: float, variances: list[float]):
    """Few steps shrink the variance: a fact about the chain, not about the model (the denoiser is exact)."""
    got = [moments(LINEAR, DDIM(LINEAR, eta), steps) for steps in (10, 20, 50, 100)]
    assert [v for _, v in got] == pytest.approx(variances, abs=5e-4)
    assert [m for m, _ in got] == pytest.approx([1] * 4, abs=0.007)


@pytest.mark.parametrize(
    ("kernel", "shift", "variances"),
    [
        (FlowEuler, 1.0, [0.1856, 0.2321, 0.2493]),
        (FlowSDE, 1.0, [0.2300, 0.2474, 0.2509]),
        (FlowSDE, 3.0, [0.180, 0.230, 0.2497]),
    ],
)
def test_flow_keeps_the_mean_exactly_and_the_variance_as_steps_shrink(
    moments, kernel, shift: float, variances: list[float]
):
    process = Flow(shift)
    got = [moments(process, kernel(process), steps) for steps in (10, 40, 1000)]
    assert [v for _, v in got] == pytest.approx(variances, abs=5e-4)
    assert [m for m, _ in got] == pytest.approx([1] * 3, abs=1e-9)


@pytest.mark.parametrize("a", [0.3, 1.0])
def test_flow_sde_keeps_the_marginal_at_other_noise_strengths(moments, a: float):
    assert moments(Flow(), FlowSDE(Flow(), a), 400)[1] == pytest.approx(0.25, abs=4e-3)


@pytest.mark.parametrize("process", [LINEAR, DDPM(), Flow()])
def test_ddim_with_eta_one_is_the_ancestral_posterior(process, exact_pred):
    x0, eps = tensors(2, 4, 3)
    t, t_next = (0.6, 0.5) if isinstance(process, Flow) else (601, 501)
    x, pred = exact_pred(process, x0, eps, t)
    ddim, ancestral = DDIM(process, 1.0)(pred, x, t, t_next), Ancestral(process)(pred, x, t, t_next)
    assert_close(ddim.mean, ancestral.mean)
    assert_close(ddim.std, ancestral.std)
    assert_close(ancestral.mean, process.posterior(x, x0, t, t_next).mean)


def test_forward_variance_is_beta_for_neighbouring_levels(exact_pred):
    x, pred = exact_pred(LINEAR, *tensors(2, 4, 3), 500)
    beta = 1 - LINEAR.a(500).square() / LINEAR.a(499).square()
    assert Ancestral(LINEAR, "forward")(pred, x, 500, 499).std.item() == pytest.approx(beta.sqrt().item())
    assert Ancestral(LINEAR, "forward")(pred, x, 0, LINEAR.clean).std.item() == 0


def test_euler_on_a_flow_is_ddim_without_noise(exact_pred):
    process = Flow()
    x, pred = exact_pred(process, *tensors(2, 4, 3), 0.8)
    assert_close(FlowEuler(process)(pred, x, 0.8, 0.3).mean, DDIM(process)(pred, x, 0.8, 0.3).mean)


def test_flow_sde_without_noise_is_euler(exact_pred):
    process = Flow()
    x, pred = exact_pred(process, *tensors(2, 4, 3), 1.0)
    quiet = FlowSDE(process, a=0.0)(pred, x, 1.0, 0.9)
    assert_close(quiet.mean, FlowEuler(process)(pred, x, 1.0, 0.9).mean)
    assert quiet.std.item() == 0


@pytest.mark.parametrize("kernel", [DDIM(Flow()), DDIM(Flow(), 1.0), FlowEuler(Flow()), FlowSDE(Flow())])
def test_last_step_onto_the_clean_level_is_x0(kernel, exact_pred):
    """For an exact prediction; only FlowSDE still adds noise there, and its mean moves by the noise it takes
    out."""
    x0, eps = tensors(2, 4, 3)
    x, pred = exact_pred(Flow(), x0, eps, 0.1)
    step = kernel(pred, x, 0.1, 0.0)
    if isinstance(kernel, FlowSDE):
        assert step.std.item() == pytest.approx(0.7 * (0.1 / 0.9 * 0.1) ** 0.5)
    else:
        assert_close(step.mean, x0)


@pytest.mark.parametrize("kernel", [DDIM(LINEAR, 0.7), Ancestral(LINEAR), Ancestral(LINEAR, "forward")])
def test_per_sample_times_equal_one_time_at_a_time(kernel, exact_pred):
    x0, eps = tensors(2, 2, 3)
    x, pred = exact_pred(LINEAR, x0, eps, torch.tensor([801, 401]))
    both = kernel(pred, x, torch.tensor([801, 401]), torch.tensor([701, 301]))
    for i, (t, t_next) in enumerate([(801, 701), (401, 301)]):
        row, one = exact_pred(LINEAR, x0[i : i + 1], eps[i : i + 1], t)
        alone = kernel(one, row, t, t_next)
        assert_close(both.mean[i : i + 1], alone.mean)
        assert_close(both.std[i].flatten(), alone.std.flatten())


def test_log_prob_is_torchs_normal():
    mean, x = tensors(2, 3, 2, 4)
    std = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64).view(3, 1, 1)
    expected = torch.distributions.Normal(mean, std.expand_as(mean)).log_prob(x).flatten(1)
    assert_close(Gauss(mean, std).log_prob(x), expected.sum(1))
    assert_close(Gauss(mean, std).log_prob(x, reduce="mean"), expected.mean(1))


def test_log_prob_refuses_a_deterministic_step_and_says_what_to_take():
    mean, x = tensors(2, 2, 3)
    with pytest.raises(ValueError, match=r"needs a stochastic kernel.*DDIM\(eta > 0\)"):
        Gauss(mean, torch.zeros(())).log_prob(x)


def test_a_deterministic_step_draws_no_random_number():
    g = torch.Generator().manual_seed(0)
    before = g.get_state()
    mean = tensors(1, 2, 3)[0]
    assert torch.equal(Gauss(mean, torch.zeros(())).sample(g), mean)
    assert torch.equal(g.get_state(), before)


def test_samples_have_the_stated_moments():
    mean, std = torch.tensor([[1.0], [-2.0]]).expand(2, 200_000), torch.tensor([[0.5], [2.0]])
    drawn = Gauss(mean, std).sample(torch.Generator().manual_seed(0))
    assert_close(drawn.mean(1), torch.tensor([1.0, -2.0]), atol=0.015, rtol=0)
    assert_close(drawn.std(1), torch.tensor([0.5, 2.0]), atol=0.01, rtol=0)
