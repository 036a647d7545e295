"""`rewright plan CONFIG`: how much memory each phase of a preference run will take, before anything is loaded.

The networks are built from their configuration files with tensors that have no storage, a step is run on them with the batch of the
configuration, and live bytes are counted operation by operation. What is counted is tensors: the allocator's own overhead, CUDA's context and
other programs come on top.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recipes.terminal import remark, say, table

_DESCRIPTION = """
Predict the peak memory of a preference run (`rewright train diffusion/...`), phase by phase: weights, encoding, a training step, drawing.
Only configuration files of the model are read. Counted are bytes of tensors; leave a tenth for the allocator, and more for CUDA itself.
"""
_EPILOG = """
examples:
  rewright plan diffusion/diffusion_dpo/shapes_cpu
  rewright plan diffusion/diffusion_dpo/sdxl-lora_1x24gb --batch_size 2
  rewright plan my_run.yaml --gradient_checkpointing true --json
"""
NF4_BYTES = 0.5 + 1 / 64 * 4  # a half byte a weight and a float32 scale for each 64 of them


@dataclass(frozen=True)
class Phase:
    """Bytes of weights that lie there throughout, and the most that lies there at once."""

    name: str
    weights: int
    peak: int


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "plan",
        help="predict the memory of a preference run",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", help="a YAML file or the name of a packaged configuration (diffusion/...)")
    parser.add_argument("--json", action="store_true", help="bytes as JSON")
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, help="keys of the configuration, as for `rewright train`"
    )


def run(args: argparse.Namespace) -> int:
    from recipes.configuration import ConfigError, resolve_config
    from recipes.diffusion_pref import parse

    rest = [word for word in args.rest if word != "--json"]
    defaults = {"--pairs": "unknown", "--output_dir": "unknown"}
    missing = [part for key, value in defaults.items() if key not in rest for part in (key, value)]
    try:
        path = resolve_config(args.config)
        made = parse(["--config", str(path), *_only_missing(path, missing), *rest])
    except ConfigError as error:
        remark(f"rewright plan: {error}")
        return 2
    phases = plan(made)
    if args.json or "--json" in args.rest:
        say(json.dumps([asdict(phase) for phase in phases], indent=1))
        return 0
    say(table(["phase", "weights", "peak"], [[p.name, spell(p.weights), spell(p.peak)] for p in phases]))
    say("\n" + verdict(phases, made))
    return 0


def _only_missing(path: Path, words: list[str]) -> list[str]:
    """Stand-ins for keys that a plan does not need and the file does not give."""
    from recipes.configuration import read_yaml

    given = read_yaml(path)
    pairs = zip(words[::2], words[1::2], strict=True)
    return [part for key, value in pairs if not given.get(key.removeprefix("--")) for part in (key, value)]


def plan(made: Any) -> list[Phase]:
    """The phases of a run, in their order. Raises FileNotFoundError where the model's configuration is not on this machine."""
    import torch

    from diffusion_core.adapters.blueprint import blueprint
    from diffusion_core.memory import bytes_of, fused_attention

    with torch.device("meta"), fused_attention():
        generator = blueprint(made.model.model, getattr(torch, made.model.dtype), canvas_of(made))
        whole = bytes_of(*generator.modules().values())
        saved = _nf4_saving(generator) if made.model.quantize == "nf4" else 0
        phases = [Phase("load", whole - saved, whole - saved)]
        phases.append(_shifted("encode", _encode(made, generator), saved))
        trained = bytes_of(*generator.decoder.modules().values()) if made.train.eval_prompts else 0
        phases.append(_shifted("train", _train(made, generator, trained), saved))
        if made.train.eval_prompts:
            phases.append(_shifted("draw", _draw(made, generator), saved))
    return phases


def canvas_of(made: Any) -> tuple[int, ...] | None:
    return None if made.model.canvas is None else tuple(made.model.canvas)


def _shifted(name: str, counted: tuple[int, int], saved: int) -> Phase:
    return Phase(name, counted[0] - saved, counted[1] - saved)


def _nf4_saving(generator: Any) -> int:
    """Bytes that 4-bit linear layers save on the blueprint's own precision."""
    import torch

    layers = [
        m
        for net in generator.denoiser.modules().values()
        for m in net.modules()
        if type(m) is torch.nn.Linear
    ]
    return sum(int(m.weight.numel() * (m.weight.element_size() - NF4_BYTES)) for m in layers)


def _counted(work: Callable[[Any], None], *modules: Any) -> tuple[int, int]:
    from diffusion_core.memory import LiveBytes

    with LiveBytes() as live:
        live.hold(*modules)
        weights = live.now
        work(live)
    return weights, live.peak


