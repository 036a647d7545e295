"""FiFA: the few pairs that teach most (Yang et al. 2024, arXiv:2410.10166).

Of N pairs choose K that differ clearly, whose prompts say much, and whose prompts are unlike each other: maximise

    sum over S of [ |margin| + alpha * quality(prompt) ] + gamma * H(prompts of S),

with H the k-nearest-neighbour entropy of the prompts' embeddings: up to constants the sum of log distances to the k-th neighbour.
`select_top` is the paper's approximation, a score per pair with the neighbours taken in the full set. `select_greedy` builds the set up
and takes the neighbours among those chosen, so that of two near-duplicates the second one loses.

The three terms have no common unit: each is brought to mean 0 and deviation 1 over the full set first. We found no values of alpha, gamma
and k stated with the method: the defaults of `FiFA` are ours. The paper lets a language model judge the prompts; `content_words` is a
plain stand-in. Extreme margins can point to broken losers: look at the pairs that are chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from diffusion_core.data import Pair, PairError
from diffusion_core.text_embeddings import hashed_ngrams, unit_rows

Quality = Callable[[Sequence[str]], Sequence[float]]
Embedder = Callable[[Sequence[str]], np.ndarray]

_WORD = re.compile(r"[^\W\d_]{2,}")
_FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "some",
        "any",
        "and",
        "or",
        "but",
        "nor",
        "of",
        "in",
        "on",
        "at",
        "by",
        "for",
        "with",
        "from",
        "to",
        "into",
        "onto",
        "over",
        "under",
        "as",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "it",
        "its",
        "he",
        "she",
        "they",
        "them",
        "his",
        "her",
        "their",
        "there",
        "here",
        "i",
        "you",
        "we",
        "me",
        "my",
        "your",
        "our",
        "do",
        "does",
        "did",
        "can",
        "could",
        "would",
        "should",
        "will",
        "please",
        "so",
        "very",
        "just",
        "than",
        "then",
        "not",
        "no",
    ]
)
CAP = 20  # words; a longer prompt is no better for it


def content_words(prompts: Sequence[str], cap: int = CAP) -> list[float]:
    """A plain measure of how much a prompt says, in [0, 1]: its distinct words without function words (English), `cap` at most."""
    found = [set(_WORD.findall(prompt.casefold())) - _FUNCTION_WORDS for prompt in prompts]
    return [min(len(words), cap) / cap for words in found]


@dataclass(frozen=True)
class FiFA:
    """Weights of the terms, all in standard deviations over the full set.

    alpha: of the text quality. gamma: of the distance to the k-th neighbour. epsilon: added to a distance before its logarithm, so that
    a prompt that occurs twice loses log(1 / epsilon) or so and not everything; embeddings have length 1, distances lie in [0, 2].
    k: other pairs of the same prompt are neighbours too, at distance 0, so that with k = 1 the second pair of a prompt is a duplicate.
    """

    alpha: float = 0.5
    gamma: float = 0.5
    k: int = 1
    epsilon: float = 0.01

    def __post_init__(self) -> None:
        if self.k < 1 or not self.epsilon > 0:
            raise ValueError(f"k={self.k} must be at least 1 and epsilon={self.epsilon:g} positive")


@dataclass(frozen=True, eq=False)
class Terms:
    """What pairs are chosen by, (N,) each, as measured; `embeddings` (U, D) of the distinct prompts, `text` (N,) the prompt's row in it."""

    margin: np.ndarray
    quality: np.ndarray
    embeddings: np.ndarray
    text: np.ndarray

    def __len__(self) -> int:
        return len(self.margin)


def measure(
    pairs: Sequence[Pair], *, quality: Quality = content_words, embed: Embedder = hashed_ngrams
) -> Terms:
    """Margins, text qualities and embeddings of the pairs; a prompt that occurs often is measured once.

    Raises:
        PairError: if there are no pairs, or some have no scores.
        ValueError: if `quality` or `embed` do not answer with one finite value, or vector, a prompt.
    """
    if not pairs:
        raise PairError("no pairs to choose from")
    margins = [pair.margin for pair in pairs]
    unscored = [pair.id for pair, margin in zip(pairs, margins, strict=True) if margin is None]
    if unscored:
        raise PairError(
            f"{len(unscored)} of {len(pairs)} pairs have no scores (the first: {unscored[0]!r}); score them with "
            "`rewright pairs --relabel PAIRS --reward REWARD --output DIR`"
        )
    distinct = {text: row for row, text in enumerate(dict.fromkeys(_plain(pair.prompt) for pair in pairs))}
    text = np.array([distinct[_plain(pair.prompt)] for pair in pairs])
    judged = np.asarray(quality(list(distinct)), float)
    if judged.shape != (len(distinct),) or not np.isfinite(judged).all():
        raise ValueError(
            f"the text quality has shape {judged.shape}; give one finite number for each of {len(distinct)} prompts"
        )
    embeddings = unit_rows(embed(list(distinct)))
    if len(embeddings) != len(distinct):
        raise ValueError(f"{len(embeddings)} embeddings for {len(distinct)} prompts")
    return Terms(np.abs(np.array(margins, float)), judged[text], embeddings, text)


def _plain(prompt: str) -> str:
    """Prompts that differ in case or spaces only are the same."""
    return " ".join(prompt.casefold().split())


def standard(values: np.ndarray) -> np.ndarray:
    """Mean 0, deviation 1; all 0 where nothing varies."""
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 1e-12 else np.zeros_like(values, float)


