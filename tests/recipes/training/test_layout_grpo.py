"""Layout GRPO through the command on a tiny model: the run recorded and gone on with; and a model that writes two rooms learns which is good."""

import json
from pathlib import Path

import pytest

from layout.schema import Room, Scene, SceneObject
from layout.serialise import answer_text, prompt_text
from recipes.layout_grpo import tenths
from recipes.train import main
from rewards.layout import LayoutReward, Target

ROOM = Room(
    room_type="bedroom",
    polygon=((0, 0), (400, 0), (400, 350), (0, 350)),
    doors=({"wall": 0, "start": 20, "end": 110},),
)
GOOD, THROUGH_THE_WALL = (
    answer_text(
        Scene(
            room=ROOM,
            objects=(SceneObject(id="plant", category="plant", size=(40, 40, 80), pos=(x, 200, 0)),),
        ),
        plan=False,
    )
    for x in (250, 390)
)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory):
    """(folder, model, tokenizer, prompt): a tiny model that answers one request by either of two rooms, and others by something near."""
    import torch

    from recipes.arguments import LayoutModelArguments
    from recipes.layout_model import new_model
    from recipes.layout_rows import prompted
    from recipes.layout_tokenizer import build

    tokenizer = build()
    args = LayoutModelArguments(base_model="new", width=64, head_width=32, layers=2, feed_forward=96)
    model = new_model(tokenizer, args, 256, 0)
    prompt = prompted(tokenizer, prompt_text(ROOM, "a plant", plan=False))
    known = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    rows = [
        [*tokenizer(prompt + text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for text in (GOOD, THROUGH_THE_WALL)
    ]
    assert len(rows[0]) == len(rows[1])
    ids = torch.tensor(rows)
    labels = ids.clone()
    labels[:, :known] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(160):
        optimizer.param_groups[0]["lr"] = 5e-3 if step < 120 else 5e-4
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("writer")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, model, tokenizer, prompt


def grpo(output: Path, *more: str) -> list[str]:
    return ["layout/grpo/smoke", "--output_dir", str(output), *more]


@pytest.fixture(scope="module")
def words(writer) -> list[str]:
    """With weight decay: answers near a room are none, all earn 0, and nothing else moves a weight."""
    base = ["--base_model", str(writer[0]), "--model_licence", "Apache-2.0"]
    return [*base, "--beta", "0.1", "--weight_decay", "0.1"]


@pytest.fixture(scope="module")
def trained(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("grpo") / "whole"
    assert main(grpo(output, *words)) == 0
    return output


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(run / "layout_lm" / "model.safetensors")


def test_a_run_leaves_its_record_its_metrics_and_a_model_that_loads(trained: Path):
    from transformers import AutoModelForCausalLM

    record = json.loads((trained / "run.json").read_text())
    assert (record["recipe"], record["status"]) == ("layout_grpo", "finished")
    assert record["licences"] == {"model": "Apache-2.0", "data": "Apache-2.0", "reward": "Apache-2.0"}
    assert record["datasets"][0]["requests"] == 4
    assert record["inputs"]["reward"] == LayoutReward().fingerprint
    steps = [row for row in rows(trained) if "reward" in row]
    assert [row["step"] for row in steps] == [1, 2]
    assert all(0 <= row["reward"] <= row["layout/parse"] <= 1 for row in steps)
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["last"]["reward"] == pytest.approx(steps[-1]["reward"], abs=1e-5)
    AutoModelForCausalLM.from_pretrained(trained / "layout_lm")


def test_a_run_that_was_stopped_goes_on_to_the_same_answers_and_weights(
    trained: Path, words: list[str], tmp_path: Path
):
    output = tmp_path / "stopped"
    assert main(grpo(output, *words, "--max_seconds", "0.001")) == 0
    assert json.loads((output / "summary.json").read_text())["steps"] == 1
    assert main(grpo(output, *words)) == 0
    seen = [
        [(row["num_tokens"], row["reward"]) for row in rows(run) if "reward" in row]
        for run in (trained, output)
    ]
    assert seen[0] == seen[1]
    one, other = weights(trained), weights(output)
    assert all((one[name] == other[name]).all() for name in one)


def test_a_run_that_is_finished_is_left_alone_and_other_requests_are_another_run(
    trained: Path, words: list[str], capsys
):
    assert main(grpo(trained, *words)) == 0
    assert "is finished" in capsys.readouterr().err
    assert main(grpo(trained, *words, "--rows_seed", "2")) == 2
    assert "rows_seed was 1, now 2" in capsys.readouterr().err


def test_a_watched_run_furnishes_rooms_and_keeps_the_figures_of_training_apart(
    words: list[str], tmp_path: Path
):
    output = tmp_path / "watched"
    watch = ["--watch_rooms", "1", "--watch_batch", "1", "--eval_strategy", "steps", "--eval_steps", "1"]
    assert main(grpo(output, *words, *watch, "--max_steps", "1")) == 0
    seen = [row for row in rows(output) if "eval_badness" in row]
    assert [row["step"] for row in seen] == [0, 1]
    assert all(row["eval_parse"] == 1 and "reward" not in row for row in seen)
    assert [row["step"] for row in rows(output) if "layout/parse" in row] == [1]
    summary = json.loads((output / "summary.json").read_text())
    better = seen[1]["eval_badness"] < seen[0]["eval_badness"]
    assert summary["best_step"] == (1 if better else 0)
    assert summary["start"]["objects"] == seen[0]["eval_objects"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--base_model", ""], "base_model: missing"),
        (["--beta", "0.1"], "beta: 0.1 holds the model to what it was"),
        (["--max_steps", "0"], "max_steps: missing"),
        (["--use_muon", "true"], "use_muon: rewards are trained with AdamW"),
        (["--use_vllm", "true"], "use_vllm: on a CPU"),
        (
            ["--max_completion_length", "40"],
            "max_completion_length: 40 tokens would cut the answer to request 0",
        ),
        (["--watch_rooms", "2"], "watch_rooms: needs evaluations"),
        (["--eval_strategy", "steps"], "eval_strategy: an evaluation furnishes watched rooms"),
        (["--steps_per_generation", "2"], "save_steps: 1 steps end inside a generation batch"),
        (["--plan_share", "2"], "plan_share=2.0 must lie in [0, 1]"),
        (["--least_objects", "95"], "least_objects=95.0 must lie in [0, 1]"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_is_said(tmp_path: Path, capsys, given: list[str], message: str):
    assert main(grpo(tmp_path / "run", *given)) == 2
    assert message in capsys.readouterr().err


def test_a_dry_run_prints_the_first_request(tmp_path: Path, capsys):
    assert main(grpo(tmp_path / "run", "--dry_run")) == 0
    assert "4 requests, 2 answers each; the first, of " in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_the_ends_of_a_run_are_compared():
    log = [{"step": k, "reward": k / 20, "layout/fill": 0.5} for k in range(20)] + [{"eval_badness": 1.0}]
    assert tenths(log) == {
        "first": {"layout/fill": 0.5, "reward": 0.025},
        "last": {"layout/fill": 0.5, "reward": 0.925},
    }


def log_odds(model, tokenizer, prompt: str) -> float:
    """Log-probability of the good answer less that of the bad one."""
    import torch

    found = []
    for answer in (GOOD, THROUGH_THE_WALL):
        ids = tokenizer(prompt + answer, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            logp = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        found.append(logp.gather(1, ids[0, 1:, None]).sum().item())
    return found[0] - found[1]


def test_the_reward_teaches_which_of_two_rooms_is_good(writer, tmp_path: Path):
    from datasets import Dataset
    from trl import GRPOConfig

    from recipes.layout_grpo_trainer import RoomTrainer

    _, model, tokenizer, prompt = writer
    before = log_odds(model, tokenizer, prompt)
    target = Target(room=ROOM, objects=1).model_dump_json()
    config = GRPOConfig(
        output_dir=str(tmp_path), max_steps=6, per_device_train_batch_size=16, num_generations=16, learning_rate=2e-4,
        lr_scheduler_type="constant", max_completion_length=64, logging_steps=1, save_strategy="no", report_to="none",
        use_cpu=True, bf16=False, gradient_checkpointing=False, shuffle_dataset=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = RoomTrainer(
        model=model,
        reward_funcs=[LayoutReward()],
        args=config,
        train_dataset=Dataset.from_list([{"prompt": prompt, "target": target}] * 6),
        processing_class=tokenizer,
        watch=None,
    )
    trainer.train()
    log = [row for row in trainer.state.log_history if "reward" in row]
    assert log[0]["layout/parse"] > 0.8, "the writer writes rooms"
    assert log_odds(model, tokenizer, prompt) > before + 0.3
