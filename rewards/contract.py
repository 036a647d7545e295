"""Contract tests for rewards: what every scorer must do, whatever it measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from rewards.base import NO_VALUE, Item, Media, Reward, Scores, Status, as_float, as_uint8

if TYPE_CHECKING:
    import torch

_VALUELESS = [int(s) for s in sorted(NO_VALUE)]


def check_reward(
    reward: Reward,
    media: Media,
    items: Sequence[Item],
    *,
    better: tuple[int, int] | None = None,
    atol: float = 1e-4,
) -> None:
    """Raise AssertionError with the broken rule, or return.

    `media` and `items` hold at least two scorable samples. `better=(i, j)` says that sample i must score above j.
    `atol` bounds the difference between two scorings of one sample in different batches (1e-4 holds for float32
    networks; exact scorers can be held to 0).
    """
    _check_declaration(reward)
    _require(isinstance(reward, Reward), f"{reward!r} lacks a member of the Reward protocol")
    scores = _checked(reward, media, items, "the whole batch")
    count = len(items)
    if reward.deterministic:
        _same(scores, _checked(reward, media, items, "a second scoring"), 0.0, "scoring twice")
    if reward.scope == "sample":
        order = list(range(count))[::-1]
        permuted = _checked(reward, _take(media, order), [items[i] for i in order], "a reversed batch")
        _same(_rows(scores, order), permuted, atol, "reversing the batch")
        for i in range(count):
            alone = _checked(reward, _take(media, [i]), [items[i]], f"sample {i} alone")
            _same(_rows(scores, [i]), alone, atol, f"scoring sample {i} alone")
    image8 = replace(media, pixels=as_uint8(media.pixels))
    image32 = replace(media, pixels=as_float(image8.pixels))
    _same(
        _checked(reward, image8, items, "uint8 pixels"),
        _checked(reward, image32, items, "float pixels"),
        atol,
        "uint8 against float pixels",
    )
    empty = reward.score(_take(media, []), [])
    _require(
        empty.value.shape == (0,) and empty.status.shape == (0,),
        f"{reward.name}: an empty batch must score to 0 rows",
    )
    _check_odd_sizes(reward, media, items)
    if better is not None:
        high, low = (float(scores.value[i]) for i in better)
        _require(
            high > low,
            f"{reward.name}: sample {better[0]} scores {high}, not above sample {better[1]} with {low}",
        )
    if reward.differentiable:
        _check_gradient(reward, image32, items, scores)


def _require(holds: object, rule: str) -> None:
    if not holds:
        raise AssertionError(rule)


def _check_declaration(reward: Reward) -> None:
    low, high = reward.bounds
    _require(
        low < high and not math.isnan(low + high - high),
        f"{reward.name}: bounds {reward.bounds} are not a range",
    )
    _require(
        reward.name and isinstance(reward.fingerprint, str) and reward.fingerprint,
        "name and fingerprint are required",
    )
    _require(reward.kinds and reward.kinds <= {"image", "video"}, f"{reward.name}: kinds {reward.kinds}")
    _require(reward.scope in ("sample", "group"), f"{reward.name}: scope {reward.scope!r}")
    _require(reward.max_batch >= 1, f"{reward.name}: max_batch {reward.max_batch}")


def _checked(reward: Reward, media: Media, items: Sequence[Item], what: str) -> Scores:
    """Score, and hold the answer to the shape, dtype, NaN and range rules."""
    import torch

    scores, count = reward.score(media, items), len(items)
    where = f"{reward.name}, {what}"
    _require(
        scores.value.shape == (count,),
        f"{where}: value has shape {tuple(scores.value.shape)}, not ({count},)",
    )
    _require(scores.value.dtype == torch.float32, f"{where}: value is {scores.value.dtype}, not float32")
    _require(
        scores.status.shape == (count,) and scores.status.dtype == torch.int8,
        f"{where}: status must be ({count},) int8",
    )
    _require(len(scores.notes) == count, f"{where}: {len(scores.notes)} notes for {count} samples")
    missing = torch.isin(scores.status, torch.tensor(_VALUELESS, dtype=torch.int8))
    _require(
        torch.equal(torch.isnan(scores.value), missing),
        f"{where}: value must be NaN iff NA, RETRYABLE or BROKEN",
    )
    held = scores.value[~missing]
    low, high = reward.bounds
    _require(bool(torch.isfinite(held).all()), f"{where}: a value is infinite")
    _require(
        bool(((held >= low) & (held <= high)).all()),
        f"{where}: a value leaves the declared range {reward.bounds}",
    )
    for name, part in scores.parts.items():
        _require(
            part.shape == (count,), f"{where}: part {name!r} has shape {tuple(part.shape)}, not ({count},)"
        )
        _require(not bool(torch.isinf(part).any()), f"{where}: part {name!r} is infinite")
    na_by_spec: dict[str, bool] = {}
    for item, status in zip(items, scores.status.tolist(), strict=True):
        key, is_na = repr((item.prompt, sorted(item.spec.items(), key=str))), status == Status.NA
        _require(
            na_by_spec.setdefault(key, is_na) == is_na, f"{where}: NA must follow from prompt and spec alone"
        )
    return scores


def _same(left: Scores, right: Scores, atol: float, what: str) -> None:
    import torch

    _require(
        torch.equal(left.status, right.status), f"{what} changed a status: {left.status} -> {right.status}"
    )
    close = torch.allclose(left.value, right.value, rtol=0.0, atol=atol, equal_nan=True)
    _require(close, f"{what} changed a value: {left.value} -> {right.value}")


def _take(media: Media, index: list[int]) -> Media:
    digest = tuple(media.digest[i] for i in index) if media.digest is not None else None
    return replace(media, pixels=media.pixels[index], digest=digest)


def _rows(scores: Scores, index: list[int]) -> Scores:
    parts = {name: part[index] for name, part in scores.parts.items()}
    return Scores(scores.value[index], parts, scores.status[index], tuple(scores.notes[i] for i in index))


def _check_odd_sizes(reward: Reward, media: Media, items: Sequence[Item]) -> None:
    """A 1 x 1 or odd-sized frame gives statuses, never an exception."""
    for height, width in ((1, 1), (7, 13)):
        small = replace(media, pixels=media.pixels[:1, ..., :height, :width], digest=None)
        try:
            _checked(reward, small, items[:1], f"a {height} x {width} frame")
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(
                f"{reward.name}: a {height} x {width} frame raised {type(error).__name__}: {error}; answer BROKEN instead"
            ) from error


def _check_gradient(reward: Reward, media: Media, items: Sequence[Item], scores: Scores) -> None:
    import torch

    pixels = media.pixels.detach().clone().requires_grad_(True)
    loss_value = getattr(reward, "loss_value")  # noqa: B009 - only differentiable rewards have it
    value_B = cast("torch.Tensor", loss_value(replace(media, pixels=pixels, digest=None), items))
    held = ~torch.isnan(scores.value)
    low, high = reward.bounds
    span = high - low if math.isfinite(high - low) else 1.0
    gap = (value_B.detach() - scores.value)[held].abs().max().item()
    _require(
        gap <= 1e-3 * span,
        f"{reward.name}: loss_value differs from score by {gap}, more than 1e-3 of the range",
    )
    (gradient,) = torch.autograd.grad(value_B.sum(), pixels)
    _require(bool(torch.isfinite(gradient).all()), f"{reward.name}: the gradient is not finite")
    _require(bool((gradient != 0).any()), f"{reward.name}: the gradient is zero everywhere")
