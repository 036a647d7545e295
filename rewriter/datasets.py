"""Prompt files and public sets → rows; rows → TRL's conversational format.

A file may be text (one prompt per line), JSONL or JSON (`{"prompt": …, "spec"?, "id"?, "licence"?, "language"?, "tags"?}`), CSV or TSV with a `prompt`
column, or one of the public sets in `public_sets.py` as its authors published it. A row's `spec` is an opaque mapping here: the
world that judges it validates it. Nothing is guessed: a file that is not what it seems is a PromptFileError with the line.
"""

import csv
import difflib
import io
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rewriter.parsing import encodable
from rewriter.schema import Rewrite
from rewriter.templates import Template

logger = logging.getLogger(__name__)

MAX_BYTES = 64 * 2**20
MAX_PROMPT_CHARS = 20_000
_KEYS = frozenset({"id", "prompt", "spec", "licence", "license", "source", "language", "tags"})
Use = Literal["any", "train", "eval"]


class PromptFileError(ValueError):
    """A prompt file that cannot be used; the message names file, line and way out."""


@dataclass(frozen=True)
class PromptRow:
    """One prompt. `use` "eval" marks rows of a test set, which training refuses."""

    id: str
    prompt: str
    spec: Mapping[str, Any] | None = None
    licence: str = "unknown"  # SPDX identifier
    source: str = ""
    language: str | None = None
    tags: tuple[str, ...] = ()  # key points or the public set's own categories
    use: Use = "any"


def read_prompts(
    path: str | Path,
    limit: int | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    duplicates: Literal["drop", "keep", "error"] = "drop",
) -> list[PromptRow]:
    """The prompts of a file, in order, at most `limit` of them.

    The same prompt with the same spec twice is dropped (and logged), kept, or an error; the same id twice is always an error.
    """
    from rewriter.public_sets import read_public

    file = Path(path)
    text = _read_text(file, max_bytes)
    rows = read_public(file, text)
    if rows is None:
        rows = _read_plain(file, text)
    rows = _check(file, rows, duplicates)
    if not rows:
        raise PromptFileError(f"{file} holds no prompt")
    return rows if limit is None else rows[:limit]


def _read_text(file: Path, max_bytes: int) -> str:
    if file.is_dir():
        raise PromptFileError(f"{file} is a folder; give one file (.txt, .jsonl, .json, .csv or .tsv)")
    if not file.is_file():
        raise PromptFileError(f"{file} does not exist")
    size = file.stat().st_size
    if size == 0:
        raise PromptFileError(f"{file} is empty")
    if size > max_bytes:
        raise PromptFileError(
            f"{file} has {size / 2**20:.0f} MiB; the limit is {max_bytes / 2**20:.0f} MiB: split it"
        )
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PromptFileError(f"cannot read {file}: {error.strerror}") from error
    if b"\x00" in data[:65536]:
        raise PromptFileError(f"{file} is a binary file; prompts are text in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PromptFileError(
            f"{file}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8; convert it (iconv -f LATIN1 -t UTF-8), "
            f"or it is not a text file"
        ) from error


def _read_plain(file: Path, text: str) -> list[PromptRow]:
    suffix = file.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        records = [
            (n, parse_json(file, n, line)) for n, line in enumerate(text.split("\n"), start=1) if line.strip()
        ]
    elif suffix == ".json":
        whole = parse_json(file, None, text)
        if not isinstance(whole, list):
            raise PromptFileError(
                f"{file} must hold a JSON list of objects with a 'prompt', or be JSON lines named .jsonl"
            )
        records = list(enumerate(whole, start=1))
    elif suffix in (".csv", ".tsv"):
        records = read_table(file, text)
    elif suffix in (".txt", ".md", ""):
        lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
        records = [(n, {"prompt": line}) for n, line in lines]
    else:
        raise PromptFileError(f"{file}: unknown kind {suffix!r}; use .txt, .jsonl, .json, .csv or .tsv")
    rows = [_row(file, number, record) for number, record in records]
    _warn_of_unread(file, [record for _, record in records])
    return rows


