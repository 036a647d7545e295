"""Preference training against a plain loop that does what the field's scripts do in every step.

The plain loop encodes both images with the VAE and the prompt with the text encoder at every step, and keeps a frozen copy of the network as
its reference. Ours is the recipe's trainer: latents and embeddings made once, the reference is the network without its adapter, or errors
taken beforehand. Both have the same batch, the same LoRA, the same noise and times, one process and the same threads, and their losses are
compared step by step.

The UNet pipeline is a small one of Stable Diffusion 1.5's classes whose costs stand to each other as the real one's (counted, not timed): the
networks that are not trained matter only by their share of a step.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PAIRS, BATCH, RANK, BETA = 8, 2, 8, 2000.0
EPOCHS = 10  # over which the all-in figures spread what is done once
SIDE = 256  # pixels of the small pipeline's images; latents are an eighth


@dataclass(frozen=True)
class Setup:
    """A pipeline's folder, the pairs, and how many pixels they have."""

    model: str
    pairs: list[Any]
    canvas: tuple[int, int]


def run(repeats: int = 3) -> dict[str, float]:
    """Pairs a second of each loop, their ratios, peak bytes of tensors and their ratio, and how far the losses are apart."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="rewright-bench-") as folder:
        unet = Path(folder) / "sd15"
        build_pipeline().save_pretrained(unet)
        found |= {f"sd15_cost_{k}": v for k, v in cost_ratios(unet).items()}
        for name, setup in (
            ("sd15", Setup(str(unet), make_pairs(SIDE), (SIDE, SIDE))),
            ("shapes", Setup("shapes", make_pairs(48), (48, 48))),
        ):
            found |= {f"{name}_{k}": v for k, v in _compare(setup, Path(folder) / name, repeats).items()}
    return found


def _compare(setup: Setup, folder: Path, repeats: int) -> dict[str, float]:
    """Loops in turn, `repeats` times: medians of seconds a pair, of the step alone and with what is done once spread over `EPOCHS`."""
    from statistics import median

    steps = 2 * PAIRS // BATCH
    names = ("plain", "adapter_off", "precomputed")
    step_s: dict[str, list[float]] = {name: [] for name in names}
    once_s: dict[str, list[float]] = {name: [] for name in names}
    losses: dict[str, list[float]] = {}
    for repeat in range(repeats):
        for name in names:
            place = folder / f"{name}-{repeat}"
            done = (
                plain_loop(setup, steps, place)
                if name == "plain"
                else trainer_loop(setup, steps, place, name)
            )
            losses[name] = done.losses
            step_s[name].append(done.seconds / (steps * BATCH))
            once_s[name].append(done.once / PAIRS)
    found = {f"pairs_per_s_{name}": 1 / median(values) for name, values in step_s.items()}
    for name in names[1:]:
        found[f"speed_{name}"] = median(p / o for p, o in zip(step_s["plain"], step_s[name], strict=True))
        spread = [o + once / EPOCHS for o, once in zip(step_s[name], once_s[name], strict=True)]
        found[f"speed_{name}_all_in"] = median(p / o for p, o in zip(step_s["plain"], spread, strict=True))
        gaps = [abs(a - b) / abs(a) for a, b in zip(losses["plain"], losses[name], strict=True)]
        found[f"loss_gap_{name}"] = max(gaps)
    peaks = {name: peak_of(setup, folder / f"peak-{name}", name) for name in ("plain", "adapter_off")}
    return {
        **found,
        "peak_mib_plain": peaks["plain"] / 2**20,
        "peak_mib_ours": peaks["adapter_off"] / 2**20,
        "peak_ratio": peaks["adapter_off"] / peaks["plain"],
    }


def peak_of(setup: Setup, folder: Path, name: str) -> float:
    """Most bytes of live tensors in two steps of training, after encoding: what has to fit at once."""
    from diffusion_core.memory import LiveBytes

    with LiveBytes() as live:
        if name == "plain":
            plain_loop(setup, 2, folder, live)
        else:
            trainer_loop(setup, 2, folder, name, live)
    return live.peak


@dataclass(frozen=True)
class Done:
    """Losses of the steps, their seconds in all, and those of what is done once before."""

    losses: list[float]
    seconds: float
    once: float = 0.0


def plain_loop(setup: Setup, steps: int, folder: Path, live: Any = None) -> Done:
    """The loop of the field's scripts, with the draws that the trainer has."""
    from diffusion_core.data import read_pixels

    made, generator = _load(setup, folder)
    denoiser, process = generator.denoiser, generator.process
    network = next(iter(denoiser.modules().values()))
    reference = copy.copy(denoiser)
    reference.module = copy.deepcopy(network).requires_grad_(False)
    trained = _with_lora(generator)
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    objective, order = _objective(generator), _order(made)
    images = {
        pair.id: (read_pixels(pair.chosen, setup.canvas), read_pixels(pair.rejected, setup.canvas))
        for pair in made
    }
    if live is not None:
        live.hold(*generator.modules().values(), reference.module)
        live.peak = live.now
    losses, began = [], time.perf_counter()
    for step in range(steps):
        slots = order(step)
        chosen = [made[pair] for pair, _ in slots]
        pixels = torch.stack([images[p.id][0] for p in chosen] + [images[p.id][1] for p in chosen])
        with torch.no_grad():
            x0 = generator.decoder.encode(pixels)
            cond = generator.conditioner([p.prompt for p in chosen]).map(
                lambda value: value.repeat(2, *[1] * (value.ndim - 1))
            )
        x_t, t, target = _noised(objective, process, denoiser.kind, x0, slots)
        said = denoiser.raw(x_t, t, cond)
        errors = (said.float() - target.float()).square().flatten(1).mean(1)
        with torch.no_grad():
            known = reference.raw(x_t, t, cond)
            base = (known.float() - target.float()).square().flatten(1).mean(1)
        policy_w, policy_l = errors.chunk(2)
        ref_w, ref_l = base.chunk(2)
        inside = -0.5 * BETA * ((policy_w - policy_l) - (ref_w - ref_l))
        loss = -torch.nn.functional.logsigmoid(inside).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return Done(losses, time.perf_counter() - began)


