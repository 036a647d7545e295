"""Arguments of the training recipes, read by TRL's TrlParser beside TRL's own configurations.

They are pydantic dataclasses, so that a YAML value of the wrong type is refused at start. Names differ from those of
`transformers.TrainingArguments`, SFTConfig and GRPOConfig (`seed`, `output_dir`, `learning_rate`, ... are theirs): TrlParser
cannot hold one name twice. No default for what a run is about: data and output folder.
"""

# No `from __future__ import annotations`: HfArgumentParser reads the types of the fields at run time.
from dataclasses import field
from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


def _arg(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


def _list(default: list[str], text: str) -> Any:
    return field(default_factory=lambda: list(default), metadata={"help": text})


_FORBID = ConfigDict(extra="forbid")


@dataclass(config=_FORBID)
class RunArguments:
    """What every recipe understands."""

    recipe: str = _arg(
        "",
        "which recipe the configuration is for: diffusion_pref, generator, layout_dpo, layout_grpo, layout_sft, rewriter_sft or rewriter_grpo",
    )
    dry_run: bool = _arg(
        False, "check everything, print the resolved configuration and the first rows, train nothing"
    )
    commercial_only: bool = _arg(
        False, "refuse data, models, generators and rewards whose licence is unknown or not commercial"
    )
    fresh: bool = _arg(
        False, "start over: ignore the checkpoints in output_dir instead of going on from the newest"
    )

    max_seconds: float | None = _arg(
        None,
        "stop after so many seconds of training, pauses left out (not of the generator recipe; None: no limit)",
    )

    def __post_init__(self) -> None:
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise ValueError(f"max_seconds={self.max_seconds} must be positive")


@dataclass(config=_FORBID)
class RewriterArguments:
    """The language model that rewrites."""

    base_model: str = _arg("smollm2", "base language model: smollm2 (embedded), a folder or a hub id")
    template: str = _arg("shapes", "name of the prompt template (rewriter/templates)")
    dialect: str = _arg(
        "shapes", "profile of the generator written for (rewriter/dialects); its guards apply"
    )
    dtype: Literal["float32", "bfloat16"] = _arg(
        "float32", "precision of the trained weights; float32 on CPU"
    )
    fast_bf16: bool = _arg(
        False,
        "autocast to bfloat16 where the CPU multiplies it natively (AVX-512 BF16, AMX): about twice the speed",
    )
    lora_r: int = _arg(16, "rank of the LoRA adapter; an adapter that is continued keeps its own")
    lora_alpha: int = _arg(32, "scale of the LoRA adapter is lora_alpha / lora_r")
    lora_dropout: float = _arg(
        0.0, "dropout in the adapter; above 0 roll-outs and training see different models"
    )
    lora_target_modules: list[str] = _list(
        ["all-linear"], "modules that get an adapter; all-linear is all but the head"
    )
    model_licence: str = _arg("", "SPDX identifier of the base model, where its folder does not say so")

    def __post_init__(self) -> None:
        if self.lora_r < 1 or self.lora_alpha < 1:
            raise ValueError(f"lora_r={self.lora_r} and lora_alpha={self.lora_alpha} must be at least 1")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"lora_dropout={self.lora_dropout} must lie in [0, 1)")


