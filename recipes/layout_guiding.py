"""Guides (`layout.asking.Guide`) as a logits processor: of the texts that may come next, the tokens with which they are spelled.

A text is cut into tokens as in training, so what a model may write is what it has learned to write, in any tokenizer that cuts numbers and
names apart from the signs between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from layout.asking import Guide


class Spelling:
    """The tokens of texts, each looked up once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}

    def of(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        new = [text for text in texts if text not in self._known]
        if new:
            found = self._tokenizer(new, add_special_tokens=False)["input_ids"]
            self._known.update(zip(new, map(tuple, found), strict=True))
        return [self._known[text] for text in texts]


class _Walk:
    """One guide followed token by token."""

    def __init__(self, guide: Guide, spelling: Spelling, end: int) -> None:
        self.guide, self.spelling, self.end = guide, spelling, end
        self._next()

    def _next(self) -> None:
        texts = self.guide.options()
        self.left = dict(zip(self.spelling.of(texts), texts, strict=True))
        self.depth = 0

    @property
    def allowed(self) -> list[int]:
        return list({tokens[self.depth] for tokens in self.left}) or [self.end]

    def accept(self, token: int) -> None:
        if not self.left:  # past the end: padding
            return
        self.left = {tokens: text for tokens, text in self.left.items() if tokens[self.depth] == token}
        assert self.left, f"token {token} was not among the choices"
        self.depth += 1
        whole = next((text for tokens, text in self.left.items() if len(tokens) == self.depth), None)
        if whole is not None:
            self.guide.take(whole)
            self._next()


class GuideMask:
    """A logits processor for one call of `generate`: row i may only go on as guide i says."""

    def __init__(self, guides: Sequence[Guide], spelling: Spelling, end: int) -> None:
        self._walks = [_Walk(guide, spelling, end) for guide in guides]
        self._begun = False

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._begun:
            for walk, token in zip(self._walks, input_ids[:, -1].tolist(), strict=True):
                walk.accept(token)
        self._begun = True
        held = scores.new_full(scores.shape, float("-inf"))
        for i, walk in enumerate(self._walks):
            held[i, walk.allowed] = scores[i, walk.allowed]
        return held
