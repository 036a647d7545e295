"""Networks loaded in 4 bit, and in bfloat16, on this machine's CPU: they run, and a LoRA on them learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffusion_core import GenerationRequest, Generator
from diffusion_core.adapters.lora_io import adapter_off, add_lora, load_lora, network, save_lora

CANVAS: dict[str, tuple[int, ...]] = {"flux": (16, 16), "wan": (5, 16, 16)}


def loss(generator: Generator) -> Tensor:
    x = torch.randn(2, *generator.shape, generator=torch.Generator().manual_seed(0))
    return (
        generator.denoiser.raw(x, generator.process.grid(4)[1], generator.conditioner(["a", "b"]))
        .square()
        .mean()
    )


def train(generator: Generator, steps: int = 3) -> list[float]:
    """Losses of some steps on one batch."""
    learnt = [p for p in network(generator)[1].parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=0.02)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(generator)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.parametrize("name", ["sd", "sd3", "wan"])
def test_a_lora_on_four_bit_weights_learns(saved, name: str):
    from bitsandbytes.nn.modules import Linear4bit

    generator = Generator.from_pretrained(saved[name], canvas=CANVAS.get(name), quantize="nf4")
    module = network(generator)[1]
    packed = [layer for layer in module.modules() if isinstance(layer, Linear4bit)]
    assert packed
    assert {layer.weight.dtype for layer in packed} == {torch.uint8}
    assert generator.generate([GenerationRequest("a", 0, steps=1)])[0].pixels.isfinite().all()
    with torch.no_grad():
        before = loss(generator)
    add_lora(generator, 2, 4)
    bytes_before = [layer.weight.data.clone() for layer in packed]
    losses = train(generator)
    assert losses[-1] < losses[0] == pytest.approx(before.item(), rel=1e-6)
    assert all(torch.equal(layer.weight.data, old) for layer, old in zip(packed, bytes_before, strict=True))
    with torch.no_grad(), adapter_off(generator):
        assert torch.equal(loss(generator), before)


def test_an_adapter_trained_on_four_bit_weights_is_saved_and_loaded(saved, tmp_path: Path):
    generator = Generator.from_pretrained(saved["sd3"], quantize="nf4")
    add_lora(generator, 2, 4)
    train(generator)
    save_lora(generator, tmp_path)
    again = Generator.from_pretrained(saved["sd3"], quantize="nf4")
    load_lora(again, tmp_path)
    with torch.no_grad():
        assert loss(again).item() == pytest.approx(loss(generator).item(), rel=1e-5)


@pytest.mark.parametrize("name", ["sdxl", "flux", "sigma", "wan", "cogvideox"])
def test_in_bfloat16_the_adapter_is_float32_and_learns(saved, name: str):
    generator = Generator.from_pretrained(saved[name], canvas=CANVAS.get(name), dtype=torch.bfloat16)
    pixels = generator.generate([GenerationRequest("a", 0, steps=2)])[0].pixels
    assert pixels.dtype == torch.float32
    assert pixels.isfinite().all()
    add_lora(generator, 2, 4)
    assert {p.dtype for p in network(generator)[1].parameters() if p.requires_grad} == {torch.float32}
    losses = train(generator)
    assert losses[-1] < losses[0]


def test_four_bit_weights_are_near_the_full_ones(saved):
    full = Generator.from_pretrained(saved["sd3"])
    packed = Generator.from_pretrained(saved["sd3"], quantize="nf4")
    x = torch.randn(2, *full.shape)
    cond = full.conditioner(["a", "b"])
    with torch.no_grad():
        a, b = (g.denoiser.raw(x, 0.5, cond) for g in (full, packed))
    error = ((a - b).norm() / a.norm()).item()
    assert 0 < error < 0.3


def test_what_cannot_be_quantized_is_named(saved):
    with pytest.raises(ValueError, match="unknown quantize='int3'; known: nf4"):
        Generator.from_pretrained(saved["sd"], quantize="int3")
    with pytest.raises(ValueError, match="zoo's networks are small"):
        Generator.from_pretrained(saved["pixart"], quantize="nf4")
