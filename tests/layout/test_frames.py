"""Each conversion is checked by carrying the points of an asymmetric marker through both formats, at oblique angles too."""

import math

import numpy as np
import pytest

from layout import frames

YAWS = [0, 30, 90, 117.5, 180, 213, 270, 359]
POS = (120.0, 250.0, 40.0)
# An L with a beak: no symmetry of the plane or of space maps it onto itself. The beak points to the front, −Y.
MARKER = np.array([(0, 0, 0), (30, 0, 0), (0, 70, 0), (0, -20, 0), (0, 0, 50), (10, -40, 5)], dtype=float)


def in_our_room(yaw):
    c, s = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    return MARKER @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + POS


def turned_by_quaternion(points, xyzw):
    v, w = np.array(xyzw[:3]), xyzw[3]
    return points + 2 * np.cross(v, np.cross(v, points) + w * points)


@pytest.mark.parametrize("yaw", YAWS)
def test_y_up_right_handed_places_every_point_alike(yaw):
    model = np.array([frames.to_y_up(p) for p in MARKER])  # a glTF model: its front is +Z
    assert frames.to_y_up((0, -1, 0)) == (0, 0, 1)
    placed = turned_by_quaternion(model, frames.to_quaternion(yaw)) + frames.to_y_up(POS)
    assert np.allclose(placed, [frames.to_y_up(p) for p in in_our_room(yaw)])
    assert frames.from_quaternion(frames.to_quaternion(yaw)) == pytest.approx(yaw)
    assert frames.from_y_up(frames.to_y_up(POS)) == POS


@pytest.mark.parametrize("yaw", YAWS)
def test_unity_places_every_point_alike(yaw):
    # A model in Unity has its front at +Z, so our model's −Y becomes +Z and, seen from its own front, its −X stays its own side:
    # the axes (x, y, z) of ours are (−x, z, −y) of Unity's model frame.
    model = np.array([(-x, z, -y) for x, y, z in MARKER])
    phi = math.radians(frames.to_unity_yaw(yaw))
    c, s = math.cos(phi), math.sin(phi)
    clockwise = np.array(
        [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    )  # left-handed: +x turns towards −z seen from above, z up the page
    placed = model @ clockwise.T + frames.to_unity(POS)
    assert np.allclose(placed, [frames.to_unity(p) for p in in_our_room(yaw)])
    assert frames.from_unity_yaw(frames.to_unity_yaw(yaw)) == pytest.approx(yaw)


@pytest.mark.parametrize("yaw", YAWS)
def test_a_matrix_places_every_point_alike(yaw):
    matrix = np.array(frames.to_matrix(POS, yaw)).reshape(4, 4).T
    placed = (matrix @ np.c_[MARKER, np.ones(len(MARKER))].T).T[:, :3]
    assert np.allclose(placed, in_our_room(yaw))
    position, back = frames.from_matrix(matrix.T.ravel().tolist())
    assert position == POS
    assert back == pytest.approx(yaw)


@pytest.mark.parametrize("yaw", YAWS)
def test_layoutgpt_pixels_show_the_same_picture(yaw):
    room_depth = 400.0
    for point in in_our_room(yaw):
        left, top, _ = frames.to_layoutgpt(point, 0, room_depth)
        assert (left / 0.8, 400 - top / 0.8) == pytest.approx((point[0], point[1]))
    pixels = frames.to_layoutgpt(POS, 60, room_depth)
    assert frames.from_layoutgpt(*pixels, height=60, room_depth=room_depth) == pytest.approx(POS)


@pytest.mark.parametrize("yaw", YAWS)
def test_facing_and_its_inverse(yaw):
    assert frames.yaw_towards(*frames.facing(yaw)) == pytest.approx(yaw)
    beak = in_our_room(yaw)[3] - POS
    assert frames.facing(yaw) == pytest.approx(tuple(beak[:2] / 20))


def test_what_a_yaw_cannot_say_is_refused():
    with pytest.raises(ValueError, match="more than the up axis"):
        frames.from_quaternion((0.7071, 0, 0, 0.7071))
    with pytest.raises(ValueError, match="mirrors"):
        frames.from_matrix((-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1))
    with pytest.raises(ValueError, match="16 numbers"):
        frames.from_matrix((1, 0, 0))
    with pytest.raises(ValueError, match="does not exist"):
        frames.yaw_towards(0, 0)


def test_centred_coordinates_round_trip():
    assert frames.from_centred(frames.to_centred(POS, (200, 150)), (200, 150)) == POS
