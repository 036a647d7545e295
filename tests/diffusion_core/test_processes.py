"""Forward processes: levels, conversions, posterior, grids."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.testing import assert_close

from diffusion_core.processes import DDPM, Flow

SD = DDPM()
PROCESSES = [
    SD,
    DDPM(schedule="linear", beta_start=1e-4, beta_end=0.02),
    DDPM(schedule="squaredcos_cap_v2"),
    Flow(),
]
CASES = [(p, kind) for p in PROCESSES for kind in p.kinds]


def times(process: DDPM | Flow) -> torch.Tensor:
    return torch.tensor([0.1, 0.5, 0.9]) if isinstance(process, Flow) else torch.tensor([1, 401, 901])


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(3, 2, 4, generator=g, dtype=torch.float64) for _ in range(2))


@pytest.mark.parametrize(
    ("t", "expected"),
    [(1, 0.998296), (101, 0.892981), (401, 0.422882), (500, 0.276333), (801, 0.036547), (999, 0.004660)],
)
def test_default_ddpm_is_stable_diffusions_schedule(t: int, expected: float):
    assert SD.a(t).square().item() == pytest.approx(expected, abs=1e-6)


def test_ddpm_preserves_variance_and_flow_is_the_straight_line():
    t = torch.arange(1000)
    assert_close(SD.a(t).square() + SD.s(t).square(), torch.ones(1000, dtype=torch.float64))
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert_close(Flow().a(t) + Flow().s(t), torch.ones(11, dtype=torch.float64))


@pytest.mark.parametrize("final_alpha_one", [True, False])
def test_clean_level_follows_the_configuration(final_alpha_one: bool):
    process = DDPM(final_alpha_one=final_alpha_one)
    assert process.a(process.clean).item() == (1.0 if final_alpha_one else process.a(0).item())


def test_zero_terminal_snr_reaches_pure_noise_and_keeps_the_start():
    process = DDPM(zero_terminal_snr=True)
    assert process.a(999).item() == 0.0
    assert process.a(0).item() == pytest.approx(SD.a(0).item())


@pytest.mark.parametrize(("process", "kind"), CASES)
def test_convert_inverts_target(process: DDPM | Flow, kind: str):
    x0, eps = pair()
    t = times(process)
    pred = process.convert(process.target(kind, x0, eps, t), kind, process.noise(x0, t, eps), t)
    assert_close(pred.x0, x0)
    assert_close(pred.eps, eps)


@pytest.mark.parametrize(("process", "kind"), CASES)
def test_prediction_always_explains_x_t(process: DDPM | Flow, kind: str):
    output, x_t = pair(1)
    t = times(process)
    pred = process.convert(output, kind, x_t, t)
    assert_close(process.noise(pred.x0, t, pred.eps), x_t)


@pytest.mark.parametrize(
    ("process", "kind", "t", "ratio"),
    [(SD, "v", 401, 2.36472852), (SD, "x0", 401, 1.36472852), (Flow(), "flow", 0.3, 2.04081633)],
)
def test_error_of_a_parameterisation_against_the_noise_error(
    process: DDPM | Flow, kind: str, t: float, ratio: float
):
    x_t, out = pair(2)
    other = out + 0.1
    noise_error = process.convert(other, kind, x_t, t).eps - process.convert(out, kind, x_t, t).eps
    assert (0.1**2 / noise_error.square().mean()).item() == pytest.approx(ratio, rel=1e-6)


def test_flow_refuses_noise_prediction_and_names_what_it_knows():
    with pytest.raises(ValueError, match="Flow has no parameterisation 'eps'; known: flow, x0"):
        Flow().target("eps", *pair(), 0.5)


@pytest.mark.parametrize("process", PROCESSES)
def test_posterior_is_bayes_rule(process: DDPM | Flow):
    """q(x_s | x_t, x0) from the joint normal of (x_s, x_t) given x0, by conditioning."""
    t, t_next = (0.7, 0.4) if isinstance(process, Flow) else (701, 401)
    a, s, b, r = (
        float(f(u)) for u, f in ((t, process.a), (t, process.s), (t_next, process.a), (t_next, process.s))
    )
    cov = a / b * r**2  # x_t = (a/b) x_s + independent noise
    x0, x_t = pair(3)
    got = process.posterior(x_t, x0, t, t_next)
    assert_close(got.mean, b * x0 + cov / s**2 * (x_t - a * x0))
    assert got.std.item() == pytest.approx((r**2 - cov**2 / s**2) ** 0.5)


@pytest.mark.parametrize("process", PROCESSES)
def test_posterior_at_the_clean_level_is_x0_itself(process: DDPM | Flow):
    x0, x_t = pair(4)
    got = process.posterior(x_t, x0, 0.2 if isinstance(process, Flow) else 20, process.clean)
    assert_close(got.mean, x0)
    assert got.std.item() == 0


@pytest.mark.parametrize("process", PROCESSES)
def test_time_at_inverts_log_snr(process: DDPM | Flow):
    t = times(process)
    assert_close(process.time_at(process.log_snr(t)), t.double())


def test_per_sample_times_equal_one_time_at_a_time():
    x0, eps = pair(5)
    together = SD.noise(x0, torch.tensor([1, 401, 901]), eps)
    apart = torch.cat([SD.noise(x0[i : i + 1], t, eps[i : i + 1]) for i, t in enumerate((1, 401, 901))])
    assert torch.equal(together, apart)


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (DDPM(steps_offset=1), [751, 501, 251, 1, -1]),
        (DDPM(spacing="trailing"), [999, 749, 499, 249, -1]),
        (DDPM(spacing="linspace"), [999, 666, 333, 0, -1]),
        (Flow(), [1, 0.75, 0.5, 0.25, 0]),
        (Flow(shift=3.0), [1, 0.9, 0.75, 0.5, 0]),
    ],
)
def test_grid_of_four_steps(process: DDPM | Flow, expected: list[float]):
    assert process.grid(4) == pytest.approx(expected)


@pytest.mark.parametrize(
    "process", [DDPM(spacing=s) for s in ("leading", "trailing", "linspace")] + [Flow(shift=3.0)]
)
@pytest.mark.parametrize("steps", [1, 7, 28, 999])
def test_grids_descend_to_clean(process: DDPM | Flow, steps: int):
    grid = process.grid(steps)
    assert len(grid) == steps + 1
    assert grid[-1] == process.clean
    assert all(a > b for a, b in itertools.pairwise(grid))


@pytest.mark.parametrize("steps", [0, 1001])
def test_impossible_step_counts_are_refused(steps: int):
    with pytest.raises(ValueError, match=f"{steps} steps asked"):
        SD.grid(steps)


def test_a_time_past_the_end_is_refused():
    with pytest.raises(ValueError, match="ends at 999"):
        SD.a(1000)
