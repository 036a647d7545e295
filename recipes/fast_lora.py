"""LoRA layers with less work on a CPU that multiplies bfloat16: the same arithmetic as PEFT's under autocast, in fewer passes.

Under autocast PEFT casts the frozen weight anew in every step, and computes the adapter's part, its scaling and the sum as three passes
over the whole output. Here the frozen weight is cast once (2 bytes a parameter more memory), the scaling is in the small matrix, and the
sum is the second matrix product's own. `rewright bench update` measures both.
"""

from __future__ import annotations

import types
from typing import Any

import torch


class _LoraProduct(torch.autograd.Function):
    """y = x Wᵀ + s (x Aᵀ) Bᵀ in bfloat16. x (…, I) · W (O, I), frozen · A (R, I) · B (O, R) -> y (…, O)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight_OI: torch.Tensor,
        a_RI: torch.Tensor,
        b_OR: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        x_NI = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        a16_RI, b16_OR = a_RI.to(torch.bfloat16), (b_OR * scaling).to(torch.bfloat16)
        low_NR = x_NI @ a16_RI.T
        y_NO = (x_NI @ weight_OI.T).addmm_(low_NR, b16_OR.T)
        ctx.save_for_backward(x_NI, weight_OI, a16_RI, b16_OR, low_NR)
        ctx.scaling, ctx.shape, ctx.dtypes = scaling, x.shape, (x.dtype, a_RI.dtype, b_OR.dtype)
        return y_NO.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x_NI, weight_OI, a16_RI, b16_OR, low_NR = ctx.saved_tensors
        x_dtype, a_dtype, b_dtype = ctx.dtypes
        g_NO = grads[0].reshape(-1, grads[0].shape[-1]).to(torch.bfloat16)
        g_low_NR = g_NO @ b16_OR
        g_a_RI = (g_low_NR.T @ x_NI).to(a_dtype)
        g_b_OR = (g_NO.T @ low_NR).to(b_dtype) * ctx.scaling
        g_x = None
        if ctx.needs_input_grad[0]:
            g_x = (g_NO @ weight_OI).addmm_(g_low_NR, a16_RI).view(ctx.shape).to(x_dtype)
        return g_x, None, g_a_RI, g_b_OR, None


def use_fast_lora(model: Any) -> int:
    """Give every plain LoRA layer of a PeftModel the faster product where CPU autocast to bfloat16 is on; elsewhere, and while adapters
    are merged or disabled, a layer stays PEFT's. Returns the number of layers changed.

    Left alone: dropout, bias, variants (DoRA), quantised or trainable base weights, more than one adapter.
    """
    from peft.tuners.lora import Linear

    changed = 0
    for layer in model.modules():
        if isinstance(layer, Linear) and _plain(layer):
            _replace(layer)
            changed += 1
    return changed


def _plain(layer: Any) -> bool:
    base = layer.base_layer
    return (
        type(base) is torch.nn.Linear
        and base.bias is None
        and not base.weight.requires_grad
        and base.weight.device.type == "cpu"
        and len(layer.lora_A) == 1
        and not layer.lora_variant
        and all(isinstance(drop, torch.nn.Identity) for drop in layer.lora_dropout.values())
        and all(matrix.bias is None for matrix in layer.lora_B.values())
    )


def _replace(layer: Any) -> None:
    """A bound method and a plain attribute: a deep copy of the model gets its own, and a state dict none of it."""
    layer.weight_bf16_OI = layer.base_layer.weight.detach().to(torch.bfloat16)
    layer.forward = types.MethodType(_forward, layer)


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    (name,) = layer.lora_A
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    plain = autocast and not (args or kwargs or layer.merged or layer.disable_adapters)
    if not plain or layer.active_adapters != [name]:
        return type(layer).forward(layer, x, *args, **kwargs)
    matrices = layer.lora_A[name].weight, layer.lora_B[name].weight
    return _LoraProduct.apply(x, layer.weight_bf16_OI, *matrices, layer.scaling[name])
