"""Seconds of forward and backward of an SFT step of SmolLM2 on 16 pairs: ours against TRL's collator, PEFT's layers and PyTorch's fused attention.

Both under autocast to bfloat16 where the CPU multiplies it, both with the head at labelled positions only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import Any

ROWS = 16


def run(rounds: int = 3) -> dict[str, float]:
    """Medians over `rounds`, in seconds."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from recipes.arguments import RewriterArguments
    from recipes.policy import bf16_is_fast, load_policy, load_tokenizer, quiet, speed_up_bf16
    from recipes.rewriter_data import candidates
    from recipes.sft_packing import IGNORED, pack_rows
    from rewriter.schema import Rewrite
    from rewriter.templates import load_template

    quiet()
    args, bf16 = RewriterArguments(), bf16_is_fast()
    tokenizer, template = load_tokenizer(args), load_template(args.template)
    rows = []
    for pair in candidates(0, ROWS):
        prompt = template.prompt_ids(tokenizer, pair["prompt"])
        written = tokenizer(template.completion(Rewrite(prompt=pair["rewrite"])), add_special_tokens=False)
        answer = written["input_ids"]
        rows.append({"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer})
    model = load_policy(args, None, 0)
    padded = DataCollatorForLanguageModeling(tokenizer.pad_token_id)(rows)
    theirs = _seconds(model, padded, rounds, bf16)
    if bf16:
        speed_up_bf16(model)
    packed = pack_rows(rows)
    ours = _seconds(model, packed, rounds, bf16)
    return {
        "trl_positions": padded["input_ids"].numel(),
        "ours_positions": packed["input_ids"].numel(),
        "trl_sft_update_s": theirs,
        "ours_sft_update_s": ours,
        "speedup_sft_update": theirs / ours,
    }


def _seconds(model: Any, batch: Mapping[str, Any], rounds: int, bf16: bool) -> float:
    import torch

    base, labelled = model.get_base_model(), batch["labels"][:, 1:] != -100
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    taken = []
    for _ in range(1 + rounds):  # the first allocates
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            hidden_BLD = base.base_model(**inputs, use_cache=False).last_hidden_state
            logits_NV = base.get_output_embeddings()(hidden_BLD[:, :-1][labelled])
        torch.nn.functional.cross_entropy(logits_NV.float(), batch["labels"][:, 1:][labelled]).backward()
        model.zero_grad()
        taken.append(time.perf_counter() - began)
    return median(taken[1:])
