"""Pairs as the network meets them: latents and text embeddings, made once and read row by row.

VAE and text encoders cost a third of a step and a third of the memory, and their output does not change. They run once over all pairs, into
`latents-NNNNN.safetensors` (a shard of pairs each) and `texts-NNNNN.safetensors`; after that they can be let go. Shards appear whole or not
at all, so that an interrupted run goes on with the next one.

A latent is the mode of the VAE's posterior, not a sample of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffusion_core.data import Pair, read_pixels
from diffusion_core.generator import Generator
from diffusion_core.types import Cond

SHARD = 256
NEGATIVE = "\0negative"  # stands for the empty prompt as the one to move away from: SDXL reads it as zeros
MANIFEST = "manifest.json"
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B pairs: their `index` in the set, latents (B, C, H, W) or (B, C, F, H, W), conditioning of winner and loser, and soft labels.

    `prob_w` (B,) is the probability that the winner is the better one, `segments` (B, S) the preference of each segment of a video
    (1: the winner's, -1: the loser's, 0: neither); None where the pairs have none.
    """

    index: list[int]
    x_w: Tensor
    x_l: Tensor
    cond_w: Cond
    cond_l: Cond
    prob_w: Tensor | None = None
    segments: Tensor | None = None


class EncodedPairs:
    """The encoded pairs of a folder. `pairs` and their order are those it was made from."""

    def __init__(
        self,
        folder: Path,
        pairs: Sequence[Pair],
        prompts: Sequence[str],
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        # the pictures themselves are not needed any more: tables hold them in memory
        self.pairs = [replace(pair, chosen=b"", rejected=b"") for pair in pairs]
        self.folder, self.device = folder, device
        self._rows = {prompt: row for row, prompt in enumerate(prompts)}

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(
        self, index: Sequence[int], dropped: Sequence[bool] | None = None, *, per_image: bool = False
    ) -> PairBatch:
        """The pairs `index`. Where `dropped`, the empty prompt stands for a pair's own. `per_image`: losers have captions of their own."""
        chosen = [self.pairs[i] for i in index]
        empty = dropped or [False] * len(index)
        words_w = ["" if off else pair.prompt for pair, off in zip(chosen, empty, strict=True)]
        words_l = [
            w if w == "" or not per_image else pair.prompt_rejected or pair.prompt
            for w, pair in zip(words_w, chosen, strict=True)
        ]
        x_w, x_l = self._latents(index)
        both = self.conditioning([*words_w, *words_l])
        return PairBatch(
            list(index),
            x_w,
            x_l,
            both.map(lambda value: value[: len(index)]),
            both.map(lambda value: value[len(index) :]),
            _column([pair.prob_chosen for pair in chosen], self.device),
            _segments([pair.segments for pair in chosen], self.device),
        )

    def conditioning(self, prompts: Sequence[str]) -> Cond:
        """Rows of the cached embeddings, on the device. Raises KeyError for a prompt that was not encoded."""
        missing = [prompt for prompt in prompts if prompt not in self._rows]
        if missing:
            raise KeyError(
                f"the prompt {missing[0]!r} was not encoded; encode it with the pairs (`extra_prompts`)"
            )
        rows = [self._rows[prompt] for prompt in prompts]
        found = [self._text(row) for row in rows]
        return Cond.cat(found).trimmed().map(lambda value: value.to(self.device))

    def _text(self, row: int) -> Cond:
        shard, inside = divmod(row, SHARD)
        held = self._open(f"texts-{shard:05d}")
        tensors = {name: held[name][inside : inside + 1] for name in held if name != "mask"}
        return Cond(tensors, held["mask"][inside : inside + 1] if "mask" in held else None)

    def _latents(self, index: Sequence[int]) -> tuple[Tensor, Tensor]:
        rows = [(self._open(f"latents-{i // SHARD:05d}"), i % SHARD) for i in index]
        x_w, x_l = (
            torch.stack([held[side][inside] for held, inside in rows]) for side in ("chosen", "rejected")
        )
        return x_w.float().to(self.device), x_l.float().to(self.device)

    def _open(self, name: str) -> Mapping[str, Any]:
        """The tensors of a shard; rows are read from the file when they are asked for (the file is mapped, not loaded)."""
        if name not in self._shards:
            self._shards[name] = _Shard(self.folder / f"{name}.safetensors")
        return self._shards[name]

    @cached_property
    def _shards(self) -> dict[str, _Shard]:
        return {}


class CachedConditioner:
    """Serves the prompts that were encoded, so that a policy can be sampled after the text encoders are gone."""

    def __init__(self, encoded: EncodedPairs) -> None:
        self.encoded = encoded

    def __call__(self, prompts: Sequence[str], *, negative: bool = False) -> Cond:
        return self.encoded.conditioning(
            [NEGATIVE if negative and not prompt else prompt for prompt in prompts]
        )

    def modules(self) -> dict[str, torch.nn.Module]:
        return {}


class Released:
    """In the place of a decoder that was let go."""

    def decode(self, latents: Tensor) -> Tensor:
        raise RuntimeError(
            "the decoder was let go after the pairs were encoded; load the generator again to draw with it"
        )

    encode = decode

    def modules(self) -> dict[str, torch.nn.Module]:
        return {}


def without_encoders(generator: Generator, encoded: EncodedPairs, *, keep_decoder: bool) -> Generator:
    """The generator without its text encoders, which the cache stands for, and without its decoder unless pictures are to be drawn."""
    decoder = generator.decoder if keep_decoder else Released()
    return replace(generator, conditioner=CachedConditioner(encoded), decoder=decoder)


class _Shard(Mapping[str, Any]):
    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._file = safe_open(str(path), framework="pt")
        self._slices = {name: self._file.get_slice(name) for name in self._file.keys()}  # noqa: SIM118 - not a mapping

    def __getitem__(self, name: str) -> Any:
        return self._slices[name]

    def __iter__(self):
        return iter(self._slices)

    def __len__(self) -> int:
        return len(self._slices)


def encode(
    generator: Generator,
    pairs: Sequence[Pair],
    folder: Path,
    canvas: tuple[int, ...],
    *,
    extra_prompts: Sequence[str] = (),
    batch: int = 8,
    on_progress: OnProgress | None = None,
) -> EncodedPairs:
    """Encode what is not in `folder` yet. The empty prompt is always encoded too: prompt dropout and guidance need it.

    A folder made from other pairs, another encoder or another canvas is not touched: a new one is made beside it, named by a fingerprint.
    Raises ValueError for an image that gives latents that are not finite.
    """
    prompts = prompts_of(pairs, extra_prompts)
    mark = fingerprint(generator, pairs, prompts, canvas)
    place = folder / mark
    place.mkdir(parents=True, exist_ok=True)
    total, done = len(prompts) + 2 * len(pairs), 0
    for shard, start in enumerate(range(0, len(prompts), SHARD)):
        path, part = place / f"texts-{shard:05d}.safetensors", prompts[start : start + SHARD]
        if not path.is_file():
            _save(path, _encode_texts(generator, part, batch))
        done += len(part)
        if on_progress is not None:
            on_progress(done, total)
    for shard, start in enumerate(range(0, len(pairs), SHARD)):
        path, part = place / f"latents-{shard:05d}.safetensors", pairs[start : start + SHARD]
        if not path.is_file():
            _save(path, _encode_images(generator, part, canvas, batch))
        done += 2 * len(part)
        if on_progress is not None:
            on_progress(done, total)
    (place / MANIFEST).write_text(
        json.dumps(
            {
                "generator": generator.name,
                "pairs": len(pairs),
                "prompts": len(prompts),
                "canvas": list(canvas),
            }
        )
        + "\n"
    )
    return EncodedPairs(place, pairs, prompts, device=generator.device)


def prompts_of(pairs: Sequence[Pair], extra_prompts: Sequence[str] = ()) -> list[str]:
    """What is encoded, each once: both empty prompts, those of the pairs, and `extra_prompts`."""
    own = [prompt for pair in pairs for prompt in (pair.prompt, pair.prompt_rejected) if prompt]
    return list(dict.fromkeys([NEGATIVE, "", *own, *extra_prompts]))


@torch.inference_mode()
def _encode_texts(generator: Generator, prompts: Sequence[str], batch: int) -> dict[str, Tensor]:
    plain = [prompt for prompt in prompts if prompt != NEGATIVE]
    found = [generator.conditioner(plain[i : i + batch]) for i in range(0, len(plain), batch)]
    if len(plain) < len(prompts):  # it is the first of all
        found.insert(0, generator.conditioner([""], negative=True))
    cond = Cond.cat(found).map(lambda value: value.detach().cpu().contiguous())
    return {**cond.tensors, **({"mask": cond.mask} if cond.mask is not None else {})}


@torch.inference_mode()
def _encode_images(
    generator: Generator, pairs: Sequence[Pair], canvas: tuple[int, ...], batch: int
) -> dict[str, Tensor]:
    sides: dict[str, list[Tensor]] = {"chosen": [], "rejected": []}
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        for side, found in sides.items():
            pixels = torch.stack([_pixels(pair, side, canvas) for pair in part]).to(generator.device)
            latents = generator.decoder.encode(pixels).float().cpu()
            finite = latents.flatten(1).isfinite().all(1)
            if not bool(finite.all()):
                pair = part[int((~finite).nonzero()[0])]
                raise ValueError(
                    f"the {side} image of pair {pair.id} gives latents that are not finite; look at the image, or encode in float32"
                )
            found.append(latents)
    return {side: torch.cat(found) for side, found in sides.items()}


def _pixels(pair: Pair, side: str, canvas: tuple[int, ...]) -> Tensor:
    try:
        return read_pixels(getattr(pair, side), canvas)
    except (OSError, ValueError) as error:
        raise ValueError(f"the {side} image of pair {pair.id}: {error}") from error


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file

    part = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in tensors.items()}, part)
    part.replace(path)


