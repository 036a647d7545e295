"""A run of several processes: each stage is one `rewright …` command, so that its memory is freed and a crash is contained.

A stage that finished is not run again while its command and what it reads stay the same. What a stage prints goes to a log; what is seen
is its progress, read from the `metrics.jsonl` it writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recipes.terminal import remark

_POLL_S = 0.5
_SAY_EVERY_S = 30.0  # without a terminal
_BEGINS = "--- rewright "  # in a log, before what each try prints
_TAIL = 12  # lines of a failed stage's log


class StageFailed(RuntimeError):
    """A stage ended with an error; the message has the end of its log."""


@dataclass(frozen=True)
class Stage:
    """`argv` is what follows `rewright`. `reads` are files whose change makes the stage run again, `makes` what it must leave.

    `run` is the folder of a training run: it is removed where what an earlier try read has changed, since its checkpoints know the old data.
    """

    name: str
    argv: Sequence[str]
    makes: Path
    reads: Sequence[Path] = ()
    metrics: Path | None = None
    steps: int | None = None  # in all, where it is known: then a time left is shown
    environment: Mapping[str, str] = field(default_factory=dict)
    run: Path | None = None


@dataclass
class Ledger:
    """`stages.json`: for each stage its seconds, what it read, and, once it has finished, its key."""

    path: Path
    entries: dict[str, dict] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Ledger:
        return cls(path, json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})

    @property
    def done(self) -> dict[str, dict]:
        return {name: entry for name, entry in self.entries.items() if entry.get("key")}

    def record(self, name: str, key: str | None, seconds: float, reads: str = "") -> None:
        """`key` None: begun and not finished."""
        self.entries[name] = {"key": key, "seconds": round(seconds, 1), "reads": reads}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.entries, indent=2) + "\n", encoding="utf-8")
        part.replace(self.path)

    @property
    def seconds(self) -> float:
        return sum(entry["seconds"] for entry in self.entries.values())


def key_of(stage: Stage) -> str:
    """A hash of the command and of the bytes it reads."""
    return hashlib.sha256(f"{json.dumps(list(stage.argv))}{read_by(stage)}".encode()).hexdigest()[:16]


def read_by(stage: Stage) -> str:
    """A hash of the bytes a stage reads."""
    digest = hashlib.sha256()
    for path in stage.reads:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def run_stage(stage: Stage, ledger: Ledger, logs: Path) -> float:
    """Run a stage unless it is done; returns its seconds, those of interrupted tries too. Raises StageFailed with the end of its log."""
    key, reads, held = key_of(stage), read_by(stage), ledger.entries.get(stage.name)
    if held is not None and held.get("key") == key and stage.makes.exists():
        remark(f"{stage.name}: done before ({held['seconds']:.0f} s)")
        return held["seconds"]
    changed = held is not None and held.get("reads") != reads
    if changed and stage.run is not None and stage.run.exists():
        remark(f"{stage.name}: what it reads has changed, so it starts over")
        shutil.rmtree(stage.run)
    # What an earlier try had done is gone on from, so that its seconds count; what was made of other data is not.
    before = held["seconds"] if held is not None and not changed else 0.0
    logs.mkdir(parents=True, exist_ok=True)
    log, began = logs / f"{stage.name}.log", time.monotonic()
    ledger.record(stage.name, None, before, reads)
    with log.open("ab") as out:
        out.write(f"{_BEGINS}{' '.join(stage.argv)}\n".encode())
        out.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "recipes.cli", *stage.argv],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **stage.environment},
            start_new_session=True,  # an interrupt is passed on below, once, and not by the terminal too
        )
        try:
            _watch(stage, process, log, began)
        except BaseException:
            _stop(process)
            raise
        finally:
            seconds = before + time.monotonic() - began
            ledger.record(stage.name, None, seconds, reads)
    if process.returncode != 0 or not stage.makes.exists():
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])
        why = f"exit code {process.returncode}" if process.returncode else f"it did not write {stage.makes}"
        raise StageFailed(f"the stage {stage.name!r} failed ({why}). The end of {log}:\n{end}")
    ledger.record(stage.name, key, seconds, reads)
    remark(f"{stage.name}: {seconds:.0f} s")
    return seconds


def _watch(stage: Stage, process: subprocess.Popen, log: Path, began: float) -> None:
    """Show progress until the process ends."""
    if not sys.stderr.isatty():
        said = began
        while process.poll() is None:
            time.sleep(_POLL_S)
            if time.monotonic() - said > _SAY_EVERY_S:
                said = time.monotonic()
                remark(f"{stage.name}: {_status(stage, log)} after {said - began:.0f} s")
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(stage.name, total=stage.steps, status="")
        while process.poll() is None:
            time.sleep(_POLL_S)
            step, counted = _last_row(stage.metrics).get("step"), _counted(log)
            if step is not None and stage.steps:
                bar.update(task, completed=step, total=stage.steps)
            elif counted is not None:
                bar.update(task, completed=counted.done, total=counted.total)
            bar.update(task, status=_status(stage, log))


@dataclass(frozen=True)
class Counted:
    """What a stage's log counted last: `text` as it stands there, `left` the time left in its words ("" where it says none)."""

    text: str
    done: int
    total: int
    left: str


# What terminal.Ticker and callbacks.Progress write where there is no terminal.
_COUNTS = re.compile(
    r"^(?:(?P<text>[\w ()]+: (?P<done>\d+) of (?P<total>\d+))|step (?P<step>\d+)/(?P<steps>\d+) .*?)"
    r"(?:, (?P<left>\d+:\d+ \w+) left)?$",
    re.MULTILINE,
)


def _counted(log: Path) -> Counted | None:
    this_try = _tail(log).rpartition(_BEGINS)[2]  # an earlier try's last count says nothing of this one
    *_, found = [None, *_COUNTS.finditer(this_try)]
    if found is None:
        return None
    done, total = int(found["done"] or found["step"]), int(found["total"] or found["steps"])
    return Counted(found["text"] or f"step {done} of {total}", done, total, found["left"] or "")


def _status(stage: Stage, log: Path) -> str:
    """'step 12 of 40, reward 0.610, 8:20 min left', as far as it is known: from the metrics and what the log counted last."""
    row, counted = _last_row(stage.metrics), _counted(log)
    left = f", {counted.left} left" if counted is not None and counted.left else ""
    if "step" not in row:
        return counted.text + left if counted is not None else "working"
    total = stage.steps or (counted.total if counted is not None else None)
    words = [f"step {row['step']:.0f}" + (f" of {total}" if total else "")]
    words += [
        f"{name} {row[name]:.3f}"
        for name in ("reward", "loss", "eval_loss")
        if isinstance(row.get(name), float)
    ]
    return ", ".join(words) + left


def _tail(path: Path, size: int = 16_384) -> str:
    with path.open("rb") as data:
        data.seek(max(0, path.stat().st_size - size))
        return data.read().decode("utf-8", errors="replace")


def _last_row(path: Path | None) -> dict:
    """The last whole line of a metrics file; {} where there is none yet."""
    if path is None or not path.is_file():
        return {}
    for line in reversed(_tail(path).splitlines()):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            return row
    return {}


def _stop(process: subprocess.Popen) -> None:
    """Ask the stage and its children to stop and save, then insist."""
    for sign, patience in ((signal.SIGINT, 30.0), (signal.SIGKILL, 10.0)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, sign)
        try:
            process.wait(patience)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):  # who interrupts again will not wait
            continue
