"""Out-of-bounds and collision a second time, by sampling points, with none of the validator's code or tables.

A headline figure is reported from here beside the validator's: a mistake in the clipping, in a rotation or in a threshold would have to be
made twice, in two different ways, to go unseen. Only the data model is shared. Points are complex numbers x + iy, in cm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layout.schema import Scene, SceneObject

# Who may sit under what, restated here on purpose.
SEATS = {"desk_chair": {"desk", "vanity_table"}, "dining_chair": {"dining_table"}, "bar_stool": {"island"}}
SEATS["ottoman"] = {"desk", "vanity_table", "coffee_table"}


@dataclass(frozen=True)
class Estimate:
    """Sampled rates over rooms; areas in cm². `oob_far` holds the farthest sampled point outside of each room."""

    rooms: int
    oob_scene: float
    oob_object: float
    collision_scene: float
    collision_object: float
    oob_far: tuple[float, ...]


def footprint_points(o: SceneObject, side: int, rng: np.random.Generator) -> np.ndarray:
    """(side²,) complex: one random point in each of side x side equal cells of the footprint."""
    u, v = np.meshgrid(np.arange(side), np.arange(side))
    w = (u + rng.random(u.shape)) / side - 0.5 + 0j
    w = w * o.size[0] + 1j * ((v + rng.random(v.shape)) / side - 0.5) * o.size[1]
    return (w * np.exp(1j * np.pi * o.yaw / 180) + complex(o.pos[0], o.pos[1])).ravel()


def rim_points(o: SceneObject, step: float = 2.0) -> np.ndarray:
    """(N,) complex: points on the outline at most `step` cm apart, corners included."""
    half = complex(o.size[0], o.size[1]) / 2
    corners = np.array([-half, half.conjugate(), half, -half.conjugate()])
    sides = []
    for a, b in zip(corners, np.roll(corners, -1), strict=True):
        n = int(np.ceil(abs(b - a) / step)) + 1
        sides.append(a + (b - a) * np.linspace(0, 1, n))
    return np.concatenate(sides) * np.exp(1j * np.pi * o.yaw / 180) + complex(o.pos[0], o.pos[1])


def distance_outside(points: np.ndarray, polygon: Sequence[tuple[float, float]]) -> np.ndarray:
    """(N,) cm from each point to the polygon; 0 inside. Inside is a winding angle of a whole turn."""
    ring = np.array([complex(x, y) for x, y in polygon])
    ends = np.roll(ring, -1)
    to_a, to_b = ring[:, None] - points, ends[:, None] - points
    winding = np.angle(to_b * to_a.conjugate()).sum(0)
    edge = (ends - ring)[:, None]
    t = np.clip(np.real(-to_a * edge.conjugate()) / np.abs(edge) ** 2, 0, 1)
    near = np.abs(to_a + t * edge).min(0)
    return np.where(np.abs(winding) > np.pi, 0.0, near)


def within(points: np.ndarray, o: SceneObject) -> np.ndarray:
    """(N,) bool: points in an object's footprint."""
    local = (points - complex(o.pos[0], o.pos[1])) * np.exp(-1j * np.pi * o.yaw / 180)
    return (np.abs(local.real) <= o.size[0] / 2) & (np.abs(local.imag) <= o.size[1] / 2)


def outside_area(o: SceneObject, scene: Scene, side: int = 40, seed: int = 0) -> float:
    """cm² of an object's footprint outside the room, estimated from side² points."""
    points = footprint_points(o, side, np.random.default_rng(seed))
    return float((distance_outside(points, scene.room.polygon) > 0).mean()) * o.size[0] * o.size[1]


def common_area(a: SceneObject, b: SceneObject, side: int = 40, seed: int = 0) -> float:
    """cm² common to two footprints, estimated from side² points of the smaller."""
    small, large = sorted((a, b), key=lambda o: o.size[0] * o.size[1])
    points = footprint_points(small, side, np.random.default_rng(seed))
    return float(within(points, large).mean()) * small.size[0] * small.size[1]


def _far_apart(a: SceneObject, b: SceneObject) -> bool:
    reach = (np.hypot(a.size[0], a.size[1]) + np.hypot(b.size[0], b.size[1])) / 2
    return bool(np.hypot(a.pos[0] - b.pos[0], a.pos[1] - b.pos[1]) >= reach)


def collide(a: SceneObject, b: SceneObject, side: int = 40, seed: int = 0) -> bool:
    """Whether two objects are in each other's way: over 10 cm² and 1 % of the smaller foot in common, over 2 cm of height."""
    shared = min(a.pos[2] + a.size[2], b.pos[2] + b.size[2]) - max(a.pos[2], b.pos[2])
    if shared <= 2 or _far_apart(a, b):
        return False
    common = common_area(a, b, side, seed)
    feet = {o.id: o.size[0] * o.size[1] for o in (a, b)}
    for seat, table in ((a, b), (b, a)):
        if table.category in SEATS.get(seat.category, ()) and common <= 0.4 * feet[seat.id]:
            return False
    return common > max(10, 0.01 * min(feet.values()))


def evaluate(scenes: Sequence[Scene], tolerance: float = 1.0, side: int = 40, seed: int = 0) -> Estimate:
    """Rates of out-of-bounds (by more than `tolerance` cm) and collision over rooms, from side² points an object."""
    far_of_rooms, oob_objects, hit_scenes, hit_objects, objects = [], 0, 0, 0, 0
    for scene in scenes:
        far = [float(distance_outside(rim_points(o), scene.room.polygon).max()) for o in scene.objects]
        far_of_rooms.append(max(far, default=0.0))
        oob_objects += sum(f > tolerance for f in far)
        hit = {
            name
            for i, b in enumerate(scene.objects)
            for a in scene.objects[:i]
            if collide(a, b, side, seed)
            for name in (a.id, b.id)
        }
        hit_scenes += bool(hit)
        hit_objects += len(hit)
        objects += len(scene.objects)
    n = len(scenes)
    return Estimate(
        rooms=n,
        oob_scene=sum(f > tolerance for f in far_of_rooms) / n,
        oob_object=oob_objects / max(1, objects),
        collision_scene=hit_scenes / n,
        collision_object=hit_objects / max(1, objects),
        oob_far=tuple(far_of_rooms),
    )