def neighbour_distances(terms: Terms, k: int, rows: np.ndarray | None = None) -> np.ndarray:
    """Distance of every pair's prompt to the k-th nearest prompt of another pair, (N,), or among `rows` only.

    Raises ValueError unless there are more than k pairs.
    """
    text = terms.text if rows is None else terms.text[rows]
    if len(text) <= k:
        raise ValueError(f"k={k} neighbours of each of {len(text)} pairs; take a lower k, or more pairs")
    present, where, counts = np.unique(text, return_inverse=True, return_counts=True)
    vectors = terms.embeddings[present]
    distances = np.zeros(len(present))
    for start in range(0, len(present), 1024):
        block = vectors[start : start + 1024]
        squared = np.clip(2 - 2 * (block @ vectors.T), 0, None)
        squared[np.arange(len(block)), start + np.arange(len(block))] = (
            0  # a prompt's distance to its own copies
        )
        # k + 1 prompts are enough: each stands for one pair or more, one of which is the pair itself.
        nearest = np.argpartition(squared, min(k, len(present) - 1), axis=1)[:, : k + 1]
        order = np.take_along_axis(squared, nearest, axis=1).argsort(axis=1)
        nearest = np.take_along_axis(nearest, order, axis=1)
        reached = np.cumsum(counts[nearest], axis=1) - 1 >= k
        kth = nearest[np.arange(len(block)), reached.argmax(axis=1)]
        distances[start : start + 1024] = np.sqrt(squared[np.arange(len(block)), kth])
    return distances[where]


def importance(terms: Terms, fifa: FiFA) -> np.ndarray:
    """The paper's score per pair, (N,): z(|margin|) + alpha z(quality) + gamma z(log distance to the k-th neighbour in the full set)."""
    logs = np.log(neighbour_distances(terms, fifa.k) + fifa.epsilon)
    return standard(terms.margin) + fifa.alpha * standard(terms.quality) + fifa.gamma * standard(logs)


def select_top(terms: Terms, count: int, fifa: FiFA) -> np.ndarray:
    """Positions of the `count` most important pairs, best first. The first of equals wins."""
    _check_count(count, len(terms))
    return np.argsort(-importance(terms, fifa), kind="stable")[:count]


def select_greedy(terms: Terms, count: int, fifa: FiFA, *, shortlist: int | None = None) -> np.ndarray:
    """Positions of `count` pairs, each chosen to raise the set's objective most, the entropy being that of the chosen set.

    While fewer than k are chosen the farthest of them takes the k-th neighbour's place. `shortlist` limits the candidates to the
    most important (None: 10 times `count`): time grows with shortlist * count squared.

    Source: the set objective of arXiv:2410.10166; the greedy rule is ours.
    """
    _check_count(count, len(terms))
    size = min(len(terms), max(count, 10 * count if shortlist is None else shortlist))
    pool = np.sort(np.argsort(-importance(terms, fifa), kind="stable")[:size])
    logs = np.log(neighbour_distances(terms, fifa.k) + fifa.epsilon)
    # Where every prompt has copies all full-set distances are 0 and give no unit: then it is the nat.
    scale = fifa.gamma / (logs.std() if logs.std() > 1e-12 else 1.0)
    own = (standard(terms.margin) + fifa.alpha * standard(terms.quality))[pool]
    vectors, text = terms.embeddings[terms.text[pool]], terms.text[pool]
    to_chosen = np.zeros(
        (size, count), np.float32
    )  # distances of the pool to the chosen, in the order of choice
    chosen: list[int] = []
    for step in range(count):
        gains = own + scale * _entropy_gains(to_chosen[:, :step], chosen, fifa)
        gains[chosen] = -np.inf
        best = int(gains.argmax())
        squared = np.where(text == text[best], 0, np.clip(2 - 2 * (vectors @ vectors[best]), 0, None))
        to_chosen[:, step] = np.sqrt(squared)
        chosen.append(best)
    return pool[chosen]


def _entropy_gains(to_chosen: np.ndarray, chosen: list[int], fifa: FiFA) -> np.ndarray:
    """By how much the sum of log distances grows with each candidate: its own distance, and what the chosen ones lose by it. (P,)"""
    size, step = to_chosen.shape
    if step == 0:
        return np.zeros(size)
    k = min(fifa.k, step)
    own = np.partition(to_chosen, k - 1, axis=1)[:, k - 1]
    gains = np.log(own + fifa.epsilon)
    if step == 1:  # the first one had no neighbour: it gets the same distance as the second
        return 2 * gains
    among = to_chosen[chosen].copy()  # (step, step)
    np.fill_diagonal(among, np.inf)
    ranked = np.sort(among, axis=1)
    before = ranked[:, min(fifa.k, step - 1) - 1]
    if step - 1 < fifa.k:  # one neighbour more is counted: the farthest of all
        after = np.maximum(to_chosen, before)
    else:
        nearer = ranked[:, k - 2] if k > 1 else np.zeros(step)
        after = np.clip(to_chosen, nearer, before)
    return gains + (np.log(after + fifa.epsilon) - np.log(before + fifa.epsilon)).sum(axis=1)


def _check_count(count: int, pairs: int) -> None:
    if not 1 <= count <= pairs:
        raise ValueError(f"{count} pairs of {pairs}; choose from 1 to all of them")


def summary(terms: Terms, chosen: np.ndarray, fifa: FiFA) -> dict[str, float | None]:
    """What a choice is like: mean margin, mean quality, kNN entropy within the choice (mean log distance to the k-th neighbour; None for
    k pairs or fewer), and the share of pairs whose prompt has occurred before."""
    entropy = None
    if len(chosen) > fifa.k:
        entropy = float(np.log(neighbour_distances(terms, fifa.k, chosen) + fifa.epsilon).mean())
    return {
        "margin": float(terms.margin[chosen].mean()),
        "quality": float(terms.quality[chosen].mean()),
        "entropy": entropy,
        "duplicates": 1 - len(np.unique(terms.text[chosen])) / len(chosen),
    }
