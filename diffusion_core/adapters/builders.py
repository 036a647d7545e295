"""Tiny random pipelines and zoo folders of the real classes, built in process: what tests and dry runs load
by path.

Weights come from torch's global generator, so `torch.manual_seed` makes them repeatable. Pictures are noise;
code paths are real.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

TOKENS = 16  # text length of the tiny pipelines, where CLIP has 77
SIDE = 8  # latent height and width; pixels are twice that


def clip_tokenizer() -> Any:
    """A `CLIPTokenizer` over single bytes."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    names = ["<|startoftext|>", "<|endoftext|>", *letters, *[f"{letter}</w>" for letter in letters]]
    vocab = {name: i for i, name in enumerate(names)}
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=TOKENS)


def clip_encoder(tokenizer: Any, *, width: int = 16, projected: bool = False) -> torch.nn.Module:
    """A `CLIPTextModel`, or one with the projection that SDXL and SD3 pool with."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def t5_encoder(vocabulary: int, *, width: int = 32) -> torch.nn.Module:
    """A `T5EncoderModel`."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=vocabulary, d_model=width, d_kv=8, d_ff=2 * width, num_layers=1, num_heads=2)
    return T5EncoderModel(config).eval()


def _vae(channels: int, **config: Any) -> torch.nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        sample_size=2 * SIDE,
        **config,
    ).eval()


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
        vae=_vae(4),
        text_encoder=clip_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(16),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


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
        vae=_vae(4, force_upcast=True),
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
    from transformers import T5Tokenizer

    tokenizer, t5 = clip_tokenizer(), T5Tokenizer(model_max_length=TOKENS)
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
        vae=_vae(4, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip_encoder(tokenizer, projected=True),
        tokenizer=tokenizer,
        text_encoder_2=clip_encoder(tokenizer, projected=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_encoder(len(t5)),
        tokenizer_3=t5,
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
