"""LoRA adapters on a generator's network: add, save, load, switch off.

The network is changed in place, so every generator that shares it sees the adapter. Files are diffusers' own
(`pytorch_lora_weights.safetensors`, alpha in the metadata): `pipe.load_lora_weights(folder)` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from diffusion_core.generator import Generator
from diffusion_core.reference import adapter_layers, adapters_off

ADAPTER = "default"  # the name under which diffusers and peft look for an adapter that has none
WEIGHTS = "pytorch_lora_weights.safetensors"
ATTENTION = ("to_k", "to_q", "to_v", "to_out.0")
JOINT = (
    *ATTENTION,
    "add_k_proj",
    "add_q_proj",
    "add_v_proj",
    "to_add_out",
)  # the text stream's projections too
TARGETS = {
    "CogVideoXTransformer3DModel": ATTENTION,
    "FluxTransformer2DModel": JOINT,
    "PixArtTransformer2DModel": ATTENTION,
    "SD3Transformer2DModel": JOINT,
    "UNet2DConditionModel": ATTENTION,
    "WanTransformer3DModel": ATTENTION,
}


def network(generator: Generator) -> tuple[str, Any]:
    """("unet" or "transformer", the module) that the denoiser runs.

    Raises:
        ValueError: if it runs none, or several.
    """
    modules = generator.denoiser.modules()
    if len(modules) != 1:
        raise ValueError(
            f"an adapter goes on one network, and generator {generator.name!r} has {len(modules)}: "
            f"{', '.join(modules) or 'its denoiser is a formula'}"
        )
    return next(iter(modules.items()))


def add_lora(generator: Generator, rank: int, alpha: float, targets: Sequence[str] | None = None) -> str:
    """A fresh, trainable LoRA (Hu et al. 2021, arXiv:2106.09685): W x + (alpha / rank) B A x, A Gaussian and
    B zero, so that the output does not change yet; no dropout.

    `targets` are endings of module names and default to the attention projections of the network's class.
    The adapter's parameters are float32 whatever the network's precision, and the only ones with
    `requires_grad`. Returns the adapter's name.

    Raises:
        ValueError: if there is an adapter already, a target matches nothing, or the class has no default.
    """
    from peft import LoraConfig

    module = network(generator)[1]
    if rank < 1:
        raise ValueError(f"LoRA rank {rank}; take at least 1")
    chosen = list(default_targets(module) if targets is None else targets)
    names = [name for name, _ in module.named_modules()]
    lost = [t for t in chosen if not any(name == t or name.endswith(f".{t}") for name in names)]
    if lost and targets is not None:
        raise ValueError(f"LoRA targets {lost} match no module of {type(module).__name__}")
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=chosen, init_lora_weights="gaussian")  # type: ignore[arg-type]  # peft says int, and divides
    _inject(generator, config)
    return ADAPTER


def default_targets(module: torch.nn.Module) -> Sequence[str]:
    """The projections that a LoRA usually goes on in a network of this class."""
    name = type(module).__name__
    if name not in TARGETS:
        raise ValueError(
            f"no default LoRA targets for {name}; known: {', '.join(TARGETS)}. Name them: targets=[...]"
        )
    return TARGETS[name]


def save_lora(generator: Generator, folder: str | Path) -> None:
    """Write the adapter as `folder`/pytorch_lora_weights.safetensors, with rank, alpha and targets as metadata.

    Where diffusers' pipeline class cannot load adapters (PixArt), the folder is one of peft's as well:
    `PeftModel.from_pretrained(pipe.transformer, folder)`.

    Raises:
        ValueError: if there is no adapter.
    """
    from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline
    from diffusers.loaders import PeftAdapterMixin
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    name, module = network(generator)
    config = _peft_config(generator)
    state = {k: v.detach().cpu().contiguous() for k, v in get_peft_model_state_dict(module).items()}
    # All UNets share one format, and so do all transformers: the network's name is enough, and the pipeline may be gone.
    writer = StableDiffusionPipeline if name == "unet" else StableDiffusion3Pipeline
    metadata = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
    writer.save_lora_weights(
        folder, **{f"{name}_lora_layers": state, f"{name}_lora_adapter_metadata": metadata}
    )
    if not isinstance(module, PeftAdapterMixin):
        config.save_pretrained(str(folder))
        save_file(
            {f"base_model.model.{k}": v for k, v in state.items()},
            Path(folder) / "adapter_model.safetensors",
            metadata={"format": "pt"},
        )


def load_lora(generator: Generator, folder: str | Path) -> str:
    """Put a saved adapter on the network, trainable as `add_lora` leaves it. Returns the adapter's name.

    A file without metadata has alpha = rank, as diffusers reads it.

    Raises:
        FileNotFoundError: if the folder has no pytorch_lora_weights.safetensors.
        ValueError: if there is an adapter already, or the file does not fit the network.
    """
    from peft import set_peft_model_state_dict

    name, module = network(generator)
    file = Path(folder) / WEIGHTS
    state, settings = _read(file, name)
    targets = sorted({key.rsplit(".lora_", 1)[0] for key in state})
    modules = dict(module.named_modules())
    strange = [target for target in targets if target not in modules]
    if not state or strange:
        raise ValueError(
            f"{file} does not fit {type(module).__name__}: "
            + (f"it has no module {strange[0]!r}" if strange else f"no key begins with {name!r}")
            + "; load it into the class of network it was trained on"
        )
    _inject(generator, _config_of(state, settings, targets))
    outcome = set_peft_model_state_dict(module, state, ADAPTER)
    if outcome.unexpected_keys:
        raise ValueError(f"{file}: keys that no adapter has: {outcome.unexpected_keys[:3]}")
    return ADAPTER


@contextmanager
def adapter_off(generator: Generator) -> Iterator[None]:
    """The base model inside the `with`, bit for bit; afterwards the adapter is as it was. Without an adapter nothing changes.

    Not safe while another thread uses the network.
    """
    with adapters_off(adapter_layers(generator.denoiser)):
        yield


def _inject(generator: Generator, config: Any) -> None:
    from peft import inject_adapter_in_model

    module = network(generator)[1]
    if getattr(module, "peft_config", None):
        raise ValueError(
            f"generator {generator.name!r} has an adapter already; load the generator again, or train that one"
        )
    inject_adapter_in_model(config, module, ADAPTER)
    if hasattr(module, "_hf_peft_config_loaded"):
        module._hf_peft_config_loaded = True  # diffusers' own adapter methods ask for it
    for key, parameter in module.named_parameters():
        parameter.requires_grad_("lora_" in key)
        if "lora_" in key:
            parameter.data = parameter.data.float()
    generator.__dict__.pop("fingerprint", None)  # it is another model now


def _peft_config(generator: Generator) -> Any:
    configs = getattr(network(generator)[1], "peft_config", None)
    if not configs:
        raise ValueError(f"generator {generator.name!r} has no adapter; call add_lora or load_lora first")
    return configs[ADAPTER]


def _read(file: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, settings) of the network called `name`, prefixes taken off; settings are empty if the file has
    none."""
    if not file.is_file():
        raise FileNotFoundError(f"no adapter in {file.parent}: {WEIGHTS} is missing")
    with safe_open(str(file), framework="pt") as opened:
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  # not a mapping
        settings = json.loads((opened.metadata() or {}).get("lora_adapter_metadata", "{}"))
    own = f"{name}."
    wrong = [k for k in tensors if k.startswith(own) and ".lora_A." not in k and ".lora_B." not in k]
    if wrong:
        raise ValueError(
            f"{file} holds {wrong[0]!r}, which is not diffusers' layout (… .lora_A.weight); load it into the pipeline "
            "and save it from there"
        )
    return (
        {k.removeprefix(own): v for k, v in tensors.items() if k.startswith(own)},
        {k.removeprefix(own): v for k, v in settings.items() if k.startswith(own)},
    )


def _config_of(state: Mapping[str, Tensor], settings: Mapping[str, Any], targets: list[str]) -> Any:
    """The peft configuration of a file's adapter; ranks that differ from layer to layer are kept."""
    from peft import LoraConfig

    ranks = {key.rsplit(".lora_", 1)[0]: len(v) for key, v in state.items() if ".lora_A." in key}
    rank = settings.get("r", next(iter(ranks.values())))
    odd = {target: r for target, r in ranks.items() if r != rank}
    return LoraConfig(
        r=rank,
        lora_alpha=settings.get("lora_alpha", rank),
        target_modules=targets,
        rank_pattern=odd,
        alpha_pattern=settings.get("alpha_pattern") or ({} if settings else odd),
        use_rslora=settings.get("use_rslora", False),
        use_dora=settings.get("use_dora", False),
    )
