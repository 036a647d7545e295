"""Seconds per GRPO step, split, against TRL's defaults on the same prompts, model, batch and threads.

Ours is the recipe as it is: vLLM in the process, the bridge (guards before images, equal rewrites drawn once, cold cache in memory).
TRL's defaults are batched `transformers` generation and a reward that draws and judges images for every completion, in batches as large as
ours. Both start from the same fine-tuned rewriter: an untrained one writes what no guard lets through, and nothing would be drawn.

    python -m recipes.bench.grpo OUTPUT.json -- --config rewriter/grpo/shapes_cpu …      the second arm by itself
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

CONFIG = "rewriter/grpo/shapes_cpu"
WARM_UP = 1  # steps that start engines and fill caches of code, not of data


def run(steps: int = 3, config: str = CONFIG) -> dict[str, float]:
    """Medians over `steps` steps of each arm, in seconds."""
    from recipes.terminal import remark

    adapter = fine_tuned()
    remark(f"grpo: from {adapter}; {steps} steps of each arm after {WARM_UP} to warm up")
    with tempfile.TemporaryDirectory(prefix="rewright-bench-") as folder:
        common = ["--config", config, "--adapter", str(adapter), "--max_steps", str(steps + WARM_UP)]
        common += [
            "--save_strategy",
            "no",
            "--cache",
            ":memory:",
            "--log_baseline",
            "false",
            "--logging_steps",
            "1",
        ]
        ours = _ours(Path(folder) / "ours", common)
        remark("grpo: ours measured, now TRL's defaults")
        theirs = _theirs(Path(folder) / "trl", common)
    return compared(ours, theirs)


def compared(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    """Both arms' seconds, and the ratios theirs : ours. Ours pays for its weight sync in the roll-out."""

    def three(arm: dict[str, float]) -> float:
        return arm["rollout"] + arm.get("sync", 0.0) + arm["generation"] + arm["scoring"]

    return {
        **{f"ours_{name}_s": value for name, value in ours.items() if name != "dedupe_rate"},
        **{f"trl_{name}_s": value for name, value in theirs.items()},
        "speedup_rollout_generation_scoring": three(theirs) / three(ours),
        "speedup_whole_step": theirs["step"] / ours["step"],
        "speedup_images_by_deduplication": 1 / (1 - ours["dedupe_rate"]),
    }


def fine_tuned() -> Path:
    """A fine-tuned rewriter: of the newest run, or one made in a few minutes and kept in the cache."""
    from recipes.runs import RUNS, rewriter_folder
    from rewriter.models import cache_root

    found = sorted(
        [*RUNS.glob("*/sft/rewriter/rewriter.json"), *RUNS.glob("*sft*/rewriter/rewriter.json")],
        key=lambda path: path.stat().st_mtime,
    )
    if found:
        return found[-1].parent
    try:
        return rewriter_folder(None)
    except FileNotFoundError:
        return _quick_sft(cache_root() / "bench")


def _quick_sft(folder: Path) -> Path:
    from recipes.demo import CONFIG_SFT
    from recipes.stages import Ledger, Stage, run_stage

    folder.mkdir(parents=True, exist_ok=True)
    pairs, output = folder / "pairs.jsonl", folder / "sft"
    ledger = Ledger.load(folder / "stages.json")
    run_stage(Stage("data", ["data", "sft", "--output", str(pairs)], pairs), ledger, folder / "logs")
    argv = ["train", CONFIG_SFT, "--pairs", str(pairs), "--output_dir", str(output), "--max_steps", "60"]
    made = output / "rewriter" / "rewriter.json"
    run_stage(
        Stage("sft", argv, made, [pairs], output / "metrics.jsonl", 60, run=output), ledger, folder / "logs"
    )
    return made.parent


def _ours(output: Path, common: Sequence[str]) -> dict[str, float]:
    _process([sys.executable, "-m", "recipes.rewriter_grpo", *common, "--output_dir", str(output)], output)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if "step_time" in row and row["step"] > WARM_UP]
    names = {
        "rollout": "time/rollout",
        "sync": "time/sync",
        "generation": "image_reward/generate_seconds",
        "scoring": "image_reward/score_seconds",
        "bridge": "image_reward/seconds",
        "training": "time/train",
        "step": "step_time",
        "dedupe_rate": "image_reward/dedupe_rate",
    }
    return {name: median(row.get(metric, 0.0) for row in rows) for name, metric in names.items()}


