"""The prompts of a GRPO run, in the order in which it meets them.

The list is as long as the run and depends on (seed, index) alone: a resumed or lengthened run meets the same prompts at the same steps.
A file shorter than the run is repeated in a new order each time, under new row ids, so that its images get new seeds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from recipes.configuration import ConfigError
from recipes.terminal import remark
from rewriter.datasets import PromptFileError, PromptRow, read_prompts

log = logging.getLogger(__name__)
WORLDS = ("shapes",)


def prompt_rows(
    source: str, count: int, seed: int, unusable: Callable[[str], str | None] = lambda prompt: None
) -> list[PromptRow]:
    """`count` rows from a prompt file, or drawn from an embedded world. Raises ConfigError naming the source.

    Prompts of a file for which `unusable` has a reason are left out, with a warning.
    """
    if source in WORLDS:
        return shapes_rows(count, seed)
    if not source:
        raise ConfigError(
            'prompts: missing; give a prompt file, or "shapes" for prompts of the embedded world'
        )
    try:
        rows = read_prompts(source)
    except PromptFileError as error:
        known = "" if Path(source).suffix else f" (embedded worlds: {', '.join(WORLDS)})"
        raise ConfigError(f"prompts: {error}{known}") from error
    return repeated(usable(rows, source, unusable), count, seed)


def usable(rows: Sequence[PromptRow], source: str, unusable: Callable[[str], str | None]) -> list[PromptRow]:
    """The rows without those that have a reason against them. Raises ConfigError where none is left."""
    reasons = [(row, reason) for row in rows if (reason := unusable(row.prompt)) is not None]
    if not reasons:
        return list(rows)
    row, reason = reasons[0]
    told = f"{len(reasons)} of {len(rows)} prompts cannot be trained on (the first: {row.id!r}, {reason})"
    if len(reasons) == len(rows):
        raise ConfigError(f"prompts: {source}: {told}; nothing is left")
    remark(f"{source}: {told}; they are left out")
    dropped = {row.id for row, _ in reasons}
    return [row for row in rows if row.id not in dropped]


def source_hash(source: str, seed: int) -> str:
    """Of a file's bytes, or of what a world says; unlike a hash of a run's rows it does not change with the length of the run."""
    from recipes.run_record import sha256_of, sha256_rows

    if source in WORLDS:
        return sha256_rows([{"prompt": row.prompt, "spec": row.spec} for row in shapes_rows(64, seed)])
    return sha256_of(source)


def shapes_rows(count: int, seed: int) -> list[PromptRow]:
    """User prompts of training scenes in training templates; each with the targets it asks for, and never its caption."""
    import numpy as np

    from diffusion_core.worlds.shapes.users import sample_user_prompt, templates_of

    templates = templates_of("train")
    rows = []
    for index in range(count):
        user = sample_user_prompt(np.random.default_rng([seed, 1, index]), split="train", templates=templates)
        rows.append(
            PromptRow(
                f"shapes-{seed}-{index}",
                user.text,
                user.spec.to_json(),
                licence="Apache-2.0",
                source="shapes",
                tags=user.tags,
            )
        )
    return rows


def caption_rows(count: int, seed: int) -> list[PromptRow]:
    """Training scenes in the generator's own words: what it is trained on itself, rather than a rewriter for it."""
    import numpy as np

    from diffusion_core.worlds.shapes import caption, sample_spec

    rows = []
    for index in range(count):
        spec = sample_spec(np.random.default_rng([seed, 3, index]), split="train")
        rows.append(
            PromptRow(
                f"captions-{seed}-{index}",
                caption(spec),
                spec.to_json(),
                licence="Apache-2.0",
                source="captions",
            )
        )
    return rows


def repeated(rows: Sequence[PromptRow], count: int, seed: int) -> list[PromptRow]:
    """Shuffled passes over the rows until there are `count`; from the second pass on, ids end in `@pass`."""
    import numpy as np

    found: list[PromptRow] = []
    passes = 0
    while len(found) < count:
        order = np.random.default_rng([seed, 2, passes]).permutation(len(rows))
        found += [
            rows[i] if passes == 0 else replace(rows[i], id=f"{rows[i].id}@{passes}") for i in order.tolist()
        ]
        passes += 1
    if passes > 1:
        log.info("%d prompts are met about %.1f times each", len(rows), count / len(rows))
    return found[:count]


class Licensed(Protocol):
    @property
    def licence(self) -> str: ...


def licence_of_rows(rows: Sequence[Licensed]) -> str:
    """One identifier for all rows: theirs, joined by AND where they differ."""
    return " AND ".join(sorted({row.licence for row in rows})) or "unknown"
