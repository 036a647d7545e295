"""What each pipeline class means in our terms: its conditioner, denoiser, process, kernel, decoder and shape.

`canvas` is the size in pixels, None for the model's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from diffusion_core.adapters.canvas import Canvas, image_canvas, video_canvas
from diffusion_core.adapters.conditioners import (
    FluxConditioner,
    PipelineConditioner,
    PixArtConditioner,
    SD3Conditioner,
    SDXLConditioner,
    VideoConditioner,
)
from diffusion_core.adapters.decoders import CogVideoXDecoder, VaeDecoder, WanDecoder
from diffusion_core.adapters.dit import FluxDenoiser, PixArtDenoiser, SD3Denoiser
from diffusion_core.adapters.unet import UNetDenoiser
from diffusion_core.adapters.video import CogVideoXDenoiser, WanDenoiser
from diffusion_core.kernels import DDIM, FlowEuler
from diffusion_core.processes import DDPM, Flow

KINDS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}


def ddpm_from_scheduler(config: Mapping[str, Any]) -> DDPM:
    """The process that a diffusers scheduler's configuration describes."""
    if config.get("trained_betas") is not None:
        raise ValueError("this scheduler carries its own `trained_betas`; only named schedules are supported")
    spacing = config.get("timestep_spacing", "leading")
    if spacing == "linspace" and "solver_order" in config:
        spacing = "linspace_open"  # DPM-Solver and UniPC leave out the time 0
    return DDPM(
        train_steps=config["num_train_timesteps"],
        beta_start=config["beta_start"],
        beta_end=config["beta_end"],
        schedule=config["beta_schedule"],
        final_alpha_one=config.get("set_alpha_to_one", True),
        snr_shift=config.get("snr_shift_scale", 1.0),
        zero_terminal_snr=config.get("rescale_betas_zero_snr", False),
        spacing=spacing,
        steps_offset=config.get("steps_offset", 0),
    )


def prediction_kind(config: Mapping[str, Any]) -> str:
    """What a diffusers scheduler's configuration says that the network predicts."""
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in KINDS:
        raise ValueError(
            f"unknown prediction_type {prediction!r} in the scheduler; known: {', '.join(KINDS)}"
        )
    return KINDS[prediction]


def flow_from_scheduler(config: Mapping[str, Any], tokens: int) -> Flow:
    """The flow whose shift a scheduler's configuration gives, for a picture of so many image tokens.

    With `use_dynamic_shifting` its logarithm grows linearly with the tokens, from base_shift to max_shift
    (FLUX); "linear" time shifting takes the value itself. UniPC names its shift `flow_shift` (Wan).
    """
    if not config.get("use_dynamic_shifting", False):
        return Flow(shift=config.get("flow_shift", config.get("shift", 1.0)))
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    mu = low + (high - low) * (tokens - few) / (many - few)
    return Flow(shift=mu if config.get("time_shift_type") == "linear" else math.exp(mu))


