"""The trainer on a tiny generator of the real classes: it goes on bitwise, its reference modes agree, and it refuses what cannot be right."""

import dataclasses

import numpy as np
import pytest
import torch

from diffusion_core.adapters.builders import save_zoo
from diffusion_core.adapters.lora_io import add_lora
from diffusion_core.checkpoint import Checkpoints
from diffusion_core.data import Pair
from diffusion_core.draws import Times
from diffusion_core.encoding import encode, without_encoders
from diffusion_core.generator import Generator
from diffusion_core.losses import LOSSES, build_loss
from diffusion_core.losses.inputs import SoftPairErrors
from diffusion_core.noising import NOISINGS
from diffusion_core.objective import Objective
from diffusion_core.reference import FrozenCopy, choose, make_reference
from diffusion_core.trainer import PreferenceTrainer, TrainerConfig, rate_factor
from diffusion_core.types import StepLogProbs

OFFLINE = [name for name, cls in LOSSES.items() if not issubclass(cls.inputs, StepLogProbs)]


def make_pairs(count=8, size=16):
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(count):
        chosen, rejected = rng.integers(0, 255, (2, size, size, 3), dtype=np.uint8)
        prompt = "a red circle" if i % 2 else "a blue square on white"
        pairs.append(
            Pair(f"p{i}", prompt, chosen, rejected, prompt_rejected="a blue circle", prob_chosen=0.8)
        )
    return pairs


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    torch.manual_seed(0)
    save_zoo(folder)
    return folder


@pytest.fixture(scope="module")
def encoded(zoo, tmp_path_factory):
    generator = Generator.from_pretrained(zoo)
    return encode(generator, make_pairs(), tmp_path_factory.mktemp("encoded"), (16, 16))


def fresh(zoo, encoded, lora=True):
    generator = without_encoders(Generator.from_pretrained(zoo), encoded, keep_decoder=False)
    for net in generator.denoiser.modules().values():
        net.requires_grad_(not lora)
    if lora:
        torch.manual_seed(1)
        add_lora(generator, 2, 2)
    return generator


def trainer(
    zoo,
    encoded,
    output,
    loss="diffusion_dpo",
    mode="auto",
    lora=True,
    hyper=None,
    objective=None,
    validation=(),
    **config,
):
    from accelerate import Accelerator

    generator = fresh(zoo, encoded, lora)
    built = build_loss(loss, **(hyper or {}))
    settings = {"max_steps": 4, "batch_size": 2, "learning_rate": 1e-2, "save_every": 2, **config}
    chosen = choose(mode, built, adapter=lora, fixed_draws=settings.get("fixed_draws", 0))
    denoiser = generator.denoiser
    made = Objective(
        built, generator.process, denoiser.kind, Times.of(generator.process), **(objective or {})
    )
    reference = make_reference("adapter_off" if chosen == "precomputed" and lora else chosen, denoiser)
    if chosen == "precomputed" and not lora:
        reference = denoiser
    rows = []
    made = PreferenceTrainer(
        denoiser,
        encoded,
        made,
        TrainerConfig(**settings),
        accelerator=Accelerator(cpu=True),
        output=output,
        reference=reference,
        reference_mode=chosen,
        on_log=rows.append,
        validation=validation,
    )
    made.rows = rows
    return made


def weights(made):
    return {name: p.detach().clone() for name, p in made.named.items()}


def test_only_the_adapter_moves_and_the_reference_stays(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path)
    before = {
        n: p.detach().clone() for net in made.denoiser.modules().values() for n, p in net.named_parameters()
    }
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([0.3, 0.7])
    cond = encoded.conditioning(["a red circle"] * 2)
    base = made.reference.raw(x, t, cond)
    assert made.train() == 4
    for net in made.denoiser.modules().values():
        for name, p in net.named_parameters():
            assert torch.equal(before[name], p) == ("lora_" not in name), name
            assert p.grad is None or "lora_" in name
    assert torch.equal(made.reference.raw(x, t, cond), base)
    assert not torch.equal(made.denoiser.raw(x, t, cond), base)


def test_a_run_that_goes_on_is_the_uninterrupted_one_bit_for_bit(zoo, encoded, tmp_path):
    whole = trainer(zoo, encoded, tmp_path / "a", ema_decay=0.9, prompt_dropout=0.3)
    whole.train()
    half = trainer(zoo, encoded, tmp_path / "b", ema_decay=0.9, prompt_dropout=0.3, max_steps=2)
    half.train()
    rest = trainer(zoo, encoded, tmp_path / "b", ema_decay=0.9, prompt_dropout=0.3)
    rest.train()
    assert rest.step == 4
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(rest)[name]), name
        assert torch.equal(whole.ema[name], rest.ema[name]), name
    assert [row["loss"] for row in whole.rows] == [row["loss"] for row in (*half.rows, *rest.rows)]


