"""BROKEN samples, written down for people: one JSON line each, in a file that cannot grow without end."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 4 << 20  # then the file is renamed to *.old and begun anew


class Quarantine:
    """Appends to `path` (None: memory only); keeps the last records in `recent`."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.recent: deque[dict[str, Any]] = deque(maxlen=100)
        self._lock = threading.Lock()

    def add(self, *, stage: str, cause: str, note: str, **what: Any) -> None:
        record = {"time": round(time.time(), 3), "stage": stage, "cause": cause, "note": note, **what}
        with self._lock:
            self.recent.append(record)
            if self.path is None:
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if self.path.exists() and self.path.stat().st_size > MAX_FILE_BYTES:
                    self.path.replace(self.path.with_suffix(".old.jsonl"))
                with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
            except OSError as error:
                log.warning("cannot write the quarantine record to %s: %s", self.path, error)

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])
