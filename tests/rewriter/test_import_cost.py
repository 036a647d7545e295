"""The rewriter is text: importing any of it loads no torch, and no module reaches for torch by itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rewriter

PACKAGE = Path(rewriter.__file__).parent
MODULES = sorted(
    ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for p in PACKAGE.rglob("*.py")
)
HEAVY = ("torch", "transformers", "vllm", "trl", "peft", "datasets", "diffusers", "numpy")


def test_no_module_loads_a_heavy_package():
    code = f"import importlib, sys\nfor m in {MODULES!r}: importlib.import_module(m)\nprint([h for h in {HEAVY!r} if h in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert out.stdout.strip() == "[]"


def test_importing_the_package_loads_only_itself():
    code = "import sys, rewriter\nprint(sorted(m for m in sys.modules if m.split('.')[0] in ('rewriter', 'pydantic', 'yaml', 'fastapi')))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert out.stdout.strip() == "['rewriter']"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_names_torch_in_an_import(module):
    path = PACKAGE.parent / Path(*module.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    assert not re.search(r"^\s*(?:import|from) torch\b", text, re.MULTILINE)


def test_every_public_name_loads():
    assert [getattr(rewriter, name) for name in rewriter.__all__]
    assert set(rewriter.__all__) == set(rewriter._EXPORTS)
    with pytest.raises(AttributeError, match="public names: Dialect"):
        rewriter.Rewrighter  # noqa: B018
