"""Your own generator and your own reward, adapted to the internal protocols at the edge.

A generator is anything with `generate(prompts, seeds) -> images` (PIL images, or arrays (H, W, C), or tensors
(C, H, W); uint8, or float in [0, 1]). A reward is anything with `score(images, prompts) -> list[float | None]`, where
`images` are uint8 arrays (H, W, C) and `prompts` the users' own prompts. Plain functions will do.

Optional attributes: `name`, `fingerprint` (change it with the weights; without one nothing is cached beyond this
process), `licence` (an SPDX id), for rewards `bounds = (lowest, highest)`, `max_batch`, `deterministic`.

Raise ScoreUnavailable, TimeoutError, ConnectionError or any OSError for what a retry may cure. None means that the
reward does not apply to the row.
"""

from __future__ import annotations

import importlib
import inspect
import math
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from rewards.base import Item, Media, Reward, Scores, Status
from rewards.failures import RewardMisconfigured, Undeliverable
from rewards.pipeline import ImageGenerator

if TYPE_CHECKING:
    import numpy as np
    import torch

PROCESS = uuid.uuid4().hex  # part of the fingerprint of what declares none: its cache ends with the process
REWARDS = {"shapes": "shaped", "shapes-shaped": "shaped", "shapes-strict": "strict"}


def load_generator(spec: str | None = None) -> ImageGenerator:
    """None or "shapes": the embedded one. "pkg.mod:obj": yours. http(s)://…: an OpenAI-images server.

    Anything else is a diffusers id or folder, loaded by diffusion_core.
    """
    if spec is not None and spec.startswith(("http://", "https://")):
        from rewards.images_server import ImagesServer

        return ImagesServer.from_url(spec)
    if spec is not None and _is_dotted(spec):
        found = _instance(import_object(spec), "generate", spec)
        return found if _takes_requests(found) else ExternalGenerator(found, spec)
    from diffusion_core.generator import Generator

    return cast(ImageGenerator, Generator.from_pretrained(spec or "shapes"))


def load_reward(spec: str | None = None, *, bounds: tuple[float, float] | None = None) -> Reward:
    """None or "shapes": the exact judge of the embedded world ("shapes-strict": 0 or 1). "pkg.mod:obj": yours.

    `bounds` declares the range of a reward that does not do so itself.
    """
    if spec is None or spec in REWARDS:
        from rewards.shapes import ShapesJudge

        return cast(Reward, ShapesJudge(mode=cast(Any, REWARDS[spec or "shapes"])))
    if not _is_dotted(spec):
        raise ValueError(
            f"unknown reward {spec!r}; known: {', '.join(REWARDS)}, or your own as package.module:object"
        )
    found = _instance(import_object(spec), "score", spec)
    if isinstance(found, Reward):
        return found
    return ExternalReward(found, spec, bounds=bounds)


def import_object(spec: str) -> Any:
    """The object named by "package.module:object"; modules beside the working directory are found too."""
    module_name, _, path = spec.partition(":")
    if not module_name or not path:
        raise ValueError(f"{spec!r} is no dotted path; write package.module:object")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing installed is hidden
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ValueError(
                f"cannot import {module_name!r} for {spec!r}: no such module on the path or in {here}"
            ) from error
        raise
    for name in path.split("."):
        if not hasattr(found, name):
            public = [known for known in vars(found) if not known.startswith("_")]
            raise ValueError(
                f"{spec!r}: {module_name} has no {name!r}; it has {', '.join(public[:20]) or 'nothing'}"
            )
        found = getattr(found, name)
    return found


class ExternalGenerator:
    """`generate(prompts, seeds) -> images` as an internal generator."""

    def __init__(self, model: Any, spec: str = "") -> None:
        self.model = model
        self.name = str(getattr(model, "name", None) or spec or type(model).__name__)
        self.fingerprint = str(getattr(model, "fingerprint", None) or f"{self.name}@{PROCESS}")
        self.licence = str(getattr(model, "licence", None) or getattr(model, "license", None) or "unknown")
        self._generate = model.generate if hasattr(model, "generate") else model

    def generate(
        self, requests: Sequence[Any], *, batch_size: int | None = None, on_progress: Any = None
    ) -> list[Any]:
        """One Sample per request, in batches of `batch_size` (None: all at once)."""
        from diffusion_core.types import Sample

        samples: list[Any] = []
        size = batch_size or max(1, len(requests))
        for start in range(0, len(requests), size):
            chunk = requests[start : start + size]
            images = self._generate([r.prompt for r in chunk], [r.seed for r in chunk])
            if len(images) != len(chunk):
                raise Undeliverable(
                    "wrong_length", f"{self.name} gave {len(images)} images for {len(chunk)} prompts"
                )
            samples += [
                Sample(to_pixels(image), request) for image, request in zip(images, chunk, strict=True)
            ]
            if on_progress is not None:
                on_progress(len(samples), len(requests))
        return samples


