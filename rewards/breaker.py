"""The circuit breaker: a run whose rewards stopped coming must stop, not train on what is left."""

from __future__ import annotations

from dataclasses import dataclass, field

from rewards.failures import RewardOutage


@dataclass
class CircuitBreaker:
    """Opens on exhausted RETRYABLE failures only; a BROKEN sample is that sample's own trouble.

    It opens when the moving average of the failed share over about `window` samples exceeds `max_failed_share`
    (once `window` samples have been seen, so that one bad moment at the start is no outage), or when
    `max_failed_batches` calls in a row lost every sample that needed fresh work. `enabled=False` never opens.
    """

    max_failed_share: float = 0.05
    window: int = 200
    max_failed_batches: int = 3
    enabled: bool = True
    failed_share: float = field(default=0.0, init=False)
    seen: int = field(default=0, init=False)
    failed_batches: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.max_failed_share <= 1.0:
            raise ValueError(f"max_failed_share {self.max_failed_share} must lie in (0, 1]")
        if self.window < 1 or self.max_failed_batches < 1:
            raise ValueError("window and max_failed_batches must be at least 1")

    def record(self, attempted: int, exhausted: int) -> None:
        """Account for one call: `attempted` samples needed fresh work, `exhausted` of them failed in every try."""
        if attempted <= 0:
            return
        if not 0 <= exhausted <= attempted:
            raise ValueError(f"{exhausted} exhausted of {attempted} attempted samples")
        share = exhausted / attempted
        kept = (1.0 - 1.0 / self.window) ** attempted  # as `attempted` single updates, whatever their order
        self.failed_share = kept * self.failed_share + (1.0 - kept) * share
        self.seen += attempted
        self.failed_batches = self.failed_batches + 1 if exhausted == attempted else 0

    def check(self) -> None:
        """Raise RewardOutage if open; it then starts afresh, so that a caller who mended the cause may go on."""
        if not self.enabled:
            return
        if self.failed_batches >= self.max_failed_batches:
            reason = f"{self.failed_batches} whole batches in a row stayed without a score"
        elif self.seen >= self.window and self.failed_share > self.max_failed_share:
            reason = (
                f"{self.failed_share:.1%} of the last {self.window} samples stayed without a score "
                f"(limit {self.max_failed_share:.1%})"
            )
        else:
            return
        self.reset()
        raise RewardOutage(
            f"{reason}, after all retries; mend the generator or scorer, then resume from the checkpoint"
        )

    def reset(self) -> None:
        self.failed_share, self.seen, self.failed_batches = 0.0, 0, 0
