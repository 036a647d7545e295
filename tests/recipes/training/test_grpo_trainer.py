"""Packing a group into one sequence and leaving idle rows out: the same log-probabilities, the same gradient."""

import json
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def batch():
    """Three prompts of different lengths, 3 + 2 + 1 completions in mixed order, with padding on both sides."""
    import torch

    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(4, 40, (n,), generator=draw) for n in (7, 4, 9)]
    rows = [(0, 5), (1, 3), (0, 1), (2, 6), (1, 6), (0, 4)]
    ids, mask = torch.zeros(6, 9 + 6, dtype=torch.long), torch.zeros(6, 15, dtype=torch.long)
    for row, (which, length) in enumerate(rows):
        prompt = prompts[which]
        ids[row, 9 - len(prompt) : 9], mask[row, 9 - len(prompt) : 9] = prompt, 1
        ids[row, 9 : 9 + length], mask[row, 9 : 9 + length] = (
            torch.randint(4, 40, (length,), generator=draw),
            1,
        )
    return SimpleNamespace(ids=ids, mask=mask, rows=rows, completion=6)


@pytest.fixture(scope="module")
def trainer(bench):
    """A trainer without generation: transformers' path, so that no engine is started."""
    from datasets import Dataset
    from trl import GRPOConfig

    from recipes.arguments import RewriterArguments
    from recipes.grpo_trainer import RewriterGRPOTrainer
    from recipes.policy import load_policy, load_tokenizer

    args = RewriterArguments(base_model=str(bench.model), lora_r=4)
    config = GRPOConfig(
        str(bench.root / "trainer"), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
        per_device_train_batch_size=8, num_generations=4, max_completion_length=6, temperature=0.7,
    )  # fmt: skip
    model = load_policy(args, None, 0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2)
    rows = Dataset.from_list([{"prompt": [{"role": "user", "content": "draw a star"}]}] * 8)
    return RewriterGRPOTrainer(
        model,
        lambda completions, **_: [0.0] * len(completions),
        config,
        rows,
        processing_class=load_tokenizer(args),
    )


@pytest.fixture(params=["whole head", "TRL's head"])
def head(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Both ways from hidden states to log-probabilities of the packed batch."""
    from recipes import grpo_trainer

    if request.param == "TRL's head":
        monkeypatch.setattr(grpo_trainer, "WHOLE_LOGITS", 0)


def logps(trainer, batch, packing):
    trainer.packing = packing
    return trainer._get_per_token_logps_and_entropies(
        trainer.model, batch.ids, batch.mask, batch.completion, compute_entropy=True
    )


def test_packed_log_probabilities_and_entropies_are_trls(trainer, batch, head):
    import torch

    real = batch.mask[:, -batch.completion :]
    ours, theirs = logps(trainer, batch, True), logps(trainer, batch, False)
    torch.testing.assert_close(ours[0] * real, theirs[0] * real, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours[1] * real, theirs[1] * real, atol=1e-4, rtol=0)


def test_packed_gradients_are_trls(trainer, batch, head):
    """Of every trained matrix, for random weights on the log-probabilities."""
    import torch

    weights = (
        torch.randn(6, batch.completion, generator=torch.Generator().manual_seed(1))
        * batch.mask[:, -batch.completion :]
    )
    found = []
    for packing in (True, False):
        trainer.model.zero_grad()
        (logps(trainer, batch, packing)[0] * weights).sum().backward()
        found.append({n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert float((gradient - found[1][name]).norm() / found[1][name].norm()) < 1e-4, (
            name
        )  # float32 rounding


def test_a_group_is_run_once_per_prompt(batch):
    import torch

    from recipes.grpo_trainer import pack_groups

    packed = pack_groups(batch.ids, batch.mask, batch.completion, torch.float32)
    assert packed.input_ids.shape == (3, max(6 + 6 + 2 + 5, 3 + 4 + 7, 8 + 7))
    assert int((packed.shift_labels != -100).sum()) == sum(length for _, length in batch.rows)


def test_a_completion_sees_its_prompt_and_itself_and_no_sibling(batch):
    import torch

    from recipes.grpo_trainer import pack_groups

    packed = pack_groups(batch.ids, batch.mask, batch.completion, torch.float32)
    width = packed.input_ids.shape[1]
    sees = packed.attention_mask[0, 0] == 0  # the group of the first prompt: rows 0, 2, 5 of lengths 5, 1, 4
    first, second = packed.index[0, 0] % width, packed.index[2, 0] % width
    assert sees[second, :6].all()
    assert not sees[second, first : first + 6].any()
    assert packed.position_ids[0, first] == packed.position_ids[0, second] == 6


def test_a_first_batch_that_disagrees_falls_back_to_trl(trainer, batch, monkeypatch: pytest.MonkeyPatch):
    import torch

    sound = trainer._whole_head
    monkeypatch.setattr(trainer, "_whole_head", lambda *a: tuple(x + 1 for x in sound(*a)))
    found = logps(trainer, batch, None)
    assert trainer.packing is False
    torch.testing.assert_close(found[0], logps(trainer, batch, False)[0])


def test_a_first_batch_that_agrees_turns_packing_on(trainer, batch):
    logps(trainer, batch, None)
    assert trainer.packing is True


@pytest.mark.parametrize(
    ("name", "value"), [("loss_type", "grpo"), ("beta", 0.1), ("top_entropy_quantile", 0.5)]
)
def test_rows_are_left_out_only_where_they_are_idle(
    trainer, monkeypatch: pytest.MonkeyPatch, name: str, value: object
):
    monkeypatch.setattr(trainer.args, "steps_per_generation", 1)
    assert trainer.zero_rows_are_idle()
    monkeypatch.setattr(trainer, name, value)
    assert not trainer.zero_rows_are_idle()


def test_the_loss_and_its_gradient_are_the_same_without_idle_rows(trainer, batch):
    import torch

    trainer.packing, trainer.current_gradient_accumulation_steps = True, 1
    advantages = torch.tensor([1.0, 0.0, -1.0, 0.0, 0.5, -0.5])
    inputs = {
        "prompt_ids": batch.ids[:, :9], "prompt_mask": batch.mask[:, :9], "completion_ids": batch.ids[:, 9:],
        "completion_mask": batch.mask[:, 9:], "advantages": advantages, "num_items_in_batch": batch.mask[:, 9:].sum(),
    }  # fmt: skip
    keep = advantages != 0
    fewer = {name: value[keep] if value.ndim else value for name, value in inputs.items()}
    found = []
    for given in (inputs, fewer):
        trainer.model.zero_grad()
        loss = trainer._compute_loss(trainer.model, given)
        loss.backward()
        found.append(
            (
                loss.item(),
                {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None},
            )
        )
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], atol=1e-5, rtol=1e-4)
    json.dumps(found[0][0])
