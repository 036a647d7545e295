"""GRPO of a layout model on the dense rule reward of `rewards.layout` (arXiv:2402.03300; TRL's GRPOTrainer).

    rewright train layout/grpo/rooms_cpu --base_model runs/layout/dpo2/layout_lm
    rewright train layout/grpo/smoke               two steps of a tiny one
    accelerate launch -m recipes.layout_grpo --config layout/grpo/qwen2.5-7b_8x80gb

Requests are drawn from the synthesiser's train split, each for a whole room and met once; a group is several answers to one of them,
sampled freely, without the schema that holds an answer when a room is generated: a text that cannot be read earns 0. The synthesiser's own
room for the request says how many objects are expected, and is seen by the reward alone. The parts of the reward are logged as
`layout/collision`, `layout/in_bounds` and so on; of a part that falls while the reward rises, beware.

As in DPO the model furnishes validation rooms at every evaluation, and the checkpoint with the fewest hard faults is the result, which may
be the model as it was. Resuming: the requests are functions of the seed and their number, and one optimizer step (or more) a generation is
a boundary to resume at, where the checkpoint holds the sampler's state.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.configuration import ConfigError, parse_arguments, resolved
from recipes.layout_sft import DATA_LICENCE, RESULT, licence, load, resolve, save

PARTS = "layout/"  # of the reward, in metrics.jsonl


def run(argv: Sequence[str]) -> int:
    """Parse → record → requests → model → train → save. Returns the exit code."""
    from trl import GRPOConfig

    from recipes.arguments import LayoutModelArguments, RunArguments
    from recipes.layout_grpo_arguments import LayoutGrpoArguments
    from recipes.policy import bf16_is_fast

    classes = (RunArguments, LayoutModelArguments, LayoutGrpoArguments, GRPOConfig)
    run_args, model_args, data, config = parse_arguments(classes, argv)
    if model_args.fast_bf16 and not config.bf16 and bf16_is_fast():
        run_args, model_args, data, config = parse_arguments(classes, [*argv, "--bf16", "true"])
    check(model_args, data, config)
    if run_args.dry_run:
        return dry_run(run_args, model_args, data, config)
    return train(run_args, model_args, data, config)


def train(run_args: Any, model_args: Any, data: Any, config: Any) -> int:
    from datasets import Dataset

    from recipes.callbacks import Metrics, Progress, TimeLimit
    from recipes.layout_dpo import no_bar, watch_of, watched
    from recipes.layout_grpo_trainer import RoomTrainer
    from recipes.layout_watch import badnesses
    from recipes.licences import require_commercial
    from recipes.policy import quiet
    from recipes.resume import SFT_MAY_CHANGE, already_finished, check_same_run, newest_checkpoint
    from recipes.rewriter_grpo import without_progress_bar
    from recipes.run_record import MetricsLog, RunRecord, make_output, sha256_rows
    from recipes.terminal import remark
    from rewards.layout import LayoutReward

    quiet()
    output = make_output(config.output_dir)
    settings = resolved((run_args, model_args, data, config))
    reward = LayoutReward()
    found = {"model": licence(model_args), "data": DATA_LICENCE, "reward": reward.licence}
    if run_args.commercial_only:
        require_commercial(found)
    tokenizer, model = policy(model_args, config)
    rows = requests(tokenizer, data, config)
    inputs = {"rows": sha256_rows(rows), "reward": reward.fingerprint} | weights_of(model_args)
    if not run_args.fresh and already_finished(output, settings, inputs, f"{RESULT}/config.json"):
        remark(f"{output} is finished: nothing to do (--fresh starts over)")
        return 0
    checkpoint = newest_checkpoint(output, fresh=run_args.fresh)
    if checkpoint is not None:
        check_same_run(output, settings, SFT_MAY_CHANGE, inputs)
    seeds = {"run": config.seed, "data": data.rows_seed}
    entry = {"source": "layout.synthesis", "requests": len(rows)}
    record = RunRecord(output, "layout_grpo", settings, seeds, found, [entry], {}, inputs)
    record.start(str(checkpoint) if checkpoint else None)
    if checkpoint is not None:
        remark(f"going on from {checkpoint}")

    try:
        remark(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M weights, {len(rows)} requests")
        settle(config, data, checkpoint is None)
        metrics = Metrics(MetricsLog(output))
        limit = TimeLimit(metrics, run_args.max_seconds)
        with no_bar():
            trainer = RoomTrainer(
                model=model,
                reward_funcs=[reward],
                args=config,
                train_dataset=Dataset.from_list(rows),
                # The watch draws its own rooms; that there is a set tells the trainer that there are evaluations.
                eval_dataset=Dataset.from_list(rows[:1]) if data.watch_rooms else None,
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
        (_, best), place = policy(model_args, config), 0
    folder = output / RESULT
    save(best, tokenizer, folder)
    summary = {
        "steps": trainer.state.global_step,
        "best_step": place,
        "requests": len(rows),
        "seconds": round(MetricsLog(output).seconds(), 1),
        **tenths(MetricsLog(output).rows()),
        **watched(trainer.state.log_history, place),
    }
    part = output / "summary.part"
    part.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    os.replace(part, output / "summary.json")
    record.finish("finished", model=str(folder), **summary)
    remark(f"wrote {folder}")
    return 0


def policy(model_args: Any, config: Any) -> tuple[Any, Any]:
    """(tokenizer, model to train)."""
    if model_args.base_model != "new":
        return load(model_args, config)
    from recipes.layout_model import new_model
    from recipes.layout_tokenizer import build

    tokenizer = build()
    return tokenizer, new_model(tokenizer, model_args, config.max_completion_length, config.seed)


def requests(tokenizer: Any, data: Any, config: Any) -> list[dict[str, Any]]:
    """One row a group: the prompt as the model sees it and, for the reward, its target as JSON.

    Raises ConfigError where the synthesiser's own answer would be cut, or prompt and answer are more than vLLM has room for.
    """
    from recipes.layout_rows import prompted, row
    from recipes.rewriter_grpo import prompts_needed
    from rewards.layout import Target

    most, room = config.max_completion_length, config.vllm_max_model_length if config.use_vllm else None
    found = []
    for i in range(prompts_needed(config)):
        drawn = row(data.rows_seed, "train", i, plan_share=data.plan_share, kinds={"whole": 1.0})
        text = prompted(tokenizer, drawn.prompt)
        before, after = (
            len(tokenizer(part, add_special_tokens=False)["input_ids"]) for part in (text, drawn.completion)
        )
        if after + 1 > most:  # the end is a token too
            raise ConfigError(
                f"max_completion_length: {most} tokens would cut the answer to request {i}, which has {after + 1}; give more"
            )
        if room is not None and before + most > room:
            raise ConfigError(
                f"vllm_max_model_length: {room} tokens have no room for request {i} of {before} and max_completion_length {most}"
            )
        target = Target(room=drawn.scene.room, asked=drawn.instruction.spec, objects=len(drawn.scene.objects))
        found.append({"prompt": text, "target": target.model_dump_json()})
    return found


def weights_of(model_args: Any) -> dict[str, str]:
    """Hash of the model where it is a folder."""
    from recipes.arms import folder_hash

    folder = Path(resolve(model_args.base_model))
    return {"model": folder_hash(folder)} if folder.is_dir() else {}


def settle(config: Any, data: Any, first: bool) -> None:
    """What the recipe needs of the trainer, whatever the configuration says of the rest."""
    config.disable_tqdm = True
    config.shuffle_dataset = False  # requests are random already, and in the order of the run
    if data.watch_rooms:
        config.eval_on_start = first  # the start is what everything is compared with
        config.metric_for_best_model, config.greater_is_better = "badness", False
        config.load_best_model_at_end = True


def tenths(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means of the reward, its parts and the length over the first and the last tenth of the steps."""
    steps = [row for row in rows if "reward" in row]
    tenth = max(1, len(steps) // 10)

    def means(part: list[dict[str, Any]]) -> dict[str, float]:
        names = {
            k
            for row in part
            for k in row
            if k == "reward" or k.startswith(PARTS) or k == "completions/mean_length"
        }
        values = {name: [row[name] for row in part if row.get(name) is not None] for name in sorted(names)}
        return {name: round(sum(held) / len(held), 5) for name, held in values.items() if held}

    return {"first": means(steps[:tenth]), "last": means(steps[-tenth:])}


def check(model_args: Any, data: Any, config: Any) -> None:
    """What would only show late. Raises ConfigError."""
    if not model_args.base_model:
        raise ConfigError(
            "base_model: missing; give layout (embedded), the layout_lm folder of a run, or a hub id"
        )
    if config.beta and model_args.base_model == "new":
        raise ConfigError(
            f"beta: {config.beta:g} holds the model to what it was, which is noise for new; give 0"
        )
    if config.max_steps < 1:
        raise ConfigError("max_steps: missing; a GRPO run needs its number of optimizer steps")
    if model_args.use_muon:
        raise ConfigError("use_muon: rewards are trained with AdamW; give false")
    if config.use_vllm and config.use_cpu:
        raise ConfigError(
            "use_vllm: on a CPU vLLM packs its weights, and new ones of TRL's do not arrive; give --use_vllm false"
        )
    reuse = config.steps_per_generation * config.num_iterations
    if config.save_strategy != "no" and (config.save_steps * config.gradient_accumulation_steps) % reuse:
        raise ConfigError(
            f"save_steps: {config.save_steps} steps end inside a generation batch (a batch is used for "
            f"{reuse / config.gradient_accumulation_steps:g} steps); a checkpoint there would not resume to the same run"
        )
    if data.watch_rooms:
        if config.eval_strategy == "no":
            raise ConfigError("watch_rooms: needs evaluations; give eval_strategy and eval_steps, or 0")
        if config.save_strategy != config.eval_strategy or config.save_steps % config.eval_steps:
            raise ConfigError(
                f"save_steps: {config.save_steps} is no multiple of eval_steps {config.eval_steps}: the best checkpoint would not be kept"
            )
    elif config.eval_strategy != "no":
        raise ConfigError("eval_strategy: an evaluation furnishes watched rooms; give watch_rooms, or no")


def dry_run(run_args: Any, model_args: Any, data: Any, config: Any) -> int:
    """Print the resolved configuration and the first request."""
    from recipes.layout_rows import row
    from recipes.rewriter_grpo import prompts_needed
    from recipes.terminal import say

    say(json.dumps(resolved((run_args, model_args, data, config)), indent=1, default=str))
    first = row(data.rows_seed, "train", 0, plan_share=data.plan_share, kinds={"whole": 1.0})
    say(
        f"{prompts_needed(config)} requests, {config.num_generations} answers each; the first, of {len(first.scene.objects)} objects:"
    )
    say(first.prompt)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    from recipes.train import entry

    return entry("layout_grpo", argv)


if __name__ == "__main__":
    import sys

    sys.exit(main())
