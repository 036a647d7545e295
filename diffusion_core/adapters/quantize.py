"""A network's linear layers in 4-bit NormalFloat (QLoRA, Dettmers et al. 2023, arXiv:2305.14314), through
bitsandbytes."""

from __future__ import annotations

from typing import Any

import torch

from diffusion_core.denoiser import float_dtype


def to_nf4(module: Any, device: torch.device) -> None:
    """Replace every `nn.Linear` by `bnb.nn.Linear4bit` and move the network to `device`, in place.

    Modules that the class keeps in float32 stay as they are. Weights are packed layer by layer as they arrive on the device, so only the host holds them all unpacked; what is
    computed is in the precision they had, and the other layers keep it. diffusers' own 4-bit loading would
    do the same on an accelerator, but refuses a CPU, where bitsandbytes runs as well.
    """
    import bitsandbytes as bnb

    dtype = float_dtype(module)
    kept = module._keep_in_fp32_modules or ()
    linear = [
        (name, layer)
        for name, layer in module.named_modules()
        if type(layer) is torch.nn.Linear and not any(part in name for part in kept)
    ]
    for name, layer in linear:
        packed = bnb.nn.Linear4bit(
            layer.in_features,
            layer.out_features,
            layer.bias is not None,
            compute_dtype=dtype,
            quant_type="nf4",
        )
        packed.weight = bnb.nn.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4")
        packed.bias = layer.bias
        # on a CPU with bf16 kernels the first forward would repack the weights, less exactly and for wide layers only
        packed.support_avx512bf16_for_cpu = False
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, packed)
    module.to(device)
    module.is_loaded_in_4bit = True  # where peft looks before it chooses a LoRA layer
