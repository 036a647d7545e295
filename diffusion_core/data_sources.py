"""Where preference pairs come from. Every source gives rows one by one: a `Pair`, the fault of a row as text, or None for a row that
is left out on purpose and counted in `Reading.dropped`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffusion_core.data import CAPTIONS, SIDES, Pair, PairError
from diffusion_core.data_rows import OWN, PICK_A_PIC, has_columns, pair_of_pick, pair_of_row
from diffusion_core.media import is_entry

_HUB = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_ACCEPTED = (
    "a folder with chosen/, rejected/ and captions; a .jsonl or .parquet file; a folder of .parquet files; a datasets folder "
    "(save_to_disk); a hub id (owner/name)"
)
TIE = "ties"


@dataclass
class Reading:
    """Rows that are being read, and how many were left out why; complete when `rows` is used up."""

    rows: Iterator[Pair | str | None]
    dropped: Counter[str] = field(default_factory=Counter)


def open_source(source: str | Path) -> Reading:
    """The rows of whatever is there. Raises FileNotFoundError or PairError saying what would be accepted."""
    path = Path(source)
    if path.is_dir():
        return _open_folder(path)
    if path.is_file():
        if path.suffix == ".jsonl":
            return Reading(_jsonl(path))
        if path.suffix == ".parquet":
            return _table(_parquet([path]), path.parent, path)
        raise PairError(f"{path}: pairs are not read from {path.suffix or 'such'} files; known: {_ACCEPTED}")
    if _HUB.fullmatch(str(source)) and not path.suffix and not str(source).startswith("."):
        return _table(_hub(str(source)), Path(), source)
    raise FileNotFoundError(f"{source} does not exist; pairs are read from {_ACCEPTED}")


def _open_folder(folder: Path) -> Reading:
    if any((folder / side).is_dir() for side in SIDES):
        return Reading(_folder(folder))
    if (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file():
        return _table(_saved(folder), folder, folder)
    files = sorted(folder.rglob("*.parquet"))
    if files:
        return _table(_parquet(files), folder, folder)
    raise PairError(f"{folder}: no pairs in it; known: {_ACCEPTED}")


# -- the folder format ---------------------------------------------------------------------------------------------------


def _folder(folder: Path) -> Iterator[Pair | str]:
    media: dict[str, dict[str, Path]] = {}
    for side in SIDES:
        if not (folder / side).is_dir():
            raise PairError(f"{folder}: {side}/ is missing beside {SIDES[side == SIDES[0]]}/")
        media[side] = {}
        for path in sorted(filter(is_entry, (folder / side).iterdir())):
            stem = path.name if path.is_dir() else path.stem
            if stem in media[side]:
                yield f"{stem!r}: {side}/ has both {media[side][stem].name} and {path.name}"
            media[side][stem] = path
    stems = sorted(media["chosen"].keys() | media["rejected"].keys())
    captions = _captions(folder, stems)
    for stem in [s for s in captions if not isinstance(s, int)] + [s for s in stems if s not in captions]:
        absent = [side for side in SIDES if stem not in media[side]]
        if absent:
            there = (
                f"{SIDES[absent[0] == SIDES[0]]}/ has one" if len(absent) == 1 else "there is a caption only"
            )
            yield f"{stem!r}: no picture in {' and '.join(side + '/' for side in absent)} ({there})"
        elif stem not in captions:
            yield f"{stem!r}: no caption in {CAPTIONS} or captions/{stem}.txt"
        else:
            row = {**captions[stem], "id": stem, **{side: media[side][stem] for side in SIDES}}
            yield pair_of_row(row, folder, f"{stem!r}")


def _captions(folder: Path, stems: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Per stem the row of captions.jsonl, or {"prompt": text of the file}."""
    file, texts = folder / CAPTIONS, folder / "captions"
    if file.is_file() and texts.is_dir():
        raise PairError(f"{folder} has {CAPTIONS} and captions/; keep one of them")
    if texts.is_dir():
        found = {stem: texts / f"{stem}.txt" for stem in stems}
        return {
            stem: {"prompt": path.read_text(encoding="utf-8").strip()}
            for stem, path in found.items()
            if path.is_file()
        }
    if not file.is_file():
        raise PairError(
            f'{folder} has no captions; write {CAPTIONS} with one {{"id": STEM, "prompt": TEXT}} a line, or captions/STEM.txt'
        )
    rows: dict[str, dict[str, Any]] = {}
    for where, row in _lines(file):
        name = row if isinstance(row, str) else row.get("id")
        if isinstance(row, str) or not isinstance(name, str):
            raise PairError(
                f"{where}: {row if isinstance(row, str) else 'no id; it is the stem of the pictures'}"
            )
        if name in rows:
            raise PairError(f"{where}: the id {name!r} occurs twice; one prompt a pair")
        rows[name] = row
    return rows


