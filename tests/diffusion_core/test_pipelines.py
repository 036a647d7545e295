"""Tiny random pipelines of the real classes, loaded by path: they run, and agree with diffusers' own
sampling."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from diffusion_core import GenerationRequest, Generator
from diffusion_core.adapters import builders
from diffusion_core.adapters.pipelines import declared_licence
from diffusion_core.types import randn_rows

PIPELINES = {"sd": "eps", "sd_v": "v", "sdxl": "eps", "sd3": "flow"}


@pytest.fixture(scope="module")
def generators(saved) -> dict[str, Generator]:
    return {name: Generator.from_pretrained(saved[name]) for name in PIPELINES}


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_class_loads_by_path_and_generates(generators, name: str):
    generator = generators[name]
    assert generator.denoiser.kind == PIPELINES[name]
    samples = generator.generate(
        [GenerationRequest(p, i, steps=3) for i, p in enumerate(("a cat", "two dogs"))]
    )
    assert [tuple(s.pixels.shape) for s in samples] == [(3, 16, 16)] * 2
    assert not torch.allclose(samples[0].pixels, samples[1].pixels, atol=1e-3)


@pytest.mark.parametrize("name", PIPELINES)
def test_pictures_are_those_of_diffusers(generators, name: str):
    """Same noise, prompts, guidance and times through the pipeline's own `__call__` and scheduler."""
    generator, steps, prompts = generators[name], 4, ["a cat", "two dogs on a mat"]
    noise = randn_rows(torch.empty(2, *generator.shape), [torch.Generator().manual_seed(i) for i in range(2)])
    pipe = generator.conditioner.pipe
    pipe.set_progress_bar_config(disable=True)
    # SD3's scheduler shifts its lowest time twice unless the times are given
    times = {"sigmas": [1 - i / steps for i in range(steps)]} if name == "sd3" else {}
    expected = pipe(
        prompts, latents=noise, num_inference_steps=steps, guidance_scale=5.0, output_type="pt", **times
    ).images
    got = generator.generate(
        [GenerationRequest(p, i, steps=steps, guidance=5.0) for i, p in enumerate(prompts)]
    )
    assert_close(torch.stack([s.pixels for s in got]), expected.float(), atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_picture_does_not_depend_on_its_batch(generators, name: str):
    wanted = [GenerationRequest(p, i, steps=3) for i, p in enumerate(("a", "a much longer one", "b"))]
    for got, r in zip(generators[name].generate(wanted), wanted, strict=True):
        assert_close(got.pixels, generators[name].generate([r])[0].pixels, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", PIPELINES)
def test_decoder_encodes_into_the_space_of_the_denoiser(generators, name: str):
    generator = generators[name]
    assert generator.decoder.encode(torch.rand(2, 3, 16, 16)).shape == (2, *generator.shape)


def test_only_an_empty_negative_prompt_is_zeroed_for_sdxl(generators):
    conditioner = generators["sdxl"].conditioner
    assert conditioner(["", "ugly"], negative=True)["text"].abs().sum((1, 2)).gt(0).tolist() == [False, True]
    assert conditioner([""])["text"].abs().sum() > 0
    assert conditioner(["a"])["time_ids"].tolist() == [[16, 16, 0, 0, 16, 16]]


def test_sd3_without_its_optional_t5_loads(tmp_path: Path):
    pipe = builders.stable_diffusion_3()
    pipe.register_modules(text_encoder_3=None, tokenizer_3=None)
    pipe.save_pretrained(tmp_path)
    assert (
        Generator.from_pretrained(tmp_path).generate([GenerationRequest("a", 0, steps=2)])[0].pixels.std() > 0
    )


def test_an_unsupported_pipeline_class_is_named(tmp_path: Path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "AudioLDMPipeline"}))
    with pytest.raises(
        ValueError, match="no adapter for pipeline class 'AudioLDMPipeline'; known: CogVideoX"
    ):
        Generator.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# A model", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: stabilityai-ai-community\n---\n", "stabilityai-ai-community"),
        ("# no front matter\nlicense: mit\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_licence_is_what_the_card_declares(tmp_path: Path, card: str | None, licence: str):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert declared_licence(str(tmp_path)) == licence
