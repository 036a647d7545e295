"""One frame for rooms, and the ways in and out of it.

Ours is right-handed with z up: x east, y north, the floor at z = 0. A pose is the centre of an object's bottom face and a yaw in degrees,
counter-clockwise seen from above. An object's front is its local −Y, so at yaw 0 it faces south and `facing(yaw)` is (sin yaw, −cos yaw).
Other formats differ in the up axis, in handedness and in which side is the front. Every pair below is pinned by a test that carries an
asymmetric marker through both ways of writing the same pose, at oblique angles too: a mirrored yaw looks right at 0° and 180°.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from layout.geometry import Point, direction

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


def facing(yaw: float) -> Point:
    """Unit vector (x, y) that an object at this yaw faces."""
    c, s = direction(yaw)
    return s, -c


def yaw_towards(dx: float, dy: float) -> float:
    """Yaw in [0, 360) of an object that faces along (dx, dy), which must not be zero."""
    if dx == 0 and dy == 0:
        raise ValueError("a yaw towards (0, 0) does not exist: the target is where the object is")
    return normalise_yaw(math.degrees(math.atan2(dx, -dy)))


def normalise_yaw(yaw: float) -> float:
    """The same direction in [0, 360), rounded to 1e-9 degrees so that a full turn does not come back as 359.999…"""
    return round(yaw % 360, 9) % 360


# glTF, three.js, Habitat and the SSR format: y up, right-handed, front +Z. z-up to y-up is a turn of −90° about x.


def to_y_up(point: Sequence[float]) -> Vector:
    """(x, y, z) with z up as (x, z, −y) with y up; the units stay."""
    return point[0], point[2], -point[1]


def from_y_up(point: Sequence[float]) -> Vector:
    """Inverse of `to_y_up`."""
    return point[0], -point[2], point[1]


def to_quaternion(yaw: float) -> Quaternion:
    """A yaw as a turn about +Y, in glTF's order (x, y, z, w). Habitat wants the same numbers as (w, x, y, z)."""
    half = math.radians(yaw) / 2
    return 0.0, math.sin(half), 0.0, math.cos(half)


def from_quaternion(xyzw: Sequence[float], tolerance: float = 1e-3) -> float:
    """The yaw of a turn about +Y given as (x, y, z, w). Raises ValueError for a turn that tips the object over."""
    x, y, z, w = xyzw
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if norm == 0:
        raise ValueError("the quaternion (0, 0, 0, 0) is no rotation")
    if math.hypot(x, z) / norm > tolerance:
        raise ValueError(
            f"the quaternion {tuple(xyzw)} turns about more than the up axis; only upright objects are read"
        )
    return normalise_yaw(math.degrees(2 * math.atan2(y, w)))


# Unity and AI2-THOR: y up, LEFT-handed, front +Z, degrees clockwise from above.


def to_unity(point: Sequence[float]) -> Vector:
    """(x, y, z) with z up as Unity's (x, z, y)."""
    return point[0], point[2], point[1]


def from_unity(point: Sequence[float]) -> Vector:
    """Inverse of `to_unity`."""
    return point[0], point[2], point[1]


def to_unity_yaw(yaw: float) -> float:
    """Our yaw as Unity's rotation about y. Our front at yaw 0 is south, Unity's is north: hence the half turn."""
    return normalise_yaw(180 - yaw)


from_unity_yaw = to_unity_yaw  # the map is its own inverse


# SceneEval's sceneState: z up and front −Y like ours, a pose as a column-major 4x4 matrix.


def to_matrix(pos: Sequence[float], yaw: float) -> tuple[float, ...]:
    """T(pos)·Rz(yaw), 16 numbers column by column."""
    c, s = direction(yaw)
    return (c, s, 0.0, 0.0, -s, c, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, pos[0], pos[1], pos[2], 1.0)


def from_matrix(columns: Sequence[float], tolerance: float = 1e-3) -> tuple[Vector, float]:
    """(position, yaw) of a column-major 4x4 matrix, uniform or axis-wise scale allowed.

    Raises ValueError when the matrix tips the object over or mirrors it, for either cannot be written as a yaw.
    """
    if len(columns) != 16:
        raise ValueError(f"a 4x4 matrix has 16 numbers, got {len(columns)}")
    x_axis, y_axis, z_axis = columns[0:3], columns[4:7], columns[8:11]
    lengths = [math.sqrt(sum(v * v for v in axis)) for axis in (x_axis, y_axis, z_axis)]
    if min(lengths) == 0:
        raise ValueError("the matrix is singular: one axis has length 0")
    if abs(z_axis[2] / lengths[2] - 1) > tolerance:
        raise ValueError("the matrix turns about more than the up axis; only upright objects are read")
    if x_axis[0] * y_axis[1] - x_axis[1] * y_axis[0] < 0:
        raise ValueError("the matrix mirrors the object; mirrored objects have no yaw")
    return (columns[12], columns[13], columns[14]), normalise_yaw(
        math.degrees(math.atan2(x_axis[1], x_axis[0]))
    )


# Layouts written from the room's centroid (OptiScene's JSON): z up, radians, metres.


def to_centred(pos: Sequence[float], centroid: Point) -> Vector:
    """Our position relative to the room's centroid; the units stay."""
    return pos[0] - centroid[0], pos[1] - centroid[1], pos[2]


def from_centred(pos: Sequence[float], centroid: Point) -> Vector:
    """Inverse of `to_centred`."""
    return pos[0] + centroid[0], pos[1] + centroid[1], pos[2]


# LayoutGPT's CSS-like pixels: x to the right, y DOWN, the centre of the box, degrees counter-clockwise, front down the page.

PX_PER_M = 80.0  # of the published GPT-4 outputs


def to_layoutgpt(
    pos: Sequence[float], height: float, room_depth: float, px_per_m: float = PX_PER_M
) -> Vector:
    """(left, top, depth) in pixels of a pose in cm; `depth` is the height of the box's centre."""
    scale = px_per_m / 100
    return pos[0] * scale, (room_depth - pos[1]) * scale, (pos[2] + height / 2) * scale


def from_layoutgpt(
    left: float, top: float, depth: float, height: float, room_depth: float, px_per_m: float = PX_PER_M
) -> Vector:
    """Position in cm from pixels; `height` and `room_depth` in cm. Inverse of `to_layoutgpt`."""
    scale = 100 / px_per_m
    return left * scale, room_depth - top * scale, depth * scale - height / 2
