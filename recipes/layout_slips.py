"""Slips: a faultless room, and the same room in which one piece was written once more by the model without being held.

The texts differ in one piece, so all that a preference can teach is where that piece may not be. What is chosen is the synthesiser's, or was
written by the model within the space that is left (`layout.guide`); what is rejected is verified to have a fault that the chosen one has not.
With the model's own rooms both texts are its own, but faultless ones are smaller than most: trained on, they teach to furnish less.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from layout.answer_schema import answer_schema
from layout.asking import Asked, Backend
from layout.generate import Candidate, Job, answers, candidate
from layout.schema import Scene
from layout.stepwise import Writing, first_value
from recipes.layout_pairs import Drawn, count_answers, faults_that_count, result_row
from recipes.layout_rows import Row

OBJECTS = '","objects":['


@dataclass
class Slips:
    """`k` pieces of every room are written once more; the rooms are the synthesiser's or the `own` ones of the model. Counts what it saw."""

    drawn: Drawn
    backend: Backend
    k: int = 4
    temperature: float = 1.0
    own: bool = False
    seen: dict[str, int] = field(
        default_factory=lambda: {"prompts": 0, "answers": 0, "unread": 0, "hard": 0, "objects": 0}
    )

    def __call__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        rows = [(i, r) for i in indices if (r := self.drawn.row(i)).plan]
        rows.sort(key=lambda pair: len(pair[1].completion))
        jobs = [Job(Scene(room=r.scene.room), r.request) for _, r in rows]
        how = {"temperature": self.temperature, "seed": self.drawn.seed + min(indices)}
        texts = [r.completion for _, r in rows]
        if self.own and jobs:
            texts = answers(self.backend, jobs, space=True, **how)
        good = []
        for (i, r), text in zip(rows, texts, strict=True):
            found = candidate(text, r.scene.room, r.instruction.spec)
            self.seen["prompts"] += 1
            count_answers(self.seen, [found])
            if found.report and not faults_that_count(found.report):
                good.append((i, r, found))
        return self._slipped(good, how)

    def _slipped(
        self, good: Sequence[tuple[int, Row, Candidate]], how: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """A pair for every piece whose second version is a fault."""
        tried = []
        for i, r, found in good:
            pieces = pieces_of(found.text)
            rng = random.Random(f"{self.drawn.seed}/{i}/slips")
            for k in rng.sample(range(len(pieces)), min(self.k, len(pieces))):
                tried.append((i, r, found, pieces, k))
        tried.sort(key=lambda t: t[4])  # of like length
        asked = [again(r, found.text, pieces, k) for _, r, found, pieces, k in tried]
        texts = self.backend.complete(asked, **how) if asked else []
        pairs = []
        for (i, r, found, pieces, k), text in zip(tried, texts, strict=True):
            head = found.text.partition(OBJECTS)[0]
            written = [*pieces[:k], first_value(text[text.index("{") :]), *pieces[k + 1 :]]
            worse = candidate(head + OBJECTS + ",".join(written) + "]}", r.scene.room, r.instruction.spec)
            count_answers(self.seen, [worse])
            if worse.report is None or found.report is None:
                continue
            new = [code for code in faults_that_count(worse.report) if code not in found.report.codes]
            if new:
                code = "+".join(dict.fromkeys(new))
                sides = (found.text, found.report), (worse.text, worse.report)
                by = "model" if self.own else "synthesiser"
                pairs.append(result_row(i, "slips", r, code, *sides, by))
        return pairs


def pieces_of(text: str) -> list[str]:
    """The pieces of an answer, as the wire has them."""
    return [json.dumps(piece, separators=(",", ":")) for piece in json.loads(text)["objects"]]


def again(r: Row, text: str, pieces: Sequence[str], k: int) -> Asked:
    """Piece k of an answer to be written once more, after the same plan and pieces, held to the schema of the plan alone."""
    ids = [json.loads(piece)["id"] for piece in pieces]
    items = answer_schema(r.scene.room, ids=ids, plan=False)["properties"]["objects"]["prefixItems"]
    begun = text.partition(OBJECTS)[0]
    writing = Writing(r.scene.room, r.prompt, begun, OBJECTS, items, pieces=list(pieces[:k]))
    return writing.asked(follows=False)