def stable_diffusion(pipe: Any, canvas: Canvas | None) -> dict[str, Any]:
    """SD 1, 2 and XL. The sampler is DDIM with eta 0 on the pipeline's own times, whatever scheduler it was
    saved with."""
    process = ddpm_from_scheduler(pipe.scheduler.config)
    factor, side = pipe.vae_scale_factor, pipe.unet.config.sample_size
    height, width = image_canvas(canvas, (side * factor, side * factor), factor)
    large = type(pipe).__name__ == "StableDiffusionXLPipeline"
    return {
        "conditioner": SDXLConditioner(pipe, (height, width)) if large else PipelineConditioner(pipe),
        "denoiser": UNetDenoiser(process, prediction_kind(pipe.scheduler.config), pipe.unet),
        "process": process,
        "kernel": DDIM(process),
        "decoder": VaeDecoder(pipe.vae),
        "shape": (pipe.unet.config.in_channels, height // factor, width // factor),
        "canvas": (height, width),
    }


def stable_diffusion_3(pipe: Any, canvas: Canvas | None) -> dict[str, Any]:
    """SD3 and SD3.5: flow matching, Euler steps on shifted times."""
    config, factor = pipe.transformer.config, pipe.vae_scale_factor
    patch = factor * config.patch_size
    height, width = image_canvas(canvas, (config.sample_size * factor,) * 2, patch)
    if max(height, width) > config.pos_embed_max_size * patch:
        raise ValueError(
            f"canvas {(height, width)}: this network has positions up to {config.pos_embed_max_size * patch} pixels"
        )
    process = flow_from_scheduler(pipe.scheduler.config, height // patch * (width // patch))
    return {
        "conditioner": SD3Conditioner(pipe),
        "denoiser": SD3Denoiser(
            process, "flow", pipe.transformer, time_scale=pipe.scheduler.config.num_train_timesteps
        ),
        "process": process,
        "kernel": FlowEuler(process),
        "decoder": VaeDecoder(pipe.vae),
        "shape": (config.in_channels, height // factor, width // factor),
        "canvas": (height, width),
    }


def flux(pipe: Any, canvas: Canvas | None) -> dict[str, Any]:
    """FLUX.1, 1024 pixels. `dev` is distilled from guidance and told a scale of 3.5; a request's `guidance` is true
    classifier-free guidance on top, which costs a second forward and is off (1) by default.

    Without the guidance embedding it is `schnell`: 4 steps and 256 tokens, as its card says.
    """
    config, factor = pipe.transformer.config, pipe.vae_scale_factor
    distilled = config.guidance_embeds
    height, width = image_canvas(canvas, (pipe.default_sample_size * factor,) * 2, 2 * factor)
    process = flow_from_scheduler(pipe.scheduler.config, height // (2 * factor) * (width // (2 * factor)))
    return {
        "conditioner": FluxConditioner(
            pipe, max_tokens=512 if distilled else 256, guidance=3.5 if distilled else None
        ),
        "denoiser": FluxDenoiser(process, "flow", pipe.transformer, time_scale=1.0),
        "process": process,
        "kernel": FlowEuler(process),
        "decoder": VaeDecoder(pipe.vae),
        "shape": (config.in_channels // 4, height // factor, width // factor),
        "canvas": (height, width),
        "steps": 28 if distilled else 4,
    }


def pixart(pipe: Any, canvas: Canvas | None) -> dict[str, Any]:
    """PixArt-Alpha and -Sigma: DDIM with eta 0, whatever scheduler it was saved with."""
    process = ddpm_from_scheduler(pipe.scheduler.config)
    config, factor = pipe.transformer.config, pipe.vae_scale_factor
    size = image_canvas(canvas, (config.sample_size * factor,) * 2, factor * config.patch_size)
    told = size if pipe.transformer.use_additional_conditions else None
    tokens = 120 if type(pipe).__name__ == "PixArtAlphaPipeline" else 300
    return {
        "conditioner": PixArtConditioner(pipe, max_tokens=tokens, canvas=told),
        "denoiser": PixArtDenoiser(
            process, prediction_kind(pipe.scheduler.config), pipe.transformer, time_scale=1.0
        ),
        "process": process,
        "kernel": DDIM(process),
        "decoder": VaeDecoder(pipe.vae),
        "shape": (config.in_channels, size[0] // factor, size[1] // factor),
        "canvas": size,
    }


def wan(pipe: Any, canvas: Canvas | None) -> dict[str, Any]:
    """Wan text-to-video: 81 frames of 480 by 832, for the 5B model of 2.2 121 of 704 by 1280.

    Raises:
        ValueError: for the two-network models of Wan 2.2 (A14B): an adapter, a loss and a process here belong to one
            network.
    """
    if pipe.config.boundary_ratio is not None or pipe.transformer_2 is not None:
        raise ValueError(
            "this Wan pipeline switches between two transformers (boundary_ratio "
            f"{pipe.config.boundary_ratio}); take a model with one: Wan2.1-T2V or Wan2.2-TI2V-5B"
        )
    spatial, temporal = pipe.vae_scale_factor_spatial, pipe.vae_scale_factor_temporal
    config = pipe.transformer.config
    if config.patch_size[1] != config.patch_size[2]:
        raise ValueError(f"patches of {tuple(config.patch_size)} (frames, height, width) are not square")
    default = (121, 704, 1280) if pipe.config.expand_timesteps else (81, 480, 832)
    frames, height, width = video_canvas(canvas, default, spatial * config.patch_size[1], temporal)
    shape = config.in_channels, (frames - 1) // temporal + 1, height // spatial, width // spatial
    process = flow_from_scheduler(pipe.scheduler.config, math.prod(shape[1:]) // math.prod(config.patch_size))
    return {
        "conditioner": VideoConditioner(pipe, max_tokens=512),
        "denoiser": WanDenoiser(
            process, "flow", pipe.transformer, time_scale=pipe.scheduler.config.num_train_timesteps
        ),
        "process": process,
        "kernel": FlowEuler(process),
        "decoder": WanDecoder(pipe.vae),
        "shape": shape,
        "canvas": (frames, height, width),
    }


def cogvideox(pipe: Any, canvas: Canvas | None) -> dict[str, Any]:
    """CogVideoX text-to-video, 49 frames of 480 by 720 (1.5: 81 of 768 by 1360): v-prediction, DDIM with eta 0."""
    process = ddpm_from_scheduler(pipe.scheduler.config)
    config = pipe.transformer.config
    spatial, temporal = pipe.vae_scale_factor_spatial, int(pipe.vae_scale_factor_temporal)
    default = (config.sample_frames, config.sample_height * spatial, config.sample_width * spatial)
    if config.patch_size_t is not None:
        default = (81, 768, 1360)  # 1.5: its configuration names the square of its longer side
    frames, height, width = video_canvas(canvas, default, spatial * config.patch_size, temporal)
    latent_frames = (frames - 1) // temporal + 1
    padding = -latent_frames % (config.patch_size_t or 1)
    return {
        "conditioner": VideoConditioner(pipe, max_tokens=config.max_text_seq_length),
        "denoiser": CogVideoXDenoiser(
            process, prediction_kind(pipe.scheduler.config), pipe.transformer, time_scale=1.0
        ),
        "process": process,
        "kernel": DDIM(process),
        "decoder": CogVideoXDecoder(pipe.vae, padding),
        "shape": (config.in_channels, latent_frames + padding, height // spatial, width // spatial),
        "canvas": (frames, height, width),
    }
