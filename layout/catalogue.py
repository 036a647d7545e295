"""What there is to place: sizes, what it stands on, how it is used, which rooms it belongs to, what people call it.

Sizes are centimetres, width x depth x height with the front at −Y, from typical products; where ProcTHOR's asset database (Apache-2.0) has
the type, ranges were chosen to lie within what it shows. `bottom` is the height of the lower face of what hangs on a wall.

Somebody's own entries (`layout.own_catalogue`) are known within `using`: names, nouns, rooms, checks and schemas then include them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

Range = tuple[float, float]
Size = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of object.

    `on` names where it may be: "floor", "wall", "ceiling", or categories whose top carries it. `use` are the sides it is used from, any one
    of which is enough, and `clearance` the depth in cm that the side needs. `movable` things are pushed aside by whoever walks past.
    `like` names the built-in category that an own one behaves as; `products` are the sizes in which somebody has it, where that is known.
    """

    name: str
    width: Range
    depth: Range
    height: Range
    rooms: tuple[str, ...]
    on: tuple[str, ...] = ("floor",)
    use: tuple[str, ...] = ()
    clearance: float = 0.0
    bottom: Range = (0.0, 0.0)
    movable: bool = False
    square: bool = False  # width and depth are one number
    synonyms: tuple[str, ...] = field(default=())
    like: str = ""
    products: tuple[Size, ...] = ()

    @property
    def small(self) -> bool:
        """Whether it stands on other things and nowhere else."""
        return not {"floor", "wall", "ceiling"} & set(self.on)

    def fits(self, size: Size) -> float:
        """How many cm the worst side is out of range, or off the nearest product; 0 inside."""
        if self.products:
            return min(max(abs(v - w) for v, w in zip(size, p, strict=True)) for p in self.products)
        ranges = (self.width, self.depth, self.height)
        return max(0.0, *(max(low - v, v - high) for v, (low, high) in zip(size, ranges, strict=True)))


_BED, _LIV, _KIT, _BATH = ("bedroom",), ("living_room",), ("kitchen",), ("bathroom",)
_LIVED = _BED + _LIV
_ALL = _BED + _LIV + _KIT + _BATH
_FRONT = ("front",)
_SIDES = ("left", "right")
_AROUND = ("front", "back", "left", "right")
_TABLES = ("desk", "coffee_table", "side_table", "dining_table", "sideboard", "dresser", "nightstand")
_WORKTOPS = ("counter", "island", "dining_table")

