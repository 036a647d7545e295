"""A folder of preference pairs that is being made: what is done already, and what is written at the end.

chosen/ rejected/   the pictures, equal names
made.jsonl          the setting, then a line per prompt (or per pair that is scored anew) with its scores and pairs, as they come
captions.jsonl      at the end: with it the folder can be loaded
pairs.json          at the end: model, reward, licences, setting, counts, versions
preview.png         at the end: the first pairs
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.terminal import remark

LOG, MANIFEST, PREVIEW = "made.jsonl", "pairs.json", "preview.png"
_PREVIEWED = 8


class PairFolder:
    """The folder and its log. Opening it claims the folder for this process.

    Raises ValueError where the folder holds other pairs, or was made in another setting.
    """

    def __init__(self, root: Path, setting: Mapping[str, Any]) -> None:
        from recipes.locks import claim

        self.root, self.setting = root, dict(setting)
        root.mkdir(parents=True, exist_ok=True)
        claim(root)
        self._log = root / LOG
        if not self._log.exists() and any((root / name).exists() for name in ("chosen", "captions.jsonl")):
            raise ValueError(f"{root} holds pairs that were made otherwise; give another --output")
        for side in ("chosen", "rejected"):
            (root / side).mkdir(exist_ok=True)
        self.done = {row["id"]: row for row in self._read()}
        if self.done:
            remark(f"{root}: {len(self.done)} done before; going on")

    def _read(self) -> list[dict[str, Any]]:
        """The log's rows; a torn last line is cut off, to be made again."""
        lines = self._log.read_text(encoding="utf-8").splitlines(keepends=True) if self._log.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        head = json.loads(whole[0])["setting"] if whole else None
        setting = json.loads(json.dumps(self.setting))
        if head is not None and head != setting:
            keys = sorted(setting.keys() | head.keys())
            differing = [f"{k}: {head.get(k)!r}" for k in keys if head.get(k) != setting.get(k)]
            changed = ", ".join(differing[:3]) + (", …" if len(differing) > 3 else "")
            raise ValueError(
                f"{self.root} was made in another setting ({changed}); give the same, or another --output"
            )
        whole = whole or [json.dumps({"setting": setting}) + "\n"]
        if whole != lines:
            self._log.write_text("".join(whole), encoding="utf-8")
        return [json.loads(line) for line in whole[1:]]

    def keep(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Note rows whose pictures are written. A row has `id`, `pairs` (lines of captions.jsonl) and `counts`."""
        with self._log.open("a", encoding="utf-8") as out:
            for row in rows:
                self.done[row["id"]] = dict(row)
                out.write(json.dumps(row, ensure_ascii=False) + "\n")

    @property
    def captions(self) -> list[dict[str, Any]]:
        return [caption for row in self.done.values() for caption in row["pairs"]]

    @property
    def counts(self) -> Counter[str]:
        """Sums over the rows, `rows` and `pairs` among them."""
        total = Counter({"rows": len(self.done), "pairs": len(self.captions)})
        for row in self.done.values():
            total.update(row["counts"])
        return total

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write preview, manifest and, last, the captions."""
        from diffusion_core.data import write_captions
        from recipes.evaluate import write_json
        from recipes.pictures import save_png
        from recipes.run_record import git_revision, versions

        save_png(preview(self.root, self.captions[:_PREVIEWED]), self.root / PREVIEW)
        made_by = {"versions": versions(), "git": git_revision()}
        content = {"format": "rewright-pairs", **manifest, "setting": self.setting, "counts": self.counts}
        write_json(self.root / MANIFEST, {**content, **made_by})
        write_captions(self.captions, self.root)


def preview(root: Path, captions: Sequence[Mapping[str, Any]]) -> Any:
    """Winner and loser of each pair with prompt and scores, as one image."""
    from diffusion_core.media import read_array
    from recipes.pictures import strip

    rows = []
    for caption in captions:
        sides = [read_array(find_media(root / side, caption["id"])) for side in ("chosen", "rejected")]
        frames = [[array if array.ndim == 3 else array[len(array) // 2]] for array in sides]
        scores = [caption.get("score_chosen"), caption.get("score_rejected")]
        told = " : ".join("unknown" if score is None else f"{score:.3f}" for score in scores)
        rows.append((caption["prompt"], told, *frames))
    return strip(rows, tile=240, titles=("chosen", "rejected"))


def find_media(folder: Path, stem: str) -> Path:
    """The picture or the folder of frames of a pair. Raises FileNotFoundError."""
    if (folder / stem).is_dir():
        return folder / stem
    for path in folder.glob(f"{stem}.*"):
        if path.stem == stem:
            return path
    raise FileNotFoundError(
        f"{folder}/{stem}.* is gone; it was written before: remove {folder.parent} and begin anew"
    )
