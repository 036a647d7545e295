"""A generator that obeys captions it knows and scribbles otherwise: every verdict of an evaluation is known beforehand."""

import sys
from pathlib import Path

import pytest

FAKE = '''
import json
from pathlib import Path

import numpy as np

from diffusion_core.worlds.shapes import SceneSpec, caption, render, sample_layout

CALLS = Path(__file__).with_name("calls.txt")


class Obedient:
    """Draws a known caption exactly; anything else is one small red circle on gray."""

    name, fingerprint, licence = "obedient", "obedient-1", "Apache-2.0"

    def __init__(self, lines):
        specs = [SceneSpec.model_validate(json.loads(line)["spec"]) for line in lines if "spec" in json.loads(line)]
        self.known = {caption(spec): spec for spec in specs}
        self.fallback = SceneSpec.model_validate(
            {"objects": [{"shape": "circle", "color": "red", "size": "small", "count": 1}], "background": "gray"}
        )

    def generate(self, prompts, seeds):
        with CALLS.open("a") as out:
            out.write("".join(f"{prompt}|{seed}\\n" for prompt, seed in zip(prompts, seeds)))
        specs = [self.known.get(prompt, self.fallback) for prompt in prompts]
        return [render(sample_layout(spec, np.random.default_rng(seed))) for spec, seed in zip(specs, seeds)]


generator = Obedient(Path(__file__).with_name("prompts.jsonl").read_text().splitlines())


def length(images, prompts):
    """A reward that reads no spec."""
    return [min(1.0, len(prompt) / 100) for prompt in prompts]


length.bounds = (0.0, 1.0)
'''

PROMPTS = """
{"prompt": "a pair of crimson discs", "spec": {"objects": [{"shape": "circle", "color": "red", "count": 2}]}, "tags": ["synonym"]}
{"prompt": "green star, no squares", "spec": {"objects": [{"shape": "star", "color": "green", "count": 1}], "exclude": [{"shape": "square"}]}, "tags": ["negation"]}
{"prompt": "one red circle please", "spec": {"objects": [{"shape": "circle", "color": "red", "count": 1}]}, "tags": ["polite"]}
{"prompt": "a blue ring on black", "spec": {"objects": [{"shape": "ring", "color": "blue", "count": 1}], "background": "black"}, "tags": ["background"]}
""".strip()


@pytest.fixture
def obedient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Working in an empty folder with `fake_world.py` and `prompts.jsonl`; yields the folder."""
    (tmp_path / "fake_world.py").write_text(FAKE)
    (tmp_path / "prompts.jsonl").write_text(PROMPTS + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REWRIGHT_CACHE", str(tmp_path / "cache"))
    yield tmp_path
    sys.modules.pop("fake_world", None)