# fmt: off
_ENTRIES = (
    # Beds and storage. The front of a bed is its foot; it is used from the long sides.
    Category("double_bed", (140, 200), (190, 220), (40, 110), _BED, use=_SIDES, clearance=50, synonyms=("double bed", "queen bed", "king-size bed")),
    Category("single_bed", (80, 120), (190, 215), (40, 110), _BED, use=_SIDES, clearance=50, synonyms=("single bed", "twin bed")),
    Category("nightstand", (35, 65), (30, 50), (40, 70), _BED, synonyms=("nightstand", "bedside table")),
    Category("wardrobe", (80, 240), (50, 70), (180, 240), _BED, use=_FRONT, clearance=60, synonyms=("wardrobe", "closet")),
    Category("dresser", (75, 160), (40, 60), (70, 125), _BED, use=_FRONT, clearance=60, synonyms=("dresser", "chest of drawers")),
    Category("bookshelf", (40, 125), (20, 45), (80, 220), _LIVED, use=_FRONT, clearance=50, synonyms=("bookshelf", "bookcase")),
    Category("sideboard", (100, 200), (35, 55), (65, 100), _LIV, use=_FRONT, clearance=50, synonyms=("sideboard", "buffet")),
    Category("vanity_table", (70, 120), (38, 55), (70, 85), _BED, use=_FRONT, clearance=60, synonyms=("dressing table", "make-up table")),
    # Desks, tables, seats.
    Category("desk", (80, 180), (45, 85), (70, 80), _LIVED, use=_FRONT, clearance=70, synonyms=("desk", "work table")),
    Category("desk_chair", (40, 65), (40, 65), (75, 120), _LIVED, movable=True, synonyms=("desk chair", "office chair")),
    Category("sofa", (150, 270), (75, 110), (65, 100), _LIV, use=_FRONT, clearance=35, synonyms=("sofa", "couch")),
    Category("armchair", (60, 110), (65, 105), (65, 115), _LIVED, use=_FRONT, clearance=35, synonyms=("armchair", "lounge chair")),
    Category("coffee_table", (60, 140), (45, 90), (30, 55), _LIV, synonyms=("coffee table",)),
    Category("side_table", (30, 65), (30, 65), (40, 75), _LIVED, square=True, synonyms=("side table", "end table")),
    Category("tv_stand", (90, 200), (30, 55), (35, 75), _LIVED, synonyms=("TV stand", "media console")),
    Category("dining_table", (80, 220), (70, 110), (70, 80), _LIV + _KIT, use=_AROUND, clearance=60, synonyms=("dining table",)),
    Category("dining_chair", (40, 58), (40, 60), (75, 105), _LIV + _KIT, movable=True, synonyms=("dining chair",)),
    Category("bench", (80, 150), (30, 50), (40, 55), _BED, synonyms=("bench",)),
    Category("ottoman", (40, 80), (40, 60), (35, 50), _LIVED, movable=True, synonyms=("ottoman", "pouf")),
    Category("bar_stool", (35, 48), (35, 48), (60, 80), _KIT, movable=True, square=True, synonyms=("bar stool",)),
    # Things on the floor that fill corners, and rugs.
    Category("floor_lamp", (28, 55), (28, 55), (140, 190), _LIVED, square=True, synonyms=("floor lamp", "standing lamp")),
    Category("plant", (25, 60), (25, 60), (45, 160), _ALL, square=True, synonyms=("plant", "potted plant")),
    Category("bin", (22, 45), (22, 40), (30, 75), _KIT + _BATH, movable=True, synonyms=("bin", "trash can")),
    Category("rug", (80, 320), (60, 240), (1, 2), _LIVED, synonyms=("rug", "carpet")),
    Category("bath_mat", (50, 90), (40, 60), (1, 2), _BATH, synonyms=("bath mat",)),
    # Kitchen run.
    Category("fridge", (55, 95), (58, 75), (150, 205), _KIT, use=_FRONT, clearance=80, synonyms=("fridge", "refrigerator")),
    Category("counter", (20, 310), (58, 66), (85, 95), _KIT, clearance=60, synonyms=("counter", "base cabinet")),
    Category("stove", (50, 90), (58, 66), (85, 95), _KIT, use=_FRONT, clearance=80, synonyms=("stove", "cooker")),
    Category("kitchen_sink", (60, 100), (58, 66), (85, 95), _KIT, use=_FRONT, clearance=70, synonyms=("kitchen sink", "sink unit")),
    Category("dishwasher", (45, 60), (58, 66), (80, 95), _KIT, use=_FRONT, clearance=70, synonyms=("dishwasher",)),
    Category("island", (100, 200), (65, 100), (85, 95), _KIT, use=_AROUND, clearance=80, synonyms=("kitchen island", "island")),
    Category("wall_cabinet", (40, 130), (28, 38), (55, 85), _KIT, on=("wall",), bottom=(135, 155), synonyms=("wall cabinet", "upper cabinet")),
    Category("hood", (50, 90), (28, 50), (30, 80), _KIT, on=("wall",), bottom=(145, 175), synonyms=("range hood", "extractor hood")),
    # Bathroom.
    Category("toilet", (35, 55), (58, 80), (70, 105), _BATH, use=_FRONT, clearance=53, synonyms=("toilet",)),
    Category("vanity", (45, 125), (38, 56), (78, 92), _BATH, use=_FRONT, clearance=55, synonyms=("vanity", "washbasin")),
    Category("bathtub", (140, 185), (68, 90), (48, 65), _BATH, use=_FRONT, clearance=50, synonyms=("bathtub", "bath")),
    Category("shower", (75, 125), (75, 105), (195, 220), _BATH, use=_FRONT, clearance=50, synonyms=("shower", "shower cabin")),
    Category("washing_machine", (55, 70), (50, 70), (82, 115), _BATH + _KIT, use=_FRONT, clearance=60, synonyms=("washing machine",)),
    Category("laundry_basket", (35, 60), (28, 50), (45, 75), _BATH + _BED, movable=True, synonyms=("laundry basket", "hamper")),
    # On the walls and from the ceiling.
    Category("mirror", (40, 110), (2, 10), (50, 120), _BED + _BATH, on=("wall",), bottom=(90, 130), synonyms=("mirror",)),
    Category("painting", (40, 120), (2, 5), (35, 90), _LIVED, on=("wall",), bottom=(100, 170), synonyms=("painting", "picture")),
    Category("towel_rack", (40, 70), (5, 12), (5, 80), _BATH, on=("wall",), bottom=(80, 140), synonyms=("towel rack",)),
    Category("curtain", (80, 300), (5, 12), (100, 300), _LIVED, on=("wall",), bottom=(0, 110), synonyms=("curtain",)),
    Category("ceiling_light", (25, 70), (25, 70), (8, 50), _ALL, on=("ceiling",), square=True, synonyms=("ceiling light", "ceiling lamp")),
    # Small things on tops.
    Category("television", (70, 150), (5, 30), (42, 90), _LIVED, on=("tv_stand", "dresser", "sideboard", "wall"), bottom=(80, 130), synonyms=("television", "TV")),
    Category("table_lamp", (15, 35), (15, 35), (30, 60), _LIVED, on=_TABLES, square=True, synonyms=("table lamp",)),
    Category("books", (14, 30), (10, 25), (5, 30), _LIVED, on=(*_TABLES, "bookshelf"), synonyms=("stack of books", "books")),
    Category("laptop", (28, 40), (20, 30), (2, 25), _LIVED, on=("desk", "coffee_table", "dining_table"), synonyms=("laptop",)),
    Category("monitor", (45, 80), (15, 25), (35, 60), _LIVED, on=("desk",), synonyms=("monitor", "computer screen")),
    Category("alarm_clock", (8, 20), (5, 12), (6, 20), _BED, on=("nightstand", "desk", "dresser"), synonyms=("alarm clock",)),
    Category("vase", (10, 22), (10, 22), (15, 40), _LIVED + _KIT, on=(*_TABLES, "tv_stand", "counter", "island"), square=True, synonyms=("vase",)),
    Category("mug", (7, 12), (7, 12), (8, 12), _LIVED + _KIT, on=(*_TABLES, *_WORKTOPS), square=True, synonyms=("mug", "cup")),
    Category("fruit_bowl", (22, 35), (22, 35), (8, 18), _LIV + _KIT, on=("dining_table", "coffee_table", *_WORKTOPS), square=True, synonyms=("fruit bowl", "bowl of fruit")),
    Category("microwave", (42, 58), (32, 45), (25, 35), _KIT, on=("counter",), synonyms=("microwave",)),
    Category("coffee_machine", (18, 35), (22, 42), (28, 42), _KIT, on=("counter", "island"), synonyms=("coffee machine", "coffee maker")),
    Category("toaster", (18, 35), (15, 30), (16, 25), _KIT, on=("counter",), synonyms=("toaster",)),
    Category("kettle", (14, 24), (14, 24), (18, 30), _KIT, on=("counter",), square=True, synonyms=("kettle",)),
    Category("soap_dispenser", (6, 12), (6, 12), (10, 22), _BATH, on=("vanity",), square=True, synonyms=("soap dispenser",)),
    Category("towel", (20, 40), (15, 30), (4, 15), _BATH, on=("vanity", "washing_machine", "laundry_basket"), synonyms=("folded towel", "towel")),
)
# fmt: on

