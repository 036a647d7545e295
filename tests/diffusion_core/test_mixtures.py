"""The small worlds: densities, the perfect denoiser, and that no distribution beats a tilt."""

import math

import pytest
import torch

from diffusion_core.kernels import DDIM, Ancestral
from diffusion_core.processes import DDPM, Flow
from diffusion_core.sampling import sample
from diffusion_core.worlds.mixtures import WORLDS, Frontier, best_of, divergence, tilt


@pytest.fixture(params=WORLDS)
def world(request):
    return WORLDS[request.param]()


def drawn(world, count: int = 40_000, seed: int = 0):
    return world.mixture.sample(count, torch.Generator().manual_seed(seed))


def test_the_density_is_that_of_the_samples(world):
    """Share of samples in each cell against the density at its centre."""
    shares = world.histogram(drawn(world))
    side = (torch.arange(world.cells, dtype=torch.float64) + 0.5) / world.cells * 2 * world.half - world.half
    centres = torch.cartesian_prod(*[side] * world.dims).reshape(-1, world.dims)
    density = world.mixture.log_density(centres).exp() * (2 * world.half / world.cells) ** world.dims
    assert (
        float((shares - density / density.sum()).abs().sum()) < 0.25 * world.dims
    )  # cells are wide beside the modes
    assert float(density.sum()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("process", [DDPM(), Flow()])
def test_the_perfect_denoiser_is_the_posterior_mean(process):
    """Against a weighted mean over a million clean samples."""
    world = WORLDS["line"]()
    x0 = drawn(world, 1_000_000).double()
    t = 400.0 if isinstance(process, DDPM) else 0.6
    a, s = float(process.a(t)), float(process.s(t))
    for x_t in (-1.5, 0.3, 2.0):
        weight = (-((x_t - a * x0) ** 2) / (2 * s * s)).exp()
        found = world.mixture.predict(process, torch.tensor([[x_t]], dtype=torch.float64), t)
        assert float(found.x0) == pytest.approx(float((weight * x0).sum() / weight.sum()), abs=0.01)


@pytest.mark.parametrize(("process", "kernel"), [(DDPM(), Ancestral), (Flow(), DDIM)])
def test_sampling_with_the_perfect_denoiser_gives_the_mixture(process, kernel):
    world = WORLDS["line"]()
    start = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = sample(
        lambda x, t, cond: world.mixture.predict(process, x, t), kernel(process), process.grid(100), start,
        generator=torch.Generator().manual_seed(2),
    )  # fmt: skip
    assert divergence(world.histogram(x), world.histogram(drawn(world, 400_000))) < 0.02


def test_no_distribution_beats_a_tilt():
    """Random directions away from q, and mixtures of q with a single cell: all lie on or under the curve."""
    world = WORLDS["line"]()
    q, r = world.histogram(drawn(world)) + 1e-9, world.mean_reward_by_cell(drawn(world))
    q = q / q.sum()
    frontier, draw = Frontier.of(q, r), torch.Generator().manual_seed(3)
    for _ in range(200):
        p = (q.log() + torch.randn(len(q), generator=draw, dtype=torch.float64)).softmax(0)
        assert float((p * r).sum()) <= frontier.reward_at(divergence(p, q)) + 1e-6
    for strength in (0.1, 0.5, 1.0, 3.0):
        p = tilt(q, r, strength)
        assert frontier.share(float((p * r).sum()), divergence(p, q)) == pytest.approx(1.0, abs=1e-3)


def test_a_tilt_of_two_cells_by_hand():
    q, r = torch.tensor([0.75, 0.25], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    p = tilt(q, r, math.log(3))  # odds 1/3 become 1
    assert p.tolist() == pytest.approx([0.5, 0.5])
    assert divergence(p, q) == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))


def test_the_best_of_n_by_hand_and_under_the_curve():
    q, r = (
        torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64),
        torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64),
    )
    one, two = best_of(q, r, [1, 2])
    assert one.tolist() == pytest.approx(q.tolist())
    assert two.tolist() == pytest.approx([0.25, 1 - 0.7**2, 0.7**2 - 0.5**2])
    frontier = Frontier.of(q, r)
    for p in best_of(q, r, [2, 3, 4, 8]):
        assert 0.8 < frontier.share(float((p * r).sum()), divergence(p, q)) <= 1 + 1e-6


def test_the_best_of_n_shares_ties_evenly():
    q, r = (
        torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64),
        torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64),
    )
    (two,) = best_of(q, r, [2])
    assert two.tolist() == pytest.approx([0.375, 0.375, 0.25])


def test_a_cells_reward_is_that_of_its_samples():
    world = WORLDS["line"]()
    x = torch.tensor([[1.01], [1.03], [3.99]])
    found = world.mean_reward_by_cell(x)
    assert float(found[25]) == pytest.approx(float(world.reward(x[:2]).mean()))
    assert float(found[39]) == pytest.approx(float(world.reward(x[2:]).mean()))
    assert float(found[0]) == pytest.approx(float(world.reward(torch.tensor([-3.9]))))


def test_what_lies_outside_counts_to_the_near_rim():
    world = WORLDS["line"]()
    shares = world.histogram(torch.tensor([[-1e30], [1e30], [9.0], [float("inf")]]))
    assert (float(shares[0]), float(shares[-1])) == (0.25, 0.75)


def test_near_the_start_there_is_no_share():
    q, r = torch.tensor([0.5, 0.5], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert Frontier.of(q, r).share(0.5, 0.0) is None


def test_labels_are_bradley_terry_draws():
    world = WORLDS["line"]()
    a, b = torch.full((100_000, 1), 0.5), torch.full((100_000, 1), -0.2)
    share = world.prefer(a, b, torch.Generator().manual_seed(4)).float().mean()
    expected = torch.sigmoid(world.reward(a[:1]) - world.reward(b[:1]))
    assert float(share) == pytest.approx(float(expected), abs=0.005)
