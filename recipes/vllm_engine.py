"""vLLM inside the trainer: starting it, roll-outs with seeds of our own, and weights that really arrive.

TRL's colocated mode starts `vllm.LLM` and writes the trainer's weights into it before each generation. What is added:

- **Precision.** Left to itself vLLM turns a float32 model into bfloat16; the canary sees log-probabilities that differ by 0.2 nats.
- **A CPU detail that breaks the sync.** On CPUs with AVX-512 vLLM 0.31 packs every linear weight for oneDNN when the engine starts and
  drops the original. Writing new weights then fails ("'Parameter' object has no attribute 'weight_loader'"), and an untied head, whose
  original is kept beside the packed copy, would silently stay as it was. We keep the originals and pack again after each sync.
- **Merging without rounding.** TRL merges the adapter into the base in place and takes it out again, W + d - d, which is not W in
  floating point: the frozen base would drift, and a resumed run would differ. We push W + d out of place, for adapted weights only.
- **Sampling.** For every seeded request vLLM draws one exponential per vocabulary entry, on CPU twice: a third of the time of a roll-out
  of SmolLM2. One uniform number and the cumulative distribution give the same samples' law.
- **Seeds per completion**, from (run seed, step, index): a run resumed at a step samples what the uninterrupted one did. One seed in
  TRL's `generation_kwargs` would make all completions of a group equal.
"""

from __future__ import annotations

import functools
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from recipes.canary import Canary
from rewriter.llm import row_seed
from rewriter.templates import encode_chat

# Only whole blocks of a prompt are shared by a group. vLLM's 128 on CPU is more than our prompts have; 32 is the least it takes.
CPU_BLOCK = 32


def free_port() -> int:
    """A port that nobody listens on. TRL tries the same few first, and two runs that start together would meet there."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def engine_start(*, eager: bool, dtype: str) -> Iterator[None]:
    """Inside, GRPOTrainer starts vLLM with our options, and so that its weights can be written later.

    vLLM's CPU worker replaces `torch.set_num_threads` by a warning; it is put back afterwards.
    """
    import torch
    from trl.generation import vllm_generation as host
    from vllm.model_executor.layers import utils as layers
    from vllm.platforms import current_platform

    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; the default is a share of all memory
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    options: dict[str, Any] = {"enforce_eager": eager, "dtype": dtype}
    if current_platform.is_cpu():
        options["block_size"] = CPU_BLOCK
    original_llm, original_threads = host.LLM, torch.set_num_threads
    host.LLM = functools.partial(original_llm, **options)
    original_dispatch = layers.dispatch_cpu_unquantized_gemm
    if current_platform.is_cpu():
        layers.dispatch_cpu_unquantized_gemm = functools.partial(_dispatch, original_dispatch)
    try:
        yield
    finally:
        host.LLM, torch.set_num_threads = original_llm, original_threads
        layers.dispatch_cpu_unquantized_gemm = original_dispatch


def _dispatch(original: Any, layer: Any, remove_weight: bool) -> None:
    """vLLM's choice of a CPU kernel for a layer, with the weight kept beside whatever was packed from it."""
    original(layer, remove_weight=False)


def pack_again(model: Any) -> None:
    """Pack the linear weights of a vLLM model for its CPU kernels once more, from what is in the parameters now."""
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

    for layer in model.modules():
        if hasattr(layer, "cpu_linear"):
            dispatch_cpu_unquantized_gemm(layer, remove_weight=False)


def engine_model(llm: Any) -> Any:
    """The torch module inside an in-process engine."""
    return llm.llm_engine.model_executor.driver_worker.model_runner.model


def adapted_weights(model: Any) -> Iterator[tuple[str, Any]]:
    """(name without PEFT's prefixes, W + scale * B A) of every weight that the active LoRA adapter changes."""
    import torch
    from peft.tuners.lora import LoraLayer

    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, LoraLayer):
                continue
            weight = module.get_base_layer().weight.data
            for adapter in module.active_adapters:
                if adapter in module.lora_A:
                    weight = weight + module.get_delta_weight(adapter)
            yield f"{name.removeprefix('base_model.model.')}.weight", weight