# What people say without saying which: the most usual one is meant.
_GENERIC = {
    "bed": "double_bed",
    "lamp": "floor_lamp",
    "shelf": "bookshelf",
    "bath tub": "bathtub",
    "chandelier": "ceiling_light",
}


def _nouns(entries: Iterable[Category]) -> dict[str, str]:
    return {
        noun.lower().replace("-", " "): entry.name
        for entry in entries
        for noun in (entry.name.replace("_", " "), *entry.synonyms)
    }


@dataclass(frozen=True)
class _Table:
    entries: dict[str, Category]
    nouns: dict[str, str]


BUILT_IN: dict[str, Category] = {entry.name: entry for entry in _ENTRIES}
_BUILT_IN = _Table(BUILT_IN, _GENERIC | _nouns(_ENTRIES))
_table: ContextVar[_Table] = ContextVar("catalogue", default=_BUILT_IN)


class _Catalogue(Mapping[str, Category]):
    """The entries that are known where it is asked: the built-in ones, and within `using` those given there."""

    def __getitem__(self, name: str) -> Category:
        return _table.get().entries[name]

    def get(self, key: str, default: Category | None = None) -> Category | None:  # type: ignore[override]
        return _table.get().entries.get(
            key, default
        )  # the validator asks often; Mapping's own raises and catches

    def __contains__(self, name: object) -> bool:
        return name in _table.get().entries

    def __iter__(self) -> Iterator[str]:
        return iter(_table.get().entries)

    def __len__(self) -> int:
        return len(_table.get().entries)


