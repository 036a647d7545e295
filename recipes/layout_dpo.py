"""Preference training of a layout model (DPO, arXiv:2305.18290) on pairs that the validator has confirmed.

    rewright layout pairs --stage slips --own --plan-share 1 --model runs/layout/sft/layout_lm --count 5000 --output runs/layout/slips.jsonl
    rewright train layout/dpo/rooms_cpu_stage1 --base_model runs/layout/sft/layout_lm
    rewright layout pairs --stage slips --plan-share 1 --model runs/layout/dpo1/layout_lm --count 1900 --output runs/layout/pairs2.jsonl
    rewright train layout/dpo/rooms_cpu_stage2 --base_model runs/layout/dpo1/layout_lm

Further rounds are the same commands, each on the newest model, with another --seed and another output_dir.

TRL's DPOTrainer; beside the margin the likelihood of the chosen answer itself is trained (RPO, arXiv:2404.19733), or pairs that differ in one
number would lower both. The reference is the model as it was: its log-probabilities are taken once, before the first step. Nothing is cut:
a pair that does not fit stops the run before it begins. At every evaluation the model furnishes validation rooms; the checkpoint with the
fewest hard faults is the result, which may be the model as it was.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.configuration import ConfigError, parse_arguments, resolved
from recipes.layout_sft import DATA_LICENCE, RESULT, licence, load, resolve, save

LOSSES = ("sigmoid", "hinge", "ipo", "robust", "apo_zero", "apo_down", "sigmoid_norm", "sft")


def run(argv: Sequence[str]) -> int:
    """Parse → record → pairs → model → reference → train → save. Returns the exit code."""
    from trl import DPOConfig

    from recipes.arguments import LayoutModelArguments, RunArguments
    from recipes.layout_dpo_arguments import LayoutPairArguments
    from recipes.layout_pair_rows import read_pairs
    from recipes.policy import bf16_is_fast

    classes = (RunArguments, LayoutModelArguments, LayoutPairArguments, DPOConfig)
    run_args, model_args, data, config = parse_arguments(classes, argv)
    if model_args.fast_bf16 and not config.bf16 and bf16_is_fast():
        run_args, model_args, data, config = parse_arguments(classes, [*argv, "--bf16", "true"])
    check(model_args, data, config)
    rows = read_pairs(data.pairs, data.max_pairs, config.seed)
    if len(rows) <= data.validation_pairs:
        raise ConfigError(
            f"validation_pairs: {data.validation_pairs} of {len(rows)} pairs leave none to train on; give fewer, or more pairs"
        )
    if run_args.dry_run:
        return dry_run(run_args, model_args, data, config, rows)
    return train(run_args, model_args, data, config, rows)


def train(run_args: Any, model_args: Any, data: Any, config: Any, rows: list[dict[str, Any]]) -> int:
    from recipes.callbacks import Metrics, Progress, TimeLimit
    from recipes.layout_pair_rows import encode
    from recipes.layout_pair_trainer import PairTrainer
    from recipes.layout_watch import badnesses
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
    inputs = inputs_of(model_args, data)
    if not run_args.fresh and already_finished(output, settings, inputs, f"{RESULT}/config.json"):
        remark(f"{output} is finished: nothing to do (--fresh starts over)")
        return 0
    checkpoint = newest_checkpoint(output, fresh=run_args.fresh)
    if checkpoint is not None:
        check_same_run(output, settings, SFT_MAY_CHANGE, inputs)
    held_out, kept = rows[: data.validation_pairs], rows[data.validation_pairs :]
    pairs = {"source": list(data.pairs), "train": len(kept), "validation": len(held_out)}
    record = RunRecord(output, "layout_dpo", settings, {"run": config.seed}, found, [pairs], {}, inputs)
    record.start(str(checkpoint) if checkpoint else None)
    if checkpoint is not None:
        remark(f"going on from {checkpoint}")

    try:
        tokenizer, model = load(model_args, config)
        remark(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M weights, {len(kept)} pairs")
        encoded = [encode(tokenizer, row, config.max_length) for row in rows]
        reference = None
        if not model_args.lora_r and not config.precompute_ref_log_probs:
            reference = copy.deepcopy(model)
        settle(config, data, checkpoint is None)
        metrics = Metrics(MetricsLog(output))
        limit = TimeLimit(metrics, run_args.max_seconds)
        with head_at_labels(), no_bar():
            trainer = PairTrainer(
                model=model,
                ref_model=reference,
                args=config,
                train_dataset=dataset(
                    encoded[len(held_out) :], config.per_device_train_batch_size, config.seed
                ),
                eval_dataset=dataset(
                    encoded[: len(held_out)], config.per_device_eval_batch_size, config.seed
                ),
                processing_class=tokenizer,
                callbacks=[metrics, Progress(limit=limit), limit],
                watch=watch_of(tokenizer, data),
            )
            without_progress_bar(trainer)
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except BaseException as error:
        record.finish(
            "interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
            error=f"{type(error).__name__}: {error}",
        )
        raise
    badness = badnesses(trainer.state.log_history)
    best, place = trainer.accelerator.unwrap_model(trainer.model), trainer.state.best_global_step
    if badness[1:] and min(badness[1:]) >= badness[0]:
        remark("no checkpoint had fewer hard faults than the start: the result is the model as it was")
        (_, best), place = load(model_args, config), 0
    folder = output / RESULT
    save(best, tokenizer, folder)
    summary = {
        "steps": trainer.state.global_step,
        "best_step": place,
        "pairs": len(kept),
        "seconds": round(MetricsLog(output).seconds(), 1),
        **watched(trainer.state.log_history, place),
    }
    part = output / "summary.part"
    part.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    os.replace(part, output / "summary.json")
    record.finish("finished", model=str(folder), **summary)
    remark(f"wrote {folder}")
    return 0


def watched(history: Sequence[dict[str, Any]], place: int | None) -> dict[str, Any]:
    """What the answers were at the start and at the step whose weights are the result."""
    found: dict[str, Any] = {}
    for row in history:
        if "eval_badness" in row and row["step"] in (0, place):
            when = "start" if row["step"] == 0 else "best"
            found[when] = {
                k.removeprefix("eval_"): row[k]
                for k in ("eval_hard_faults", "eval_hard_rate", "eval_objects")
            }
    return found


def watch_of(tokenizer: Any, data: Any) -> Any:
    """None without rooms to watch."""
    from recipes.layout_watch import Watch

    if not data.watch_rooms:
        return None
    return Watch(
        tokenizer,
        rooms=data.watch_rooms,
        seed=data.watch_seed,
        temperature=data.watch_temperature,
        batch=data.watch_batch,
        patience=data.patience,
        least_objects=data.least_objects,
    )


def dataset(pairs: list[dict[str, list[int]]], batch: int, seed: int) -> Any:
    from datasets import Dataset

    from recipes.layout_pair_rows import arranged

    return Dataset.from_list(arranged(pairs, batch, seed))


def inputs_of(model_args: Any, data: Any) -> dict[str, str]:
    """Hashes of the pairs, and of the model where it is a folder."""
    from recipes.arms import folder_hash
    from recipes.run_record import sha256_of

    found = {f"pairs {k}": sha256_of(name) for k, name in enumerate(data.pairs)}
    folder = Path(resolve(model_args.base_model))
    return found | ({"model": folder_hash(folder)} if folder.is_dir() else {})


def settle(config: Any, data: Any, first: bool) -> None:
    """What the recipe needs of the trainer, whatever the configuration says of the rest."""
    config.disable_tqdm = True
    config.prediction_loss_only = True
    config.train_sampling_strategy = "sequential"  # pairs are shuffled already; neighbours are of like length
    if data.watch_rooms:
        config.eval_on_start = first  # the start is what everything is compared with
        config.metric_for_best_model, config.greater_is_better = "badness", False
        config.load_best_model_at_end = True


@contextmanager
def no_bar() -> Any:
    """Inside, the bar of the reference's log-probabilities is off, as the libraries' other bars are."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before


