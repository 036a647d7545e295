"""Going on after an interruption: which checkpoint is whole, and whether the run was over already.

transformers writes a checkpoint file by file, `trainer_state.json` last. A process killed in between leaves a folder without a readable
one: it is removed, and the run goes on from the one before.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipes.configuration import ConfigError

log = logging.getLogger(__name__)
STATE = "trainer_state.json"
_NAME = re.compile(r"checkpoint-(\d+)")
# What a fine-tuning that goes on may be given anew.
SFT_MAY_CHANGE = frozenset(
    [
        "commercial_only",
        "disable_tqdm",
        "dry_run",
        "fresh",
        "logging_dir",
        "logging_steps",
        "max_seconds",
        "output_dir",
        "report_to",
        "run_name",
        "save_total_limit",
    ]
)


def checkpoints(output: Path) -> list[Path]:
    """Checkpoint folders by step, whole or not."""
    found = [
        (int(m.group(1)), path) for path in output.glob("checkpoint-*") if (m := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def state_of(checkpoint: Path) -> dict[str, Any] | None:
    """The trainer's state in a checkpoint; None where the checkpoint was not written to its end."""
    try:
        return json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def newest_checkpoint(output: Path, *, fresh: bool = False) -> Path | None:
    """The newest whole checkpoint. Torn ones after it are removed; `fresh` removes all of them and returns None."""
    for path in reversed(checkpoints(output)):
        if not fresh and state_of(path) is not None:
            return path
        if not fresh:
            log.warning("%s was not written to its end; going on from the one before", path)
        shutil.rmtree(path)
    return None


def already_finished(
    output: Path, config: Mapping[str, Any], inputs: Mapping[str, str], result: str = "rewriter/rewriter.json"
) -> bool:
    """Whether this very run is over: its record says so, its `result` is there, and nothing was changed since.

    `inputs` are hashes of what the run is made of (data, adapter, generator, …): a path in `config` does not say what lies there.
    """
    record = _record(output)
    told = {"fresh", "dry_run"}
    same = {k: v for k, v in record.get("config", {}).items() if k not in told} == {
        k: v for k, v in _as_json(config).items() if k not in told
    }
    finished = record.get("status") == "finished" and (output / result).is_file()
    return same and record.get("inputs") == inputs and finished


def check_same_run(
    output: Path, config: Mapping[str, Any], allowed: frozenset[str], inputs: Mapping[str, str]
) -> None:
    """Refuse to go on with a configuration or with inputs that would not give the run that was begun.

    `allowed` names the keys that may differ (the length of the run, what is logged). Raises ConfigError naming the others.
    """
    record = _record(output)
    before, now = record.get("config", {}), _as_json(config)
    changed = [key for key in sorted(before.keys() & now.keys() - allowed) if before[key] != now[key]]
    told = [f"{key} was {before[key]!r}, now {now[key]!r}" for key in changed[:4]]
    read = record.get("inputs", {})
    told += [f"another content of {name}" for name in inputs if name in read and read[name] != inputs[name]]
    if told:
        raise ConfigError(
            f"{output} holds a run of another configuration or of other inputs ({'; '.join(told)}). "
            f"Give the old ones to go on with it, another output_dir for a new run, or --fresh to start over there"
        )


def _record(output: Path) -> dict[str, Any]:
    try:
        return json.loads((output / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _as_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """As it is in the record, where tuples are lists and paths are texts."""
    return json.loads(json.dumps(config, default=str))
