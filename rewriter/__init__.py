"""Text in, better text out: prompt rewriting for text-to-image and text-to-video generators.

Nothing here imports torch, transformers, vLLM or FastAPI before a function needs them; the public names load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewriter.datasets import read_prompts
    from rewriter.dialects import Dialect, load_dialect
    from rewriter.guards import Violation, check
    from rewriter.llm import SamplingParams
    from rewriter.models import resolve_base
    from rewriter.parsing import ParseFailure, parse
    from rewriter.rewriter import Rewriter
    from rewriter.schema import (
        PreferencePair,
        Rewrite,
        RewriterConfig,
        RewriteRequest,
        RewriteResult,
        ScoredRewrite,
    )
    from rewriter.templates import Template, load_template

_EXPORTS = {
    "Rewriter": "rewriter.rewriter",
    "RewriterConfig": "rewriter.schema",
    "Rewrite": "rewriter.schema",
    "RewriteRequest": "rewriter.schema",
    "RewriteResult": "rewriter.schema",
    "ScoredRewrite": "rewriter.schema",
    "PreferencePair": "rewriter.schema",
    "Template": "rewriter.templates",
    "load_template": "rewriter.templates",
    "Dialect": "rewriter.dialects",
    "load_dialect": "rewriter.dialects",
    "ParseFailure": "rewriter.parsing",
    "parse": "rewriter.parsing",
    "Violation": "rewriter.guards",
    "check": "rewriter.guards",
    "SamplingParams": "rewriter.llm",
    "read_prompts": "rewriter.datasets",
    "resolve_base": "rewriter.models",
}

__all__ = [
    "Dialect",
    "ParseFailure",
    "PreferencePair",
    "Rewrite",
    "RewriteRequest",
    "RewriteResult",
    "Rewriter",
    "RewriterConfig",
    "SamplingParams",
    "ScoredRewrite",
    "Template",
    "Violation",
    "check",
    "load_dialect",
    "load_template",
    "parse",
    "read_prompts",
    "resolve_base",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(
            f"module 'rewriter' has no attribute {name!r}; public names: {', '.join(sorted(__all__))}"
        )
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
