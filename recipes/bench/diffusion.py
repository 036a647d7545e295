"""`rewright bench diffusion --tier exact`: every loss where the best possible is known. Small worlds, not images.

A small network learns a mixture; pairs are drawn from *its own* samples and labelled by one Bradley–Terry draw each (smpo alone is also
told the true probability of each label, which is what its soft labels stand for). inpo inverts with the reference network. Of that sampled
distribution q the best at every distance is the tilt q exp(r/λ), so a method's figure is its gain in reward divided by the greatest gain at
the same KL from q. Each method sweeps its own dial over all seeds at once; the seed is the unit of every mean and interval.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from diffusion_core.kernels import DDIM
from diffusion_core.losses import LOSSES, build_loss
from diffusion_core.losses.inputs import PredictionBatch, SoftPairErrors, UnpairedErrors
from diffusion_core.noising import NOISINGS
from diffusion_core.processes import DDPM, Flow, Process
from diffusion_core.sampling import sample
from diffusion_core.types import PairErrors
from diffusion_core.worlds.mixtures import WORLDS, Frontier, World, best_of, divergence
from recipes.bench.stacked import GroupAdam, StackedMLP
from recipes.terminal import remark, say, table

PROCESSES: dict[str, tuple[Process, str]] = {"eps": (DDPM(), "eps"), "flow": (Flow(), "flow")}
KL_RANGE = (0.05, 0.5)
STUDENT_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True)
class Method:
    """A loss, the dial that is turned (a hyper-parameter, or `steps`), its positions, and who labels."""

    loss: str
    dial: str
    positions: Sequence[float]
    fixed: dict[str, Any] = field(default_factory=dict)
    labels: str = "bradley_terry"  # or swapped, random


BETAS = (1.0, 3.0, 10.0, 30.0, 100.0)
METHODS: dict[str, Method] = {
    "sft on winners": Method("sft", "steps", (0.05, 0.1, 0.25, 0.5, 1.0)),
    "diffusion_dpo": Method("diffusion_dpo", "beta", BETAS),
    "diffusion_dpo hinge": Method("diffusion_dpo", "beta", BETAS, {"link": "hinge"}),
    "diffusion_dpo ipo": Method("diffusion_dpo", "beta", BETAS, {"link": "ipo"}),
    "rpo": Method("rpo", "beta", BETAS, {"kappa": 1.0}),
    "sdpo": Method("sdpo", "beta", BETAS),
    "dmpo": Method("dmpo", "beta", (30.0, 100.0, 300.0, 1000.0, 3000.0)),
    "smpo, true probabilities": Method("smpo", "beta", (10.0, 30.0, 100.0, 300.0, 1000.0)),
    "inpo": Method("inpo", "beta", BETAS),
    "mapo": Method("mapo", "beta", (0.03, 0.1, 0.3, 1.0, 3.0), {"train_steps": 10}),
    "orpo": Method("orpo", "beta", (0.1, 0.3, 1.0, 3.0, 10.0)),
    "kto": Method("kto", "beta", BETAS),
    "dspo": Method("dspo", "beta", (0.1, 0.3, 1.0, 3.0, 10.0)),
    "pso_db": Method("pso_db", "beta", BETAS, {"link": "sigmoid", "nu": 0.5, "prior": 0.0}),
    "control: labels swapped": Method("diffusion_dpo", "beta", BETAS, labels="swapped"),
    "control: labels random": Method("diffusion_dpo", "beta", BETAS, labels="random"),
}


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    seeds: int = 5
    steps: int = 1200
    batch: int = 256
    pairs: int = 4096
    reference_steps: int = 4000
    measured: int = 20_000
    rate: float = 5e-4
    worlds: tuple[str, ...] = ("line", "ring")
    processes: tuple[str, ...] = ("eps", "flow")


FULL = Scale()
QUICK = Scale(
    seeds=3, steps=300, batch=128, reference_steps=1500, measured=8_000, worlds=("line",), processes=("eps",)
)


@dataclass(frozen=True, eq=False)
class Setting:
    """A world under a process, its reference network and what that samples."""

    world: World
    process: Process
    kind: str
    reference: StackedMLP
    drawn: Tensor
    q: Tensor
    reward_C: Tensor
    frontier: Frontier


def run(
    tier: str = "exact", quick: bool = False, only: Sequence[str] = (), folder: Path | None = None
) -> dict[str, float]:
    """All methods on all worlds; returns the best share of each within KL_RANGE, by world and process, and how many reach 80 %.

    `folder` receives exact.json with every point, and an SVG of each plane.
    """
    if tier != "exact":
        raise ValueError(f"unknown tier {tier!r}; known: exact")
    unknown = [name for name in only if name not in METHODS]
    if unknown:
        raise ValueError(f"unknown method {unknown[0]!r}; known: {', '.join(METHODS)}")
    scale = QUICK if quick else FULL
    began, found, best = time.monotonic(), [], {}
    for world_name in scale.worlds:
        for process_name in scale.processes:
            setting = prepare(world_name, process_name, scale)
            rows = baselines(setting)
            for name, method in METHODS.items():
                if only and name not in only:
                    continue
                rows += [{"method": name, **row} for row in place(setting, method, scale)]
                remark(f"{world_name}, {process_name}: {name} after {time.monotonic() - began:.0f} s")
            where = f"{world_name}, {process_name}"
            lines = summarise(rows)
            say(f"\n{where}: share of the greatest gain at equal KL (seeds: {scale.seeds})")
            say(table(["method", "dial", "KL", "mean reward", "share %"], lines))
            found.append({"where": where, "start": setting.frontier.start, "rows": rows})
            best |= {f"{where}: {name}": share for name, share in best_shares(rows).items()}
            if folder is not None:
                write(folder, scale, found, setting.frontier)
    return {**best, "methods_at_80_percent": methods_at(best, 0.8)}


def methods_at(best: Mapping[str, float], least: float) -> int:
    """Losses, baselines and controls left out, with a row that reaches the share in every setting; one that is missing there does not."""
    settings = {key.partition(": ")[0] for key in best}
    passed = {
        method.loss
        for name, method in METHODS.items()
        if not name.startswith(("control", "sft"))
        and all(best.get(f"{where}: {name}", 0.0) >= least for where in settings)
    }
    return len(passed)


def write(folder: Path, scale: Scale, found: Sequence[Mapping[str, Any]], frontier: Frontier) -> None:
    from recipes.bench.plane import plane

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exact.json").write_text(
        json.dumps({"scale": asdict(scale), "settings": found}, indent=1) + "\n"
    )
    newest = found[-1]
    picture = folder / f"{newest['where'].replace(', ', '-')}.svg"
    picture.write_text(plane(newest["rows"], frontier, newest["where"]), encoding="utf-8")


def prepare(world_name: str, process_name: str, scale: Scale) -> Setting:
    """The reference network, trained on the mixture, and the frontier of what it samples."""
    world, (process, kind) = WORLDS[world_name](), PROCESSES[process_name]
    network = StackedMLP(1, world.dims, process)
    optimizer, draw = GroupAdam(network), torch.Generator().manual_seed(0)
    for step in range(scale.reference_steps):
        x0 = world.mixture.sample(1024, draw)
        t, eps = times(process, 1024, draw), torch.randn(1024, world.dims, generator=draw)
        wanted = process.target(kind, x0, eps, t)
        guess = network(process.noise(x0, t, eps)[None], t[None])[0]
        (guess - wanted).square().mean().backward()
        optimizer.step(torch.tensor([2e-3 * (1 - step / scale.reference_steps)]))
    network.requires_grad_(False)
    drawn = generate(network, process, kind, world.dims, 200_000, seed=1)[0]
    q = world.histogram(drawn)
    reward = world.mean_reward_by_cell(drawn)
    return Setting(world, process, kind, network, drawn, q, reward, Frontier.of(q, reward))


def times(process: Process, count: int, draw: torch.Generator) -> Tensor:
    """(N,): uniform for DDPM, logit-normal for a flow."""
    if isinstance(process, DDPM):
        return torch.randint(0, process.train_steps, (count,), generator=draw).double()
    return torch.sigmoid(torch.randn(count, generator=draw)).double()


@torch.no_grad()
def generate(
    network: StackedMLP, process: Process, kind: str, dims: int, count: int, seed: int, steps: int = 50
) -> Tensor:
    """(G, N, D): each group's samples, from the same noise."""
    groups = len(network.weights[0])
    draw = torch.Generator().manual_seed(seed)
    start = torch.randn(1, count, dims, generator=draw).expand(groups, -1, -1)

    def model(x: Tensor, t: float, cond: Any):
        return process.convert(network(x, torch.full(x.shape[:2], t)), kind, x, t)

    grid = process.grid(steps)
    if kind == "flow":  # at pure noise x0 and noise cannot be told from the output and x alone
        grid = [1 - 1e-3, *grid[1:]]
    return sample(model, DDIM(process), grid, start)


