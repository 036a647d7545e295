"""Checkpoints that are whole or not there: written beside their place and moved there at the end."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)
STATE, FACTS = "state.pt", "trainer_state.json"
_NAME = re.compile(r"checkpoint-(\d+)")


class Checkpoints:
    """`folder`/checkpoint-N with `state.pt` (tensors and numbers only) and `trainer_state.json`; the newest `keep` stay."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"keep_checkpoints={keep} must be at least 1: a run without one cannot go on")
        self.folder, self.keep = folder, keep

    def found(self) -> list[Path]:
        """Checkpoint folders by step."""
        named = [
            (int(m.group(1)), path)
            for path in self.folder.glob("checkpoint-*")
            if (m := _NAME.fullmatch(path.name))
        ]
        return [path for _, path in sorted(named)]

    def save(self, step: int, state: dict[str, Any], *, seconds: float) -> Path:
        """Write the checkpoint of `step`; older ones than the newest `keep` are removed after it is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part, place = self.folder / ".checkpoint.part", self.folder / f"checkpoint-{step}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        torch.save(state, part / STATE)
        (part / FACTS).write_text(
            json.dumps({"global_step": step, "seconds": seconds}) + "\n", encoding="utf-8"
        )
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
        for old in self.found()[: -self.keep]:
            shutil.rmtree(old)
        return place

    def newest(self) -> tuple[int, float, dict[str, Any]] | None:
        """(step, seconds, state) of the newest checkpoint that can be read; None where there is none at all.

        Raises ValueError where there are checkpoints and none is whole: going on from nothing would hide the loss.
        """
        broken: list[str] = []
        for place in reversed(self.found()):
            try:
                facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
                state = torch.load(place / STATE, weights_only=True, map_location="cpu")
                return int(facts["global_step"]), float(facts["seconds"]), state
            except Exception as error:  # noqa: BLE001 - torch reports a cut file as any of a dozen classes
                broken.append(f"{place.name}: {type(error).__name__}")
                log.warning("%s was not written to its end; going on from the one before", place)
        if broken:
            raise ValueError(
                f"no checkpoint in {self.folder} can be read ({'; '.join(broken)}); remove them, or start over with --fresh"
            )
        return None
