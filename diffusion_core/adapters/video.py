"""Video transformers as denoisers: (B, C, F, H, W) in and out, whatever axes the network itself wants."""

from __future__ import annotations

from torch import Tensor

from diffusion_core.adapters.dit import TransformerDenoiser
from diffusion_core.types import Cond, Time


class WanDenoiser(TransformerDenoiser):
    """`WanTransformer3DModel`: cross-attention to "text" (B, L, D), unmasked."""

    def raw(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        x, time = self.inputs(x_t, t)
        out = self.module(
            hidden_states=x, timestep=time, encoder_hidden_states=cond["text"].to(x.dtype), return_dict=False
        )[0]
        return out.to(x_t.dtype)


class CogVideoXDenoiser(TransformerDenoiser):
    """`CogVideoXTransformer3DModel`, which has frames before channels: joint attention over "text" (B, L, D)."""

    def raw(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        x, time = self.inputs(x_t, t)
        out = self.module(
            hidden_states=x.transpose(1, 2),
            timestep=time,
            encoder_hidden_states=cond["text"].to(x.dtype),
            image_rotary_emb=self.rotary(x),
            return_dict=False,
        )[0]
        return out.transpose(1, 2).to(x_t.dtype)

    def rotary(self, x_BCFHW: Tensor) -> tuple[Tensor, Tensor] | None:
        """(cos, sin) of the rotary embedding, each (F H W / patches, head width); None for the 2B model, which adds
        sines."""
        from diffusers.models.embeddings import get_3d_rotary_pos_embed

        config = self.module.config
        if not config.use_rotary_positional_embeddings:
            return None
        frames, height, width = (int(n) for n in x_BCFHW.shape[2:])
        grid = height // config.patch_size, width // config.patch_size
        trained = config.sample_height // config.patch_size, config.sample_width // config.patch_size
        if config.patch_size_t is None:
            options = {"crops_coords": centred_crop(grid, trained), "temporal_size": frames}
        else:  # CogVideoX 1.5 takes the corner of its table instead of stretching it
            patches = -(-frames // config.patch_size_t)
            options = {
                "crops_coords": None,
                "temporal_size": patches,
                "grid_type": "slice",
                "max_size": trained,
            }
        return get_3d_rotary_pos_embed(
            config.attention_head_dim, grid_size=grid, device=x_BCFHW.device, **options
        )


def centred_crop(grid: tuple[int, int], trained: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, left), (bottom, right)) of the largest box of `grid`'s aspect in the middle of the grid trained on:
    where CogVideoX puts a picture of another shape."""
    height, width = grid
    most_high, most_wide = trained
    if height / width > most_high / most_wide:
        high, wide = most_high, round(most_high / height * width)
    else:
        high, wide = round(most_wide / width * height), most_wide
    top, left = round((most_high - high) / 2), round((most_wide - wide) / 2)
    return (top, left), (top + high, left + wide)
