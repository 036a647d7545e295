"""Train the embedded generator on the shapes world: flow matching, captions and images made on the fly.

    rewright train generator/shapes_dit_cpu            # full run, resumes by itself
    rewright train generator/smoke

The schedule is warm-up, constant, linear decay (`decay_fraction`), so that a run can be lengthened later by raising `samples`.
A picture is a function of (seed, step, index): a resumed run sees what the uninterrupted one would have seen, and so do several
`processes`, each of which takes its share of a batch and averages its gradients with the others' (the text heads' losses are means over a
process's own groups, so that their share of the gradient differs slightly from one process's).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from diffusion_core.adapters.zoo_modules import ZooConfig, ZooModules, build_modules, save_modules
from diffusion_core.worlds.shapes import SceneSpec, caption, render, sample_layout, sample_spec
from diffusion_core.worlds.shapes.lexicon import dialect_words
from recipes.generator_supervision import Marks, SceneHeads, cell_labels
from recipes.policy import bf16_is_fast
from recipes.terminal import remark

# Where a scene is decided. A matched filter over n pixels sees an object of contrast 1 at d' = sqrt(n) (1 - t) / t: the background (7,000 values)
# is settled at t = 0.98, the presence of an object (400) at 0.92, its shape at 0.85. The usual logit-normal(0, 1) puts 1 % of its mass there, and
# a first run with it had learned to draw shapes but not how many, nor the background, after 160,000 samples.
TIME_MEAN, TIME_STD = 2.0, 1.5


@dataclass(frozen=True)
class Batch:
    """`x0` (B,3,H,W) in [-1, 1], its captions, the scenes behind them (None where the caption is empty) and what stands in each cell (B,9,4)."""

    x0: torch.Tensor
    captions: list[str]
    specs: list[SceneSpec | None]
    cells: torch.Tensor


def make_batch(seed: int, step: int, indices: range, alone: float = 0.0) -> Batch:
    """The pictures `indices` of a step's batch; 10 % of the captions are empty, for guidance.

    A share `alone` of the scenes has one object, whatever the mix: what a word means is learned from scenes where nothing else could
    be meant, and binding words to one of several objects comes after.
    """
    images, captions, specs, cells = [], [], [], []
    for index in indices:
        rng = np.random.default_rng([seed, step, index])
        spec = sample_spec(rng, split="train", n_objects=1 if alone and rng.random() < alone else None)
        layout = sample_layout(spec, rng, jitter=False)
        dropped = rng.random() < 0.1
        images.append(render(layout))
        cells.append(cell_labels(layout))
        captions.append("" if dropped else caption(spec))
        specs.append(None if dropped else spec)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Batch(pixels, captions, specs, torch.tensor(cells))


def stratified_times(images: int, draws: int, g: torch.Generator) -> torch.Tensor:
    """Times (images * draws,), logit-normal, those of an image next to each other: its k-th lies in the k-th of `draws` equal parts of the
    distribution, and over the images each part is stratified again. The same loss in the mean with less variance."""
    quantile = (torch.randperm(images, generator=g) + torch.rand(draws, images, generator=g)) / images
    quantile = (quantile + torch.arange(draws).unsqueeze(1)) / draws
    return torch.sigmoid(
        TIME_MEAN + TIME_STD * torch.special.ndtri(quantile.t().reshape(-1).clamp(1e-4, 1 - 1e-4))
    )


@dataclass(frozen=True)
class Losses:
    """Scalars: the velocity error, and the heads' cross-entropies in nats (0 without heads)."""

    flow: torch.Tensor
    phrase: torch.Tensor
    reference: torch.Tensor
    cell: torch.Tensor


