"""Public prompt sets, read from the files their authors publish. Recognised by their content, never by a network look-up.

Each set has its licence and what it may be used for. None of them is in this repository.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewriter.datasets import PromptFileError, PromptRow, Use, parse_json, read_table


@dataclass(frozen=True)
class PublicSet:
    """How to recognise and read one published set. `accepts` sees the file and its first line."""

    name: str
    licence: str
    accepts: Callable[[Path, str], bool]
    read: Callable[["PublicSet", Path, str], list[PromptRow]]

    def row(self, number: int, prompt: str, **fields: Any) -> PromptRow:
        return PromptRow(
            id=f"{self.name}:{number}", prompt=prompt, licence=self.licence, source=self.name, **fields
        )


def read_public(file: Path, text: str) -> list[PromptRow] | None:
    """The rows of a public set, or None if the file is not one we know."""
    first = text.split("\n", 1)[0][:2000]
    for known in PUBLIC_SETS:
        if known.accepts(file, first):
            return known.read(known, file, text)
    return None


def _lines(file: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    records = [
        (n, parse_json(file, n, line)) for n, line in enumerate(text.split("\n"), start=1) if line.strip()
    ]
    for number, record in records:
        if not isinstance(record, dict) or not isinstance(record.get("prompt"), str):
            raise PromptFileError(f"{file}, line {number}: no 'prompt'")
    return records


def _geneval(known: PublicSet, file: Path, text: str) -> list[PromptRow]:
    """{"tag", "include": [{"class", "count", …}], "exclude"?, "prompt"}; the metadata is the spec."""
    rows: list[PromptRow] = []
    for number, record in _lines(file, text):
        spec = {k: v for k, v in record.items() if k != "prompt"}
        rows.append(
            known.row(number, record["prompt"], spec=spec, tags=(record["tag"],), language="en", use="eval")
        )
    return rows


def _t2i_r1(known: PublicSet, file: Path, text: str) -> list[PromptRow]:
    """{"prompt", "task_type", "nouns", "attr_nouns"?, "spatial_info"?, "numbers"?}; the labels are the spec."""
    rows: list[PromptRow] = []
    for number, record in _lines(file, text):
        spec = {k: v for k, v in record.items() if k != "prompt"}
        rows.append(
            known.row(
                number, record["prompt"], spec=spec, tags=(record["task_type"],), language="en", use="train"
            )
        )
    return rows


def _t2i_compbench(known: PublicSet, file: Path, text: str) -> list[PromptRow]:
    """One prompt per line; category and split are in the file's name. Two lines carry a tab or a trailing full stop: kept."""
    category, split = file.stem.rsplit("_", 1)
    use: Use = "train" if split == "train" else "eval"
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    name = PublicSet(f"{known.name}/{file.stem}", known.licence, known.accepts, known.read)
    return [name.row(n, line, tags=(category,), language="en", use=use) for n, line in lines]


def _unigenbench(known: PublicSet, file: Path, text: str) -> list[PromptRow]:
    """index, prompt_<lang>, sub_dims_<lang> (JSON with test points and their descriptions)."""
    from rewriter.keypoints import UNIGEN_ZH

    rows: list[PromptRow] = []
    for number, record in read_table(file, text):
        language = next(k.removeprefix("prompt_") for k in record if k.startswith("prompt_"))
        spec = parse_json(file, number, record[f"sub_dims_{language}"])
        points = spec.get("Testpoints") or [UNIGEN_ZH.get(p, p) for p in spec.get("考点", ())]
        short = language.removesuffix("_long")
        name = PublicSet(f"{known.name}/{language}", known.licence, known.accepts, known.read)
        prompt = record[f"prompt_{language}"]
        rows.append(
            name.row(int(record["index"]), prompt, spec=spec, tags=tuple(points), language=short, use="eval")
        )
    return rows


def _unigenbench_train(known: PublicSet, file: Path, text: str) -> list[PromptRow]:
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    name = PublicSet(f"{known.name}/train", known.licence, known.accepts, known.read)
    return [name.row(n, line, use="train") for n, line in lines]


def _vbench(known: PublicSet, file: Path, text: str) -> list[PromptRow]:
    """A JSON list of {"prompt_en", "dimension": […], "auxiliary_info"?}."""
    rows: list[PromptRow] = []
    for number, record in enumerate(parse_json(file, None, text), start=1):
        spec = {k: v for k, v in record.items() if k != "prompt_en"}
        tags = tuple(record["dimension"])
        rows.append(known.row(number, record["prompt_en"], spec=spec, tags=tags, language="en", use="eval"))
    return rows


def _dsg(known: PublicSet, file: Path, text: str) -> list[PromptRow]:
    """One line per question; the questions of an item with their dependencies become its spec."""
    items: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    for _, record in read_table(file, text):
        # Ten of the published cells hold a word beside the number ("5, right"): it names no question.
        parents = [
            int(p) for p in record.get("dependency", "").split(",") if p.strip().isdecimal() and int(p)
        ]
        question = {
            "id": int(record["proposition_id"]),
            "depends_on": parents,
            "category": record.get("category_broad"),
            "tuple": record.get("tuple"),
            "question": record.get("question_natural_language"),
        }
        items.setdefault(record["item_id"], (record["text"], []))[1].append(question)
    return [
        PromptRow(
            id=f"{known.name}:{item}",
            prompt=prompt,
            spec={"questions": questions},
            licence=known.licence,
            source=known.name,
            language="en",
            tags=(item.rsplit("_", 1)[0],),
            use="eval",
        )
        for item, (prompt, questions) in items.items()
    ]


def _has_keys(file: Path, first: str, *keys: str) -> bool:
    if file.suffix.lower() not in (".jsonl", ".ndjson", ".json"):
        return False
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and all(key in record for key in keys)


_COMPBENCH = re.compile(
    r"(?:color|shape|texture|spatial|3d_spatial|non_spatial|numeracy|complex)_(?:train|val)"
)
_UNIGEN_HEAD = re.compile(r"index,prompt_(\w+),sub_dims_\1\s*$")

PUBLIC_SETS = (
    PublicSet("geneval", "MIT", lambda f, s: _has_keys(f, s, "tag", "include", "prompt"), _geneval),
    PublicSet("t2i_r1", "Apache-2.0", lambda f, s: _has_keys(f, s, "task_type", "nouns", "prompt"), _t2i_r1),
    PublicSet(
        "t2i_compbench",
        "MIT",
        lambda f, s: f.suffix == ".txt" and bool(_COMPBENCH.fullmatch(f.stem)),
        _t2i_compbench,
    ),
    PublicSet(
        "unigenbench",
        "CC-BY-4.0",
        lambda f, s: f.suffix == ".csv" and bool(_UNIGEN_HEAD.match(s)),
        _unigenbench,
    ),
    PublicSet(
        "unigenbench",
        "CC-BY-4.0",
        lambda f, s: f.name == "train_prompt.txt" and f.parent.name in ("unigenbench", "data"),
        _unigenbench_train,
    ),
    PublicSet("vbench", "Apache-2.0", lambda f, s: f.name == "VBench_full_info.json", _vbench),
    PublicSet(
        "dsg",
        "Apache-2.0",
        lambda f, s: s.startswith("item_id,text,keywords,proposition_id,dependency"),
        _dsg,
    ),
)