def parse_json(file: Path, number: int | None, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"{file}, line {number}" if number else str(file)
        raise PromptFileError(f"{where} is not valid JSON: {error}; text: {text[:80]!r}") from error


def read_table(file: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    """(line, record) of a CSV or TSV with a header."""
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [
            (reader.line_num, {k: v for k, v in row.items() if k and v not in (None, "")}) for row in reader
        ]
    except csv.Error as error:
        raise PromptFileError(f"{file}, line {reader.line_num}: not a valid table: {error}") from error


def _row(file: Path, number: int, record: Any) -> PromptRow:
    where = f"{file}, line {number}"
    if not isinstance(record, dict):
        raise PromptFileError(f"{where}: expected an object with a 'prompt', got {str(record)[:60]!r}")
    if "prompt" not in record:
        raise PromptFileError(f"{where}: no 'prompt'; it has {', '.join(map(repr, record)) or 'nothing'}")
    prompt, spec = record["prompt"], record.get("spec")
    if not isinstance(prompt, str):
        raise PromptFileError(f"{where}: 'prompt' must be a text, got {type(prompt).__name__}")
    if not prompt.strip():
        raise PromptFileError(f"{where}: the prompt is empty")
    if not encodable(prompt):
        raise PromptFileError(
            f"{where}: the prompt holds a NUL or half of a surrogate pair, which no tokenizer reads"
        )
    if len(prompt) > MAX_PROMPT_CHARS:
        raise PromptFileError(
            f"{where}: the prompt has {len(prompt):,} characters; the limit is {MAX_PROMPT_CHARS:,}"
        )
    if isinstance(spec, str):
        spec = parse_json(file, number, spec)
    if spec is not None and not isinstance(spec, dict):
        raise PromptFileError(f"{where}: 'spec' must be an object, got {type(spec).__name__}")
    tags = record.get("tags") or ()
    if not isinstance(tags, str | list | tuple):
        raise PromptFileError(
            f"{where}: 'tags' must be a list of texts, or one text with ';' between them, got {type(tags).__name__}"
        )
    language = record.get("language")
    if not isinstance(language, str | None):
        raise PromptFileError(
            f"{where}: 'language' must be a text such as \"en\", got {type(language).__name__}"
        )
    if not encodable(json.dumps(record, ensure_ascii=False)):
        raise PromptFileError(f"{where}: half of a surrogate pair in 'id', 'spec', 'tags' or another field")
    return PromptRow(
        id=str(record["id"]) if record.get("id") is not None else f"{file.stem}:{number}",
        prompt=prompt,
        spec=spec,
        licence=str(record.get("licence") or record.get("license") or "unknown"),
        source=str(record.get("source") or file.name),
        language=language,
        tags=tuple(tags.split(";")) if isinstance(tags, str) else tuple(map(str, tags)),
    )


def _warn_of_unread(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """One warning for all keys that no row has a place for: an extra column is fine, a misspelt 'spec' is lost."""
    unread = sorted({str(key) for record in records for key in record} - _KEYS)
    if not unread:
        return
    told = []
    for key in unread[:5]:
        close = difflib.get_close_matches(key, sorted(_KEYS), n=1, cutoff=0.7)
        told.append(f"{key!r}{f' (did you mean {close[0]!r}?)' if close else ''}")
    more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
    logger.warning("%s: not read: %s%s; known: %s", file, ", ".join(told), more, ", ".join(sorted(_KEYS)))


def _check(file: Path, rows: list[PromptRow], duplicates: str) -> list[PromptRow]:
    ids: set[str] = set()
    seen: dict[tuple[str, str], str] = {}
    kept: list[PromptRow] = []
    for row in rows:
        if row.id in ids:
            raise PromptFileError(f"{file}: the id {row.id!r} occurs twice; ids must be unique")
        ids.add(row.id)
        key = (row.prompt, json.dumps(row.spec, sort_keys=True, default=str))
        if key in seen and duplicates == "error":
            raise PromptFileError(f"{file}: {row.id!r} repeats {seen[key]!r}: {row.prompt[:60]!r}")
        if key in seen and duplicates == "drop":
            continue
        seen.setdefault(key, row.id)
        kept.append(row)
    if len(kept) < len(rows):
        logger.info("%s: dropped %d repeated prompts of %d", file, len(rows) - len(kept), len(rows))
    return kept


def to_grpo_rows(rows: Iterable[PromptRow], template: Template) -> list[dict[str, Any]]:
    """Rows for GRPOTrainer: `prompt` is the conversation; the other columns reach the reward.

    Raises PromptFileError for rows of a test set: training on them makes the benchmark worthless.
    """
    return [
        {
            "prompt": template.messages(row.prompt),
            "prompt_text": row.prompt,
            "spec": None if row.spec is None else json.dumps(row.spec, sort_keys=True, ensure_ascii=False),
            "row_id": row.id,
        }
        for row in _trainable(rows)
    ]


def to_sft_rows(pairs: Iterable[tuple[PromptRow, Rewrite]], template: Template) -> list[dict[str, Any]]:
    """Rows for SFTTrainer in the prompt-completion form (the loss is on the completion only)."""
    return [
        {
            "prompt": template.messages(row.prompt),
            "completion": [{"role": "assistant", "content": template.completion(rewrite)}],
            "row_id": row.id,
        }
        for row, rewrite in ((_trainable([row])[0], rewrite) for row, rewrite in pairs)
    ]


def _trainable(rows: Iterable[PromptRow]) -> list[PromptRow]:
    rows = list(rows)
    for row in rows:
        if row.use == "eval":
            raise PromptFileError(
                f"{row.source}: {row.id!r} belongs to a test set ('evaluation only'); train on another file"
            )
    return rows


def overlap(rows: Sequence[PromptRow], held_out: Sequence[PromptRow], n: int = 8) -> set[str]:
    """Ids of rows that share a sequence of n words (or the whole of a shorter prompt) with a held-out prompt."""

    def grams(prompt: str) -> set[tuple[str, ...]]:
        words = prompt.lower().split()
        return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}

    forbidden = set().union(*(grams(row.prompt) for row in held_out)) if held_out else set()
    return {row.id for row in rows if grams(row.prompt) & forbidden}
