"""Texts as unit vectors, for telling how alike prompts are: by their letters without any model, or by a model of yours."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

_WORD = re.compile(r"\w+")
_SIGN = 1 << 31
DIMENSIONS = 1024


def hashed_ngrams(texts: Sequence[str], *, dimensions: int = DIMENSIONS) -> np.ndarray:
    """TF-IDF of words, word pairs and letters (3 to 5 within a word), hashed: float32 (N, dimensions), rows of length 1.

    Needs no download and no vocabulary. It sees shared words and word parts and not meaning: "disc" and "circle" are strangers.
    """
    counts = [Counter(_ngrams(text)) for text in texts]
    documents = Counter(gram for count in counts for gram in count)
    vectors = np.zeros((len(texts), dimensions), np.float32)
    places: dict[str, tuple[int, float]] = {}  # column, and the inverse document frequency with a random sign
    for gram, found_in in documents.items():
        code = crc32(gram.encode())
        rarity = 1 + math.log((1 + len(texts)) / (1 + found_in))
        # The sign keeps what collides from adding up.
        places[gram] = (code % dimensions, rarity if code & _SIGN else -rarity)
    for row, count in zip(vectors, counts, strict=True):
        for gram, times in count.items():
            column, weight = places[gram]
            row[column] += weight * (1 + math.log(times))
    return unit_rows(vectors)


def _ngrams(text: str) -> Iterator[str]:
    words = _WORD.findall(text.casefold())
    yield from words
    yield from (f"{a} {b}" for a, b in itertools.pairwise(words))
    for word in words:
        padded = f"<{word}>"
        for size in (3, 4, 5):
            yield from (padded[i : i + size] for i in range(len(padded) - size + 1))


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1 as float32; a row of zeros stays. Raises ValueError for anything but finite (N, D)."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        what = f"shape {vectors.shape}" if vectors.ndim != 2 else "values that are not finite"
        raise ValueError(f"embeddings have {what}; give one finite vector a text, (N, D)")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)


def from_model(folder: str | Path, texts: Sequence[str], *, batch_size: int = 64) -> np.ndarray:
    """Embeddings by a transformers text model or CLIP (a folder or a hub id): (N, D), rows of length 1.

    CLIP's projected text features, as FiFA uses; any other model's mean over its tokens.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(str(folder)).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            batch = tokenizer(
                list(texts[start : start + batch_size]), padding=True, truncation=True, return_tensors="pt"
            )
            if hasattr(model, "get_text_features"):
                features = model.get_text_features(**batch)
                vectors_BD = getattr(features, "pooler_output", features)
            else:
                states_BLD = model(**batch).last_hidden_state
                mask_BL1 = batch["attention_mask"][..., None].to(states_BLD.dtype)
                vectors_BD = (states_BLD * mask_BL1).sum(1) / mask_BL1.sum(1)
            found.append(vectors_BD.float().numpy())
    return unit_rows(np.concatenate(found))
