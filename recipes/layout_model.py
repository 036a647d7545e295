"""The embedded layout model: a small Llama with its own tokenizer, begun from numbers that know their neighbours.

At the start the embedding of a number is a sum of waves of its value, the same for "120", "120," and "120 ", so that near numbers look
alike; and because input and output embeddings are one matrix, near numbers are also predicted alike. Training moves them from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from recipes.arguments import LayoutModelArguments
from recipes.layout_numbers import SharedNumbers, write_numbers
from recipes.layout_tokenizer import numbers_of

INIT_STD = 0.02
BETAS = (0.9, 0.98)


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
        write_numbers(model.get_input_embeddings().weight, numbers_of(tokenizer), INIT_STD)
    return model


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


def muon(
    named: Iterable[tuple[str, torch.nn.Parameter]],
    lr: float,
    weight_decay: float,
    numbers: Mapping[int, Sequence[int]] | None = None,
) -> Combined:
    """Muon for the hidden matrices (Jordan et al. 2024, scaled to AdamW's step as in arXiv:2502.16982), AdamW for embeddings and norms.

    With `numbers`, the token ids of each number, the embeddings of numbers also learn from each other.
    """
    named = [(name, p) for name, p in named if p.requires_grad]
    hidden = [p for name, p in named if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
    chosen = {id(p) for p in hidden}
    rest = [p for _, p in named if id(p) not in chosen]
    parts: list[torch.optim.Optimizer] = [
        torch.optim.Muon(hidden, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=lr, betas=BETAS, weight_decay=0.0),
    ]
    if numbers:
        embeddings = next(p for name, p in named if "embed_tokens" in name)
        parts.append(SharedNumbers(embeddings, numbers, lr, betas=BETAS))
    return Combined(parts)
