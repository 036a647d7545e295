"""Diffusion transformers as denoisers, and the small BERT conditioner of the embedded generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from diffusion_core.denoiser import Denoiser, time_rows
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
        dtype = next(self.module.parameters()).dtype
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
    channels are dropped."""

    def raw(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        x, time = self.inputs(x_t, t)
        out = self.module(
            x,
            encoder_hidden_states=cond["text"].to(x.dtype),
            timestep=time,
            encoder_attention_mask=cond.mask,
            added_cond_kwargs={},
            return_dict=False,
        )[0]
        return out[:, : x.shape[1]].to(x_t.dtype)


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
