"""Numbers that learn from each other: embeddings of whole numbers that begin as waves of their value and go on moving as waves.

A number has a token for each of what may follow it (nothing, a comma, a space), and few rows have the number 347 in them. `SharedNumbers`
gives what is learned of one number to all in proportion to how their waves agree, on top of what each learns of itself. The weights stay a
plain embedding matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

WAVES = 24  # wavelengths from 2 to 2000 cm
COMMON = 0.9  # share of a number token's variance that it has from its value


def number_waves(values_N: torch.Tensor) -> torch.Tensor:
    """(N, 2 · WAVES) sines and cosines of whole numbers at wavelengths from 2 to 2000, in a geometric row."""
    lengths_F = 2 * 1000 ** (torch.arange(WAVES) / (WAVES - 1))
    angle_NF = 2 * math.pi * values_N[:, None] / lengths_F
    return torch.cat([angle_NF.sin(), angle_NF.cos()], dim=1)


@torch.no_grad()
def write_numbers(embeddings_VD: torch.Tensor, numbers: Mapping[int, Sequence[int]], std: float) -> None:
    """Replace the rows of number tokens by waves of their value plus some noise, at the scale `std` of the other rows."""
    waves_NF = number_waves(torch.tensor(list(numbers), dtype=torch.float32))
    into_FD = torch.randn(waves_NF.shape[1], embeddings_VD.shape[1])
    common_ND = waves_NF @ into_FD
    common_ND *= std * math.sqrt(COMMON) / common_ND.std()
    for row, ids in zip(common_ND, numbers.values(), strict=True):
        noise = torch.randn(len(ids), row.numel()) * std * math.sqrt(1 - COMMON)
        embeddings_VD[list(ids)] = row + noise


class SharedNumbers(torch.optim.AdamW):
    """AdamW on a linear map from waves to embeddings, whose every step is added to the rows of the numbers.

    Its parameters are the map (F, D) and one vector for each ending (E, D), which start at zero: only their steps matter. The gradients come from
    `embeddings`, which another optimizer moves row by row.
    """

    def __init__(
        self,
        embeddings_VD: torch.nn.Parameter,
        numbers: Mapping[int, Sequence[int]],
        lr: float,
        **options: Any,
    ) -> None:
        self.embeddings_VD = embeddings_VD
        self.ids_NE = torch.tensor(list(numbers.values()))
        # Unit vectors: a number's row then moves about as far as a weight does.
        self.waves_NF = number_waves(torch.tensor(list(numbers), dtype=torch.float32)) / math.sqrt(WAVES)
        width = embeddings_VD.shape[1]
        self.map_FD = torch.nn.Parameter(torch.zeros(self.waves_NF.shape[1], width))
        self.ends_ED = torch.nn.Parameter(torch.zeros(self.ids_NE.shape[1], width))
        super().__init__([self.map_FD, self.ends_ED], lr=lr, weight_decay=0.0, **options)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        assert closure is None, "gradients come from the embeddings"
        assert self.embeddings_VD.grad is not None
        grad_NED = self.embeddings_VD.grad[self.ids_NE]
        self.map_FD.grad = self.waves_NF.T @ grad_NED.sum(1)
        self.ends_ED.grad = grad_NED.sum(0)
        map_FD, ends_ED = self.map_FD.clone(), self.ends_ED.clone()
        super().step()
        moved_ND = self.waves_NF @ (self.map_FD - map_FD)
        self.embeddings_VD[self.ids_NE] += moved_ND[:, None] + (self.ends_ED - ends_ED)
