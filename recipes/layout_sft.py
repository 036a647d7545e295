"""Supervised fine-tuning of a layout model: room and request in, plan and furniture out.

    rewright train layout/sft/rooms_cpu           the embedded model, from scratch
    rewright train layout/sft/smoke               three steps of a tiny one

TRL's SFTTrainer on rows that are drawn while it trains (`recipes.layout_rows`): no room is seen twice, so the training loss is a
held-out loss of the same wording; the validation loss is on rooms and wordings that training never sees. The loss is on the answer only,
and a row that does not fit stops the run. Resuming is bitwise: rows are functions of the seed and their number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.configuration import ConfigError, parse_arguments, resolved

RESULT = "layout_lm"
DATA_LICENCE = "Apache-2.0"  # the synthesiser's rooms are this project's


def run(argv: Sequence[str]) -> int:
    """Parse → record → data → model → train → save. Returns the exit code."""
    from trl import SFTConfig

    from recipes.arguments import LayoutDataArguments, LayoutModelArguments, RunArguments
    from recipes.policy import bf16_is_fast

    classes = (RunArguments, LayoutModelArguments, LayoutDataArguments, SFTConfig)
    run_args, model_args, data, config = parse_arguments(classes, argv)
    if model_args.fast_bf16 and not config.bf16 and bf16_is_fast():
        run_args, model_args, data, config = parse_arguments(classes, [*argv, "--bf16", "true"])
    check(model_args, data, config)
    if run_args.dry_run:
        return dry_run(run_args, model_args, data, config)
    return train(run_args, model_args, data, config)


def train(run_args: Any, model_args: Any, data: Any, config: Any) -> int:
    from trl import SFTTrainer

    from recipes.callbacks import Metrics, Plateau, Progress, TimeLimit, eval_losses
    from recipes.layout_model import muon
    from recipes.layout_rows import RowReader, dataset
    from recipes.layout_tokenizer import numbers_of
    from recipes.licences import require_commercial
    from recipes.policy import head_at_labels, quiet
    from recipes.resume import SFT_MAY_CHANGE, already_finished, check_same_run, newest_checkpoint
    from recipes.rewriter_grpo import without_progress_bar
    from recipes.run_record import MetricsLog, RunRecord, make_output
    from recipes.terminal import remark

    quiet()
    output = make_output(config.output_dir)
    settings = resolved((run_args, model_args, data, config))
    found = {"model": licence(model_args), "data": DATA_LICENCE}
    if run_args.commercial_only:
        require_commercial(found)
    inputs = {"rows": rows_hash(data)}
    if not run_args.fresh and already_finished(output, settings, inputs, f"{RESULT}/config.json"):
        remark(f"{output} is finished: nothing to do (--fresh starts over)")
        return 0
    checkpoint = newest_checkpoint(output, fresh=run_args.fresh)
    if checkpoint is not None:
        check_same_run(output, settings, SFT_MAY_CHANGE, inputs)
    rooms = {"source": "layout.synthesis", "train": data.rooms, "validation": data.validation_rooms}
    record = RunRecord(
        output,
        "layout_sft",
        settings,
        {"run": config.seed, "data": data.rows_seed},
        found,
        [rooms],
        {},
        inputs,
    )
    record.start(str(checkpoint) if checkpoint else None)
    if checkpoint is not None:
        remark(f"going on from {checkpoint}")

    try:
        tokenizer, model = load(model_args, config)
        remark(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M weights, {len(tokenizer)} tokens")
        rows = {"tokenizer": tokenizer, "seed": data.rows_seed, "plan_share": data.plan_share}
        rows["max_length"] = config.max_length
        read = RowReader(split="train", count=data.rooms, batch=config.per_device_train_batch_size, **rows)
        held_out = RowReader(
            split="validation", count=data.validation_rooms, batch=config.per_device_eval_batch_size, **rows
        )
        settle(config)
        metrics = Metrics(MetricsLog(output))
        limit = TimeLimit(metrics, run_args.max_seconds)
        named = list(model.named_parameters())
        numbers = numbers_of(tokenizer)
        lr, decay = config.learning_rate, config.weight_decay
        optimizer = muon(named, lr, decay, numbers) if model_args.use_muon else None
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=dataset(read),
            eval_dataset=dataset(held_out) if data.validation_rooms else None,
            processing_class=tokenizer,
            optimizers=(optimizer, None),
            callbacks=[
                metrics,
                Progress(limit=limit),
                Plateau(data.plateau_patience, data.plateau_delta),
                limit,
            ],
        )
        without_progress_bar(trainer)
        with head_at_labels():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except BaseException as error:
        record.finish(
            "interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
            error=f"{type(error).__name__}: {error}",
        )
        raise
    folder = output / RESULT
    save(trainer.accelerator.unwrap_model(trainer.model), tokenizer, folder)
    a_step = config.per_device_train_batch_size * config.gradient_accumulation_steps * config.world_size
    losses = eval_losses(trainer.state.log_history)
    summary = {
        "steps": trainer.state.global_step,
        "seconds": round(MetricsLog(output).seconds(), 1),
        "rooms": min(data.rooms, trainer.state.global_step * a_step),
        "eval_loss": losses[-1] if losses else None,
    }
    part = output / "summary.part"
    part.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    os.replace(part, output / "summary.json")
    record.finish("finished", model=str(folder), **summary)
    remark(f"wrote {folder}")
    return 0


def load(args: Any, config: Any) -> tuple[Any, Any]:
    """(tokenizer, model to train). Raises ConfigError naming the base model that cannot be loaded."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from recipes.layout_model import new_model
    from recipes.layout_tokenizer import build

    if args.base_model == "new":
        tokenizer = build()
        model = new_model(tokenizer, args, config.max_length, config.seed)
    else:
        try:
            tokenizer = AutoTokenizer.from_pretrained(resolve(args.base_model))
            model = AutoModelForCausalLM.from_pretrained(
                resolve(args.base_model), dtype=getattr(torch, args.dtype)
            )
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"base_model: {args.base_model!r} cannot be loaded: {str(error).splitlines()[0]} "
                f"Give new, layout (embedded), a folder, or a hub id with HF_HUB_OFFLINE=0"
            ) from error
    if config.bf16 and config.use_cpu:
        # On a CPU the fused attention loses in its backward pass what it gains forwards: a step of 200 tokens a row takes 1.2 times as long.
        model.set_attn_implementation("eager")
    return tokenizer, with_adapter(model, args, config.seed) if args.lora_r else model


