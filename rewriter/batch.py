"""Batch rewriting of a prompt file into a JSONL that can be interrupted and resumed.

One line per prompt: {"id", "prompt", "rewrite", "changed", "fallback_used", "reason", "violations", "model"}. A run continues
where the output ends: finished ids are skipped, a torn last line (killed while writing) is cut off, prompts that the model could
not answer at all (`upstream_error`) are not recorded and come again. Two runs on one output are refused.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rewriter.datasets import PromptRow, read_prompts
from rewriter.rewriter import Rewriter

_LINE_START = b'{"id": "'  # how `rewrite_file` begins each line; ids are texts


class BatchError(RuntimeError):
    """The batch cannot go on: the message says what to change."""


@dataclass(frozen=True)
class BatchSummary:
    """What one call did. `skipped` were in the output already."""

    total: int
    skipped: int
    written: int
    changed: int
    fallbacks: int


def rewrite_file(
    rewriter: Rewriter,
    source: str | Path,
    output: str | Path,
    *,
    batch_size: int = 32,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BatchSummary:
    """Rewrite every prompt of `source` (any file `read_prompts` takes) into `output`.

    `on_progress(done, total)` is called after each batch. Raises PromptFileError for the input, BatchError for the output, for a
    second run on it, or when a whole batch got no answer from the model.
    """
    rows = read_prompts(source, limit=limit)
    path = Path(output)
    if path.resolve() == Path(source).resolve():
        raise BatchError(f"{path} is the input itself; choose another --output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+b")
    except OSError as error:
        raise BatchError(f"cannot write {path}: {error.strerror}; choose another --output") from error
    with handle, _exclusive(handle, path):
        done = _finished(handle, path, rows, rewriter.revision)
        todo = [row for row in rows if row.id not in done]
        written = changed = fallbacks = 0
        for start in range(0, len(todo), batch_size):
            chunk = todo[start : start + batch_size]
            results = rewriter.rewrite([row.prompt for row in chunk])
            lines: list[str] = []
            for row, result in zip(chunk, results, strict=True):
                if result.reason == "upstream_error":
                    continue
                line = {
                    "id": row.id,
                    "prompt": row.prompt,
                    "rewrite": result.prompt,
                    "changed": result.changed,
                }
                line |= {"fallback_used": result.fallback_used, "reason": result.reason}
                line |= {"violations": list(result.violations), "model": rewriter.revision}
                lines.append(json.dumps(line, ensure_ascii=False) + "\n")
                changed += result.changed
                fallbacks += result.fallback_used
            if not lines:
                raise BatchError(
                    f"the language model answered none of {len(chunk)} prompts (see the log); {len(done) + written} of {len(rows)} "
                    f"are in {path}, run the same command again to go on"
                )
            handle.write("".join(lines).encode())  # one append: a kill leaves at most one torn line
            handle.flush()
            os.fsync(handle.fileno())
            written += len(lines)
            if on_progress:
                on_progress(len(done) + written, len(rows))
    return BatchSummary(len(rows), len(done), written, changed, fallbacks)


def _finished(handle: BinaryIO, path: Path, rows: list[PromptRow], revision: str) -> set[str]:
    """Ids in the output, after a torn last line was cut off. Refuses an output of other prompts or of another model.

    Nothing is cut before every whole line, and the start of the torn one, read as lines of a batch: `path` may be any file of the
    user's, named by mistake.
    """
    prompts = {row.id: row.prompt for row in rows}
    handle.seek(0)
    data: bytes = handle.read()
    whole = data.rfind(b"\n") + 1
    done: set[str] = set()
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
            row_id, prompt, model, _ = row["id"], row["prompt"], row["model"], row["rewrite"]
            known = prompts.get(row_id)
        except (ValueError, KeyError, TypeError) as error:
            raise _not_a_batch(path, number, repr(error)) from error
        if model != revision:
            raise BatchError(
                f"{path} was written by another rewriter ({model}, this one is {revision}); choose another --output"
            )
        if known is not None and known != prompt:
            raise BatchError(
                f"{path}, line {number}: id {row_id!r} has another prompt than the input; choose another --output"
            )
        if known is not None:
            done.add(row_id)
    if not _may_be_torn(data[whole:]):
        raise _not_a_batch(path, data.count(b"\n") + 1, repr(data[whole : whole + 40]))
    handle.truncate(whole)
    return done


def _may_be_torn(end: bytes) -> bool:
    """Whether the last bytes are the start of a line of ours; a whole JSON value without a newline may be a user's one-line file."""
    try:
        return "rewrite" in json.loads(end)
    except (ValueError, TypeError):
        return end.startswith(_LINE_START) or _LINE_START.startswith(end)


def _not_a_batch(path: Path, number: int, why: str) -> BatchError:
    return BatchError(
        f"{path}, line {number} is not a line of a rewrite batch ({why}); choose another --output or delete the file"
    )


@contextmanager
def _exclusive(handle: BinaryIO, path: Path) -> Iterator[None]:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BatchError(f"another run is writing {path}; wait for it, or choose another --output") from error
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)
