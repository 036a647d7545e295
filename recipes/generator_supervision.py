"""What a training scene is known to contain, as extra targets of the embedded generator's training.

The velocity error alone teaches words slowly: what a caption means reaches the text encoder only through the pixels. The scene behind a
picture is known exactly, so three linear heads ask for it directly. At a group's noun the text encoder must know the group (count, size,
colour, shape, relations to the other groups); at a noun of a relation it must know which group is meant and how it stands to which other
(without this, "red circles left of blue square" was still noise to an encoder of two to four layers after 250,000 samples; with it, four layers
learn it in 300 steps). At a cell a middle block must know what will stand there (shape, colour, size, background): representation alignment
(REPA, Yu et al. 2024, arXiv:2410.06940) with exact labels in place of a pretrained encoder.
The heads are thrown away after training; sampling does not know of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
REFERENCE_CLASSES = (MAX_OBJECTS, MAX_OBJECTS, len(RELATIONS))
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


@dataclass(frozen=True)
class Marks:
    """Token ids that give a tokenised caption its structure."""

    ends: frozenset[int]  # comma, semicolon, padding: what stands behind a group or a clause
    semicolon: int
    relations: frozenset[int]  # the first word of each

    @classmethod
    def of(cls, tokenizer: Any) -> Marks:
        comma, semicolon = tokenizer.convert_tokens_to_ids([",", ";"])
        relations = tokenizer.convert_tokens_to_ids([relation.split()[0] for relation in RELATIONS])
        return cls(frozenset([comma, semicolon, tokenizer.pad_token_id]), semicolon, frozenset(relations))

    def end(self, token_ids: Sequence[int], start: int) -> int:
        """The first place from `start` on that ends a phrase."""
        return next((k for k in range(start, len(token_ids)) if token_ids[k] in self.ends), len(token_ids))


def noun_positions(token_ids: Sequence[int], groups: int, marks: Marks) -> list[int]:
    """Where each group's noun stands in a tokenised caption: the token before its comma, semicolon or the end."""
    found, start = [], 1  # token 0 is [BOS]
    for _ in range(groups):
        end = marks.end(token_ids, start)
        found.append(end - 1)
        start = end + 1
    return found


def reference_positions(token_ids: Sequence[int], relations: int, marks: Marks) -> list[int]:
    """Where the two nouns of each relation stand: before the relation's first word, and before the end of its clause."""
    found: list[int] = []
    start = token_ids.index(marks.semicolon) if relations else 0
    for _ in range(relations):
        word = next(k for k in range(start, len(token_ids)) if token_ids[k] in marks.relations)
        start = marks.end(token_ids, word)
        found += [word - 1, start - 1]
    return found


def reference_labels(spec: SceneSpec) -> list[list[int]]:
    """Two rows of `REFERENCE_CLASSES` a relation: the group that a noun means, the other group, how the first stands to it."""
    rows = []
    for r in spec.relations:
        rows += [[r.a, r.b, _RELATION[r.rel]], [r.b, r.a, _RELATION[_INVERSE[r.rel]]]]
    return rows


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


@dataclass
class _Asked:
    """Places (row, token) of a batch and the classes to be told there."""

    classes: tuple[int, ...]
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)

    def add(self, row: int, columns: list[int], labels: list[list[int]]) -> None:
        self.rows += [row] * len(columns)
        self.columns += columns
        self.labels += labels

    def loss(self, head: torch.nn.Linear, text_BLD: Tensor) -> Tensor:
        if not self.rows:
            return text_BLD.new_zeros(())
        logits = head(text_BLD[self.rows, self.columns]).float().split(self.classes, dim=-1)
        labels_NK = torch.tensor(self.labels, device=text_BLD.device)
        return torch.stack([F.cross_entropy(z, labels_NK[:, k]) for k, z in enumerate(logits)]).sum()


class SceneHeads(torch.nn.Module):
    """The three linear heads. `watch` makes a transformer's block keep what it puts out, (B, cells, width)."""

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        self.phrase = torch.nn.Linear(text_width, sum(PHRASE_CLASSES))
        self.reference = torch.nn.Linear(text_width, sum(REFERENCE_CLASSES))
        self.cell = torch.nn.Linear(width, sum(CELL_CLASSES))
        self._hidden: Tensor | None = None

    def watch(self, block: torch.nn.Module) -> None:
        def keep(_module: torch.nn.Module, _inputs: Any, output: Tensor) -> None:
            self._hidden = output

        block.register_forward_hook(keep)

    def text_losses(
        self, text_BLD: Tensor, token_ids: Tensor, specs: Sequence[SceneSpec | None], marks: Marks
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropies in nats a group and a relation's noun, summed over what is asked; empty captions (`None`) are left out."""
        groups, nouns = _Asked(PHRASE_CLASSES), _Asked(REFERENCE_CLASSES)
        for b, (spec, ids) in enumerate(zip(specs, token_ids.tolist(), strict=True)):
            if spec is not None:
                groups.add(b, noun_positions(ids, len(spec.objects), marks), phrase_labels(spec))
                nouns.add(b, reference_positions(ids, len(spec.relations), marks), reference_labels(spec))
        return groups.loss(self.phrase, text_BLD), nouns.loss(self.reference, text_BLD)

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
