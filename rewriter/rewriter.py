"""The rewriter: skip rules → language model → parser → guards → the original prompt where anything went wrong.

    rewriter = Rewriter.from_pretrained("runs/demo/rewriter")
    rewriter("a pair of crimson discs, nothing else")   # "two red circles"

Model text never raises here. What is returned is always a usable prompt, and `RewriteResult.reason` says why it is the original.
"""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rewriter.dialects import Dialect, load_dialect
from rewriter.guards import check, failed
from rewriter.lexicon import CJK
from rewriter.llm import LLM, LLMError, SamplingParams, TransformersBackend, VLLMBackend
from rewriter.parsing import ROLE_TOKENS, TAG, ParseFailure, parse
from rewriter.schema import CONFIG_NAME, Rewrite, RewriterConfig, RewriteResult
from rewriter.templates import Template, load_template

logger = logging.getLogger(__name__)

_CJK = re.compile(f"[{CJK}]")
Backend = Literal["auto", "vllm", "transformers"]


def skip_reason(prompt: str, dialect: Dialect) -> str | None:
    """Why a prompt goes to the generator as it came, without a model call; None for one to rewrite."""
    stripped = prompt.strip()
    if not stripped:
        return "empty"
    if len(prompt) > dialect.max_prompt_chars or count_words(prompt) > dialect.skip_above_words:
        return "too_long"
    if stripped[0] in "{[" and _is_json(stripped):
        return "structured"
    if ROLE_TOKENS.search(prompt) or TAG.search(prompt):
        return "control_tokens"  # they would end the user's turn inside the chat template
    if "\x00" in prompt or not _is_unicode(prompt):
        return "control_tokens"
    return None


