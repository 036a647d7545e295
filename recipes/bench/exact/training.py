"""Training a grid of dial × seed as one network of groups.

Axes: P positions of the dial, S seeds, G = P·S groups (seeds run fastest), T steps, B pairs of a batch, D dimensions.
Everything random is drawn ahead: the reference never changes, so noise, inversion and the reference's answers are one large call a seed
instead of one a step. Positions of one seed see the same pairs, times and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion_core.losses.inputs import PredictionBatch, SoftPairErrors, UnpairedErrors
from diffusion_core.noising import NOISINGS
from diffusion_core.types import PairErrors
from diffusion_core.worlds.mixtures import World
from recipes.bench.exact.methods import Labels, Method, Scale
from recipes.bench.exact.setting import Setting, times
from recipes.bench.exact.stacked import GroupAdam, StackedMLP

Pairing = Callable[[Setting, Labels, int, int], tuple[Tensor, Tensor]]


def own_pairs(setting: Setting, labels: Labels, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(winners, losers), (N, D) each, of the reference's own samples, labelled by one Bradley–Terry draw each."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, len(setting.drawn), (2, count), generator=draw)
    a, b = setting.drawn[rows[0]], setting.drawn[rows[1]]
    won = setting.world.prefer(a, b, draw)
    if labels == "swapped":
        won = ~won
    elif labels == "random":
        won = torch.rand(count, generator=draw) < 0.5
    return torch.where(won[:, None], a, b), torch.where(won[:, None], b, a)


@dataclass(frozen=True, eq=False)
class Draws:
    """What the steps of a training see, (T, 2B, D) each but `t` (T, 2B); rows are [winners; losers]. With seeds stacked, (S, T, …)."""

    x_t: Tensor
    t: Tensor
    target: Tensor
    ref: Tensor
    x0: Tensor

    @classmethod
    def stacked(cls, draws: Sequence[Draws]) -> Draws:
        return cls(*(torch.stack(part) for part in zip(*(vars(d).values() for d in draws), strict=True)))

    def step(self, index: int) -> Draws:
        """Of stacked draws what each seed sees at a step, (S, 2B, …)."""
        return Draws(*(part[:, index] for part in vars(self).values()))


@torch.no_grad()
def draw_steps(
    setting: Setting, noising_name: str, scale: Scale, seed: int, pairs: tuple[Tensor, Tensor]
) -> Draws:
    """All of a seed's batches: `scale.steps` times `scale.batch` pairs with replacement, noised, and what the reference answers."""
    process, rows = setting.process, scale.steps * scale.batch
    noising, draw = NOISINGS[noising_name](), torch.Generator().manual_seed(1000 + seed)
    winners, losers = pairs
    picked = torch.randint(0, len(winners), (rows,), generator=draw)
    x0 = torch.cat([winners[picked], losers[picked]])
    noised = noising(process, x0, times(process, rows, draw).repeat(2), setting.predict, draw)
    x_t, eps = noised.x_t.float(), noised.eps.float()
    target = process.target(setting.kind, x0, eps, noised.t)
    parts = (x_t, noised.t, target, setting.ask(x_t, noised.t), x0)
    halves = (part.unflatten(0, (2, scale.steps, scale.batch)) for part in parts)  # (2, T, B, …)
    return Draws(*(half.transpose(0, 1).flatten(1, 2).contiguous() for half in halves))


def train(
    setting: Setting,
    method: Method,
    scale: Scale,
    pairing: Pairing = own_pairs,
    seeds: Sequence[int] | None = None,
    watch: Callable[[int, StackedMLP], None] | None = None,
) -> StackedMLP:
    """One network a (position, seed), all at once; group p·S + s is position p with seed s. `watch` sees every step before it is taken."""
    seeds = scale.seed_numbers if seeds is None else seeds
    losses = method.losses()
    drawn = [
        draw_steps(
            setting, losses[0].noising, scale, seed, pairing(setting, method.labels, scale.pairs, seed)
        )
        for seed in seeds
    ]
    stop_P = method.positions if method.dial == "steps" else [1.0] * len(losses)
    stop_G = (torch.tensor(stop_P) * scale.steps).repeat_interleave(len(seeds))
    policy = setting.reference.stacked(len(stop_G))
    optimizer, steps = GroupAdam(policy), Draws.stacked(drawn)
    for step in range(scale.steps):
        if watch is not None:
            watch(step, policy)
        batch = steps.step(step)
        output_G = policy(batch.x_t.repeat(len(losses), 1, 1), batch.t.repeat(len(losses), 1))
        total = torch.zeros(())
        for loss, output_S in zip(losses, output_G.chunk(len(losses)), strict=True):
            total = total + losses_by_seed(loss, output_S, batch, setting.world).sum()
        total.backward()
        optimizer.step(scale.rate * (1 - step / stop_G).clamp_min(0))
    return policy


def losses_by_seed(loss: Any, output_S: Tensor, batch: Draws, world: World) -> Tensor:
    """(S,): each seed's batch by itself (some losses have a number of the whole batch in them), in one pass over all seeds."""

    def one(output: Tensor, ref: Tensor, target: Tensor, x0: Tensor) -> Tensor:
        return loss(batch_for(loss.inputs, output, ref, target, world, x0)).loss

    return torch.func.vmap(one)(output_S, batch.ref, batch.target, batch.x0)


def batch_for(kind: type, output: Tensor, ref: Tensor, target: Tensor, world: World, x0: Tensor) -> Any:
    """A seed's rows [winners; losers] as the input its loss reads."""
    p_w, p_l, r_w, r_l, t_w, t_l = (*output.chunk(2), *ref.chunk(2), *target.chunk(2))
    predictions = PredictionBatch(p_w, p_l, r_w, r_l, t_w, t_l)
    if kind is PredictionBatch:
        return predictions
    e = predictions.errors()
    if kind is SoftPairErrors:
        winner, loser = world.reward(x0).chunk(2)
        return SoftPairErrors(e.policy_w, e.policy_l, e.ref_w, e.ref_l, torch.sigmoid(winner - loser))
    if kind is UnpairedErrors:
        liked = torch.arange(len(output)) < len(output) // 2
        return UnpairedErrors(torch.cat([e.policy_w, e.policy_l]), torch.cat([e.ref_w, e.ref_l]), liked)
    if kind is PairErrors:
        return e
    raise ValueError(f"the exact tier has no {kind.__name__}")
