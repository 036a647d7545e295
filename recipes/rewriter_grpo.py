"""GRPO of a prompt rewriter on the rewards of generated images (arXiv:2402.03300; TRL's GRPOTrainer, vLLM in the same process).

    rewright train rewriter/grpo/shapes_cpu --adapter runs/sft/rewriter
    python -m recipes.rewriter_grpo --config rewriter/grpo/shapes_cpu --adapter runs/sft/rewriter
    accelerate launch -m recipes.rewriter_grpo --config rewriter/grpo/qwen3-0.6b_sdxl_1x80gb

The policy sees user prompts and rewards, never a caption. A reward is the mean over M images of one rewrite, drawn with seeds that the
whole group shares and judged against the *original* prompt. The un-rewritten prompts are scored on the same seeds and logged beside
(`image_reward/baseline`, `image_reward/gain`).

How advantages are made, and why the packaged configurations differ from TRL's defaults:

- `scale_rewards: batch` (TRL: group). With M = 2 images a group's spread is partly the noise of the seeds. Dividing by the group's own
  standard deviation blows up the groups where all rewrites are nearly alike, that is, where the difference is noise; one deviation for
  the batch keeps their signal small (arXiv:2508.08221).
- `loss_type: dapo` (TRL's default): the sum over tokens divided by all tokens of the batch. Dividing each completion by its own length
  would pay for long wrong rewrites and short right ones (arXiv:2503.14476, arXiv:2503.20783).
- one reward function, so there is nothing to aggregate between functions: image terms are composed inside it, where a term that failed
  leaves no number. Across TRL functions a None counts as 0, which looks like a verdict.
- `beta: 0` (TRL's default): the guards and the exact target keep the policy honest, and no reference model has to be run. With beta
  above 0 the reference is the SFT adapter (TRL keeps a frozen copy of the adapter that was loaded), not the bare base model.
- one optimizer step per generation: the policy is on its own samples, and every step is a boundary to resume at.

Resuming: prompts, roll-out seeds and image seeds are functions of (seed, step). A resumed run differs from an uninterrupted one by float32
rounding in vLLM at most. Stated and tested tolerance: 1e-6 on every adapter weight, over three steps with a kill -9 in the second.

The update is TRL's arithmetic with less of it (`grpo_trainer.py`), the roll-outs are vLLM's with our seeds (`vllm_engine.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.configuration import ConfigError, parse_arguments, resolved

if TYPE_CHECKING:
    from rewriter.dialects import Dialect
    from rewriter.templates import Template

# What a run that goes on may be given anew: its length, its limits, what it logs.
MAY_CHANGE = frozenset(
    [
        "cache",
        "call_timeout_s",
        "canary_every",
        "canary_tolerance",
        "commercial_only",
        "disable_tqdm",
        "dry_run",
        "fresh",
        "image_batch",
        "log_baseline",
        "logging_dir",
        "logging_steps",
        "max_seconds",
        "max_steps",
        "output_dir",
        "report_to",
        "reward_deadline_s",
        "run_name",
        "save_steps",
        "save_total_limit",
        "vllm_gpu_memory_utilization",
    ]
)


def run(argv: Sequence[str]) -> int:
    """Parse → record → data → model → rewards → train → save. Returns the exit code."""
    from trl import GRPOConfig

    from recipes.arguments import GrpoArguments, RewriterArguments, RunArguments
    from recipes.policy import bf16_is_fast

    classes = (RunArguments, RewriterArguments, GrpoArguments, GRPOConfig)
    run_args, model_args, grpo, config = parse_arguments(classes, argv)
    if model_args.fast_bf16 and not config.bf16 and bf16_is_fast():
        run_args, model_args, grpo, config = parse_arguments(classes, [*argv, "--bf16", "true"])
    check(grpo, config)
    if run_args.dry_run:
        return dry_run(run_args, model_args, grpo, config)
    return train(run_args, model_args, grpo, config)


def train(run_args: Any, model_args: Any, grpo: Any, config: Any) -> int:
    from datasets import Dataset

    from recipes.arms import folder_hash
    from recipes.bridging import build_bridge, identity, licences, load_generator, load_reward
    from recipes.callbacks import Metrics, Progress, TimeLimit
    from recipes.grpo_trainer import RewriterGRPOTrainer
    from recipes.licences import require_commercial
    from recipes.policy import base_licence, load_policy, load_tokenizer, quiet, speed_up_bf16, writing
    from recipes.prompt_rows import licence_of_rows, prompt_rows, source_hash
    from recipes.resume import already_finished, check_same_run, newest_checkpoint, state_of
    from recipes.run_record import MetricsLog, RunRecord, make_output, sha256_rows
    from recipes.saved_rewriter import save_rewriter
    from recipes.terminal import remark
    from rewriter.datasets import to_grpo_rows

    quiet()
    output = make_output(config.output_dir)
    settings = resolved((run_args, model_args, grpo, config))
    template, dialect = writing(model_args)
    tokenizer = load_tokenizer(model_args)
    against = unusable(template, dialect, config, tokenizer)
    prompts = prompt_rows(grpo.prompts, prompts_needed(config), config.seed, against)
    rows = to_grpo_rows(prompts, template)
    reward, generator = load_reward(grpo), load_generator(grpo)
    found = {
        "model": base_licence(model_args),
        "data": licence_of_rows(prompts),
        **licences(grpo, generator, reward),
    }
    if run_args.commercial_only:
        require_commercial(found)
    inputs = {
        "prompts": source_hash(grpo.prompts, config.seed),
        "generator": identity(generator),
        "reward": identity(reward),
        "template": template.fingerprint,
    }
    if grpo.adapter is not None:
        inputs["adapter"] = folder_hash(Path(grpo.adapter))
    if not run_args.fresh and already_finished(output, settings, inputs):
        remark(f"{output} is finished: nothing to do (--fresh starts over)")
        return 0
    checkpoint = newest_checkpoint(output, fresh=run_args.fresh)
    if checkpoint is not None:
        check_same_run(output, settings, MAY_CHANGE, inputs)
    record = RunRecord(
        output,
        "rewriter_grpo",
        settings,
        {"run": config.seed},
        found,
        [dataset_entry(grpo.prompts, rows, sha256_rows)],
    )
    record.models = {
        "generator": generator.fingerprint,
        "reward": reward.fingerprint,
        "template": template.fingerprint,
    }
    record.inputs = inputs
    record.start(str(checkpoint) if checkpoint else None)
    if checkpoint is not None:
        remark(f"going on from {checkpoint}")

    model = load_policy(model_args, grpo.adapter, config.seed)
    if config.bf16 and config.use_cpu:
        speed_up_bf16(model)
    bridge = build_bridge(grpo, generator, reward, seed=config.seed, dialect=dialect, template=template)
    metrics = Metrics(MetricsLog(output))
    limit = TimeLimit(metrics, run_args.max_seconds)
    config.shuffle_dataset = False  # the rows are in the order of the run already
    config.disable_tqdm = True
    trainer = make_trainer(
        RewriterGRPOTrainer,
        model,
        bridge,
        config,
        Dataset.from_list(rows),
        tokenizer,
        [metrics, Progress(limit=limit), limit],
        grpo,
    )
    try:
        if checkpoint is None or (state_of(checkpoint) or {}).get("global_step", 0) < config.max_steps:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        else:
            trainer._load_from_checkpoint(str(checkpoint))
            trainer.state.global_step = config.max_steps
    except BaseException as error:
        record.finish(
            "interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
            error=f"{type(error).__name__}: {error}",
        )
        raise
    facts = {
        "Recipe": "rewriter_grpo" + (f", from {grpo.adapter}" if grpo.adapter else ""),
        "Steps": f"{trainer.state.global_step}, {config.generation_batch_size} completions each",
        "Prompts": f"{grpo.prompts} ({found['data']})",
        "Generator": f"{grpo.generator} ({found['generator']}), {grpo.images_per_prompt} images per rewrite",
        "Reward": f"{grpo.reward} ({found['reward']}), against the user's own prompt",
    }
    folder = save_rewriter(
        trainer.accelerator.unwrap_model(trainer.model),
        tokenizer,
        output,
        model_args,
        licence=found["model"],
        max_new_tokens=config.max_completion_length,
        facts=facts,
    )
    summary = summarise(output, trainer.state.global_step)
    record.finish("finished", rewriter=str(folder), **summary)
    remark(f"wrote {folder}")
    return 0


def make_trainer(
    cls: Any,
    model: Any,
    bridge: Any,
    config: Any,
    dataset: Any,
    tokenizer: Any,
    callbacks: list[Any],
    grpo: Any,
) -> Any:
    """The trainer with roll-outs, weight sync and canary of ours where vLLM is colocated; otherwise TRL's own generation."""
    given = {
        "model": model,
        "reward_funcs": [bridge],
        "args": config,
        "train_dataset": dataset,
        "processing_class": tokenizer,
        "callbacks": callbacks,
    }
    if not (config.use_vllm and config.vllm_mode == "colocate"):
        return without_progress_bar(cls(**given))
    import warnings

    from recipes.canary import Canary
    from recipes.vllm_engine import Rollout, WeightSync, engine_start
    from rewriter.templates import encode_chat

    canary = None
    if grpo.canary_every:
        row, longest = dataset[0], (config.vllm_max_model_length or 512) - 1
        watched = encode_chat(tokenizer, row["prompt"]) + tokenizer(row["prompt_text"])["input_ids"]
        canary = Canary([watched[:longest]], grpo.canary_tolerance, grpo.canary_every)
    rollout = Rollout(config.seed, canary)
    with engine_start(eager=grpo.vllm_eager, dtype=grpo.vllm_dtype), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*rollout_func.*"
        )  # experimental: TRL is pinned to one minor version
        trainer = cls(**given, rollout_func=rollout)
    rollout.sync = WeightSync(trainer.vllm_generation)
    return without_progress_bar(trainer)


