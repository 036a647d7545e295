"""A preference step on a tiny pipeline of every class that is read by name: built, saved, loaded by path, trained through the recipe."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_core.adapters.builders import TINY
from diffusion_core.data import Pair, save_pairs
from recipes.train import main

CANVAS = {"flux": [16, 16], "wan": [5, 16, 16], "cogvideox": [5, 16, 16]}
SMOKE = "diffusion/diffusion_dpo/smoke"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")

    def folder(name):
        place = root / name
        if not place.is_dir():
            torch.manual_seed(0)
            TINY[name]().save_pretrained(place)
        return place

    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Folders of pairs by the number of axes of a canvas."""
    root, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for axes, shape in ((2, (16, 16, 3)), (3, (5, 16, 16, 3))):
        rows = []
        for i in range(4):
            chosen, rejected = rng.integers(0, 255, (2, *shape), dtype=np.uint8)
            rows.append(
                Pair(
                    f"p{i}",
                    ("a cat", "a dog")[i % 2],
                    chosen,
                    rejected,
                    segments=[1, -1] if axes == 3 else None,
                )
            )
        save_pairs(rows, root / str(axes))
    return root


def train(name, models, pairs, out, *more):
    canvas = CANVAS.get(name, [16, 16])
    words = [
        SMOKE,
        "--model",
        str(models(name)),
        "--pairs",
        str(pairs / str(len(canvas))),
        "--output_dir",
        str(out),
    ]
    return main([*words, "--canvas", *map(str, canvas), "--learning_rate", "0.01", *more])


def rows(out):
    return [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", TINY)
def test_a_lora_trains_on_every_class_and_diffusers_loads_it(name, models, pairs, tmp_path):
    out = tmp_path / "out"
    assert train(name, models, pairs, out) == 0
    told = rows(out)
    assert told[0]["loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert told[0]["grad_norm"] > 0
    assert told[1]["loss"] != told[0]["loss"]
    assert (out / "lora" / "pytorch_lora_weights.safetensors").is_file()
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(models(name))
    if name != "pixart":  # diffusers gives its pipeline no loader of adapters
        pipe.load_lora_weights(out / "lora")
        network = pipe.unet if "unet" in pipe.components else pipe.transformer
        assert float(sum(p.detach().abs().sum() for n, p in network.named_parameters() if "lora_B" in n)) > 0


def test_four_bit_weights_carry_a_lora(models, pairs, tmp_path):
    out = tmp_path / "out"
    assert train("sd3", models, pairs, out, "--quantize", "nf4", "--gradient_checkpointing", "true") == 0
    told = rows(out)
    assert told[0]["loss"] == pytest.approx(np.log(2), abs=1e-4)
    assert told[1]["loss"] != told[0]["loss"]


def test_eight_bit_states_train(models, pairs, tmp_path):
    assert train("sd15", models, pairs, tmp_path / "out", "--optimizer", "adamw_8bit") == 0


def test_checkpointing_changes_memory_and_not_the_loss(models, pairs, tmp_path):
    assert train("sd15", models, pairs, tmp_path / "a") == 0
    assert train("sd15", models, pairs, tmp_path / "b", "--gradient_checkpointing", "true") == 0
    for a, b in zip(rows(tmp_path / "a"), rows(tmp_path / "b"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def test_a_video_trains_by_its_segments(models, pairs, tmp_path):
    out = tmp_path / "out"
    assert train("wan", models, pairs, out, "--loss", "densedpo") == 0
    assert rows(out)[0]["loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert rows(out)[0]["tied_segments"] == 0


def test_autocast_keeps_errors_in_float32(models, pairs, tmp_path):
    out = tmp_path / "out"
    assert train("sd3", models, pairs, out, "--mixed_precision", "bf16", "--dtype", "bfloat16") == 0
    assert rows(out)[0]["loss"] == pytest.approx(np.log(2), abs=1e-5)