def with_adapter(model: Any, args: Any, seed: int) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    targets: Any = args.lora_target_modules
    torch.manual_seed(seed)  # the adapter's first matrix is random
    return get_peft_model(
        model,
        LoraConfig(
            r=args.lora_r,
            lora_alpha=args.lora_alpha,
            target_modules="all-linear" if targets == ["all-linear"] else targets,
            task_type="CAUSAL_LM",
        ),
    )


def resolve(name: str) -> str:
    """A folder or hub id; "layout" is the embedded model."""
    from recipes.layout_backends import EMBEDDED

    return str(EMBEDDED) if name == "layout" else name


def licence(args: Any) -> str:
    """SPDX identifier of the base model: what the arguments say, else what is known, else "unknown"."""
    from rewriter.models import licence_of

    if args.base_model in ("new", "layout"):
        return DATA_LICENCE
    return args.model_licence or licence_of(args.base_model)


def rows_hash(data: Any, sample: int = 8) -> str:
    """Of the first rows: another synthesiser or another wording is another run."""
    from recipes.layout_rows import row
    from recipes.run_record import sha256_rows

    drawn = [row(data.rows_seed, "train", i, plan_share=data.plan_share) for i in range(sample)]
    return sha256_rows([{"prompt": r.prompt, "completion": r.completion} for r in drawn])


def settle(config: Any) -> None:
    """What rows that are drawn and encoded on the way need of the trainer."""
    config.disable_tqdm = True
    config.remove_unused_columns = False
    config.dataset_kwargs = {"skip_prepare_dataset": True}
    config.train_sampling_strategy = "sequential"  # rows are random already; neighbours are of like length


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """The whole model, an adapter merged into it, with its tokenizer: what the zoo holds and every backend loads. Half precision."""
    import torch
    from peft import PeftModel

    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    if model.dtype == torch.float32:
        model = model.to(torch.float16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def check(model_args: Any, data: Any, config: Any) -> None:
    """What would only show late. Raises ConfigError."""
    if not model_args.base_model:
        raise ConfigError("base_model: missing; give new, layout (embedded), a folder or a hub id")
    if config.packing:
        raise ConfigError("packing: rows are sorted by length instead and stay whole; give false")
    if config.max_length is None:
        raise ConfigError("max_length: missing; give the longest row in tokens, it is checked and never cut")
    if data.plateau_patience and (config.eval_strategy == "no" or not data.validation_rooms):
        raise ConfigError(
            "plateau_patience: needs evaluations; give eval_strategy, eval_steps and validation_rooms, or 0"
        )


def dry_run(run_args: Any, model_args: Any, data: Any, config: Any) -> int:
    """Print the resolved configuration and the first row."""
    from recipes.layout_rows import row
    from recipes.terminal import say

    say(json.dumps(resolved((run_args, model_args, data, config)), indent=1, default=str))
    first = row(data.rows_seed, "train", 0, plan_share=data.plan_share)
    say(f"{data.rooms} rooms for training, {data.validation_rooms} for validation; the first:")
    say(f"{first.prompt}\n{first.completion}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    from recipes.train import entry

    return entry("layout_sft", argv)


if __name__ == "__main__":
    import sys

    sys.exit(main())
