"""The shapes world: one scene spec drives the renderer, the canonical caption, user-style prompts and the judge's targets.

Its vocabulary, caption mix, grammar and splits were fixed before the embedded generator was trained on them.
"""

from diffusion_core.worlds.shapes.captions import caption
from diffusion_core.worlds.shapes.grammar import sample_spec, split_of
from diffusion_core.worlds.shapes.render import CANVAS, Layout, Placed, render, sample_layout
from diffusion_core.worlds.shapes.spec import ExcludeSpec, ObjectSpec, RelationSpec, SceneSpec

__all__ = [
    "CANVAS",
    "ExcludeSpec",
    "Layout",
    "ObjectSpec",
    "Placed",
    "RelationSpec",
    "SceneSpec",
    "caption",
    "render",
    "sample_layout",
    "sample_spec",
    "split_of",
]
