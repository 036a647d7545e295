"""Supervised fine-tuning of a prompt rewriter on (user prompt, rewrite) pairs, to the plateau of the validation loss.

    rewright data sft --output runs/data/sft.jsonl
    rewright train rewriter/sft/shapes_cpu --pairs runs/data/sft.jsonl

TRL's SFTTrainer on conversational prompt-completion rows: the loss is on the rewrite only, in float32 on a CPU, or under autocast to
bfloat16 with `fast_bf16`. The pairs are made as PromptEnhancer makes them (arXiv:2509.04545): user prompts are simulated from captions,
and a pair is kept only where the images of the rewrite pass the judge more often than those of the prompt.

With `initial_adapter` training goes on from a rewriter that exists ("SFT continued").

Resuming is bitwise: data order and adapter are functions of the seed, checkpoints hold optimizer, scheduler and random states, and the
plateau is read from the history in the checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.configuration import ConfigError, parse_arguments, resolved
from rewriter.datasets import PromptRow, to_sft_rows
from rewriter.schema import Rewrite
from rewriter.templates import Template


def run(argv: Sequence[str]) -> int:
    """Parse → record → data → model → train → save. Returns the exit code."""
    from trl import SFTConfig

    from recipes.arguments import RewriterArguments, RunArguments, SftArguments
    from recipes.policy import bf16_is_fast

    classes = (RunArguments, RewriterArguments, SftArguments, SFTConfig)
    run_args, model_args, sft, config = parse_arguments(classes, argv)
    if model_args.fast_bf16 and not config.bf16 and bf16_is_fast():
        run_args, model_args, sft, config = parse_arguments(classes, [*argv, "--bf16", "true"])
    check(sft, config)
    pairs = read_pairs(sft.pairs, sft.max_pairs)
    if run_args.dry_run:
        return dry_run(run_args, model_args, sft, config, pairs)
    return train(run_args, model_args, sft, config, pairs)


def train(
    run_args: Any, model_args: Any, sft: Any, config: Any, pairs: list[tuple[PromptRow, Rewrite]]
) -> int:
    from datasets import Dataset
    from trl import SFTTrainer

    from recipes.arms import folder_hash
    from recipes.callbacks import Metrics, Plateau, Progress, TimeLimit, eval_losses, plateau
    from recipes.licences import require_commercial
    from recipes.policy import (
        base_licence,
        head_at_labels,
        load_policy,
        load_tokenizer,
        quiet,
        speed_up_bf16,
        takes_block_masks,
        writing,
    )
    from recipes.prompt_rows import licence_of_rows
    from recipes.resume import SFT_MAY_CHANGE, already_finished, check_same_run, newest_checkpoint, state_of
    from recipes.rewriter_grpo import without_progress_bar
    from recipes.run_record import MetricsLog, RunRecord, make_output, sha256_of
    from recipes.saved_rewriter import save_rewriter
    from recipes.sft_packing import PackedSFTTrainer, pack_rows
    from recipes.terminal import remark

    quiet()
    output = make_output(config.output_dir)
    settings = resolved((run_args, model_args, sft, config))
    found = {"model": base_licence(model_args), "data": licence_of_rows([row for row, _ in pairs])}
    if run_args.commercial_only:
        require_commercial(found)
    template, _ = writing(model_args)
    inputs = {"pairs": sha256_of(sft.pairs), "template": template.fingerprint}
    if sft.initial_adapter is not None:
        inputs["initial_adapter"] = folder_hash(Path(sft.initial_adapter))
    if not run_args.fresh and already_finished(output, settings, inputs):
        remark(f"{output} is finished: nothing to do (--fresh starts over)")
        return 0
    checkpoint = newest_checkpoint(output, fresh=run_args.fresh)
    if checkpoint is not None:
        check_same_run(output, settings, SFT_MAY_CHANGE, inputs)
    kept, held_out = split_pairs(pairs, sft.validation_share)
    dataset = {
        "source": sft.pairs,
        "sha256": inputs["pairs"],
        "train": len(kept),
        "validation": len(held_out),
    }
    record = RunRecord(
        output,
        "rewriter_sft",
        settings,
        {"run": config.seed},
        found,
        [dataset],
        {"template": template.fingerprint},
        inputs,
    )
    record.start(str(checkpoint) if checkpoint else None)
    if checkpoint is not None:
        remark(f"going on from {checkpoint}")

    try:
        tokenizer = load_tokenizer(model_args)
        config.disable_tqdm = True
        metrics = Metrics(MetricsLog(output))
        limit = TimeLimit(metrics, run_args.max_seconds)
        model = load_policy(model_args, sft.initial_adapter, config.seed)
        if config.bf16 and config.use_cpu:
            speed_up_bf16(model)
        if sft.pack_batches and not takes_block_masks(model.get_base_model()):
            raise ConfigError(
                f"pack_batches: the attention of {model_args.base_model!r} does not take a mask of ours; give false"
            )
        trainer = (PackedSFTTrainer if sft.pack_batches else SFTTrainer)(
            model=model,
            data_collator=pack_rows if sft.pack_batches else None,
            args=config,
            train_dataset=Dataset.from_list(rows_of(kept, template)),
            eval_dataset=Dataset.from_list(rows_of(held_out, template)) if held_out else None,
            processing_class=tokenizer,
            callbacks=[
                metrics,
                Progress(limit=limit),
                Plateau(sft.plateau_patience, sft.plateau_delta),
                limit,
            ],
        )
        without_progress_bar(trainer)
        state = state_of(checkpoint) if checkpoint is not None else None
        over = state is not None and (
            state["global_step"] >= state["max_steps"]
            or plateau(eval_losses(state["log_history"]), sft.plateau_patience, sft.plateau_delta)
        )
        if state is not None and over:  # killed between the last checkpoint and the result
            trainer._load_from_checkpoint(state.get("best_model_checkpoint") or str(checkpoint))
        else:
            with head_at_labels():
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except BaseException as error:
        record.finish(
            "interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
            error=f"{type(error).__name__}: {error}",
        )
        raise
    history = state["log_history"] if state is not None and over else trainer.state.log_history
    steps = state["global_step"] if state is not None and over else trainer.state.global_step
    losses = eval_losses(history)
    facts = {
        "Recipe": "rewriter_sft" + (f", from {sft.initial_adapter}" if sft.initial_adapter else ""),
        "Pairs": f"{len(kept)} for training, {len(held_out)} for validation ({found['data']})",
        "Steps": f"{steps}, {config.per_device_train_batch_size * config.gradient_accumulation_steps} pairs each",
    }
    if losses:
        facts["Validation loss"] = f"{min(losses):.4f} nats a token (first evaluation {losses[0]:.4f})"
    folder = save_rewriter(
        trainer.accelerator.unwrap_model(trainer.model),
        tokenizer,
        output,
        model_args,
        licence=found["model"],
        max_new_tokens=room_for(tokenizer, template, pairs),
        facts=facts,
    )
    summary = {
        "steps": steps,
        "seconds": round(MetricsLog(output).seconds(), 1),
        "pairs": len(kept),
        "eval_loss": min(losses) if losses else None,
    }
    part = output / "summary.part"
    part.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    os.replace(part, output / "summary.json")
    record.finish("finished", rewriter=str(folder), **summary)
    remark(f"wrote {folder}")
    return 0


def read_pairs(path: str, limit: int | None = None) -> list[tuple[PromptRow, Rewrite]]:
    """(row, rewrite) of a JSONL file. Raises ConfigError with the line that is wrong."""
    if not path:
        raise ConfigError(
            'pairs: missing; give JSON lines of {"prompt", "rewrite"}, as `rewright data sft` writes them'
        )
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"pairs: {path} does not exist; make it with `rewright data sft --output {path}`")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"pairs: {path} is not a text file (byte {error.start} is not UTF-8)") from error
    found = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: JSON strings may hold U+2028
        if not line.strip():
            continue
        where = f"pairs: {path}, line {number}"
        try:
            content = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{where} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise ConfigError(f'{where}: expected {{"prompt", "rewrite"}}, got {line[:60]!r}')
        for key in ("prompt", "rewrite"):
            if not isinstance(content.get(key), str) or not content[key].strip():
                raise ConfigError(
                    f"{where}: {key!r} must be a text that is not empty, got {content.get(key)!r}"
                )
        if not isinstance(content.get("think"), str | None):
            raise ConfigError(f"{where}: 'think' must be a text or absent, got {content['think']!r}")
        row = PromptRow(
            str(content.get("id", number)),
            content["prompt"],
            licence=str(content.get("licence") or "unknown"),
            source=path,
        )
        found.append((row, Rewrite(prompt=content["rewrite"], think=content.get("think"))))
        if limit is not None and len(found) == limit:
            break
    if not found:
        raise ConfigError(f"pairs: {path} holds no pair")
    return found


def split_pairs(pairs: Sequence[tuple[PromptRow, Rewrite]], share: float) -> tuple[list[Any], list[Any]]:
    """(training, validation), by a hash of the rewrite: the same target is never on both sides."""

    def place(rewrite: Rewrite) -> float:
        return int.from_bytes(hashlib.sha256(rewrite.prompt.encode()).digest()[:4], "big") / 2**32

    train = [pair for pair in pairs if place(pair[1]) >= share]
    held_out = [pair for pair in pairs if place(pair[1]) < share]
    if not train or (share and not held_out):
        raise ConfigError(
            f"pairs: {len(pairs)} pairs are too few to hold out {share:.0%} of them for validation"
        )
    return train, held_out


def rows_of(pairs: list[tuple[PromptRow, Rewrite]], template: Template) -> list[dict[str, Any]]:
    """What SFTTrainer wants: prompt and completion. Raises ConfigError for a rewrite the template cannot write."""
    try:
        return [
            {"prompt": row["prompt"], "completion": row["completion"]} for row in to_sft_rows(pairs, template)
        ]
    except ValueError as error:
        raise ConfigError(f"pairs: {error}") from error


def room_for(tokenizer: Any, template: Template, pairs: Sequence[tuple[PromptRow, Rewrite]]) -> int:
    """Tokens a rewrite may take in serving: half as many again as the longest completion there was, and at least 64."""
    written = [template.completion(rewrite) for _, rewrite in pairs]
    longest = max(len(ids) for ids in tokenizer(written, add_special_tokens=False)["input_ids"])
    return max(64, longest + longest // 2)


def check(sft: Any, config: Any) -> None:
    """What would only show at the end. Raises ConfigError."""
    if sft.initial_adapter is not None and not (Path(sft.initial_adapter) / "adapter_config.json").is_file():
        raise ConfigError(f"initial_adapter: {sft.initial_adapter!r} holds no adapter (adapter_config.json)")
    if sft.plateau_patience and config.eval_strategy == "no":
        raise ConfigError(
            "plateau_patience: needs evaluations; give eval_strategy: steps and eval_steps, or plateau_patience: 0"
        )


def dry_run(
    run_args: Any, model_args: Any, sft: Any, config: Any, pairs: list[tuple[PromptRow, Rewrite]]
) -> int:
    """Print the resolved configuration, the size of the data and the first pair as the model sees it."""
    from recipes.policy import load_tokenizer, writing
    from recipes.terminal import say

    template, _ = writing(model_args)
    kept, held_out = split_pairs(pairs, sft.validation_share)
    say(json.dumps(resolved((run_args, model_args, sft, config)), indent=1, default=str))
    say(f"{len(kept)} pairs for training, {len(held_out)} for validation; the first:")
    row, rewrite = kept[0]
    try:
        say(template.prompt_text(load_tokenizer(model_args), row.prompt) + template.completion(rewrite))
    except ConfigError as error:
        say(
            f"(the base model {model_args.base_model!r} is not on this machine, so the rendered prompt is not shown: {str(error).splitlines()[0]})"
        )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    from recipes.train import entry

    return entry("rewriter_sft", argv)


if __name__ == "__main__":
    import sys

    sys.exit(main())
