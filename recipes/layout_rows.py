"""Training rows of the layout models: a request and a room in, a plan and furniture out, drawn as they are needed.

Row i is a function of (seed, split, i) and of nothing else, so there is no file to keep and no epoch to repeat: a fresh room costs some
10 ms and training on it thirty times that. The split is by the hash of the empty room, the requests of validation and test use the
templates that training never says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from layout.instructions import Instruction, instruct, sized_instruction
from layout.schema import RoomType, Scene
from layout.serialise import answer_text, carriers_first, prompt_text
from layout.synthesis import MIX, draw, split_of
from layout.transform import from_south_west, mirrored, quarter_turned
from layout.turns import turn

GROUP = 16  # micro-batches whose rows are sorted by length together
Split = Literal["train", "validation", "test"]
KINDS = {
    "whole": 0.8,
    "change": 0.14,
    "sized": 0.06,
}  # what is asked for: a room, a change of one, given sizes
LOWER_CASE = 0.2  # share of the requests without any capital letter
SLIPS = 0.03  # share of the words of five letters and more that are misspelled
MAX_DRAWS = 500  # of rooms until one is of the split; one in twenty is a test room


@dataclass(frozen=True)
class Row:
    """One example: the scene, what is said of it, and both as the text of the wire."""

    scene: Scene
    instruction: Instruction
    request: str  # the instruction as somebody typed it
    plan: bool
    kept: int = 0  # objects that are there already; the answer begins with them

    @property
    def prompt(self) -> str:
        return prompt_text(self.scene.room, self.request, plan=self.plan)

    @property
    def completion(self) -> str:
        return answer_text(self.scene, plan=self.plan, kept=self.kept)

    @property
    def given(self) -> list[str]:
        """The parts of the completion that are known before anything is written: the kept pieces' plan and the pieces."""
        if not self.kept:
            return []
        before = answer_text(
            Scene(room=self.scene.room, objects=self.scene.objects[: self.kept]), plan=self.plan
        )
        plan, begun, objects = before.rpartition('"objects":[')
        return (
            [plan.removesuffix('",') + "; ", begun + objects.removesuffix("]}")]
            if self.plan
            else [before[:-2]]
        )


def row(
    seed: int, split: Split, index: int, *, plan_share: float = 0.85, kinds: Mapping[str, float] = KINDS
) -> Row:
    """Row `index` of a split: a room of the mix, turned or mirrored, and a request for all of it or for a change of it."""
    name = f"{seed}/{split}/{index}"
    rng = random.Random(f"{name}/row")
    kind = rng.choices(list(MIX), list(MIX.values()))[0]
    scene = scene_of(kind, name, split, rng)
    asked = rng.choices(list(kinds), list(kinds.values()))[0]
    held_out = split != "train"
    plan = rng.random() < plan_share
    change = turn(scene, name, held_out=held_out) if asked == "change" else None
    if change is not None:
        text = typed(change.instruction.text, rng, held_out)
        return Row(change.scene, change.instruction, text, plan, change.kept)
    if asked == "sized":
        instruction = sized_instruction(scene, name)
    else:
        instruction = instruct(scene, name, held_out=held_out)
    return Row(scene, instruction, typed(instruction.text, rng, held_out), plan)


def typed(text: str, rng: random.Random, held_out: bool) -> str:
    """As people type: some without capitals and, in training, some words with a letter missing, doubled or in the wrong place."""
    if rng.random() < LOWER_CASE:
        text = text.lower()
    if held_out:
        return text
    return re.sub(r"[A-Za-z]{5,}", lambda m: slip(m[0], rng) if rng.random() < SLIPS else m[0], text)


def slip(word: str, rng: random.Random) -> str:
    """A word with one slip of the keyboard, its first letter kept."""
    k = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:k] + word[k + 1 :]
    if kind == 1:
        return word[:k] + word[k] + word[k:]
    return word[:k] + word[k + 1] + word[k] + word[k + 2 :]


