"""Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598) as a denoiser around a denoiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_core.denoiser import Denoiser, time_rows
from diffusion_core.types import Cond, Time


@dataclass(frozen=True, eq=False)
class GuidedCond:
    """The prompt's conditioning and the one to move away from, row by row."""

    positive: Cond
    negative: Cond

    def map(self, edit: Callable[[Tensor], Tensor]) -> GuidedCond:
        return GuidedCond(self.positive.map(edit), self.negative.map(edit))


class ClassifierFree(Denoiser):
    """raw = negative + scale (positive - negative), both from one forward of 2B rows, the negative ones
    first.

    Guidance commutes with `Process.convert`, which is affine with the same slope for both rows, so it is
    done on the raw output.
    A scale of 1 is the conditional model and costs one forward of B rows. `detach_uncond` cuts the gradient
    of the negative branch (Flow-GRPO trains so; DDPO keeps it).
    """

    def __init__(self, inner: Denoiser, scale: float, *, detach_uncond: bool = False) -> None:
        super().__init__(inner.process, inner.kind)
        self.inner, self.scale, self.detach_uncond = inner, scale, detach_uncond

    def raw(self, x_t: Tensor, t: Time, cond: GuidedCond) -> Tensor:
        if self.scale == 1:
            return self.inner.raw(x_t, t, cond.positive)
        both = Cond.cat([cond.negative, cond.positive])
        negative, positive = self.inner.raw(torch.cat([x_t, x_t]), time_rows(t, x_t).repeat(2), both).chunk(2)
        if self.detach_uncond:
            negative = negative.detach()
        return negative + self.scale * (positive - negative)

    def modules(self) -> dict[str, torch.nn.Module]:
        return self.inner.modules()
