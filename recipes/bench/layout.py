"""Layouts: rooms validated and made per second, what holding a model to the schema costs, and seconds a layout.

    rewright bench layout
    rewright bench layout --model runs/layout/sft/layout_lm --vllm

Rooms per second are of one core. Decoding is of eight rooms of eight objects at once, their schemas new to the compiler, against the same
prompts let free for as many tokens. Where no layout model is found, random weights of the embedded model's size stand in for that figure:
speed does not depend on what they say. Seconds a layout do, and are then left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.terminal import remark

if TYPE_CHECKING:
    from layout.generate import Asked
    from layout.schema import Scene
    from recipes.arguments import LayoutModelArguments

OBJECTS = 8
BATCH = 8
REPEATS = 3


def run(
    model: str | None = None, *, vllm: bool = False, sizes: LayoutModelArguments | None = None
) -> dict[str, float]:
    """The figures; `model` as in `rewright layout generate --model`, `sizes` of the random weights that stand in for a missing one."""
    import torch

    from recipes.layout_backends import EMBEDDED, TransformersBackend

    found = {"threads": float(torch.get_num_threads()), **validator(), **synthesis()}
    trained = model is not None or (EMBEDDED / "config.json").is_file()
    backend = TransformersBackend.load(_name(model)) if trained else stand_in(sizes)
    found |= {f"decoding_{name}": value for name, value in decoding(backend).items()}
    if trained:
        found |= seconds_a_layout(backend)
    else:
        remark(
            f"{EMBEDDED} holds no layout model: random weights of its size, and no seconds a layout (--model FOLDER)"
        )
    if vllm:
        found |= {f"vllm_decoding_{name}": value for name, value in _with_vllm(backend).items()}
    return found


def _name(model: str | None) -> str | Path:
    from recipes.layout_backends import EMBEDDED

    return EMBEDDED if model is None else Path(model).resolve() if Path(model).is_dir() else model


def stand_in(sizes: LayoutModelArguments | None = None) -> Any:
    """A backend of random weights with the sizes of the configuration that trains the embedded model."""
    from recipes.arguments import LayoutModelArguments
    from recipes.layout_backends import TransformersBackend
    from recipes.layout_model import new_model
    from recipes.layout_tokenizer import build

    tokenizer = build()
    sizes = sizes or LayoutModelArguments(base_model="new")  # its defaults are those of layout/sft/rooms_cpu
    return TransformersBackend(new_model(tokenizer, sizes, 640, 0), tokenizer)


def scenes(count: int) -> list[Scene]:
    """Drawn rooms of all types with exactly `OBJECTS` objects."""
    from layout.schema import ROOM_TYPES
    from layout.synthesis import draw

    found: list[Scene] = []
    index = 0
    while len(found) < count:
        scene = draw(ROOM_TYPES[index % len(ROOM_TYPES)], "bench", index).scene
        index += 1
        if len(scene.objects) == OBJECTS:
            found.append(scene)
    return found


def validator(count: int = 60) -> dict[str, float]:
    """Rooms of eight objects that the validator sees a second, on one core."""
    from layout.checks import check

    rooms = scenes(count)
    return {"validator_rooms_per_s": _rate(lambda: [check(scene) for scene in rooms], count)}


def synthesis(count: int = 60) -> dict[str, float]:
    """Rooms made a second with instruction and validation, in the mix of homes, on one core."""
    from layout.synthesis import rooms

    return {"synthesis_rooms_per_s": _rate(lambda: list(rooms(0, count)), count)}


def _rate(work: Callable[[], Any], count: int) -> float:
    """Per second of the best of some repeats, in this process's own time: another process beside it is not its cost."""
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return count / min(seconds)


@dataclass
class _Listener:
    """Answers with the synthesiser's own plans, to learn what would be asked of a model for the objects."""

    plans: Sequence[str]
    follows: bool
    asked: list[Asked] = field(default_factory=list)

    def complete(self, asked: Sequence[Asked], *, temperature: float, seed: int) -> list[str]:
        self.asked = list(asked)
        return [f'{plan}","objects":' for plan in self.plans]


def questions(rooms: Sequence[Scene], *, space: bool = True) -> list[Asked]:
    """What `layout.generate` asks a model for the objects of rooms once it has planned them, held to the space or to the schema alone."""
    from layout.generate import Job, answers
    from layout.instructions import plan_text
    from layout.schema import Scene
    from layout.serialise import carriers_first

    listener = _Listener([plan_text(carriers_first(scene)) for scene in rooms], follows=True)
    jobs = [Job(Scene(room=s.room), f"a {s.room.room_type.replace('_', ' ')}") for s in rooms]
    answers(listener, jobs, space=space)
    return listener.asked


def decoding(backend: Any) -> dict[str, float]:
    """Tokens a second of a batch of eight that is held, and how fast that is beside letting it write as much freely.

    Held as in use, to the space that is left; `schema` is the same held to a grammar of the words and the room's size alone.
    """
    rooms = scenes(BATCH * (REPEATS + 1))
    batches = [rooms[k : k + BATCH] for k in range(0, len(rooms), BATCH)]
    found: dict[str, float] = {}
    for name, space in (("held", backend.follows), ("schema", False)):
        held, free, speed = [], [], 0.0
        for k, batch in enumerate(batches):
            asked = questions(batch, space=space)
            held_s = _seconds(backend, asked)
            lengths = list(backend.lengths)
            # As long as the held ones, row by row: a batch waits for its longest row whoever holds it.
            free_batch = [
                replace(a, constraint=None, guide=None, max_tokens=n)
                for a, n in zip(asked, lengths, strict=True)
            ]
            backend.endless = True
            free_s = _seconds(backend, free_batch)
            backend.endless = False
            if k:  # the first batch warms up
                held.append(held_s)
                free.append(free_s)
                speed = max(speed, sum(lengths) / held_s)
        found |= {f"{name}_tokens_per_s": speed, f"{name}_to_free_batch_8": sum(free) / sum(held)}
    return found


def _seconds(backend: Any, batch: Sequence[Asked]) -> float:
    began = time.perf_counter()
    backend.complete(batch, temperature=1.0, seed=0)
    return time.perf_counter() - began


def seconds_a_layout(backend: Any) -> dict[str, float]:
    """Seconds of `layout.generate.generate` from request to mended room, one answer and the best of eight; the mean over the room types."""
    from layout.generate import generate
    from layout.schema import ROOM_TYPES
    from layout.synthesis import draw

    found = {}
    for n in (1, 8):
        began = time.perf_counter()
        for kind in ROOM_TYPES:
            room = draw(kind, "bench", n).scene.room
            generate(backend, room, f"a {kind.replace('_', ' ')}", n=n)
        found[f"seconds_a_layout_n{n}"] = (time.perf_counter() - began) / len(ROOM_TYPES)
    return found


def _with_vllm(backend: Any) -> dict[str, float]:
    """The same weights in a vLLM engine, which reads them from a folder."""
    from recipes.layout_backends import VllmBackend

    with tempfile.TemporaryDirectory(prefix="layout-bench-") as folder:
        backend.model.save_pretrained(folder)
        backend.tokenizer.save_pretrained(folder)
        return decoding(VllmBackend.load(folder, max_model_len=2048, enforce_eager=True))