def trainer_loop(setup: Setup, steps: int, folder: Path, mode: str, live: Any = None) -> Done:
    """The recipe's trainer. Encoding, and errors taken beforehand, are done once."""
    from accelerate import Accelerator

    from diffusion_core.encoding import encode, without_encoders
    from diffusion_core.reference import AdapterOff
    from diffusion_core.trainer import PreferenceTrainer, TrainerConfig

    pairs, generator = _load(setup, folder)
    began = time.perf_counter()
    encoded = encode(generator, pairs, folder / "encoded", setup.canvas)
    encoding = time.perf_counter() - began
    generator = without_encoders(generator, encoded, keep_decoder=False)
    _with_lora(generator)
    if live is not None:
        live.hold(*generator.modules().values())
        live.peak = live.now
    losses: list[float] = []
    config = TrainerConfig(
        max_steps=steps,
        batch_size=BATCH,
        learning_rate=1e-4,
        weight_decay=1e-2,
        fixed_draws=1,
        save_every=10**6,
        seed=0,
    )
    trainer = PreferenceTrainer(
        generator.denoiser,
        encoded,
        _objective(generator),
        config,
        accelerator=Accelerator(cpu=True),
        output=folder,
        reference=AdapterOff(generator.denoiser),
        reference_mode=mode,
        on_log=lambda row: losses.append(row["loss"]),
    )
    began = time.perf_counter()
    trainer.prepare()
    prepared = time.perf_counter()
    trainer.train()
    return Done(losses, time.perf_counter() - prepared, encoding + prepared - began)


def _load(setup: Setup, folder: Path) -> tuple[list[Any], Any]:
    from diffusion_core.generator import Generator

    folder.mkdir(parents=True, exist_ok=True)
    return setup.pairs, Generator.from_pretrained(setup.model, device="cpu")


def _with_lora(generator: Any) -> list[Tensor]:
    """The same adapter in every loop, its second factor not zero so that losses differ from ln 2."""
    from diffusion_core.adapters.lora_io import add_lora

    torch.manual_seed(0)
    add_lora(generator, RANK, RANK)
    network = next(iter(generator.denoiser.modules().values()))
    trained = [p for p in network.parameters() if p.requires_grad]
    with torch.no_grad():
        for name, p in network.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.01)
    return trained


def _objective(generator: Any) -> Any:
    from diffusion_core.draws import Times
    from diffusion_core.losses import build_loss
    from diffusion_core.objective import Objective

    loss = build_loss("diffusion_dpo", beta=BETA)
    return Objective(loss, generator.process, generator.denoiser.kind, Times.of(generator.process))


def _order(pairs: list[Any]) -> Callable[[int], list[tuple[int, int]]]:
    """(pair, visit) of a step, as the trainer has them with one fixed draw."""
    from diffusion_core.draws import seed_of

    def order(step: int) -> list[tuple[int, int]]:
        found = []
        for position in range(BATCH):
            epoch, place = divmod(step * BATCH + position, len(pairs))
            rng = torch.Generator().manual_seed(seed_of(0, "epoch", epoch))
            found.append((torch.randperm(len(pairs), generator=rng).tolist()[place], 0))
        return found

    return order


def _noised(
    objective: Any, process: Any, kind: str, x0: Tensor, slots: list[tuple[int, int]]
) -> tuple[Tensor, Tensor, Tensor]:
    from diffusion_core.draws import generators

    pairs, visits = [pair for pair, _ in slots], [visit for _, visit in slots]
    quantile = objective.times.quantiles(objective.seed, pairs, visits, 1, None, 1)
    t = objective.times.times(process, quantile).repeat(2)
    noised = objective.noise(process, x0, t, None, generators(objective.seed, pairs, visits, 1))
    return noised.x_t, noised.t, process.target(kind, x0, noised.eps, noised.t)


def make_pairs(side: int) -> list[Any]:
    import numpy as np

    from diffusion_core.data import Pair

    rng = np.random.default_rng(0)
    shape = (2, side, side, 3)
    return [
        Pair(
            f"p{i}",
            f"one red circle and {'two' if i % 2 else 'three'} blue squares",
            *rng.integers(0, 255, shape, dtype=np.uint8),
        )
        for i in range(PAIRS)
    ]


def build_pipeline() -> Any:
    """A `StableDiffusionPipeline` of SD 1.5's blocks with fewer channels: UNet, text encoder and VAE in the real one's cost ratio."""
    from diffusion_core.adapters import builders

    torch.manual_seed(0)
    return builders.stable_diffusion_in_proportion()


def cost_ratios(folder: Path) -> dict[str, float]:
    """Forward cost of text encoder and VAE encoder in units of the UNet's, of the small pipeline and of the real one, counted."""
    from diffusion_core.adapters.blueprint import relative_costs

    real, small = relative_costs(None, 512), relative_costs(folder, SIDE)
    return {
        "text_of_unet": small["text_encoder"],
        "vae_of_unet": small["vae"],
        "text_of_unet_real": real["text_encoder"],
        "vae_of_unet_real": real["vae"],
    }


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
