"""Completion → text for the generator, or a POLICY_FAIL that spares the generator.

The order is copied? → parse → guards. A copied prompt is no failure, even one that the parser refuses ("Sorry, I meant a blue
star"): it is conditioned on the original text itself, so it earns exactly what the un-rewritten prompt earns, and shares its
cached images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.cases import Case, Target
from rewards.keys import canonical_text

COPY = "copy"  # the guards' code for a rewrite that is its original, or differs by less than 5 %


@dataclass
class Screen:
    """`parse(text, answer)` and `check(original, rewrite, dialect)` are the rewriter's own unless given.

    `dialect` is a profile, the name of one, or None for no guards.
    """

    answer: str = "plain"
    dialect: Any = None
    parse: Callable[..., Any] | None = None
    check: Callable[..., Sequence[Any]] | None = None

    def __post_init__(self) -> None:
        if self.parse is None:
            from rewriter.parsing import parse

            self.parse = parse
        if self.check is None:
            from rewriter.guards import check

            self.check = check
        if isinstance(self.dialect, str):
            from rewriter.dialects import load_dialect

            self.dialect = load_dialect(self.dialect)

    def __call__(
        self, targets: Sequence[Target], completions: Sequence[Any], groups: Sequence[str]
    ) -> list[Case]:
        """One case per completion; identical (prompt, text) pairs are screened once."""
        seen: dict[tuple[str, str], Case] = {}
        cases = []
        for target, completion, group in zip(targets, completions, groups, strict=True):
            text = completion_text(completion)
            known = seen.get((target.prompt, text))
            if known is None:
                known = seen[target.prompt, text] = self._screen(target, text, group)
            cases.append(
                Case(
                    target,
                    group,
                    known.conditioning,
                    known.rewrite,
                    known.reason,
                    known.copied,
                    known.violations,
                )
            )
        return cases

    def _screen(self, target: Target, text: str, group: str) -> Case:
        assert self.parse is not None and self.check is not None  # noqa: PT018 - set in __post_init__
        if _same_words(target.prompt, _answer(text, self.answer)):
            codes = () if self.dialect is None else (COPY,)
            original = canonical_text(target.prompt)
            return Case(target, group, original, text, copied=True, violations=codes)
        parsed = self.parse(text, self.answer)
        rewrite = getattr(parsed, "prompt", None)
        if rewrite is None:
            return Case(target, group, None, reason=f"parse_{parsed.reason}")
        if not rewrite.strip():
            return Case(target, group, None, reason="parse_empty")
        violations = self.check(target.prompt, rewrite, self.dialect) if self.dialect is not None else ()
        codes = tuple(violation.code for violation in violations)
        if COPY in codes or _same_words(target.prompt, rewrite):
            original = canonical_text(target.prompt)
            return Case(target, group, original, rewrite, copied=True, violations=codes)
        failed = next((v.code for v in violations if v.severity == "fail"), None)
        if failed is not None:
            return Case(target, group, None, rewrite, reason=f"guard_{failed}", violations=codes)
        return Case(target, group, canonical_text(rewrite), rewrite, violations=codes)


def unscreened(targets: Sequence[Target], texts: Sequence[str], groups: Sequence[str]) -> list[Case]:
    """Texts that go to the generator as they are (arms of an evaluation); only an empty one fails."""
    cases = []
    for target, text, group in zip(targets, texts, groups, strict=True):
        held = canonical_text(text) if text.strip() else None
        reason = "" if held is not None else "parse_empty"
        cases.append(Case(target, group, held, text, reason, copied=held == canonical_text(target.prompt)))
    return cases


def completion_text(completion: Any) -> str:
    """The last assistant text of a conversational completion, or the plain string."""
    if isinstance(completion, str):
        return completion
    for message in reversed(completion):
        if message.get("role", "assistant") == "assistant":
            content = message.get("content")
            if isinstance(content, str):
                return content
            blocks = content or ()
            return "".join(block.get("text") or "" for block in blocks if block.get("type") == "text")
    return ""


def _answer(text: str, form: str) -> str:
    """The part of a completion that would be the rewrite, unparsed; empty where an answer's tags are missing."""
    if form != "think_answer":
        return text
    return (
        text.rpartition("<answer>")[2].partition("</answer>")[0]
        if text.rstrip().endswith("</answer>")
        else ""
    )


def _same_words(left: str, right: str) -> bool:
    """Whether two texts differ in case and white space only; two empty ones are no copy."""
    words = left.casefold().split()
    return bool(words) and words == right.casefold().split()
