"""GRPO for real: vLLM roll-outs, images of a real generator, TRL's update, weights back into vLLM, and the canary over it."""

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from recipes import rewriter_grpo
from recipes.canary import CanaryDrift
from recipes.train import main

pytest.importorskip("vllm")


def grpo(bench, output: Path, *more: str) -> list[str]:
    return [
        "rewriter/grpo/smoke", *bench.common, "--output_dir", str(output), "--dialect", "flux-dev", "--prompts", str(bench.prompts),
        "--generator", str(bench.zoo), "--reward", "tiny_reward:brightness", "--cache", ":memory:", "--max_steps", "3",
        "--learning_rate", "0.02", "--max_completion_length", "8", "--images_per_prompt", "2", "--image_steps", "2", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def engine():
    """One vLLM engine for all runs of this file: each run writes its weights into it before it samples."""
    from trl.generation import vllm_generation as host

    original = host.LLM
    host.LLM = functools.cache(lambda **options: original(**options))
    yield
    host.LLM = original


@pytest.fixture(scope="module")
def run(bench, engine) -> SimpleNamespace:
    """Three steps; the trainer is kept, with what vLLM thought of fixed tokens before and after."""
    kept = SimpleNamespace(output=bench.root / "grpo-whole")
    make = rewriter_grpo.make_trainer

    def keep(*given):
        kept.trainer = make(*given)
        rollout = kept.trainer.rollout_func
        kept.canary = rollout.canary
        kept.first = kept.canary.engine_logprobs(kept.trainer.vllm_generation.llm)
        kept.bridge = given[2]
        return kept.trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriter_grpo, "make_trainer", keep)
        assert main(grpo(bench, kept.output)) == 0
    kept.rows = [json.loads(line) for line in (kept.output / "metrics.jsonl").read_text().splitlines()]
    kept.steps = [row for row in kept.rows if "reward" in row]
    return kept


def test_the_weights_moved(run, weights_of):
    moved = [float(w.abs().max()) for name, w in weights_of(run.output).items() if "lora_B" in name]
    assert min(moved) > 0


def test_the_log_probabilities_of_vllm_followed_the_trainer(run):
    import torch

    host = run.trainer.vllm_generation
    host.sync_weights()
    after = run.canary.engine_logprobs(host.llm)
    trained = run.canary.trainer_logprobs(host.model)
    assert max(float((a - b).abs().max()) for a, b in zip(run.first, after, strict=True)) > 0.05
    assert max(float((a - b).abs().max()) for a, b in zip(trained, after, strict=True)) < 1e-3
    assert torch.isfinite(torch.cat(after)).all()


def test_the_reward_came_from_decoded_images(run, bench):
    """The scorer saw exactly the pictures that the generator draws for the rewrites, and their brightness is what TRL was given."""
    import torch

    from diffusion_core.types import GenerationRequest
    from rewards.base import as_uint8

    seen = set(sys.modules["tiny_reward"].SEEN)
    rewrites = list(run.trainer._logs["extra"]["rewrite"])
    rows = run.trainer.train_dataset[-2:]["row_id"]
    rewarded = list(run.trainer._logs["rewards"]["image_reward"])
    assert len(rewrites) == len(rewarded) == 8
    for number, (rewrite, reward) in enumerate(zip(rewrites, rewarded, strict=True)):
        if reward == 0.0:  # a guard's verdict: nothing was drawn
            continue
        requests = [
            GenerationRequest(rewrite, seed=seed, steps=2) for seed in run.bridge.seeds(rows[number // 4])
        ]
        images = [as_uint8(sample.pixels) for sample in run.bridge.generator.generate(requests)]
        arrays = [image.permute(1, 2, 0).contiguous().numpy() for image in images]
        assert all(hashlib.sha256(array.tobytes()).hexdigest() in seen for array in arrays)
        assert reward == pytest.approx(torch.stack(images).float().mean().item() / 255, abs=1e-5)
    assert sum(reward > 0 for reward in rewarded) >= 4


def test_the_logs_hold_the_baseline_and_where_the_time_went(run):
    for row in run.steps:
        assert {
            "image_reward/baseline",
            "canary/gap_max",
            "time/rollout",
            "time/sync",
            "time/train",
            "image_reward/generate_seconds",
        } <= row.keys()
        assert row["canary/gap_max"] < 1e-3
    assert run.steps[0]["canary/probe_effect"] > 0.2


def test_completions_of_a_group_differ(run):
    assert len(set(run.trainer._logs["extra"]["rewrite"])) > 2


def test_the_policy_never_sees_a_caption_or_a_target(run):
    row = run.trainer.train_dataset[0]
    assert set(row) == {"prompt", "prompt_text", "spec", "row_id"}
    assert [message["content"] for message in row["prompt"]][1] == row["prompt_text"]


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (
            lambda name: name.replace("model.layers.0.", "model.layers.1."),
            "Weights did not arrive in vLLM",
        ),  # taken without a word
        (lambda name: "decoder." + name, "no module or parameter named"),  # vLLM refuses it
    ],
    ids=["wrong layer", "unknown"],
)
def test_a_sabotaged_parameter_prefix_stops_the_run_before_the_first_reward(run, bench, rename, message: str):
    from recipes import vllm_engine

    sound, output = vllm_engine.adapted_weights, bench.root / f"grpo-sabotaged-{len(message)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            vllm_engine,
            "adapted_weights",
            lambda model: ((rename(name), weight) for name, weight in sound(model)),
        )
        with pytest.raises((CanaryDrift, ValueError), match=message):
            main(grpo(bench, output))
    assert json.loads((output / "run.json").read_text())["status"] == "failed"
    assert not list(output.glob("checkpoint-*"))
    assert '"reward"' not in (output / "metrics.jsonl").read_text()


