"""Train the embedded generator on the shapes world: flow matching, captions and images made on the fly.

    rewright train generator/shapes_dit_cpu            # full run, resumes by itself
    rewright train generator/smoke

The schedule is warm-up, constant, linear decay (`decay_fraction`), so that a run can be lengthened later by raising `samples`.
A batch is a function of (seed, step): a resumed run sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffusion_core.adapters.zoo_modules import ZooConfig, ZooModules, build_modules, save_modules
from diffusion_core.worlds.shapes import caption, render, sample_layout, sample_spec
from diffusion_core.worlds.shapes.lexicon import dialect_words
from recipes.terminal import remark

# Where a scene is decided. A matched filter over n pixels sees an object of contrast 1 at d' = sqrt(n) (1 - t) / t: the background (7,000 values)
# is settled at t = 0.98, the presence of an object (400) at 0.92, its shape at 0.85. The usual logit-normal(0, 1) puts 1 % of its mass there, and
# a first run with it had learned to draw shapes but not how many, nor the background, after 160,000 samples.
TIME_MEAN, TIME_STD = 2.0, 1.5


def make_batch(seed: int, step: int, batch: int, alone: float = 0.0) -> tuple[torch.Tensor, list[str]]:
    """Images (B,3,H,W) in [-1, 1] and captions of training scenes; 10 % of the captions are empty, for guidance.

    A share `alone` of the scenes has one object, whatever the mix: what a word means is learned from scenes where nothing else could
    be meant, and binding words to one of several objects comes after.
    """
    rng = np.random.default_rng([seed, step])
    images, captions = [], []
    for _ in range(batch):
        spec = sample_spec(rng, split="train", n_objects=1 if alone and rng.random() < alone else None)
        images.append(render(sample_layout(spec, rng, jitter=False)))
        captions.append("" if rng.random() < 0.1 else caption(spec))
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pixels, captions


def stratified_times(images: int, draws: int, g: torch.Generator) -> torch.Tensor:
    """Times (images * draws,), logit-normal, those of an image next to each other: its k-th lies in the k-th of `draws` equal parts of the
    distribution, and over the images each part is stratified again. The same loss in the mean with less variance."""
    quantile = (torch.randperm(images, generator=g) + torch.rand(draws, images, generator=g)) / images
    quantile = (quantile + torch.arange(draws).unsqueeze(1)) / draws
    return torch.sigmoid(TIME_MEAN + TIME_STD * torch.special.ndtri(quantile.t().reshape(-1).clamp(1e-4, 1 - 1e-4)))


def flow_loss(
    modules: ZooModules, config: ZooConfig, x0: torch.Tensor, captions: list[str], g: torch.Generator, draws: int = 1
) -> torch.Tensor:
    """Velocity error of an x0- or flow-predicting network at logit-normal t, biased to noise; x_t = (1 - t) x0 + t eps (t = 1 is noise).

    An x0 prediction is regressed through its velocity, (x_t - x0_hat) / t, so that both parameterisations weigh noise levels alike;
    1/t^2 is capped at t = 0.1, below which the velocity of an x0 prediction is rounding error. Every picture is noised `draws` times,
    since half of a step is reading its caption; times are stratified over the batch and over the draws of a picture.
    """
    tokens = modules.tokenizer(captions, padding=True, truncation=True, return_tensors="pt")
    mask = tokens["attention_mask"]
    text = modules.text_encoder(input_ids=tokens["input_ids"], attention_mask=mask).last_hidden_state
    t = stratified_times(len(x0), draws, g)
    x0, text, mask = (each.repeat_interleave(draws, 0) for each in (x0, text, mask))
    eps = torch.randn(x0.shape, generator=g)
    t_ = t.view(-1, 1, 1, 1)
    x_t = (1 - t_) * x0 + t_ * eps
    out = modules.transformer(
        x_t,
        encoder_hidden_states=text,
        timestep=t * config.time_scale,
        encoder_attention_mask=mask,
        added_cond_kwargs={},
        return_dict=False,
    )[0]
    if config.prediction == "x0":
        return ((out - x0).square().mean(dim=(1, 2, 3)) / t.clamp_min(0.1).square()).mean()
    return (out - (eps - x0)).square().mean()


@torch.no_grad()
def principal_patches(modules: ZooModules, config: ZooConfig, x0: torch.Tensor) -> None:
    """Start the network's first and last linear map at the principal components of a patch, of images x0 (B,3,H,W).

    Random maps of 768 numbers to 128 lose most of the signal, which has about 60 dimensions, and learning them takes longer than
    learning the rest. A random rotation spreads the components evenly over the channels.
    """
    p = config.patch
    patches = x0.unfold(2, p, p).unfold(3, p, p).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3 * p * p)
    mean = patches.mean(0)
    width = min(config.width, 3 * p * p, len(patches))
    components = torch.linalg.svd(patches - mean, full_matrices=False)[2][:width]
    rotation = torch.linalg.qr(torch.randn(config.width, config.width))[0][:, :width]
    basis = rotation @ components  # (width, 3 p p), orthonormal columns or rows
    into, out = modules.transformer.pos_embed.proj, modules.transformer.proj_out
    into.weight.copy_(0.5 * basis.view(-1, 3, p, p))
    into.bias.copy_(-0.5 * basis @ mean)
    out.weight.copy_(0.5 * basis.view(-1, 3, p, p).permute(2, 3, 1, 0).reshape(-1, config.width))
    out.bias.copy_(mean.view(3, p, p).permute(1, 2, 0).reshape(-1))


def optimizers(modules: ZooModules, lr: float, kind: str) -> list[torch.optim.Optimizer]:
    """AdamW, or Muon for the hidden matrices with AdamW for the rest (embeddings, norms, biases, in- and output)."""
    named = [*modules.transformer.named_parameters(), *modules.text_encoder.named_parameters()]
    hidden = [
        p
        for n, p in named
        if p.ndim == 2 and any(k in n for k in ("attn", "attention", ".ff.", "intermediate", "output.dense"))
    ]
    chosen = {id(p) for p in hidden} if kind == "muon" else set()
    rest = [p for _, p in named if id(p) not in chosen]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    ]
    if kind == "muon":
        found.append(torch.optim.Muon(hidden, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return found


def lr_factor(step: int, progress: float, warmup: int, decay_fraction: float) -> float:
    """Warm-up over steps, then constant, then linear to zero over the last `decay_fraction` of the samples."""
    return min(1.0, (step + 1) / warmup) * min(1.0, max(0.0, (1 - progress) / decay_fraction))


class Ema:
    """Running mean of the weights, with the short memory of an early run and the long one of a late run."""

    def __init__(self, parameters: list[torch.Tensor], decay: float) -> None:
        self.decay, self.shadow = decay, [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, parameters: list[torch.Tensor], step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in parameters], 1 - decay)

    @torch.no_grad()
    def swap(self, parameters: list[torch.Tensor]) -> None:
        for shadow, p in zip(self.shadow, parameters, strict=True):
            held = p.detach().clone()
            p.copy_(shadow)
            shadow.copy_(held)


def train(args: Any) -> None:
    torch.manual_seed(args.seed)
    output = Path(args.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    config = ZooConfig(
        patch=args.patch,
        width=args.width,
        layers=args.layers,
        text_width=args.text_width,
        text_layers=args.text_layers,
        prediction=args.prediction,
    )
    modules = build_modules(config, dialect_words())
    if config.prediction == "x0":
        principal_patches(modules, config, make_batch(args.seed + 1, 0, 1000)[0])
    parameters = [*modules.transformer.parameters(), *modules.text_encoder.parameters()]
    opts = optimizers(modules, args.learning_rate, args.optimizer)
    ema = Ema(parameters, args.ema_decay)
    step, samples, seconds, state_file = 0, 0, 0.0, output / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        modules.transformer.load_state_dict(state["transformer"])
        modules.text_encoder.load_state_dict(state["text_encoder"])
        for opt, saved in zip(opts, state["optimizers"], strict=True):
            opt.load_state_dict(saved)
        ema.shadow, step, samples, seconds = state["ema"], state["step"], state["samples"], state["seconds"]
    (output / "run.json").write_text(
        json.dumps(
            {"args": vars(args), "config": asdict(config), "threads": torch.get_num_threads()}, indent=2
        )
    )
    remark(
        f"{sum(p.numel() for p in parameters) / 1e6:.2f} M parameters, from sample {samples:,} of {args.samples:,}"
    )
    first, began, saved_at, losses = samples, time.monotonic(), time.monotonic(), []
    with (output / "metrics.jsonl").open("a") as log:
        while samples < args.samples:
            factor = lr_factor(step, samples / args.samples, args.warmup, args.decay_fraction)
            for opt in opts:
                for group in opt.param_groups:
                    group["lr"] = args.learning_rate * factor
            x0, captions = make_batch(
                args.seed, step, args.batch // args.noise_draws, 0.7 if samples < args.easy_samples else 0.0
            )
            noise = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
            loss = flow_loss(modules, config, x0, captions, noise, args.noise_draws)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            for opt in opts:
                opt.step()
                opt.zero_grad(set_to_none=True)
            ema.update(parameters, step)
            step, samples = step + 1, samples + args.batch
            losses.append(loss.item())
            if step % args.log_every == 0:
                spent = seconds + time.monotonic() - began
                row = {
                    "step": step,
                    "samples": samples,
                    "loss": float(np.mean(losses)),
                    "lr": args.learning_rate * factor,
                    "seconds": round(spent, 1),
                }
                log.write(json.dumps(row) + "\n")
                log.flush()
                left = (args.samples - samples) * (time.monotonic() - began) / max(samples - first, 1)
                remark(
                    f"{samples:,} of {args.samples:,} samples, loss {row['loss']:.4f}, "
                    f"{(samples - first) / (time.monotonic() - began):.0f} samples/s, {left / 60:.0f} min left"
                )
                losses.clear()
            if samples >= args.samples or time.monotonic() - saved_at > args.save_every_seconds:
                saved_at = time.monotonic()
                save_state(state_file, modules, opts, ema, step, samples, seconds + time.monotonic() - began)
                ema.swap(parameters)
                save_modules(modules, output / "generator", config)
                ema.swap(parameters)


def save_state(
    path: Path,
    modules: ZooModules,
    opts: list[torch.optim.Optimizer],
    ema: Ema,
    step: int,
    samples: int,
    seconds: float,
) -> None:
    torch.save(
        {
            "transformer": modules.transformer.state_dict(),
            "text_encoder": modules.text_encoder.state_dict(),
            "optimizers": [opt.state_dict() for opt in opts],
            "ema": ema.shadow,
            "step": step,
            "samples": samples,
            "seconds": seconds,
        },
        path.with_suffix(".tmp"),
    )
    os.replace(path.with_suffix(".tmp"), path)
