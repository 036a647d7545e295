"""The frozen model that a preference is measured against: the network without its adapter, a copy, or errors taken beforehand.

Which of them is right is decided by the loss and by what trains; `choose` says no, with the reason, to the others.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from diffusion_core.denoiser import Denoiser
from diffusion_core.losses.base import Loss
from diffusion_core.losses.inputs import InversionErrors, PredictionBatch, SegmentErrors
from diffusion_core.noising import NOISINGS
from diffusion_core.types import Time

MODES = ("auto", "none", "adapter_off", "frozen_copy", "precomputed")


class Reference(Protocol):
    """`raw` as the denoiser's, without a graph."""

    def raw(self, x_t: Tensor, t: Time, cond: object) -> Tensor: ...


class AdapterOff:
    """The policy's own network with its adapters switched off: no second model in memory.

    Right only while nothing but the adapters trains and no dropout is on; `check_policy` sees to both.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser, self.layers = denoiser, adapter_layers(denoiser)

    @torch.no_grad()
    def raw(self, x_t: Tensor, t: Time, cond: object) -> Tensor:
        with adapters_off(self.layers):
            return self.denoiser.raw(x_t, t, cond)


class FrozenCopy:
    """A copy of the network as it is now. Costs its weights once more."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = copy.copy(denoiser)
        self.denoiser.module = copy.deepcopy(denoiser.module)  # type: ignore[attr-defined]
        for module in self.denoiser.modules().values():
            module.requires_grad_(False).eval()

    @torch.no_grad()
    def raw(self, x_t: Tensor, t: Time, cond: object) -> Tensor:
        return self.denoiser.raw(x_t, t, cond)


def adapter_layers(denoiser: Denoiser) -> list[Any]:
    """The denoiser's layers that carry PEFT adapters."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    networks = denoiser.modules().values()
    return [layer for network in networks for layer in network.modules() if isinstance(layer, BaseTunerLayer)]


@contextmanager
def adapters_off(layers: list[Any]) -> Iterator[None]:
    """Without the adapters of these layers, bit for bit the base, inside the block. Not safe while another thread uses the network.

    Only the flag that a layer's forward reads is set: PEFT's own switch also walks all parameters to freeze them, a third of a small step.
    """
    were_off = [layer.disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, off in zip(layers, were_off, strict=True):
            layer._disable_adapters = off


def choose(mode: str, loss: Loss, *, adapter: bool, fixed_draws: int = 0) -> str:
    """The reference mode for this loss and this way of training; "auto" takes the cheapest that is right.

    `adapter`: only an adapter trains. `fixed_draws`: how many draws of noise a pair has in all (0: a new one at every visit).
    Raises ValueError for a mode that would give another gradient than the method's.
    """
    name = type(loss).__name__
    if mode not in MODES:
        raise ValueError(f"reference={mode!r} is not one of {', '.join(MODES)}")
    needed = loss.needs_reference
    if mode == "auto":
        return "none" if not needed else "adapter_off" if adapter else "frozen_copy"
    if mode == "none" and needed:
        raise ValueError(
            f"reference=none: {name} measures every error against a reference; take auto, or a loss without one (mapo, sft)"
        )
    if mode == "adapter_off" and not adapter:
        raise ValueError(
            "reference=adapter_off: all weights train, so the network without an adapter is the policy itself; take frozen_copy, "
            "precomputed, or train a LoRA (lora_r)"
        )
    if mode == "precomputed":
        _check_precomputed(loss, name, fixed_draws)
    return mode if needed else "none"


def _check_precomputed(loss: Loss, name: str, fixed_draws: int) -> None:
    if issubclass(loss.inputs, PredictionBatch | SegmentErrors | InversionErrors):
        raise ValueError(
            f"reference=precomputed keeps one error an image, and {name} needs more of the reference ({loss.inputs.__name__}); "
            "take adapter_off or frozen_copy"
        )
    if loss.noising in NOISINGS and NOISINGS[loss.noising].needs_network:
        raise ValueError(
            f"reference=precomputed: {name} noises with the policy itself ({loss.noising}), so that x_t changes while it trains and errors "
            "taken before would belong to other pictures; take adapter_off or frozen_copy"
        )
    if fixed_draws < 1:
        raise ValueError(
            "reference=precomputed holds for noise and times that come again: give fixed_draws (how many a pair has), or take "
            "adapter_off or frozen_copy"
        )


def check_policy(network: nn.Module, mode: str) -> None:
    """Raise ValueError where what trains does not fit the reference: weights beside the adapter, or dropout that is on."""
    names = [name for name, p in network.named_parameters() if p.requires_grad]
    if not names:
        raise ValueError(
            "no parameter of the network trains; give lora_r above 0, or lora_r: 0 to train all weights"
        )
    beside = [name for name in names if "lora_" not in name]
    if mode == "adapter_off" and beside:
        raise ValueError(
            f"reference=adapter_off, but {len(beside)} weights beside the adapter train ({beside[0]}, ...): the network without its adapter "
            "is then no fixed reference; freeze them, or take frozen_copy"
        )
    on = [
        name
        for name, m in network.named_modules()
        if isinstance(m, nn.modules.dropout._DropoutNd) and m.training and m.p > 0
    ]
    if on:
        raise ValueError(
            f"dropout is on in {len(on)} layers ({on[0]}, ...): policy and reference would see different networks and their margin be noise; "
            "put the network in eval mode, or set the dropout to 0"
        )


def make_reference(mode: str, denoiser: Denoiser) -> Any:
    """The reference of a chosen mode; None for "none" and "precomputed"."""
    return {"adapter_off": AdapterOff, "frozen_copy": FrozenCopy}.get(mode, lambda _: None)(denoiser)