def test_a_sync_that_pushes_nothing_is_caught(run):
    """Bitwise the same weights afterwards, too."""
    import torch

    host = run.trainer.vllm_generation
    before = {name: p.detach().clone() for name, p in host.model.named_parameters()}
    with pytest.raises(CanaryDrift, match="with the adapter shaken"):
        run.canary.probe(host.model, host.llm, lambda: None)
    assert all(torch.equal(before[name], p) for name, p in host.model.named_parameters())


def test_sampling_by_inversion_follows_the_probabilities(run):
    """Frequencies of 4,000 seeded draws against the softmax they come from; tokens cut off by top-k never occur; seeds repeat."""
    import torch

    sampler = run.trainer.vllm_generation.llm.llm_engine.model_executor.driver_worker.model_runner.sampler.topk_topp_sampler
    logits = torch.randn(12, generator=torch.Generator().manual_seed(0)) * 1.5
    draws = 4000

    def sample(top_k: int | None):
        generators = {i: torch.Generator().manual_seed(i) for i in range(draws)}
        k = None if top_k is None else torch.full((draws,), top_k)
        return sampler.forward(logits.repeat(draws, 1), generators, k, None)

    tokens, logps = sample(None)
    expected = logits.softmax(0)
    assert torch.allclose(logps[0], expected.log(), atol=1e-5)
    frequency = torch.bincount(tokens, minlength=12) / draws
    error = (expected * (1 - expected) / draws).sqrt()
    assert ((frequency - expected).abs() < 5 * error).all()
    assert torch.equal(tokens, sample(None)[0])
    assert set(sample(3)[0].tolist()) == set(logits.topk(3).indices.tolist())


def test_the_probe_leaves_every_weight_as_it_was(run):
    import torch

    host = run.trainer.vllm_generation
    before = {name: p.detach().clone() for name, p in host.model.named_parameters()}
    found = run.canary.probe(host.model, host.llm, host.sync_weights)
    assert found["canary/probe_effect"] > 10 * found["canary/probe_gap"]
    assert all(torch.equal(before[name], p) for name, p in host.model.named_parameters())


def test_the_synced_weight_is_what_merging_gives(run):
    """W + scale * B A out of place, bit for bit what PEFT's merge writes, and the base is untouched."""
    import copy

    import torch

    from recipes.vllm_engine import adapted_weights

    model = run.trainer.vllm_generation.model
    pushed = dict(adapted_weights(model))
    merged = copy.deepcopy(model).merge_and_unload()
    named = dict(merged.named_parameters())
    assert len(pushed) == 14
    assert all(torch.equal(weight, named[name]) for name, weight in pushed.items())