def training_losses(
    modules: ZooModules,
    config: ZooConfig,
    batch: Batch,
    t: torch.Tensor,
    eps: torch.Tensor,
    heads: SceneHeads | None = None,
) -> Losses:
    """Velocity error of an x0- or flow-predicting network; x_t = (1 - t) x0 + t eps (t = 1 is noise). `t` (B n,) and `eps` (B n,3,H,W) hold
    n draws of noise a picture, those of a picture next to each other, since half of a step is reading its caption.

    An x0 prediction is regressed through its velocity, (x_t - x0_hat) / t, so that both parameterisations weigh noise levels alike;
    1/t^2 is capped at t = 0.1, below which the velocity of an x0 prediction is rounding error.
    """
    tokens = modules.tokenizer(batch.captions, padding=True, truncation=True, return_tensors="pt")
    mask = tokens["attention_mask"]
    text = modules.text_encoder(input_ids=tokens["input_ids"], attention_mask=mask).last_hidden_state
    phrase = reference = cell = text.new_zeros(())
    if heads is not None:
        marks = Marks.of(modules.tokenizer)
        phrase, reference = heads.text_losses(text, tokens["input_ids"], batch.specs, marks)
    draws = len(t) // len(batch.x0)
    x0, text, mask, cells = (each.repeat_interleave(draws, 0) for each in (batch.x0, text, mask, batch.cells))
    t_ = t.view(-1, 1, 1, 1)
    x_t = (1 - t_) * x0 + t_ * eps
    out = modules.transformer(
        x_t,
        encoder_hidden_states=text,
        timestep=t * config.time_scale,
        encoder_attention_mask=mask,
        added_cond_kwargs={},
        return_dict=False,
    )[0].float()
    if heads is not None:
        cell = heads.cell_loss(cells)
    if config.prediction == "x0":
        flow = ((out - x0).square().mean(dim=(1, 2, 3)) / t.clamp_min(0.1).square()).mean()
    else:
        flow = (out - (eps - x0)).square().mean()
    return Losses(flow, phrase, reference, cell)


def _plain_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_mask: torch.Tensor | None = None, **_: Any
) -> torch.Tensor:
    """Softmax attention over (B, heads, L, D) as two products; `attn_mask` is additive, or boolean with True to keep."""
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -1e4) if attn_mask.dtype == torch.bool else scores + attn_mask
    return scores.softmax(-1).to(v.dtype) @ v


@contextlib.contextmanager
def fast_precision(bf16: bool) -> Iterator[None]:
    """Autocast to bfloat16 with attention written out: the fused backward on CPUs takes longer in bfloat16 than all matrix products of a step."""
    if not bf16:
        yield
        return
    fused = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = _plain_attention
    try:
        with torch.autocast("cpu", torch.bfloat16):
            yield
    finally:
        F.scaled_dot_product_attention = fused


