"""One instant after which nobody waits any more."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

# A rank that hangs holds up the others in `gather` until NCCL's watchdog ends the job (600 s by default): a reward
# call may use a third of that.
NCCL_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant of time.monotonic(); None never comes."""

    at: float | None = None

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        return cls(None if seconds is None else time.monotonic() + seconds)

    def remaining(self) -> float | None:
        """Seconds left, never negative; None if there is no end."""
        return None if self.at is None else max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        return self.at is not None and time.monotonic() >= self.at

    def share(self, fraction: float) -> Deadline:
        """An earlier deadline after `fraction` of what is left."""
        left = self.remaining()
        return self if left is None else Deadline.after(left * fraction)

    def cap(self, seconds: float | None) -> float | None:
        """How long one call may take: `seconds`, or less if the end comes sooner."""
        left = self.remaining()
        if left is None or seconds is None:
            return seconds if left is None else left
        return min(left, seconds)


def call_budget_s(configured: float | None) -> float | None:
    """The budget of one reward call: as configured, and at most a third of the collective time-out when distributed."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return configured
    ceiling = NCCL_TIMEOUT_S / 3
    return ceiling if configured is None else min(configured, ceiling)
