"""TRL's DPOTrainer on pairs that are token ids already, with evaluations that also furnish rooms."""

from __future__ import annotations

from typing import Any

from trl import DPOTrainer

from recipes.layout_watch import Watch, told
from recipes.terminal import remark


class PairTrainer(DPOTrainer):
    """`watch` None: evaluations are of the held-out pairs alone."""

    def __init__(self, *args: Any, watch: Watch | None, **kwargs: Any) -> None:
        self.watch = watch
        super().__init__(*args, **kwargs)

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """As it is. TRL would encode prompt and answer as one text, and drop what is too long without a word."""
        return dataset

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        metrics = super().evaluate(*args, **kwargs)
        if self.watch is None:
            return metrics
        model = self.accelerator.unwrap_model(self.model)
        found = self.watch.judged(self.watch.measure(model), self.state.log_history)
        seen = {f"eval_{name}": value for name, value in found.items()}
        self.log(dict(seen))
        if self.is_world_process_zero():
            remark(told(self.state.global_step, found))
        why = self.watch.over(self.state.log_history)
        if why is not None:
            remark(f"stopping: {why}")
            self.control.should_training_stop = True
        return metrics | seen
