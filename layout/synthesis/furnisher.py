"""Placing furniture in a room one piece at a time: each piece is put where the rule table wants it, or not at all."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence

from layout.catalogue import CATALOGUE
from layout.geometry import Box, Point, Wall, overlap_area, separated
from layout.placement import blocked_share
from layout.rules import TUCK_SHARE, TUCKED, WINDOW_BAND
from layout.schema import Room, SceneObject

Size = tuple[int, int, int]


class Furnisher:
    """A room being furnished.

    Floor that has to stay free (door swings, the space before a wardrobe) is kept as zones: fixed pieces stay out of them, and a new piece
    is refused when its own zone is not free. Nothing is placed beyond `limit` objects. Positions are whole centimetres; sizes are even, so that backs touch walls exactly.
    """

    def __init__(self, room: Room, rng: random.Random, limit: int = 200) -> None:
        self.room, self.rng, self.limit = room, rng, limit
        self.objects: list[SceneObject] = []
        self.counts: Counter[str] = Counter()
        self.door_zones = [room.walls[d.wall].strip(d.start, d.end, d.clear_depth) for d in room.doors]
        self.window_zones = [(room.walls[w.wall].strip(w.start, w.end, WINDOW_BAND), w) for w in room.windows]
        self.zones: list[list[Point]] = []
        self.floor_taken = 0.0

    @property
    def share(self) -> float:
        """Share of the floor under furniture."""
        return self.floor_taken / self.room.area

    def mark(self) -> tuple[int, int, float]:
        """Where the furnishing is, for `undo`."""
        return len(self.objects), len(self.zones), self.floor_taken

    def undo(self, mark: tuple[int, int, float]) -> None:
        """Take away everything placed since `mark`."""
        objects, zones, self.floor_taken = mark
        for o in self.objects[objects:]:
            self.counts[o.category] -= 1
        del self.objects[objects:], self.zones[zones:]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def keep(self, o: SceneObject, side: str, most: float = 0.25) -> bool:
        """Keep a side's zone free from now on, unless more than the share `most` of it is taken already."""
        zone = o.box.zone(side, CATALOGUE[o.category].clearance)
        others = [p.box for p in self.objects if p is not o and self._solid(p)]
        if blocked_share(zone, self.room.polygon, others) > most:
            return False
        self.zones.append(zone)
        return True

    def size(
        self, name: str, width: tuple[int, int] | None = None, height: tuple[int, int] | None = None
    ) -> Size:
        """A random size within the catalogue's ranges, or narrower ones."""
        entry = CATALOGUE[name]
        w = _even(self.rng, *(width or entry.width))
        d = w if entry.square else _even(self.rng, *entry.depth)
        h = self.rng.randint(*(int(v) for v in (height or entry.height)))
        return w, d, h

    def fits(self, box: Box, name: str, solid: bool = True, partners: Sequence[str] = ()) -> bool:
        """Whether a box can stand there: in the room, touching nothing, out of door swings, windows and kept zones.

        `solid` pieces keep out of kept zones. `partners` are ids whose zone and (tuckable) table top do not count.
        """
        if not self._inside(box):
            return False
        if box.height > 5 and any(not separated(zone, box.corners) for zone in self.door_zones):
            return False
        for zone, window in self.window_zones:
            if (
                box.top > window.sill
                and box.bottom < window.head
                and name != "curtain"
                and not separated(zone, box.corners)
            ):
                return False
        for o in self.objects:
            if (
                box.near(o.box)
                and box.height_overlap(o.box) > 2
                and not separated(box.corners, o.box.corners)
            ):
                tuck = o.id in partners and o.category in TUCKED.get(name, ())
                if not (tuck and box.overlap(o.box) <= TUCK_SHARE * box.area):
                    return False
        return not solid or all(separated(zone, box.corners) for zone in self.zones)

    def _inside(self, box: Box) -> bool:
        if all(wall.into(p) >= -1e-6 for wall in self.room.walls for p in box.corners):
            return True
        return overlap_area(self.room.polygon, box.corners) >= box.area - 1e-3

    def place(
        self,
        name: str,
        size: Size,
        x: float,
        y: float,
        yaw: float,
        *,
        z: float = 0,
        on: str = "floor",
        sides: Sequence[str] | None = None,
        partners: Sequence[str] = (),
    ) -> SceneObject | None:
        """Put a piece at a pose if it fits there, and keep the zones on `sides` (the catalogue's first side of use by default)."""
        if len(self.objects) >= self.limit:
            return None
        entry = CATALOGUE[name]
        x, y, yaw = round(x), round(y), round(yaw) % 360
        box = Box.of((x, y, z), size, yaw)
        solid = on == "floor" and size[2] > 5 and not entry.movable
        if not self.fits(box, name, solid, partners):
            return None
        kept = [box.zone(side, entry.clearance) for side in (entry.use[:1] if sides is None else sides)]
        if on == "floor" and kept and entry.clearance:
            others = [o.box for o in self.objects if self._solid(o)]
            if any(blocked_share(zone, self.room.polygon, others) > 0.02 for zone in kept):
                return None
            self.zones += kept
        self.counts[name] += 1
        o = SceneObject(
            id=f"{name}_{self.counts[name]}", category=name, size=size, yaw=yaw, pos=(x, y, z), on=on
        )
        self.objects.append(o)
        if solid:
            self.floor_taken += box.area
        return o

    @staticmethod
    def _solid(o: SceneObject) -> bool:
        return o.on == "floor" and o.size[2] > 5 and not CATALOGUE[o.category].movable

    def at_wall(
        self,
        name: str,
        size: Size,
        *,
        walls: Iterable[Wall] | None = None,
        corner: float = 0.3,
        tries: int = 14,
        sides: Sequence[str] | None = None,
        centre: float | None = None,
    ) -> SceneObject | None:
        """Back to a wall: in its corner with probability `corner`, at the mark `centre`, else anywhere along it on a grid of 10 cm."""
        options = [w for w in (walls or self.room.walls) if w.length >= size[0]]
        if not options:
            return None
        for _ in range(tries):
            wall = self.rng.choices(options, [w.length for w in options])[0]
            slack = wall.length - size[0]
            if centre is not None:
                mark = min(
                    max(centre + self.rng.randrange(-30, 31, 10), size[0] / 2), wall.length - size[0] / 2
                )
            elif self.rng.random() < corner:
                mark = size[0] / 2 + self.rng.choice([0.0, slack])
            else:
                mark = size[0] / 2 + self.rng.randrange(0, int(slack) + 1, 10)
            # At an oblique wall rounding may cost a centimetre: leave it.
            off = 0 if 0 in wall.inward else 1
            x, y = wall.at(mark, size[1] / 2 + off)
            placed = self.place(name, size, x, y, wall.yaw, sides=sides)
            if placed is not None:
                return placed
        return None

    def beside(self, name: str, size: Size, anchor: SceneObject, side: int, gap: float) -> SceneObject | None:
        """At the anchor's left (−1) or right (+1), backs level, facing the same way."""
        b = anchor.box
        x, y = b.world((side * (b.width / 2 + gap + size[0] / 2), b.depth / 2 - size[1] / 2))
        return self.place(name, size, x, y, anchor.yaw, partners=(anchor.id,))

    def before(
        self,
        name: str,
        size: Size,
        anchor: SceneObject,
        gap: float,
        *,
        shift: float = 0.0,
        facing: bool = True,
    ) -> SceneObject | None:
        """In front of the anchor, `gap` cm from its front (negative: tucked under it), turned to it or the same way."""
        b = anchor.box
        x, y = b.world((shift, -(b.depth / 2 + gap + size[1] / 2)))
        return self.place(name, size, x, y, anchor.yaw + (180 if facing else 0), partners=(anchor.id,))

    def around(
        self, name: str, size: Size, table: SceneObject, local: Point, gap: float
    ) -> SceneObject | None:
        """At a side of a table, turned to it; `gap` as in `before`.

        `local` is (±1, share of the depth) for the ends and (share of the width, ±1) for the long sides, in the table's frame.
        """
        b = table.box
        across, along = b.width / 2 + gap + size[1] / 2, b.depth / 2 + gap + size[1] / 2
        if abs(local[0]) == 1:
            x, y = b.world((local[0] * across, local[1] * b.depth))
            yaw = table.yaw + (270 if local[0] > 0 else 90)
        else:
            x, y = b.world((local[0] * b.width, local[1] * along))
            yaw = table.yaw + (0 if local[1] > 0 else 180)
        return self.place(name, size, x, y, yaw, partners=(table.id,))

    def corner(self, name: str, size: Size, tries: int = 6) -> SceneObject | None:
        """In a corner of the room, or at the end of a piece that stands at a wall."""
        for _ in range(tries):
            wall = self.rng.choice(self.room.walls)
            if wall.length < size[0]:
                continue
            mark = self.rng.choice([size[0] / 2, wall.length - size[0] / 2])
            if self.objects and self.rng.random() < 0.4:
                neighbour = self.rng.choice(self.objects)
                mark = (
                    wall.mark(neighbour.box.centre)
                    + self.rng.choice([-1, 1]) * (neighbour.size[0] + size[0]) / 2
                )
            x, y = wall.at(mark, size[1] / 2 + self.rng.choice([2, 4, 8]))
            placed = self.place(name, size, x, y, wall.yaw)
            if placed is not None:
                return placed
        return None

    def somewhere(
        self, name: str, size: Size, yaws: Sequence[float] = (0, 90), tries: int = 10
    ) -> SceneObject | None:
        """Anywhere on the floor, on a grid of 10 cm."""
        width, depth = self.room.extent
        for _ in range(tries):
            x, y = self.rng.randrange(0, int(width), 10), self.rng.randrange(0, int(depth), 10)
            placed = self.place(name, size, x, y, self.rng.choice(yaws))
            if placed is not None:
                return placed
        return None

    def on_top(
        self, name: str, carrier: SceneObject, tries: int = 5, centred: bool = False
    ) -> SceneObject | None:
        """On an object's top, not over its edge, facing the same way."""
        size = self.size(name)
        b = carrier.box
        for _ in range(tries):
            w, d = int(b.width - size[0]) // 2, int(b.depth - size[1]) // 2
            if w < 0 or d < 0:
                size = self.size(name)
                continue
            local = (0, 0) if centred else (self.rng.randint(-w, w), self.rng.randint(-d, d))
            x, y = b.world(local)
            placed = self.place(name, size, x, y, carrier.yaw, z=b.top, on=carrier.id)
            if placed is not None:
                return placed
        return None

    def hang(
        self, name: str, size: Size, *, above: SceneObject | None = None, tries: int = 8
    ) -> SceneObject | None:
        """On a wall, clear of its openings: above a piece that stands there, or anywhere."""
        entry = CATALOGUE[name]
        for _ in range(tries):
            wall = self._wall_behind(above) if above is not None else self.rng.choice(self.room.walls)
            if wall is None or wall.length < size[0]:
                continue
            mark = size[0] / 2 + self.rng.randrange(0, int(wall.length - size[0]) + 1, 10)
            if above is not None:
                mark = wall.mark(above.box.centre)
            bottom = self.rng.randint(int(entry.bottom[0]), int(entry.bottom[1]))
            if above is not None:
                bottom = max(bottom, int(above.box.top) + 5)
            if bottom + size[2] > self.room.height - 5 or self._over_opening(wall, mark, size, bottom):
                continue
            x, y = wall.at(mark, size[1] / 2)
            placed = self.place(name, size, x, y, wall.yaw, z=bottom, on="wall")
            if placed is not None:
                return placed
        return None

    def _wall_behind(self, o: SceneObject) -> Wall | None:
        back = o.box.world((0, o.box.depth / 2))
        near = [w for w in self.room.walls if abs(w.into(back)) < 6 and 0 <= w.mark(back) <= w.length]
        return near[0] if near else None

    def _over_opening(self, wall: Wall, mark: float, size: Size, bottom: float) -> bool:
        start, end = mark - size[0] / 2, mark + size[0] / 2
        for opening in (*self.room.doors, *self.room.windows):
            if opening.wall == wall.index and opening.start < end and start < opening.end:
                return True
        return False

    def ceiling(self, name: str, x: float, y: float) -> SceneObject | None:
        """Under the ceiling at a point."""
        size = self.size(name)
        return self.place(name, size, x, y, 0, z=self.room.height - size[2], on="ceiling")

    def wall_opposite(self, o: SceneObject) -> tuple[Wall, float, float] | None:
        """The wall that an object looks at straight: (wall, mark along it, free distance); None when it looks at none squarely."""
        best = None
        fx, fy = o.box.front
        for wall in self.room.walls:
            square = -(fx * wall.inward[0] + fy * wall.inward[1])
            if square < 0.99:
                continue
            away = wall.into(o.box.centre) - o.box.depth / 2
            mark = wall.mark(o.box.centre)
            if away > 0 and 0 <= mark <= wall.length and (best is None or away < best[2]):
                best = wall, mark, away
        return best


def _even(rng: random.Random, low: float, high: float) -> int:
    """An even number of a range; multiples of ten where the range is wide, so that texts stay plain."""
    step = 10 if high - low >= 40 else 2
    first = math.ceil(low / step) * step
    return rng.randrange(first, int(high) + 1, step)
