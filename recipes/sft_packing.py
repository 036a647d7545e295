"""A batch of SFT rows as one sequence, for CPUs: no padding, and what all rows begin with is computed once.

    system prompt | row 0's prompt and rewrite | row 1's prompt and rewrite | …

A row sees the common beginning and itself, by a block mask and position ids that go on from the beginning. Rows of a prompt rewriter are
short and a third of them is the template's own text: half the positions of a padded batch, at the same loss and gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl import SFTTrainer

IGNORED = -100  # the label of a position without one


def common_beginning(rows_ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> int:
    """Tokens all rows begin with; every row keeps at least one of its own before its first label, to predict it from."""
    first_label = min(next((i for i, y in enumerate(row) if y != IGNORED), len(row)) for row in labels)
    most = max(0, min(first_label, *(len(row) for row in rows_ids)) - 1)
    for place in range(most):
        if len({row[place] for row in rows_ids}) > 1:
            return place
    return most


def pack_rows(rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Rows of `input_ids` and `labels` -> input_ids, position_ids, labels (1, L) and an additive attention_mask (1, 1, L, L)."""
    ids, labels = [row["input_ids"] for row in rows], [row["labels"] for row in rows]
    shared = common_beginning(ids, labels)
    packed, positions, targets, owner = (
        ids[0][:shared],
        list(range(shared)),
        [IGNORED] * shared,
        [-1] * shared,
    )
    for number, (row, wanted) in enumerate(zip(ids, labels, strict=True)):
        packed = packed + row[shared:]
        positions += range(shared, len(row))
        # The position before a row's first token is another row's: nothing is predicted from there.
        targets += [IGNORED, *wanted[shared + 1 :]]
        owner += [number] * (len(row) - shared)
    length, of = len(packed), torch.tensor(owner)
    sees_LL = torch.ones(length, length, dtype=torch.bool).tril()
    sees_LL &= (of[:, None] == of[None, :]) | (of == -1)[None, :]
    mask_LL = torch.zeros(length, length).masked_fill_(~sees_LL, torch.finfo(torch.float32).min)
    return {
        "input_ids": torch.tensor([packed]),
        "position_ids": torch.tensor([positions]),
        "labels": torch.tensor([targets]),
        "attention_mask": mask_LL[None, None],
    }


class PackedSFTTrainer(SFTTrainer):
    """SFTTrainer for `pack_rows` as data_collator: it counts tokens by the attention mask, which is no count here."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        before = self._total_train_tokens
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        mode = "train" if self.model.training else "eval"
        self._total_train_tokens = before + (inputs["input_ids"].numel() if mode == "train" else 0)
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
        return loss
