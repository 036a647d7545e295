"""`rewright plan` against what a run really holds: live bytes of tensors, phase by phase, on tiny generators."""

import json

import numpy as np
import pytest
import torch

from diffusion_core.adapters.builders import TINY, save_zoo
from diffusion_core.data import Pair
from diffusion_core.memory import LiveBytes, bytes_of
from recipes.cli import main
from recipes.diffusion_pref import build_trainer, make_accelerator, parse
from recipes.plan import plan
from recipes.preference_run import load

CANVAS = {"wan": ["5", "16", "16"]}
WITHIN = 0.15


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")

    def folder(name):
        place = root / name
        if not place.is_dir():
            torch.manual_seed(0)
            save_zoo(place) if name == "zoo" else TINY[name]().save_pretrained(place)
        return place

    return folder


def made_of(models, name, output, *more):
    canvas = CANVAS.get(name, ["16", "16"])
    config = "recipes/configs/diffusion/diffusion_dpo/smoke.yaml"
    words = ["--config", config, "--model", str(models(name)), "--pairs", "x", "--output_dir", str(output)]
    return parse([*words, "--canvas", *canvas, "--batch_size", "4", "--max_pairs", "4", *more])


def pairs_for(made, count=4):
    rng = np.random.default_rng(0)
    shape = (*made.model.canvas, 3)
    longest = " ".join(["red circle"] * 8)  # as long as the tiny models read
    return [
        Pair(f"p{i}", f"{i} {longest}", *rng.integers(0, 255, (2, *shape), dtype=np.uint8))
        for i in range(count)
    ]


def measured(made, output):
    """Peaks of encoding and of two steps of training, as the recipe does them."""
    accelerator = make_accelerator(made)
    with LiveBytes() as live:
        generator, encoded, _, _ = load(made, pairs_for(made), output, accelerator)
        encoding = live.peak
    with LiveBytes() as live:
        live.hold(*generator.denoiser.modules().values())
        trainer = build_trainer(made, generator, encoded, accelerator, output, None)
        trainer.train()
    return encoding, live.peak


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("zoo", ()),
        ("sd15", ()),
        ("sd15", ("--gradient_checkpointing", "true")),
        ("sd15", ("--lora_r", "0", "--reference", "frozen_copy")),
        ("sd3", ("--draws_per_pair", "2")),
        ("wan", ()),
    ],
)
def test_a_step_takes_what_was_predicted(models, tmp_path, name, more):
    made = made_of(models, name, tmp_path, *more)
    told = {phase.name: phase for phase in plan(made)}
    _, training = measured(made, tmp_path)
    assert told["train"].peak == pytest.approx(training, rel=WITHIN)


@pytest.mark.parametrize("name", ["sd15", "wan"])
def test_encoding_takes_what_was_predicted(models, tmp_path, name):
    made = made_of(models, name, tmp_path, "--encode_batch", "4")
    told = {phase.name: phase for phase in plan(made)}
    encoding, _ = measured(made, tmp_path)
    assert told["encode"].peak == pytest.approx(encoding, rel=WITHIN)


def test_loading_takes_the_weights(models, tmp_path):
    from diffusion_core.generator import Generator

    made = made_of(models, "sdxl", tmp_path)
    told = {phase.name: phase for phase in plan(made)}
    generator = Generator.from_pretrained(models("sdxl"))
    assert told["load"].peak == pytest.approx(bytes_of(*generator.modules().values()), rel=0.01)


def test_live_bytes_are_those_of_the_arithmetic():
    x = torch.zeros(1000)
    with LiveBytes() as live:
        y = x + 1  # x and y
        assert live.now == 8000
        z = y.view(10, 100)  # no bytes of its own
        assert live.now == 8000
        del y, z
        assert live.now == 4000
    assert live.peak == 8000


def test_the_command_prints_every_phase(models, tmp_path, capsys):
    words = ["plan", "diffusion/diffusion_dpo/smoke", "--json", "--model", str(models("sd15"))]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert [phase["name"] for phase in told] == ["load", "encode", "train"]
    assert main(["plan", "diffusion/diffusion_dpo/smoke", "--model", str(models("sd15"))]) == 0
    assert "The most is" in capsys.readouterr().out


def test_a_model_whose_configuration_is_not_here_is_named(capsys, monkeypatch):
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # as the command line sets it before the import
    assert main(["plan", "diffusion/diffusion_dpo/sd1.5_8x80gb"]) == 1
    assert "no configuration of 'stable-diffusion-v1-5/stable-diffusion-v1-5'" in capsys.readouterr().err
