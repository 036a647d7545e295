"""Preference training of a generator: any loss of `diffusion_core.losses` that reads pairs, on any model `Generator` reads.

    rewright pairs --prompts captions -n 8 --pairs_per_prompt 2 --output runs/pairs
    rewright train diffusion/diffusion_dpo/shapes_cpu --pairs runs/pairs --output_dir runs/dpo
    accelerate launch -m recipes.diffusion_pref --config recipes/configs/diffusion/diffusion_dpo/sdxl_8x80gb.yaml     (several GPUs)

Latents and text embeddings are made once and kept beside the run; after that VAE and text encoders leave memory, unless pictures are to be
drawn. The result is a LoRA in diffusers' format (`pipe.load_lora_weights("runs/dpo/lora")`), or the network with `lora_r: 0`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from recipes.configuration import ConfigError, parse_arguments, resolved

# What a run that goes on may be given anew.
MAY_CHANGE = frozenset(
    [
        "commercial_only",
        "dry_run",
        "eval_steps",
        "fresh",
        "logging_steps",
        "max_seconds",
        "max_steps",
        "output_dir",
        "patience",
        "report_to",
        "save_steps",
        "save_total_limit",
        "displacement_alarm",
    ]
)


@dataclass(frozen=True)
class Run:
    """The parsed configuration, and what was checked of it before anything was loaded."""

    run: Any
    model: Any
    data: Any
    train: Any
    loss: Any
    reference: str

    @property
    def flat(self) -> dict[str, Any]:
        return resolved((self.run, self.model, self.data, self.train))


def run(argv: Sequence[str]) -> int:
    """Parse → pairs → encode → train → draw → save. Returns the exit code."""
    made = parse(argv)
    pairs = read_pairs(made)
    if made.run.dry_run:
        return dry_run(made, pairs)
    return train(made, pairs)


def parse(argv: Sequence[str]) -> Run:
    """The run's configuration. Raises ConfigError for what can be known to be wrong before anything is loaded."""
    from diffusion_core.reference import choose
    from recipes.arguments import RunArguments
    from recipes.preference_arguments import (
        GeneratorModelArguments,
        PreferenceArguments,
        PreferenceRunArguments,
    )

    run_args, model, data, train_args = parse_arguments(
        (RunArguments, GeneratorModelArguments, PreferenceArguments, PreferenceRunArguments), argv
    )
    for key, owner, text in (
        ("model", model, "give shapes, a diffusers folder or a hub id"),
        ("pairs", data, "give the pairs; `rewright pairs` makes them from your own model"),
        ("output_dir", train_args, "give the folder of the run"),
    ):
        if not getattr(owner, key):
            raise ConfigError(f"{key}: missing; {text}")
    try:
        from diffusion_core.losses import build_loss
        from diffusion_core.losses.base import Loss

        loss = build_loss(data.loss, **(data.method_kwargs or {}))
        if not isinstance(loss, Loss):
            raise ValueError(
                f"loss: {data.loss!r} is no diffusion_core.losses.base.Loss; derive from it (docs/adding-a-loss.md)"
            )
        mode = choose(data.reference, loss, adapter=model.lora_r > 0, fixed_draws=data.fixed_draws)
        made = Run(run_args, model, data, train_args, loss, mode)
        objective_of(made, None)
        trainer_config(made)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    return made


def read_pairs(made: Run) -> list[Any]:
    """The pairs, decoded once. Raises ConfigError listing what is wrong with them."""
    from diffusion_core.data import check_pairs, load_pairs

    try:
        pairs = load_pairs(made.data.pairs, limit=made.data.max_pairs)
        check_pairs(pairs, resize=made.data.resize_pairs, decode=256)
    except (OSError, ValueError) as error:
        raise ConfigError(f"pairs: {error}") from error
    wrong = unfit(made, pairs)
    if wrong is not None:
        raise ConfigError(f"pairs: {wrong}")
    return pairs


