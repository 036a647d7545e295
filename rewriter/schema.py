"""The data of the rewriter, as it is on disk and on the wire.

Parsed once at the edge with pydantic; unknown keys are refused, so that a misspelt option is an error and not a default.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Reason = str  # see RewriteResult.reason

CONFIG_NAME = "rewriter.json"
MAX_PROMPT_CHARS = 100_000  # a request above this is refused at the door; between the dialect's limit and this it is passed through


class Strict(BaseModel):
    """Base of everything that crosses the edge: unknown keys are errors, values do not change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rewrite(Strict):
    """What the model said, once parsed: the prompt for the generator and, where the template asks for it, the reasoning."""

    prompt: str
    think: str | None = None


class ScoredRewrite(Strict):
    """One rewrite of one user prompt with its score against the *original* prompt. `value` None: unknown, not zero."""

    row_id: str
    original: str
    rewrite: Rewrite
    value: float | None
    parts: dict[str, float] = Field(default_factory=dict)
    baseline: float | None = None  # the un-rewritten prompt on the same seeds


class PreferencePair(Strict):
    """Two rewrites of the same prompt, the better first; the margin is chosen minus rejected, in the reward's units."""

    row_id: str
    original: str
    chosen: Rewrite
    rejected: Rewrite
    margin: float = Field(gt=0)


class RewriteResult(Strict):
    """One answer of the rewriter. `prompt` is always usable: where anything went wrong it is the original, byte for byte.

    `reason` is None for a rewrite that was used, otherwise one of: "off", "empty", "too_long", "structured",
    "control_tokens" (skip rules, no model call), "refusal", "parse_error:<code>", "validator:<code>", "timeout",
    "upstream_error".
    """

    prompt: str
    original: str
    changed: bool
    fallback_used: bool
    reason: Reason | None = None
    violations: tuple[str, ...] = ()
    think: str | None = None


class RewriteRequest(Strict):
    """Body of `POST /v1/rewrite`."""

    prompt: str | list[str]
    model: str | None = None
    target: str | None = None  # a dialect's name; None: the one the rewriter was trained for
    mode: Literal["auto", "off"] = "auto"
    n: int = Field(default=1, ge=1, le=16)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_words: int | None = Field(default=None, ge=1, le=2000)
    deadline_ms: int = Field(default=20_000, ge=1, le=600_000)
    include_reasoning: bool = False
    on_failure: Literal["original", "error"] = "original"
    metadata: dict[str, Any] | None = None  # returned as it came; never read

    @field_validator("prompt")
    @classmethod
    def _bounded(cls, value: str | list[str]) -> str | list[str]:
        prompts = [value] if isinstance(value, str) else value
        if not 1 <= len(prompts) <= 64:
            raise ValueError(f"send 1 to 64 prompts in one request, got {len(prompts)}")
        longest = max(len(p) for p in prompts)
        if longest > MAX_PROMPT_CHARS:
            raise ValueError(f"a prompt has {longest} characters; the limit is {MAX_PROMPT_CHARS}")
        return value

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class RewriteChoice(Strict):
    """One rewrite in a response; `index` counts prompt-major: prompt i's choices are i*n … i*n+n-1."""

    index: int
    prompt: str
    original_prompt: str
    changed: bool
    fallback_used: bool
    reason: Reason | None = None
    violations: tuple[str, ...] = ()
    reasoning: str | None = None


class Usage(Strict):
    """Tokens the model read and wrote for this request; zeros when the answer came from the cache or a skip rule."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class RewriteResponse(Strict):
    """Body of the answer to `POST /v1/rewrite`."""

    id: str
    created: int  # unix seconds
    model: str
    revision: str
    choices: list[RewriteChoice]
    usage: Usage = Usage()
    latency_ms: float
    cached: bool = False
    metadata: dict[str, Any] | None = None


class RewriterConfig(Strict):
    """`rewriter.json`, which makes a folder of weights a rewriter: what it must be asked with and what it writes for."""

    format: Literal["rewright-rewriter"] = "rewright-rewriter"
    template: str
    dialect: str
    base_model: str
    licence: str = "unknown"  # SPDX identifier of the weights in this folder
    template_fingerprint: str | None = (
        None  # set when saved; a template that changed since is refused on loading
    )
    max_new_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=0.0, ge=0)

    def save(self, folder: str | Path) -> Path:
        """Write `rewriter.json` into `folder`, with the fingerprint of the template as it is now."""
        from rewriter.templates import load_template

        stamped = self.model_copy(update={"template_fingerprint": load_template(self.template).fingerprint})
        path = Path(folder) / CONFIG_NAME
        path.write_text(stamped.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, folder: str | Path) -> "RewriterConfig":
        """Read `rewriter.json` from `folder`. Raises FileNotFoundError or ValueError with the file's name."""
        path = Path(folder) / CONFIG_NAME
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist; a rewriter's folder holds {CONFIG_NAME} beside its weights "
                f'(at least {{"template": …, "dialect": …, "base_model": …}})'
            )
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ValueError(f"{path} is not a valid {CONFIG_NAME}: {error}") from error
