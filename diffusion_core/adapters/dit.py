"""Diffusion transformers as denoisers, and the small BERT conditioner of the embedded generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from diffusion_core.denoiser import Denoiser, float_dtype, time_rows
from diffusion_core.processes import Process
from diffusion_core.types import Cond, Time


class TransformerDenoiser(Denoiser):
    """A transformer that is told t * `time_scale`. Runs in its own dtype; input and output keep the
    caller's."""

    def __init__(
        self, process: Process, kind: str, module: torch.nn.Module, *, time_scale: float = 1000.0
    ) -> None:
        super().__init__(process, kind)
        self.module, self.time_scale = module, time_scale

    def inputs(self, x_t: Tensor, t: Time) -> tuple[Tensor, Tensor]:
        """`x_t` in the network's dtype, and the network's time (B,) float32."""
        dtype = float_dtype(self.module)
        return x_t.to(dtype), (time_rows(t, x_t) * self.time_scale).float()

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"transformer": self.module}


class SD3Denoiser(TransformerDenoiser):
    """`SD3Transformer2DModel`: joint attention over "text" (B, L, D), unmasked, and "pooled" (B, P)."""

    def raw(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        x, time = self.inputs(x_t, t)
        text, pooled = cond["text"].to(x.dtype), cond["pooled"].to(x.dtype)
        out = self.module(
            x, encoder_hidden_states=text, pooled_projections=pooled, timestep=time, return_dict=False
        )[0]
        return out.to(x_t.dtype)


class PixArtDenoiser(TransformerDenoiser):
    """`PixArtTransformer2DModel`: cross-attention to "text" (B, L, D) where the mask is 1. Learned-variance
    channels are dropped. Alpha's size comes as "resolution" (B, 2) and "aspect_ratio" (B, 1)."""

    def raw(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        x, time = self.inputs(x_t, t)
        added = {k: cond[k].to(x.dtype) for k in ("resolution", "aspect_ratio") if k in cond}
        out = self.module(
            x,
            encoder_hidden_states=cond["text"].to(x.dtype),
            timestep=time,
            encoder_attention_mask=cond.mask,
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        return out[:, : x.shape[1]].to(x_t.dtype)


class FluxDenoiser(TransformerDenoiser):
    """`FluxTransformer2DModel`: joint attention over "text" (B, L, D), unmasked, with "pooled" (B, P), and "guidance"
    (B,) if it was distilled.

    It sees tokens of 2 by 2 latents; the network multiplies the time by 1000 itself.
    """

    def raw(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        x, time = self.inputs(x_t, t)
        text = cond["text"].to(x.dtype)
        _, _, height, width = x.shape
        out = self.module(
            hidden_states=pack(x),
            timestep=time,
            guidance=cond["guidance"].float() if "guidance" in cond else None,
            pooled_projections=cond["pooled"].to(x.dtype),
            encoder_hidden_states=text,
            txt_ids=torch.zeros(text.shape[1], 3, dtype=x.dtype, device=x.device),
            img_ids=positions(height // 2, width // 2).to(x),
            return_dict=False,
        )[0]
        return unpack(out, height, width).to(x_t.dtype)


def pack(x_BCHW: Tensor) -> Tensor:
    """Tokens (B, H/2 W/2, 4C), each a 2 by 2 block, channels outermost."""
    blocks = x_BCHW.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, C, H/2, 2, W/2, 2)
    return blocks.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`, (B, C, height, width)."""
    blocks = tokens.unflatten(1, (height // 2, width // 2)).unflatten(3, (-1, 2, 2))
    return blocks.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def positions(rows: int, columns: int) -> Tensor:
    """(rows columns, 3): 0, row and column of each token, for the rotary embedding."""
    return torch.cartesian_prod(torch.zeros(1), torch.arange(rows).float(), torch.arange(columns).float())


DENOISERS = {"PixArtTransformer2DModel": PixArtDenoiser, "SD3Transformer2DModel": SD3Denoiser}


class BertConditioner:
    """Last hidden states of a `BertModel` over at most `max_tokens` tokens; what is longer is cut.

    `joint` is for SD3-class networks, which cannot mask: every prompt is padded to `max_tokens` with zero
    vectors, so that a picture does not depend on the longest prompt in its batch, and "pooled" is the mean
    over real tokens.
    """

    def __init__(
        self, tokenizer: Any, text_encoder: torch.nn.Module, max_tokens: int, *, joint: bool
    ) -> None:
        self.tokenizer, self.text_encoder, self.max_tokens, self.joint = (
            tokenizer,
            text_encoder,
            max_tokens,
            joint,
        )

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        device = next(self.text_encoder.parameters()).device
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length" if self.joint else True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        ).to(device)
        mask = tokens["attention_mask"]
        text = self.text_encoder(input_ids=tokens["input_ids"], attention_mask=mask).last_hidden_state
        if not self.joint:
            return Cond({"text": text}, mask)
        text = text * mask.unsqueeze(-1).to(text.dtype)
        return Cond({"text": text, "pooled": text.sum(1) / mask.sum(1, keepdim=True).to(text.dtype)})

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"text_encoder": self.text_encoder}