def fingerprint(
    generator: Generator, pairs: Sequence[Pair], prompts: Sequence[str], canvas: tuple[int, ...]
) -> str:
    """Of everything that decides the encoded values: encoders' weights, images (by content, or by size and time of a file), prompts, canvas."""
    digest = hashlib.sha256(repr((canvas, list(prompts))).encode())
    for name, module in sorted({**generator.conditioner.modules(), **generator.decoder.modules()}.items()):
        for key, value in sorted(module.state_dict().items()):
            digest.update(f"{name}.{key}{tuple(value.shape)}{value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    for pair in pairs:
        digest.update(f"{pair.id}\0{pair.prompt}\0{pair.prompt_rejected}".encode())
        for media in (pair.chosen, pair.rejected):
            digest.update(_media_mark(media))
    return digest.hexdigest()[:20]


def _media_mark(media: Any) -> bytes:
    if isinstance(media, bytes):
        return media
    if isinstance(media, np.ndarray):
        return np.ascontiguousarray(media).tobytes()
    files = sorted(media.iterdir()) if media.is_dir() else [media]
    return "".join(f"{f}\0{f.stat().st_size}\0{f.stat().st_mtime_ns}" for f in files).encode()


def _column(values: Sequence[float | None], device: torch.device | str) -> Tensor | None:
    known = [value for value in values if value is not None]
    return torch.tensor(known, dtype=torch.float32, device=device) if len(known) == len(values) else None


def _segments(values: Sequence[Sequence[int] | None], device: torch.device | str) -> Tensor | None:
    known = [list(value) for value in values if value is not None]
    return torch.tensor(known, dtype=torch.float32, device=device) if len(known) == len(values) else None
