"""Preference pairs: what the losses of `diffusion_core.losses` are trained on, from a folder, JSONL, parquet or the hub.

Nothing is decoded on loading: pictures stay paths or bytes until `read_pixels`. `load_pairs` refuses what can be seen without
decoding; `check_pairs` decodes, and is meant to be called once before a training run.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffusion_core.media import Media, MediaError, read_array, read_pixels

__all__ = [
    "Media",
    "MediaError",
    "Pair",
    "PairError",
    "check_pairs",
    "load_pairs",
    "read_pixels",
    "save_pairs",
]

log = logging.getLogger(__name__)
CAPTIONS = "captions.jsonl"
SIDES = ("chosen", "rejected")
OPTIONAL = ("prompt_rejected", "score_chosen", "score_rejected", "prob_chosen", "segments", "spec")
_SHOWN = 3  # faults spelt out in a message
_STEM = re.compile(r"\w[\w.-]{0,120}")


class PairError(ValueError):
    """Pairs that cannot be trained on; the message lists the first faults, their number and the way out."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two pictures (or videos) for one prompt, the better one first.

    `id` is stable: the row's own, or a hash of its content. `prompt_rejected` is a caption of the loser's own (DCPO,
    arXiv:2502.06023); None: the same prompt. `prob_chosen` is the probability that `chosen` is the better one (the soft labels
    of SmPO); None: unknown. `segments` are the preferences of equal stretches of a video (DenseDPO, arXiv:2506.03517): 1 where the
    chosen one is better, -1 where the rejected one is, 0 for a tie; None: the whole video. `spec` is what the prompt asks for, in the terms of whoever judges it; opaque here.
    """

    id: str
    prompt: str
    chosen: Media
    rejected: Media
    prompt_rejected: str | None = None
    score_chosen: float | None = None
    score_rejected: float | None = None
    prob_chosen: float | None = None
    segments: Sequence[int] | None = None
    spec: Mapping[str, Any] | None = None

    @property
    def margin(self) -> float | None:
        """By how much the winner scores higher; None where a score is unknown."""
        if self.score_chosen is None or self.score_rejected is None:
            return None
        return self.score_chosen - self.score_rejected


def load_pairs(source: str | Path, *, limit: int | None = None) -> list[Pair]:
    """The pairs of a folder, a JSONL file, parquet, a `datasets` folder or a hub id; at most `limit`, in their order.

    - a folder with `chosen/` and `rejected/` (equal stems) and `captions.jsonl`, or `captions/<stem>.txt`;
    - JSONL of {"prompt", "chosen", "rejected"} with paths relative to the file, and optionally "id" and the other fields of `Pair`;
    - a parquet file or folder, a `save_to_disk` folder or a hub id (`owner/name`, `owner/name:split`), with the same columns or
      those of Pick-a-Pic v2 (`caption, jpg_0, jpg_1, label_0, label_1`). Ties are left out, with a warning that counts them.

    Encoded pictures of tables are held in memory: give `limit` for what is larger.

    Raises:
        FileNotFoundError: if nothing is there.
        PairError: for what no row can be read from, or listing the first faulty rows and their number.
    """
    from diffusion_core.data_sources import open_source

    if limit is not None and limit < 1:
        raise ValueError(f"limit {limit}; take at least 1, or None for all pairs")
    reading = open_source(source)
    pairs: list[Pair] = []
    faults: list[str] = []
    rows = 0
    for found in reading.rows:
        rows += 1
        if isinstance(found, Pair):
            wrong = fault_of(found)
            pairs.append(found)
            faults += [f"{found.id!r}: {wrong}"] if wrong else []
        elif found is not None:
            faults.append(found)
        if len(pairs) == limit:
            break
    refuse(str(source), faults or duplicates(pairs), rows)
    if not pairs:
        why = f": all {rows} rows were left out ({', '.join(reading.dropped)})" if rows else "; it is empty"
        raise PairError(f"{source}: no pairs{why}")
    for reason, count in reading.dropped.items():
        log.warning("%s: %d of %d rows left out: %s", source, count, rows, reason)
    return pairs


def check_pairs(pairs: Sequence[Pair], *, resize: bool = False, decode: int | None = None) -> None:
    """Decode the pairs and refuse what cannot be trained on, all faults in one message.

    `resize` allows the pictures of a pair to differ in size: `read_pixels` brings both to one canvas. `decode` limits the
    decoding to so many pairs, evenly chosen; None decodes all.

    Raises PairError: no pairs, equal ids, an empty prompt, scores that are not finite or in the wrong order, pictures that are
    missing, truncated, of different size or the same.
    """
    faults = duplicates(pairs)
    faults += [f"{pair.id!r}: {wrong}" for pair in pairs if (wrong := fault_of(pair))]
    if not faults:
        some = len(pairs) if decode is None else min(decode, len(pairs))
        for index in np.linspace(0, max(len(pairs) - 1, 0), some).round().astype(int):
            wrong = content_fault(pairs[index], resize=resize)
            faults += [f"{pairs[index].id!r}: {wrong}"] if wrong else []
    refuse("the pairs", faults, len(pairs))


def refuse(source: str, faults: Sequence[str], rows: int) -> None:
    """Raise PairError for the faults, or for a source without a row."""
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise PairError(f"{source}: {len(faults)} faults in {rows} rows: {'; '.join(faults[:_SHOWN])}{more}")
    if not rows:
        raise PairError(f"{source}: no pairs; it is empty")


def duplicates(pairs: Iterable[Pair]) -> list[str]:
    """One fault for each id that occurs again."""
    seen: dict[str, Pair] = {}
    faults = []
    for pair in pairs:
        if pair.id in seen:
            prompts = "" if seen[pair.id].prompt == pair.prompt else ", with different prompts"
            faults.append(f"{pair.id!r}: the id occurs twice{prompts}; ids must differ")
        seen.setdefault(pair.id, pair)
    return faults


def fault_of(pair: Pair) -> str | None:
    """What is wrong with a pair as far as one can tell without decoding; None: nothing."""
    for name in ("prompt", "prompt_rejected"):
        text = getattr(pair, name)
        if (text is not None or name == "prompt") and (not isinstance(text, str) or not text.strip()):
            return f"{name} is {text!r}; give a text that is not empty"
    for name in ("score_chosen", "score_rejected", "prob_chosen"):
        value = getattr(pair, name)
        if value is not None and not math.isfinite(value):
            return f"{name} is {value}; leave an unknown score out (null)"
    if pair.margin is not None and pair.margin < 0:
        return (
            f"chosen scores {pair.score_chosen:g}, lower than rejected with {pair.score_rejected:g}; swap them, or let "
            "`rewright pairs --relabel` do it"
        )
    if pair.prob_chosen is not None and not 0 <= pair.prob_chosen <= 1:
        return f"prob_chosen is {pair.prob_chosen:g}; a probability lies in [0, 1]"
    if pair.segments is not None and not (
        pair.segments and all(label in (1, -1, 0) for label in pair.segments)
    ):
        return f"segments is {pair.segments!r}; give a list of 1, -1 and 0, one a stretch of the video"
    for side in SIDES:
        media = getattr(pair, side)
        if isinstance(media, Path) and not media.exists():
            return f"{side} {media} does not exist"
    return None


def content_fault(pair: Pair, *, resize: bool = False) -> str | None:
    """What is wrong with the pictures of a pair; None: nothing."""
    arrays = []
    for side in SIDES:
        try:
            arrays.append(read_array(getattr(pair, side)))
        except MediaError as error:
            return f"{side}: {error}"
    chosen, rejected = arrays
    if chosen.ndim != rejected.ndim:
        return "one is a picture and the other a video"
    if chosen.shape != rejected.shape:
        if resize:
            return None
        sizes = " and ".join(" x ".join(map(str, array.shape[:-1])) for array in arrays)
        kind = "frames x height x width" if chosen.ndim == 4 else "height x width"
        return f"the pictures are {sizes} ({kind}); --resize (resize=True) brings both to one canvas"
    if np.array_equal(chosen, rejected):
        return "chosen and rejected are the same picture; leave the pair out"
    return None


def save_pairs(pairs: Sequence[Pair], folder: str | Path) -> None:
    """Write the folder format: files are copied as they are, arrays become PNG, and `captions.jsonl` comes last.

    An id that is no file name (say, one with a slash) is changed into one; see `stem_of`.

    Raises PairError for pairs that `load_pairs` would refuse, FileExistsError where the folder holds pairs already.
    """
    root = Path(folder)
    faults = [f"{pair.id!r}: {wrong}" for pair in pairs if (wrong := fault_of(pair))]
    refuse("the pairs", faults + duplicates(pairs), len(pairs))
    if any((root / name).exists() for name in (*SIDES, CAPTIONS)):
        raise FileExistsError(f"{root} holds pairs already; name another folder, or remove it first")
    for side in SIDES:
        (root / side).mkdir(parents=True)
    for pair in pairs:
        for side in SIDES:
            write_media(getattr(pair, side), root / side / stem_of(pair.id))
    write_captions(map(caption_row, pairs), root)


def stem_of(identifier: str) -> str:
    """The file name, without suffix, of a pair with this id: the id itself, or what is legal of it and a hash."""
    from diffusion_core.data_rows import short_hash

    if _STEM.fullmatch(identifier):
        return identifier
    return (
        f"{re.sub(r'[^A-Za-z0-9-]+', '_', identifier)[:40].strip('_') or 'pair'}-{short_hash(identifier)[:8]}"
    )


def caption_row(pair: Pair) -> dict[str, Any]:
    """A pair's line in `captions.jsonl`; fields that are unknown are left out."""
    known = {name: value for name in OPTIONAL if (value := getattr(pair, name)) is not None}
    return {"id": stem_of(pair.id), "prompt": pair.prompt, **known}


def write_captions(rows: Iterable[Mapping[str, Any]], root: Path) -> None:
    """`captions.jsonl`, whole or not at all: a folder without it is not finished."""
    part = root / (CAPTIONS + ".part")
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.replace(part, root / CAPTIONS)


def write_media(media: Media, target: Path) -> None:
    """A picture or video at `target`, which has no suffix: that is the file's own, or PNG for arrays."""
    from PIL import Image

    from diffusion_core.media import format_suffix

    if isinstance(media, Path) and media.is_dir():
        shutil.copytree(media, target)
    elif isinstance(media, Path):
        shutil.copyfile(media, target.with_name(target.name + media.suffix.lower()))
    elif isinstance(media, bytes):
        target.with_name(target.name + format_suffix(media)).write_bytes(media)
    elif (array := read_array(media)).ndim == 4:
        target.mkdir()
        for i, frame in enumerate(array):
            Image.fromarray(frame).save(target / f"{i:05d}.png")
    else:
        Image.fromarray(array).save(target.with_name(target.name + ".png"))
