"""The faster update of a CPU: packed SFT rows and the LoRA product, against TRL's and PEFT's own."""

import pytest

ROWS = [  # a beginning of four tokens that all share
    {"input_ids": [1, 5, 6, 7, 10, 11, 20, 21, 2], "labels": [-100] * 6 + [20, 21, 2]},
    {"input_ids": [1, 5, 6, 7, 12, 20, 2], "labels": [-100] * 5 + [20, 2]},
    {"input_ids": [1, 5, 6, 7, 10, 13, 14, 22, 2], "labels": [-100] * 7 + [22, 2]},
]


@pytest.fixture
def model(bench):
    import torch

    from recipes.arguments import RewriterArguments
    from recipes.policy import load_policy

    made = load_policy(RewriterArguments(base_model=str(bench.model), lora_r=4, lora_alpha=12), None, 0)
    torch.manual_seed(3)
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2)
    return made


def logps(model, batch):
    """Log-probabilities of the labelled tokens, in order."""
    import torch

    logits = model(**{k: v for k, v in batch.items() if k != "labels"}).logits[:, :-1].float()
    labels = batch["labels"][:, 1:]
    return torch.log_softmax(logits, -1)[labels != -100].gather(1, labels[labels != -100][:, None])[:, 0]


def gradients(model, value):
    model.zero_grad()
    value.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_packed_rows_have_the_log_probabilities_and_gradients_of_rows_alone(model):
    import torch

    from recipes.sft_packing import pack_rows

    weights = torch.randn(7, generator=torch.Generator().manual_seed(1))
    packed = logps(model, pack_rows(ROWS))
    alone = torch.cat([logps(model, {k: torch.tensor([v]) for k, v in row.items()}) for row in ROWS])
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=0)
    ours, theirs = gradients(model, (packed * weights).sum()), gradients(model, (alone * weights).sum())
    for name, gradient in theirs.items():
        assert float((ours[name] - gradient).norm() / gradient.norm()) < 1e-4, name


def test_the_beginning_is_held_once_and_nobody_sees_a_neighbour():
    from recipes.sft_packing import pack_rows

    batch = pack_rows(ROWS)
    assert batch["input_ids"].tolist() == [[1, 5, 6, 7, 10, 11, 20, 21, 2, 12, 20, 2, 10, 13, 14, 22, 2]]
    assert batch["position_ids"][0, 9:12].tolist() == [4, 5, 6]
    sees = batch["attention_mask"][0, 0] == 0
    assert sees[10].nonzero().flatten().tolist() == [0, 1, 2, 3, 9, 10]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 2, 3, 4], [1, 2, 5, 6]], 2),
        ([[1, 2, 3, 4], [1, 2, 3, 4]], 2),  # the label at place 3 needs a row's own token before it
        ([[7, 2, 3, 4], [1, 2, 3, 4]], 0),
        ([[1, 2, 3, 4]], 2),
    ],
)
def test_the_common_beginning_ends_before_a_row_predicts(rows: list[list[int]], expected: int):
    from recipes.sft_packing import common_beginning

    assert common_beginning(rows, [[-100, -100, -100, 9] for _ in rows]) == expected


def test_rows_that_differ_only_in_the_rewrite_keep_their_own_prediction(model):
    """Where the whole prompt is common, its last token stands in each row, or one row's first token would be predicted by another."""
    import torch

    from recipes.sft_packing import pack_rows

    rows = [{"input_ids": [1, 5, 6, t, 2], "labels": [-100, -100, -100, t, 2]} for t in (20, 21, 22)]
    alone = torch.cat([logps(model, {k: torch.tensor([v]) for k, v in row.items()}) for row in rows])
    torch.testing.assert_close(logps(model, pack_rows(rows)), alone, atol=1e-5, rtol=0)


