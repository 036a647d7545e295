"""Tiny random pipelines and zoo folders of the real classes, built in process: what tests and dry runs load
by path. `TINY` has all pipelines by name.

Weights come from torch's global generator, so `torch.manual_seed` makes them repeatable. Pictures are noise;
code paths are real.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from diffusion_core.adapters.builders_parts import (
    SIDE,
    TOKENS,
    clip_encoder,
    clip_tokenizer,
    image_vae,
    t5_encoder,
    t5_tokenizer,
)
from diffusion_core.adapters.builders_video import FRAMES, cogvideox, wan


def _unet(text_width: int, **config: Any) -> torch.nn.Module:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=text_width,
        **config,
    ).eval()


def stable_diffusion(prediction: str = "epsilon") -> Any:
    """A `StableDiffusionPipeline` of SD 1.5's make; `prediction` "v_prediction" is SD 2.1's."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    tokenizer = clip_tokenizer()
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
    return StableDiffusionPipeline(
        vae=image_vae(4),
        text_encoder=clip_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(16),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_in_proportion() -> Any:
    """SD 1.5's blocks with a fifth of the channels, for 256 pixels: UNet, text encoder and VAE cost each other's multiples that the real
    ones do. For timing: random weights, the UNet of 34 M parameters.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    pipe = stable_diffusion()
    width, tokenizer = 128, pipe.tokenizer
    unet = UNet2DConditionModel(
        sample_size=32,
        cross_attention_dim=width,
        block_out_channels=(64, 128, 256, 256),
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(26, 52, 104, 104),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=13,
    )
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=4,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    tokenizer.model_max_length = 77
    pipe.register_modules(unet=unet.eval(), vae=vae.eval(), text_encoder=CLIPTextModel(text).eval())
    return pipe


def stable_diffusion_xl() -> Any:
    """A `StableDiffusionXLPipeline`: two text encoders, pooled text and sizes as added conditioning."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    tokenizer = clip_tokenizer()
    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 16 + 6 * 4,
    }
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )
    return StableDiffusionXLPipeline(
        vae=image_vae(4, force_upcast=True),
        text_encoder=clip_encoder(tokenizer),
        text_encoder_2=clip_encoder(tokenizer, projected=True),
        tokenizer=tokenizer,
        tokenizer_2=clip_tokenizer(),
        unet=_unet(32, **added),
        scheduler=scheduler,
    )


def stable_diffusion_3() -> Any:
    """A `StableDiffusion3Pipeline`: two CLIP encoders and T5."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    tokenizer, t5 = clip_tokenizer(), t5_tokenizer()
    transformer = SD3Transformer2DModel(
        sample_size=SIDE,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=32,
        pos_embed_max_size=SIDE,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=image_vae(4, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip_encoder(tokenizer, projected=True),
        tokenizer=tokenizer,
        text_encoder_2=clip_encoder(tokenizer, projected=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_encoder(len(t5)),
        tokenizer_3=t5,
    )


def flux(guidance_embeds: bool = True) -> Any:
    """A `FluxPipeline`: `dev` with its guidance embedding and dynamic shift, or `schnell` without either."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    tokenizer, t5 = clip_tokenizer(), t5_tokenizer()
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=16,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(2, 2, 4),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0 if guidance_embeds else 1.0, use_dynamic_shifting=guidance_embeds
        ),
        vae=image_vae(4, shift_factor=0.1, scaling_factor=0.4),
        text_encoder=clip_encoder(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=t5_encoder(len(t5)),
        tokenizer_2=t5,
        transformer=transformer.eval(),
    )


def pixart(alpha: bool = False) -> Any:
    """A `PixArtSigmaPipeline`, or Alpha's at 1024 pixels, which is told the size of the picture."""
    from diffusers import (
        DPMSolverMultistepScheduler,
        PixArtAlphaPipeline,
        PixArtSigmaPipeline,
        PixArtTransformer2DModel,
    )

    t5 = t5_tokenizer()
    transformer = PixArtTransformer2DModel(
        sample_size=128 if alpha else SIDE,  # Alpha's pipeline knows by the 128 that the size is wanted
        patch_size=2,
        in_channels=4,
        out_channels=8,  # half of them a variance, as in the released weights
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=12,
        cross_attention_dim=24,
        caption_channels=32,
        use_additional_conditions=alpha,
    )
    scheduler = DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear")
    pipeline = PixArtAlphaPipeline if alpha else PixArtSigmaPipeline
    return pipeline(
        tokenizer=t5,
        text_encoder=t5_encoder(len(t5)),
        vae=image_vae(4),
        transformer=transformer.eval(),
        scheduler=scheduler,
    )


def save_zoo(folder: Path, transformer: str = "PixArtTransformer2DModel", prediction: str = "x0") -> None:
    """Write a tiny generator in the zoo's own format, with either transformer class."""
    from diffusers import PixArtTransformer2DModel, SD3Transformer2DModel
    from transformers import BertConfig, BertModel

    from diffusion_core.adapters.zoo_modules import word_tokenizer

    tokenizer = word_tokenizer(["a", "red", "blue", "circle", "square", "on", "white", ","], TOKENS)
    shared = {"sample_size": 16, "patch_size": 4, "in_channels": 3, "out_channels": 3, "num_layers": 2}
    shared |= {"num_attention_heads": 2, "attention_head_dim": 8}
    if transformer == "SD3Transformer2DModel":
        model: Any = SD3Transformer2DModel(
            joint_attention_dim=16,
            caption_projection_dim=16,
            pooled_projection_dim=16,
            pos_embed_max_size=4,
            **shared,
        )
    elif transformer == "PixArtTransformer2DModel":
        model = PixArtTransformer2DModel(
            cross_attention_dim=16, caption_channels=16, use_additional_conditions=False, **shared
        )
    else:
        raise ValueError(
            f"no tiny zoo for {transformer!r}; known: PixArtTransformer2DModel, SD3Transformer2DModel"
        )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=TOKENS,
        type_vocab_size=1,
        pad_token_id=tokenizer.pad_token_id,
    )
    manifest = {
        "format": "rewright-generator",
        "process": "flow",
        "prediction": prediction,
        "canvas": 16,
        "steps": 3,
        "guidance": 3.0,
        "max_tokens": TOKENS,
        "time_scale": 1000,
        "licence": "Apache-2.0",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "generator.json").write_text(json.dumps(manifest, indent=2) + "\n")
    model.half().save_pretrained(folder / "transformer")
    BertModel(config, add_pooling_layer=False).half().save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")


TINY: dict[str, Callable[[], Any]] = {
    "sd15": stable_diffusion,
    "sd21": partial(stable_diffusion, "v_prediction"),
    "sdxl": stable_diffusion_xl,
    "sd3": stable_diffusion_3,
    "flux": flux,
    "pixart": pixart,
    "wan": wan,
    "cogvideox": cogvideox,
}
# the size to load them at, where the configuration names none and the model's own would be large
TINY_CANVAS: dict[str, tuple[int, ...]] = {
    "flux": (2 * SIDE, 2 * SIDE),
    "wan": (FRAMES, 2 * SIDE, 2 * SIDE),
}