def place(setting: Setting, method: Method, scale: Scale) -> list[dict[str, Any]]:
    """Train the method at every position of its dial and seed; where each ends on the reward–KL plane."""
    positions = [p for p in method.positions for _ in range(scale.seeds)]
    seeds = list(range(scale.seeds)) * len(method.positions)
    policy = train(setting, method, scale, positions, seeds)
    drawn = generate(policy, setting.process, setting.kind, setting.world.dims, scale.measured, seed=2)
    found = []
    for group, (position, seed) in enumerate(zip(positions, seeds, strict=True)):
        if not bool(drawn[group].isfinite().all()):
            found.append({"dial": position, "seed": seed, "kl": None, "reward": None, "share": None})
            continue
        kl = divergence(setting.world.histogram(drawn[group]), setting.q)
        reward = float(setting.world.reward(drawn[group]).mean())
        share = setting.frontier.share(reward, kl)
        found.append({"dial": position, "seed": seed, "kl": kl, "reward": reward, "share": share})
    return found


def train(
    setting: Setting, method: Method, scale: Scale, positions: Sequence[float], seeds: Sequence[int]
) -> StackedMLP:
    """One network a (position, seed), all at once. Groups of one seed see the same pairs, times and noise."""
    world, process, groups = setting.world, setting.process, len(positions)
    hyper = [
        dict(method.fixed) if method.dial == "steps" else {**method.fixed, method.dial: p} for p in positions
    ]
    losses = [build_loss(method.loss, **h) for h in hyper]
    stop_G = torch.tensor([p if method.dial == "steps" else 1.0 for p in positions]) * scale.steps
    policy = setting.reference.stacked(groups)
    optimizer = GroupAdam(policy)
    by_seed = {seed: pairs(setting, method.labels, scale, seed) for seed in set(seeds)}
    draws = {seed: torch.Generator().manual_seed(1000 + seed) for seed in by_seed}
    cls = LOSSES[method.loss]
    noising = NOISINGS.get(cls.noising, NOISINGS["shared"])()

    def reference(x: Tensor, t: Tensor) -> Tensor:
        return setting.reference(x[None], t[None])[0]

    def predict(x: Tensor, t: Tensor, rows: Tensor):
        return process.convert(reference(x, t), setting.kind, x, t)

    for step in range(scale.steps):
        batches = {}
        for seed, (winners, losers) in by_seed.items():
            draw = draws[seed]
            rows = torch.randint(0, len(winners), (scale.batch,), generator=draw)
            x0 = torch.cat([winners[rows], losers[rows]])
            with torch.no_grad():
                noised = noising(process, x0, times(process, scale.batch, draw).repeat(2), predict, draw)
                target = process.target(setting.kind, x0, noised.eps.float(), noised.t)
                x_t = noised.x_t.float()
                batches[seed] = (x_t, noised.t, target, reference(x_t, noised.t), x0)
        x_G, t_G, target_G, ref_G, x0_G = (torch.stack([batches[s][i] for s in seeds]) for i in range(5))
        output_G = policy(x_G, t_G)
        total = torch.zeros(())
        for g, loss in enumerate(losses):
            total = (
                total + loss(batch_for(cls.inputs, output_G[g], ref_G[g], target_G[g], world, x0_G[g])).loss
            )
        total.backward()
        optimizer.step(scale.rate * (step < stop_G).float())
    return policy


