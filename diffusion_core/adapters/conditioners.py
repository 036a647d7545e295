"""A pipeline's own `encode_prompt` as a conditioner, so that text is read as its authors read it.

Every class pads to a length of its own, so a row does not depend on the other prompts of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from diffusion_core.types import Cond


class PipelineConditioner:
    """Stable Diffusion 1 and 2: "text" (B, L, D). The base of the others, which all run `pipe.encode_prompt`."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        return Cond({"text": self.encode(prompts, num_images_per_prompt=1)[0]})

    def encode(self, prompts: Sequence[str], **options: Any) -> Any:
        """What the pipeline returns for the prompts alone, without its own negative ones."""
        return self.pipe.encode_prompt(
            prompt=list(prompts), device=self.pipe.device, do_classifier_free_guidance=False, **options
        )

    def rows(self, values: Sequence[float], count: int) -> torch.Tensor:
        """The same numbers for every prompt, (count, len(values)) float32."""
        return torch.tensor(values, device=self.pipe.device, dtype=torch.float32).repeat(count, 1)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {
            k: v for k, v in self.pipe.components.items() if k.startswith("text_encoder") and v is not None
        }


class SDXLConditioner(PipelineConditioner):
    """ "text", "pooled" (B, P) and "time_ids" (B, 6): original size, crop at (0, 0), target size, in pixels."""

    def __init__(self, pipe: Any, canvas: tuple[int, int]) -> None:
        super().__init__(pipe)
        self.canvas = canvas

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        text, _, pooled, _ = self.encode(prompts)
        if negative and self.pipe.config.force_zeros_for_empty_prompt:
            real = torch.tensor([bool(p) for p in prompts], device=text.device)
            text, pooled = text * real.view(-1, 1, 1), pooled * real.view(-1, 1)
        time_ids = self.rows([*self.canvas, 0, 0, *self.canvas], len(prompts))
        return Cond({"text": text, "pooled": pooled, "time_ids": time_ids})


class SD3Conditioner(PipelineConditioner):
    """ "text", of two CLIP encoders and T5, and "pooled" (B, P)."""

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        text, _, pooled, _ = self.encode(prompts, prompt_2=None, prompt_3=None)
        return Cond({"text": text, "pooled": pooled})


class FluxConditioner(PipelineConditioner):
    """ "text" of T5, "pooled" of CLIP, and for a guidance-distilled model the scale it is told, "guidance" (B,)."""

    def __init__(self, pipe: Any, *, max_tokens: int, guidance: float | None) -> None:
        super().__init__(pipe)
        self.max_tokens, self.guidance = max_tokens, guidance

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        text, pooled, _ = self.pipe.encode_prompt(
            prompt=list(prompts), device=self.pipe.device, max_sequence_length=self.max_tokens
        )
        tensors = {"text": text, "pooled": pooled}
        if self.guidance is not None:
            tensors["guidance"] = self.rows([self.guidance], len(prompts))[:, 0]
        return Cond(tensors)


class PixArtConditioner(PipelineConditioner):
    """Masked "text" of T5. Alpha's larger models are told "resolution" (B, 2), height and width in pixels, and
    "aspect_ratio" (B, 1)."""

    def __init__(self, pipe: Any, *, max_tokens: int, canvas: tuple[int, int] | None) -> None:
        super().__init__(pipe)
        self.max_tokens, self.canvas = max_tokens, canvas

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        text, mask, _, _ = self.encode(prompts, max_sequence_length=self.max_tokens)
        tensors = {"text": text}
        if self.canvas is not None:
            height, width = self.canvas
            tensors["resolution"] = self.rows([height, width], len(prompts))
            tensors["aspect_ratio"] = self.rows([height / width], len(prompts))
        return Cond(tensors, mask)


class VideoConditioner(PipelineConditioner):
    """Wan and CogVideoX: "text" (B, max_tokens, D) of T5 or UMT5, whose networks take no mask."""

    def __init__(self, pipe: Any, *, max_tokens: int) -> None:
        super().__init__(pipe)
        self.max_tokens = max_tokens

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        return Cond({"text": self.encode(prompts, max_sequence_length=self.max_tokens)[0]})
