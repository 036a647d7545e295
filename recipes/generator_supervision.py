"""What a training scene is known to contain, as extra targets of the embedded generator's training.

The velocity error alone teaches words slowly: what a caption means reaches the text encoder only through the pixels. The scene behind a
picture is known exactly, so two linear heads ask for it directly: at a group's noun the text encoder must know the group (count, size, colour,
shape, relations to the other groups), and at a cell a middle block must know what will stand there (shape, colour, size, background). The
second is representation alignment (REPA, Yu et al. 2024, arXiv:2410.06940) with exact labels in place of a pretrained encoder.
The heads are thrown away after training; sampling does not know of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion_core.worlds.shapes import Layout, SceneSpec
from diffusion_core.worlds.shapes.render import GEOMETRIES, GRID
from diffusion_core.worlds.shapes.spec import (
    BACKGROUNDS,
    COLORS,
    MAX_OBJECTS,
    RELATIONS,
    SHAPES,
    SIZES,
)

OPEN = 0  # class of an attribute that the caption leaves open, of an absent relation, of a cell without an object
IGNORED = -100  # torch's ignore_index
PHRASE_CLASSES = (
    MAX_OBJECTS,
    1 + len(SIZES),
    1 + len(COLORS),
    1 + len(SHAPES),
    *(1 + len(RELATIONS),) * MAX_OBJECTS,
)
CELL_CLASSES = (1 + len(SHAPES), len(COLORS), len(SIZES), len(BACKGROUNDS))
_SHAPE, _COLOR, _SIZE, _BACKGROUND, _RELATION = (
    {word: index for index, word in enumerate(words)}
    for words in (SHAPES, COLORS, SIZES, BACKGROUNDS, RELATIONS)
)
_INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def noun_positions(token_ids: Sequence[int], groups: int, separators: frozenset[int]) -> list[int]:
    """Where each group's noun stands in a tokenised caption: the token before its comma, semicolon or the end."""
    found, k = [], 1  # token 0 is [BOS]
    while len(found) < groups:
        if k >= len(token_ids) or token_ids[k] in separators:
            found.append(k - 1)
        k += 1
    return found


def phrase_labels(spec: SceneSpec) -> list[list[int]]:
    """One row of `PHRASE_CLASSES` a group: count - 1, size, colour, shape, and how it stands to groups 0 … 3."""
    rows = []
    for g, group in enumerate(spec.objects):
        standing = [OPEN] * MAX_OBJECTS
        for relation in spec.relations:
            if relation.a == g:
                standing[relation.b] = 1 + _RELATION[relation.rel]
            elif relation.b == g:
                standing[relation.a] = 1 + _RELATION[_INVERSE[relation.rel]]
        rows.append(
            [
                group.count[0] - 1,
                OPEN if group.size is None else 1 + _SIZE[group.size],
                OPEN if group.color is None else 1 + _COLOR[group.color],
                OPEN if group.shape is None else 1 + _SHAPE[group.shape],
                *standing,
            ]
        )
    return rows


def cell_labels(layout: Layout) -> list[list[int]]:
    """One row of `CELL_CLASSES` a cell, row by row of the grid: shape, colour, size, background; colour and size of an empty cell are ignored."""
    cell = GEOMETRIES[layout.canvas].cell
    rows = [[OPEN, IGNORED, IGNORED, _BACKGROUND[layout.background]] for _ in range(GRID * GRID)]
    for item in layout.objects:
        rows[item.y // cell * GRID + item.x // cell][:3] = [
            1 + _SHAPE[item.shape],
            _COLOR[item.color],
            _SIZE[item.size],
        ]
    return rows


class SceneHeads(torch.nn.Module):
    """The two linear heads. `watch` makes a transformer's block keep what it puts out, (B, cells, width)."""

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        self.phrase = torch.nn.Linear(text_width, sum(PHRASE_CLASSES))
        self.cell = torch.nn.Linear(width, sum(CELL_CLASSES))
        self._hidden: Tensor | None = None

    def watch(self, block: torch.nn.Module) -> None:
        def keep(_module: torch.nn.Module, _inputs: Any, output: Tensor) -> None:
            self._hidden = output

        block.register_forward_hook(keep)

    def phrase_loss(
        self,
        text_BLD: Tensor,
        token_ids: Tensor,
        specs: Sequence[SceneSpec | None],
        separators: frozenset[int],
    ) -> Tensor:
        """Cross-entropy in nats a group, summed over attributes; `None` stands for an empty caption and is left out."""
        rows, columns, labels = [], [], []
        for b, (spec, ids) in enumerate(zip(specs, token_ids.tolist(), strict=True)):
            if spec is not None:
                rows += [b] * len(spec.objects)
                columns += noun_positions(ids, len(spec.objects), separators)
                labels += phrase_labels(spec)
        if not rows:
            return text_BLD.new_zeros(())
        logits = self.phrase(text_BLD[rows, columns]).float().split(PHRASE_CLASSES, dim=-1)
        labels_NK = torch.tensor(labels, device=text_BLD.device)
        return torch.stack([F.cross_entropy(z, labels_NK[:, k]) for k, z in enumerate(logits)]).sum()

    def cell_loss(self, labels_BCK: Tensor) -> Tensor:
        """Cross-entropy in nats a cell, summed over attributes, of what the watched block put out in the last forward pass."""
        assert self._hidden is not None, "watch a block and run the transformer first"
        logits = self.cell(self._hidden).float().split(CELL_CLASSES, dim=-1)
        self._hidden = None
        losses = [
            F.cross_entropy(
                z.flatten(0, 1), labels_BCK[..., k].flatten(), ignore_index=IGNORED, reduction="sum"
            )
            for k, z in enumerate(logits)
        ]
        return torch.stack(losses).sum() / labels_BCK[..., 0].numel()
