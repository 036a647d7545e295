"""What every back end shares: the protocol, decoding parameters, seeds, and what an adapter's folder says of itself."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rewriter.templates import Message

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


def is_adapter(folder: str) -> bool:
    return (Path(folder) / "adapter_config.json").is_file()


def adapter_base(folder: str) -> str:
    """The base model a PEFT adapter was trained on, as the adapter's configuration names it."""
    return json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))[
        "base_model_name_or_path"
    ]
