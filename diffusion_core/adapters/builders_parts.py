"""Tiny random parts of pipelines: tokenizers, text encoders, an image autoencoder."""

from __future__ import annotations

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


def t5_tokenizer() -> Any:
    """A `T5Tokenizer` over single letters."""
    from transformers import T5Tokenizer

    letters = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'\"-"
    special = [(token, 0.0) for token in ("<pad>", "</s>", "<unk>")]
    vocabulary = [*special, *((letter, -2.0) for letter in letters)]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=TOKENS)


def t5_encoder(vocabulary: int, *, width: int = 32) -> torch.nn.Module:
    """A `T5EncoderModel`."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=vocabulary, d_model=width, d_kv=8, d_ff=2 * width, num_layers=1, num_heads=2)
    return T5EncoderModel(config).eval()


def umt5_encoder(vocabulary: int, *, width: int = 32) -> torch.nn.Module:
    """A `UMT5EncoderModel`."""
    from transformers import UMT5Config, UMT5EncoderModel

    config = UMT5Config(
        vocab_size=vocabulary, d_model=width, d_kv=8, d_ff=2 * width, num_layers=1, num_heads=2
    )
    return UMT5EncoderModel(config).eval()


def image_vae(channels: int, **config: Any) -> torch.nn.Module:
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
