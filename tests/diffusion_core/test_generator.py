"""`Generator`: order, batching, seeds, defaults, fingerprint, and how it fails; on tiny zoo generators."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import diffusion_core.generator as generator_module
from diffusion_core import GenerationRequest, Generator

PROMPTS = [
    "a red circle",
    "blue square on white",
    "a circle , a square , red , blue on white",
    "",
    "a green zebra",
]


@pytest.fixture(scope="module", params=["pixart", "joint"])
def tiny(request, saved) -> Generator:
    return Generator.from_pretrained(saved[request.param])


def requests(count: int = 10) -> list[GenerationRequest]:
    return [GenerationRequest(PROMPTS[i % len(PROMPTS)], seed=i) for i in range(count)]


def test_pictures_are_float32_in_the_unit_range_and_carry_their_request(tiny: Generator):
    wanted = requests(3)
    samples = tiny.generate(wanted)
    assert [s.request for s in samples] == wanted
    for s in samples:
        assert s.pixels.shape == (3, 16, 16)
        assert s.pixels.dtype == torch.float32
        assert 0 <= s.pixels.min() <= s.pixels.max() <= 1
        assert s.pixels.std() > 0.01
        assert not s.pixels.is_inference()


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_picture_does_not_depend_on_its_batch(tiny: Generator, batch_size: int):
    wanted = requests()
    alone = [tiny.generate([r])[0].pixels for r in wanted]
    for got, expected in zip(tiny.generate(wanted, batch_size=batch_size), alone, strict=True):
        assert_close(got.pixels, expected, atol=1e-5, rtol=0)


def test_a_picture_does_not_depend_on_the_order_of_requests(tiny: Generator):
    wanted = requests()
    forward, backward = tiny.generate(wanted, batch_size=4), tiny.generate(wanted[::-1], batch_size=4)
    for a, b in zip(forward, backward[::-1], strict=True):
        assert a.request == b.request
        assert_close(a.pixels, b.pixels, atol=1e-5, rtol=0)


def test_seed_prompt_negative_steps_and_guidance_each_change_the_picture(tiny: Generator):
    base = {"prompt": "a red circle", "seed": 1}
    changes = [
        {"seed": 2},
        {"prompt": "blue square"},
        {"negative_prompt": "blue"},
        {"steps": 5},
        {"guidance": 1.0},
    ]
    first, *others = tiny.generate(
        [GenerationRequest(**base), *[GenerationRequest(**base | c) for c in changes]]
    )
    for change, other in zip(changes, others, strict=True):
        assert not torch.allclose(first.pixels, other.pixels, atol=1e-4), change


def test_mixed_steps_and_guidance_are_answered_in_order(tiny: Generator):
    wanted = [
        GenerationRequest("a red circle", seed=i, steps=2 + i % 2, guidance=[1.0, 2.0, 3.0][i % 3])
        for i in range(7)
    ]
    for got, r in zip(tiny.generate(wanted), wanted, strict=True):
        assert got.request == r
        assert_close(got.pixels, tiny.generate([r])[0].pixels, atol=1e-5, rtol=0)


def test_defaults_fill_open_requests_and_change_the_fingerprint(tiny: Generator):
    other = tiny.defaults(steps=5, guidance=1.0)
    assert (other.steps, other.guidance, tiny.steps) == (5, 1.0, 3)
    explicit = tiny.generate([GenerationRequest("a red circle", 1, steps=5, guidance=1.0)])[0]
    assert torch.equal(other.generate([GenerationRequest("a red circle", 1)])[0].pixels, explicit.pixels)
    assert other.fingerprint != tiny.fingerprint


def test_each_distinct_prompt_is_encoded_once_per_batch(tiny: Generator, monkeypatch):
    seen: list[list[str]] = []
    kind = type(tiny.conditioner)
    plain = kind.__call__
    monkeypatch.setattr(
        kind, "__call__", lambda self, prompts, **kw: seen.append(list(prompts)) or plain(self, prompts, **kw)
    )
    tiny.generate([GenerationRequest(p, seed) for seed in range(4) for p in ("a", "b")])
    assert seen == [["a", "b"], [""]]


def test_guidance_one_runs_half_the_rows(tiny: Generator, monkeypatch):
    rows: list[int] = []
    kind = type(tiny.denoiser)
    plain = kind.raw
    monkeypatch.setattr(kind, "raw", lambda self, x, t, cond: rows.append(len(x)) or plain(self, x, t, cond))
    tiny.generate(requests(4), on_progress=None)
    tiny.defaults(guidance=1.0).generate(requests(4))
    assert rows == [8] * 3 + [4] * 3


def test_progress_counts_to_the_end(tiny: Generator):
    seen: list[tuple[int, int]] = []
    tiny.generate(requests(5), batch_size=2, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_nothing_asked_nothing_made(tiny: Generator):
    assert tiny.generate([]) == []


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_named(tiny: Generator, seed: int):
    with pytest.raises(ValueError, match=f"seed {seed} is outside"):
        tiny.generate([GenerationRequest("a", seed)])


def test_a_prompt_of_twenty_thousand_characters_is_cut_not_refused(tiny: Generator):
    long = GenerationRequest("red circle " * 2000, 1)
    cut = GenerationRequest("red circle " * 20, 1)
    a, b = tiny.generate([long, cut])
    assert_close(a.pixels, b.pixels, atol=1e-5, rtol=0)


def test_generating_leaves_torchs_global_randomness_alone(tiny: Generator):
    before = torch.get_rng_state()
    tiny.generate(requests(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_fingerprint_is_of_the_weights(saved, tmp_path: Path):
    first = Generator.from_pretrained(saved["pixart"])
    again = Generator.from_pretrained(saved["pixart"])
    assert first.fingerprint == again.fingerprint
    assert len(first.fingerprint) == 64
    with torch.no_grad():
        next(iter(again.denoiser.modules().values())).proj_out.bias[0] += 1e-3
    del again.__dict__["fingerprint"]
    assert first.fingerprint != again.fingerprint


def test_zoo_weights_are_half_on_disk_and_float32_in_memory(saved):
    from safetensors.torch import load_file

    disk = load_file(saved["pixart"] / "transformer" / "diffusion_pytorch_model.safetensors")
    assert {v.dtype for v in disk.values()} == {torch.float16}
    loaded = Generator.from_pretrained(saved["pixart"])
    assert {p.dtype for m in loaded.modules().values() for p in m.parameters()} == {torch.float32}
    assert loaded.licence == "Apache-2.0"


def test_clipping_is_asked_for_in_the_manifest(saved, tmp_path: Path):
    folder = shutil.copytree(saved["pixart"], tmp_path / "clipped")
    manifest = json.loads((folder / "generator.json").read_text())
    (folder / "generator.json").write_text(json.dumps(manifest | {"clip_x0": True}))
    clipped, plain = Generator.from_pretrained(folder), Generator.from_pretrained(saved["pixart"])
    assert len(clipped.hooks) == 1
    assert clipped.fingerprint != plain.fingerprint
    assert clipped.generate(requests(1))[0].pixels.shape == (3, 16, 16)


def test_missing_weights_say_how_to_make_them(saved, tmp_path: Path, monkeypatch):
    folder = shutil.copytree(saved["pixart"], tmp_path / "g")
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks transformer/diffusion_pytorch_model.*rewright train"):
        Generator.from_pretrained(folder)
    monkeypatch.setitem(generator_module.EMBEDDED, "shapes", tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"lacks generator.json.*rewright train"):
        Generator.from_pretrained()


def test_a_malformed_manifest_names_the_file_and_the_field(saved, tmp_path: Path):
    folder = shutil.copytree(saved["pixart"], tmp_path / "g")
    manifest = json.loads((folder / "generator.json").read_text())
    (folder / "generator.json").write_text(json.dumps(manifest | {"prediction": "noise"}))
    with pytest.raises(ValueError, match=r"(?s)generator\.json is not a generator's manifest.*prediction"):
        Generator.from_pretrained(folder)


def test_an_unknown_name_or_folder_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no generator 'nonsense'.*shapes"):
        Generator.from_pretrained("nonsense")
    with pytest.raises(ValueError, match=r"neither generator\.json nor model_index\.json"):
        Generator.from_pretrained(tmp_path)
