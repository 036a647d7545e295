"""diffusers pipelines as generators, by the class name in `model_index.json`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from diffusion_core.adapters import readers
from diffusion_core.adapters.canvas import Canvas
from diffusion_core.adapters.quantize import to_nf4
from diffusion_core.generator import Generator

# class name -> (reader, default steps, default guidance); the defaults are those of the pipeline's own
# `__call__`, unless the reader knows better
PIPELINES = {
    "CogVideoXPipeline": (readers.cogvideox, 50, 6.0),
    "FluxPipeline": (readers.flux, 28, 1.0),
    "PixArtAlphaPipeline": (readers.pixart, 20, 4.5),
    "PixArtSigmaPipeline": (readers.pixart, 20, 4.5),
    "StableDiffusionPipeline": (readers.stable_diffusion, 50, 7.5),
    "StableDiffusionXLPipeline": (readers.stable_diffusion, 50, 5.0),
    "StableDiffusion3Pipeline": (readers.stable_diffusion_3, 28, 7.0),
    "WanPipeline": (readers.wan, 50, 5.0),
}


def load_pipeline(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    canvas: Canvas | None = None,
    quantize: str | None = None,
) -> Generator:
    """The generator in a pipeline's folder, or under its hub id.

    Raises:
        ValueError: if its class has no adapter, `canvas` does not fit it, or `quantize` is unknown.
        FileNotFoundError: if there is no such folder, and no such id on the hub or no way to it.
    """
    import diffusers

    if quantize not in (None, "nf4"):
        raise ValueError(f"unknown quantize={quantize!r}; known: nf4")
    try:
        index = diffusers.DiffusionPipeline.load_config(name)
    except OSError as error:
        raise FileNotFoundError(
            f"no generator {name!r}: not a folder here, and the hub gave no model_index.json ({error}); "
            "check the name, or fetch it once on a machine with network and name its folder"
        ) from error
    class_name = index["_class_name"]
    if class_name not in PIPELINES:
        raise ValueError(
            f"{name}: no adapter for pipeline class {class_name!r}; known: {', '.join(sorted(PIPELINES))}"
        )
    read, steps, guidance = PIPELINES[class_name]
    cls = getattr(diffusers, class_name)
    # parts that a pipeline was saved without must be named as None; diffusers knows all optional ones but
    # SD3's T5
    optional = [*cls._optional_components, *(["text_encoder_3", "tokenizer_3"] if "3" in class_name else [])]
    without: dict[str, Any] = {part: None for part in optional if not (index.get(part) or [None])[0]}
    # the safety checker and its features are not run here
    if class_name == "StableDiffusionPipeline":
        without |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipe = cls.from_pretrained(name, torch_dtype=dtype, **without)
    if quantize is not None:
        to_nf4(pipe.unet if "unet" in index else pipe.transformer, device)
    for module in pipe.components.values():
        if isinstance(module, torch.nn.Module):
            module.to(device).eval().requires_grad_(False)
    parts = {"steps": steps, "guidance": guidance, **read(pipe, canvas)}
    video = len(parts["shape"]) == 4
    return Generator(
        **parts,
        name=Path(name).name,
        licence=declared_licence(name),
        batch_size=(8 if video else 64) if device.type == "cpu" else (1 if video else 8),
        device=device,
    )


def declared_licence(name: str) -> str:
    """The `license:` of a model card's front matter, or "unknown": in the folder, or on the hub."""
    card = Path(name) / "README.md"
    if Path(name).is_dir():
        return _front_matter_licence(card.read_text(encoding="utf-8")) if card.is_file() else "unknown"
    from huggingface_hub import ModelCard
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return _front_matter_licence(ModelCard.load(name).content)
    except (EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OSError):
        return "unknown"  # a card that cannot be fetched declares nothing


def _front_matter_licence(text: str) -> str:
    front = re.match(r"\A---\n(.*?)\n---", text, re.DOTALL)
    fields = (
        dict(re.findall(r"^(license|license_name):\s*[\"']?([^\s\"']+)", front.group(1), re.MULTILINE))
        if front
        else {}
    )
    licence = fields.get("license", "unknown")
    return fields.get("license_name", "unknown") if licence == "other" else licence
