"""Generators: forward processes, denoisers, kernels, the one sampler, and the models that plug into them.

Importing this package loads neither torch nor diffusers; the names below do so when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusion_core.generator import Generator
    from diffusion_core.sampling import sample
    from diffusion_core.types import GenerationRequest, Sample

_HOMES = {
    "GenerationRequest": "diffusion_core.types",
    "Generator": "diffusion_core.generator",
    "Sample": "diffusion_core.types",
    "sample": "diffusion_core.sampling",
}

__all__ = ["GenerationRequest", "Generator", "Sample", "sample"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"module 'diffusion_core' has no attribute {name!r}; known: {', '.join(__all__)}"
        )
    return getattr(import_module(_HOMES[name]), name)
