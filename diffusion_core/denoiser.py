"""The network as losses and samplers see it: `raw` in its own parameterisation, the call as `Pred`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_core.processes import Process
from diffusion_core.types import Pred, Time


def time_rows(t: Time, x: Tensor) -> Tensor:
    """`t` as (B,) float64 on `x`'s device, whether it came as a number, a scalar tensor or (B,)."""
    return torch.as_tensor(t, dtype=torch.float64, device=x.device).expand(len(x))


def float_dtype(module: torch.nn.Module) -> torch.dtype:
    """The precision a network computes in: of its first floating-point parameter (4-bit ones are stored as bytes),
    those aside that its class keeps in float32."""
    kept = getattr(module, "_keep_in_fp32_modules", None) or ()
    return next(
        p.dtype
        for name, p in module.named_parameters()
        if p.is_floating_point() and not any(part in name for part in kept)
    )


@dataclass
class Denoiser(ABC):
    """A network under a forward process. `kind` is what it predicts: one of `process.kinds`."""

    process: Process
    kind: str

    def __post_init__(self) -> None:
        self.process.check_kind(self.kind)

    @abstractmethod
    def raw(self, x_t: Tensor, t: Time, cond: object) -> Tensor:
        """The network's output at `x_t` (B, C, H, W), or (B, C, F, H, W) for video, in its own parameterisation:
        what losses regress. Gradients flow unless the caller forbids them."""

    def __call__(self, x_t: Tensor, t: Time, cond: object) -> Pred:
        """The output as (x0, eps): what samplers and rewards use."""
        return self.process.convert(self.raw(x_t, t, cond), self.kind, x_t, t)

    def modules(self) -> dict[str, torch.nn.Module]:
        """The networks inside, by name; empty for a formula."""
        return {}
