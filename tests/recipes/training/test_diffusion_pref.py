"""`rewright train diffusion/...` as a user runs it: on tiny generators of the real classes, in this process and in two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_core.adapters.builders import save_zoo
from diffusion_core.data import Pair, save_pairs
from recipes.configuration import ConfigError
from recipes.diffusion_pref import parse, run
from recipes.launch import asked_for
from recipes.train import main

SMOKE = "diffusion/diffusion_dpo/smoke"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    torch.manual_seed(0)
    save_zoo(folder)
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "set"
    rng = np.random.default_rng(0)
    rows = []
    for i in range(8):
        chosen, rejected = rng.integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
        prompt = ("a red circle", "a blue square", "a red square on white")[i % 3]
        rows.append(
            Pair(f"p{i}", prompt, chosen, rejected, score_chosen=1.0, score_rejected=0.0, prob_chosen=0.7)
        )
    save_pairs(rows, folder)
    return folder


def arguments(zoo, pairs, output, *more):
    return [SMOKE, "--model", str(zoo), "--pairs", str(pairs), "--output_dir", str(output), *more]


def rows(output):
    return [json.loads(line) for line in (Path(output) / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_its_record_its_adapter_and_its_report(zoo, pairs, tmp_path, capsys):
    more = (
        "--eval_prompts",
        str(tmp_path / "prompts.txt"),
        "--reward",
        "rewards.testing:Brightness",
        "--eval_seeds",
        "2",
    )
    (tmp_path / "prompts.txt").write_text("a red circle\na blue circle on white\n")
    out = tmp_path / "out"
    assert main(arguments(zoo, pairs, out, *more)) == 0
    told = capsys.readouterr()
    assert "effective beta 2500" in told.err
    assert "reference: adapter_off" in told.err
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["config"]["learning_rate"] == 1e-4
    assert (out / "lora" / "pytorch_lora_weights.safetensors").is_file()
    assert "load_lora_weights" in (out / "lora" / "README.md").read_text()
    found = json.loads((out / "summary.json").read_text())
    assert found["steps"] == 2
    assert found["reward"]["prompts"] == 2
    assert found["reward"]["difference"]["low"] <= found["reward"]["difference"]["mean"]
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") == 4
    assert "Before and after" in page
    assert rows(out)[0].keys() == {"step", "seconds", "eval_reward", "eval_reward_known"}
    assert rows(out)[1]["loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert main(arguments(zoo, pairs, out, *more)) == 0
    assert "finished; --fresh starts it over" in capsys.readouterr().out


def test_the_adapter_loads_again_and_changes_the_picture(zoo, pairs, tmp_path):
    from diffusion_core.adapters.lora_io import adapter_off, load_lora
    from diffusion_core.generator import Generator
    from diffusion_core.types import GenerationRequest

    out = tmp_path / "out"
    assert main(arguments(zoo, pairs, out, "--learning_rate", "0.05")) == 0
    generator = Generator.from_pretrained(zoo)
    plain = generator.generate([GenerationRequest("a red circle", 1)])[0].pixels
    load_lora(generator, out / "lora")
    tuned = generator.generate([GenerationRequest("a red circle", 1)])[0].pixels
    assert not torch.equal(plain, tuned)
    with adapter_off(generator):
        assert torch.equal(generator.generate([GenerationRequest("a red circle", 1)])[0].pixels, plain)


def test_all_weights_train_and_are_saved_as_a_network(zoo, pairs, tmp_path):
    out = tmp_path / "out"
    assert main(arguments(zoo, pairs, out, "--lora_r", "0", "--ema_decay", "0.5")) == 0
    assert (out / "network" / "diffusion_pytorch_model.safetensors").is_file()
    assert json.loads((out / "run.json").read_text())["models"]["network"] == "PixArtTransformer2DModel"


def test_a_longer_run_goes_on_and_another_configuration_is_refused(zoo, pairs, tmp_path):
    out = tmp_path / "out"
    assert main(arguments(zoo, pairs, out, "--max_steps", "1")) == 0
    assert main(arguments(zoo, pairs, out)) == 0
    assert [row["step"] for row in rows(out)] == [1, 2]
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.0001, now 0\.1"):
        run(
            [
                "--config",
                "recipes/configs/diffusion/diffusion_dpo/smoke.yaml",
                *arguments(zoo, pairs, out, "--learning_rate", "0.1")[1:],
            ]
        )
    assert main(arguments(zoo, pairs, out, "--learning_rate", "0.1", "--fresh")) == 0
    whole = tmp_path / "whole"
    assert main(arguments(zoo, pairs, whole)) == 0
    again = tmp_path / "again"
    assert main(arguments(zoo, pairs, again, "--max_steps", "1")) == 0
    assert main(arguments(zoo, pairs, again)) == 0
    assert [r["loss"] for r in rows(whole)] == [r["loss"] for r in rows(again)]


def test_the_number_of_processes_is_read_from_the_launcher():
    assert asked_for(["accelerate", "launch", "--cpu", "--num_processes", "2", "-m", "x"]) == 2
    assert asked_for(["accelerate", "launch", "--num-processes=4"]) == 4
    assert asked_for(["accelerate", "launch", "--config_file", "c.yaml"]) is None


@pytest.mark.parametrize(
    ("reward", "patience", "steps"),
    [("Brightness", 3, 3), ("Constant", 1, 1)],  # never better than the start: both processes must stop
)
def test_two_processes_follow_one(zoo, pairs, tmp_path, reward, patience, steps):
    one, two = tmp_path / "one", tmp_path / "two"
    (tmp_path / "prompts.txt").write_text("a red circle\na blue circle on white\n")
    shared = (
        "--max_steps",
        "3",
        "--learning_rate",
        "0.01",
        "--prompt_dropout",
        "0.2",
        "--ema_decay",
        "0.9",
        "--loss",
        "kto",
    )
    shared += (
        "--eval_prompts",
        str(tmp_path / "prompts.txt"),
        "--reward",
        f"rewards.testing:{reward}",
        "--eval_steps",
        "1",
        "--patience",
        str(patience),
    )
    assert main(arguments(zoo, pairs, one, "--batch_size", "4", *shared)) == 0
    config = Path("recipes/configs/diffusion/diffusion_dpo/smoke.yaml").resolve()
    words = [
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
    ]
    words += ["--dynamo_backend", "no", "-m", "recipes.diffusion_pref", "--config", str(config)]
    words += [*arguments(zoo, pairs, two, "--batch_size", "2", *shared)[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert rows(two)[-1]["step"] == steps
    assert "4 pairs a step" in done.stderr
    assert "eval_reward" in (two / "metrics.jsonl").read_text()
    for a, b in zip(rows(one), rows(two), strict=True):
        assert a.keys() == b.keys()
        assert a.get("loss", 0) == pytest.approx(b.get("loss", 0), rel=1e-4), a["step"]
        assert a.get("winner_error_gap", 0) == pytest.approx(b.get("winner_error_gap", 0), rel=2e-2, abs=1e-6)
        assert a.get("eval_reward", 0) == pytest.approx(b.get("eval_reward", 0), rel=1e-3)


def test_an_interrupted_run_saves_its_step_and_goes_on(zoo, pairs, tmp_path, monkeypatch):
    import signal

    from diffusion_core.trainer import PreferenceTrainer

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    shared = ("--max_steps", "4", "--save_steps", "100")
    assert main(arguments(zoo, pairs, whole, *shared)) == 0
    step = PreferenceTrainer._train_step

    def interrupted(self):
        if self.step == 1:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(PreferenceTrainer, "_train_step", interrupted)
    monkeypatch.setattr(
        "signal.getsignal", lambda number: signal.default_int_handler
    )  # a shell's `&` ignores it
    with pytest.raises(KeyboardInterrupt) as stop:
        main(arguments(zoo, pairs, cut, *shared))
    assert "goes on from checkpoint-2" in stop.value.__notes__[0]
    assert json.loads((cut / "run.json").read_text())["status"] == "interrupted"
    monkeypatch.setattr(PreferenceTrainer, "_train_step", step)
    assert main(arguments(zoo, pairs, cut, *shared)) == 0
    assert [r["loss"] for r in rows(cut)] == [r["loss"] for r in rows(whole)]


def test_a_dry_run_loads_no_model(zoo, pairs, tmp_path, capsys):
    assert (
        main(
            [
                SMOKE,
                "--model",
                "nowhere/at-all",
                "--pairs",
                str(pairs),
                "--output_dir",
                str(tmp_path / "o"),
                "--dry_run",
            ]
        )
        == 0
    )
    told = capsys.readouterr().out
    assert '"model": "nowhere/at-all"' in told
    assert "8 pairs for training, 0 held out; reference: adapter_off" in told
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--loss", "difusion_dpo"), "unknown loss 'difusion_dpo'"),
        (("--loss", "spo"), "needs roll-outs"),
        (("--reference", "precomputed"), "fixed_draws"),
        (("--reference", "none"), "measures every error against a reference"),
        (("--loss", "dcpo"), "no pair has one"),
        (("--lora_r", "0", "--quantize", "nf4"), "4-bit weights cannot train themselves"),
        (("--lora_r", "0", "--dtype", "bfloat16"), "round small updates away"),
        (("--patience", "2"), "patience stops on a reward"),
        (("--validation_share", "1.5"), "must lie in"),
        (("--learning_rate", "-1"), "learning_rate=-1.0 must be above 0"),
        (("--time_range", "0.5", "0.2"), "low=0.5 and high=0.2"),
        (("--pairs", "/nowhere"), "pairs: "),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_loaded(zoo, pairs, tmp_path, capsys, more, words):
    given = arguments("nowhere/at-all", pairs, tmp_path / "o", *more)
    assert main(given) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_model_that_is_not_there_is_named(pairs, tmp_path, capsys):
    assert main(arguments("./nowhere", pairs, tmp_path / "o")) == 2
    assert "model: no generator './nowhere'" in capsys.readouterr().err


def test_only_commercial_parts_may_be_asked_for(zoo, pairs, tmp_path, capsys):
    assert main(arguments(zoo, pairs, tmp_path / "o", "--commercial_only")) == 2
    assert "pairs: not known" in capsys.readouterr().err
    assert (
        main(arguments(zoo, pairs, tmp_path / "p", "--commercial_only", "--pairs_licence", "CC-BY-4.0")) == 0
    )


def test_pairs_with_two_prompts_are_for_dcpo_alone(zoo, tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 2, 16, 16, 3), dtype=np.uint8)
    save_pairs(
        [Pair(f"p{i}", "a red circle", *images[i], prompt_rejected="a blue circle") for i in range(2)],
        tmp_path / "two",
    )
    assert main(arguments(zoo, tmp_path / "two", tmp_path / "o")) == 2
    assert "2 of 2 have two prompts" in capsys.readouterr().err
    assert main(arguments(zoo, tmp_path / "two", tmp_path / "o", "--loss", "dcpo")) == 0


def test_another_network_under_the_same_path_is_noticed(zoo, pairs, tmp_path, capsys):
    import shutil

    mine = tmp_path / "mine"
    shutil.copytree(zoo, mine)
    assert main(arguments(mine, pairs, tmp_path / "o", "--max_steps", "1")) == 0
    torch.manual_seed(5)
    save_zoo(tmp_path / "other")
    shutil.copytree(tmp_path / "other" / "transformer", mine / "transformer", dirs_exist_ok=True)
    assert main(arguments(mine, pairs, tmp_path / "o")) == 2
    assert "another content of network" in capsys.readouterr().err


def test_hyper_parameters_are_those_of_the_loss(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(
        "recipe: diffusion_pref\nmodel: shapes\npairs: x\noutput_dir: y\nmethod_kwargs: {betta: 3}\n"
    )
    with pytest.raises(ConfigError, match=r"has no hyper-parameter 'betta'; it has: beta=5000.0"):
        parse(["--config", str(config)])


def test_the_adapter_draws_from_the_command_line(zoo, pairs, tmp_path, capsys):
    from recipes.cli import main as rewright

    assert main(arguments(zoo, pairs, tmp_path / "o", "--learning_rate", "0.05")) == 0
    words = ["generate", "a red circle", "--model", str(zoo), "--native", "-o"]
    assert rewright([*words, str(tmp_path / "plain.png")]) == 0
    assert rewright([*words, str(tmp_path / "tuned.png"), "--lora", str(tmp_path / "o" / "lora")]) == 0
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "tuned.png").read_bytes()
    assert rewright([*words, str(tmp_path / "x.png"), "--lora", str(tmp_path)]) == 1
    assert "no adapter in" in capsys.readouterr().err
