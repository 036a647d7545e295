"""SceneEval's annotated prompts (MIT) as requests with a spec, as far as the relations here can say what theirs say.

A row has a sentence and four columns of predicates separated by ";": ObjCount `quantifier,N,category`; ObjAttr, which nothing here can
see; OORel `quantifier,N,relation,anchor,category,category,…`, the anchor being an index into the categories (−1: the first) and the
reference of the relation; OARel `quantifier,N,relation,category,part of the room`. What has no counterpart is counted, not guessed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from layout.catalogue import CATALOGUE, named
from layout.schema import CountSpec, Quantifier, RelationSpec, RoomType, Spec

COLUMNS = ("ID", "Description", "ObjCount", "ObjAttr", "OORel", "OARel", "SceneScope")
KINDS = {"ObjCount": "count", "ObjAttr": "attribute", "OORel": "object-object", "OARel": "object-room"}
EARLY = 60  # characters in which a description has to say what room it is
_ROOM = re.compile(r"\b(bedroom|living room|kitchen|bathroom)\b", re.IGNORECASE)

# What their annotators call what the catalogue has under another noun.
_NOUNS = {
    "area rug": "rug", "armoire": "wardrobe", "bathroom sink": "vanity", "bedside clock": "alarm_clock", "beanbag chair": "ottoman",
    "book": "books", "canopy bed": "double_bed", "coffee cup": "mug", "coffee mug": "mug", "desk lamp": "table_lamp",
    "floor plant": "plant", "futon sofa": "sofa", "laundry hamper": "laundry_basket", "office desk": "desk", "picture frame": "painting",
    "potted succulent": "plant", "reading chair": "armchair", "recliner": "armchair", "recliner chair": "armchair",
    "rolling chair": "desk_chair", "shower stall": "shower", "sofa chair": "armchair", "tea kettle": "kettle", "tub": "bathtub",
    "writing desk": "desk",
}  # fmt: skip
_BY_ROOM: dict[tuple[str, RoomType], str] = {
    ("vanity", "bedroom"): "vanity_table",
    ("sink", "bathroom"): "vanity",
    ("sink", "kitchen"): "kitchen_sink",
    ("stool", "kitchen"): "bar_stool",
    ("cabinet", "kitchen"): "counter",
}
_PAIR = {
    "on": "on_top_of", "above": "on_top_of", "next": "next_to", "next_to": "next_to", "beside": "next_to", "adjacent": "next_to",
    "left": "left_of", "right": "right_of", "front": "in_front_of", "in_front": "in_front_of", "behind": "behind",
    "foot": "in_front_of", "at_the_foot": "in_front_of", "face": "facing", "facing": "facing", "near": "near",
    "across": "across_from", "opposite": "opposite", "under": "under", "below": "under",
}  # fmt: skip
_ROOM_WORDS = ("room", "bedroom", "living_room", "kitchen", "bathroom")
_PARTS: dict[tuple[str, str], tuple[str, str]] = {
    ("against", "wall"): ("against", "wall"),
    ("on", "wall"): ("on", "wall"),
    ("hang", "ceiling"): ("hangs_from", "ceiling"),
    **{(word, "window"): ("at", "window") for word in ("under", "beneath", "below", "in_front")},
    **{("corner", room): ("in", "corner") for room in _ROOM_WORDS},
    **{(word, room): ("in_middle_of", "room") for word in ("middle", "center") for room in _ROOM_WORDS},
    **{
        (word, part): (relation, part)
        for word, relation in {
            "next": "next_to", "next_to": "next_to", "beside": "next_to", "near": "near", "across": "across_from", "far": "far_from",
        }.items()
        for part in ("door", "window", "wall")
    },
}  # fmt: skip


@dataclass(frozen=True)
class Annotated:
    """A prompt with what of it can be measured: `asked` and `covered` are numbers of predicates by kind."""

    id: str
    text: str
    room_type: RoomType
    spec: Spec
    asked: Mapping[str, int] = field(default_factory=dict)
    covered: Mapping[str, int] = field(default_factory=dict)
    needs_window: bool = False

    @property
    def objects(self) -> int:
        """How many objects the counts that are covered name at least."""
        return sum(c.n for c in self.spec.counts if c.quantifier in ("eq", "ge", "gt"))


def read_annotations(path: str | Path) -> list[Annotated]:
    """The rows about one room of the four types, as the first 60 characters of their text say.

    Raises ValueError naming the file for missing columns, and the row for a predicate that is not written as above.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path}: the columns {', '.join(missing)} are missing; SceneEval's annotations have {', '.join(COLUMNS)}"
            )
        found = [_row(row, f"{path} row {row['ID']}") for row in reader]
    rows = [row for row in found if row is not None]
    if not rows:
        raise ValueError(
            f"{path}: none of its {len(found)} rows says in its first {EARLY} characters that it is a bedroom, living room, kitchen or bathroom"
        )
    return rows


