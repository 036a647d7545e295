"""Where a trained policy stands on the reward–KL plane."""

from __future__ import annotations

from typing import Any

from diffusion_core.worlds.mixtures import best_of, divergence
from recipes.bench.exact.methods import Method, Scale
from recipes.bench.exact.setting import Setting, generate
from recipes.bench.exact.training import train

Row = dict[
    str, Any
]  # method, dial, seed, kl, reward, share; None where a policy diverged or is too near to its start


def place(setting: Setting, method: Method, scale: Scale) -> list[Row]:
    """Train the method at every position of its dial with every seed; where each ends.

    The reward is read off the cells too, as KL is: then no policy can pass the frontier by moving within cells.
    """
    policy = train(setting, method, scale)
    world = setting.world
    drawn = generate(policy, setting.process, setting.kind, world.dims, scale.measured(world.dims), seed=2)
    found = []
    for group, samples in enumerate(drawn):
        position, seed = divmod(group, scale.seeds)
        row = {"dial": method.positions[position], "seed": seed, "kl": None, "reward": None, "share": None}
        if bool(samples.isfinite().all()):
            row |= point(setting, world.histogram(samples))
        found.append(row)
    return found


def point(setting: Setting, p: Any) -> Row:
    """KL, mean reward and share of a histogram p (C,)."""
    kl, reward = divergence(p, setting.q), float((p * setting.reward_C).sum())
    return {"kl": kl, "reward": reward, "share": setting.frontier.share(reward, kl)}


def baselines(setting: Setting) -> list[Row]:
    """Best of n draws, exact."""
    counts = (2, 4, 8)
    histograms = best_of(setting.q, setting.reward_C, counts)
    return [
        {"method": "best of n", "dial": n, "seed": None, **point(setting, p)}
        for n, p in zip(counts, histograms, strict=True)
    ]
