"""The cache's SQLite index: schema, connections, transactions."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, kind INTEGER NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL, data BLOB);
CREATE INDEX IF NOT EXISTS entries_used ON entries (used);
CREATE TABLE IF NOT EXISTS totals (id INTEGER PRIMARY KEY CHECK (id = 0), bytes INTEGER NOT NULL);
INSERT OR IGNORE INTO totals VALUES (0, 0);
CREATE TRIGGER IF NOT EXISTS entry_in AFTER INSERT ON entries
    BEGIN UPDATE totals SET bytes = bytes + NEW.size; END;
CREATE TRIGGER IF NOT EXISTS entry_out AFTER DELETE ON entries
    BEGIN UPDATE totals SET bytes = bytes - OLD.size; END;
"""


def connect(index: Path | None) -> sqlite3.Connection:
    """Open or make the index (None: in memory). One that is no database is put aside, and a new one begun.

    Raises:
        OSError, sqlite3.OperationalError: if the folder cannot be used.
    """
    if index is None:
        return _prepared(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
    index.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _prepared(_connection(index))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        aside = index.with_name(f"index.damaged-{int(time.time())}.sqlite3")
        log.warning(
            "the cache index %s is damaged (%s); moved to %s, starting anew", index, error, aside.name
        )
        index.replace(aside)
        for suffix in ("-wal", "-shm"):
            index.with_name(index.name + suffix).unlink(missing_ok=True)
        return _prepared(_connection(index))


def _connection(index: Path) -> sqlite3.Connection:
    return sqlite3.connect(index, timeout=10.0, isolation_level=None, check_same_thread=False)


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = NORMAL"
        )  # a power cut may lose the last entries, not the index
        connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
