"""Scenes for other programs. A writer takes (scene, path, assets) and returns the files it wrote, the one asked for first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from layout.assets import Retriever
from layout.export import dxf, glb, habitat, obj, optiscene, sceneeval, ssr, thor, usd
from layout.schema import Scene

Writer = Callable[[Scene, Path, Retriever], list[Path]]

EXPORTS: dict[str, Writer] = {
    "glb": glb.write,
    "obj": obj.write,
    "thor": thor.write,
    "habitat": habitat.write,
    "sceneeval": sceneeval.write,
    "ssr": ssr.write,
    "optiscene": optiscene.write,
    "usd": usd.write,
    "dxf": dxf.write,
}
SUFFIXES: dict[str, str] = {
    "glb": ".glb",
    "obj": ".obj",
    "thor": ".thor.json",
    "habitat": habitat.SUFFIX,
    "sceneeval": ".sceneeval.json",
    "ssr": ".ssr.json",
    "optiscene": ".optiscene.json",
    "usd": ".usda",
    "dxf": ".dxf",
}

__all__ = ["EXPORTS", "SUFFIXES", "Writer"]
