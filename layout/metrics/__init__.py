"""Numbers about many rooms, always several at once and each with its definition: any one of them alone is easily gamed.

evaluate(scenes, specs) -> Evaluation      rates and shares, `Evaluation.table()` prints them with what they mean
monte_carlo.evaluate(scenes)               out-of-bounds and collision again, by sampling, without any of the validator's code
"""

from layout.metrics.evaluation import DEFINITIONS, Evaluation, Value, evaluate

__all__ = ["DEFINITIONS", "Evaluation", "Value", "evaluate"]