def unfit(made: Run, pairs: Sequence[Any]) -> str | None:
    """What this loss needs of the pairs and they do not have; None: nothing."""
    from diffusion_core.losses.inputs import SegmentErrors, SoftPairErrors

    name = made.data.loss
    if issubclass(made.loss.inputs, SoftPairErrors) and any(pair.prob_chosen is None for pair in pairs):
        return f"{name} needs `prob_chosen` of every pair; `rewright pairs --relabel ... --soft_labels` adds it, or take diffusion_dpo"
    own = [pair for pair in pairs if pair.prompt_rejected not in (None, pair.prompt)]
    if made.loss.captions == "per_image" and not own:
        return f"{name} is about captions of the loser's own (`prompt_rejected`), and no pair has one: it would be diffusion_dpo"
    if made.loss.captions == "shared" and own:
        return (
            f"{len(own)} of {len(pairs)} have two prompts (`prompt_rejected`; the first is {own[0].id!r}), and {name} compares two images of one; "
            "take dcpo, or leave `prompt_rejected` out"
        )
    lengths = {None if pair.segments is None else len(pair.segments) for pair in pairs}
    if issubclass(made.loss.inputs, SegmentErrors) and len(lengths) > 1:
        return (
            f"the pairs' `segments` have {len(lengths)} different lengths ({', '.join(map(str, sorted(lengths, key=str)))}); {name} needs one number of "
            "segments for all pairs, or none at all"
        )
    return None


def held_out_index(pairs: Sequence[Any], share: float) -> list[int]:
    """Pairs held out, by a hash of the prompt: a prompt is never on both sides. Raises ConfigError where one side is empty."""
    from diffusion_core.draws import seed_of

    if not share:
        return []
    found = [i for i, pair in enumerate(pairs) if seed_of("held out", pair.prompt) / 2**63 < share]
    if not found or len(found) == len(pairs):
        raise ConfigError(
            f"validation_share: {len(pairs)} pairs are too few to hold out {share:.0%} of them; give more pairs, or 0"
        )
    return found


def objective_of(made: Run, generator: Any | None) -> Any:
    """The objective; without a generator one of a standard process, to check the configuration."""
    from diffusion_core.draws import Times
    from diffusion_core.noising import NOISINGS
    from diffusion_core.objective import Objective
    from diffusion_core.processes import DDPM

    data, process = made.data, DDPM() if generator is None else generator.process
    times = Times.of(process) if data.times == "auto" else Times(data.times)
    low, high = data.time_range or (0.0, 1.0)
    times = dataclasses.replace(times, low=low, high=high, stratified=data.stratified_times)
    noising = NOISINGS[made.loss.noising]() if made.loss.noising in NOISINGS else None
    steps = data.inversion_steps
    if steps is not None and noising is not None and noising.needs_network:
        noising = dataclasses.replace(noising, steps=steps)
    return Objective(
        made.loss,
        process,
        "eps" if generator is None else generator.denoiser.kind,
        times,
        seed=made.train.seed,
        draws=data.draws_per_pair,
        error_space=None if data.error_space == "auto" else data.error_space,
        noising=noising,
        pixel_frames=generator.canvas[0] if generator is not None and len(generator.canvas) == 3 else None,
        **({} if steps is None else {"inversion_steps": steps}),
    )


def trainer_config(made: Run) -> Any:
    from diffusion_core.trainer import TrainerConfig

    args = made.train
    return TrainerConfig(
        max_steps=args.max_steps,
        batch_size=args.batch_size,
        accumulation=args.gradient_accumulation_steps,
        learning_rate=args.learning_rate,
        warmup_steps=args.warmup_steps,
        schedule=args.lr_scheduler_type,
        optimizer=args.optimizer,
        weight_decay=args.weight_decay,
        max_grad_norm=args.max_grad_norm,
        prompt_dropout=made.data.prompt_dropout,
        fixed_draws=made.data.fixed_draws,
        ema_decay=args.ema_decay,
        log_every=args.logging_steps,
        save_every=args.save_steps,
        eval_every=args.eval_steps,
        keep_checkpoints=args.save_total_limit,
        patience=args.patience,
        alarm_after=args.displacement_alarm,
        max_seconds=made.run.max_seconds,
        seed=args.seed,
    )


