"""Guides (`layout.asking.Guide`) as a logits processor: of the texts that may come next, the tokens with which they are spelled.

A text is cut into tokens as in training, so what a model may write is what it has learned to write, in any tokenizer that cuts numbers and
names apart from the signs between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from layout.asking import Guide, NumberChoice

LARGEST = 1200  # of the numbers that may be one token with the sign behind them


class Spelling:
    """The tokens of texts, each looked up once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        self._numbers: dict[str, np.ndarray | None] = {}

    def of(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        new = [text for text in texts if text not in self._known]
        if new:
            found = self._tokenizer(new, add_special_tokens=False)["input_ids"]
            self._known.update(zip(new, map(tuple, found), strict=True))
        return [self._known[text] for text in texts]

    def numbers(self, sign: str) -> np.ndarray | None:
        """(LARGEST + 1,) the tokens of the numbers with this sign, where each is one token; else None."""
        if sign not in self._numbers:
            spelled = self._tokenizer([f"{n}{sign}" for n in (0, LARGEST)], add_special_tokens=False)[
                "input_ids"
            ]
            single = all(len(tokens) == 1 for tokens in spelled)
            whole = self.of(NumberChoice(((0, LARGEST),), sign).texts()) if single else []
            self._numbers[sign] = np.array(whole)[:, 0] if single and {len(t) for t in whole} == {1} else None
        return self._numbers[sign]


class _Walk:
    """One guide followed token by token."""

    def __init__(self, guide: Guide, spelling: Spelling, end: int) -> None:
        self.guide, self.spelling, self.end = guide, spelling, end
        self._next()

    def _next(self) -> None:
        options = self.guide.options()
        self.number: NumberChoice | None = None
        if isinstance(options, NumberChoice):
            self.tokens_N = self.spelling.numbers(options.sign)
            if self.tokens_N is not None and options.ranges[-1][1] <= LARGEST:
                self.number = options
                return
            options = options.texts()
        self.left = dict(zip(self.spelling.of(options), options, strict=True))
        self.depth = 0

    def bar(self, barred_V: np.ndarray) -> None:
        """Take the bar from what may come next; `barred_V` bars all."""
        if self.number is not None:
            assert self.tokens_N is not None
            for low, high in self.number.ranges:
                barred_V[self.tokens_N[low : high + 1]] = False
        else:
            barred_V[[tokens[self.depth] for tokens in self.left] or [self.end]] = False

    def accept(self, token: int) -> None:
        if self.number is not None:
            assert self.tokens_N is not None
            (value,) = np.flatnonzero(self.tokens_N == token)
            self._take(f"{value}{self.number.sign}")
            return
        if not self.left:  # past the end: padding
            return
        self.left = {tokens: text for tokens, text in self.left.items() if tokens[self.depth] == token}
        assert self.left, f"token {token} was not among the choices"
        self.depth += 1
        whole = next((text for tokens, text in self.left.items() if len(tokens) == self.depth), None)
        if whole is not None:
            self._take(whole)

    def _take(self, text: str) -> None:
        self.guide.take(text)
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
        barred_BV = np.ones(scores.shape, dtype=bool)
        for barred_V, walk in zip(barred_BV, self._walks, strict=True):
            walk.bar(barred_V)
        return scores.masked_fill_(torch.from_numpy(barred_BV).to(scores.device), float("-inf"))
