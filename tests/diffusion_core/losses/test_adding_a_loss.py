"""The page that says how to add a loss is done here, step by step: its file is small, loads by path, is right and trains."""

import math
import re
from pathlib import Path

import pytest
import torch

from diffusion_core.losses import build_loss
from diffusion_core.types import PairErrors

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-loss.md"


@pytest.fixture
def loss(tmp_path, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    code = re.search(r"<!-- test: simpo.py -->\n```python\n(.*?)```", text, re.DOTALL)
    assert code
    assert len([line for line in code[1].splitlines() if line.strip()]) <= 25
    (tmp_path / "simpo_of_the_page.py").write_text(code[1])
    monkeypatch.syspath_prepend(str(tmp_path))
    return build_loss("simpo_of_the_page:SimPO", beta=2000.0, gamma=0.5)


def test_the_value_of_the_page(loss):
    same = torch.full((2,), 0.1, requires_grad=True)
    found = loss(PairErrors(same, same.detach().clone(), torch.zeros(2), torch.zeros(2)))
    assert float(found.loss.detach()) == pytest.approx(-math.log(1 / (1 + math.exp(0.5))), rel=1e-6)
    assert f"{float(found.loss.detach()):.4f}" in PAGE.read_text()


def test_its_gradient_lowers_the_winner_and_raises_the_loser(loss):
    winner, loser = (torch.full((2,), 0.1, requires_grad=True) for _ in range(2))
    loss(PairErrors(winner, loser, torch.zeros(2), torch.zeros(2))).loss.backward()
    expected = 2000.0 / 2 / (1 + math.exp(-0.5))
    assert winner.grad.tolist() == pytest.approx([expected] * 2, rel=1e-5)
    assert loser.grad.tolist() == pytest.approx([-expected] * 2, rel=1e-5)
