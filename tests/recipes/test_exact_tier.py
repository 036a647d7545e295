"""The exact tier: stacked networks are networks alone, labels move the samples the way they should, and tables say what was found."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion_core.processes import DDPM
from diffusion_core.worlds.mixtures import divergence
from recipes.bench import diffusion
from recipes.bench.diffusion import fingerprint, run, source_of
from recipes.bench.exact import displacement, report
from recipes.bench.exact.methods import METHODS, QUICK, Method
from recipes.bench.exact.placing import place, point
from recipes.bench.exact.plane import plane
from recipes.bench.exact.setting import even_noise, generate, load_or_prepare, prepare
from recipes.bench.exact.stacked import GroupAdam, StackedMLP
from recipes.bench.exact.summary import best, displaced, interval, methods_at, positions, rounded
from recipes.bench.exact.training import train

TINY = replace(
    QUICK, seeds=2, steps=60, pairs=1024, reference_steps=500, measured_1d=2048, drawn=8192, rate=2e-3
)


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
    scale = replace(TINY, seeds=1, steps=2, measured_1d=512)
    rows = place(setting, replace(METHODS[name], positions=METHODS[name].positions[:2]), scale)
    assert [row["dial"] for row in rows] == [*METHODS[name].positions[:2]]
    assert all(row["kl"] >= 0 and -2 <= row["reward"] <= 2 for row in rows)


@pytest.mark.parametrize("loss", ["diffusion_dpo", "sdpo", "kto", "smpo"])
def test_a_grid_of_dial_and_seed_is_its_networks_trained_alone(setting, loss: str):
    """KTO and SDPO have a number of the whole batch in them, which must be one seed's."""
    scale = replace(TINY, steps=8, batch=16)
    together = train(setting, Method(loss, "beta", (3.0, 30.0)), scale, seeds=[0, 5])
    for group, (beta, seed) in enumerate([(3.0, 0), (3.0, 5), (30.0, 0), (30.0, 5)]):
        alone = train(setting, Method(loss, "beta", (beta,)), scale, seeds=[seed])
        for mine, theirs in zip(alone.parameters(), together.parameters(), strict=True):
            torch.testing.assert_close(mine[0], theirs[group], atol=2e-5, rtol=1e-4)


def test_evenly_spread_noise_finds_the_reference_where_it_is(setting):
    """Against independent draws of the same number."""
    samples = setting.process, setting.kind, 1, 2048
    even = divergence(setting.world.histogram(generate(setting.reference, *samples, seed=2)[0]), setting.q)
    independent = setting.drawn[torch.randint(0, 8192, (2048,), generator=torch.Generator().manual_seed(0))]
    assert even < 0.4 * divergence(setting.world.histogram(independent), setting.q)
    assert even_noise(4096, 2, 0).std(0).tolist() == pytest.approx([1, 1], abs=0.01)


def test_no_policy_passes_the_frontier(setting):
    draw = torch.Generator().manual_seed(0)
    held = setting.q > 0
    for _ in range(50):
        p = torch.zeros_like(setting.q)
        p[held] = (setting.q[held].log() + torch.randn(int(held.sum()), generator=draw)).softmax(0)
        share = point(setting, p)["share"]
        assert share is None or share <= 1 + 1e-3


def test_a_kept_setting_is_the_one_that_was_made(tmp_path):
    scale = replace(TINY, reference_steps=3, drawn=1024)
    made = load_or_prepare("ring", "flow", scale, tmp_path / "s.pt")
    kept = load_or_prepare("ring", "flow", scale, tmp_path / "s.pt")
    assert torch.equal(made.q, kept.q)
    assert torch.equal(made.frontier.mean_reward, kept.frontier.mean_reward)
    x, t = torch.zeros(2, 2), torch.full((2,), 0.5)
    assert torch.equal(made.ask(x, t), kept.ask(x, t))


def test_the_loss_can_fall_while_the_winner_is_lost_and_sdpo_keeps_it(setting):
    methods = {
        name: replace(displacement.METHODS[name], positions=(1.0,)) for name in ("diffusion_dpo", "sdpo")
    }
    rows = displacement.measure(setting, "near", replace(TINY, steps=150), methods)
    lost, kept = displaced(rows)
    assert lost["curve"]["loss"][0] == pytest.approx(0.6931, abs=1e-3)
    assert lost["loss"] < 0.5
    assert lost["winner"] > 1
    assert lost["mass"] < 0.5 * lost["mass_before"]
    assert kept["winner"] <= 0
    assert kept["mass"] > kept["mass_before"]


def row(method: str, dial: float, seed: int, kl: float | None, share: float | None):
    reward = None if kl is None else 0.5
    return {"method": method, "dial": dial, "seed": seed, "kl": kl, "reward": reward, "share": share}


def test_the_best_share_counts_only_where_the_distance_is_comparable():
    rows = [
        row("rpo", 1, 0, 0.1, 0.6),
        row("rpo", 1, 1, 0.1, 0.8),
        row("rpo", 3, 0, 3.0, 0.99),
        row("mapo", 1, 0, 0.001, None),
    ]
    places = positions(rows, start=0.2)
    assert [r["share"] for r in places] == [pytest.approx(0.7), 0.99, None]
    assert places[0]["gain"] == pytest.approx(0.3)
    assert best(places)["rpo"]["dial"] == 1
    assert set(best(places)) == {"rpo"}
    assert report.percent(places[0]) == "70 ± 127"  # 12.706 · 0.1414 / √2
    assert report.percent(places[1]) == "99"
    assert interval([1.0]) == (1.0, None)


