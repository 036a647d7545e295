"""The prompts an evaluation asks: by people who did not see the grammar, held-out ones of the grammar, or a user's file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

HELD_OUT_SEED = 20_250  # of the scenes and wordings; the images' seeds are the evaluation's own
OURS = "Apache-2.0"  # of the prompts that are part of this repository


@dataclass(frozen=True, slots=True)
class Prompt:
    """A user's prompt, what it asks for (None: not known, pictures only), the key points it exercises, and its SPDX identifier."""

    row_id: str
    prompt: str
    spec: dict[str, Any] | None = None
    tags: tuple[str, ...] = field(default=())
    licence: str = "unknown"


def held_out(count: int, seed: int = HELD_OUT_SEED) -> list[Prompt]:
    """`count` distinct prompts whose templates and whose combinations of things were kept out of training.

    The first prompts do not depend on `count`.
    """
    import numpy as np

    from diffusion_core.worlds.shapes.users import sample_user_prompt, templates_of

    rng = np.random.default_rng(seed)
    templates = templates_of("held_out")
    found: dict[str, Prompt] = {}
    while len(found) < count:
        user = sample_user_prompt(rng, split="held_out", templates=templates)
        tags = tuple(dict.fromkeys((*user.tags, f"objects_{user.spec.total[0]}")))
        prompt = Prompt(f"held-{len(found):04d}", user.text, user.spec.to_json(), tags, OURS)
        found.setdefault(user.text, prompt)
    return list(found.values())


def handwritten(limit: int | None = None) -> list[Prompt]:
    """Prompts with specs that were written by hand without looking at the grammar's templates."""
    text = (files("recipes") / "data" / "handwritten.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    prompts = [
        Prompt(f"hand-{i:04d}", row["prompt"], row["spec"], tuple(row["tags"]), OURS)
        for i, row in enumerate(rows)
    ]
    # Every k-th of the whole, so that a short run sees all kinds; the file is ordered by kind.
    return (
        prompts
        if limit is None or limit >= len(prompts)
        else [prompts[i * len(prompts) // limit] for i in range(limit)]
    )


def from_file(path: Path, limit: int | None = None) -> list[Prompt]:
    """A user's file: lines of text, or JSONL/CSV with `prompt` and, where it can be judged, `spec`.

    Raises ValueError naming the line whose spec is no scene.
    """
    from rewriter.datasets import read_prompts

    return [
        Prompt(row.id, row.prompt, dict(row.spec) if row.spec else None, row.tags, row.licence)
        for row in read_prompts(path, limit=limit)
    ]


def check_specs(prompts: Sequence[Prompt], source: str) -> None:
    """Refuse specs that the shapes judge cannot read, before anything is drawn."""
    from pydantic import ValidationError

    from diffusion_core.worlds.shapes.spec import SceneSpec

    for prompt in prompts:
        if prompt.spec is None:
            continue
        try:
            SceneSpec.model_validate(prompt.spec)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(
                f"{source}: the spec of {prompt.prompt[:60]!r} is no scene ({where}: {first['msg']}); it reads like "
                '{"objects": [{"shape": "circle", "color": "red", "count": 2}], "background": "white"}'
            ) from error
