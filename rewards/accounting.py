"""Where every sample of a call went. n = n_ok + n_policy + the sum of n_none over causes, always."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rewards.failures import CAUSES


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[min(len(values) - 1, max(0, math.ceil(share * len(values)) - 1))]


def mean(values: Iterable[float]) -> float:
    """Mean of the finite values; NaN of nothing."""
    held = [v for v in values if math.isfinite(v)]
    return sum(held) / len(held) if held else math.nan


@dataclass
class Accounting:
    """Counts of one bridge call. "Shots" are images: completions x seeds before de-duplication."""

    n: int = 0
    n_ok: int = 0
    n_policy: int = 0
    n_none: Counter[str] = field(default_factory=Counter)  # by cause, see failures.CAUSES
    n_copied: int = 0
    policy_reasons: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    shots: int = 0
    shots_distinct: int = 0
    shots_cached: int = 0  # distinct shots whose image the store knew
    shots_generated: int = 0
    scores_wanted: int = 0  # distinct (image, target, reward)
    scores_cached: int = 0
    fresh: int = 0  # distinct (image, target) that needed work in this call
    exhausted: int = 0  # of these, RETRYABLE to the end
    clipped: int = 0
    groups: int = 0
    groups_dropped: int = 0
    generate_ms: list[float] = field(default_factory=list)  # per image, one entry per call
    score_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    generate_s: float = 0.0
    score_s: float = 0.0

    def generated(self, seconds: float, count: int) -> None:
        self.generate_s += seconds
        self.generate_ms.append(1e3 * seconds / count)

    def scored(self, seconds: float, count: int) -> None:
        self.score_s += seconds
        self.score_ms.append(1e3 * seconds / count)

    def check(self) -> None:
        total = self.n_ok + self.n_policy + sum(self.n_none.values())
        if total != self.n:
            raise AssertionError(f"accounting lost samples: {total} of {self.n} accounted for ({self})")

    @property
    def overhead_s(self) -> float:
        """Seconds of the call outside generator and scorer."""
        return self.seconds - self.generate_s - self.score_s

    def metrics(self) -> dict[str, float]:
        """Flat numbers for a tracker; ratios of nothing are left out."""
        found = {
            "n_ok": float(self.n_ok),
            "n_policy": float(self.n_policy),
            "n_none": float(sum(self.n_none.values())),
            **{f"none/{cause}": float(self.n_none[cause]) for cause in CAUSES},
            **{f"policy/{reason}": float(count) for reason, count in self.policy_reasons.items()},
            **{f"guard/{code}": float(count) for code, count in self.violations.items()},
            "copied_share": self.n_copied / self.n if self.n else math.nan,
            "dedupe_rate": 1.0 - self.shots_distinct / self.shots if self.shots else math.nan,
            "media_hit_rate": self.shots_cached / self.shots_distinct if self.shots_distinct else math.nan,
            "score_hit_rate": self.scores_cached / self.scores_wanted if self.scores_wanted else math.nan,
            "generate_ms/p50": percentile(self.generate_ms, 0.5),
            "generate_ms/p95": percentile(self.generate_ms, 0.95),
            "score_ms/p50": percentile(self.score_ms, 0.5),
            "score_ms/p95": percentile(self.score_ms, 0.95),
            "groups_dropped_share": self.groups_dropped / self.groups if self.groups else math.nan,
            "clipped": float(self.clipped),
            "seconds": self.seconds,
            "generate_seconds": self.generate_s,
            "score_seconds": self.score_s,
        }
        return {name: value for name, value in found.items() if math.isfinite(value)}
