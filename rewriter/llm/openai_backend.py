"""Any OpenAI-compatible server over HTTP."""

from dataclasses import dataclass, field
from typing import Any

from rewriter.llm.base import GREEDY, Conversations, LLMError, SamplingParams, Tally
from rewriter.templates import Message


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
