"""Likelihood displacement: the loss falls while the model moves away from the winners it is shown.

Diffusion-DPO sees only the difference of two errors. At a small beta its link does not saturate, so the loser's error goes on rising, and what
winner and loser share rises with it. Watched here on held-out pairs and on what the policy samples, for three ways to come by pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from diffusion_core.losses import build_loss
from recipes.bench.exact.methods import Labels, Method, Scale, beta
from recipes.bench.exact.placing import point
from recipes.bench.exact.setting import Setting, generate
from recipes.bench.exact.stacked import StackedMLP
from recipes.bench.exact.training import Draws, Pairing, batch_for, draw_steps, own_pairs, train

BETAS = (0.3, 1.0, 3.0, 10.0, 30.0)
WATCHED = 20  # times in a training
HELD_OUT = 256  # pairs a seed
BEST_MODE, MODE_RADIUS = 2.0, 0.9  # of the mode of highest reward, on the first axis of every world
GAP, GAP_RADIUS = 1.0, 0.4  # where foreign winners are: between the modes, where the reference hardly samples
METHODS = {
    "diffusion_dpo": beta("diffusion_dpo", *BETAS),
    "rpo": beta("rpo", *BETAS, kappa=1.0),
    "sdpo": beta("sdpo", *BETAS),
}


def near(x: Tensor, place: float, radius: float) -> Tensor:
    """(N,) bool: which of x (N, D) lie within `radius` of a place on the first axis."""
    centre = x.new_zeros(x.shape[1])
    centre[0] = place
    return (x - centre).norm(dim=1) < radius


def near_pairs(setting: Setting, labels: Labels, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Both of the best mode, the one of higher reward wins: much alike, as two pictures of one prompt are."""
    draw = torch.Generator().manual_seed(seed)
    mode = setting.drawn[near(setting.drawn, BEST_MODE, MODE_RADIUS)]
    rows = torch.randint(0, len(mode), (2, count), generator=draw)
    a, b = mode[rows[0]], mode[rows[1]]
    won = (setting.world.reward(a) > setting.world.reward(b))[:, None]
    return torch.where(won, a, b), torch.where(won, b, a)


def foreign_winners(setting: Setting, labels: Labels, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Winners from a place the reference hardly samples, losers its own."""
    draw = torch.Generator().manual_seed(seed)
    winners = GAP_RADIUS / 4 * torch.randn(count, setting.world.dims, generator=draw)
    winners[:, 0] += GAP
    return winners, setting.drawn[torch.randint(0, len(setting.drawn), (count,), generator=draw)]


@dataclass(frozen=True)
class Source:
    """How pairs are come by, and where the winners are: within `radius` of `place` on the first axis."""

    pairs: Pairing
    place: float
    radius: float


SOURCES = {
    "own": Source(own_pairs, BEST_MODE, MODE_RADIUS),
    "near": Source(near_pairs, BEST_MODE, MODE_RADIUS),
    "foreign": Source(foreign_winners, GAP, GAP_RADIUS),
}


def measure(
    setting: Setting, source_name: str, scale: Scale, methods: Mapping[str, Method] = METHODS
) -> list[dict[str, Any]]:
    """One row a (method, beta, seed): errors on held-out pairs through the training, and where the samples end."""
    source = SOURCES[source_name]
    held = Draws.stacked([held_out(setting, source, scale, seed) for seed in scale.seed_numbers]).step(0)
    world, found = setting.world, []
    for name, given in methods.items():
        method = given.under(setting.kind)
        watch = Watch(setting, method, held, max(1, scale.steps // WATCHED))
        policy = train(setting, method, scale, source.pairs, watch=watch)
        watch.look(policy)
        drawn = generate(
            policy, setting.process, setting.kind, world.dims, scale.measured(world.dims), seed=2
        )
        for group, samples in enumerate(drawn):
            position, seed = divmod(group, scale.seeds)
            row: dict[str, Any] = {"method": name, "beta": method.positions[position], "seed": seed}
            row["curve"] = [groups[group] for groups in watch.seen]
            found.append(row | ending(setting, source, samples))
    return found


@dataclass(eq=False)
class Watch:
    """Looks at a training every so many steps; `seen` has the `errors` of every group at each look."""

    setting: Setting
    method: Method
    held: Draws
    every: int
    seen: list[list[dict[str, float]]] = field(default_factory=list)

    def __call__(self, step: int, policy: StackedMLP) -> None:
        if step % self.every == 0:
            self.look(policy)

    def look(self, policy: StackedMLP) -> None:
        self.seen.append(errors(self.setting, self.method, policy, self.held))


def held_out(setting: Setting, source: Source, scale: Scale, seed: int) -> Draws:
    """One batch of pairs that no training sees."""
    pairs = source.pairs(setting, "bradley_terry", HELD_OUT, 10_000 + seed)
    return draw_steps(setting, "shared", replace(scale, steps=1, batch=HELD_OUT), 10_000 + seed, pairs)


@torch.no_grad()
def errors(setting: Setting, method: Method, policy: StackedMLP, held: Draws) -> list[dict[str, float]]:
    """Of each group Diffusion-DPO's loss at its beta, and how far winner's and loser's errors are above the reference's."""
    x_G, t_G = (part.repeat(len(method.positions), *[1] * (part.ndim - 1)) for part in (held.x_t, held.t))
    found = []
    seeds = len(held.x_t)
    for group, output in enumerate(policy(x_G, t_G)):
        position, seed = divmod(group, seeds)
        loss = build_loss("diffusion_dpo", beta=method.positions[position])
        out = loss(
            batch_for(loss.inputs, output, held.ref[seed], held.target[seed], setting.world, held.x0[seed])
        )
        found.append(
            {
                "loss": float(out.loss),
                "winner": float(out.metrics["winner_error_gap"]),
                "loser": float(out.metrics["loser_error_gap"]),
                "accuracy": float(out.metrics["implicit_acc"]),
            }
        )
    return found


def ending(setting: Setting, source: Source, samples: Tensor) -> dict[str, float | None]:
    """KL and reward as everywhere, and the mass at the winners' place beside the reference's, and outside all that the reference samples."""
    if not bool(samples.isfinite().all()):
        return dict.fromkeys(("kl", "reward", "share", "mass", "mass_before", "outside"))
    p = setting.world.histogram(samples)
    mass, before = (
        float(near(x, source.place, source.radius).float().mean()) for x in (samples, setting.drawn)
    )
    return point(setting, p) | {
        "mass": mass,
        "mass_before": before,
        "outside": float(p[setting.q < 1e-4].sum()),
    }
