"""The embedded layout model: a small Llama with its own tokenizer, begun from numbers that know their neighbours.

At the start the embedding of a number is a sum of waves of its value, the same for "120", "120," and "120 ", so that near numbers look
alike; and because input and output embeddings are one matrix, near numbers are also predicted alike. Training moves them from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from recipes.arguments import LayoutModelArguments
from recipes.layout_tokenizer import numbers_of

INIT_STD = 0.02
WAVES = 24  # wavelengths from 2 to 2000 cm
COMMON = 0.9  # share of a number token's variance that it has from its value


def new_model(tokenizer: Any, args: LayoutModelArguments, max_length: int, seed: int) -> Any:
    """A LlamaForCausalLM with random weights from the seed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=args.width,
        intermediate_size=args.feed_forward,
        num_hidden_layers=args.layers,
        num_attention_heads=args.width // args.head_width,
        num_key_value_heads=args.width // args.head_width,
        head_dim=args.head_width,
        max_position_embeddings=max(2048, max_length),
        tie_word_embeddings=True,
        initializer_range=INIT_STD,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        write_numbers(model.get_input_embeddings().weight, numbers_of(tokenizer))
    return model


@torch.no_grad()
def write_numbers(embeddings_VD: torch.Tensor, numbers: dict[int, list[int]]) -> None:
    """Replace the rows of number tokens by waves of their value plus some noise, at the scale of the other rows."""
    waves_NF = number_waves(torch.tensor(list(numbers), dtype=torch.float32))
    into_FD = torch.randn(waves_NF.shape[1], embeddings_VD.shape[1])
    common_ND = waves_NF @ into_FD
    common_ND *= INIT_STD * math.sqrt(COMMON) / common_ND.std()
    for row, ids in zip(common_ND, numbers.values(), strict=True):
        noise = torch.randn(len(ids), row.numel()) * INIT_STD * math.sqrt(1 - COMMON)
        embeddings_VD[ids] = row + noise


def number_waves(values_N: torch.Tensor) -> torch.Tensor:
    """(N, 2 · WAVES) sines and cosines of whole numbers at wavelengths from 2 to 2000, in a geometric row."""
    lengths_F = 2 * 1000 ** (torch.arange(WAVES) / (WAVES - 1))
    angle_NF = 2 * math.pi * values_N[:, None] / lengths_F
    return torch.cat([angle_NF.sin(), angle_NF.cos()], dim=1)


class Combined(torch.optim.Optimizer):
    """Several optimizers as one, for a trainer that knows one; a scheduler sees all of their groups."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        # The base class copies groups that it is given; the parts must read the ones that the scheduler changes.
        self.param_groups = [group for part in parts for group in part.param_groups]

    def step(self, closure: Any = None) -> None:
        assert closure is None, "none of the parts takes one"
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def muon(named: Iterable[tuple[str, torch.nn.Parameter]], lr: float, weight_decay: float) -> Combined:
    """Muon for the hidden matrices (Jordan et al. 2024, scaled to AdamW's step as in arXiv:2502.16982), AdamW for embeddings and norms."""
    named = [(name, p) for name, p in named if p.requires_grad]
    hidden = [p for name, p in named if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
    chosen = {id(p) for p in hidden}
    rest = [p for _, p in named if id(p) not in chosen]
    return Combined(
        [
            torch.optim.Muon(hidden, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
        ]
    )
