"""How a set of rooms is spread: categories against a reference, and how much rooms differ from each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from layout.schema import Scene

FLOOR = 1e-6  # added to frequencies, as in LayoutGPT's evaluation
CELL = 10.0  # cm


def category_kl(scenes: Sequence[Scene], reference: Sequence[Scene]) -> float:
    """Σ p·(ln(p + 1e-6) − ln(q + 1e-6)) over label frequencies; p is the reference, q the rooms (LayoutGPT's definition)."""
    p, q = _frequencies(reference), _frequencies(scenes)
    return sum(v * (math.log(v + FLOOR) - math.log(q.get(name, 0.0) + FLOOR)) for name, v in p.items())


def _frequencies(scenes: Sequence[Scene]) -> dict[str, float]:
    counts = Counter(o.category for s in scenes for o in s.objects)
    total = sum(counts.values())
    if total == 0:
        raise ValueError("the rooms have no objects, so categories have no frequencies")
    return {name: n / total for name, n in counts.items()}


def occupancy(scene: Scene, cells: int) -> np.ndarray:
    """(cells, cells) bool, rows from south: the ground that objects on the floor take, in cells of 10 cm from the south-west corner."""
    at = (np.arange(cells) + 0.5) * CELL
    taken = np.zeros((cells, cells), dtype=bool)
    for o in scene.objects:
        if o.on != "floor":
            continue
        b = o.box
        x, y = at - b.x, (at - b.y)[:, None]
        taken |= (np.abs(x * b.cos + y * b.sin) <= b.width / 2) & (
            np.abs(y * b.cos - x * b.sin) <= b.depth / 2
        )
    return taken


def diversity(scenes: Sequence[Scene], max_pairs: int = 2000) -> float:
    """1 − mean IoU of the floor occupancy of pairs of rooms, over all pairs or `max_pairs` of them taken evenly.

    Two rooms without furniture are alike: their IoU is 1. Raises ValueError for fewer than two rooms.
    """
    n = len(scenes)
    if n < 2:
        raise ValueError("diversity compares rooms; give at least two")
    cells = max(math.ceil(max(s.room.extent) / CELL) for s in scenes)
    maps = [occupancy(s, cells) for s in scenes]
    rows, columns = np.triu_indices(n, 1)
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(max_pairs, len(rows))).astype(int))
    alike = []
    for i, j in zip(rows[chosen], columns[chosen], strict=True):
        union = int((maps[i] | maps[j]).sum())
        alike.append(int((maps[i] & maps[j]).sum()) / union if union else 1.0)
    return 1 - sum(alike) / len(alike)
