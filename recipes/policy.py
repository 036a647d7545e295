"""The language model that is trained: base weights, tokenizer, and the LoRA adapter on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.arguments import RewriterArguments
from recipes.configuration import ConfigError
from rewriter.dialects import Dialect, load_dialect
from rewriter.models import licence_of, resolve_base
from rewriter.templates import Template, load_template


def quiet() -> None:
    """No bars and remarks of the libraries between our own lines."""
    import logging

    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(
        logging.ERROR
    )  # kernels of its 4-bit mode that are not used here


def bf16_is_fast() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; a GPU's configuration says `bf16: true` itself."""
    import torch

    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def takes_block_masks(model: Any) -> bool:
    """Whether the model's attention reads a mask of our own: full attention in every layer, and not a flash kernel."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    return config._attn_implementation in ("sdpa", "eager") and set(kinds) == {"full_attention"}


def speed_up_bf16(model: Any) -> None:
    """What makes an update under autocast to bfloat16 faster on a CPU: PyTorch's fused attention takes most of its backward pass there."""
    from recipes.fast_lora import use_fast_lora

    use_fast_lora(model)
    model.get_base_model().set_attn_implementation("eager")


@contextmanager
def head_at_labels() -> Iterator[None]:
    """Inside, TRL's head projects only positions that have a label, as it does on GPUs; on a CPU it projects all of them.

    The prompt has none, and is two thirds of a row: a quarter of the time of an SFT step of SmolLM2.
    """
    from trl.trainer import utils

    original = utils._use_triton  # there it decides on nothing but this
    utils._use_triton = lambda device: device.type == "cpu" or original(device)
    try:
        yield
    finally:
        utils._use_triton = original


def writing(args: RewriterArguments) -> tuple[Template, Dialect]:
    """Template and dialect by name. Raises ConfigError naming the key and what is known."""
    try:
        template = load_template(args.template)
    except ValueError as error:
        raise ConfigError(f"template: {error}") from error
    try:
        return template, load_dialect(args.dialect)
    except ValueError as error:
        raise ConfigError(f"dialect: {error}") from error


def load_tokenizer(args: RewriterArguments) -> Any:
    """The tokenizer of the base model, padded on the left, where roll-outs need it. Raises ConfigError naming the model."""
    from rewriter.models import load_tokenizer as load

    try:
        tokenizer = load(args.base_model)
    except (OSError, ValueError) as error:
        raise ConfigError(_not_loaded(args, error)) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_policy(args: RewriterArguments, adapter: str | None, seed: int) -> Any:
    """A PeftModel with one trainable adapter: the one in the folder `adapter`, or a new one that changes nothing yet.

    Raises ConfigError where base or adapter cannot be loaded, or do not fit together.
    """
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    try:
        base = AutoModelForCausalLM.from_pretrained(
            resolve_base(args.base_model), dtype=getattr(torch, args.dtype)
        )
    except (OSError, ValueError) as error:
        raise ConfigError(_not_loaded(args, error)) from error
    if adapter is not None:
        if not (Path(adapter) / "adapter_config.json").is_file():
            raise ConfigError(
                f"{adapter!r} holds no adapter (adapter_config.json); give the folder a training run wrote"
            )
        try:
            return PeftModel.from_pretrained(base, adapter, is_trainable=True)
        except (RuntimeError, ValueError, KeyError) as error:
            raise ConfigError(
                f"the adapter in {adapter!r} does not fit the base model {args.base_model!r}: {error}"
            ) from error
    targets: Any = args.lora_target_modules
    config = LoraConfig(
        r=args.lora_r,
        lora_alpha=args.lora_alpha,
        lora_dropout=args.lora_dropout,
        target_modules="all-linear" if targets == ["all-linear"] else targets,
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)  # the adapter's first matrix is random
    return get_peft_model(base, config)


def _not_loaded(args: RewriterArguments, error: Exception) -> str:
    return (
        f"base_model: {args.base_model!r} cannot be loaded: {str(error).splitlines()[0]} "
        f"Give smollm2 (embedded), a folder, or a hub id with HF_HUB_OFFLINE=0"
    )


def base_licence(args: RewriterArguments) -> str:
    """SPDX identifier of the base model: what the arguments say, else what is known, else "unknown"."""
    return args.model_licence or licence_of(args.base_model)