def train(made: Run, pairs: list[Any]) -> int:
    """One run in one process of possibly several. Returns the exit code."""
    import torch

    from recipes.preference_run import check_record, load, outcome, record_of, watch_of
    from recipes.run_record import MetricsLog, make_output
    from recipes.terminal import remark

    output = make_output(made.train.output_dir)
    accelerator = make_accelerator(made)
    main = accelerator.is_main_process
    if check_record(made, output, main):  # every process reads the same record
        return 0
    accelerator.wait_for_everyone()
    torch.manual_seed(made.train.seed)
    generator, encoded, prompts, inputs = load(made, pairs, output, accelerator)
    record = record_of(made, len(pairs), output, generator, encoded, inputs)
    pairs.clear()  # pictures of tables are in memory; from here on their latents are read from files
    watch = watch_of(made, generator, prompts, output) if main else None
    trainer = build_trainer(made, generator, encoded, accelerator, output, watch)
    log = MetricsLog(output)
    begun = trainer.resume()
    if main:
        remark(opening(made, trainer))
        record.start(resumed_from=f"checkpoint-{begun}" if begun else None)
        log.rewind(begun)
    trainer.on_log = Told(log, made, trainer)
    try:
        first = (
            {} if watch is None else watch(0)
        )  # read back where it is there, for the comparison at the end
        if not begun and first:
            log.write({"step": 0, "seconds": 0.0, **{f"eval_{k}": v for k, v in first.items()}})
        if not begun and made.train.reward:
            trainer.begin(first.get("reward", math.nan))
        with stop_after_step(trainer):
            step = trainer.train()
        if trainer.stopping:
            raise KeyboardInterrupt
        if main:
            outcome(made, trainer, generator, output, record, watch, step)
    except KeyboardInterrupt as stop:
        if main:
            record.finish("interrupted")
        stop.add_note(f"The same command goes on from {newest_name(trainer) or 'the beginning'}.")
        raise
    except Exception:  # whatever it was, the record must not say "running"; it is raised again
        if main:
            record.finish("failed")
        raise
    accelerator.end_training()
    return 0


@contextmanager
def stop_after_step(trainer: Any) -> Iterator[None]:
    """Inside, control-C and SIGTERM let the step end and be saved; a second one stops at once.

    Not with several processes, which would leave the loop at different steps.
    """
    watched = (signal.SIGINT, signal.SIGTERM)
    if trainer.accelerator.num_processes > 1 or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in watched}

    def stop(number: int, frame: Any) -> None:
        trainer.stopping = True
        for each, handler in before.items():
            signal.signal(each, handler)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_accelerator(made: Run) -> Any:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType, InitProcessGroupKwargs

    trackers = [name for name in made.train.report_to.replace(" ", "").split(",") if name not in ("", "none")]
    AcceleratorState._reset_state()  # it is one a process, and an earlier run of this process may have had another precision
    accelerator = Accelerator(
        mixed_precision=made.model.mixed_precision,
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=timedelta(days=1))
        ],  # one process encodes and draws while others wait
        log_with=trackers or None,
        project_dir=made.train.output_dir if trackers else None,
    )
    accelerator.gradient_accumulation_steps = (
        1  # counted by the trainer; the launcher's environment may say otherwise
    )
    if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise ConfigError(
            f"this recipe trains whole networks on each device, not {accelerator.distributed_type.value}; take a LoRA (lora_r), 4 bit "
            "(quantize: nf4) or gradient_checkpointing for memory"
        )
    if trackers:
        flat = {k: v if isinstance(v, int | float | str | bool) else str(v) for k, v in made.flat.items()}
        accelerator.init_trackers("rewright", config=flat)
    return accelerator


def build_trainer(
    made: Run, generator: Any, encoded: Any, accelerator: Any, output: Path, watch: Any | None
) -> Any:
    from diffusion_core.reference import AdapterOff, make_reference
    from diffusion_core.trainer import PreferenceTrainer

    denoiser = generator.denoiser
    reference = make_reference(made.reference, denoiser)
    if (
        made.reference == "precomputed"
    ):  # asked once, before the first step: the network itself, without an adapter if it has one
        reference = AdapterOff(denoiser) if made.model.lora_r else denoiser
    return PreferenceTrainer(
        denoiser,
        encoded,
        objective_of(made, generator),
        trainer_config(made),
        accelerator=accelerator,
        output=output,
        reference=reference,
        reference_mode=made.reference,
        validation=held_out_index(encoded.pairs, made.data.validation_share),
        evaluate=watch,
        rewarded=bool(made.train.reward),
    )