@dataclass(config=_FORBID)
class SftArguments:
    """Supervised fine-tuning on (user prompt, rewrite) pairs."""

    pairs: str = _arg("", 'JSONL of {"prompt", "rewrite"} rows, as `rewright data sft` writes it')
    max_pairs: int | None = _arg(None, "use at most so many pairs (None: all)")
    validation_share: float = _arg(
        0.1, "share of the pairs held out for validation, by a hash of the rewrite"
    )
    plateau_patience: int = _arg(
        3, "stop after so many evaluations without improvement; 0 trains to max_steps or epochs"
    )
    plateau_delta: float = _arg(
        0.002, "an improvement of the validation loss counts from here, in nats a token"
    )
    pack_batches: bool = _arg(
        False,
        "a batch as one sequence with its common beginning once: half the time for short rows on a CPU",
    )
    initial_adapter: str | None = _arg(
        None, "folder of a rewriter whose adapter is trained on (None: a new adapter)"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise ValueError(f"validation_share={self.validation_share} must lie in [0, 1)")
        if self.plateau_patience and not self.validation_share:
            raise ValueError(
                "plateau_patience needs a validation set: give validation_share above 0, or plateau_patience: 0"
            )


@dataclass(config=_FORBID)
class GrpoArguments:
    """Reinforcement learning on rewards of generated images."""

    prompts: str = _arg(
        "", 'prompt file (text, JSONL, CSV), or "shapes": drawn from the embedded world\'s training templates'
    )
    adapter: str | None = _arg(
        None, "folder of the SFT rewriter whose adapter is trained on (None: a new adapter)"
    )
    generator: str = _arg(
        "shapes",
        "shapes (embedded), a diffusers id or folder, package.module:object, or the URL of an images server",
    )
    reward: str = _arg("shapes", "shapes, shapes-strict, shapes-mixed, or your own as package.module:object")
    reward_bounds: list[float] | None = _arg(
        None, "lowest and highest value of a reward of your own that does not declare them"
    )
    images_per_prompt: int = _arg(
        2, "M: images a rewrite is judged by; their seeds are shared by the whole group"
    )
    image_steps: int | None = _arg(None, "sampling steps of the generator (None: its own)")
    image_guidance: float | None = _arg(None, "guidance scale of the generator (None: its own)")
    image_batch: int = _arg(64, "images generated at once")
    log_baseline: bool = _arg(True, "also score the un-rewritten prompts on the same seeds, for the logs")
    reward_deadline_s: float = _arg(1800.0, "seconds after which a step's missing scores are given up")
    call_timeout_s: float = _arg(600.0, "seconds after which one call of generator or scorer is given up")
    cache: str | None = _arg(
        None, 'folder of the image and score cache (None: the user\'s; ":memory:": none on disk)'
    )
    generator_licence: str = _arg("", "SPDX identifier of the generator, where it does not say so itself")
    reward_licence: str = _arg("", "SPDX identifier of the reward, where it does not say so itself")
    vllm_dtype: Literal["auto", "float32", "bfloat16"] = _arg(
        "float32", "precision of the roll-outs; bfloat16 needs a canary_tolerance of about 0.5"
    )
    vllm_eager: bool = _arg(
        False, "start vLLM without compilation: 4 s instead of a minute on CPU, the same speed there"
    )
    canary_every: int = _arg(1, "compare vLLM with the trainer after every n-th weight sync; 0 never")
    canary_tolerance: float = _arg(
        0.02, "largest gap of a token's log-probability, in nats; more stops the run"
    )

    def __post_init__(self) -> None:
        if self.images_per_prompt < 1 or self.image_batch < 1:
            raise ValueError(
                f"images_per_prompt={self.images_per_prompt} and image_batch={self.image_batch} must be at least 1"
            )
        if self.canary_tolerance <= 0 or self.canary_every < 0:
            raise ValueError(
                f"canary_tolerance={self.canary_tolerance} must be positive, canary_every={self.canary_every} not negative"
            )
        if self.reward_bounds is not None and len(self.reward_bounds) != 2:
            raise ValueError(f"reward_bounds={self.reward_bounds} must be two numbers: lowest and highest")


@dataclass(config=_FORBID)
class GeneratorArguments:
    """The embedded generator of the shapes world."""

    output_dir: str = _arg("", "folder of the run; the generator is written to output_dir/generator")
    seed: int = _arg(0, "of weights, captions, images and noise")
    patch: int = _arg(16, "pixels a side of a token")
    width: int = _arg(256, "width of the transformer")
    layers: int = _arg(6, "blocks of the transformer")
    text_width: int = _arg(192, "width of the text encoder")
    text_layers: int = _arg(2, "blocks of the text encoder")
    prediction: Literal["x0", "flow"] = _arg("x0", "what the network predicts")
    learning_rate: float = _arg(1.5e-3, "peak learning rate")
    optimizer: Literal["adamw", "muon"] = _arg("muon", "muon: hidden matrices with Muon, the rest with AdamW")
    ema_decay: float = _arg(0.998, "of the running mean of the weights, which is what is saved")
    samples: int = _arg(1_000_000, "training samples in all")
    easy_samples: int = _arg(
        0, "so many samples at first with 70 % scenes of one object, the committed mix after"
    )
    batch: int = _arg(64, "samples a step")
    noise_draws: int = _arg(
        1, "samples of a step that share a picture and its caption, with different noise; divides batch"
    )
    warmup: int = _arg(200, "steps of linear warm-up")
    decay_fraction: float = _arg(0.3, "share of the run with linearly falling learning rate")
    log_every: int = _arg(100, "steps between two lines of metrics.jsonl")
    save_every_seconds: float = _arg(300.0, "seconds between two checkpoints")
    text_weight: float = _arg(
        0.0,
        "weight of asking the text encoder for the caption's groups and relations (generator_supervision.py)",
    )
    cell_weight: float = _arg(0.0, "weight of asking the transformer what stands in each cell")
    fast_bf16: bool = _arg(
        True, "autocast to bfloat16 where the CPU multiplies it natively (AVX-512 BF16, AMX)"
    )
    processes: int = _arg(1, "processes that share a batch, of `threads` threads each (None then: one)")
    threads: int | None = _arg(None, "compute threads (None: torch's choice)")

    def __post_init__(self) -> None:
        for name in (
            "processes",
            "patch",
            "width",
            "layers",
            "text_width",
            "text_layers",
            "samples",
            "batch",
            "noise_draws",
            "warmup",
            "log_every",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.samples < self.batch:
            raise ValueError(f"samples={self.samples} is less than one batch of {self.batch}")
        if self.batch % self.noise_draws:
            raise ValueError(f"noise_draws={self.noise_draws} must divide batch={self.batch}")
        if self.batch // self.noise_draws % self.processes:
            raise ValueError(
                f"processes={self.processes} must divide the {self.batch // self.noise_draws} pictures of a batch"
            )


@dataclass(config=_FORBID)
class LayoutModelArguments:
    """The language model that lays out rooms."""

    base_model: str = _arg(
        "",
        '"new" (a small Llama with its own tokenizer, from scratch), "layout" (embedded), a folder or a hub id',
    )
    dtype: Literal["float32", "bfloat16"] = _arg(
        "float32", "precision of the trained weights; float32 on CPU"
    )
    fast_bf16: bool = _arg(
        False, "autocast to bfloat16 where the CPU multiplies it natively (AVX-512 BF16, AMX)"
    )
    width: int = _arg(256, "of a new model; a multiple of head_width")
    head_width: int = _arg(64, "of a new model")
    layers: int = _arg(8, "of a new model")
    feed_forward: int = _arg(704, "inner width of a new model's feed-forward layers")
    use_muon: bool = _arg(False, "Muon for the hidden matrices, AdamW for the rest; full training only")
    lora_r: int = _arg(0, "rank of a LoRA adapter on the base model; 0 trains every weight")
    lora_alpha: int = _arg(32, "scale of the LoRA adapter is lora_alpha / lora_r")
    lora_target_modules: list[str] = _list(
        ["all-linear"], "modules that get an adapter; all-linear is all but the head"
    )
    model_licence: str = _arg("", "SPDX identifier of the base model, where its folder does not say so")

    def __post_init__(self) -> None:
        if self.width % self.head_width:
            raise ValueError(f"width={self.width} must be a multiple of head_width={self.head_width}")
        if self.lora_r and (self.use_muon or self.base_model == "new"):
            raise ValueError(
                f"lora_r={self.lora_r}: an adapter needs a trained base_model, and AdamW; give 0"
            )


@dataclass(config=_FORBID)
class LayoutDataArguments:
    """Rooms with requests, drawn by the rule-based synthesiser while training runs."""

    rooms: int = _arg(20_000, "training rooms; each is drawn once, with one request")
    validation_rooms: int = _arg(200, "held-out rooms with held-out wordings, for the validation loss")
    rows_seed: int = _arg(0, "of the rooms and requests")
    plan_share: float = _arg(0.85, "share of the rows that ask for a plan before the objects")
    plateau_patience: int = _arg(
        0, "stop after so many evaluations without improvement; 0 trains to max_steps or epochs"
    )
    plateau_delta: float = _arg(
        0.002, "an improvement of the validation loss counts from here, in nats a token"
    )

    def __post_init__(self) -> None:
        if self.rooms < 1 or self.validation_rooms < 0:
            raise ValueError(
                f"rooms={self.rooms} must be at least 1, validation_rooms={self.validation_rooms} not negative"
            )
        if not 0 <= self.plan_share <= 1:
            raise ValueError(f"plan_share={self.plan_share} must lie in [0, 1]")
