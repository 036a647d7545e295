"""The canary: does vLLM really compute with the trainer's weights?

A weight sync that writes to a wrong name, or to a copy that nobody reads, raises nothing: roll-outs then come from an old policy, and
training goes on with ratios that mean nothing. So after a sync both sides give the log-probabilities of the same fixed tokens, and a gap
above the tolerance stops the run. A fresh adapter is zero and would hide the fault; before the first roll-out the canary therefore
shakes the adapter until it matters, syncs, compares, puts the weights back bit by bit, and syncs again.

Gaps measured in float32 on CPU are below 1e-3 nats, shaken ones move tokens by more than 0.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

SHAKEN = 10.0  # the shaken adapter moves some token by at least so many tolerances


class CanaryDrift(RuntimeError):
    """vLLM and the trainer disagree about fixed tokens: the roll-outs are not the trained policy's."""


@dataclass
class Canary:
    """`sequences` are token ids, 2 or more each; all but the first token of each are compared."""

    sequences: Sequence[Sequence[int]]
    tolerance: float
    every: int = 1
    seed: int = 0
    _syncs: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not self.sequences or min(map(len, self.sequences)) < 2:
            raise ValueError("the canary needs at least one sequence of two tokens or more")

    def watch(
        self, step: int, model: Any, llm: Any, sync: Callable[[], None], *, first: bool
    ) -> dict[str, float]:
        """Called after every sync; returns metrics for the log. Raises CanaryDrift."""
        metrics: dict[str, float] = {}
        if first:
            metrics |= self.probe(model, llm, sync)
        self._syncs += 1
        if first or self._syncs % self.every == 0:
            metrics |= self.compare(model, llm, f"after the weight sync of step {step}")
        return metrics

    def compare(self, model: Any, llm: Any, when: str) -> dict[str, float]:
        """Mean and largest absolute difference over the tokens. Raises CanaryDrift when the largest exceeds the tolerance."""
        import torch

        trained, served = self.trainer_logprobs(model), self.engine_logprobs(llm)
        gaps = torch.cat([(a - b).abs() for a, b in zip(trained, served, strict=True)])
        largest = float(gaps.max()) if torch.isfinite(gaps).all() else float("inf")
        if largest > self.tolerance:
            raise CanaryDrift(
                f"vLLM and the trainer disagree {when}: the log-probability of a fixed token differs by {largest:.4g} nats, "
                f"{int((gaps > self.tolerance).sum())} of {len(gaps)} tokens by more than canary_tolerance={self.tolerance:g}. "
                f"Weights did not arrive in vLLM, or it computes in another precision; rewards of such roll-outs train nothing. "
                f"Checkpoints up to here are sound"
            )
        return {"canary/gap_max": largest, "canary/gap_mean": float(gaps.mean())}

    def probe(self, model: Any, llm: Any, sync: Callable[[], None]) -> dict[str, float]:
        """Compare with a shaken, hence non-zero, adapter; afterwards every weight is bitwise what it was."""
        import torch

        changing = [p for _, p in sorted(model.named_parameters()) if p.requires_grad]
        held = [p.detach().clone() for p in changing]
        before = torch.cat(self.trainer_logprobs(model))
        noise = torch.Generator().manual_seed(self.seed)
        effect, scale = 0.0, 1e-3
        try:
            while effect < SHAKEN * self.tolerance:
                if scale > 10:
                    raise CanaryDrift(
                        "shaking the trained parameters changes no log-probability: is the adapter active?"
                    )
                scale *= 2
                with torch.no_grad():
                    for p, was in zip(changing, held, strict=True):
                        p.copy_(was + scale * torch.randn(was.shape, generator=noise).to(was))
                effect = float((torch.cat(self.trainer_logprobs(model)) - before).abs().max())
            sync()
            gap = self.compare(model, llm, "with the adapter shaken at the start")["canary/gap_max"]
        finally:
            with torch.no_grad():
                for p, was in zip(changing, held, strict=True):
                    p.copy_(was)
        sync()
        return {"canary/probe_gap": gap, "canary/probe_effect": effect}

    def trainer_logprobs(self, model: Any) -> list[Any]:
        """(T - 1,) float32 per sequence: log p(token t | tokens before it) under the trained model."""
        import torch

        # Inside PEFT's wrapper, whose forward accelerate makes autocast: the weights are compared, not the precision of the update.
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        found = []
        with torch.no_grad():
            for ids in self.sequences:
                tokens_BT = torch.tensor([list(ids)], device=next(model.parameters()).device)
                logits_BTV = inner(
                    input_ids=tokens_BT, attention_mask=torch.ones_like(tokens_BT)
                ).logits.float()
                logps_TV = torch.log_softmax(logits_BTV[0, :-1], dim=-1)
                found.append(logps_TV.gather(-1, tokens_BT[0, 1:, None])[:, 0].cpu())
        return found

    def engine_logprobs(self, llm: Any) -> list[Any]:
        """The same numbers from vLLM, which gives them for the tokens of a prompt."""
        import torch
        from vllm import SamplingParams

        asked = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        outputs = llm.generate(
            [{"prompt_token_ids": list(ids)} for ids in self.sequences], asked, use_tqdm=False
        )
        return [
            torch.tensor(
                [
                    entry[token].logprob
                    for token, entry in zip(ids[1:], output.prompt_logprobs[1:], strict=True)
                ]
            )
            for ids, output in zip(self.sequences, outputs, strict=True)
        ]
