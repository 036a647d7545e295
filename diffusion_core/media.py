"""Pictures and videos as files, bytes or arrays, and the one way to pixels.

Axes: F frames, H height, W width, C channels. A picture is a file, the bytes of one, or uint8 (H, W, 3); a video is a folder
of frames in the order of their names, or uint8 (F, H, W, 3). Nothing is decoded before it is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

Media = Path | bytes | np.ndarray

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
_VIDEO_FILES = {".mp4", ".webm", ".mov", ".avi", ".mkv"}
_DEEP = ("I", "F")  # Pillow's names for more than 8 bits a channel begin with these


class MediaError(ValueError):
    """A picture or video that cannot be read; the message says why and what would be readable."""


def read_pixels(media: Media, canvas: Sequence[int]) -> Tensor:
    """The picture for a canvas (H, W): float32 (3, H, W) in [0, 1]. The video for (F, H, W): (3, F, H, W).

    It is resized to cover the canvas, with antialiasing, and cut at the centre; at the canvas's own size nothing is
    resampled. Frames are evenly chosen, the first and the last among them.

    Raises:
        MediaError: for what cannot be read, a picture where a video is wanted or the reverse, too few frames.
    """
    if len(canvas) not in (2, 3) or min(canvas) < 1:
        raise ValueError(
            f"canvas {tuple(canvas)}: give (height, width), or (frames, height, width) of a video"
        )
    wanted = canvas[0] if len(canvas) == 3 else None
    array = read_array(media, frames=wanted)
    if (array.ndim == 4) != (wanted is not None):
        kind = "a picture" if array.ndim == 3 else f"a video of {len(array)} frames"
        raise MediaError(
            f"{describe(media)} is {kind}, and the canvas {tuple(canvas)} asks for the other kind"
        )
    height, width = canvas[-2:]
    frames = array if array.ndim == 4 else array[None]
    pixels_FCHW = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))).float() / 255
    fitted_FCHW = _cover(pixels_FCHW, height, width)
    return fitted_FCHW[0] if wanted is None else fitted_FCHW.transpose(0, 1).contiguous()


def read_array(media: Media, *, frames: int | None = None) -> np.ndarray:
    """Decoded whole: uint8 (H, W, 3), or (F, H, W, 3) with all frames, or with `frames` evenly chosen ones.

    Raises MediaError for what cannot be read.
    """
    if isinstance(media, np.ndarray):
        _check_array(media)
        return media[_evenly(len(media), frames)] if media.ndim == 4 else media
    if isinstance(media, Path) and media.is_dir():
        files = frame_files(media)
        chosen = [_decode(files[i]) for i in _evenly(len(files), frames)]
        if len({frame.shape for frame in chosen}) > 1:
            raise MediaError(f"{media}: the frames differ in size; a video has one")
        return np.stack(chosen)
    return _decode(media)


def frame_files(folder: Path) -> list[Path]:
    """The frames of a video, by name. Raises MediaError for a folder without any."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and _visible(path))
    if not found:
        raise MediaError(
            f"{folder} holds no frames; a video is a folder of {', '.join(sorted(SUFFIXES))} files"
        )
    return found


def describe(media: Media) -> str:
    """The media in an error message: its path, or what it is."""
    if isinstance(media, Path):
        return str(media)
    if isinstance(media, np.ndarray):
        return f"array {media.shape} {media.dtype}"
    return f"{len(media)} bytes"


def is_entry(path: Path) -> bool:
    """Whether a file or folder may be a picture or video: not hidden, and of a known suffix if it is a file."""
    return _visible(path) and (path.is_dir() or path.suffix.lower() in SUFFIXES)


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")


def _evenly(count: int, wanted: int | None) -> list[int]:
    if wanted is None:
        return list(range(count))
    if wanted > count:
        raise MediaError(
            f"the video has {count} frames and the canvas asks for {wanted}; ask for at most {count}"
        )
    return np.linspace(0, count - 1, wanted).round().astype(int).tolist()


def _check_array(array: np.ndarray) -> None:
    if array.dtype != np.uint8:
        lost = int(np.isnan(array).sum()) if np.issubdtype(array.dtype, np.floating) else 0
        nans = f" with {lost} NaN" if lost else ""
        raise MediaError(
            f"an array of {array.dtype}{nans}; pixels are uint8 (H, W, 3): (array * 255).round().astype('uint8') "
            "of finite values in [0, 1]"
        )
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or 0 in array.shape:
        raise MediaError(f"an array of shape {array.shape}; a picture is (H, W, 3), a video (F, H, W, 3)")


def _decode(media: Path | bytes) -> np.ndarray:
    """RGB uint8 (H, W, 3): turned as its EXIF says, transparency over white."""
    from PIL import Image, ImageOps

    where = describe(media)
    if isinstance(media, Path) and media.suffix.lower() in _VIDEO_FILES:
        raise MediaError(
            f"{where} is a video file; unpack it to a folder of frames (ffmpeg -i FILE FOLDER/%05d.png)"
        )
    try:
        with Image.open(media if isinstance(media, Path) else io.BytesIO(media)) as opened:
            if getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO":
                raise MediaError(f"{where} is an animation; unpack it to a folder of frames")
            if opened.mode.startswith(_DEEP):
                raise MediaError(
                    f"{where} has more than 8 bits a channel (mode {opened.mode}); convert it to 8-bit RGB"
                )
            picture = ImageOps.exif_transpose(opened)
            if picture.has_transparency_data:
                flat = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(flat, picture.convert("RGBA"))
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError as error:
        raise MediaError(f"{where} does not exist") from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        # Pillow's own messages name a buffer's address, which says nothing.
        reason = "no image format that Pillow knows" if "cannot identify" in str(error) else str(error)
        raise MediaError(f"{where} cannot be read: {reason}") from error


def _cover(pixels_FCHW: Tensor, height: int, width: int) -> Tensor:
    """Resized so that both sides reach the canvas, then cut at the centre."""
    given_h, given_w = pixels_FCHW.shape[-2:]
    scale = max(height / given_h, width / given_w)
    size = (max(height, round(given_h * scale)), max(width, round(given_w * scale)))
    if size != (given_h, given_w):
        pixels_FCHW = torch.nn.functional.interpolate(
            pixels_FCHW, size, mode="bicubic", antialias=True, align_corners=False
        ).clamp_(0, 1)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return pixels_FCHW[..., top : top + height, left : left + width].contiguous()


def format_suffix(encoded: bytes) -> str:
    """The file suffix of an encoded picture, by its content. Raises MediaError for what is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(encoded)) as opened:
            suffix = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}.get(
                opened.format or "", f".{(opened.format or '').lower()}"
            )
    except OSError as error:
        raise MediaError(f"{len(encoded)} bytes are no image that Pillow knows") from error
    if suffix not in SUFFIXES:
        raise MediaError(
            f"{len(encoded)} bytes are of format {suffix[1:]}; known: {', '.join(sorted(SUFFIXES))}"
        )
    return suffix