def sample_by_inversion(llm: Any) -> None:
    """Make a CPU engine sample seeded requests with one uniform number each: the token whose cumulative probability passes it."""
    import torch
    from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

    sampler = llm.llm_engine.model_executor.driver_worker.model_runner.sampler.topk_topp_sampler
    original = sampler.forward_cpu

    def forward(logits: Any, generators: dict[int, Any], k: Any, p: Any) -> tuple[Any, Any]:
        if len(generators) != len(logits) or sampler.logprobs_mode != "processed_logprobs":
            return original(logits, generators, k, p)
        logps_BV = apply_top_k_top_p(logits, k, p).log_softmax(dim=-1, dtype=torch.float32)
        cumulative_BV = logps_BV.exp().cumsum(dim=-1, dtype=torch.float64)
        uniform_B = torch.stack(
            [torch.rand((), generator=generators[i], dtype=torch.float64) for i in range(len(logits))]
        )
        token_B1 = torch.searchsorted(cumulative_BV, (uniform_B * cumulative_BV[:, -1])[:, None], right=True)
        return token_B1[:, 0].clamp_(max=logps_BV.shape[1] - 1), logps_BV

    sampler.forward = forward


class WeightSync:
    """Stands in for `VLLMGeneration.sync_weights`: the same call, exact for LoRA, packed again on CPU, and timed.

    Making one also sets up the CPU engine's sampling."""

    def __init__(self, host: Any) -> None:
        from accelerate.utils import DistributedType, is_peft_model
        from vllm.platforms import current_platform

        self._host, self._push = host, host.sync_weights
        self._cpu = current_platform.is_cpu()
        self.seconds = 0.0
        plain = host.accelerator.distributed_type in (
            DistributedType.NO,
            DistributedType.MULTI_CPU,
            DistributedType.MULTI_GPU,
        )
        if is_peft_model(host.model) and plain:  # sharded models need TRL's own gathering
            host._iter_named_params = lambda: adapted_weights(host.model)
        host.sync_weights = self
        if self._cpu:
            sample_by_inversion(host.llm)

    def __call__(self) -> None:
        began = time.perf_counter()
        self._push()
        if self._cpu:
            pack_again(engine_model(self._host.llm))
        self.seconds += time.perf_counter() - began

    def take_seconds(self) -> float:
        """Seconds spent since the last call of this."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


@dataclass
class Rollout:
    """TRL's `rollout_func`: one completion for each prompt (a group's prompts stand next to each other), with log-probabilities."""

    seed: int
    canary: Canary | None = None
    sync: WeightSync | None = None
    probed: bool = False

    def __call__(self, prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
        from vllm import SamplingParams

        host, step = trainer.vllm_generation, trainer.state.global_step
        if self.sync is not None:
            _log(trainer, {"time/sync": self.sync.take_seconds()})
        if self.canary is not None:
            began = time.perf_counter()
            metrics = self.canary.watch(step, host.model, host.llm, host.sync_weights, first=not self.probed)
            self.probed = True
            _log(trainer, metrics | {"time/canary": time.perf_counter() - began})
        if self.sync is not None:
            self.sync.take_seconds()  # the canary's own syncs are in its time
        ids = [encode_chat(trainer.processing_class, messages) for messages in prompts]
        sampling = [
            SamplingParams(
                n=1,
                temperature=host.temperature,
                top_p=host.top_p,
                top_k=host.top_k,
                min_p=host.min_p or 0.0,
                repetition_penalty=host.repetition_penalty,
                max_tokens=host.max_completion_length,
                logprobs=0,  # of the sampled token only
                seed=row_seed(self.seed, "rollout", step, trainer.accelerator.process_index, index),
                detokenize=False,  # TRL decodes by itself
                **host.generation_kwargs,
            )
            for index in range(len(ids))
        ]
        began = time.perf_counter()
        outputs = host.llm.generate([{"prompt_token_ids": i} for i in ids], sampling, use_tqdm=False)
        _log(trainer, {"time/rollout": time.perf_counter() - began})
        completions = [list(output.outputs[0].token_ids) for output in outputs]
        logprobs = [
            [entry[token].logprob for token, entry in zip(tokens, output.outputs[0].logprobs, strict=True)]
            for tokens, output in zip(completions, outputs, strict=True)
        ]
        return {"prompt_ids": ids, "completion_ids": completions, "logprobs": logprobs}


def _log(trainer: Any, metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        trainer._log_metric(
            name, value
        )  # what TRL hands to rewards as `log_metric`; roll-outs are not given it
