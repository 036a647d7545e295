"""diffusers pipelines as generators, by the class name in `model_index.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from diffusion_core.adapters.decoders import VaeDecoder
from diffusion_core.adapters.dit import SD3Denoiser
from diffusion_core.adapters.unet import UNetDenoiser
from diffusion_core.generator import Generator
from diffusion_core.kernels import DDIM, FlowEuler
from diffusion_core.processes import DDPM, Flow
from diffusion_core.types import Cond

KINDS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}


class PipelineConditioner:
    """A pipeline's own `encode_prompt`, so that text is read as its authors read it. Rows: "text", and
    "pooled", "time_ids" if used."""

    def __init__(self, pipe: Any, *, canvas: int) -> None:
        self.pipe, self.canvas = pipe, canvas

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        pipe, count = self.pipe, len(prompts)
        kwargs: dict[str, Any] = {
            "prompt": list(prompts),
            "device": pipe.device,
            "do_classifier_free_guidance": False,
        }
        match type(pipe).__name__:
            case "StableDiffusionPipeline":
                return Cond({"text": pipe.encode_prompt(num_images_per_prompt=1, **kwargs)[0]})
            case "StableDiffusion3Pipeline":
                text, _, pooled, _ = pipe.encode_prompt(prompt_2=None, prompt_3=None, **kwargs)
                return Cond({"text": text, "pooled": pooled})
        text, _, pooled, _ = pipe.encode_prompt(**kwargs)
        if negative and pipe.config.force_zeros_for_empty_prompt:
            real = torch.tensor([bool(p) for p in prompts], device=text.device)
            text, pooled = text * real.view(-1, 1, 1), pooled * real.view(-1, 1)
        size = (self.canvas, self.canvas)  # original size, crop at (0, 0), target size
        time_ids = torch.tensor([*size, 0, 0, *size], device=text.device, dtype=torch.float32)
        return Cond({"text": text, "pooled": pooled, "time_ids": time_ids.repeat(count, 1)})

    def modules(self) -> dict[str, torch.nn.Module]:
        return {
            k: v for k, v in self.pipe.components.items() if k.startswith("text_encoder") and v is not None
        }


def ddpm_from_scheduler(config: Mapping[str, Any]) -> DDPM:
    """The process that a diffusers scheduler's configuration describes."""
    if config.get("trained_betas") is not None:
        raise ValueError("this scheduler carries its own `trained_betas`; only named schedules are supported")
    return DDPM(
        train_steps=config["num_train_timesteps"],
        beta_start=config["beta_start"],
        beta_end=config["beta_end"],
        schedule=config["beta_schedule"],
        final_alpha_one=config.get("set_alpha_to_one", True),
        zero_terminal_snr=config.get("rescale_betas_zero_snr", False),
        spacing=config.get("timestep_spacing", "leading"),
        steps_offset=config.get("steps_offset", 0),
    )


def stable_diffusion(pipe: Any) -> dict[str, Any]:
    """SD 1, 2 and XL. The sampler is DDIM with eta 0 on the pipeline's own times, whatever scheduler it was
    saved with."""
    process = ddpm_from_scheduler(pipe.scheduler.config)
    prediction = pipe.scheduler.config.get("prediction_type", "epsilon")
    if prediction not in KINDS:
        raise ValueError(
            f"unknown prediction_type {prediction!r} in the scheduler; known: {', '.join(KINDS)}"
        )
    side = pipe.unet.config.sample_size
    return {
        "conditioner": PipelineConditioner(pipe, canvas=side * pipe.vae_scale_factor),
        "denoiser": UNetDenoiser(process, KINDS[prediction], pipe.unet),
        "process": process,
        "kernel": DDIM(process),
        "shape": (pipe.unet.config.in_channels, side, side),
    }


def stable_diffusion_3(pipe: Any) -> dict[str, Any]:
    """SD3 and SD3.5: flow matching, Euler steps on shifted times."""
    process = Flow(shift=pipe.scheduler.config.shift)
    side = pipe.transformer.config.sample_size
    return {
        "conditioner": PipelineConditioner(pipe, canvas=side * pipe.vae_scale_factor),
        "denoiser": SD3Denoiser(
            process, "flow", pipe.transformer, time_scale=pipe.scheduler.config.num_train_timesteps
        ),
        "process": process,
        "kernel": FlowEuler(process),
        "shape": (pipe.transformer.config.in_channels, side, side),
    }


# class name -> (reader, default steps, default guidance); the defaults are those of the pipeline's own
# `__call__`
PIPELINES = {
    "StableDiffusionPipeline": (stable_diffusion, 50, 7.5),
    "StableDiffusionXLPipeline": (stable_diffusion, 50, 5.0),
    "StableDiffusion3Pipeline": (stable_diffusion_3, 28, 7.0),
}


def load_pipeline(name: str, device: torch.device, dtype: torch.dtype) -> Generator:
    """The generator in a pipeline's folder, or under its hub id.

    Raises:
        ValueError: if its class has no adapter.
        FileNotFoundError: if there is no such folder, and no such id on the hub or no way to it.
    """
    import diffusers

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
    pipe = cls.from_pretrained(name, torch_dtype=dtype, **without).to(device)
    for module in pipe.components.values():
        if isinstance(module, torch.nn.Module):
            module.eval().requires_grad_(False)
    return Generator(
        **read(pipe),
        decoder=VaeDecoder(pipe.vae),
        steps=steps,
        guidance=guidance,
        name=Path(name).name,
        licence=declared_licence(name),
        batch_size=64 if device.type == "cpu" else 8,
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
