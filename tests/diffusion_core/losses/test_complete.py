"""A loss is complete when it has its file, its row in the paper index, and tests by name."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import diffusion_core.losses as losses
from diffusion_core.losses import LOSSES
from diffusion_core.types import StepLogProbs

ROOT = Path(__file__).parents[3]
INDEX = (ROOT / "docs" / "paper-index.md").read_text()
HEADINGS = re.findall(r"^### (\w+)$", INDEX, re.MULTILINE)
CONFIGS = ROOT / "recipes" / "configs" / "diffusion"
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*)$", INDEX, re.MULTILINE))


def test_the_index_has_the_losses_there_are_and_no_other():
    assert set(ROWS) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_says_the_defaults_that_the_code_has(name: str):
    cls = LOSSES[name]
    assert f"`{cls.inputs.__name__}`" in ROWS[name]
    written = dict(re.findall(r"(\w+)=([\w.]+)", ROWS[name]))
    inherited = (
        {f.name: f.default for f in fields(LOSSES["diffusion_dpo"])}
        if "the rest as `diffusion_dpo`" in ROWS[name]
        else {}
    )
    for field in fields(cls):
        if field.name in inherited and field.name not in written:
            assert field.default == inherited[field.name]
        elif isinstance(field.default, float):
            assert float(written[field.name]) == field.default
        else:
            assert written[field.name] == str(field.default)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_small_file_of_its_own(name: str):
    path = Path(losses.__file__).with_name(f"{name}.py")
    assert LOSSES[name].__module__ == f"diffusion_core.losses.{name}"
    assert len(path.read_text().splitlines()) <= 75
    assert LOSSES[name].__doc__


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_met_by_name_in_the_golden_and_the_property_tests(name: str):
    folder = Path(__file__).parent
    golden = (folder / "test_golden.py").read_text() + (folder / "test_properties.py").read_text()
    assert f'"{name}"' in golden


def test_every_loss_has_its_heading():
    assert sorted(HEADINGS) == sorted(LOSSES)


@pytest.mark.parametrize("name", [n for n, cls in LOSSES.items() if not issubclass(cls.inputs, StepLogProbs)])
def test_a_loss_of_pairs_has_a_configuration(name: str):
    files = sorted((CONFIGS / name).glob("*.yaml"))
    assert files
    assert all(re.search(rf"^loss: {name}$", path.read_text(), re.MULTILINE) for path in files)
    assert any(f"`diffusion/{name}/{path.stem}`" in INDEX for path in files)