def test_batches_and_accumulation_are_one_trajectory(zoo, encoded, tmp_path):
    together = trainer(zoo, encoded, tmp_path / "a", batch_size=4)
    parts = trainer(zoo, encoded, tmp_path / "b", batch_size=2, accumulation=2)
    together.train()
    parts.train()
    for name, value in weights(together).items():
        torch.testing.assert_close(value, weights(parts)[name], rtol=2e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize(
    ("mode", "lora"), [("frozen_copy", True), ("precomputed", True), ("precomputed", False)]
)
def test_reference_modes_give_one_trajectory(zoo, encoded, tmp_path, mode, lora):
    first = trainer(zoo, encoded, tmp_path / "a", lora=lora, fixed_draws=2, learning_rate=1e-3, batch_size=4)
    other = trainer(
        zoo, encoded, tmp_path / "b", mode=mode, lora=lora, fixed_draws=2, learning_rate=1e-3, batch_size=4
    )
    first.train()
    other.train()
    for a, b in zip(first.rows, other.rows, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["winner_error_gap"] == pytest.approx(b["winner_error_gap"], abs=1e-7)


def test_precomputed_errors_need_no_reference_while_training(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path, mode="precomputed", fixed_draws=1)
    asked = []
    made.reference = type(
        "Counting", (), {"raw": lambda self, *a, inner=made.reference: asked.append(1) or inner.raw(*a)}
    )()
    made.train()
    assert made.reference is None
    assert len(asked) == len(encoded) // 2  # once a batch of 2 pairs, before the first step
    assert made.table[0].shape == (len(encoded), 2, 1)


@pytest.mark.parametrize("name", OFFLINE)
def test_every_loss_of_pairs_trains(zoo, encoded, tmp_path, name):
    hyper = {"link": "sigmoid"} if name == "pso_db" else {}
    objective = {"inversion_steps": 3}
    if LOSSES[name].noising in NOISINGS and NOISINGS[LOSSES[name].noising].needs_network:
        objective["noising"] = dataclasses.replace(NOISINGS[LOSSES[name].noising](), steps=3)
    if name == "densedpo":  # segments are stretches of a video
        with pytest.raises(ValueError, match="stretches of a video"):
            trainer(zoo, encoded, tmp_path, loss=name).train()
        return
    made = trainer(zoo, encoded, tmp_path, loss=name, hyper=hyper, objective=objective, max_steps=2)
    if name == "inversion_dpo":  # its gradient at policy = reference is exactly 0: start beside it
        with torch.no_grad():
            for p in made.named.values():
                p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(3)))
    before = weights(made)
    made.train()
    assert all(np.isfinite(row["loss"]) for row in made.rows)
    assert any(not torch.equal(before[n], p) for n, p in weights(made).items())


def test_overfitting_a_few_pairs_prefers_their_winners(zoo, encoded, tmp_path):
    made = trainer(
        zoo,
        encoded,
        tmp_path,
        batch_size=8,
        max_steps=40,
        learning_rate=3e-2,
        hyper={"beta": 200.0},
        fixed_draws=1,
    )
    made.train()
    assert made.rows[0]["loss"] == pytest.approx(np.log(2), abs=1e-4)
    assert made.rows[-1]["implicit_acc"] > 0.85
    assert made.rows[-1]["loss"] < 0.6


def test_held_out_pairs_are_not_trained_on(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path, eval_every=2, validation=[0, 1])
    seen = {slot.pair for step in range(20) for slot in made.slots(step, 0)}
    assert seen == set(range(2, 8))
    made.train()
    told = [row for row in made.rows if "eval_loss" in row]
    assert len(told) == 2
    assert {"eval_implicit_acc", "eval_winner_error_gap"} <= told[0].keys()