def check(model_args: Any, data: Any, config: Any) -> None:
    """What would only show late. Raises ConfigError."""
    if not model_args.base_model:
        raise ConfigError(
            "base_model: missing; give layout (embedded), the layout_lm folder of a run, or a hub id"
        )
    if config.max_length is None:
        raise ConfigError("max_length: missing; give the longest pair in tokens, it is checked and never cut")
    if model_args.use_muon:
        raise ConfigError("use_muon: preferences are trained with AdamW; give false")
    unknown = [name for name in config.loss_type if name not in LOSSES]
    if unknown:
        raise ConfigError(f"loss_type: {', '.join(unknown)}: not one of {', '.join(LOSSES)}")
    if data.watch_rooms:
        if config.eval_strategy == "no":
            raise ConfigError("watch_rooms: needs evaluations; give eval_strategy and eval_steps, or 0")
        if config.save_strategy != config.eval_strategy or config.save_steps % config.eval_steps:
            raise ConfigError(
                f"save_steps: {config.save_steps} is no multiple of eval_steps {config.eval_steps}: the best checkpoint would not be kept"
            )


def dry_run(run_args: Any, model_args: Any, data: Any, config: Any, rows: list[dict[str, Any]]) -> int:
    """Print the resolved configuration and the first pair."""
    from recipes.terminal import say

    say(json.dumps(resolved((run_args, model_args, data, config)), indent=1, default=str))
    say(
        f"{len(rows) - data.validation_pairs} pairs for training, {data.validation_pairs} for validation; the first:"
    )
    say("\n".join([rows[0]["prompt"], f"chosen {rows[0]['chosen']}", f"rejected {rows[0]['rejected']}"]))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    from recipes.train import entry

    return entry("layout_dpo", argv)


if __name__ == "__main__":
    import sys

    sys.exit(main())
