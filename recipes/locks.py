"""One run at a time in a folder: two that write the same checkpoints and logs would ruin both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from recipes.configuration import ConfigError

LOCK = ".lock"
_HELD: dict[
    Path, TextIO
] = {}  # open for as long as the process lives: the system releases them, after a kill -9 too


def claim(folder: Path) -> None:
    """Take `folder` for this process until it ends. Raises ConfigError naming the folder where another process holds it.

    Of a run of several processes (accelerate launch) the first one claims it for all.
    """
    import fcntl

    path = folder.resolve() / LOCK
    held = _HELD.get(path)
    if os.environ.get("RANK", "0") != "0" or (held is not None and _is_at(held, path)):
        return
    if held is not None:
        held.close()
    handle = path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.seek(0)
        owner = handle.read().strip()
        handle.close()
        raise ConfigError(
            f"another run is writing to {str(folder)!r}{f' (process {owner})' if owner else ''}; "
            "wait for it, stop it, or choose another folder"
        ) from error
    except OSError:  # a file system without locks: nothing to hold, and no reason to refuse
        handle.close()
        return
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    _HELD[path] = handle


def _is_at(handle: TextIO, path: Path) -> bool:
    """Whether the open file is still what lies at `path`: the folder may have been removed and made again."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