def _encode(made: Any, generator: Any) -> tuple[int, int]:
    """Prompts, then pictures, of a batch through the encoders, beside all weights and a shard of latents."""
    import math

    import torch

    from diffusion_core.adapters.blueprint import read_blank
    from diffusion_core.encoding import SHARD

    batch, pairs = made.data.encode_batch, min(SHARD, made.data.max_pairs or SHARD)
    kept = 2 * pairs * math.prod(generator.shape) * 4

    def work(live: Any) -> None:
        with torch.no_grad():
            read_blank(generator, batch)
            generator.decoder.encode(torch.zeros(min(batch, pairs), 3, *generator.canvas)).float()

    weights, peak = _counted(work, *generator.modules().values())
    return weights, peak + kept


def _train(made: Any, generator: Any, beside: int) -> tuple[int, int]:
    """A step: policy forward, reference forward, backward, update; `beside` are weights that stay for drawing."""
    import torch

    from diffusion_core.adapters.blueprint import blank_cond
    from diffusion_core.adapters.lora_io import add_lora
    from diffusion_core.memory import bytes_of

    networks = list(generator.denoiser.modules().values())
    for network in networks:
        network.requires_grad_(not made.model.lora_r)
    base = bytes_of(*networks)
    if made.model.lora_r:
        add_lora(generator, made.model.lora_r, made.model.lora_alpha, made.model.lora_targets)
    if made.model.gradient_checkpointing:
        for network in networks:
            network.enable_gradient_checkpointing()
    trained = [p for network in networks for p in network.parameters() if p.requires_grad]
    size = sum(p.numel() * p.element_size() for p in trained)
    rows = 2 * made.train.batch_size * made.data.draws_per_pair
    cond = blank_cond(generator, rows)
    autocast = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}[made.model.mixed_precision]

    def work(live: Any) -> None:
        x0 = torch.zeros(rows, *generator.shape)
        x_t, target, t = torch.zeros_like(x0), torch.zeros_like(x0), torch.full((rows,), 0.5)
        with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
            said = generator.denoiser.raw(x_t, t, cond).float()
            if made.reference in ("adapter_off", "frozen_copy"):
                with torch.no_grad():
                    known = generator.denoiser.raw(x_t, t, cond).float()
                    (known - target).square().flatten(1).mean(1)
            loss = (said - target).square().flatten(1).mean(1).mean()
        loss.backward()
        del said, loss

    weights, step = _counted(work, *networks)
    states = size * {"adamw": 2.0, "adamw_8bit": 0.5, "adafactor": 0.02}[made.train.optimizer]
    ema = size if made.train.ema_decay else 0
    copy = base if made.reference == "frozen_copy" else 0
    update = weights + 2 * size  # gradients, and the temporaries of a fused update
    held = int(states + ema + copy + beside)
    return weights + held, max(step, update) + held


def _draw(made: Any, generator: Any) -> tuple[int, int]:
    """A batch of pictures with guidance: the network twice, then the decoder."""
    import torch

    from diffusion_core.adapters.blueprint import blank_cond

    wanted = made.train.eval_count * made.train.eval_seeds
    batch = min(generator.batch_size, wanted)
    guided = (made.train.eval_guidance or generator.guidance) != 1
    cond = blank_cond(generator, batch * (2 if guided else 1))

    def work(live: Any) -> None:
        with torch.no_grad():
            x = torch.zeros(batch * (2 if guided else 1), *generator.shape)
            generator.denoiser.raw(x, torch.full((len(x),), 0.5), cond)
            del x
            generator.decoder.decode(torch.zeros(batch, *generator.shape)).float()

    kept = [*generator.denoiser.modules().values(), *generator.decoder.modules().values()]
    return _counted(work, *kept)


def spell(size: int) -> str:
    """Bytes for people."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{size} B"


def verdict(phases: list[Phase], made: Any) -> str:
    """What decides, what this machine's accelerator has, and what would take less."""
    import torch

    top = max(phases, key=lambda phase: phase.peak)
    words = [f"The most is {spell(top.peak)}, in {top.name!r}."]
    if torch.cuda.is_available():
        free = torch.cuda.mem_get_info()[0]
        fits = "fits" if top.peak * 1.1 < free else "does not fit"
        words.append(f"This accelerator has {spell(free)} free: it {fits}.")
    less = []
    if not made.model.gradient_checkpointing:
        less.append("gradient_checkpointing: true")
    if made.train.batch_size > 1:
        less.append("a smaller batch_size with more gradient_accumulation_steps")
    if made.reference == "frozen_copy":
        less.append("lora_r above 0, whose reference needs no copy")
    if made.model.lora_r and made.model.quantize == "none":
        less.append("quantize: nf4")
    if made.train.optimizer == "adamw" and not made.model.lora_r:
        less.append("optimizer: adamw_8bit")
    if top.name == "encode" and made.data.encode_batch > 1:
        less = ["a smaller encode_batch"]
    return " ".join(words) + (f" Less is taken by {'; '.join(less)}." if less else "")