def test_a_method_counts_when_it_gets_there_in_every_setting():
    def found(**shares: float):
        return {name.replace("_of_", " of ").replace("__", " "): {"share": s} for name, s in shares.items()}

    assert methods_at([found(rpo=0.9, best_of_n=0.9), found(best_of_n=0.9)], 0.8, METHODS) == 0
    links = found(diffusion_dpo=0.9, diffusion_dpo__hinge=0.9, dmpo=0.9)
    assert methods_at([links], 0.8, METHODS) == 2
    assert methods_at([found(rpo=0.9, dmpo=0.9), found(rpo=0.85, dmpo=0.5)], 0.8, METHODS) == 1


def test_what_diverged_has_no_place(setting):
    places = positions(
        [row("rpo", 1, 0, None, None), row("rpo", 1, 1, 0.1, 0.9), row("mapo", 1, 0, 0.1, 0.9)], 0.2
    )
    assert places[0]["diverged"] == 1
    assert places[0]["kl"] is None
    assert set(best(places)) == {"mapo"}
    assert "rpo" not in plane(places, 0.2, [0.2, 1.0], "line")


def test_the_plane_shows_every_method():
    places = positions([row("rpo", 1, 0, 0.1, 0.6), row("my <method>", 1, 0, 0.3, 0.6)], 0.2)
    picture = plane(places, 0.2, [0.2, 0.7, 1.0], "line")
    assert picture.count("<circle") == 4
    assert "my &lt;method&gt;" in picture


def test_what_is_kept_is_what_is_printed():
    assert rounded({"a": [0.123456, None, 3, True], "b": {"c": 1234.5678}}) == {
        "a": [0.1235, None, 3, True],
        "b": {"c": 1235.0},
    }


def test_what_is_not_known_is_said(tmp_path):
    with pytest.raises(ValueError, match="unknown tier 'images'; known: exact"):
        run(tmp_path, tier="images")
    with pytest.raises(ValueError, match="unknown method 'dpo'; known: sft on winners"):
        run(tmp_path, only=["dpo"])
    with pytest.raises(ValueError, match="filled by a full run of all methods only"):
        run(tmp_path, quick=True, page=PAGE)
    with pytest.raises(ValueError, match="workers=0 must be at least 1"):
        run(tmp_path, workers=0)


def test_kept_results_depend_on_amounts_and_code_but_not_on_comments(tmp_path):
    assert fingerprint(TINY) == fingerprint(replace(TINY, worlds=("ring",)))
    assert fingerprint(TINY) != fingerprint(replace(TINY, steps=61))
    (tmp_path / "a.py").write_text("x = 1  # one\n")
    (tmp_path / "b.py").write_text("x  =  1\n")
    assert source_of(tmp_path / "a.py") == source_of(tmp_path / "b.py")


def test_the_command_writes_all_of_it_and_goes_on_where_it_stopped(monkeypatch, tmp_path, capsys):
    from recipes.cli import main

    monkeypatch.chdir(tmp_path)
    tiny = replace(TINY, seeds=1, steps=2, reference_steps=3, measured_1d=256, drawn=1024)
    monkeypatch.setattr(diffusion, "QUICK", tiny)
    few = {
        n: METHODS[n] for n in ("diffusion_dpo", "rpo", "control: labels swapped", "control: labels random")
    }
    monkeypatch.setattr(diffusion, "METHODS", few)
    command = ["bench", "diffusion", "--quick", "--workers", "1"]
    assert main([*command, "--methods", "rpo"]) == 0
    monkeypatch.delitem(few, "rpo")
    assert main([*command, "--output", "b.json"]) == 0
    out = capsys.readouterr()
    assert "methods_at_80_percent" in out.out
    assert "labels swapped" in out.out
    folder = tmp_path / "runs/bench-diffusion/quick"
    assert {p.name for p in folder.iterdir() if p.is_file()} == {
        "exact.json", "summary.json", "tables.md", "report.html", "line-eps.svg", "displacement-line-eps.svg"
    }  # fmt: skip
    monkeypatch.setattr(diffusion, "place", lambda *a: pytest.fail("trained again"))
    assert main(command) == 0
    assert "6 of 6 are there from an earlier run" in capsys.readouterr().err
    assert main(["bench", "diffusion", "--tier", "images"]) == 1


@pytest.mark.slow
def test_processes_find_what_one_finds(monkeypatch, tmp_path):
    tiny = replace(TINY, seeds=1, steps=5, reference_steps=20, measured_1d=256, drawn=1024)
    monkeypatch.setattr(diffusion, "QUICK", tiny)
    alone, two = (run(tmp_path / str(n), quick=True, only=["rpo", "sdpo"], workers=n) for n in (1, 2))
    rows = [json.loads((tmp_path / str(n) / "subset/exact.json").read_text()) for n in (1, 2)]
    for mine, theirs in zip(*(found["settings"][0]["rows"] for found in rows), strict=True):
        assert mine["kl"] == pytest.approx(theirs["kl"], abs=1e-3)
    assert alone.keys() == two.keys()


PAGE = Path(__file__).parents[2] / "docs/small-worlds.md"


def test_the_page_says_what_the_kept_results_say(tmp_path):
    """Its tables, pictures and the list of every position are made again and compared."""
    kept = json.loads((PAGE.with_suffix("") / "summary.json").read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in report.TABLES if f"<!-- table: {name} -->" in text] == [
        "best",
        "controls",
        "displacement",
    ]
    again = tmp_path / PAGE.name
    again.write_text(text, encoding="utf-8")
    report.publish(again, kept)
    assert again.read_text(encoding="utf-8") == text
    for path in again.with_suffix("").iterdir():
        assert path.read_text(encoding="utf-8") == (PAGE.with_suffix("") / path.name).read_text(
            encoding="utf-8"
        )
        assert f"small-worlds/{path.name}" in text
    assert "Small worlds" in text.splitlines()[0]
