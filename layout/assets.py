"""Which 3D model stands for an object. The default is a parametric box; a file of assets, or any callable of the same form, takes its place.

A retriever is asked with the category, the wanted size in cm and, where the caller has one, a text embedding of a description. It answers
with an asset; exporters scale it to the wanted size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from layout.schema import Length, Name, Strict

Size = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Asset:
    """A model: its id in its library and its own size in cm (width along x, depth along y, height; front at −y, as ours)."""

    id: str
    size: Size

    def scale(self, wanted: Size) -> Size:
        """What each of its axes is to be multiplied by."""
        return wanted[0] / self.size[0], wanted[1] / self.size[1], wanted[2] / self.size[2]


class Retriever(Protocol):
    """Finds a model."""

    def __call__(self, category: str, size: Size, embedding: Sequence[float] | None = None) -> Asset: ...


def box(category: str, size: Size, embedding: Sequence[float] | None = None) -> Asset:
    """The parametric default: a cube of one metre named after the category, which takes on any size."""
    return Asset(f"box_{category}", (100.0, 100.0, 100.0))


class AssetRow(Strict):
    """A line of an asset file."""

    id: str
    category: Name
    size: tuple[Length, Length, Length]
    embedding: tuple[float, ...] | None = None


def read_rows(path: str | Path) -> list[AssetRow]:
    """JSON lines of {"id", "category", "size" in cm, "embedding"?}. Raises ValueError with the line that is wrong."""
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(AssetRow.model_validate(json.loads(line)))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{path} line {number}: {where}: {first['msg']}") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} line {number}: no JSON: {error.msg}") from error
    if not rows:
        raise ValueError(f"{path}: no assets in it; give one JSON object a line")
    return rows


class AssetFile:
    """Assets of a library: the nearest in size among those of the category, and in meaning where embeddings are given.

    The distance is the mean |ln| of the three scale factors (0.1 is about 10 % a side) plus `meaning` times 1 − cosine similarity. What the
    library has no category for is asked of `otherwise`.
    """

    def __init__(self, rows: Iterable[AssetRow], *, meaning: float = 1.0, otherwise: Retriever = box) -> None:
        self._rows: dict[str, list[AssetRow]] = {}
        for row in rows:
            self._rows.setdefault(row.category, []).append(row)
        self._meaning, self._otherwise = meaning, otherwise

    @classmethod
    def read(cls, path: str | Path) -> AssetFile:
        """The assets of a file, see `read_rows`."""
        return cls(read_rows(path))

    def __call__(self, category: str, size: Size, embedding: Sequence[float] | None = None) -> Asset:
        candidates = self._rows.get(category)
        if not candidates:
            return self._otherwise(category, size, embedding)
        best = min(candidates, key=lambda row: (self._distance(row, size, embedding), row.id))
        return Asset(best.id, best.size)

    def _distance(self, row: AssetRow, size: Size, embedding: Sequence[float] | None) -> float:
        stretch = sum(abs(math.log(a / b)) for a, b in zip(size, row.size, strict=True)) / 3
        if embedding is None or row.embedding is None:
            return stretch
        return stretch + self._meaning * (1 - _cosine(embedding, row.embedding))


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    if len(a) != len(b):
        raise ValueError(
            f"an embedding of {len(a)} numbers was asked for among assets with {len(b)}; use one text encoder"
        )
    norm = math.sqrt(sum(v * v for v in a) * sum(v * v for v in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / norm if norm else 0.0