class ExternalReward:
    """`score(images, prompts) -> list[float | None]` as an internal reward."""

    kinds = frozenset({"image"})
    scope: Literal["sample", "group"] = "sample"
    differentiable = False

    def __init__(self, model: Any, spec: str = "", *, bounds: tuple[float, float] | None = None) -> None:
        self.model = model
        self.name = str(getattr(model, "name", None) or spec.rpartition(":")[2] or type(model).__name__)
        self.fingerprint = str(getattr(model, "fingerprint", None) or f"{spec or self.name}@{PROCESS}")
        self.licence = str(getattr(model, "licence", None) or getattr(model, "license", None) or "unknown")
        declared = bounds if bounds is not None else getattr(model, "bounds", None)
        self.bounds_assumed = declared is None
        low, high = declared if declared is not None else (0.0, 1.0)
        self.bounds = (float(low), float(high))
        if not self.bounds[0] < self.bounds[1]:
            raise RewardMisconfigured(
                f"reward {self.name!r} declares bounds {self.bounds}; lowest must be below highest"
            )
        self.max_batch = int(getattr(model, "max_batch", 32))
        self.deterministic = bool(getattr(model, "deterministic", True))
        self._score = model.score if hasattr(model, "score") else model

    def score(self, media: Media, items: Sequence[Item], *, deadline: float | None = None) -> Scores:
        from rewards.base import as_uint8

        if not items:
            return Scores.of([])
        images: list[np.ndarray] = list(as_uint8(media.pixels).permute(0, 2, 3, 1).cpu().numpy())
        values = list(self._score(images, [item.prompt for item in items]))
        if len(values) != len(items):
            raise Undeliverable(
                "wrong_length", f"{self.name} gave {len(values)} scores for {len(items)} images"
            )
        floats = [math.nan if value is None else float(value) for value in values]
        return Scores.of(floats, status=[Status.NA if value is None else Status.OK for value in values])


def to_pixels(image: Any) -> torch.Tensor:
    """A PIL image, array (H, W[, C]) or tensor (C, H, W) → float32 (3, H, W) in [0, 1]."""
    import numpy as np
    import torch

    if isinstance(image, torch.Tensor):
        pixels = image.detach().cpu()
        if pixels.ndim == 3 and pixels.shape[0] not in (1, 3) and pixels.shape[-1] in (1, 3, 4):
            pixels = pixels.permute(2, 0, 1)  # a tensor (H, W, C)
    else:
        array = np.asarray(image.convert("RGB") if hasattr(image, "convert") else image)
        if array.ndim == 2:
            array = array[..., None]
        if array.ndim != 3:
            raise Undeliverable(
                "bad_media", f"an image must be (H, W, C), got an array of shape {array.shape}"
            )
        pixels = torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4):
        raise Undeliverable(
            "bad_media", f"an image must have 1, 3 or 4 channels, got shape {tuple(pixels.shape)}"
        )
    pixels = pixels[:3] if pixels.shape[0] >= 3 else pixels.expand(3, -1, -1)
    if pixels.dtype == torch.uint8:
        return pixels.float() / 255.0
    if not pixels.is_floating_point():
        raise Undeliverable("bad_media", f"pixels must be uint8 or float in [0, 1], got {pixels.dtype}")
    pixels = pixels.float()
    finite = pixels[torch.isfinite(pixels)]
    if finite.numel() and (finite.min() < -1e-3 or finite.max() > 1.0 + 1e-3):
        low, high = float(finite.min()), float(finite.max())
        raise Undeliverable("bad_media", f"float pixels must lie in [0, 1], got {low:.3g} to {high:.3g}")
    return pixels


def _is_dotted(spec: str) -> bool:
    """package.module:object, and not a folder or a Windows path."""
    module, colon, name = spec.partition(":")
    words = [*module.split("."), *name.split(".")]
    return bool(colon) and all(word.isidentifier() for word in words) and not os.path.exists(spec)


def _instance(found: Any, method: str, spec: str) -> Any:
    """An object with the method, or a function; a class is called without arguments."""
    if inspect.isclass(found):
        found = found()
    if not callable(getattr(found, method, None)) and not callable(found):
        raise RewardMisconfigured(
            f"{spec!r} is {type(found).__name__}; it needs {method}(…) or to be a function"
        )
    return found


def _takes_requests(found: Any) -> bool:
    """An internal generator takes requests, an external one prompts and seeds."""
    parameters = inspect.signature(found.generate).parameters if hasattr(found, "generate") else {}
    return "requests" in parameters and bool(getattr(found, "fingerprint", ""))
