"""The media and score cache: an SQLite index, content-addressed blobs, a memory front. No pickle anywhere.

Three kinds of entries share one table and one least-recently-used order, counted in bytes:
a link (media key → digest of the pixels), a blob (digest → pixels), a score (score key → value, parts, status).
Small blobs live in the table, large ones in files beside it. Threads and processes may share a folder.

A cache must never end a run: what cannot be read or is not what was written counts as absent.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewards.cases import PartScore
from rewards.codec import CorruptEntry, decode_pixels, decode_score, encode_pixels, encode_score
from rewards.lru import ByteLRU
from rewards.store_index import connect, transaction

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

LINK, BLOB, SCORE = 0, 1, 2
INLINE_BYTES = 64 << 10  # below, SQLite is faster than a file of its own
ENTRY_BYTES = 96  # what a row costs beside its data
MEMORY_BYTES = 128 << 20
DEFAULT_MAX_BYTES = 2 << 30
_SQL_KEYS = 500  # per statement, below every build's limit of variables
_EVICT_TO = 0.9


def default_folder() -> Path:
    """$REWRIGHT_CACHE, or ~/.cache/rewright."""
    return Path(os.environ.get("REWRIGHT_CACHE") or Path.home() / ".cache" / "rewright")


class Store:
    """`path` is a folder (None: the default one; ":memory:": nothing on disk)."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes={max_bytes}: give a positive size")
        self.folder = None if path == ":memory:" else Path(path) if path is not None else default_folder()
        self.max_bytes, self.memory_bytes = max_bytes, memory_bytes
        self._open()

    # -- reading ---------------------------------------------------------------------------------------------------

    def get_digests(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Media keys → digests of their pixels, for those known."""
        return self._get(keys, LINK)

    def get_pixels(self, digests: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Digests → uint8 arrays (C, H, W), read-only, for those held."""
        return self._get(digests, BLOB)

    def get_scores(self, keys: Sequence[bytes]) -> dict[bytes, PartScore]:
        """Score keys → scores, for those known."""
        return self._get(keys, SCORE)

    # -- writing ---------------------------------------------------------------------------------------------------

    def put_media(self, entries: Iterable[tuple[bytes, bytes, np.ndarray]]) -> None:
        """(media key, digest, uint8 pixels) of a batch, in one transaction."""
        rows: list[tuple[bytes, int, bytes]] = []
        with self._lock:
            for key, digest, pixels in entries:
                rows += ((key, LINK, digest), (digest, BLOB, encode_pixels(pixels)))
                self._remember(key, digest, len(digest))
                self._remember(digest, pixels, pixels.nbytes)
            self._write(rows)

    def put_scores(self, entries: Iterable[tuple[bytes, PartScore]]) -> None:
        """(score key, score) of a batch, in one transaction."""
        rows: list[tuple[bytes, int, bytes]] = []
        with self._lock:
            for key, score in entries:
                blob = encode_score(score)
                rows.append((key, SCORE, blob))
                self._remember(key, score, len(blob))
            self._write(rows)

    # -- looking and clearing ----------------------------------------------------------------------------------------

    def stats(self) -> dict[str, Any]:
        """Counts and bytes by kind, limits, and what went wrong since opening."""
        with self._lock, self._guarded("look at"):
            self._flush_touches()
            held = (
                self._sql().execute("SELECT kind, COUNT(*), SUM(size) FROM entries GROUP BY kind").fetchall()
            )
            count = {kind: (rows, size) for kind, rows, size in held}
            return {
                "folder": str(self.folder) if self.folder is not None else ":memory:",
                "images": count.get(BLOB, (0, 0))[0],
                "image_bytes": count.get(BLOB, (0, 0))[1],
                "links": count.get(LINK, (0, 0))[0],
                "scores": count.get(SCORE, (0, 0))[0],
                "bytes": self._total_bytes(),
                "max_bytes": self.max_bytes,
                "memory_bytes": self._memory.bytes,
                **{name: self.counters[name] for name in ("evicted", "corrupt", "errors")},
            }
        return {"folder": str(self.folder), "errors": self.counters["errors"]}

    def clear(self) -> int:
        """Forget everything; returns how many bytes were held."""
        with self._lock:
            self._memory.clear()
            self._touched.clear()
            held = 0
            with self._guarded("clear"):
                held = self._total_bytes()
                self._sql().execute("DELETE FROM entries")
                if self.folder is not None:
                    shutil.rmtree(self.folder / "blobs", ignore_errors=True)
            with self._guarded("shrink"):
                self._sql().execute("VACUUM")
            return held

    def forget_memory(self) -> None:
        """Drop the memory front: the next look-ups come from disk."""
        with self._lock:
            self._memory.clear()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                with self._guarded("close"):
                    self._flush_touches()
                self._connection.close()
                self._connection = None

    # -- inside ------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._lock = threading.RLock()
        self._memory = ByteLRU(self.memory_bytes)
        self._touched: set[bytes] = set()
        self.counters: Counter[str] = Counter()
        self._connection: sqlite3.Connection | None = None
        self._connect()

    def _connect(self) -> sqlite3.Connection:
        self._pid = os.getpid()
        try:
            self._connection = connect(self.folder / "index.sqlite3" if self.folder is not None else None)
        except (OSError, sqlite3.OperationalError) as error:
            raise OSError(
                f"cannot use the cache folder {self.folder}: {error}; "
                f"set REWRIGHT_CACHE to a folder that can be written, or pass another path"
            ) from error
        return self._connection

    def _sql(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():  # SQLite connections do not survive a fork
            return self._connect()
        return self._connection

    def _remember(self, key: bytes, value: Any, size: int) -> None:
        self._memory.put(key, value, size + ENTRY_BYTES)

    def _get(self, keys: Sequence[bytes], kind: int) -> dict[bytes, Any]:
        found: dict[bytes, Any] = {}
        absent: list[bytes] = []
        with self._lock:
            for key in keys:
                value = self._memory.get(key)
                if value is None:
                    absent.append(key)
                else:
                    found[key] = value
            self._touched.update(found)
            if absent:
                with self._guarded("read"):
                    self._read(list(dict.fromkeys(absent)), kind, found)
        return found

    def _read(self, keys: list[bytes], kind: int, found: dict[bytes, Any]) -> None:
        corrupt: list[bytes] = []
        for start in range(0, len(keys), _SQL_KEYS):
            chunk = keys[start : start + _SQL_KEYS]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, data FROM entries WHERE kind = {kind} AND key IN ({marks})"
            for key, data in self._sql().execute(query, chunk):
                try:
                    value = self._decode(key, kind, data)
                except CorruptEntry as error:
                    log.warning("dropped a damaged cache entry %s: %s", key.hex(), error)
                    corrupt.append(key)
                    continue
                found[key] = value
                self._touched.add(key)
                self._remember(key, value, value.nbytes if kind == BLOB else len(data))
        if corrupt:
            self.counters["corrupt"] += len(corrupt)
            self._sql().executemany("DELETE FROM entries WHERE key = ?", [(key,) for key in corrupt])

    def _decode(self, key: bytes, kind: int, data: bytes | None) -> Any:
        if kind == LINK:
            return data
        if kind == SCORE:
            return decode_score(data or b"")
        if data is None:
            try:
                data = self._file(key).read_bytes()
            except OSError as error:
                raise CorruptEntry(f"its file is gone: {error}") from error
        return decode_pixels(data, key)

    def _write(self, rows: list[tuple[bytes, int, bytes]]) -> None:
        """Insert what is new in one transaction, flush the order of use, evict if over the limit."""
        with self._guarded("write"):
            now, values = _now(), []
            for key, kind, blob in rows:
                inline = len(blob) <= INLINE_BYTES or self.folder is None
                if not inline:
                    self._write_file(key, blob)
                values.append((key, kind, len(blob) + ENTRY_BYTES, now, blob if inline else None))
            with transaction(self._sql()) as sql:
                sql.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?)", values)
                self._flush_touches()
                gone = self._evict(sql)
            for key in gone:
                self._file(key).unlink(missing_ok=True)

    def _evict(self, sql: sqlite3.Connection) -> list[bytes]:
        """Delete the least recently used entries down to 90 % of the limit; returns the keys that had files."""
        excess = self._total_bytes() - self.max_bytes
        if excess <= 0:
            return []
        excess += int(self.max_bytes * (1.0 - _EVICT_TO))
        doomed: list[tuple[bytes]] = []
        files: list[bytes] = []
        for key, size, in_file in sql.execute(
            "SELECT key, size, data IS NULL FROM entries ORDER BY used, rowid"
        ):
            if excess <= 0:
                break
            doomed.append((key,))
            excess -= size
            if in_file:
                files.append(key)
            self._memory.drop(key)
        sql.executemany("DELETE FROM entries WHERE key = ?", doomed)
        self.counters["evicted"] += len(doomed)
        return files

    def _flush_touches(self) -> None:
        if self._touched:
            now = _now()
            self._sql().executemany(
                "UPDATE entries SET used = ? WHERE key = ?", [(now, k) for k in self._touched]
            )
            self._touched.clear()

    def _total_bytes(self) -> int:
        return int(self._sql().execute("SELECT bytes FROM totals").fetchone()[0])

    def _file(self, digest: bytes) -> Path:
        name = digest.hex()
        return (self.folder or Path()) / "blobs" / name[:2] / f"{name}.raw"

    def _write_file(self, digest: bytes, blob: bytes) -> None:
        path = self._file(digest)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        part.write_bytes(blob)
        part.replace(path)

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """A cache that fails is a cache miss: counted, said once, never raised."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.counters["errors"] += 1
            if self.counters["errors"] == 1:
                log.warning("cannot %s the cache in %s (%s); going on without it", what, self.folder, error)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "max_bytes": self.max_bytes, "memory_bytes": self.memory_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def _now() -> int:
    """Milliseconds: the order of use across processes."""
    return time.time_ns() // 1_000_000