def count_words(text: str) -> int:
    """Words as far as length goes: two Chinese characters count as one, and so do twelve letters of text without spaces."""
    return max(len(text.split()) + len(_CJK.findall(text)) // 2, len(text) // 12)


def judge_completion(original: str, completion: str, template: Template, dialect: Dialect) -> RewriteResult:
    """One completion, parsed and guarded: the rewrite, or the original with the reason."""
    parsed = parse(completion, template.answer)
    if isinstance(parsed, ParseFailure):
        return fall_back(
            original, "refusal" if parsed.reason == "refusal" else f"parse_error:{parsed.reason}"
        )
    violations = check(original, parsed.prompt, dialect)
    codes = tuple(v.code for v in violations)
    if bad := failed(violations):
        return fall_back(original, f"validator:{bad.code}", codes, parsed)
    return RewriteResult(
        prompt=parsed.prompt,
        original=original,
        changed=parsed.prompt != original,
        fallback_used=False,
        violations=codes,
        think=parsed.think,
    )


def fall_back(
    original: str, reason: str, violations: tuple[str, ...] = (), parsed: Rewrite | None = None
) -> RewriteResult:
    """The original prompt, byte for byte, and why."""
    return RewriteResult(
        prompt=original,
        original=original,
        changed=False,
        fallback_used=True,
        reason=reason,
        violations=violations,
        think=parsed.think if parsed else None,
    )


@dataclass
class Rewriter:
    """A language model with the template it was trained with and the dialect it writes."""

    llm: LLM
    template: Template
    dialect: Dialect
    params: SamplingParams = field(default_factory=SamplingParams)
    name: str = "rewriter"
    revision: str = "unknown"  # of weights and template: part of every cache key
    licence: str = "unknown"

    @classmethod
    def from_pretrained(
        cls,
        path: str,
        backend: Backend = "auto",
        *,
        template: str | None = None,
        dialect: str | None = None,
        **options: Any,
    ) -> "Rewriter":
        """Load a folder with `rewriter.json` (an adapter or a merged model), or a base model's name as it is.

        A name without `rewriter.json` needs `dialect` (its template is the default then). `backend` "auto" takes vLLM on a GPU and
        transformers on a CPU, where vLLM needs half a minute to start and is faster only for hundreds of prompts.
        `options` go to the back end. Raises FileNotFoundError or ValueError naming what is missing.
        """
        config = read_config(path, template, dialect)
        adapter_of = config.base_model if (Path(path) / "adapter_config.json").is_file() else None
        llm = make_backend(path, backend, base_model=adapter_of, **options)
        params = SamplingParams(max_tokens=config.max_new_tokens, temperature=config.temperature)
        return cls(
            llm=llm,
            template=load_template(config.template),
            dialect=load_dialect(config.dialect),
            params=params,
            name=Path(path).name,
            revision=revision_of(path, config),
            licence=config.licence,
        )

    def __call__(self, prompt: str) -> str:
        """The rewrite of one prompt, or the prompt itself."""
        return self.rewrite([prompt])[0].prompt

    def rewrite(
        self,
        prompts: Sequence[str],
        n: int = 1,
        *,
        params: SamplingParams | None = None,
        dialect: Dialect | None = None,
    ) -> list[RewriteResult]:
        """n results for each prompt, prompt-major: prompt i's are i*n … i*n+n-1. A bare string is refused: it is a sequence too."""
        if isinstance(prompts, str):
            raise TypeError(
                "rewrite() takes a list of prompts; for one prompt call the rewriter: rewriter('a prompt')"
            )
        dialect = dialect or self.dialect
        results: list[list[RewriteResult] | None] = [None] * len(prompts)
        asked: list[int] = []
        for i, prompt in enumerate(prompts):
            if reason := skip_reason(prompt, dialect):
                results[i] = [fall_back(prompt, reason)] * n
            else:
                asked.append(i)
        if asked:
            answers = self._ask([prompts[i] for i in asked], n, params or self.params)
            for i, completions in zip(asked, answers, strict=True):
                results[i] = (
                    [fall_back(prompts[i], "upstream_error")] * n
                    if completions is None
                    else [judge_completion(prompts[i], text, self.template, dialect) for text in completions]
                )
        return [result for group in results for result in group or ()]

    def _ask(self, prompts: list[str], n: int, params: SamplingParams) -> list[list[str]] | list[None]:
        try:
            return self.llm.generate([self.template.messages(p) for p in prompts], n, params)
        except LLMError:
            logger.exception("the language model did not answer; %d prompts stay as they are", len(prompts))
        except Exception:  # whatever a back end raises, the image must not fail because the rewriter did
            logger.exception(
                "unexpected failure of the language model; %d prompts stay as they are", len(prompts)
            )
        return [None] * len(prompts)


def read_config(path: str, template: str | None = None, dialect: str | None = None) -> RewriterConfig:
    """The configuration of a rewriter's folder; arguments overrule it. Refuses a template that changed since it was trained."""
    from rewriter.models import licence_of

    if (Path(path) / CONFIG_NAME).is_file():
        config = RewriterConfig.load(path)
        stored = config.template_fingerprint
        if template is None and stored and stored != load_template(config.template).fingerprint:
            raise ValueError(
                f"{path} was trained with another text of the template {config.template!r} ({stored}, now "
                f"{load_template(config.template).fingerprint}); use the version it was trained with, or train it again"
            )
        return config.model_copy(
            update={k: v for k, v in (("template", template), ("dialect", dialect)) if v}
        )
    if Path(path).is_dir() and (Path(path) / "adapter_config.json").is_file():
        RewriterConfig.load(path)  # raises: an adapter alone does not say how it was asked
    if dialect is None:
        raise FileNotFoundError(
            f"{path!r} has no {CONFIG_NAME}: give a folder made by `rewright train`, or name a dialect for a base model "
            f"(dialect='shapes', 'flux-dev', …)"
        )
    template = template or load_dialect(dialect).template
    return RewriterConfig(template=template, dialect=dialect, base_model=path, licence=licence_of(path))


def make_backend(
    path: str, backend: Backend = "auto", *, base_model: str | None = None, **options: Any
) -> LLM:
    """The back end by name; see `Rewriter.from_pretrained` for what "auto" means."""
    if backend == "auto":
        from importlib.util import find_spec

        from transformers.utils.import_utils import is_torch_cuda_available

        backend = "vllm" if is_torch_cuda_available() and find_spec("vllm") else "transformers"
    if backend == "vllm":
        return VLLMBackend(path, base_model, **options)
    if backend == "transformers":
        return TransformersBackend(path, base_model, **options)
    raise ValueError(f"unknown backend {backend!r}; known: auto, vllm, transformers")


def revision_of(path: str, config: RewriterConfig) -> str:
    """Short fingerprint of what answers: template, dialect, and the weights' file sizes and times (or the model's name)."""
    import hashlib

    digest = hashlib.sha256(
        f"{load_template(config.template).fingerprint}|{config.dialect}|{config.base_model}".encode()
    )
    folder = Path(path)
    if folder.is_dir():
        for file in sorted(folder.glob("*.safetensors")):
            digest.update(f"{file.name}|{file.stat().st_size}|{file.stat().st_mtime_ns}".encode())
    else:
        digest.update(path.encode())
    return digest.hexdigest()[:12]


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
