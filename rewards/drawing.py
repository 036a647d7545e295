"""One micro-batch through the generator: requests out, uint8 images back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rewards.base import Status, as_uint8
from rewards.cases import Shot
from rewards.failures import Failure, Undeliverable
from rewards.retries import Stopwatch

if TYPE_CHECKING:
    import numpy as np
    import torch


class ImageGenerator(Protocol):
    """`diffusion_core.generator.Generator`, or a user's model behind `rewards.external`."""

    fingerprint: str

    def generate(self, requests: Sequence[Any]) -> Sequence[Any]: ...


class Painter:
    """Draws shots with one generator at one setting (negative prompt, steps, guidance)."""

    def __init__(self, generator: ImageGenerator, setting: dict[str, Any]) -> None:
        self.generator, self.setting = generator, setting

    def __call__(self, shots: Sequence[Shot], watch: Stopwatch) -> list[np.ndarray | Failure]:
        """One uint8 array (C, H, W) per shot; a non-finite image is drawn a second time before it is given up."""
        arrays = self._frames(shots, watch)
        again = [i for i, array in enumerate(arrays) if array is None]
        if again:
            for i, array in zip(again, self._frames([shots[i] for i in again], watch), strict=True):
                arrays[i] = array
        lost = Failure(Status.BROKEN, "non_finite", "the image is not finite, twice with the same seed")
        return [lost if array is None else array for array in arrays]

    def _frames(self, shots: Sequence[Shot], watch: Stopwatch) -> list[np.ndarray | None]:
        from diffusion_core.types import GenerationRequest

        requests = [GenerationRequest(prompt=s.conditioning, seed=s.seed, **self.setting) for s in shots]
        with watch:
            samples = self.generator.generate(requests)
        if len(samples) != len(shots):
            raise Undeliverable(
                "wrong_length", f"the generator gave {len(samples)} images for {len(shots)} requests"
            )
        frames = [sample.pixels for sample in samples]
        for frame in frames:
            if frame.ndim != 3 or frame.shape[0] not in (1, 3) or frame.numel() == 0:
                raise Undeliverable(
                    "bad_media", f"an image must be (C, H, W) with C 1 or 3, got {tuple(frame.shape)}"
                )
        found: list[np.ndarray | None] = [None] * len(frames)
        for index in grouped(range(len(frames)), lambda i: (frames[i].shape, frames[i].dtype)):
            for i, array in zip(index, _arrays([frames[i] for i in index]), strict=True):
                found[i] = array
        return found


def _arrays(frames: Sequence[torch.Tensor]) -> list[np.ndarray | None]:
    """Equal-sized (C, H, W) frames as uint8 arrays; None where one is not finite."""
    import torch

    with torch.no_grad():
        batch = torch.stack(list(frames)).cpu()
        good = [True] * len(frames)
        if batch.is_floating_point() and not bool(torch.isfinite(batch.sum())):  # one pass where all is well
            good = torch.isfinite(batch).flatten(1).all(1).tolist()
            batch = torch.nan_to_num(batch)
        arrays = as_uint8(batch, in_place=True).numpy()  # the stack is a copy
    return [array if fine else None for array, fine in zip(arrays, good, strict=True)]


def grouped(index: Iterable[int], key: Callable[[int], Any]) -> list[list[int]]:
    """Positions with equal keys together, in order of first appearance."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for i in index:
        groups[key(i)].append(i)
    return list(groups.values())