def test_every_epoch_meets_each_pair_once(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path)
    epochs = [
        [slot.pair for step in range(4 * e, 4 * e + 4) for slot in made.slots(step, 0)] for e in range(3)
    ]
    assert all(sorted(epoch) == list(range(8)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_early_stop_goes_by_the_reward(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path, eval_every=1, patience=2, max_steps=10)
    told = iter([0.5, 0.7, 0.6, 0.6, 0.9])
    made.rewarded = True
    made.evaluate = lambda step: {"reward": next(told)}
    assert made.train() == 4
    assert made.early_stop.best == pytest.approx(0.7)
    assert made.early_stop.best_step == 2


def test_displacement_is_told(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path, alarm_after=2, max_steps=4, hyper={"beta": 1e-3})
    with torch.no_grad():  # a broken policy fits both worse than its reference
        for p in made.named.values():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(4)))
    made.train()
    assert [row.get("displacement") for row in made.rows] == [None, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("loss", "mode", "adapter", "fixed", "words"),
    [
        ("diffusion_dpo", "none", True, 0, "measures every error against a reference"),
        ("diffusion_dpo", "adapter_off", False, 0, "frozen_copy"),
        ("diffusion_dpo", "precomputed", True, 0, "fixed_draws"),
        ("inpo", "precomputed", True, 2, "x_t changes while it trains"),
        ("smpo", "precomputed", True, 2, "x_t changes while it trains"),
        ("sdpo", "precomputed", True, 2, "PredictionBatch"),
        ("diffusion_dpo", "adapters_off", True, 0, "is not one of"),
    ],
)
def test_a_reference_that_cannot_be_right_is_refused(loss, mode, adapter, fixed, words):
    with pytest.raises(ValueError, match=words):
        choose(mode, build_loss(loss), adapter=adapter, fixed_draws=fixed)


def test_the_cheapest_right_reference_is_chosen():
    assert choose("auto", build_loss("diffusion_dpo"), adapter=True) == "adapter_off"
    assert choose("auto", build_loss("diffusion_dpo"), adapter=False) == "frozen_copy"
    assert choose("auto", build_loss("mapo"), adapter=True) == "none"
    assert choose("auto", build_loss("pso_db"), adapter=True) == "none"
    assert choose("auto", build_loss("pso_db", link="sigmoid"), adapter=True) == "adapter_off"


def test_weights_beside_the_adapter_are_refused(zoo, encoded, tmp_path):
    generator = fresh(zoo, encoded)
    next(iter(generator.denoiser.modules().values())).proj_out.weight.requires_grad_(True)
    from diffusion_core.reference import check_policy

    with pytest.raises(ValueError, match=r"1 weights beside the adapter train \(proj_out.weight"):
        check_policy(next(iter(generator.denoiser.modules().values())), "adapter_off")


def test_dropout_that_is_on_is_refused(zoo, encoded):
    from diffusion_core.reference import check_policy

    net = next(iter(fresh(zoo, encoded).denoiser.modules().values()))
    net.train()
    net.add_module("extra", torch.nn.Dropout(0.1))
    with pytest.raises(ValueError, match="dropout is on in 1 layers"):
        check_policy(net, "adapter_off")


def test_online_losses_say_that_they_need_rollouts(zoo, encoded, tmp_path):
    with pytest.raises(ValueError, match="needs roll-outs"):
        trainer(zoo, encoded, tmp_path, loss="spo")


def test_soft_labels_that_are_missing_are_named(zoo, tmp_path):
    pairs = [dataclasses.replace(pair, prob_chosen=None) for pair in make_pairs()]
    encoded = encode(Generator.from_pretrained(zoo), pairs, tmp_path, (16, 16))
    assert issubclass(build_loss("smpo").inputs, SoftPairErrors)
    with pytest.raises(ValueError, match="prob_chosen"):
        trainer(zoo, encoded, tmp_path, loss="smpo", objective={"noising": NOISINGS["shared"]()}).train()


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path)
    with torch.no_grad():
        next(iter(made.named.values())).fill_(float("nan"))
    before = weights(made)
    with pytest.raises(FloatingPointError, match="step 0"):
        made.train()
    assert all(torch.equal(before[n].nan_to_num(), p.nan_to_num()) for n, p in weights(made).items())


def test_images_that_are_not_finite_are_refused_by_name(zoo, tmp_path):
    generator = Generator.from_pretrained(zoo)
    broken = dataclasses.replace(
        generator,
        decoder=type(
            "Broken", (), {"encode": lambda self, x: x * float("nan"), "modules": lambda self: {}}
        )(),
    )
    with pytest.raises(ValueError, match="the chosen image of pair p0"):
        encode(broken, make_pairs(), tmp_path, (16, 16))


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    kept = Checkpoints(tmp_path, keep=3)
    kept.save(1, {"x": torch.ones(3)}, seconds=1.0)
    kept.save(2, {"x": torch.ones(3)}, seconds=2.0)
    state = tmp_path / "checkpoint-2" / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    assert kept.newest()[0] == 1
    (tmp_path / "checkpoint-1" / "trainer_state.json").unlink()
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be read"):
        kept.newest()