def _row(row: Mapping[str, str], place: str) -> Annotated | None:
    said = _ROOM.search(row["Description"])
    if said is None or said.start() >= EARLY or row["SceneScope"] != "single_room":
        return None
    kind: RoomType = said[1].lower().replace(" ", "_")  # type: ignore[assignment]
    asked: dict[str, int] = {}
    counts: list[CountSpec] = []
    relations: list[RelationSpec] = []
    covered = dict.fromkeys(KINDS.values(), 0)
    for column, name in KINDS.items():
        parts = list(_predicates(row[column] or "", f"{place}, {column}"))
        asked[name] = len(parts)
        for quantifier, n, words in parts:
            if column == "ObjCount":
                category = _category(words[0], kind)
                if category is not None:
                    counts.append(CountSpec(category=category, n=n, quantifier=quantifier))
                    covered[name] += 1
            elif column != "ObjAttr":
                relation = (_pair if column == "OORel" else _of_room)(words, kind, quantifier, n)
                if relation is not None:
                    relations.append(relation)
                    covered[name] += 1
    spec = Spec(counts=tuple(counts), relations=tuple(relations))
    window = any("window" in r.references for r in relations)
    return Annotated(row["ID"], row["Description"], kind, spec, asked, covered, window)


def _predicates(text: str, place: str) -> Iterator[tuple[Quantifier, int, list[str]]]:
    """(quantifier, N, the rest) of each predicate of a column."""
    for part in filter(str.strip, text.split(";")):
        quantifier, *rest = (word.strip() for word in part.split(","))
        if quantifier not in get_args(Quantifier) or len(rest) < 2 or not rest[0].isdigit():
            raise ValueError(
                f"{place}: {part.strip()!r} is no predicate; they begin with eq, lt, gt, le or ge and a number"
            )
        yield quantifier, int(rest[0]), rest[1:]  # type: ignore[misc]


def _category(noun: str, kind: RoomType) -> str | None:
    """The catalogue's category for one of their nouns, "chair:1" being another chair; None for what it does not have."""
    plain = noun.partition(":")[0].strip().lower().replace("_", " ")
    found = _BY_ROOM.get((plain, kind)) or _NOUNS.get(plain) or named(plain)
    return found if found in CATALOGUE else None


def _pair(words: list[str], kind: RoomType, quantifier: Quantifier, n: int) -> RelationSpec | None:
    relation, anchor, *nouns = words
    at = int(anchor) if re.fullmatch(r"-?\d+", anchor) else -2
    at = 0 if at == -1 else at
    names = [_category(noun, kind) for noun in nouns]
    if not 0 <= at < len(names) or len(names) < 2 or any(name is None for name in names):
        return None
    categories = [name for name in names if name is not None]
    reference, others = categories[at], categories[:at] + categories[at + 1 :]
    if relation == "surround" and len(others) > 1:
        return RelationSpec(
            relation="surrounded_by", subject=reference, references=tuple(others), n=n, quantifier=quantifier
        )
    if relation not in _PAIR or len(others) != 1:
        return None
    return RelationSpec(
        relation=_PAIR[relation], subject=others[0], references=(reference,), n=n, quantifier=quantifier
    )


def _of_room(words: list[str], kind: RoomType, quantifier: Quantifier, n: int) -> RelationSpec | None:
    relation, noun, *part = words
    category, known = _category(noun, kind), _PARTS.get((relation, part[0] if part else ""))
    if category is None or known is None:
        return None
    return RelationSpec(
        relation=known[0], subject=category, references=(known[1],), n=n, quantifier=quantifier
    )
