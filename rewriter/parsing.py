"""Completion → Rewrite or ParseFailure. Total: never raises on model text, never guesses, linear in the text's length.

The same function reads SFT data, roll-outs, evaluation and the server's answers; the one fallback is the original prompt and
is taken by the caller. Two forms:

- plain: the completion is the rewrite, one line.
- think_answer: `<think>…</think>` (optional), then `<answer>…</answer>`; where several answers stand after the reasoning, the
  last counts (a model may quote the form first), and nothing may follow it.

What is undone, because it changes nothing that was said: white space around, one code fence around the whole, one pair of
quotation marks around the whole. Everything else that is not a prompt is a failure with a code.
"""

import re
from dataclasses import dataclass
from typing import Literal

from rewriter.schema import Rewrite

MAX_CHARS = 20_000

FAILURES = {
    "not_text": "not a string of valid Unicode",
    "empty": "nothing but white space",
    "too_long": f"more than {MAX_CHARS} characters",
    "role_tokens": "a chat template's control token in the answer",
    "stray_tag": "a <think> or <answer> tag where none may be",
    "unclosed_think": "<think> without </think>",
    "no_answer": "no <answer> after the reasoning",
    "unclosed_answer": "<answer> without </answer>: most likely cut by the token limit",
    "trailing_text": "text after the last </answer>",
    "code_fence": "a code fence that does not enclose the whole answer",
    "multiline": "several lines where one is asked for",
    "preamble": "an announcement such as 'Here is the prompt:' instead of the prompt",
    "refusal": "the model declined or talked about itself",
}


@dataclass(frozen=True)
class ParseFailure:
    """Why a completion is not a rewrite: one of the codes in FAILURES."""

    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: {FAILURES[self.reason]}"


ROLE_TOKENS = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|<\|(?:im_start|im_end|endoftext)|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<\uff5c",
    re.IGNORECASE,
)
TAG = re.compile(r"<\s*/?\s*(?:think|answer)\b", re.IGNORECASE)
_REFUSAL = re.compile(
    r"^\W*(?:(?:i['’]?m|i am|we['’]?re|we are)\s+(?:very\s+|so\s+|really\s+|truly\s+)?(?:sorry|afraid|unable|not able)\b"
    r"|(?:sorry|apologies)\s*[,.!;:–—-]|(?:my|our) (?:sincere )?apologies\b"
    r"|i (?:apologi[sz]e|can(?:['’]?t|not)|could(?:n['’]t| not)|won['’]?t|will not|do(?:n['’]t| not) (?:have|feel|think|understand)|must decline|regret)\b"
    r"|as an? (?:ai|artificial|language model|assistant|large)\b|unfortunately,? (?:i|we)\b"
    r"|es tut mir leid|je suis désolée?\b|lo siento\b|对不起|抱歉|很抱歉|我(?:无法|不能|不可以)|作为(?:一个)?(?:ai|人工智能|语言模型))",
    re.IGNORECASE,
)
_SELF = re.compile(r"\bas an ai(?: language)? (?:model|assistant)\b", re.IGNORECASE)
_PREAMBLE = re.compile(
    r"^\W*(?:sure|certainly|of course|absolutely|okay|ok)\s*[,!.:]"
    r"|^\W*here(?:['’]s| is| are| you go)\b[^:\n]{0,80}(?:prompt|version|rewrite|caption|description|rewritten|revised)[^:\n]{0,40}:"
    r"|^\W*(?:the |your |my )?(?:(?:re-?written|revised|improved|enhanced|new|final|updated|optimi[sz]ed) )+(?:image |video )?(?:prompt|caption|version|description)\b[^:\n]{0,40}:"
    r"|^\W*(?:prompt|rewrite|rewritten|answer|output|caption|assistant|system|user)\s*:",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^```[a-z]{0,12}[ \t]*\n?([^`]*?)\n?[ \t]*```$", re.IGNORECASE)
_QUOTES = {'"': '"', "“": "”", "«": "»", "「": "」", "『": "』", "„": "“"}


def parse(text: object, answer: Literal["plain", "think_answer"] = "plain") -> Rewrite | ParseFailure:
    """Read one completion in the form `answer`. Any input is accepted; see the module's docstring."""
    if not isinstance(text, str) or not encodable(text):
        return ParseFailure("not_text")
    if len(text) > MAX_CHARS:
        return ParseFailure("too_long")
    text = text.strip()
    if not text:
        return ParseFailure("empty")
    if ROLE_TOKENS.search(text):
        return ParseFailure("role_tokens")
    if answer == "think_answer":
        return _think_answer(text)
    prompt = _prompt(text)
    return prompt if isinstance(prompt, ParseFailure) else Rewrite(prompt=prompt)


def _think_answer(text: str) -> Rewrite | ParseFailure:
    think: str | None = None
    if text.startswith("<think>"):
        inside, closed, rest = text.removeprefix("<think>").partition("</think>")
        if not closed:
            return ParseFailure("unclosed_think")
        if TAG.search(
            inside.replace("<answer>", "").replace("</answer>", "")
        ):  # reasoning may quote the answer's form
            return ParseFailure("stray_tag")
        think, text = inside.strip(), rest
    start = text.rfind("<answer>")
    if start < 0:
        if _is_refusal(text):
            return ParseFailure("refusal")
        return ParseFailure("stray_tag" if TAG.search(text) else "no_answer")
    inside, closed, rest = text[start + len("<answer>") :].partition("</answer>")
    if not closed:
        return ParseFailure("unclosed_answer")
    if rest.strip():
        return ParseFailure("trailing_text")
    before = text[:start]
    if before.count("<answer>") != before.count(
        "</answer>"
    ):  # <answer> a <answer> b </answer>: which one is meant?
        return ParseFailure("stray_tag")
    if TAG.search(before.replace("<answer>", "").replace("</answer>", "")):
        return ParseFailure("stray_tag")
    prompt = _prompt(inside.strip())
    return prompt if isinstance(prompt, ParseFailure) else Rewrite(prompt=prompt, think=think)


def _prompt(text: str) -> str | ParseFailure:
    """The rewrite itself: one line of prompt, unwrapped."""
    if TAG.search(text):
        return ParseFailure("stray_tag")
    if "```" in text:
        fenced = _FENCE.match(text)
        if not fenced:
            return ParseFailure("code_fence")
        text = fenced[1].strip()
    text = _unquote(text)
    if not text:
        return ParseFailure("empty")
    if _is_refusal(text):
        return ParseFailure("refusal")
    if _PREAMBLE.match(text):
        return ParseFailure("preamble")
    if len(text.splitlines()) > 1:
        return ParseFailure("multiline")
    return text


def _is_refusal(text: str) -> bool:
    """At the start of the text, where most can be told; "as an AI model" anywhere."""
    return bool(_REFUSAL.match(text) or (" an a" in text.lower() and _SELF.search(text)))


def _unquote(text: str) -> str:
    """Without one pair of quotation marks around the whole; marks inside leave the text as it is."""
    if len(text) >= 2 and _QUOTES.get(text[0]) == text[-1]:
        inside = text[1:-1]
        # a prompt that is one quoted word is a text to draw; a wrapped sentence has several words
        if text[0] not in inside and text[-1] not in inside and len(inside.split()) > 1:
            return inside.strip()
    return text


def encodable(text: str) -> bool:
    """Lone surrogates and NUL cannot be written to JSON, SQLite or a tokenizer."""
    if "\x00" in text:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
