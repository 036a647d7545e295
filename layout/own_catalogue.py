"""Somebody's own catalogue from a JSON or YAML file: products with their exact sizes, and kinds of furniture that ours does not have.

    - {name: sofa, size: [218, 88, 83]}                       # the sofa there is: every sofa gets this size
    - {name: sofa, size: [160, 85, 80]}                       # or this one, whichever is nearer
    - {name: billy, like: bookshelf, size: [80, 28, 202], synonyms: [Billy bookcase]}
    - {name: aquarium, units: m, width: [0.6, 1.2], depth: 0.4, height: 0.5, rooms: [living_room], on: [sideboard]}

A name that is built in keeps everything that the entry does not say. `like` takes over another's rules, clearances, places, shape and
colour, and lets a layout model that has never heard of a billy be asked for a bookshelf (`layout.own_pieces`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from layout.catalogue import BUILT_IN, Category, Range, Size
from layout.schema import PLACES, Cm, Length, Name, RoomType, Strict

UNITS = {"cm": 1.0, "m": 100.0, "ft": 30.48}
LARGEST = 1000.0  # cm; no piece of furniture is longer
SMALLEST = 3.0  # cm; what is smaller on all sides was given in metres
Extent = Length | tuple[Length, Length]


class Entry(Strict):
    """One entry of a file, in its own unit. `size` is a product's width, depth and height; otherwise each side is a number or a range."""

    name: Name
    like: Name | None = None
    units: Literal["cm", "m", "ft"] = "cm"
    size: tuple[Length, Length, Length] | None = None
    width: Extent | None = None
    depth: Extent | None = None
    height: Extent | None = None
    rooms: tuple[RoomType, ...] | None = Field(default=None, min_length=1)
    on: tuple[Name, ...] | None = Field(default=None, min_length=1)
    use: tuple[Literal["front", "back", "left", "right"], ...] | None = None
    clearance: Cm | None = Field(default=None, ge=0)
    bottom: tuple[Cm, Cm] | None = None
    movable: bool | None = None
    synonyms: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sizes(self) -> Entry:
        if self.size is not None and (self.width or self.depth or self.height):
            raise ValueError("size: give either size or width, depth and height")
        sides = [(f, v) for f in ("width", "depth", "height") if (v := self.extent(f)) is not None]
        for side, (low, high) in sides:
            if low > high:
                raise ValueError(f"{side}: the range runs from {low:g} down to {high:g} cm")
            if high > LARGEST:
                raise ValueError(f"{side}: {high:g} cm is no furniture; are the units really {self.units!r}?")
        if len(sides) == 3 and max(high for _, (_, high) in sides) < SMALLEST:
            raise ValueError(f"size: all sides are below {SMALLEST:g} cm; if these are metres, add units: m")
        return self

    def extent(self, side: Literal["width", "depth", "height"]) -> Range | None:
        """(least, most) of a side in cm; None where the entry does not say it."""
        given = self.size[("width", "depth", "height").index(side)] if self.size else getattr(self, side)
        if given is None:
            return None
        low, high = given if isinstance(given, tuple) else (given, given)
        return round(low * UNITS[self.units], 4), round(high * UNITS[self.units], 4)

    @property
    def product(self) -> Size | None:
        """The one size in cm, where all three sides are single numbers."""
        ranges = (self.extent("width"), self.extent("depth"), self.extent("height"))
        if any(r is None or r[0] != r[1] for r in ranges):
            return None
        width, depth, height = (r[0] for r in ranges if r is not None)
        return width, depth, height


def load(path: str | Path) -> tuple[Category, ...]:
    """The entries of a file, for `layout.catalogue.using`. Raises ValueError naming file, entry and field; OSError where it cannot be read."""
    rows = _rows(Path(path))
    entries: dict[str, list[Entry]] = {}
    for i, row in enumerate(rows):
        name = row.get("name") if isinstance(row, dict) else None
        place = f"{path}: entry {i}" + (f" ({name})" if name else "")
        if not isinstance(row, dict):
            raise ValueError(
                f"{place}: an entry has a name and a size, this is {json.dumps(row, default=str)[:60]}"
            )
        try:
            entry = Entry.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise ValueError(f"{place}: {field + ': ' if field else ''}{first['msg']}") from error
        entries.setdefault(entry.name, []).append(entry)
    found = []
    for name, alike in entries.items():
        try:
            found.append(_category(name, alike, frozenset(entries)))
        except ValueError as error:
            raise ValueError(f"{path}: {name}: {error}") from error
    return tuple(found)


def _rows(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() in (".yaml", ".yml"):
        import yaml

        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
        if isinstance(value, list):  # YAML 1.1 reads the key `on` as true
            value = [
                {"on" if k is True else k: v for k, v in row.items()} if isinstance(row, dict) else row
                for row in value
            ]
    else:
        try:
            value = json.loads(text) if text.strip() else None
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path}: no JSON: {error.msg} in line {error.lineno}, column {error.colno} (name the file .yaml for YAML)"
            ) from error
    if not isinstance(value, list) or not value:
        raise ValueError(f"{path}: a catalogue is a list of entries, each with a name and a size")
    return value


def _category(name: str, alike: Sequence[Entry], named: frozenset[str]) -> Category:
    """The entries of one name as one category: the first that says something is heard, several sizes are several products."""
    if name in PLACES:
        raise ValueError(f"{name!r} is a place; call the entry something else")

    def said(field: str) -> Any:
        return next((v for e in alike if (v := getattr(e, field)) is not None), None)

    like = said("like")
    if like is not None and like not in BUILT_IN:
        raise ValueError(f"like: {like!r} is not built in; there are: {', '.join(sorted(BUILT_IN))}")
    if like is not None and name in BUILT_IN and like != name:
        raise ValueError(f"like: {name} is built in and behaves as itself; give the entry another name")
    parent = BUILT_IN.get(like or name)
    changes: dict[str, Any] = {"name": name, "like": "" if name in BUILT_IN else like or ""}
    for side in ("width", "depth", "height"):
        ranges = [r for e in alike if (r := e.extent(side)) is not None]
        if ranges:
            changes[side] = min(r[0] for r in ranges), max(r[1] for r in ranges)
    for field in ("rooms", "on", "use", "clearance", "movable"):
        if (value := said(field)) is not None:
            changes[field] = value
    if (bottom := next((e for e in alike if e.bottom), None)) is not None and bottom.bottom:
        changes["bottom"] = tuple(v * UNITS[bottom.units] for v in bottom.bottom)
    if "clearance" in changes:
        changes["clearance"] *= UNITS[next(e.units for e in alike if e.clearance is not None)]
    missing = [f for f in ("width", "depth", "height", "rooms") if f not in changes]
    if parent is None and missing:
        raise ValueError(f"{missing[0]}: is missing; give it, or say what it is like (like: desk)")
    products = [e.product for e in alike]
    if None not in products:
        changes["products"] = tuple(products)
    elif any(products):
        raise ValueError(
            "one entry has a fixed size and another of the same name has none; give each its size"
        )
    for place in changes.get("on", ()):
        if place not in (*PLACES, *BUILT_IN, *named):
            raise ValueError(f"on: {place!r} is neither floor, wall nor ceiling, nor a category")
    nouns = tuple(dict.fromkeys(noun for e in alike for noun in e.synonyms))
    if name in BUILT_IN:
        changes["synonyms"] = (*BUILT_IN[name].synonyms, *nouns)
    else:
        changes["synonyms"] = nouns or (name.replace("_", " "),)
    return replace(parent, **changes) if parent is not None else Category(**changes)
