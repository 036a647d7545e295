"""FLUX, PixArt, Wan and CogVideoX: tiny random pipelines, loaded by path, against diffusers' own calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from diffusion_core import GenerationRequest, Generator
from diffusion_core.adapters.builders import TINY, TINY_CANVAS
from diffusion_core.adapters.dit import pack, unpack
from diffusion_core.adapters.readers import ddpm_from_scheduler, flow_from_scheduler
from diffusion_core.adapters.video import centred_crop
from diffusion_core.types import randn_rows

IMAGE, VIDEO = (16, 16), (5, 16, 16)
CANVAS: dict[str, tuple[int, ...]] = {
    "flux": IMAGE,
    "schnell": IMAGE,
    "sigma": IMAGE,
    "alpha": IMAGE,
    "wan": VIDEO,
    "cogvideox": VIDEO,
    "cogvideox_2b": VIDEO,
    "cogvideox_1.5": VIDEO,
}
TOKENS = {"flux": 512, "schnell": 256, "sigma": 300, "alpha": 120, "wan": 512}
TOKENS |= dict.fromkeys(("cogvideox", "cogvideox_2b", "cogvideox_1.5"), 16)  # its configuration says
KINDS = {"flux": "flow", "schnell": "flow", "sigma": "eps", "alpha": "eps", "wan": "flow"}
PROMPTS = ["a cat", "two dogs on a mat"]
STEPS = 2


@pytest.fixture(scope="module")
def generators(saved) -> dict[str, Generator]:
    return {name: Generator.from_pretrained(saved[name], canvas=CANVAS[name]) for name in CANVAS}


def noise_of(generator: Generator) -> Tensor:
    return randn_rows(torch.empty(2, *generator.shape), [torch.Generator().manual_seed(i) for i in range(2)])


def to_house(name: str, x: Tensor) -> Tensor:
    """A network's own layout to ours."""
    if name in ("flux", "schnell"):
        return unpack(x, 8, 8)
    return x.transpose(1, 2) if name.startswith("cogvideox") else x


def run_pipeline(generator: Generator, name: str, guidance: float, output: str) -> Any:
    """The pipeline's own `__call__` from the generator's noise; guidance 1 is without the negative prompt."""
    pipe, noise = generator.conditioner.pipe, noise_of(generator)  # type: ignore[attr-defined]
    pipe.set_progress_bar_config(disable=True)
    options: dict[str, Any] = {
        "prompt": PROMPTS,
        "num_inference_steps": STEPS,
        "output_type": output,
        "height": 16,
        "width": 16,
    }
    options["max_sequence_length"] = TOKENS[name]
    if name in ("flux", "schnell"):
        options |= {"latents": pack(noise), "true_cfg_scale": guidance, "negative_prompt": [""] * 2}
        return pipe(**options)
    options["guidance_scale"] = guidance
    if name in ("sigma", "alpha"):
        # to first order, DPM-Solver++ is DDIM
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, solver_order=1)
        return pipe(**options, latents=noise, use_resolution_binning=False, negative_prompt=[""] * 2)
    options["num_frames"] = VIDEO[0]
    if name == "wan":  # left to itself, its scheduler shifts the lowest time twice
        timing = type(pipe.scheduler).set_timesteps
        times = [1 - i / STEPS for i in range(STEPS)]
        pipe.scheduler.set_timesteps = lambda n, device: timing(pipe.scheduler, sigmas=times, device=device)
        return pipe(**options, latents=noise)
    return pipe(**options, latents=noise.transpose(1, 2))


@pytest.fixture(params=CANVAS)
def named(generators, request: pytest.FixtureRequest) -> Iterator[tuple[str, Generator]]:
    return request.param, generators[request.param]