# -- rows ----------------------------------------------------------------------------------------------------------------


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Per line that is not empty: where it stands, and the object or what is wrong with it."""
    with file.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            where = f"{file.name}:{number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                yield where, f"no JSON ({error.msg})"
                continue
            yield (
                where,
                row if isinstance(row, dict) else f"{type(row).__name__} where an object {{…}} is wanted",
            )


def _jsonl(file: Path) -> Iterator[Pair | str]:
    for where, row in _lines(file):
        yield f"{where}: {row}" if isinstance(row, str) else pair_of_row(row, file.parent, where)


# -- tables --------------------------------------------------------------------------------------------------------------


def _table(rows: Iterable[Mapping[str, Any]], root: Path, source: str | Path) -> Reading:
    reading = Reading(iter(()))

    def read() -> Iterator[Pair | str | None]:
        for number, row in enumerate(rows):
            if number == 0 and not (has_columns(row, OWN) or has_columns(row, PICK_A_PIC)):
                raise PairError(
                    f"{source}: the columns are {', '.join(row)}; wanted are prompt, chosen, rejected, or Pick-a-Pic's "
                    f"{', '.join(PICK_A_PIC)}, label_0, label_1"
                )
            if has_columns(row, OWN):
                yield pair_of_row(row, root, f"row {number}")
                continue
            found = pair_of_pick(row, root, f"row {number}")
            if found is None:
                reading.dropped[TIE] += 1
            yield found

    reading.rows = read()
    return reading


def _parquet(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    for path in files:
        try:
            with ParquetFile(path) as opened:
                for batch in opened.iter_batches(batch_size=32):  # encoded pictures are large
                    yield from batch.to_pylist()
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise PairError(f"{path} is no readable parquet file: {error}") from error


def _saved(folder: Path) -> Iterator[dict[str, Any]]:
    from datasets import DatasetDict, load_from_disk

    found = load_from_disk(str(folder))
    if isinstance(found, DatasetDict):
        if "train" not in found and len(found) > 1:
            raise PairError(
                f"{folder} has the splits {', '.join(map(str, found))}; name the folder of one, {folder}/{next(iter(found))}"
            )
        found = found["train"] if "train" in found else next(iter(found.values()))
    return _undecoded(found)


def _hub(name: str) -> Iterator[dict[str, Any]]:
    """A split ("train" unless `owner/name:split`), row by row as it is downloaded, or from the local cache when offline."""
    from datasets import config, load_dataset

    repository, _, split = name.partition(":")
    offline = config.HF_HUB_OFFLINE
    try:
        found = load_dataset(repository, split=split or "train", streaming=not offline)
    except (OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        hint = "; the hub is switched off: HF_HUB_OFFLINE=0 allows it" if offline else ""
        raise PairError(
            f"{name}: neither a file nor a data set that can be loaded ({first}){hint}"
        ) from error
    yield from _undecoded(found)


def _undecoded(found: Any) -> Iterator[dict[str, Any]]:
    """Rows with the pictures as they are stored, {"bytes", "path"}."""
    for table in found.with_format("arrow").iter(batch_size=32):
        yield from table.to_pylist()
