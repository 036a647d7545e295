"""LoRA on every class of network: what our generator computes with an adapter is what diffusers' own pipeline
computes after loading it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from diffusion_core import Generator
from diffusion_core.adapters.lora_io import adapter_off, add_lora, load_lora, network, save_lora

CLASSES = ["sd", "sdxl", "sd3", "flux", "sigma", "wan", "cogvideox", "pixart", "joint"]
CANVAS: dict[str, tuple[int, ...]] = {"flux": (16, 16), "wan": (5, 16, 16)}


def output(generator: Generator) -> Tensor:
    """The denoiser at one fixed point."""
    x = torch.randn(2, *generator.shape, generator=torch.Generator().manual_seed(3))
    cond = generator.conditioner(["a red circle", "two dogs"])
    return generator.denoiser.raw(x, generator.process.grid(4)[1], cond)


def randomise(generator: Generator) -> None:
    """Make the adapter matter: B starts at zero."""
    torch.manual_seed(5)
    for name, parameter in network(generator)[1].named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)


@pytest.fixture(scope="module")
def loaded(saved) -> dict[str, Generator]:
    return {name: Generator.from_pretrained(saved[name], canvas=CANVAS.get(name)) for name in CLASSES}


def copy_of(generator: Generator) -> Generator:
    """The same generator with a network of its own, since adapters are put on in place."""
    return replace(generator, denoiser=deepcopy(generator.denoiser))


@pytest.fixture(params=CLASSES)
def adapted(loaded, saved, request: pytest.FixtureRequest) -> tuple[Generator, Path, Tensor]:
    """A generator with a fresh adapter, its folder, and its output before."""
    generator = copy_of(loaded[request.param])
    with torch.no_grad():
        before = output(generator)
    assert add_lora(generator, rank=2, alpha=6) == "default"
    return generator, saved[request.param], before


@torch.no_grad()
def test_a_saved_adapter_is_read_by_the_real_pipeline_and_by_us(adapted, loaded, tmp_path: Path):
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

    generator, folder, before = adapted
    assert torch.equal(output(generator), before)  # B is zero
    randomise(generator)
    expected = output(generator)
    assert (expected - before).abs().max() > 1e-3
    save_lora(generator, tmp_path)

    again = copy_of(loaded[folder.name])
    load_lora(again, tmp_path)
    assert_close(output(again), expected, atol=1e-6, rtol=0)

    fresh = copy_of(loaded[folder.name])
    name, module = network(fresh)
    if (folder / "model_index.json").exists():
        pipe = DiffusionPipeline.from_pretrained(folder, **optional(folder))
        if hasattr(pipe, "load_lora_weights"):
            pipe.load_lora_weights(tmp_path)
        else:
            setattr(pipe, name, peft_wrapped(getattr(pipe, name), tmp_path))
        fresh.denoiser.module = getattr(pipe, name).eval()  # type: ignore[attr-defined]
    elif hasattr(module, "load_lora_adapter"):
        module.load_lora_adapter(tmp_path, use_safetensors=True)
    else:
        fresh.denoiser.module = peft_wrapped(module, tmp_path)  # type: ignore[attr-defined]
    assert_close(output(fresh), expected, atol=1e-5, rtol=0)


def optional(folder: Path) -> dict[str, Any]:
    checked = "StableDiffusionPipeline" in (folder / "model_index.json").read_text()
    return {"safety_checker": None, "feature_extractor": None} if checked else {}


def peft_wrapped(module: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """PixArt's class has no adapter methods of its own: peft's loader is what its users take."""
    from peft import PeftModel

    return PeftModel.from_pretrained(module, folder).eval()  # type: ignore[arg-type]


def test_adapter_off_is_the_base_model_to_the_last_bit(adapted):
    generator, _, before = adapted
    randomise(generator)
    module = network(generator)[1]
    with_adapter = output(generator)
    with torch.no_grad(), adapter_off(generator):
        assert torch.equal(output(generator), before)
    assert torch.equal(output(generator), with_adapter)
    assert {p.requires_grad for n, p in module.named_parameters() if "lora_" in n} == {True}
    module.requires_grad_(False)
    with adapter_off(generator):
        pass
    assert not any(p.requires_grad for p in module.parameters())


def test_gradients_reach_the_adapter_and_nothing_else_also_with_checkpointing(adapted):
    generator, _, _ = adapted
    randomise(generator)
    module = network(generator)[1]
    module.train()

    def gradients() -> dict[str, Tensor]:
        module.zero_grad()
        output(generator).square().mean().backward()
        return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}

    plain = gradients()
    assert all("lora_" in name for name in plain)
    # the last joint block drops its text stream, whose projections there have nothing to learn
    assert sum(bool(grad.any()) for grad in plain.values()) > 0.8 * len(plain) > 0
    module.enable_gradient_checkpointing()
    for name, grad in gradients().items():
        assert_close(grad, plain[name], atol=1e-6, rtol=1e-4)


def test_the_text_stream_of_joint_attention_is_adapted(loaded):
    generator = copy_of(loaded["sd3"])
    add_lora(generator, 1, 1)
    names = [n for n, _ in network(generator)[1].named_parameters() if "lora_A" in n]
    assert any("add_k_proj" in n for n in names)
    assert any("to_k" in n for n in names)


def test_mistakes_are_named(loaded, tmp_path: Path):
    generator = copy_of(loaded["sd"])
    with pytest.raises(ValueError, match="has no adapter; call add_lora"):
        save_lora(generator, tmp_path)
    with pytest.raises(ValueError, match=r"\['to_kk'\] match no module of UNet2DConditionModel"):
        add_lora(generator, 2, 2, targets=["to_k", "to_kk"])
    with pytest.raises(FileNotFoundError, match=r"pytorch_lora_weights.safetensors is missing"):
        load_lora(generator, tmp_path)
    fingerprint = generator.fingerprint
    add_lora(generator, 2, 2, targets=["to_k"])
    assert generator.fingerprint != fingerprint
    with pytest.raises(ValueError, match="has an adapter already"):
        add_lora(generator, 2, 2)
    save_lora(generator, tmp_path)
    with pytest.raises(
        ValueError, match=r"does not fit SD3Transformer2DModel: no key begins with 'transformer'"
    ):
        load_lora(copy_of(loaded["sd3"]), tmp_path)