@torch.no_grad()
def test_the_denoiser_computes_what_the_pipelines_call_computes(named):
    name, generator = named
    network = generator.denoiser.modules()["transformer"]
    calls: list[tuple[Tensor, Tensor]] = []

    def record(module: Any, args: tuple[Tensor, ...], kwargs: dict[str, Any], output: Any) -> None:
        calls.append((args[0] if args else kwargs["hidden_states"], output[0]))

    handle = network.register_forward_hook(record, with_kwargs=True)
    try:
        run_pipeline(generator, name, 1.0, "latent")
    finally:
        handle.remove()
    assert len(calls) == STEPS
    cond = generator.conditioner(PROMPTS)
    for t, (x, output) in zip(generator.process.grid(STEPS), calls, strict=False):
        x, output = to_house(name, x), to_house(name, output[:, :4] if name in ("sigma", "alpha") else output)
        assert x.shape == (2, *generator.shape)
        assert_close(generator.denoiser.raw(x, t, cond), output, atol=1e-5, rtol=0)


def test_samples_are_those_of_diffusers(named):
    """Same noise, prompts, guidance and times through the pipeline's own `__call__`."""
    name, generator = named
    out = run_pipeline(generator, name, 5.0, "pt")
    if "frames" in out:
        expected = out.frames.transpose(1, 2)  # (B, F, 3, H, W) there
    else:
        expected = out.images
    requests = [GenerationRequest(p, i, steps=STEPS, guidance=5.0) for i, p in enumerate(PROMPTS)]
    got = generator.generate(requests)
    assert got[0].pixels.shape == (3, *CANVAS[name])
    assert_close(torch.stack([s.pixels for s in got]), expected.float(), atol=2e-4, rtol=0)


def test_a_sample_depends_on_its_prompt_and_not_on_its_batch(named):
    name, generator = named
    wanted = [GenerationRequest(p, 7, steps=STEPS) for p in ("a", "a much longer one", "b")]
    together = generator.generate(wanted)
    assert not torch.allclose(together[0].pixels, together[2].pixels, atol=1e-5, rtol=0)
    assert_close(generator.generate(wanted[:1])[0].pixels, together[0].pixels, atol=1e-4, rtol=0)
    lengths = {generator.conditioner([p])["text"].shape[1] for p in ("a", "a much longer one")}
    assert lengths == {TOKENS[name]}


def test_the_decoder_goes_both_ways(named):
    name, generator = named
    pixels = torch.rand(2, 3, *CANVAS[name])
    latents = generator.decoder.encode(pixels)
    assert latents.shape == (2, *generator.shape)
    assert generator.decoder.decode(latents).shape == pixels.shape
    assert generator.denoiser.kind == KINDS.get(name, "v")


def test_wan_latents_are_standardised_with_the_configurations_numbers(generators):
    decoder = generators["wan"].decoder
    pixels = torch.rand(1, 3, *VIDEO)
    mode = decoder.vae.encode(pixels * 2 - 1).latent_dist.mode()  # type: ignore[attr-defined]
    mean, std = torch.tensor([-0.8, 0.1, 0.5, 0.0]), torch.tensor([2.8, 1.5, 1.0, 0.7])
    expected = (mode - mean.view(1, 4, 1, 1, 1)) / std.view(1, 4, 1, 1, 1)
    assert_close(decoder.encode(pixels), expected, atol=1e-6, rtol=0)


def test_cogvideox_1_5_has_an_even_number_of_latent_frames(generators):
    generator = generators["cogvideox_1.5"]
    assert generator.shape == (4, 4, 8, 8)  # three, and one in front
    latents = generator.decoder.encode(torch.rand(1, 3, *VIDEO))
    assert torch.equal(latents[:, :, 0], latents[:, :, 1])


@pytest.mark.parametrize("grid", [(4, 4), (2, 6), (6, 2), (3, 4)])
def test_positions_of_another_aspect_are_cropped_as_the_pipeline_does(grid: tuple[int, int]):
    from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid

    assert centred_crop(grid, (4, 6)) == get_resize_crop_region_for_grid(grid, 6, 4)


def test_pack_is_the_pipelines_and_unpack_undoes_it():
    from diffusers.pipelines.flux.pipeline_flux import FluxPipeline

    x = torch.randn(2, 4, 6, 8)
    assert torch.equal(pack(x), FluxPipeline._pack_latents(x, 2, 4, 6, 8))
    assert torch.equal(unpack(pack(x), 6, 8), x)