def patches_by_product(modules: ZooModules, config: ZooConfig) -> None:
    """Compute the patch embedding as a matrix product; the weight gradient of a bfloat16 convolution is an eighth of a step on CPUs."""
    proj, p = modules.transformer.pos_embed.proj, config.patch

    def embed(x: torch.Tensor) -> torch.Tensor:
        b, c, h, w = x.shape
        rows = x.view(b, c, h // p, p, w // p, p).permute(0, 2, 4, 1, 3, 5).reshape(b, -1, c * p * p)
        out = F.linear(rows, proj.weight.flatten(1), proj.bias)
        return out.transpose(1, 2).reshape(b, -1, h // p, w // p)

    proj.forward = embed


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


def optimizers(modules: ZooModules, lr: float, kind: str, heads: SceneHeads) -> list[torch.optim.Optimizer]:
    """AdamW, or Muon for the hidden matrices with AdamW for the rest (embeddings, norms, biases, in- and output)."""
    named = [*modules.transformer.named_parameters(), *modules.text_encoder.named_parameters()]
    hidden = [
        p
        for n, p in named
        if p.ndim == 2 and any(k in n for k in ("attn", "attention", ".ff.", "intermediate", "output.dense"))
    ]
    chosen = {id(p) for p in hidden} if kind == "muon" else set()
    rest = [*(p for _, p in named if id(p) not in chosen), *heads.parameters()]
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
    """One run, in `args.processes` processes that share each batch; resumes from `output_dir/state.pt`."""
    output = Path(args.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    if args.processes == 1:
        _train(args, 0, None)
        return
    rendezvous = output / ".rendezvous"
    rendezvous.unlink(missing_ok=True)
    torch.multiprocessing.start_processes(
        _member, (args, str(rendezvous.resolve())), nprocs=args.processes, start_method="spawn"
    )


def _member(rank: int, args: Any, rendezvous: str) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the members are processes of this machine
    torch.set_num_threads(args.threads or 1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=args.processes)
    try:
        _train(args, rank, dist.group.WORLD)
    finally:
        dist.destroy_process_group()


def _train(args: Any, rank: int, group: Any) -> None:
    torch.manual_seed(args.seed)
    output = Path(args.output_dir)
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
        principal_patches(modules, config, make_batch(args.seed + 1, 0, range(1000)).x0)
    heads = SceneHeads(args.text_width, args.width)
    heads.watch(modules.transformer.transformer_blocks[args.layers // 2])
    bf16 = args.fast_bf16 and bf16_is_fast()
    if bf16:
        patches_by_product(modules, config)
    parameters = [*modules.transformer.parameters(), *modules.text_encoder.parameters()]
    trained = [*parameters, *heads.parameters()]
    opts = optimizers(modules, args.learning_rate, args.optimizer, heads)
    ema = Ema(parameters, args.ema_decay)
    step, samples, seconds, state_file = 0, 0, 0.0, output / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        modules.transformer.load_state_dict(state["transformer"])
        modules.text_encoder.load_state_dict(state["text_encoder"])
        heads.load_state_dict(state["heads"])
        for opt, saved in zip(opts, state["optimizers"], strict=True):
            opt.load_state_dict(saved)
        ema.shadow, step, samples, seconds = state["ema"], state["step"], state["samples"], state["seconds"]
    if rank == 0:
        facts = {
            "args": vars(args),
            "config": asdict(config),
            "threads": torch.get_num_threads(),
            "bf16": bf16,
        }
        (output / "run.json").write_text(json.dumps(facts, indent=2))
        remark(
            f"{sum(p.numel() for p in parameters) / 1e6:.2f} M parameters, from sample {samples:,} of {args.samples:,}"
        )
    first, began, saved_at, losses = samples, time.monotonic(), time.monotonic(), []
    images = args.batch // args.noise_draws
    share = images // args.processes
    mine = range(rank * share, (rank + 1) * share)
    drawn = slice(mine.start * args.noise_draws, mine.stop * args.noise_draws)
    while samples < args.samples:
        factor = lr_factor(step, samples / args.samples, args.warmup, args.decay_fraction)
        for opt in opts:
            for param_group in opt.param_groups:
                param_group["lr"] = args.learning_rate * factor
        batch = make_batch(args.seed, step, mine, 0.7 if samples < args.easy_samples else 0.0)
        noise = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        t = stratified_times(images, args.noise_draws, noise)
        eps = torch.randn(args.batch, *batch.x0.shape[1:], generator=noise)
        with fast_precision(bf16):
            found = training_losses(modules, config, batch, t[drawn], eps[drawn], heads)
        text = found.phrase + found.reference
        (found.flow + args.cell_weight * found.cell + args.text_weight * text).backward()
        if group is not None:
            average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        ema.update(parameters, step)
        step, samples = step + 1, samples + args.batch
        losses.append([each.item() for each in (found.flow, found.phrase, found.reference, found.cell)])
        if rank:
            continue
        if step % args.log_every == 0:
            spent = time.monotonic() - began
            names = ("loss", "phrase_loss", "reference_loss", "cell_loss")
            means = dict(zip(names, np.mean(losses, axis=0).round(5).tolist(), strict=True))
            row = {"step": step, "samples": samples, **means}
            row |= {"lr": args.learning_rate * factor, "seconds": round(seconds + spent, 1)}
            with (output / "metrics.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
            pace = (samples - first) / spent
            remark(
                f"{samples:,} of {args.samples:,} samples, loss {row['loss']:.4f}, {pace:.0f} samples/s, "
                f"{(args.samples - samples) / pace / 60:.0f} min left"
            )
            losses.clear()
        if samples >= args.samples or time.monotonic() - saved_at > args.save_every_seconds:
            saved_at = time.monotonic()
            spent = seconds + saved_at - began
            save_state(state_file, modules, heads, opts, ema, step, samples, spent)
            ema.swap(parameters)
            save_modules(modules, output / "generator", config)
            ema.swap(parameters)


def average_gradients(parameters: list[torch.Tensor]) -> None:
    """Mean over the processes, in one message; a parameter that a process did not use counts as 0 there."""
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for p, mean in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = mean.view_as(p)


def save_state(
    path: Path,
    modules: ZooModules,
    heads: SceneHeads,
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
            "heads": heads.state_dict(),
            "optimizers": [opt.state_dict() for opt in opts],
            "ema": ema.shadow,
            "step": step,
            "samples": samples,
            "seconds": seconds,
        },
        path.with_suffix(".tmp"),
    )
    os.replace(path.with_suffix(".tmp"), path)
