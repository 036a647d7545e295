"""The size of a sample, checked when a generator is loaded rather than by a network in the middle of a run."""

from __future__ import annotations

from collections.abc import Sequence

Canvas = tuple[int, ...]  # pixels: (height, width), for video (frames, height, width)


def image_canvas(canvas: Canvas | None, default: Canvas, multiple: int) -> tuple[int, int]:
    """(height, width) in pixels, `default` unless one is given; both divisible by `multiple`.

    Raises:
        ValueError: for another number of axes, or a side that does not divide.
    """
    height, width = _axes(canvas, default, ("height", "width"))
    _check_sides(height, width, multiple)
    return height, width


def video_canvas(
    canvas: Canvas | None, default: Canvas, multiple: int, temporal: int
) -> tuple[int, int, int]:
    """(frames, height, width): as `image_canvas`, and `temporal` k + 1 frames, since a causal VAE keeps the first
    frame and folds each `temporal` after it into one."""
    frames, height, width = _axes(canvas, default, ("frames", "height", "width"))
    _check_sides(height, width, multiple)
    if frames % temporal != 1 % temporal:
        below = (frames - 1) // temporal * temporal + 1
        raise ValueError(
            f"canvas with {frames} frames: this VAE takes {temporal} k + 1 of them; take {below} or {below + temporal}"
        )
    return frames, height, width


def _axes(canvas: Canvas | None, default: Canvas, names: Sequence[str]) -> Canvas:
    chosen = tuple(default if canvas is None else canvas)
    whole = all(isinstance(side, int) and side > 0 for side in chosen)
    if len(chosen) != len(names) or not whole:
        raise ValueError(
            f"canvas {chosen}: this generator takes ({', '.join(names)}) as positive integers, in pixels; "
            f"its default is {tuple(default)}"
        )
    return chosen


def _check_sides(height: int, width: int, multiple: int) -> None:
    for name, side in (("height", height), ("width", width)):
        if side % multiple:
            near = max(multiple, round(side / multiple) * multiple)
            raise ValueError(
                f"canvas {name} {side} is not a multiple of {multiple}, the pixels under one patch of this network; "
                f"take {near}"
            )
