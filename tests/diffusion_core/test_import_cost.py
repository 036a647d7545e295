"""What an import may not load."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["diffusion_core", "diffusion_core.worlds", "diffusion_core.worlds.shapes"]
)
def test_import_loads_neither_torch_nor_diffusers(module: str):
    heavy = "{'torch', 'diffusers', 'transformers'}"
    code = f"import sys, {module}; found = {heavy} & set(sys.modules); sys.exit(f'loaded {{found}}' if found else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_generator_interface_loads_no_diffusers():
    code = "import sys; from diffusion_core import Generator, sample; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_public_names_resolve_and_others_are_refused():
    import diffusion_core

    for name in diffusion_core.__all__:
        assert getattr(diffusion_core, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'; known: GenerationRequest"):
        _ = diffusion_core.Nothing
