"""Arguments of layout training on the rule reward: which rooms are asked for, beside how the run is watched."""

# No `from __future__ import annotations`: HfArgumentParser reads the types of the fields at run time.
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from recipes.layout_dpo_arguments import LayoutWatchArguments, arg


@dataclass(config=ConfigDict(extra="forbid"))
class LayoutGrpoArguments(LayoutWatchArguments):
    """Rooms and requests of the train split, each met once."""

    rows_seed: int = arg(1, "of the rooms and requests; another than the fine-tuning's asks for new ones")
    plan_share: float = arg(1.0, "share of the requests that ask for a plan before the objects")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.plan_share <= 1:
            raise ValueError(f"plan_share={self.plan_share} must lie in [0, 1]")
