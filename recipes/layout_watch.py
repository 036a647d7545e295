"""What a layout model writes while it is trained: its own answers for held-out rooms, and when they say that it is time to stop.

The margin of a preference loss grows while the answers get worse, or shorter. So the rooms are furnished at every evaluation, with the same
seeds, and the validator decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.callbacks import plateau

UNREAD = 5.0  # hard faults that an answer counts for when it cannot be read
LOST = 100.0  # added to the badness of a model that has unlearnt furniture


class Watch:
    """Furnishes `rooms` validation rooms with the model as it is. Nothing here reads a test room."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        rooms: int,
        seed: int,
        temperature: float,
        batch: int,
        patience: int,
        least_objects: float,
    ) -> None:
        self.tokenizer, self.rooms, self.seed, self.temperature = tokenizer, rooms, seed, temperature
        self.batch, self.patience, self.least_objects = batch, patience, least_objects
        self._rows: list[Any] | None = None

    def rows(self) -> list[Any]:
        """The same rooms and held-out wordings every time; all ask for a plan."""
        from recipes.layout_rows import row

        if self._rows is None:
            whole = {"whole": 1.0}
            self._rows = [
                row(self.seed, "validation", i, plan_share=1.0, kinds=whole) for i in range(self.rooms)
            ]
        return self._rows

    def measure(self, model: Any) -> dict[str, float]:
        """Means over the rooms: hard faults, share of rooms with one, unmet relations, objects, answers that can be read."""
        from recipes.layout_backends import TransformersBackend
        from recipes.layout_measure import read

        backend = TransformersBackend(model, self.tokenizer, batch=self.batch)
        sampled = {"temperature": self.temperature, "seed": self.seed}
        candidates, _ = read(backend, self.rows(), plan=True, constrained=True, **sampled)
        reports = [c.report for c in candidates if c.report is not None]
        n, unread = len(candidates), len(candidates) - len(reports)
        return {
            "hard_faults": (sum(len(r.hard) for r in reports) + UNREAD * unread) / n,
            "hard_rate": (sum(not r.ok for r in reports) + unread) / n,
            "relations_unmet": sum(r.codes["relation_unmet"] for r in reports) / n,
            "objects": sum(r.n_objects for r in reports) / max(1, len(reports)),
            "parse": len(reports) / n,
        }

    def judged(self, found: Mapping[str, float], history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The figures with `badness`, by which the best checkpoint is chosen: hard faults, and `LOST` more where furniture was unlearnt."""
        start = next((row["eval_objects"] for row in history if "eval_objects" in row), found["objects"])
        lost = found["objects"] < self.least_objects * start
        return {**found, "badness": found["hard_faults"] + (LOST if lost else 0.0)}

    def over(self, history: Sequence[Mapping[str, Any]]) -> str | None:
        """Why to stop, from the trainer's own history (so that a resumed run stops where it would have); None: go on."""
        badness = badnesses(history)
        if badness and badness[-1] >= LOST:
            return f"an answer has less than {self.least_objects:.0%} of the start's objects"
        if plateau(badness, self.patience, 0.0):  # answers that stay as good go on
            return f"{self.patience} evaluations in a row had more hard faults than the best before them"
        return None


def badnesses(history: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of every evaluation so far, the start's first."""
    return [row["eval_badness"] for row in history if "eval_badness" in row]


def told(step: int, found: Mapping[str, float]) -> str:
    return (
        f"step {step}: {found['hard_faults']:.3f} hard faults a room, {found['hard_rate']:.1%} of the rooms have one, "
        f"{found['objects']:.1f} objects"
    )
