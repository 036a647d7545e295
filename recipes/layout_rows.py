"""Training rows of the layout models: a request and a room in, a plan and furniture out, drawn as they are needed.

Row i is a function of (seed, split, i) and of nothing else, so there is no file to keep and no epoch to repeat: a fresh room costs some
10 ms and training on it thirty times that. The split is by the hash of the empty room, the requests of validation and test use the
templates that training never says.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from layout.instructions import Instruction, instruct
from layout.schema import RoomType, Scene
from layout.serialise import answer_text, carriers_first, prompt_text
from layout.synthesis import MIX, draw, split_of
from layout.transform import mirrored, quarter_turned

GROUP = 16  # micro-batches whose rows are sorted by length together
Split = Literal["train", "validation", "test"]
LOWER_CASE = 0.2  # share of the requests without any capital letter
MAX_DRAWS = 500  # of rooms until one is of the split; one in twenty is a test room


@dataclass(frozen=True)
class Row:
    """One example: the scene, what is said of it, and both as the text of the wire."""

    scene: Scene
    instruction: Instruction
    request: str  # the instruction as somebody typed it
    plan: bool

    @property
    def prompt(self) -> str:
        return prompt_text(self.scene.room, self.request, plan=self.plan)

    @property
    def completion(self) -> str:
        return answer_text(self.scene, plan=self.plan)


def row(seed: int, split: Split, index: int, *, plan_share: float = 0.85) -> Row:
    """Row `index` of a split: a room of the mix, turned or mirrored, with an instruction of any level."""
    rng = random.Random(f"{seed}/{split}/{index}/row")
    kind = rng.choices(list(MIX), list(MIX.values()))[0]
    scene = scene_of(kind, f"{seed}/{split}/{index}", split, rng)
    instruction = instruct(scene, f"{seed}/{split}/{index}", held_out=split != "train")
    request = instruction.text.lower() if rng.random() < LOWER_CASE else instruction.text
    return Row(scene, instruction, request, rng.random() < plan_share)


def scene_of(kind: RoomType, seed: str, split: Split, rng: random.Random) -> Scene:
    """A furnished room whose empty room is of the split, in the order in which answers list furniture.

    The synthesiser turns no room; a random symmetry makes walls and yaws equally usual.
    """
    for attempt in range(MAX_DRAWS):
        scene = quarter_turned(draw(kind, seed, attempt).scene, rng.randrange(4))
        if rng.random() < 0.5:
            scene = mirrored(scene)
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
        return {
            "input_ids": [prompt + answer for prompt, answer in rows],
            "labels": [[-100] * len(prompt) + answer for prompt, answer in rows],
        }

    def _read_group(self, number: int) -> list[tuple[list[int], list[int]]]:
        size = self.batch * GROUP
        indices = range(number * size, min((number + 1) * size, self.count))
        rows = [self.encode(row(self.seed, self.split, i, plan_share=self.plan_share)) for i in indices]
        rows.sort(key=lambda r: len(r[0]) + len(r[1]))
        batches = [rows[k : k + self.batch] for k in range(0, len(rows), self.batch)]
        random.Random(f"{self.seed}/{self.split}/{number}/order").shuffle(batches)
        return [r for batch in batches for r in batch]

    def encode(self, example: Row) -> tuple[list[int], list[int]]:
        """(prompt ids, answer ids with the end token)."""
        prompt = self.tokenizer(prompted(self.tokenizer, example.prompt), add_special_tokens=False)[
            "input_ids"
        ]
        answer = self.tokenizer(example.completion, add_special_tokens=False)["input_ids"]
        answer.append(self.tokenizer.eos_token_id)
        if len(prompt) + len(answer) > self.max_length:
            raise ValueError(
                f"max_length: a row has {len(prompt) + len(answer)} tokens, more than {self.max_length}; "
                f"give a larger max_length (the row is a {example.scene.room.room_type} of {len(example.scene.objects)} objects)"
            )
        return prompt, answer


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