CATALOGUE = _Catalogue()


@contextmanager
def using(extra: Iterable[Category]) -> Iterator[None]:
    """Know `extra` besides the built-in entries, in this thread and what it awaits.

    An entry replaces the built-in one of its name, and its nouns win over theirs. Inside another `using` only the inner entries count.
    """
    extra = tuple(extra)
    entries = BUILT_IN | {entry.name: entry for entry in extra}
    mark = _table.set(_Table(entries, _BUILT_IN.nouns | _nouns(extra)))
    try:
        yield
    finally:
        _table.reset(mark)


def own() -> tuple[Category, ...]:
    """The entries that `using` added or replaced."""
    return tuple(e for name, e in _table.get().entries.items() if BUILT_IN.get(name) is not e)


def base(name: str) -> str:
    """The category whose rules, shape and colour hold for a name: an own one's `like`, otherwise the name itself."""
    entry = _table.get().entries.get(name)
    return entry.like or name if entry is not None else name


def category(name: str) -> Category:
    """The entry of a category. Raises ValueError with the nearest names for one that is not listed."""
    from difflib import get_close_matches

    if name in CATALOGUE:
        return CATALOGUE[name]
    close = get_close_matches(name, CATALOGUE, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(sorted(CATALOGUE))}"
    raise ValueError(f"unknown category {name!r}; {hint}")


def of_room(room_type: str) -> list[Category]:
    """What belongs into a type of room, in the catalogue's order."""
    return [entry for entry in CATALOGUE.values() if room_type in entry.rooms]


def named(text: str) -> str | None:
    """The category that people mean by a noun such as "couch" or "Bedside Tables"; None for one that is not known."""
    nouns = _table.get().nouns
    plain = " ".join(text.lower().replace("_", " ").replace("-", " ").split())
    for candidate in (
        plain,
        plain.removesuffix("s"),
        plain.removesuffix("es"),
        plain.removesuffix("ves") + "f",
        plain.removesuffix("ies") + "y",
    ):
        if candidate in nouns:
            return nouns[candidate]
    return None
