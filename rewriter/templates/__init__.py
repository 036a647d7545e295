"""The one template object: data building, SFT, DPO, GRPO, vLLM and the server all ask with it.

A template is a text file in this folder: a few `key: value` lines between two `---` lines, then the system prompt.
The user turn is the user's prompt as it came. A short system prompt is always given, also because chat templates such as
SmolLM2's put a longer default one in front of a conversation that has none.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, Literal, get_args

from rewriter.schema import Rewrite

AnswerForm = Literal["plain", "think_answer"]
Message = dict[str, str]


@dataclass(frozen=True)
class Template:
    """How a user prompt becomes a conversation, and a rewrite the model's answer."""

    name: str
    system: str
    answer: AnswerForm = "plain"

    def messages(self, prompt: str) -> list[Message]:
        """The conversation up to the model's turn."""
        return [{"role": "system", "content": self.system}, {"role": "user", "content": prompt}]

    def prompt_text(self, tokenizer: Any, prompt: str) -> str:
        """The conversation as the tokenizer's chat template writes it, generation prompt included."""
        return tokenizer.apply_chat_template(
            self.messages(prompt), tokenize=False, add_generation_prompt=True
        )

    def prompt_ids(self, tokenizer: Any, prompt: str) -> list[int]:
        """Token ids of the conversation: what every back end is given. No second BOS can creep in: nothing re-tokenises."""
        return encode_chat(tokenizer, self.messages(prompt))

    def completion(self, rewrite: Rewrite) -> str:
        """The answer a model should give for `rewrite`; `parsing.parse` returns the same rewrite from it.

        Raises ValueError where the text cannot be written in this form (several lines, a tag inside).
        """
        from rewriter.parsing import parse

        if self.answer == "plain":
            text = rewrite.prompt
        else:
            text = f"<answer>{rewrite.prompt}</answer>"
            if rewrite.think is not None:
                text = f"<think>{rewrite.think}</think>{text}"
        read_back = parse(text, self.answer)
        if read_back != rewrite:
            raise ValueError(
                f"the rewrite {rewrite.prompt[:80]!r} does not survive the form {self.answer!r} "
                f"(it reads back as {read_back!r}); strip it and remove tags, fences and line breaks"
            )
        return text

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over what the model sees; the name is not part of it."""
        return hashlib.sha256("\x00".join((self.answer, self.system)).encode()).hexdigest()[:16]


def encode_chat(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation, generation prompt included."""
    return list(
        tokenizer.apply_chat_template(
            list(messages), tokenize=True, add_generation_prompt=True, return_dict=False
        )
    )


def template_names() -> list[str]:
    return sorted(p.name.removesuffix(".txt") for p in files(__name__).iterdir() if p.name.endswith(".txt"))


@lru_cache
def load_template(name: str) -> Template:
    """The packaged template called `name`. Raises ValueError naming the known ones."""
    if name not in template_names():
        raise ValueError(f"unknown template {name!r}; known: {', '.join(template_names())}")
    text = (files(__name__) / f"{name}.txt").read_text(encoding="utf-8")
    _, head, system = text.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines() if not line.startswith("#"))
    answer = fields.pop("answer")
    if answer not in get_args(AnswerForm) or fields:
        raise ValueError(
            f"template {name!r}: head must be 'answer: plain' or 'answer: think_answer', got {head!r}"
        )
    return Template(name=name, system=system.strip(), answer=answer)  # type: ignore[arg-type]
