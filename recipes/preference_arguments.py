"""Arguments of the preference recipe (`rewright train diffusion/...`): which generator learns from which pairs, by which loss."""

# No `from __future__ import annotations`: HfArgumentParser reads the types of the fields at run time.
from dataclasses import field
from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


def _arg(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


_FORBID = ConfigDict(extra="forbid")


@dataclass(config=_FORBID)
class GeneratorModelArguments:
    """The generator that is trained, and which of its weights are."""

    model: str = _arg("", "the generator: shapes (embedded), a zoo folder, a diffusers folder or a hub id")
    canvas: list[int] | None = _arg(
        None, "height and width in pixels, or frames, height and width (None: the model's own)"
    )
    model_licence: str = _arg("", "SPDX identifier of the model, where its folder does not say so")
    dtype: Literal["float32", "bfloat16"] = _arg(
        "float32", "precision of the frozen weights; a LoRA's own are float32"
    )
    mixed_precision: Literal["no", "bf16"] = _arg("no", "autocast of the networks; errors are float32 always")
    lora_r: int = _arg(8, "rank of the LoRA; 0 trains all weights")
    lora_alpha: int = _arg(8, "scale of the LoRA is lora_alpha / lora_r")
    lora_targets: list[str] | None = _arg(
        None, "endings of module names (None: the attention projections of the class)"
    )
    quantize: Literal["none", "nf4"] = _arg("none", "nf4: the frozen weights in 4 bit (QLoRA)")
    gradient_checkpointing: bool = _arg(
        False, "recompute activations in the backward pass: less memory, a third more time"
    )

    def __post_init__(self) -> None:
        if self.lora_r < 0 or self.lora_alpha < 1:
            raise ValueError(
                f"lora_r={self.lora_r} must be at least 0 and lora_alpha={self.lora_alpha} at least 1"
            )
        if self.quantize != "none" and not self.lora_r:
            raise ValueError("quantize: 4-bit weights cannot train themselves; give lora_r above 0")
        if not self.lora_r and self.dtype != "float32":
            raise ValueError(
                f"dtype: {self.dtype} weights round small updates away; train all weights in float32 (mixed_precision: bf16 keeps the speed)"
            )
        if self.canvas is not None and (len(self.canvas) not in (2, 3) or min(self.canvas) < 1):
            raise ValueError(
                f"canvas={self.canvas} must be [height, width], or [frames, height, width] of a video"
            )


@dataclass(config=_FORBID)
class PreferenceArguments:
    """Pairs, loss and reference."""

    pairs: str = _arg(
        "",
        "folder (chosen/ rejected/ captions), JSONL, parquet, saved dataset, or hub id: see docs/preference-data.md",
    )
    pairs_licence: str = _arg("", "SPDX identifier of the pairs, where they do not say so")
    max_pairs: int | None = _arg(None, "use at most so many pairs (None: all)")
    validation_share: float = _arg(0.0, "share of the pairs held out, by a hash of the prompt")
    resize_pairs: bool = _arg(
        False, "allow the two images of a pair to differ in size: both are resized and cropped"
    )
    loss: str = _arg("diffusion_dpo", "a name of docs/paper-index.md, or your own as package.module:Class")
    method_kwargs: dict[str, Any] | None = field(
        default=None, metadata={"help": "hyper-parameters of the loss, e.g. {beta: 2000}; YAML only"}
    )
    reference: Literal["auto", "none", "adapter_off", "frozen_copy", "precomputed"] = _arg(
        "auto", "the frozen model: the network without its adapter, a copy, or errors taken beforehand"
    )
    draws_per_pair: int = _arg(1, "noises and times a pair has in one step")
    fixed_draws: int = _arg(
        0, "how many visits of a pair have noise of their own; 0: every visit. precomputed needs it"
    )
    times: Literal["auto", "uniform", "logit_normal"] = _arg(
        "auto", "density of the times (auto: uniform for DDPM, logit-normal for flow)"
    )
    time_range: list[float] | None = _arg(
        None, "share of the times that is used, e.g. [0.0, 0.2]: the least noisy fifth"
    )
    stratified_times: bool = _arg(True, "spread a step's times evenly over their density")
    error_space: Literal["auto", "native", "eps", "x0", "v", "flow"] = _arg(
        "auto", "in which errors are taken; native: what the network predicts (auto: what the loss says)"
    )
    inversion_steps: int | None = _arg(
        None, "steps of the inversion (inpo 10, smpo 5, inversion_dpo 10 unless given)"
    )
    prompt_dropout: float = _arg(
        0.0, "share of the visits that see the empty prompt, for classifier-free guidance"
    )
    encode_batch: int = _arg(8, "images and prompts encoded at once, before training")

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise ValueError(f"validation_share={self.validation_share} must lie in [0, 1)")
        if self.time_range is not None and len(self.time_range) != 2:
            raise ValueError(f"time_range={self.time_range} must be two shares, [low, high]")
        for name in ("draws_per_pair", "encode_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.fixed_draws < 0:
            raise ValueError(f"fixed_draws={self.fixed_draws} must not be negative")


@dataclass(config=_FORBID)
class PreferenceRunArguments:
    """The run itself."""

    output_dir: str = _arg(
        "", "folder of the run; the adapter is written to output_dir/lora, a network to output_dir/network"
    )
    seed: int = _arg(0, "of order, noise, times and adapter")
    max_steps: int = _arg(1000, "optimizer steps")
    batch_size: int = _arg(1, "pairs at once on a device")
    gradient_accumulation_steps: int = _arg(1, "batches whose gradients are added up before a step")
    learning_rate: float = _arg(1e-5, "peak learning rate, as it is used: nothing scales it")
    lr_scheduler_type: Literal["constant", "linear", "cosine"] = _arg("constant", "after the warm-up")
    warmup_steps: int = _arg(0, "steps of linear warm-up")
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] = _arg(
        "adamw", "adamw_8bit: states in 8 bit (bitsandbytes)"
    )
    weight_decay: float = _arg(1e-2, "of the optimizer")
    max_grad_norm: float = _arg(1.0, "gradients are clipped to this norm; 0: not")
    ema_decay: float | None = _arg(
        None, "running mean of the trained weights, which is then what is sampled and saved (None: none)"
    )
    logging_steps: int = _arg(10, "steps between two lines of metrics.jsonl")
    save_steps: int = _arg(100, "steps between two checkpoints")
    save_total_limit: int = _arg(2, "checkpoints that are kept")
    eval_steps: int = _arg(0, "steps between two evaluations; 0: none but before and after")
    eval_prompts: str = _arg(
        "", 'prompts to draw and score: a file, or "shapes": held-out captions of the embedded world'
    )
    eval_count: int = _arg(16, "how many of them")
    eval_seeds: int = _arg(2, "images a prompt, on seeds that stay the same")
    eval_image_steps: int | None = _arg(None, "sampling steps of the evaluation (None: the generator's)")
    eval_guidance: float | None = _arg(None, "guidance of the evaluation (None: the generator's)")
    reward: str = _arg(
        "", "reward of the evaluation: shapes, shapes-strict, or your own as package.module:object"
    )
    reward_licence: str = _arg("", "SPDX identifier of the reward, where it does not say so itself")
    patience: int = _arg(0, "stop after so many evaluations without a better reward; 0: never")
    displacement_alarm: int = _arg(
        10, "warn when winner and loser fit worse than under the reference in so many logs in a row; 0: never"
    )
    report_to: str = _arg("none", "trackers of accelerate, joined by commas: wandb,tensorboard (none)")

    def __post_init__(self) -> None:
        if self.reward and not self.eval_prompts:
            raise ValueError("reward: nothing is drawn to score; give eval_prompts")
        if self.patience and not self.reward:
            raise ValueError("patience stops on a reward: give reward and eval_prompts, or patience: 0")
        if self.patience and not self.eval_steps:
            raise ValueError("patience stops on evaluations: give eval_steps, or patience: 0")
        if self.eval_count < 1 or self.eval_seeds < 1:
            raise ValueError(
                f"eval_count={self.eval_count} and eval_seeds={self.eval_seeds} must be at least 1"
            )
