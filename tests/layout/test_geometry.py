import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout import geometry as g

L = [(0, 0), (500, 0), (500, 200), (300, 200), (300, 400), (0, 400)]
SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]

numbers = st.integers(-300, 300)
sides = st.integers(5, 200)
rectangles = st.builds(g.rectangle, numbers, numbers, sides, sides, st.integers(0, 359))


def moved(polygon, dx, dy, yaw):
    c, s = g.direction(yaw)
    return [(x * c - y * s + dx, x * s + y * c + dy) for x, y in polygon]


def test_quarter_turns_keep_integers():
    assert g.rectangle(100, 50, 40, 20, 90) == [(110, 30), (110, 70), (90, 70), (90, 30)]


def test_overlap_of_two_squares_by_hand():
    assert g.overlap_area(SQUARE, g.rectangle(10, 10, 10, 10)) == pytest.approx(25)
    # A diamond of half diagonal 5 centred on a corner of the square: a quarter of its area 50.
    assert g.overlap_area(SQUARE, g.rectangle(10, 10, math.sqrt(50), math.sqrt(50), 45)) == pytest.approx(
        12.5
    )


def test_overlap_with_an_l_shaped_room_counts_both_legs():
    across_the_cut_out = g.rectangle(300, 200, 200, 200)  # 100 cm each way around the inner corner
    assert g.overlap_area(L, across_the_cut_out) == pytest.approx(30_000)
    assert g.outside_area(across_the_cut_out, L) == pytest.approx(10_000)


def test_overrun_is_the_farthest_point_outside():
    assert g.overrun(g.rectangle(5, 5, 10, 10), SQUARE) == 0
    assert g.overrun(g.rectangle(8, 5, 10, 4), SQUARE) == pytest.approx(3)
    # A diamond across the inner corner of the L: all corners inside, the middle of one edge 50/sqrt(2) from either leg's wall.
    diamond = moved(g.rectangle(0, 0, 200, 200), 270, 170, 45)
    assert all(g.contains(L, p) for p in diamond)
    outside = g.overrun(diamond, L)
    assert 0 < outside < 100
    assert g.outside_area(diamond, L) > 0


def test_a_gap_between_corners_is_diagonal():
    assert g.gap(SQUARE, [(13, 14), (20, 14), (20, 20), (13, 20)]) == pytest.approx(5)
    assert g.gap(SQUARE, [(10, 0), (20, 0), (20, 10), (10, 10)]) == 0


def test_covered_area_counts_common_ground_once():
    covers = [g.rectangle(2.5, 5, 5, 10), g.rectangle(3.5, 5, 7, 4), g.rectangle(50, 50, 4, 4)]
    assert g.covered_area(SQUARE, covers) == pytest.approx(50 + 2 * 4)


def test_self_crossing_names_the_edges():
    assert g.self_crossing([(0, 0), (10, 10), (10, 0), (0, 10)]) == (0, 2)
    assert g.self_crossing(L) is None


def test_a_wall_knows_the_yaw_of_what_stands_at_it():
    assert [wall.yaw for wall in g.walls(SQUARE)] == [180, 270, 0, 90]


@given(rectangles, rectangles)
@settings(max_examples=80, deadline=None)
def test_overlap_is_symmetric_and_bounded(a, b):
    ab, ba = g.overlap_area(a, b), g.overlap_area(b, a)
    assert ab == pytest.approx(ba, abs=1e-6)
    assert -1e-9 <= ab <= min(g.signed_area(a), g.signed_area(b)) + 1e-6
    if g.separated(a, b):
        assert ab == pytest.approx(0, abs=1e-5)
    else:
        assert g.gap(a, b) == 0


@given(rectangles, rectangles, numbers, numbers, st.integers(0, 359))
@settings(max_examples=50, deadline=None)
def test_moving_everything_changes_nothing(a, b, dx, dy, yaw):
    a2, b2 = moved(a, dx, dy, yaw), moved(b, dx, dy, yaw)
    assert g.overlap_area(a2, b2) == pytest.approx(g.overlap_area(a, b), abs=1e-4)
    assert g.gap(a2, b2) == pytest.approx(g.gap(a, b), abs=1e-6)


@given(rectangles, rectangles)
@settings(max_examples=50, deadline=None)
def test_difference_and_intersection_make_up_the_whole(a, b):
    pieces = g.difference(a, b)
    left = sum(g.signed_area(p) for p in pieces)
    assert left + g.overlap_area(a, b) == pytest.approx(g.signed_area(a), abs=1e-4)


@given(st.integers(0, 400), st.integers(0, 359))
@settings(max_examples=50, deadline=None)
def test_pushing_further_out_never_reduces_the_overrun(step, yaw):
    one = g.overrun(g.rectangle(250 + step, 100, 60, 40, yaw), L)
    assert g.overrun(g.rectangle(255 + step, 100, 60, 40, yaw), L) >= one - 1e-6


@given(rectangles)
@settings(max_examples=25, deadline=None)
def test_outside_area_agrees_with_sampling(a):
    draw = random.Random(0)
    (ax, ay), (bx, by), _, (dx, dy) = a
    hits = 0
    for _ in range(1500):
        u, v = draw.random(), draw.random()
        hits += not g.contains(L, (ax + u * (bx - ax) + v * (dx - ax), ay + u * (by - ay) + v * (dy - ay)))
    assert g.outside_area(a, L) / g.signed_area(a) == pytest.approx(hits / 1500, abs=0.06)


def test_a_box_works_in_its_own_frame():
    box = g.Box.of((100, 100, 0), (80, 40, 50), 90)
    assert box.front == (1, 0)
    assert box.local((120, 100)) == (0, -20)
    assert sorted(box.zone("front", 30)) == [(120, 60), (120, 140), (150, 60), (150, 140)]
    assert sorted(box.zone("left", 10)) == [(80, 50), (80, 60), (120, 50), (120, 60)]