def without_progress_bar(trainer: Any) -> Any:
    """transformers prints every log as a dict where its bar is off; ours is a line with the time left."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    return trainer


def prompts_needed(config: Any) -> int:
    """Distinct prompts of the whole run: one group of `num_generations` completions each."""
    per_generation = config.generation_batch_size // config.num_generations
    reuse = config.steps_per_generation * config.num_iterations
    generations = -(-config.max_steps * config.gradient_accumulation_steps // reuse)
    return max(1, generations) * per_generation


def unusable(
    template: Template, dialect: Dialect, config: Any, tokenizer: Any | None
) -> Callable[[str], str | None]:
    """Why a prompt cannot be trained on: serving would not ask the model, or vLLM has no room for it and its rewrite.

    One such prompt would end the run at its step, and every resumption of it there again. Without a tokenizer lengths are not known.
    """
    from rewriter.rewriter import skip_reason

    colocated = config.use_vllm and config.vllm_mode == "colocate"
    room = config.vllm_max_model_length if colocated and tokenizer is not None else None

    def reason(prompt: str) -> str | None:
        if skipped := skip_reason(prompt, dialect):
            return f"{skipped}: serving returns it as it is"
        if room is None:
            return None
        tokens = len(template.prompt_ids(tokenizer, prompt))
        if tokens + config.max_completion_length > room:
            return (
                f"{tokens} tokens and max_completion_length={config.max_completion_length} are more than "
                f"vllm_max_model_length={room}"
            )
        return None

    return reason


def check(grpo: Any, config: Any) -> None:
    """What TRL would find out late or never. Raises ConfigError."""
    if config.max_steps < 1:
        raise ConfigError("max_steps: missing; a GRPO run needs its number of optimizer steps")
    if not grpo.prompts:
        raise ConfigError(
            'prompts: missing; give a prompt file, or "shapes" for prompts of the embedded world'
        )
    if grpo.adapter is not None and not (Path(grpo.adapter) / "adapter_config.json").is_file():
        raise ConfigError(
            f"adapter: {grpo.adapter!r} holds no adapter (adapter_config.json); train one with rewright train rewriter/sft/…"
        )
    reuse = config.steps_per_generation * config.num_iterations
    if config.save_strategy != "no" and (config.save_steps * config.gradient_accumulation_steps) % reuse:
        raise ConfigError(
            f"save_steps: {config.save_steps} steps end inside a generation batch (a batch is used for "
            f"{reuse / config.gradient_accumulation_steps:g} steps); a checkpoint there would not resume to the same run"
        )
    if config.use_vllm and config.vllm_mode == "colocate":
        from trl.import_utils import is_vllm_available

        if not is_vllm_available():
            raise ConfigError(
                "use_vllm: vLLM is not installed (`rewright doctor` says how to get it); or give --use_vllm false"
            )


def dataset_entry(source: str, rows: Sequence[Mapping[str, Any]], sha256: Any) -> dict[str, Any]:
    return {"source": source, "rows": len(rows), "sha256": sha256(rows)}


def summarise(output: Path, steps: int) -> dict[str, Any]:
    """`summary.json`: means over the first and last tenth of the run of what was logged."""
    from recipes.run_record import MetricsLog

    log = MetricsLog(output)
    rows = log.rows()
    tenth = max(1, len(rows) // 10)
    names = (
        "reward",
        "image_reward/baseline",
        "image_reward/gain",
        "image_reward/part/strict",
        "completions/mean_length",
        "step_time",
    )

    def means(part: list[dict[str, Any]]) -> dict[str, float]:
        found = {}
        for name in names:
            values = [row[name] for row in part if name in row]
            if values:
                found[name] = round(sum(values) / len(values), 5)
        return found

    steps_only = [row for row in rows if "reward" in row]
    summary = {
        "steps": steps,
        "seconds": round(log.seconds(), 1),
        "first": means(steps_only[:tenth]),
        "last": means(steps_only[-tenth:]),
    }
    part = output / "summary.part"
    part.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    os.replace(part, output / "summary.json")
    return summary


def dry_run(run_args: Any, model_args: Any, grpo: Any, config: Any) -> int:
    """Print the resolved configuration, the first rows and the first conversation as the model sees it."""
    from recipes.policy import base_licence, load_tokenizer, writing
    from recipes.prompt_rows import prompt_rows
    from recipes.terminal import say
    from rewriter.datasets import to_grpo_rows

    template, dialect = writing(model_args)
    tokenizer, absent = None, ""
    try:
        tokenizer = load_tokenizer(model_args)
    except ConfigError as error:  # a configuration can be checked where its model is not
        absent = str(error).splitlines()[0]
    against = unusable(template, dialect, config, tokenizer)
    prompts = prompt_rows(grpo.prompts, min(3, prompts_needed(config)), config.seed, against)
    say(json.dumps(resolved((run_args, model_args, grpo, config)), indent=1, default=str))
    for row in to_grpo_rows(prompts, template):
        say(json.dumps(row, ensure_ascii=False))
    say(
        f"{prompts_needed(config)} prompts in {config.max_steps} steps; base model licence {base_licence(model_args)}"
    )
    if tokenizer is not None:
        say(template.prompt_text(tokenizer, prompts[0].prompt))
    else:
        say(
            f"(the base model {model_args.base_model!r} is not on this machine, so the rendered prompt is not shown and no length is "
            f"checked: {absent})"
        )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    from recipes.train import entry

    return entry("rewriter_grpo", argv)


if __name__ == "__main__":
    import sys

    sys.exit(main())
