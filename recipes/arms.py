"""The arms of an evaluation: ways to turn a user's prompt into the text that the generator is given.

original, template, zero_shot and rules are what a trained rewriter must beat; oracle is the canonical caption of what was asked for,
the most that any rewriting can reach.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from recipes.evaluation_sets import Prompt

if TYPE_CHECKING:
    from rewriter.schema import RewriteResult

Backend = Literal["auto", "vllm", "transformers"]

ABOUT = {
    "original": "the user's prompt as it is",
    "template": "a fixed wrapper around the prompt",
    "zero_shot": "the base language model, asked in words",
    "rules": "a parser written by hand",
    "sft": "fine-tuned on simulated prompts and captions",
    "sft_continued": "fine-tuned further, for as long as GRPO took",
    "grpo": "fine-tuned, then trained by reward",
    "rewriter": "the trained rewriter",
    "oracle": "the canonical caption of what was asked for",
}
_AT_ONCE = 64  # prompts per call of a model: two batches of its back end
FIXED = ("original", "template", "zero_shot", "rules", "oracle")
GENERAL_TEMPLATE = (
    "{prompt}, high quality, highly detailed, sharp focus"  # what prompt guides tell people to append
)


@dataclass(frozen=True, slots=True)
class Text:
    """One arm's answer to one prompt. `text` is what is drawn: the prompt itself where the answer could not be used."""

    text: str
    changed: bool
    fallback: bool = False
    reason: str | None = None
    violations: tuple[str, ...] = ()


class Arm(Protocol):
    """`key` identifies what the arm would answer: equal keys and prompts, equal texts."""

    name: str
    key: str

    def texts(self, prompts: Sequence[Prompt]) -> list[Text]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class PlainArm:
    """An arm without a model. Its texts go to the generator as they are; what the guards say of them is only counted."""

    name: str
    write: Callable[[Prompt], str]
    dialect: Any
    key: str = "plain"  # never read: these arms are cheap and always asked again

    def close(self) -> None:
        """Nothing is held."""

    def texts(self, prompts: Sequence[Prompt]) -> list[Text]:
        from rewriter.guards import check

        found = []
        for prompt in prompts:
            text = self.write(prompt)
            codes = (
                ()
                if text == prompt.prompt
                else tuple(v.code for v in check(prompt.prompt, text, self.dialect))
            )
            found.append(Text(text, text != prompt.prompt, violations=codes))
        return found


@dataclass
class RewriterArm:
    """A language model behind the same parser, guards and fallback as in serving. Loaded when first asked, until closed."""

    name: str
    key: str
    load: Callable[[], Any]
    held: Any = None

    def close(self) -> None:
        self.held = None

    def texts(self, prompts: Sequence[Prompt]) -> list[Text]:
        from recipes.terminal import batches, progress
        from rewriter.llm import LLMError

        if self.held is None:
            self.held = self.load()
        results: list[RewriteResult] = []
        with progress(f"rewrites ({self.name})", len(prompts)) as ticker:
            for part in batches(prompts, _AT_ONCE):
                results += self.held.rewrite([prompt.prompt for prompt in part])
                ticker.advance(len(part))
        silent = sum(result.reason == "upstream_error" for result in results)
        if silent:  # a server may fall back then, a measurement may not
            raise LLMError(
                f"arm {self.name}: the model did not answer for {silent} of {len(results)} prompts; its error is above"
            )
        return [Text(r.prompt, r.changed, r.fallback_used, r.reason, tuple(r.violations)) for r in results]


def rewriter_arm(name: str, folder: Path, backend: Backend) -> RewriterArm:
    """A trained rewriter from its folder."""
    from rewriter.schema import RewriterConfig

    RewriterConfig.load(folder)  # a wrong folder fails now and not after an hour of other arms

    def load() -> Any:
        from rewriter import Rewriter

        return Rewriter.from_pretrained(str(folder), backend=backend)

    return RewriterArm(name, f"{folder_hash(folder)}-{_code_hash()}", load)


def zero_shot_arm(base: str, template: str, dialect: str, backend: Backend) -> RewriterArm:
    """The base model, untrained, told in words what the generator likes."""
    from rewriter.templates import load_template

    def load() -> Any:
        from rewriter import Rewriter

        return Rewriter.from_pretrained(base, backend=backend, template=template, dialect=dialect)

    return RewriterArm(
        "zero_shot", f"{base}-{dialect}-{load_template(template).fingerprint}-{_code_hash()}", load
    )


def plain_arm(name: str, dialect_name: str) -> PlainArm:
    """One of original, template, rules and oracle."""
    from rewriter.dialects import load_dialect

    dialect = load_dialect(dialect_name)
    if name == "original":
        return PlainArm(name, lambda prompt: prompt.prompt, dialect)
    if name == "template":
        from recipes.baselines import TEMPLATE

        wrapper = TEMPLATE if dialect_name == "shapes" else GENERAL_TEMPLATE
        return PlainArm(name, lambda prompt: wrapper.format(prompt=prompt.prompt), dialect)
    if name == "rules":
        from recipes.baselines import rules_rewrite

        return PlainArm(name, lambda prompt: rules_rewrite(prompt.prompt), dialect)
    if name == "oracle":
        return PlainArm(name, _oracle, dialect)
    raise ValueError(
        f"unknown arm {name!r}; known: {', '.join(FIXED)}, and trained ones by --adapter NAME=FOLDER"
    )


def _oracle(prompt: Prompt) -> str:
    from diffusion_core.worlds.shapes import SceneSpec, caption

    if prompt.spec is None:
        raise ValueError(f"the oracle needs a spec, and {prompt.prompt[:60]!r} has none")
    return caption(SceneSpec.model_validate(prompt.spec))


def folder_hash(folder: Path) -> str:
    """sha256 over the names and bytes of a folder's files, training state left out."""
    digest = hashlib.sha256()
    for path in sorted(
        p for p in folder.iterdir() if p.is_file() and p.suffix in (".json", ".safetensors", ".txt", ".jinja")
    ):
        digest.update(json.dumps([path.name, path.stat().st_size]).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _code_hash() -> str:
    """What stands between a model's words and the text that is drawn: parser, guards, dialects."""
    import rewriter

    root = Path(rewriter.__file__).parent
    digest = hashlib.sha256()
    for path in sorted([root / "parsing.py", *root.glob("guards/*.py"), *root.glob("dialects/*.yaml")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