KILLED = """
import os, signal, sys
from recipes.callbacks import Metrics

log = Metrics.on_log

def die(self, args, state, control, logs=None, **kwargs):
    log(self, args, state, control, logs=logs, **kwargs)
    if state.global_step == 2:
        os.kill(os.getpid(), signal.SIGKILL)

Metrics.on_log = die
from recipes.train import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_killed_run_resumes_within_the_stated_tolerance(run, bench, weights_of):
    """1e-6 on every adapter weight (recipes/rewriter_grpo.py); prompts, sampling and images are functions of (seed, step)."""
    output = bench.root / "grpo-killed"
    launched = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {k: v for k, v in os.environ.items() if k not in launched}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), str(bench.root)])
    words = grpo(bench, output)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words], env=environment, capture_output=True, timeout=600
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert [path.name for path in output.glob("checkpoint-*")] == ["checkpoint-1"]
    assert main(words) == 0
    one, other = weights_of(run.output), weights_of(output)
    assert max(float((one[name] - other[name]).abs().max()) for name in one) <= 1e-6
    steps = [json.loads(line)["step"] for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 3]  # the last line is the summary of the run


def test_the_reward_goes_up(run, bench):
    """A generator that paints a white page where the prompt says "white", a reward for bright pages: the word is learned."""
    (bench.root / "page_world.py").write_text(
        "import numpy as np\n\n\ndef generate(prompts, seeds):\n"
        "    return [np.full((8, 8, 3), 255 if 'white' in p.split() else 0, np.uint8) for p in prompts]\n"
    )
    output = bench.root / "grpo-learns"
    words = grpo(bench, output, "--generator", "page_world:generate", "--images_per_prompt", "1")
    more = [
        "--max_steps",
        "25",
        "--per_device_train_batch_size",
        "32",
        "--num_generations",
        "8",
        "--save_strategy",
        "no",
    ]
    assert main([*words, *more]) == 0
    rewards = [
        row["reward"]
        for row in map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
        if "reward" in row
    ]
    assert sum(rewards[:5]) / 5 < 0.5
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.3


def test_an_interrupted_run_says_so(bench, engine, monkeypatch: pytest.MonkeyPatch):
    from recipes.callbacks import Metrics

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Metrics, "on_log", interrupt)
    output = bench.root / "grpo-interrupted"
    with pytest.raises(KeyboardInterrupt):
        main(grpo(bench, output))
    assert json.loads((output / "run.json").read_text())["status"] == "interrupted"


def test_without_vllm_trl_generates(bench, weights_of):
    output = bench.root / "grpo-transformers"
    assert main([*grpo(bench, output), "--use_vllm", "false", "--max_steps", "1"]) == 0
    assert any(float(w.abs().max()) > 0 for name, w in weights_of(output).items() if "lora_B" in name)


def test_a_finished_run_given_again_is_left_alone(run, bench, capsys: pytest.CaptureFixture[str]):
    before = (run.output / "metrics.jsonl").read_bytes()
    assert main(grpo(bench, run.output)) == 0
    assert "is finished" in capsys.readouterr().err
    assert (run.output / "metrics.jsonl").read_bytes() == before


def test_the_reference_of_a_continued_adapter_is_that_adapter(bench, run, weights_of):
    """With beta above 0 the first step's KL is 0: policy and reference are the SFT adapter, not the bare base model."""
    output = bench.root / "grpo-kl"
    words = grpo(
        bench, output, "--adapter", str(run.output / "rewriter"), "--beta", "0.1", "--learning_rate", "0.005"
    )
    assert main([*words, "--max_steps", "2"]) == 0
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    kl = [row["kl"] for row in rows if "kl" in row]
    assert kl[0] == pytest.approx(0.0, abs=1e-6)
    assert kl[1] > 0
    assert (
        main([*words, "--max_steps", "3"]) == 0
    )  # lengthened: goes on from checkpoint 2, with its reference
    assert any((weights_of(output)[name] != w).any() for name, w in weights_of(run.output).items())


def test_roll_out_seeds_depend_on_run_step_and_place():
    from rewriter.llm import row_seed

    seeds = {
        row_seed(run, "rollout", step, 0, place) for run in (0, 1) for step in range(5) for place in range(8)
    }
    assert len(seeds) == 80
    assert row_seed(0, "rollout", 3, 0, 2) == row_seed(0, "rollout", 3, 0, 2)


def test_a_lengthened_run_begins_with_the_same_prompts():
    from recipes.prompt_rows import prompt_rows

    short, long = prompt_rows("shapes", 5, 3), prompt_rows("shapes", 9, 3)
    assert long[:5] == short
    assert prompt_rows("shapes", 5, 4) != short


def test_prompts_of_the_world_come_from_training_templates_and_scenes():
    from diffusion_core.worlds.shapes import SceneSpec
    from diffusion_core.worlds.shapes.users import templates_of
    from recipes.prompt_rows import shapes_rows

    assert not set(templates_of("train")) & set(templates_of("held_out"))
    for row in shapes_rows(30, 0):
        SceneSpec.model_validate(row.spec)
        assert row.licence == "Apache-2.0"


def test_a_short_file_is_repeated_under_new_ids():
    from recipes.prompt_rows import repeated
    from rewriter.datasets import PromptRow

    rows = repeated([PromptRow("a", "x"), PromptRow("b", "y")], 5, 0)
    assert {row.id for row in rows[:2]} == {"a", "b"}
    assert {row.id for row in rows[2:4]} == {"a@1", "b@1"}
    assert rows == repeated([PromptRow("a", "x"), PromptRow("b", "y")], 5, 0)