def test_old_checkpoints_go_after_the_new_one_is_there(tmp_path):
    kept = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 10):
        kept.save(step, {}, seconds=0.0)
    assert [path.name for path in kept.found()] == ["checkpoint-2", "checkpoint-10"]


def test_a_checkpoint_of_another_adapter_is_refused(zoo, encoded, tmp_path):
    trainer(zoo, encoded, tmp_path).train()
    with pytest.raises(ValueError, match="of another network or adapter"):
        trainer(zoo, encoded, tmp_path, lora=False, max_steps=5).train()


def test_the_rate_warms_up_and_falls():
    config = TrainerConfig(max_steps=10, warmup_steps=2, schedule="linear")
    assert [round(rate_factor(config, s), 3) for s in (0, 1, 2, 6, 9)] == [0.5, 1.0, 1.0, 0.5, 0.125]
    cosine = dataclasses.replace(config, schedule="cosine")
    assert rate_factor(cosine, 6) == pytest.approx(0.5)


def test_a_frozen_copy_is_of_the_start(zoo, encoded):
    generator = fresh(zoo, encoded, lora=False)
    copy = FrozenCopy(generator.denoiser)
    assert not any(p.requires_grad for net in copy.denoiser.modules().values() for p in net.parameters())
    with torch.no_grad():
        for p in next(iter(generator.denoiser.modules().values())).parameters():
            p.zero_()
    x, cond = torch.randn(1, 3, 16, 16), encoded.conditioning(["a red circle"])
    assert float(copy.raw(x, torch.tensor([0.5]), cond).abs().sum()) > 0


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path)
    before = weights(made)
    next(iter(made.named.values())).register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(FloatingPointError, match="norm of the gradient of step 0"):
        made.train()
    assert all(torch.equal(before[n], p) for n, p in weights(made).items())
    assert made.checkpoints.found() == []


def test_what_is_logged_survives_an_interruption_between_two_logs(zoo, encoded, tmp_path):
    whole = trainer(zoo, encoded, tmp_path / "a", log_every=3, max_steps=6)
    whole.train()
    half = trainer(zoo, encoded, tmp_path / "b", log_every=3, max_steps=6)
    step = half._train_step
    half._train_step = lambda: setattr(half, "stopping", half.step == 3) or step()
    half.train()
    assert half.step == 4
    rest = trainer(zoo, encoded, tmp_path / "b", log_every=3, max_steps=6)
    rest.train()
    assert [row["loss"] for row in whole.rows] == [row["loss"] for row in (*half.rows, *rest.rows)]


def test_the_best_weights_are_kept(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path, eval_every=1, patience=2, max_steps=10)
    told, seen = iter([0.5, 0.7, 0.6, 0.6]), []
    made.rewarded = True
    made.evaluate = lambda step: seen.append(weights(made)) or {"reward": next(told)}
    made.train()
    assert made.early_stop.best_step == 2
    assert made.restore_best()
    assert all(torch.equal(seen[1][n], p) for n, p in weights(made).items())


def test_a_start_that_is_never_beaten_is_known(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path, eval_every=1, patience=2, max_steps=10)
    made.early_stop.add(0, 0.9)
    made.rewarded, made.evaluate = True, lambda step: {"reward": 0.5}
    assert made.train() == 2
    assert not made.restore_best()


def test_a_micro_batch_has_times_from_the_whole_density(zoo, encoded, tmp_path):
    made = trainer(zoo, encoded, tmp_path, batch_size=2, accumulation=4)
    spread = [
        sorted(slot.position for micro in range(4) for slot in made.slots(step, micro)) for step in range(3)
    ]
    assert spread == [list(range(8))] * 3
    assert [slot.position for slot in made.slots(0, 0)] != [0, 1]
    quantile = made.objective.times.quantiles(0, [0, 1, 2, 3], [0] * 4, 2, [3, 0, 2, 1], 4)
    assert sorted((quantile * 8).floor().tolist()) == list(range(8))  # every draw has an eighth of its own


def test_segments_follow_the_frames_of_a_causal_vae():
    from diffusion_core.objective import segment_of

    assert segment_of(4, 2) == [0, 0, 1, 1]
    # 81 frames, 21 latent ones of 4 frames but the first: five segments of 16.2 frames
    found = segment_of(21, 5, 81)
    assert [found.index(k) for k in range(5)] == [0, 5, 9, 13, 17]


def test_an_unknown_noising_is_no_shared_noise(zoo, encoded, tmp_path):
    class Odd(LOSSES["diffusion_dpo"]):
        noising = "shraed"

    from diffusion_core.processes import Flow

    with pytest.raises(ValueError, match="noising is 'shraed'; known: shared"):
        Objective(Odd(), Flow(), "x0", Times())
