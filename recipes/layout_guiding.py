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

LARGEST = 1200  # of the numbers that may be one token
PROBES = (0, 57, 240, LARGEST)  # numbers of every length, by which it is told how a sign is cut off


class Spelling:
    """The tokens of texts, each looked up once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        self._numbers: dict[str, tuple[np.ndarray, tuple[int, ...]] | None] = {}

    def of(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        new = [text for text in texts if text not in self._known]
        if new:
            found = self._tokenizer(new, add_special_tokens=False)["input_ids"]
            self._known.update(zip(new, map(tuple, found), strict=True))
        return [self._known[text] for text in texts]

    def numbers(self, sign: str) -> tuple[np.ndarray, tuple[int, ...]] | None:
        """(LARGEST + 1,) the first tokens of the numbers with this sign, and the tokens behind them, where these are always the same; else None."""
        if sign not in self._numbers:
            self._numbers[sign] = self._alike(sign)
        return self._numbers[sign]

    def _alike(self, sign: str) -> tuple[np.ndarray, tuple[int, ...]] | None:
        probes = self.of([f"{n}{sign}" for n in PROBES])
        tail = probes[0][1:]
        if any(tokens[1:] != tail for tokens in probes):
            return None
        bare = sign if not tail else ""
        first = self.of(NumberChoice(((0, LARGEST),), bare).texts())
        if any(len(tokens) != 1 for tokens in first) or any(
            first[n][0] != tokens[0] for n, tokens in zip(PROBES, probes, strict=True)
        ):
            return None
        return np.array(first)[:, 0], tail


class _Walk:
    """One guide followed token by token."""

    def __init__(self, guide: Guide, spelling: Spelling, end: int) -> None:
        self.guide, self.spelling, self.end = guide, spelling, end
        self._next()

    def _next(self) -> None:
        options = self.guide.options()
        self.number: NumberChoice | None = None
        if isinstance(options, NumberChoice):
            alike = self.spelling.numbers(options.sign)
            if alike is not None and options.ranges[-1][1] <= LARGEST:
                self.number, (self.tokens_N, self.tail) = options, alike
                return
            options = options.texts()
        self.left = dict(zip(self.spelling.of(options), options, strict=True))
        self.depth = 0

    def bar(self, barred_V: np.ndarray) -> None:
        """Take the bar from what may come next; `barred_V` bars all."""
        if self.number is not None:
            for low, high in self.number.ranges:
                barred_V[self.tokens_N[low : high + 1]] = False
        else:
            barred_V[[tokens[self.depth] for tokens in self.left] or [self.end]] = False

    def accept(self, token: int) -> None:
        if self.number is not None:
            (value,) = np.flatnonzero(self.tokens_N == token)
            text = f"{value}{self.number.sign}"
            if not self.tail:
                self._take(text)
            else:
                self.number, self.left, self.depth = None, {self.tail: text}, 0
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
