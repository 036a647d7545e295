"""Arguments of layout preference training: the pairs, and how the run is watched."""

# No `from __future__ import annotations`: HfArgumentParser reads the types of the fields at run time.
from dataclasses import field
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


def arg(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(config=ConfigDict(extra="forbid"))
class LayoutWatchArguments:
    """The rooms whose answers decide when to stop and which checkpoint is the result."""

    watch_rooms: int = arg(48, "validation rooms that the model furnishes at every evaluation; 0: none")
    watch_seed: int = arg(0, "of these rooms and of the answers: the same at every evaluation")
    watch_temperature: float = arg(0.8, "of sampling these answers")
    watch_batch: int = arg(16, "answers at once")
    patience: int = arg(
        2, "stop after so many evaluations whose answers have more hard faults than the best before"
    )
    least_objects: float = arg(0.95, "stop when an answer has fewer objects than this share of the start's")

    def __post_init__(self) -> None:
        if min(self.watch_rooms, self.patience) < 0 or self.watch_batch < 1:
            raise ValueError(
                f"watch_rooms={self.watch_rooms} and patience={self.patience} must not be negative, "
                f"watch_batch={self.watch_batch} at least 1"
            )
        if not 0 <= self.least_objects <= 1:
            raise ValueError(f"least_objects={self.least_objects} must lie in [0, 1]")


@dataclass(config=ConfigDict(extra="forbid"))
class LayoutPairArguments(LayoutWatchArguments):
    """Pairs of `rewright layout pairs`, beside what is watched."""

    pairs: list[str] = field(
        default_factory=list, metadata={"help": "files of `rewright layout pairs`; several are mixed"}
    )
    max_pairs: int | None = arg(None, "use at most so many pairs (None: all)")
    validation_pairs: int = arg(32, "pairs held out, for the loss and the share that is ranked rightly")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation_pairs < 1:
            raise ValueError(f"validation_pairs={self.validation_pairs} must be at least 1")