def pairs(setting: Setting, labels: str, scale: Scale, seed: int) -> tuple[Tensor, Tensor]:
    """(winners, losers), (N, D) each, of the reference's own samples."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, len(setting.drawn), (2, scale.pairs), generator=draw)
    a, b = setting.drawn[rows[0]], setting.drawn[rows[1]]
    won = setting.world.prefer(a, b, draw)
    if labels == "swapped":
        won = ~won
    elif labels == "random":
        won = torch.rand(scale.pairs, generator=draw) < 0.5
    return torch.where(won[:, None], a, b), torch.where(won[:, None], b, a)


def batch_for(kind: type, output: Tensor, ref: Tensor, target: Tensor, world: World, x0: Tensor) -> Any:
    """A group's rows [winners; losers] as the input its loss reads."""
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


def baselines(setting: Setting) -> list[dict[str, Any]]:
    """Best of n draws, exact."""
    counts, q, r = (2, 4, 8), setting.q, setting.reward_C
    found = []
    for n, p in zip(counts, best_of(q, r, counts), strict=True):
        kl, reward = divergence(p, q), float((p * r).sum())
        found.append(
            {
                "method": "best of n",
                "dial": n,
                "seed": None,
                "kl": kl,
                "reward": reward,
                "share": setting.frontier.share(reward, kl),
            }
        )
    return found


def by_position(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, float], list[dict[str, Any]]]:
    found: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["method"], row["dial"]), []).append(row)
    return found


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over seeds, and half the width of its 95 % interval (Student's t); None of one seed."""
    n = len(values)
    return mean(values), None if n < 2 else STUDENT_95.get(n - 1, 1.96) * stdev(values) / math.sqrt(n)


def summarise(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    lines = []
    for (name, dial), some in by_position(rows).items():
        cells = [name, f"{dial:g}"]
        if any(row["kl"] is None for row in some):
            lines.append([*cells, "diverged", "–", "–"])
            continue
        for key, form in (("kl", "{:.3f}"), ("reward", "{:+.3f}")):
            cells.append(form.format(mean(row[key] for row in some)))
        shares = [row["share"] for row in some]
        if None in shares:
            cells.append("–")
        else:
            middle, half = interval(shares)
            cells.append(f"{100 * middle:.0f}" + (f" ± {100 * half:.0f}" if half is not None else ""))
        lines.append(cells)
    return lines


def best_shares(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Per method the highest mean share among the positions whose mean KL lies in KL_RANGE; methods that never get there are left out."""
    found: dict[str, float] = {}
    for (name, _), some in by_position(rows).items():
        shares = [row["share"] for row in some]
        if None in shares:  # diverged, or too near to its start
            continue
        if KL_RANGE[0] <= mean(row["kl"] for row in some) <= KL_RANGE[1]:
            found[name] = max(found.get(name, -math.inf), mean(shares))
    return found
