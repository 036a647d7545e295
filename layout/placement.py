"""How far an object is from obeying a rule: the measures behind the rule table, shared by validator, repair and synthesiser."""

from __future__ import annotations

import math
from collections.abc import Sequence

from layout.geometry import Box, Polygon, Wall, free_pieces, overlap_area, separated, signed_area, turn
from layout.rules import WALL_ANGLE, Rule


def wall_gap(box: Box, walls: Sequence[Wall]) -> float:
    """cm between the back face and the nearest wall it is parallel to (its farther end counts); inf where no wall is parallel.

    A wall counts only where the middle of the back face stands before it.
    """
    back = box.corners[2:4]
    middle = box.world((0, box.depth / 2))
    best = math.inf
    for wall in walls:
        if turn(box.yaw, wall.yaw) <= WALL_ANGLE and 0 <= wall.mark(middle) <= wall.length:
            into = max(wall.into(corner) for corner in back)
            if into >= -1:
                best = min(best, max(0.0, into))
    return best


def sight_error(box: Box, target: Box) -> float:
    """Degrees by which the line of sight from the centre misses the target's footprint; 0 when it meets it."""
    x, y = zip(*(box.local(corner) for corner in target.corners), strict=True)
    # In the object's frame the front is −y: angle of each corner from it, signed.
    angles = [math.degrees(math.atan2(a, -b)) for a, b in zip(x, y, strict=True)]
    # A target seen across less than a half turn that spans 0 is ahead; one that spans ±180 is behind.
    ahead = min(angles) <= 0 <= max(angles) and max(angles) - min(angles) < 180
    return 0.0 if ahead else min(abs(angle) for angle in angles)


def side_gap(box: Box, target: Box) -> float:
    """cm from a target's left or right face to the object beside it; inf when it is not beside the back half."""
    x, y = target.local(box.centre)
    if not -box.depth / 2 <= y <= target.depth / 2 + box.depth / 2 or abs(x) < target.width / 2:
        return math.inf
    return box.gap(target)


def front_gap(box: Box, target: Box) -> float:
    """cm from a target's front face to the object before it; inf when its centre is not before the face."""
    x, y = target.local(box.centre)
    if abs(x) > target.width / 2 or y > -target.depth / 2:
        return math.inf
    return box.gap(target)


def shortfall(rule: Rule, box: Box, target: Box) -> float:
    """By how many cm (degrees for `faces`) an object misses a rule about one target; 0 when it obeys, inf when it is elsewhere."""
    if rule.kind == "faces":
        return max(0.0, sight_error(box, target) - rule.high)
    measure = {"beside": side_gap, "in_front_of": front_gap, "near": Box.gap}[rule.kind](box, target)
    if measure == math.inf:
        return math.inf
    return max(0.0, measure - rule.high, rule.low - measure)


def blocked_share(zone: Polygon, room: Polygon, covers: Sequence[Box]) -> float:
    """Share of a convex zone that is outside the room or under one of the boxes."""
    total = signed_area(zone)
    xs, ys = [p[0] for p in zone], [p[1] for p in zone]
    x0, y0, x1, y1 = min(xs), min(ys), max(xs), max(ys)
    near = (
        b for b in covers if b.bounds[0] < x1 and x0 < b.bounds[2] and b.bounds[1] < y1 and y0 < b.bounds[3]
    )
    pieces = free_pieces(zone, (b.corners for b in near if not separated(zone, b.corners)))
    return 1 - sum(overlap_area(room, piece) for piece in pieces) / total