def scene_of(kind: RoomType, seed: str, split: Split, rng: random.Random) -> Scene:
    """A furnished room whose empty room is of the split, in the order in which answers list furniture.

    The synthesiser turns no room; a random symmetry makes walls and yaws equally usual.
    """
    for attempt in range(MAX_DRAWS):
        scene = quarter_turned(draw(kind, seed, attempt).scene, rng.randrange(4))
        if rng.random() < 0.5:
            scene = mirrored(scene)
        scene = Scene(room=from_south_west(scene.room), objects=scene.objects)
        if split_of(scene.room) == split:
            return carriers_first(scene)
    raise RuntimeError(f"no {kind} of the {split} split in {MAX_DRAWS} draws (seed {seed!r})")


class RowReader:
    """Rows as token ids, in groups of GROUP micro-batches whose rows are of like length, so that little is padding.

    A group is sorted by length, cut into micro-batches and these are shuffled: what an optimizer step reads has no length of its own.
    Raises ValueError for a row longer than `max_length`: an answer that is cut off teaches to stop in the middle.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        seed: int,
        split: Split,
        count: int,
        plan_share: float,
        max_length: int,
        batch: int,
    ) -> None:
        self.tokenizer, self.seed, self.split, self.count = tokenizer, seed, split, count
        self.plan_share, self.max_length, self.batch = plan_share, max_length, batch
        self._group = lru_cache(maxsize=8)(self._read_group)

    def __call__(self, batch: dict[str, Sequence[int]]) -> dict[str, list[list[int]]]:
        """As the transform of a Dataset with the column `row`: indices -> input_ids and labels (-100 on the prompt)."""
        size = self.batch * GROUP
        rows = [self._group(index // size)[index % size] for index in batch["row"]]
        return {"input_ids": [ids for ids, _ in rows], "labels": [labels for _, labels in rows]}

    def _read_group(self, number: int) -> list[tuple[list[int], list[int]]]:
        size = self.batch * GROUP
        indices = range(number * size, min((number + 1) * size, self.count))
        rows = [self.encode(row(self.seed, self.split, i, plan_share=self.plan_share)) for i in indices]
        rows.sort(key=lambda r: len(r[0]))
        batches = [rows[k : k + self.batch] for k in range(0, len(rows), self.batch)]
        random.Random(f"{self.seed}/{self.split}/{number}/order").shuffle(batches)
        return [r for batch in batches for r in batch]

    def encode(self, example: Row) -> tuple[list[int], list[int]]:
        """(ids, labels): the prompt and the answer with its end token; -100 for what is not learned, the prompt and what was there before."""
        prompt = self.tokenizer(prompted(self.tokenizer, example.prompt), add_special_tokens=False)
        answer = self.tokenizer(
            example.completion, add_special_tokens=False, return_offsets_mapping=bool(example.given)
        )
        known, ids = prompt["input_ids"], [*answer["input_ids"], self.tokenizer.eos_token_id]
        labels = [-100] * len(known) + ids
        at = 0
        for part in example.given:
            start = example.completion.index(part, at)
            at = start + len(part)
            for k, (first, last) in enumerate(answer["offset_mapping"]):
                if start <= first and last <= at:
                    labels[len(known) + k] = -100
        if len(labels) > self.max_length:
            raise ValueError(
                f"max_length: a row has {len(labels)} tokens, more than {self.max_length}; "
                f"give a larger max_length (the row is a {example.scene.room.room_type} of {len(example.scene.objects)} objects)"
            )
        return known + ids, labels


def prompted(tokenizer: Any, text: str) -> str:
    """The prompt as the model sees it: in its chat template where it has one, else with a line end before the answer."""
    if tokenizer.chat_template is None:
        return text + "\n"
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )


def dataset(reader: RowReader) -> Any:
    """A Dataset of the reader's rows, drawn when they are read."""
    from datasets import Dataset

    return Dataset.from_dict({"row": list(range(reader.count))}).with_transform(reader)
