"""Classifier-free guidance as a denoiser, and conditioning as a value."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from diffusion_core.denoiser import Denoiser
from diffusion_core.guidance import ClassifierFree, GuidedCond
from diffusion_core.kernels import FlowEuler
from diffusion_core.processes import DDPM, Flow
from diffusion_core.sampling import sample
from diffusion_core.types import Cond


def means(*values: float) -> Cond:
    return Cond({"mean": torch.tensor(values, dtype=torch.float64)})


def x_of(rows: int) -> torch.Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_scale_one_is_the_conditional_model_bit_for_bit(gaussian):
    inner, x = gaussian(Flow(), "flow", 0.0, 0.5), x_of(2)
    got = ClassifierFree(inner, 1.0)(x, 0.6, GuidedCond(means(1, 2), means(0, 0)))
    assert torch.equal(got.x0, inner(x, 0.6, means(1, 2)).x0)


def test_scale_zero_is_the_negative_model(gaussian):
    inner, x = gaussian(Flow(), "flow", 0.0, 0.5), x_of(2)
    assert_close(
        ClassifierFree(inner, 0.0)(x, 0.6, GuidedCond(means(1, 2), means(-1, 0))).eps,
        inner(x, 0.6, means(-1, 0)).eps,
    )


@pytest.mark.parametrize(
    ("process", "t"), [(DDPM(), torch.tensor([801, 301])), (Flow(), torch.tensor([0.8, 0.3]))]
)
def test_guiding_any_parameterisation_gives_the_same_prediction(gaussian, process, t: torch.Tensor):
    x, cond = x_of(2), GuidedCond(means(1, 2), means(0, -1))
    preds = [ClassifierFree(gaussian(process, kind, 0.0, 0.5), 3.0)(x, t, cond) for kind in process.kinds]
    for pred in preds[1:]:
        assert_close(pred.x0, preds[0].x0)
        assert_close(pred.eps, preds[0].eps)


def test_guided_mean_is_extrapolated(gaussian):
    """With point masses at 0 and m the guided x0 is scale · m, at every step and at the end."""
    cond = GuidedCond(means(1, 2), means(0, 0))
    denoiser = ClassifierFree(gaussian(Flow(), "x0", 0.0, 0.0), 3.0)
    out = sample(denoiser, FlowEuler(Flow()), Flow().grid(4), x_of(2), cond)
    assert_close(out, torch.tensor([[3.0], [6.0]], dtype=torch.float64).expand(2, 3))


class Scaled(Denoiser):
    """raw = weight · mean of the row's conditioning; counts its forwards."""

    def __init__(self) -> None:
        super().__init__(Flow(), "flow")
        self.weight = torch.ones((), requires_grad=True)
        self.rows: list[int] = []

    def raw(self, x_t, t, cond):
        self.rows.append(len(x_t))
        return self.weight * cond["mean"].view(-1, 1).to(x_t.dtype).expand_as(x_t)


@pytest.mark.parametrize(("detach", "expected"), [(False, 3 * 5 - 2 * 2), (True, 3 * 5)])
def test_detaching_cuts_only_the_negative_branch(detach: bool, expected: float):
    inner = Scaled()
    out = ClassifierFree(inner, 3.0, detach_uncond=detach).raw(
        torch.zeros(1, 1), 0.5, GuidedCond(means(5), means(2))
    )
    assert out.item() == 3 * 5 - 2 * 2
    assert torch.autograd.grad(out.sum(), inner.weight)[0].item() == expected
    assert inner.rows == [2]


def test_cat_pads_shorter_texts_and_masks_the_padding():
    long = Cond({"text": torch.ones(1, 3, 2), "pooled": torch.ones(1, 2)}, torch.ones(1, 3, dtype=torch.long))
    short = Cond(
        {"text": torch.ones(2, 1, 2), "pooled": torch.ones(2, 2)}, torch.ones(2, 1, dtype=torch.long)
    )
    both = Cond.cat([long, short])
    assert both["text"].shape == (3, 3, 2)
    assert both["pooled"].shape == (3, 2)
    assert both.mask is not None
    assert both.mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert both.map(lambda v: v[1:]).trimmed()["text"].shape == (2, 1, 2)


def test_missing_conditioning_is_named():
    with pytest.raises(KeyError, match="no conditioning named 'pooled'; there is: mean"):
        means(1)["pooled"]
