"""Training of the embedded generator: data by step, schedule, exact resumption, folders that load."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from diffusion_core.adapters.zoo_modules import ZooConfig, build_modules, word_tokenizer
from diffusion_core.generator import Generator
from diffusion_core.types import GenerationRequest
from diffusion_core.worlds.shapes.lexicon import dialect_words
from recipes.generator_card import measure, table, wilson
from recipes.generator_supervision import SceneHeads
from recipes.generator_train import (
    TIME_MEAN,
    TIME_STD,
    fast_precision,
    lr_factor,
    make_batch,
    patches_by_product,
    principal_patches,
    stratified_times,
    train,
    training_losses,
)


def _args(output, **changes) -> Namespace:
    base = {
        "output_dir": str(output),
        "seed": 3,
        "patch": 16,
        "width": 32,
        "layers": 1,
        "text_width": 32,
        "text_layers": 1,
        "prediction": "x0",
        "learning_rate": 1e-3,
        "optimizer": "muon",
        "ema_decay": 0.9,
        "samples": 16,
        "easy_samples": 8,
        "batch": 4,
        "noise_draws": 2,
        "warmup": 2,
        "decay_fraction": 0.25,
        "log_every": 1,
        "save_every_seconds": 1e9,
        "text_weight": 0.3,
        "cell_weight": 0.5,
        "fast_bf16": False,
        "processes": 1,
        "threads": 1,
    }
    return Namespace(**{**base, **changes})


def _noise(batch, draws: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    t = stratified_times(len(batch.x0), draws, g)
    return t, torch.randn(len(t), *batch.x0.shape[1:], generator=g)


def test_a_picture_is_a_function_of_seed_step_and_index():
    first, again = make_batch(1, 5, range(8)), make_batch(1, 5, range(4, 8))
    other = make_batch(1, 6, range(8))
    assert torch.equal(first.x0[4:], again.x0)
    assert first.captions[4:] == again.captions
    assert not torch.equal(first.x0, other.x0)
    assert first.x0.shape == (8, 3, 48, 48)
    assert first.x0.min() >= -1
    assert first.x0.max() <= 1
    assert [spec is None for spec in first.specs] == [caption == "" for caption in first.captions]


def test_easy_batches_mostly_show_one_object():
    easy = make_batch(1, 5, range(200), alone=0.7).captions
    mixed = make_batch(1, 5, range(200)).captions
    alone = [sum("," not in c and c.startswith("one") for c in captions) for captions in (easy, mixed)]
    assert alone[0] > 1.8 * alone[1]


def test_the_rate_warms_up_stays_and_decays_to_zero():
    assert lr_factor(0, 0.0, 10, 0.25) == pytest.approx(0.1)
    assert lr_factor(500, 0.5, 10, 0.25) == 1
    assert lr_factor(900, 0.875, 10, 0.25) == pytest.approx(0.5)
    assert lr_factor(999, 1.0, 10, 0.25) == 0


def test_every_picture_meets_every_part_of_the_times_and_the_whole_batch_is_stratified():
    t = stratified_times(50, 4, torch.Generator().manual_seed(3))
    quantile = torch.special.ndtr((torch.logit(t) - TIME_MEAN) / TIME_STD).view(50, 4)
    assert torch.equal((quantile * 4).long(), torch.arange(4).expand(50, 4))
    assert torch.equal((quantile.reshape(-1).sort().values * 200).long(), torch.arange(200))


def _modules(width: int = 32):
    torch.manual_seed(0)
    config = ZooConfig(width=width, layers=1, text_width=32, text_layers=1)
    return config, build_modules(config, dialect_words())


def test_all_parts_that_are_trained_get_a_gradient():
    config, modules = _modules()
    heads = SceneHeads(32, 32)
    heads.watch(modules.transformer.transformer_blocks[0])
    batch = make_batch(0, 0, range(16))  # some with a relation
    found = training_losses(modules, config, batch, *_noise(batch, draws=3), heads)
    (found.flow + found.phrase + found.reference + found.cell).backward()
    assert all(p.grad is not None for p in modules.text_encoder.parameters() if p.requires_grad)
    assert all(p.grad is not None and p.grad.any() for p in heads.parameters())


def test_attention_written_out_and_patches_by_product_compute_the_same_loss(monkeypatch):
    import recipes.generator_train as module

    config, modules = _modules()
    batch = make_batch(0, 0, range(3))
    noise = _noise(batch)
    plain = training_losses(modules, config, batch, *noise).flow
    patches_by_product(modules, config)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", module._plain_attention)
    assert training_losses(modules, config, batch, *noise).flow.item() == pytest.approx(
        plain.item(), rel=1e-5
    )


def test_bfloat16_changes_the_loss_by_rounding_and_leaves_attention_as_it_was():
    config, modules = _modules()
    batch = make_batch(0, 0, range(3))
    noise, fused = _noise(batch), torch.nn.functional.scaled_dot_product_attention
    exact = training_losses(modules, config, batch, *noise).flow.item()
    with fast_precision(True):
        rounded = training_losses(modules, config, batch, *noise).flow
    assert rounded.item() == pytest.approx(exact, rel=0.03)
    assert rounded.item() != exact
    assert torch.nn.functional.scaled_dot_product_attention is fused


def test_the_gradients_of_two_shares_of_a_batch_average_to_that_of_the_whole():
    config, modules = _modules()
    heads = SceneHeads(32, 32)
    heads.watch(modules.transformer.transformer_blocks[0])
    t, eps = _noise(make_batch(0, 0, range(4)), draws=2)
    weight = modules.transformer.proj_out.weight

    def gradient(indices: range) -> torch.Tensor:
        drawn = slice(2 * indices.start, 2 * indices.stop)
        batch = make_batch(0, 0, indices)
        found = training_losses(modules, config, batch, t[drawn], eps[drawn], heads)
        return torch.autograd.grad(found.flow, weight)[0]

    halves = (gradient(range(2)) + gradient(range(2, 4))) / 2
    torch.testing.assert_close(halves, gradient(range(4)), rtol=1e-4, atol=1e-6)


def test_two_processes_share_a_run_to_its_end(tmp_path):
    # Weights are not compared with one process's: Muon and Adam divide by the size of a gradient, and enlarge what rounding leaves of a zero.
    train(_args(tmp_path, processes=2))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert (state["step"], state["samples"]) == (4, 16)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 4  # one of the two writes
    assert (tmp_path / "generator" / "generator.json").is_file()


def test_a_network_that_starts_at_the_principal_components_carries_a_patch_through_unharmed():
    config, modules = _modules(width=96)
    principal_patches(modules, config, make_batch(2, 0, range(300)).x0)
    into, out = modules.transformer.pos_embed.proj, modules.transformer.proj_out
    seen = make_batch(3, 0, range(8)).x0
    tokens = into(seen).flatten(2).transpose(1, 2)  # (B, 9, width)
    back = torch.nn.functional.linear(4 * tokens, out.weight, out.bias).view(8, 3, 3, 16, 16, 3)
    back = back.permute(0, 5, 1, 3, 2, 4).reshape(8, 3, 48, 48)
    assert (back - seen).abs().max() < 0.02


def test_a_perfect_prediction_has_no_loss_and_a_wrong_one_is_weighed_by_its_velocity():
    batch = make_batch(0, 0, range(4))
    config, modules = _modules()
    t, eps = _noise(batch)

    class Says:
        def __init__(self, value):
            self.value = value

        def __call__(self, x_t, **_):
            return (self.value,)

    modules.transformer = Says(batch.x0)
    assert training_losses(modules, config, batch, t, eps).flow == 0
    modules.transformer = Says(batch.x0 + 1)
    expected = (1 / t.clamp_min(0.1).square()).mean()
    assert training_losses(modules, config, batch, t, eps).flow.item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_words_outside_the_dialect_are_unknown_to_the_tokenizer():
    tokenizer = word_tokenizer(dialect_words(), 48)
    ids = tokenizer("two Red crimson circles, letter A; white background")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == [
        "[BOS]", "two", "red", "[UNK]", "circles", ",", "letter", "a", ";", "white", "background",
    ]  # fmt: skip
    assert tokenizer("")["input_ids"] == [tokenizer.bos_token_id]


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    train(_args(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "parts")
    train(_args(tmp_path / "parts"))
    for part in ("transformer/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
        whole = load_file(tmp_path / "whole" / "generator" / part)
        parts = load_file(tmp_path / "parts" / "generator" / part)
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[k], parts[k]) for k in whole)


def _interrupted(output) -> None:
    """Save at every step and stop in the third."""
    import recipes.generator_train as module

    real = module.make_batch

    def failing(seed, step, indices, alone=0.0):
        if step == 2:
            raise KeyboardInterrupt
        return real(seed, step, indices, alone)

    module.make_batch = failing
    try:
        train(_args(output, save_every_seconds=0.0))
    finally:
        module.make_batch = real


def test_the_run_leaves_a_folder_that_generates_and_a_card_can_be_measured(tmp_path):
    train(_args(tmp_path))
    generator = Generator.from_pretrained(tmp_path / "generator").defaults(steps=2)
    (sample,) = generator.generate([GenerationRequest("one red circle", 1)])
    assert sample.pixels.shape == (3, 48, 48)
    report = measure(generator, n=6)
    assert 0 <= report["canonical"]["atoms"] <= 1
    assert "strict accuracy" in table(report)


def test_wilsons_interval_matches_a_worked_value():
    low, high = wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert np.isclose(wilson(0, 10)[0], 0)
