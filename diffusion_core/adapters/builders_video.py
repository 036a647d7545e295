"""Tiny random pipelines of the video classes."""

from __future__ import annotations

from typing import Any

from diffusion_core.adapters.builders_parts import SIDE, TOKENS, t5_encoder, t5_tokenizer, umt5_encoder

FRAMES = 5  # of a tiny video; its VAEs fold two into one, all but the first


def wan() -> Any:
    """A `WanPipeline` of Wan 2.1's make, with the Euler scheduler."""
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        WanPipeline,
        WanTransformer3DModel,
    )

    t5 = t5_tokenizer()
    vae = AutoencoderKLWan(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[True],
        latents_mean=[-0.8, 0.1, 0.5, 0.0],
        latents_std=[2.8, 1.5, 1.0, 0.7],
        scale_factor_temporal=2,
        scale_factor_spatial=2,
    )
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=32,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
    )
    return WanPipeline(
        tokenizer=t5,
        text_encoder=umt5_encoder(len(t5)),
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        transformer=transformer.eval(),
    )


def cogvideox(rotary: bool = True, patch_size_t: int | None = None) -> Any:
    """A `CogVideoXPipeline` with the 5B model's rotary positions, or the 2B one's sines; 1.5 has patches of two
    frames."""
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXPipeline,
        CogVideoXTransformer3DModel,
    )

    t5 = t5_tokenizer()
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 2,
        up_block_types=("CogVideoXUpBlock3D",) * 2,
        block_out_channels=(4, 4),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=2,
        sample_height=2 * SIDE,
        sample_width=2 * SIDE,
        scaling_factor=0.7,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=32,
        num_layers=1,
        sample_width=SIDE,
        sample_height=SIDE,
        sample_frames=FRAMES,
        temporal_compression_ratio=2,
        max_text_seq_length=TOKENS,
        patch_size_t=patch_size_t,
        use_rotary_positional_embeddings=rotary,
    )
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        snr_shift_scale=1.0 if rotary else 3.0,
    )
    return CogVideoXPipeline(
        tokenizer=t5,
        text_encoder=t5_encoder(len(t5)),
        vae=vae.eval(),
        transformer=transformer.eval(),
        scheduler=scheduler,
    )
