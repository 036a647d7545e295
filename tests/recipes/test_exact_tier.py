"""The exact tier: stacked networks are networks alone, labels move the samples the way they should, and tables say what was found."""

from dataclasses import replace

import pytest
import torch

from diffusion_core.processes import DDPM
from recipes.bench import diffusion
from recipes.bench.diffusion import (
    METHODS,
    QUICK,
    best_shares,
    interval,
    methods_at,
    place,
    prepare,
    run,
    summarise,
)
from recipes.bench.plane import plane
from recipes.bench.stacked import GroupAdam, StackedMLP

TINY = replace(QUICK, seeds=2, steps=60, batch=128, pairs=1024, reference_steps=500, measured=2000, rate=2e-3)


def network(groups: int = 3) -> StackedMLP:
    made = StackedMLP(1, 2, DDPM(), width=16, seed=1).stacked(groups)
    with torch.no_grad():
        made.biases[0].add_(torch.randn(groups, 1, 16, generator=torch.Generator().manual_seed(2)))
    return made


def test_a_group_is_a_network_of_its_own():
    whole, draw = network(), torch.Generator().manual_seed(0)
    x, t = torch.randn(3, 5, 2, generator=draw), torch.randint(0, 1000, (3, 5), generator=draw).double()
    together = whole(x, t)
    for g in range(3):
        alone = StackedMLP(1, 2, DDPM(), width=16)
        with torch.no_grad():
            for mine, theirs in zip(alone.parameters(), whole.parameters(), strict=True):
                mine.copy_(theirs[g : g + 1])
        torch.testing.assert_close(alone(x[g : g + 1], t[g : g + 1])[0], together[g])
    together[1].sum().backward()
    assert all(p.grad[0].abs().max() == 0 and p.grad[2].abs().max() == 0 for p in whole.parameters())
    assert whole.weights[0].grad[1].abs().max() > 0


def test_group_adam_is_adam_and_a_rate_of_zero_holds_still():
    ours, theirs = network(2), network(2)
    before = [p.detach().clone() for p in ours.parameters()]
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=(0.9, 0.99))
    mine = GroupAdam(ours)
    x, t = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(5)), torch.full((2, 4), 300.0)
    for _ in range(4):
        for net in (ours, theirs):
            net(x, t).square().sum().backward()
        mine.step(torch.tensor([1e-2, 0.0]))
        adam.step()
        adam.zero_grad()
    for a, b, start in zip(ours.parameters(), theirs.parameters(), before, strict=True):
        torch.testing.assert_close(a[0], b[0], atol=1e-6, rtol=1e-5)
        assert torch.equal(a[1], start[1])


@pytest.fixture(scope="module")
def setting():
    with torch.random.fork_rng():
        return prepare("line", "eps", TINY)


def test_labels_move_the_samples_their_way(setting):
    """Right labels raise the reward, swapped ones lower it, random ones move it less than either."""
    moved = {}
    for name in ("diffusion_dpo", "control: labels swapped", "control: labels random"):
        rows = place(setting, replace(METHODS[name], positions=(30.0,)), TINY)
        assert len(rows) == 2
        moved[name] = sum(row["reward"] for row in rows) / 2 - setting.frontier.start
    assert moved["diffusion_dpo"] > 0.05
    assert moved["control: labels swapped"] < -0.05
    assert abs(moved["control: labels random"]) < min(
        abs(moved[n]) for n in ("diffusion_dpo", "control: labels swapped")
    )


@pytest.mark.parametrize("name", [n for n in METHODS if not n.startswith("control")])
def test_every_method_runs_on_the_small_world(setting, name: str):
    scale = replace(TINY, seeds=1, steps=2, measured=500)
    rows = place(setting, replace(METHODS[name], positions=METHODS[name].positions[:2]), scale)
    assert [row["dial"] for row in rows] == list(METHODS[name].positions[:2])
    assert all(row["kl"] >= 0 and -2 <= row["reward"] <= 2 for row in rows)


def row(method: str, dial: float, seed: int, kl: float, share: float | None):
    return {"method": method, "dial": dial, "seed": seed, "kl": kl, "reward": 0.5, "share": share}


def test_the_best_share_counts_only_where_the_distance_is_comparable():
    rows = [
        row("rpo", 1, 0, 0.1, 0.6),
        row("rpo", 1, 1, 0.1, 0.8),
        row("rpo", 3, 0, 3.0, 0.99),
        row("mapo", 1, 0, 0.001, None),
    ]
    assert best_shares(rows) == {"rpo": pytest.approx(0.7)}
    lines = summarise(rows)
    assert lines[0][-1] == "70 ± 127"  # 12.706 · 0.1414 / √2
    assert lines[1][-1] == "99"
    assert lines[2][-1] == "–"
    assert interval([1.0]) == (1.0, None)


def test_a_method_counts_when_it_gets_there_in_every_setting():
    absent = {"line, eps: rpo": 0.9, "line, eps: best of n": 0.9, "ring, eps: best of n": 0.9}
    assert methods_at(absent, 0.8) == 0
    links = {"line, eps: diffusion_dpo": 0.9, "line, eps: diffusion_dpo hinge": 0.9, "line, eps: dmpo": 0.9}
    assert methods_at(links, 0.8) == 2
    best = {
        "line, eps: rpo": 0.9,
        "ring, eps: rpo": 0.85,
        "line, eps: dmpo": 0.9,
        "ring, eps: dmpo": 0.5,
        "line, eps: best of n": 0.9,
    }
    assert methods_at(best, 0.8) == 1


def test_what_diverged_has_no_place(setting):
    lost = row("rpo", 1, 0, 0.1, None) | {"kl": None, "reward": None}
    assert summarise([lost, row("rpo", 1, 1, 0.1, 0.9)]) == [["rpo", "1", "diverged", "–", "–"]]
    assert best_shares([lost, row("rpo", 1, 1, 0.1, 0.9)]) == {}
    assert "nan" not in plane([lost, row("mapo", 1, 0, 0.1, 0.9)], setting.frontier, "line")


def test_the_plane_shows_every_method(setting):
    picture = plane(
        [row("rpo", 1, 0, 0.1, 0.6), row("my <method>", 1, 0, 0.3, 0.6)], setting.frontier, "line"
    )
    assert picture.count("<circle") == 4
    assert "my &lt;method&gt;" in picture


def test_what_is_not_known_is_said():
    with pytest.raises(ValueError, match="unknown tier 'images'; known: exact"):
        run(tier="images")
    with pytest.raises(ValueError, match="unknown method 'dpo'; known: sft on winners"):
        run(only=["dpo"])


def test_the_command_writes_points_and_pictures(monkeypatch, tmp_path, capsys):
    from recipes.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(diffusion, "QUICK", replace(TINY, seeds=1, steps=2, reference_steps=5, measured=200))
    assert main(["bench", "diffusion", "--quick", "--methods", "rpo", "--output", "b.json"]) == 0
    assert "methods_at_80_percent" in capsys.readouterr().out
    assert (tmp_path / "runs/bench-diffusion/quick-part/line-eps.svg").read_text().startswith("<svg")
    assert (tmp_path / "runs/bench-diffusion/quick-part/exact.json").is_file()
    assert main(["bench", "diffusion", "--tier", "images"]) == 1
