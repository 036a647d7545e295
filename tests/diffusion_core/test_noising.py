"""Noising: what winner and loser share, where an inversion ends, and the released mismatch, against closed forms."""

import pytest
import torch

from diffusion_core.kernels import DDIM
from diffusion_core.noising import (
    NOISINGS,
    DDIMInversion,
    ReNoise,
    SharedNoise,
    climb,
    invert_path,
    partial_noise,
    rising_grid,
)
from diffusion_core.processes import DDPM, Flow
from diffusion_core.types import Pred

SD = DDPM(steps_offset=1)
X0 = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
E = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def constant(process):
    """A network that always answers the noise E."""

    def predict(x, t, rows):
        return (
            process.convert(E.expand_as(x), "eps", x, t)
            if isinstance(process, DDPM)
            else Pred(x - E, E.expand_as(x))
        )

    return predict


def times(*t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def test_shared_noise_is_one_draw_for_a_pair():
    found = SharedNoise()(SD, X0, times(10, 700, 10, 700), generator=torch.Generator().manual_seed(2))
    assert torch.equal(found.eps[:2], found.eps[2:])
    torch.testing.assert_close(found.x_t, SD.noise(X0, found.t, found.eps))
    rows = [torch.Generator().manual_seed(i) for i in (5, 6)]
    again = [torch.Generator().manual_seed(i) for i in (6,)]
    both = SharedNoise()(SD, X0, times(10, 10, 10, 10), generator=rows)
    one = SharedNoise()(SD, X0[[1, 3]], times(10, 10), generator=again)
    assert torch.equal(both.eps[1], one.eps[0])


def test_single_images_have_noise_of_their_own():
    found = NOISINGS["independent"]()(
        SD, X0[:3], times(10, 10, 10), generator=torch.Generator().manual_seed(0)
    )
    assert not torch.allclose(found.eps[0], found.eps[2])
    torch.testing.assert_close(found.x_t, SD.noise(X0[:3], found.t, found.eps))


def test_pairs_are_halves():
    with pytest.raises(ValueError, match="cannot be halved"):
        SharedNoise()(SD, X0[:3], times(1, 1, 1))


@pytest.mark.parametrize("t", [1.0, 150.0, 402.0, 500.0, 999.0])
@pytest.mark.parametrize("kind", [DDIMInversion(eta=0.0), ReNoise(steps=10)])
def test_inversion_of_a_constant_network_finds_its_noise(kind, t: float):
    """The trajectory of a network that always answers E is a line: at the level reached, eps is E exactly."""
    found = kind(SD, X0, times(t, t, t, t), constant(SD))
    torch.testing.assert_close(found.eps, E.expand_as(X0), atol=1e-9, rtol=0)
    assert (found.t <= max(t, 1.0)).all()
    assert set(found.t.tolist()) <= set(rising_grid(SD, 10))
    torch.testing.assert_close(found.x_t, SD.noise(X0, found.t, found.eps))


# tau = c0 x0 + ce e as the release computes it at t, ten steps of 1, 101, ..., 901; clean level at alpha_bar 1 or alpha_bar_0
@pytest.mark.parametrize(
    ("final_one", "t", "c0", "ce"),
    [
        (True, 402, 0.001618, 0.998617),
        (True, 500, 0.146493, 0.893024),
        (True, 150, 0.084671, 0.788369),
        (True, 999, 0.050194, 0.995295),
        (False, 500, 0.146818, 0.870727),
        (False, 402, 0.001982, 0.973684),
    ],
)
def test_the_released_mismatch_is_there_under_compat_only(final_one: bool, t: int, c0: float, ce: float):
    process = DDPM(steps_offset=1, final_alpha_one=final_one)
    found = DDIMInversion(eta=0.0, reference_compat=True)(process, X0, times(t, t, t, t), constant(process))
    assert found.t.tolist() == [t] * 4
    torch.testing.assert_close(found.eps, c0 * X0 + ce * E, atol=2e-6 * 4, rtol=0)
    sound = DDIMInversion(eta=0.0)(process, X0, times(t, t, t, t), constant(process))
    gap = float((sound.eps - found.eps).abs().max())
    assert gap > 1e-3


def test_a_time_at_the_first_level_stays_clean_under_compat_only():
    compat = DDIMInversion(eta=0.0, reference_compat=True)(SD, X0, times(1, 1, 1, 1), constant(SD))
    assert torch.equal(compat.x_t, X0)
    sound = DDIMInversion(eta=0.0)(SD, X0, times(0, 1, 0, 1), constant(SD))
    assert sound.t.tolist() == [1.0] * 4
    assert not torch.equal(sound.x_t, X0)


def test_rows_of_different_times_are_inverted_as_if_alone():
    """The release takes the first row's time for the whole batch."""
    seen = []

    def predict(x, t, rows):
        seen.append(rows.tolist())
        return SD.convert(0.1 * x + E, "eps", x, t)

    t = times(150, 999, 150, 999)
    together = DDIMInversion(eta=0.0)(SD, X0, t, predict)
    assert seen[0] == [0, 1, 2, 3]
    assert seen[-1] == [1, 3]
    assert len(seen) == 10
    for i in range(4):
        alone = DDIMInversion(eta=0.0)(SD, X0[[i]], t[[i]], predict)
        torch.testing.assert_close(together.x_t[[i]], alone.x_t)
        assert together.t[i] == alone.t[0]


def test_winner_and_loser_have_noise_of_their_own_after_inversion():
    found = DDIMInversion(eta=0.0)(
        SD, X0, times(500, 500, 500, 500), lambda x, t, rows: SD.convert(0.1 * x, "eps", x, t)
    )
    assert not torch.allclose(found.eps[:2], found.eps[2:])


def test_the_added_noise_is_eta_times_the_posteriors_and_reproducible():
    def run(eta: float, seed: int):
        return DDIMInversion(eta=eta)(
            SD, X0, times(*[102] * 4), constant(SD), torch.Generator().manual_seed(seed)
        )

    quiet, loud = run(0.0, 0), run(0.1, 0)
    assert torch.equal(loud.x_t, run(0.1, 0).x_t)
    assert not torch.equal(loud.x_t, run(0.1, 1).x_t)
    drawn = torch.Generator().manual_seed(0)
    zero = torch.randn(
        4, 2, 3, generator=drawn, dtype=torch.float64
    )  # the first step leaves the clean level: deviation 0
    noise = torch.randn(4, 2, 3, generator=drawn, dtype=torch.float64)
    expected = 0.1 * float(SD.posterior_std(101.0, 1.0)) * noise
    torch.testing.assert_close(loud.x_t - quiet.x_t, expected + 0 * zero)
    torch.testing.assert_close(loud.x_t, SD.noise(X0, loud.t, loud.eps))


def test_renoise_averages_two_estimates():
    def predict(x, t, rows):
        return SD.convert(0.3 * x, "eps", x, t)

    first = 0.3 * X0
    second = 0.3 * climb(SD, X0, first, SD.clean, 1.0)
    expected = climb(SD, X0, (first + second) / 2, SD.clean, 1.0)
    found = ReNoise()(SD, X0, times(1, 1, 1, 1), predict)
    torch.testing.assert_close(found.x_t, expected)


def test_inversion_on_a_flow_leaves_out_pure_noise():
    flow = Flow()
    assert max(rising_grid(flow, 4)) == 0.75
    found = DDIMInversion(steps=4, eta=0.0)(flow, X0, times(0.3, 1.0, 0.3, 1.0), constant(flow))
    assert found.t.tolist() == [0.25, 0.75, 0.25, 0.75]
    torch.testing.assert_close(found.eps, E.expand_as(X0), atol=1e-9, rtol=0)
    with pytest.raises(ValueError, match="take at least 2"):
        rising_grid(flow, 1)


def test_an_inverted_path_leads_back():
    """From its last state, DDIM with the same noises returns to x0."""

    def predict(x, t, rows):
        return SD.convert(0.2 * x + E, "eps", x, t)

    path = invert_path(SD, X0, 5, predict)
    assert path.z_NB.shape == (5, 4, 2, 3)
    assert torch.equal(path.z_NB[0], X0)
    assert path.t.tolist() == rising_grid(SD, 5)
    ends = [SD.clean, *path.t.tolist()]
    x = climb(SD, path.z_NB[-1], path.eps_NB[-1], ends[-2], ends[-1])
    for i in reversed(range(5)):
        x = climb(SD, x, path.eps_NB[i], ends[i + 1], ends[i])
    torch.testing.assert_close(x, X0)


def test_partial_noise_of_an_oracle_returns_the_image_and_two_draws_differ_otherwise():
    flow = Flow()

    def oracle(x, t, cond):
        return flow.convert(X0, "x0", x, t)

    def half(x, t, cond):
        return flow.convert(0.5 * x, "x0", x, t)

    def run(model, seed: int, strength: float = 0.75):
        draw = torch.Generator().manual_seed(seed)
        return partial_noise(model, DDIM(flow), flow, X0, None, strength=strength, steps=8, generator=draw)

    torch.testing.assert_close(run(oracle, 0), X0)
    assert not torch.allclose(run(half, 0), run(half, 1))
    near, far = (float((run(half, 0, s) - run(half, 1, s)).abs().mean()) for s in (0.25, 1.0))
    assert near < far


@pytest.mark.parametrize(
    ("strength", "message"), [(0.0, r"in \(0, 1\]"), (1.2, r"in \(0, 1\]"), (0.01, "leaves none")]
)
def test_a_strength_that_means_nothing_is_refused(strength: float, message: str):
    flow = Flow()
    with pytest.raises(ValueError, match=message):
        partial_noise(lambda x, t, c: None, DDIM(flow), flow, X0, None, strength=strength, steps=8)


def test_every_noising_a_pair_loss_names_is_there():
    from diffusion_core.losses import LOSSES

    made_elsewhere = {
        "reference_inversion",
        "partial",
        "trajectory",
        "forked_step",
    }  # functions here, and roll-outs
    assert {cls.noising for cls in LOSSES.values()} <= set(NOISINGS) | made_elsewhere
