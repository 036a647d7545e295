"""The sampler: exact chains, hooks, records, and independence of a row from its batch."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from diffusion_core.kernels import DDIM, FlowEuler, FlowSDE
from diffusion_core.processes import DDPM, Flow
from diffusion_core.sampling import ClipX0, Hook, State, Transition, sample
from diffusion_core.types import Cond, Gauss, Pred

FLOW = Flow()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(s) for s in seeds]


def test_flow_ode_transports_noise_to_the_data_quantile(gaussian):
    """For N(m, s²) the exact flow map is x_1 -> m + s x_1: the monotone map between the two normals."""
    x = noise(5, 2)
    out = sample(gaussian(FLOW, "flow", 1.0, 0.5), FlowEuler(FLOW), FLOW.grid(400), x)
    assert_close(out, 1 + 0.5 * x, atol=5e-3, rtol=0)


def test_ddim_ode_transports_noise_to_the_data_quantile(gaussian):
    process = DDPM(schedule="linear", beta_start=1e-4, beta_end=0.02)
    x = noise(5, 2)
    for kind in process.kinds:
        out = sample(gaussian(process, kind, 1.0, 0.5), DDIM(process), process.grid(250), x)
        assert_close(out, 1 + 0.5 * x, atol=0.02, rtol=0)


def test_sampled_moments_agree_with_the_recursion(gaussian, moments):
    kernel = FlowSDE(FLOW)
    out = sample(
        gaussian(FLOW, "x0", 1.0, 0.5),
        kernel,
        FLOW.grid(10),
        noise(100_000, 1),
        generator=torch.Generator().manual_seed(1),
    )
    mean, variance = moments(FLOW, kernel, 10)
    assert out.mean().item() == pytest.approx(mean, abs=0.006)
    assert out.var().item() == pytest.approx(variance, abs=0.004)


def test_a_rows_sample_does_not_depend_on_the_other_rows(gaussian):
    denoiser, kernel, grid = gaussian(FLOW, "x0", 1.0, 0.5), FlowSDE(FLOW), FLOW.grid(5)
    x = noise(3, 4)
    together = sample(denoiser, kernel, grid, x, generator=seeded(7, 8, 9))
    alone = sample(denoiser, kernel, grid, x[1:2], generator=seeded(8))
    assert torch.equal(together[1:2], alone)


def test_generators_must_match_the_rows(gaussian):
    with pytest.raises(ValueError, match="2 generators for 3 rows"):
        sample(
            gaussian(FLOW, "x0", 1.0, 0.5), FlowSDE(FLOW), FLOW.grid(2), noise(3, 4), generator=seeded(1, 2)
        )


class Log(Hook):
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def start(self, state):
        self.calls.append(f"{self.name}.start")

    def before(self, state, model):
        self.calls.append(f"{self.name}.before{state.index}")

    def pred(self, state, pred, model):
        self.calls.append(f"{self.name}.pred")
        return pred

    def dist(self, state, dist, pred, model):
        self.calls.append(f"{self.name}.dist")
        return dist

    def after(self, state, pred, model):
        self.calls.append(f"{self.name}.after")


def test_hooks_run_point_by_point_in_the_order_given(gaussian):
    calls: list[str] = []
    sample(
        gaussian(FLOW, "x0", 0.0, 1.0),
        FlowEuler(FLOW),
        FLOW.grid(2),
        noise(1, 1),
        hooks=[Log("a", calls), Log("b", calls)],
    )
    step = "{h}.before{i} {h}.pred {h}.dist {h}.after"
    each = [[s for h in "ab" for s in [step.format(h=h, i=i).split()[k]]] for i in range(2) for k in range(4)]
    assert calls == ["a.start", "b.start", *[c for group in each for c in group]]


class Shift(Hook):
    """Move the mean of every transition by a constant."""

    def __init__(self, by: float) -> None:
        self.by = by

    def dist(self, state: State, dist: Gauss, pred: Pred, model) -> Gauss:
        return Gauss(dist.mean + self.by, dist.std)


def test_the_record_holds_the_distribution_that_was_really_sampled(gaussian):
    record: list[Transition] = []
    denoiser, grid = gaussian(FLOW, "x0", 1.0, 0.5), FLOW.grid(4)
    sample(
        denoiser,
        FlowSDE(FLOW),
        grid,
        noise(3, 2),
        hooks=[Shift(0.3)],
        generator=seeded(1, 2, 3),
        record=record,
    )
    assert [(r.t, r.t_next) for r in record] == list(itertools.pairwise(grid))
    for r, following in itertools.pairwise(record):
        assert torch.equal(r.x_next, following.x)
    for r in record:
        plain = FlowSDE(FLOW)(denoiser(r.x, r.t, None), r.x, r.t, r.t_next)
        assert_close(r.dist.mean, plain.mean + 0.3)
        assert_close(
            r.log_prob(), torch.distributions.Normal(r.dist.mean, r.dist.std).log_prob(r.x_next).mean(1)
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_first_policy_ratio_is_exactly_one(gaussian, dtype: torch.dtype):
    record: list[Transition] = []
    shift = torch.zeros((), dtype=dtype, requires_grad=True)
    policy = gaussian(FLOW, "flow", 1.0, 0.5, shift)
    with torch.no_grad():
        sample(
            policy,
            FlowSDE(FLOW),
            FLOW.grid(6),
            noise(8, 5).to(dtype),
            generator=seeded(*range(8)),
            record=record,
        )
    for r in record:
        new = FlowSDE(FLOW)(policy(r.x, r.t, None), r.x, r.t, r.t_next).log_prob(r.x_next, reduce="mean")
        assert torch.equal((new - r.log_prob()).exp(), torch.ones(8, dtype=dtype))
        assert new.requires_grad


def test_policy_gradient_of_a_constant_is_the_path_wise_gradient(gaussian):
    """E[r · d log p / d shift] = d E[r] / d shift, with r = x0 whose path-wise gradient is read off the
    affine chain."""
    process = DDPM(schedule="linear", beta_start=1e-4, beta_end=0.02)
    kernel = DDIM(process, 1.0)
    grid = process.grid(10)[:-1]  # the step onto the clean level is deterministic
    shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
    denoiser, record = gaussian(process, "x0", 1.0, 0.5, shift), []
    x = noise(200_000, 1)
    out = sample(denoiser, kernel, grid, x, generator=torch.Generator().manual_seed(0), record=record)
    path_wise = torch.autograd.grad(out.mean(), shift)[0].item()
    reward = (out - out.mean()).detach().squeeze(1)
    score = 0.0
    for r in record:
        mean = kernel(denoiser(r.x.detach(), r.t, None), r.x.detach(), r.t, r.t_next)
        log_prob = mean.log_prob(r.x_next.detach())
        score += torch.autograd.grad((reward * log_prob).mean(), shift)[0].item()
    assert score == pytest.approx(path_wise, rel=0.03)


class Overwrite(Hook):
    def after(self, state: State, pred: Pred, model) -> None:
        state.x = state.x + 1


def test_log_prob_of_an_overwritten_step_is_refused(gaussian):
    record: list[Transition] = []
    denoiser, x = gaussian(FLOW, "x0", 1.0, 0.5), noise(2, 2)
    sample(
        denoiser, FlowSDE(FLOW), FLOW.grid(3), x, hooks=[Overwrite()], generator=seeded(1, 2), record=record
    )
    with pytest.raises(ValueError, match="overwritten by an `after` hook"):
        record[0].log_prob()
    assert torch.equal(record[1].x, record[0].x_next + 1)


def test_log_prob_of_an_ode_step_is_refused(gaussian):
    record: list[Transition] = []
    sample(gaussian(FLOW, "x0", 1.0, 0.5), FlowEuler(FLOW), FLOW.grid(3), noise(2, 2), record=record)
    with pytest.raises(ValueError, match="needs a stochastic kernel"):
        record[0].log_prob()


class Remember(Hook):
    """Keeps each row's own start, as any hook with memory does."""

    def start(self, state: State) -> None:
        state.bag["origin"] = state.x.clone()


