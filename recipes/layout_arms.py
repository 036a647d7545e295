"""The answers of layout models in an evaluation: asked once for each set, model, way of decoding and seed, kept on disk, shared by the arms.

The first answer of best-of-n is the single sample, and what is repaired is the single sample too, so that arms differ in what they are named
after and in nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from layout.generate import Backend, Job, answers, candidate, spec_of
from layout.parse import Parsed, ParseFailure, parse
from layout.repair import cost, repair
from layout.schema import Scene
from layout.serialise import prompt_text
from recipes.layout_sets import Asked, Store
from recipes.terminal import Ticker, batches

CHUNK = 64  # requests answered in one call, of like length
TRIES = 8  # of a piece, where pieces are looked at one by one
WAYS = {  # how answers are decoded: (plan, constrained, held to the space that is left, tries of a piece)
    "held": (True, True, True, 1),
    "schema alone": (True, True, False, 1),
    "free": (True, False, False, 1),
    "no plan": (False, True, False, 1),
    "piece by piece": (True, True, True, TRIES),
}


@dataclass(frozen=True)
class Model:
    """A layout model that is loaded when it is first asked. The fingerprint changes with its weights."""

    name: str
    fingerprint: str
    load: Callable[[], Backend]

    @cached_property
    def backend(self) -> Backend:
        return self.load()


def model_of(name: str, given: str | None, option: str) -> Model:
    """A model by folder or hub id; None is the embedded one. Raises ValueError now for a folder without a model, not in the middle."""
    from recipes.layout_backends import EMBEDDED
    from recipes.layout_generate import load_backend

    folder = EMBEDDED if given is None else Path(given)
    if given is not None and not folder.exists() and _looks_like_hub_id(given):
        loaded = load_backend(given, "transformers")
        return Model(name, sha256(given.encode()).hexdigest()[:16], lambda: loaded)
    weights = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not weights or not (folder / "config.json").is_file():
        what = (
            "there is no embedded layout model"
            if given is None
            else f"{option} {given} holds no layout model"
        )
        raise ValueError(
            f"{what} (config.json and *.safetensors in {folder}); train one with `rewright train layout/sft/rooms_cpu`"
        )
    digest = sha256()
    for path in (folder / "config.json", *sorted(folder.glob("tokenizer*.json")), *weights):
        digest.update(path.read_bytes())
    return Model(name, digest.hexdigest()[:16], lambda: load_backend(str(folder), "transformers"))


def _looks_like_hub_id(given: str) -> bool:
    return given.count("/") == 1 and not given.startswith((".", "/", "~"))


@dataclass(frozen=True)
class Answers:
    """One text a request, and the seconds that a text took (mean)."""

    texts: list[str]
    seconds: float


Key = tuple[str, str, str, int]  # set, fingerprint of the model, way, seed


@dataclass(frozen=True)
class Question:
    """A set put to a model: `way` is one of WAYS, `seed` that of the answers."""

    model: Model
    name: str
    rooms: Sequence[Asked]
    way: str
    seed: int

    @property
    def key(self) -> Key:
        return self.name, self.model.fingerprint, self.way, self.seed

    @property
    def place(self) -> str:
        return f"answers/{self.name}.{self.model.fingerprint[-8:]}.{self.way.replace(' ', '_')}.{self.seed}"


@dataclass(frozen=True)
class Desk:
    """Where questions are put and answers kept."""

    store: Store
    temperature: float

    def held(self, question: Question) -> Answers | None:
        """Answers given before to just this; None where there are none."""
        lines = self.store.held(question.place, self._made_from(question))
        return None if lines is None else _answers(lines)

    def ask(self, question: Question, ticker: Ticker) -> Answers:
        """The model's answers, which are kept."""
        made_from = self._made_from(question)
        return _answers(self.store.lines(question.place, made_from, lambda: self._anew(question, ticker)))

    def _made_from(self, question: Question) -> dict[str, Any]:
        plan = WAYS[question.way][0]
        prompts = [prompt_text(asked.room, asked.request, plan=plan) for asked in question.rooms]
        return {
            "model": question.model.fingerprint,
            "way": [question.way, *WAYS[question.way]],
            "seed": question.seed,
            "temperature": self.temperature,
            "prompts": sha256("\0".join(prompts).encode()).hexdigest(),
        }

    def _anew(self, question: Question, ticker: Ticker) -> list[dict[str, Any]]:
        """Asked in chunks of requests whose answers will be of like length, as far as the room and the request tell."""
        (plan, constrained, space, tries), rooms = WAYS[question.way], question.rooms
        order = sorted(range(len(rooms)), key=lambda i: _length(rooms[i]))
        found: dict[int, dict[str, Any]] = {}
        for k, chunk in enumerate(batches(order, CHUNK)):
            began = perf_counter()
            texts = answers(
                question.model.backend,
                [Job(Scene(room=rooms[i].room), rooms[i].request) for i in chunk],
                plan=plan,
                constrained=constrained,
                space=space,
                tries=tries,
                temperature=self.temperature,
                seed=_chunk_seed(question.seed, k),
            )
            seconds = (perf_counter() - began) / len(chunk)
            for i, text in zip(chunk, texts, strict=True):
                found[i] = {"id": rooms[i].id, "text": text, "seconds": round(seconds, 4)}
            ticker.advance(len(chunk))
        return [found[i] for i in range(len(rooms))]


def _answers(lines: Sequence[dict[str, Any]]) -> Answers:
    return Answers([line["text"] for line in lines], sum(line["seconds"] for line in lines) / len(lines))


def _length(asked: Asked) -> tuple[float, float]:
    """Smaller where a short answer is likely."""
    return (
        len(asked.reference.objects) if asked.reference is not None else len(asked.request)
    ), asked.room.area


def _chunk_seed(seed: int, chunk: int) -> int:
    """Different in every chunk: a backend begins anew with each call."""
    return int.from_bytes(sha256(f"{seed}/{chunk}".encode()).digest()[:4], "big")


def scenes(found: Answers, rooms: Sequence[Asked]) -> list[Scene | None]:
    """The rooms in the answers, None where a text could not be read."""
    read = [parse(text, asked.room) for text, asked in zip(found.texts, rooms, strict=True)]
    return [p.scene if isinstance(p, Parsed) else None for p in read]


def unread(drawn: Sequence[Answers], rooms: Sequence[Asked]) -> dict[str, int]:
    """How many texts could not be read, by the parser's codes."""
    read = (parse(text, asked.room) for a in drawn for text, asked in zip(a.texts, rooms, strict=True))
    return dict(Counter(p.code for p in read if isinstance(p, ParseFailure)))


def best_of(drawn: Sequence[Answers], rooms: Sequence[Asked]) -> list[Scene | None]:
    """For every request the least faulty of its answers, by a validator that knows only the request's words; the first of equals."""
    chosen: list[Scene | None] = []
    for p, asked in enumerate(rooms):
        spec = spec_of(asked.request)
        read = [candidate(found.texts[p], asked.room, spec) for found in drawn]
        readable = [(cost(c.report), c.scene) for c in read if c.report is not None]
        chosen.append(min(readable, key=lambda pair: pair[0])[1] if readable else None)
    return chosen


def repaired(found: Sequence[Scene | None], rooms: Sequence[Asked], ticker: Ticker) -> list[Scene | None]:
    """The rooms after repair that knows only the request's words."""
    mended: list[Scene | None] = []
    for scene, asked in zip(found, rooms, strict=True):
        mended.append(None if scene is None else repair(scene, spec_of(asked.request)).scene)
        ticker.advance()
    return mended
