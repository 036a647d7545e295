"""A frozen text-to-image or text-to-video generator: Conditioner + Denoiser + Process + Kernel + Decoder behind
`generate(requests)`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from diffusion_core.denoiser import Denoiser
from diffusion_core.guidance import ClassifierFree, GuidedCond
from diffusion_core.kernels import Kernel
from diffusion_core.processes import Process
from diffusion_core.sampling import Hook, sample
from diffusion_core.types import Cond, GenerationRequest, Sample, randn_rows

ZOO = Path(__file__).parent / "zoo"
EMBEDDED = {"shapes": ZOO / "shapes_dit"}
DEFAULT_BATCH = 64


class Conditioner(Protocol):
    """Prompts to conditioning, one row per prompt. `negative` marks prompts to move away from; an empty one
    is the null prompt."""

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond: ...

    def modules(self) -> dict[str, torch.nn.Module]: ...


class Decoder(Protocol):
    """Between the denoiser's space (B, C, H, W) and pixels (B, 3, H', W') in [0, 1]; for video (B, C, F, H, W) and
    (B, 3, F', H', W')."""

    def decode(self, latents: Tensor) -> Tensor: ...

    def encode(self, pixels: Tensor) -> Tensor: ...

    def modules(self) -> dict[str, torch.nn.Module]: ...


@dataclass(frozen=True, eq=False)
class Generator:
    """Everything between a prompt and a picture or video; immutable, and safe to share between threads that only
    generate.

    `shape` is one sample's (C, H, W) in the denoiser's space, (C, F, H, W) for video; `canvas` its (H, W) or (F, H, W) in
    pixels, left out where the denoiser works on pixels. `licence` is an SPDX identifier, or "unknown".
    """

    conditioner: Conditioner
    denoiser: Denoiser
    process: Process
    kernel: Kernel
    decoder: Decoder
    shape: tuple[int, ...]
    steps: int
    guidance: float
    name: str = "generator"
    licence: str = "unknown"
    batch_size: int = DEFAULT_BATCH
    hooks: tuple[Hook, ...] = ()
    device: torch.device | str = "cpu"
    canvas: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.canvas:
            object.__setattr__(self, "canvas", self.shape[1:])

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        canvas: tuple[int, ...] | None = None,
        quantize: str | None = None,
    ) -> Generator:
        """Load the embedded generator ("shapes" or None), a zoo folder, or a diffusers pipeline (a folder or
        a hub id).

        `device` defaults to the accelerator if there is one; `dtype` to float32 on a CPU and for zoo
        folders, else to bfloat16. `canvas` is the size in pixels, (height, width) or for video (frames, height,
        width), and defaults to the model's own. `quantize="nf4"` loads the denoiser's linear layers in 4 bit
        (bitsandbytes), to train a LoRA on them.

        Raises:
            FileNotFoundError: if the folder or its weights are missing.
            ValueError: if the folder is no generator, its pipeline class is not supported, the canvas does not fit
                the network's patches, or a zoo folder is to be quantized.
        """
        from diffusion_core.adapters.pipelines import load_pipeline
        from diffusion_core.adapters.zoo import load_zoo

        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        given = str(name or "shapes")
        folder = EMBEDDED.get(given, Path(given))
        if given in EMBEDDED or (folder / "generator.json").exists():
            if quantize is not None:
                raise ValueError(
                    f"quantize={quantize!r}: the zoo's networks are small and load in float32 only"
                )
            return load_zoo(folder, place, canvas)
        if folder.is_dir() and not (folder / "model_index.json").exists():
            raise ValueError(
                f"{folder} has neither generator.json nor model_index.json; name a generator's folder"
            )
        if not folder.is_dir() and (folder.is_absolute() or given.startswith(".") or given.count("/") != 1):
            known = ", ".join(sorted(EMBEDDED))
            raise FileNotFoundError(
                f"no generator {given!r}: not a folder, not a hub id (owner/name), not one of: {known}"
            )
        precision = dtype or (torch.float32 if place.type == "cpu" else torch.bfloat16)
        return load_pipeline(given, place, precision, canvas, quantize)

    def defaults(self, *, steps: int | None = None, guidance: float | None = None) -> Generator:
        """The same generator, sharing its weights, with other defaults for requests that leave them open."""
        return replace(
            self,
            steps=self.steps if steps is None else steps,
            guidance=self.guidance if guidance is None else guidance,
        )

    def modules(self) -> dict[str, torch.nn.Module]:
        """All networks, by name."""
        return {**self.conditioner.modules(), **self.denoiser.modules(), **self.decoder.modules()}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the weights and everything else that decides a picture, defaults included; taken once,
        at first use."""
        digest = hashlib.sha256(repr((self.process, self.kernel, self.denoiser.kind, self.hooks)).encode())
        digest.update(repr((self.shape, self.steps, self.guidance)).encode())
        for module_name, module in sorted(self.modules().items()):
            for key, value in sorted(module.state_dict().items()):
                digest.update(f"{module_name}.{key}{tuple(value.shape)}{value.dtype}".encode())
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        *,
        batch_size: int | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Sample]:
        """One picture or video per request, in order; `on_progress(done, total)` after each batch.

        A picture depends on its own request, up to float rounding, and not on the rest of the batch: its
        noise comes from a CPU generator seeded by the request. Requests are batched by (steps, guidance),
        equal prompts beside each other.
        """
        wanted = [request.resolved(steps=self.steps, guidance=self.guidance) for request in requests]
        samples: list[Sample | None] = [None] * len(wanted)
        done = 0
        for indices in _batches(wanted, batch_size or self.batch_size):
            pixels = self._pictures([wanted[i] for i in indices]).float().cpu().clone()
            for i, picture in zip(indices, pixels, strict=True):
                samples[i] = Sample(picture, requests[i])
            done += len(indices)
            if on_progress is not None:
                on_progress(done, len(wanted))
        return [s for s in samples if s is not None]

    @torch.inference_mode()
    def _pictures(self, batch: Sequence[GenerationRequest]) -> Tensor:
        """Pixels (B, 3, H, W) or (B, 3, F, H, W) in [0, 1] for requests that share steps and guidance."""
        generators = [_seeded(request.seed) for request in batch]
        x = randn_rows(torch.empty(len(batch), *self.shape, device=self.device), generators)
        grid, guidance = self.process.grid(_steps_of(batch)), _guidance_of(batch)
        positive = self._encode([r.prompt for r in batch])
        if guidance == 1:
            latents = sample(
                self.denoiser, self.kernel, grid, x, positive, hooks=self.hooks, generator=generators
            )
        else:
            cond = GuidedCond(positive, self._encode([r.negative_prompt for r in batch], negative=True))
            guided = ClassifierFree(self.denoiser, guidance)
            latents = sample(guided, self.kernel, grid, x, cond, hooks=self.hooks, generator=generators)
        return self.decoder.decode(latents).clamp(0, 1)

    def _encode(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        """Conditioning row by row, with each distinct prompt encoded once."""
        distinct = list(dict.fromkeys(prompts))
        rows = torch.tensor([distinct.index(p) for p in prompts], device=self.device)
        return self.conditioner(distinct, negative=negative).map(lambda value: value[rows])


def _steps_of(batch: Sequence[GenerationRequest]) -> int:
    steps = batch[0].steps
    assert steps is not None, batch[0]
    return steps


def _guidance_of(batch: Sequence[GenerationRequest]) -> float:
    guidance = batch[0].guidance
    assert guidance is not None, batch[0]
    return guidance


def _seeded(seed: int) -> torch.Generator:
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed {seed} is outside 0 … 2**63 - 1")
    return torch.Generator().manual_seed(seed)


def _batches(requests: Sequence[GenerationRequest], size: int) -> Iterator[list[int]]:
    """Indices in batches that share steps and guidance; within a group, equal prompts follow each other."""
    if size < 1:
        raise ValueError(f"batch_size {size}; take at least 1")
    groups: dict[tuple[int | None, float | None], dict[str, list[int]]] = {}
    for i, request in enumerate(requests):
        groups.setdefault((request.steps, request.guidance), {}).setdefault(request.prompt, []).append(i)
    for by_prompt in groups.values():
        ordered = iter([i for same in by_prompt.values() for i in same])
        while batch := list(islice(ordered, size)):
            yield batch
