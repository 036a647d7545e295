"""transformers in this process: batches, exact sampling per row, adapters merged on loading."""

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


@dataclass
class TransformersBackend:
    """`transformers` generation in batches, padded left.

    `model` is a folder or hub id of a causal LM, or of a PEFT adapter (its base is then loaded and the adapter put on it).
    Sampling adds Gumbel noise from one numpy generator per row, so that a row's text does not depend on its neighbours and
    torch's global random state is left alone.
    """

    model: str
    base_model: str | None = None  # only for an adapter; None: the one the adapter names
    batch_size: int = 32
    device: str | None = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.name = Path(self.model).name
        self._net, self.tokenizer = load_for_inference(self.model, self.base_model, self.device)

    def generate(
        self, messages: Conversations, n: int = 1, params: SamplingParams = GREEDY
    ) -> list[list[str]]:
        ids = [encode_chat(self.tokenizer, m) for m in messages]
        rows = [(i, k) for i in range(len(ids)) for k in range(n)]
        # Neighbours of equal length waste no padding; the order changes no row's text.
        rows.sort(key=lambda row: len(ids[row[0]]))
        texts: dict[tuple[int, int], str] = {}
        for start in range(0, len(rows), self.batch_size):
            chunk = rows[start : start + self.batch_size]
            seeds = None if params.seed is None else [row_seed(params.seed, *ids[i], k) for i, k in chunk]
            try:
                decoded = self._batch([ids[i] for i, _ in chunk], seeds, params)
            except (RuntimeError, MemoryError) as error:
                raise LLMError(f"{self.name}: generation of {len(chunk)} rows failed: {error}") from error
            texts.update(zip(chunk, decoded, strict=True))
        return [[texts[i, k] for k in range(n)] for i in range(len(ids))]

    def _batch(self, ids: list[list[int]], seeds: list[int] | None, params: SamplingParams) -> list[str]:
        from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

        batch = self.tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt").to(
            self._net.device
        )
        warpers: list[Any] = []
        if params.temperature > 0:
            warpers = [
                TemperatureLogitsWarper(params.temperature),
                TopPLogitsWarper(params.top_p),
                _GumbelNoise(seeds, len(ids)),
            ]
        out = self._net.generate(
            **batch,
            do_sample=False,  # greedy over noisy scores is sampling
            max_new_tokens=params.max_tokens,
            logits_processor=LogitsProcessorList(warpers),
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=self.tokenizer.eos_token_id,
        )[:, batch["input_ids"].shape[1] :]
        self.tally.prompt_tokens += int(batch["attention_mask"].sum())
        self.tally.completion_tokens += int((out != self.tokenizer.pad_token_id).sum())
        return [self.tokenizer.decode(_until(row, self.tokenizer.eos_token_id)) for row in out.tolist()]


class _GumbelNoise:
    """Logits processor: argmax(scores + Gumbel noise) is a sample of softmax(scores)."""

    def __init__(self, seeds: list[int] | None, rows: int):
        import numpy as np

        self.generators = [np.random.default_rng(None if seeds is None else seeds[i]) for i in range(rows)]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import numpy as np

        noise = np.stack([g.gumbel(size=scores.shape[-1]) for g in self.generators])
        return scores + scores.new_tensor(noise.astype(np.float32))


def _until(ids: list[int], end: int) -> list[int]:
    """Control tokens other than the end stay visible: the parser must see them."""
    return ids[: ids.index(end)] if end in ids else ids


def load_for_inference(
    model: str, base_model: str | None = None, device: str | None = None
) -> tuple[Any, Any]:
    """(model, tokenizer) of a folder or hub id; a PEFT adapter's folder comes with its base. Float32 on CPU."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.import_utils import is_torch_cuda_available

    from rewriter.models import resolve_base

    device = device or ("cuda" if is_torch_cuda_available() else "cpu")
    dtype = "float32" if device == "cpu" else "auto"  # bfloat16 is 4-5 times slower on CPUs without AVX-512
    weights = resolve_base(model)
    if is_adapter(model):
        from peft import PeftModel

        weights = resolve_base(base_model or adapter_base(model))
        net: Any = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(weights, dtype=dtype), model
        ).merge_and_unload()
    else:
        net = AutoModelForCausalLM.from_pretrained(weights, dtype=dtype)
    source = model if (Path(model) / "tokenizer_config.json").is_file() else weights
    tokenizer = AutoTokenizer.from_pretrained(source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return net.to(device).eval(), tokenizer
