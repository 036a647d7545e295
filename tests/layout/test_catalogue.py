import re
import subprocess
import sys
from pathlib import Path

import pytest

import layout
from layout.catalogue import CATALOGUE, category, named, of_room
from layout.rules import BY_SUBJECT, RULES, TUCKED, rule
from layout.schema import PLACES, ROOM_TYPES

PACKAGE = Path(layout.__file__).parent


def test_every_name_in_the_tables_is_a_category():
    for entry in CATALOGUE.values():
        assert set(entry.rooms) <= set(ROOM_TYPES)
        assert all(place in PLACES or place in CATALOGUE for place in entry.on)
        assert all(low <= high for low, high in (entry.width, entry.depth, entry.height, entry.bottom))
        assert entry.synonyms
    for r in RULES:
        assert {r.subject, *r.targets} <= set(CATALOGUE)
        assert r.low <= r.high
    assert {*TUCKED, *(table for tables in TUCKED.values() for table in tables)} <= set(CATALOGUE)


def test_two_categories_never_share_a_noun():
    nouns = [noun for entry in CATALOGUE.values() for noun in entry.synonyms]
    assert len(nouns) == len(set(nouns))


def test_no_two_rules_say_the_same_twice():
    for rules in BY_SUBJECT.values():
        keys = [(r.kind, target) for r in rules for target in r.targets or ("",)]
        assert len(keys) == len(set(keys))


def test_unknown_names_get_a_hint():
    with pytest.raises(ValueError, match="did you mean bookshelf"):
        category("bookshelves")
    with pytest.raises(ValueError, match="known: alarm_clock"):
        category("zzz")
    with pytest.raises(KeyError, match="no rule 'faces' for 'toilet'"):
        rule("faces", "toilet")
    assert named("beds") == "double_bed"
    assert {c.name for c in of_room("bathroom")} >= {"toilet", "vanity", "bathtub"}


def test_sizes_out_of_range_are_measured():
    assert category("desk").fits((120, 60, 75)) == 0
    assert category("desk").fits((200, 60, 60)) == 20


MODULES = sorted(
    ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for p in PACKAGE.rglob("*.py")
)


def test_no_module_loads_a_heavy_package():
    heavy = ("torch", "transformers", "vllm", "trl", "peft", "datasets", "diffusers")
    code = f"import importlib, sys\nfor m in {MODULES!r}: importlib.import_module(m)\nprint([h for h in {heavy!r} if h in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_names_torch_in_an_import(module):
    path = PACKAGE.parent / Path(*module.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    assert not re.search(r"^\s*(?:import|from) torch\b", text, re.MULTILINE)


def test_public_names_load_on_first_use():
    for name in layout.__all__:
        assert getattr(layout, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Chair'"):
        _ = layout.Chair