@pytest.mark.parametrize(("shift", "zero"), [(3.0, True), (1.0, True), (3.0, False)])
def test_cogvideox_levels_are_its_schedulers(shift: float, zero: bool):
    from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler

    scheduler = CogVideoXDDIMScheduler(snr_shift_scale=shift, rescale_betas_zero_snr=zero)
    process = ddpm_from_scheduler(scheduler.config)
    assert_close(process.alpha_bar, scheduler.alphas_cumprod, atol=1e-12, rtol=0)
    assert (float(process.a(999)) == 0) is zero


def test_the_shift_follows_the_resolution_where_the_scheduler_says_so():
    dynamic = {"use_dynamic_shifting": True, "shift": 3.0}
    assert flow_from_scheduler(dynamic, 4096).shift == pytest.approx(2.71828**1.15, rel=1e-5)
    assert flow_from_scheduler(dynamic, 256).shift == pytest.approx(2.71828**0.5, rel=1e-5)
    assert flow_from_scheduler({**dynamic, "time_shift_type": "linear"}, 256).shift == 0.5
    assert flow_from_scheduler({"shift": 3.0}, 4096).shift == 3.0
    assert flow_from_scheduler({"flow_shift": 5.0, "shift": 1.0}, 4096).shift == 5.0


def test_a_distilled_flux_is_told_its_guidance_and_schnell_is_not(generators):
    assert generators["flux"].conditioner(["a"])["guidance"].tolist() == [3.5]
    assert "guidance" not in generators["schnell"].conditioner(["a"])
    assert (generators["flux"].steps, generators["schnell"].steps) == (28, 4)


def test_a_two_network_wan_is_refused_by_name(tmp_path):
    pipe = TINY["wan"]()
    pipe.register_to_config(boundary_ratio=0.9)
    pipe.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"switches between two transformers \(boundary_ratio 0.9\)"):
        Generator.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "canvas", "shape"),
    [
        ("sd", (24, 16), (4, 12, 8)),
        ("sdxl", (24, 16), (4, 12, 8)),
        ("sd3", (12, 16), (4, 6, 8)),
        ("flux", (12, 16), (4, 6, 8)),
        ("sigma", (12, 16), (4, 6, 8)),
        ("alpha", (24, 16), (4, 12, 8)),
        ("wan", (3, 12, 16), (4, 2, 6, 8)),
        ("cogvideox", (9, 12, 16), (4, 5, 6, 8)),
        ("pixart", (12, 20), (3, 12, 20)),
    ],
)
def test_a_canvas_sets_the_size_for_every_class(saved, name, canvas, shape):
    generator = Generator.from_pretrained(saved[name], canvas=canvas)
    assert generator.shape == shape
    assert generator.generate([GenerationRequest("a", 0, steps=1)])[0].pixels.shape == (3, *canvas)
    if name == "sdxl":
        assert generator.conditioner(["a"])["time_ids"].tolist() == [[24, 16, 0, 0, 24, 16]]
    if name == "alpha":
        assert generator.conditioner(["a"])["resolution"].tolist() == [[24, 16]]


@pytest.mark.parametrize(
    ("name", "canvas", "message"),
    [
        ("sd", (16, 17), "canvas width 17 is not a multiple of 2.*take 16"),
        ("flux", (18, 16), "canvas height 18 is not a multiple of 4"),
        ("sd3", (40, 16), "positions up to 32 pixels"),
        ("sd3", (5, 16, 16), r"takes \(height, width\) as positive integers"),
        ("wan", (16, 16), r"takes \(frames, height, width\)"),
        ("wan", (4, 16, 16), r"canvas with 4 frames: this VAE takes 2 k \+ 1 of them; take 3 or 5"),
        ("pixart", (18, 16), "canvas height 18 is not a multiple of 4"),
    ],
)
def test_a_canvas_that_does_not_fit_is_named_at_once(saved, name, canvas, message):
    with pytest.raises(ValueError, match=message):
        Generator.from_pretrained(saved[name], canvas=canvas)


def test_the_names_of_the_tiny_pipelines():
    assert list(TINY) == ["sd15", "sd21", "sdxl", "sd3", "flux", "pixart", "wan", "cogvideox"]
    assert set(TINY_CANVAS) <= set(TINY)
