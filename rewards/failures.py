"""Why a sample has no score, and what may be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rewards.base import Status

if TYPE_CHECKING:
    from rewards.accounting import Accounting


class ScoreUnavailable(RuntimeError):
    """Raised by a scorer or generator whose backend cannot answer now: the call is retried, then the score is None."""


class RewardMisconfigured(ValueError):
    """The reward or generator cannot work as it is set up; stops the run instead of costing it every sample."""


class RewardOutage(RuntimeError):
    """The circuit breaker opened: too many samples stayed without a score after their retries."""

    def __init__(self, message: str, accounting: Accounting | None = None) -> None:
        super().__init__(message)
        self.accounting = accounting


class CallTimeout(TimeoutError):
    """A call on the worker did not come back in time; its thread is left behind and its result ignored."""


class Undeliverable(Exception):
    """A batch came back in a form that cannot be matched to its samples (wrong length, wrong shape)."""

    def __init__(self, cause: str, note: str) -> None:
        super().__init__(note)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample without a result. `cause` is one of `CAUSES`; `note` is for people."""

    status: Status
    cause: str
    note: str = ""


RETRYABLE_HTTP = frozenset({408, 425, 429})  # besides every 5xx

CAUSES = (
    "timeout",  # RETRYABLE: a call exceeded its time-out, or raised TimeoutError, in every try
    "unavailable",  # RETRYABLE: transport, 429/5xx, ScoreUnavailable, in every try
    "memory",  # RETRYABLE: out of memory even one by one
    "deadline",  # RETRYABLE: the total budget ended before the sample's turn
    "crash",  # BROKEN: an exception that a retry would not cure
    "non_finite",  # BROKEN: NaN or infinity in a score, or in the same image twice
    "wrong_length",  # BROKEN: not one answer per sample
    "bad_media",  # BROKEN: the generator's answer is no image
    "out_of_range",  # BROKEN: outside the declared range, when the bridge is told to reject
    "broken",  # BROKEN: the reward said so itself
    "na",  # NA: the reward does not apply to this row
    "group_dropped",  # the group kept too few valid samples to be compared
)


def is_out_of_memory(error: BaseException) -> bool:
    """CPU and accelerator allocators, by class name where the class needs torch to be named."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "not enough memory" in str(error))
    )


def classify(error: Exception) -> Failure:
    """Exception of a scorer or generator → failure. What is not known to be transient is BROKEN."""
    note = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, Undeliverable):
        return Failure(Status.BROKEN, error.cause, note)
    if is_out_of_memory(error):
        return Failure(Status.RETRYABLE, "memory", note)
    if isinstance(error, TimeoutError):
        return Failure(Status.RETRYABLE, "timeout", note)
    if isinstance(error, OSError | ScoreUnavailable) or _is_transport(error):
        return Failure(Status.RETRYABLE, "unavailable", note)
    return Failure(Status.BROKEN, "crash", note)


def _is_transport(error: Exception) -> bool:
    """httpx transport errors, and its 408, 429 and 5xx answers, without importing httpx: who raised it has."""
    for base in type(error).__mro__:
        if base.__module__.partition(".")[0] in ("httpx", "httpx2"):
            if base.__name__ == "TransportError":
                return True
            if base.__name__ == "HTTPStatusError":
                code = getattr(getattr(error, "response", None), "status_code", 0)
                return code in RETRYABLE_HTTP or code >= 500
    return False
