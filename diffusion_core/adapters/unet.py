"""`UNet2DConditionModel` of Stable Diffusion 1, 2 and XL as a denoiser."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion_core.denoiser import Denoiser, float_dtype, time_rows
from diffusion_core.processes import Process
from diffusion_core.types import Cond, Time


class UNetDenoiser(Denoiser):
    """Cross-attention to "text" (B, L, D). SDXL's micro-conditioning comes as "pooled" (B, P) and "time_ids"
    (B, 6)."""

    def __init__(self, process: Process, kind: str, module: torch.nn.Module) -> None:
        super().__init__(process, kind)
        self.module = module

    def raw(self, x_t: Tensor, t: Time, cond: Cond) -> Tensor:
        dtype = float_dtype(self.module)
        added = None
        if "time_ids" in cond:
            added = {"text_embeds": cond["pooled"].to(dtype), "time_ids": cond["time_ids"].to(dtype)}
        out = self.module(
            x_t.to(dtype),
            time_rows(t, x_t).float(),
            encoder_hidden_states=cond["text"].to(dtype),
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        return out.to(x_t.dtype)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"unet": self.module}