def test_the_lora_product_is_pefts_under_autocast(model):
    """Against float32: our rounding must not be worse than PEFT's own under autocast."""
    import torch

    from recipes.fast_lora import use_fast_lora

    batch = {k: torch.tensor([v]) for k, v in ROWS[0].items()}

    def found(bf16: bool):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = logps(model, batch)
        return value.detach(), gradients(model, value.sum())

    exact, peft = found(False), found(True)
    assert use_fast_lora(model) == 14  # two layers of seven matrices
    ours, untouched = found(True), found(False)
    assert torch.equal(untouched[0], exact[0])  # without autocast a layer is PEFT's
    assert not torch.equal(ours[0], exact[0])
    assert float((ours[0] - exact[0]).abs().max()) < 0.05
    for name, gradient in exact[1].items():
        error, theirs = (float((g[1][name] - gradient).norm() / gradient.norm()) for g in (ours, peft))
        assert error < max(2 * theirs, 0.02), (name, error, theirs)


def test_the_lora_products_gradient_reaches_its_input(model):
    import torch

    from recipes.fast_lora import use_fast_lora

    use_fast_lora(model)
    layer = model.get_base_model().model.layers[0].mlp.up_proj
    x = torch.randn(2, 3, 64, requires_grad=True)
    g = torch.randn(2, 3, 96)
    with torch.autocast("cpu", torch.bfloat16):
        (layer(x).float() * g).sum().backward()
    effective = (layer.base_layer.weight + layer.get_delta_weight("default")).detach()
    assert float((x.grad - g @ effective).norm() / (g @ effective).norm()) < 0.02


def test_merged_and_disabled_adapters_stay_pefts(model):
    import torch

    from recipes.fast_lora import use_fast_lora

    batch = {k: torch.tensor([v]) for k, v in ROWS[0].items()}
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        with model.disable_adapter():
            bare = logps(model, batch)
        use_fast_lora(model)
        with model.disable_adapter():
            assert torch.equal(logps(model, batch), bare)
        adapted = logps(model, batch)
        model.merge_adapter()
        assert float((logps(model, batch) - adapted).abs().max()) < 0.1
        model.unmerge_adapter()
    assert float((adapted - bare).abs().max()) > 0.1


def test_a_deep_copy_trains_its_own_adapter(model):
    import copy

    import torch

    from recipes.fast_lora import use_fast_lora

    use_fast_lora(model)
    twin = copy.deepcopy(model)
    batch = {k: torch.tensor([v]) for k, v in ROWS[0].items()}
    with torch.autocast("cpu", torch.bfloat16):
        logps(twin, batch).sum().backward()
    assert any(p.grad is not None for p in twin.parameters())
    assert all(p.grad is None for p in model.parameters())
    assert not any("bf16" in name for name in model.state_dict())


def test_packed_batches_count_their_tokens(bench):
    import json

    from recipes.train import main

    output = bench.root / "sft-counted"
    words = ["rewriter/sft/smoke", *bench.common, "--output_dir", str(output), "--pairs", str(bench.pairs)]
    assert main([*words, "--max_steps", "2"]) == 0
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    counted = [row["num_tokens"] for row in rows if "num_tokens" in row]
    assert 0 < counted[0] < counted[-1] < 2 * 8 * 30


def test_what_the_product_does_not_cover_is_left_alone(bench):
    from recipes.arguments import RewriterArguments
    from recipes.fast_lora import use_fast_lora
    from recipes.policy import load_policy

    args = RewriterArguments(base_model=str(bench.model), lora_r=4, lora_dropout=0.1)
    assert use_fast_lora(load_policy(args, None, 0)) == 0


def test_packing_needs_an_attention_that_takes_its_mask(bench, monkeypatch, capsys):
    from recipes import policy
    from recipes.train import main

    monkeypatch.setattr(policy, "takes_block_masks", lambda model: False)
    words = ["rewriter/sft/smoke", *bench.common, "--output_dir", str(bench.root / "sft-unpackable")]
    assert main([*words, "--pairs", str(bench.pairs), "--max_steps", "1"]) == 2
    assert "pack_batches" in capsys.readouterr().err
