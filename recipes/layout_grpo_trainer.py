"""TRL's GRPOTrainer on layout prompts, with evaluations that furnish rooms."""

from __future__ import annotations

from typing import Any

from trl import GRPOTrainer

from recipes.layout_watch import Watch, told
from recipes.terminal import remark


class RoomTrainer(GRPOTrainer):
    """`watch` None: there are no evaluations. An evaluation is the watch alone; the reward of held-out rooms is not taken."""

    def __init__(self, *args: Any, watch: Watch | None, **kwargs: Any) -> None:
        self.watch = watch
        super().__init__(*args, **kwargs)

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[Any, Any, dict[str, Any]]:
        """As fine-tuning encodes them: they are in their chat template already, whose tokens TRL would add once more."""
        tokenizer: Any = self.processing_class
        return tokenizer(text=prompts, add_special_tokens=False)["input_ids"], None, {}

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        assert self.watch is not None, "settled with evaluations only where rooms are watched"
        model: Any = self.model
        trained = model.training
        found = self.watch.judged(
            self.watch.measure(self.accelerator.unwrap_model(model)), self.state.log_history
        )
        seen = {f"eval_{name}": value for name, value in found.items()}
        model.eval()  # TRL files its own figures by it: those of training stay for training's next line
        self.log(dict(seen))
        model.train(trained)
        if self.is_world_process_zero():
            remark(told(self.state.global_step, found))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, seen)
        why = self.watch.over(self.state.log_history)
        if why is not None:
            remark(f"stopping: {why}")
            self.control.should_training_stop = True
        return seen