class Reverse(Hook):
    """Resamples once: the rows in reverse order."""

    def after(self, state: State, pred: Pred, model) -> None:
        if state.index == 0:
            state.permute(torch.arange(len(state.x)).flip(0))


class Check(Hook):
    """The deterministic flow keeps every row at mean + spread · origin, whichever order the rows are in."""

    def after(self, state: State, pred: Pred, model) -> None:
        assert_close(state.cond["mean"], state.bag["origin"].mean(1).sign())


def test_permute_moves_every_hooks_memory_and_the_conditioning(gaussian):
    x = torch.tensor([[3.0, 3.0], [-3.0, -3.0], [-2.0, -2.0]], dtype=torch.float64)
    cond = Cond({"mean": x.mean(1).sign()})
    hooks = [Remember(), Reverse(), Check()]
    out = sample(gaussian(FLOW, "x0", 0.0, 0.5), FlowEuler(FLOW), FLOW.grid(2), x, cond, hooks=hooks)
    straight = sample(gaussian(FLOW, "x0", 0.0, 0.5), FlowEuler(FLOW), FLOW.grid(2), x, cond)
    assert_close(out, straight.flip(0))


def test_clipping_bounds_x0_and_still_explains_x(gaussian):
    class Bounded(Hook):
        def pred(self, state: State, pred: Pred, model) -> Pred:
            assert pred.x0.abs().max() <= 1
            assert_close(FLOW.noise(pred.x0, state.t, pred.eps), state.x)
            return pred

    denoiser, x = gaussian(FLOW, "x0", 0.9, 0.5), noise(50, 2)
    out = sample(denoiser, FlowEuler(FLOW), FLOW.grid(5), x, hooks=[ClipX0(FLOW), Bounded()])
    assert out.max().item() == pytest.approx(1.0)
    assert sample(denoiser, FlowEuler(FLOW), FLOW.grid(5), x).max().item() > 1.2


def test_gradients_flow_through_the_whole_chain(gaussian):
    """AlignProp's toy: with a DDIM chain on pure x0 predictions the end is x0_hat + shift."""
    shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
    out = sample(gaussian(FLOW, "x0", 1.0, 0.0, shift), FlowEuler(FLOW), FLOW.grid(4), noise(2, 2))
    assert torch.autograd.grad(out.mean(), shift)[0].item() == pytest.approx(1.0)


def test_a_grid_of_one_time_is_refused(gaussian):
    with pytest.raises(ValueError, match="at least two times"):
        sample(gaussian(FLOW, "x0", 0.0, 1.0), FlowEuler(FLOW), [1.0], noise(1, 1))


def test_log_density_of_the_standard_normal_at_zero():
    assert Gauss(torch.zeros(1, 4), torch.ones(())).log_prob(torch.zeros(1, 4)).item() == pytest.approx(
        -2 * math.log(2 * math.pi)
    )
