"""From a margin to a loss: the links of the Diffusion-DPO family. All take z (B,) = k·(−Δ), k the effective beta, and return (B,)."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Link = Callable[[Tensor, float, float], Tensor]


def sigmoid(z: Tensor, k: float, label_smoothing: float) -> Tensor:
    """−log σ(z); with label smoothing the conservative form (cDPO), −(1 − s) log σ(z) − s log σ(−z)."""
    return -(1 - label_smoothing) * F.logsigmoid(z) - label_smoothing * F.logsigmoid(-z)


def hinge(z: Tensor, k: float, label_smoothing: float) -> Tensor:
    """max(0, 1 − z) (SLiC, arXiv:2305.10425)."""
    return F.relu(1 - z)


def ipo(z: Tensor, k: float, label_smoothing: float) -> Tensor:
    """(−Δ − 1/(2k))² (IPO, arXiv:2310.12036), on the margin before it is scaled, as in diffusers' scripts: about 1e-8 at k = 2500."""
    return (z / k - 1 / (2 * k)).square()


def robust(z: Tensor, k: float, label_smoothing: float) -> Tensor:
    """(−(1 − s) log σ(z) + s log σ(−z)) / (1 − 2s): unbiased where a share s of the labels is flipped (arXiv:2403.00409)."""
    smoothed = -(1 - label_smoothing) * F.logsigmoid(z) + label_smoothing * F.logsigmoid(-z)
    return smoothed / (1 - 2 * label_smoothing)


LINKS: dict[str, Link] = {"sigmoid": sigmoid, "hinge": hinge, "ipo": ipo, "robust": robust}
SMOOTHED = ("sigmoid", "robust")