def opening(made: Run, trainer: Any) -> str:
    """What people ask first: how strong, how fast, how much, against what."""
    trained = sum(p.numel() for p in trainer.named.values())
    whole = sum(p.numel() for net in trainer.denoiser.modules().values() for p in net.parameters())
    beta = getattr(made.loss, "effective_beta", None)
    strength = "" if beta is None else f", effective beta {beta:g} (margin per unit of mean squared error)"
    return (
        f"{made.data.loss}{strength}; errors in {trainer.objective.space} space of a {trainer.objective.kind}-network\n"
        f"{len(trainer.train_index)} pairs, {len(trainer.validation)} held out; {trainer.pairs_per_step} pairs a step, "
        f"{made.data.draws_per_pair} draw(s) each; {trainer.config.max_steps * trainer.pairs_per_step / len(trainer.train_index):.1f} epochs\n"
        f"learning rate {made.train.learning_rate:g} as it is used, {made.train.warmup_steps} steps of warm-up, {made.train.lr_scheduler_type}\n"
        f"reference: {made.reference}; {trained / 1e6:.2f} M of {whole / 1e6:.2f} M parameters train"
    )


def newest_name(trainer: Any) -> str | None:
    found = trainer.checkpoints.found()
    return found[-1].name if found else None


class Told:
    """A row of the trainer: to `metrics.jsonl`, and to the terminal with the time left."""

    SHOWN = (
        "loss",
        "implicit_acc",
        "winner_error_gap",
        "loser_error_gap",
        "eval_reward",
        "eval_implicit_acc",
    )

    def __init__(self, log: Any, made: Run, trainer: Any) -> None:
        import time

        self.log, self.total, self.trainer = log, made.train.max_steps, trainer
        self.limit, self.warned = made.run.max_seconds, False
        self.clock, self.first = time.monotonic, None

    def __call__(self, row: dict[str, float]) -> None:
        from recipes.terminal import remark, spell_seconds

        self.log.write(row)
        step, now = int(row["step"]), self.clock()
        if self.first is None:
            self.first = (step, now)
        told = "  ".join(f"{name} {row[name]:.4g}" for name in self.SHOWN if name in row)
        pace = (
            (now - self.first[1]) / max(1, step - self.first[0])
            if step > self.first[0]
            else row["seconds"] / max(step, 1)
        )
        left = pace * (self.total - step)
        if self.limit is not None:
            left = min(left, max(0.0, self.limit - row["seconds"]))
        remark(f"step {step}/{self.total}  {told}  {pace:.2f} s a step, {spell_seconds(left)} left")
        if row.get("displacement") and not self.warned:
            self.warned = True
            remark(
                "winner and loser both fit worse than under the reference, and have for a while: the loss falls because the loser's error grows "
                "faster (likelihood displacement). Take sdpo or rpo, a larger beta, a lower learning rate, or stop earlier."
            )


def dry_run(made: Run, pairs: Sequence[Any]) -> int:
    """Print the resolved configuration and the first pair; load no model."""
    from recipes.terminal import say

    say(json.dumps(made.flat, indent=1, default=str))
    held = held_out_index(pairs, made.data.validation_share)
    say(
        f"{len(pairs) - len(held)} pairs for training, {len(held)} held out; reference: {made.reference}; the first pair:"
    )
    first = pairs[0]
    said = {
        k: getattr(first, k)
        for k in ("id", "prompt", "prompt_rejected", "score_chosen", "score_rejected", "prob_chosen")
    }
    say(json.dumps({k: v for k, v in said.items() if v is not None}, ensure_ascii=False))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    from recipes.launch import spread
    from recipes.train import entry

    spread()
    return entry("diffusion_pref", argv)


if __name__ == "__main__":
    import sys

    sys.exit(main())