def _theirs(output: Path, common: Sequence[str]) -> dict[str, float]:
    result = output.with_suffix(".json")
    words = [*common, "--output_dir", str(output), "--use_vllm", "false"]
    _process([sys.executable, "-m", "recipes.bench.grpo", str(result), "--", *words], output)
    return json.loads(result.read_text(encoding="utf-8"))


def _process(argv: Sequence[str], output: Path) -> None:
    """Each arm alone in its process: memory and threads of one must not slow the other."""
    log = output.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        code = subprocess.run(argv, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
        raise RuntimeError(f"an arm of the bench failed (exit code {code}):\n{end}")


class PerCompletion:
    """A reward as one writes it first: images of every completion, judged one by one. It times itself."""

    __name__ = "per_completion"

    def __init__(self, generator: Any, reward: Any, images: int, batch: int, request: dict[str, Any]) -> None:
        self.generator, self.reward, self.images, self.batch = generator, reward, images, batch
        self.request = request
        self.generation: list[float] = []
        self.scoring: list[float] = []

    def __call__(
        self, prompts: Any, completions: Any, prompt_text: Any, spec: Any, row_id: Any, **_: Any
    ) -> list[float]:
        import torch

        from diffusion_core.types import GenerationRequest
        from recipes.terminal import batches
        from rewards.base import Item, Media
        from rewards.seeds import shared_seeds

        texts = [completion[0]["content"] for completion in completions]
        requests = [
            GenerationRequest(text, seed=seed, **self.request)
            for text, row in zip(texts, row_id, strict=True)
            for seed in shared_seeds(0, row, self.images)
        ]
        began = time.perf_counter()
        samples = [
            sample for part in batches(requests, self.batch) for sample in self.generator.generate(part)
        ]
        self.generation.append(time.perf_counter() - began)
        began = time.perf_counter()
        pixels = torch.stack([sample.pixels for sample in samples])
        items = [
            Item(prompt, text, json.loads(target) if target else {})
            for prompt, text, target in zip(prompt_text, texts, spec, strict=True)
            for _ in range(self.images)
        ]
        values = self.reward.score(Media(pixels), items).value.view(len(texts), self.images).mean(dim=1)
        self.scoring.append(time.perf_counter() - began)
        return values.tolist()


def trl_defaults(argv: Sequence[str]) -> dict[str, float]:
    """The second arm: medians of its steps after the warm-up, in seconds."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from recipes.arguments import GrpoArguments, RewriterArguments, RunArguments
    from recipes.bridging import load_generator, load_reward
    from recipes.configuration import parse_arguments
    from recipes.policy import load_policy, load_tokenizer
    from recipes.prompt_rows import prompt_rows
    from recipes.rewriter_grpo import prompts_needed
    from rewriter.datasets import to_grpo_rows
    from rewriter.templates import load_template

    classes = (RunArguments, RewriterArguments, GrpoArguments, GRPOConfig)
    _, model_args, grpo, config = parse_arguments(classes, argv)
    rollouts: list[float] = []
    steps: list[float] = []

    class Timed(GRPOTrainer):
        def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            found = super()._generate_single_turn(*args, **kwargs)
            rollouts.append(time.perf_counter() - began)
            return found

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            steps.append(time.perf_counter() - self.began)

    reward = PerCompletion(
        load_generator(grpo),
        load_reward(grpo),
        grpo.images_per_prompt,
        grpo.image_batch,
        {"steps": grpo.image_steps, "guidance": grpo.image_guidance},
    )
    rows = to_grpo_rows(
        prompt_rows(grpo.prompts, prompts_needed(config), config.seed), load_template(model_args.template)
    )
    config.shuffle_dataset = False
    trainer = Timed(
        model=load_policy(model_args, grpo.adapter, config.seed),
        reward_funcs=[reward],
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(model_args),
        callbacks=[Clock()],
    )
    trainer.train()
    found = {
        "rollout": median(rollouts[WARM_UP:]),
        "generation": median(reward.generation[WARM_UP:]),
        "scoring": median(reward.scoring[WARM_UP:]),
        "step": median(steps[WARM_UP:]),
    }
    found["training"] = max(0.0, found["step"] - found["rollout"] - found["generation"] - found["scoring"])
    return found


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    target, _, *words = sys.argv[1:]
    Path(target).write_text(json.dumps(trl_defaults(words)), encoding="utf-8")
