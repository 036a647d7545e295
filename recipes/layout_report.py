"""`report.html` of a layout evaluation: tables with intervals, what they mean, and floor plans with their faults. Nothing is fetched.

It is made from evaluation.json and samples.json alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layout.checks import check
from layout.generate import spec_of
from layout.render import plan, svg
from layout.schema import Scene
from recipes.layout_evaluate import COLUMNS, sceneeval_lines
from recipes.layout_figures import CAVEATS, LOOSE, SINGLE, cell
from recipes.layout_tally import DEFINITIONS, SHARES

_FAULTS_SAID = 4


def write_report(folder: Path) -> Path:
    """Write `folder`/report.html and return its path. Raises FileNotFoundError where there is no evaluation."""
    from recipes.report import render

    content, samples = (_read(folder / name) for name in ("evaluation.json", "samples.json"))
    synthetic = content["synthetic"]
    html = render(
        "layout.html.j2",
        caveats=CAVEATS,
        targets=content["targets"],
        cards=cards(content),
        synthetic=synthetic,
        arms=arm_table(synthetic["arms"], "arm"),
        types={
            kind: arm_table(
                {name: {"figures": arm["by_type"][kind]} for name, arm in synthetic["arms"].items()}, "arm"
            )
            for kind in synthetic["arms"][SINGLE]["by_type"]
        },
        paired=pair_table(synthetic["differences"]),
        stages={
            way: (arm_table(found["stages"], "stage"), pair_table(found["differences"]))
            for way, found in content["stages"].items()
        },
        layoutgpt={
            part: {
                "rooms": found["rooms"],
                "table": arm_table(found["arms"], "whose"),
                "ratio": cell("", found["count_ratio"], whole=True),
            }
            for part, found in content.get("layoutgpt", {}).items()
        },
        sceneeval=content.get("sceneeval"),
        predicates=sceneeval_lines(content["sceneeval"]) if "sceneeval" in content else {},
        external=arm_table({"single sample": content["sceneeval"]}, "arm")
        if "sceneeval" in content
        else None,
        samples={name: [_sample(entry) for entry in found] for name, found in samples.items()},
        definitions=DEFINITIONS,
        settings=content["settings"],
        seconds=content["seconds"],
    )
    path = folder / "report.html"
    part = path.with_suffix(".part")
    part.write_text(html, encoding="utf-8")
    part.replace(path)
    return path


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; `rewright evaluate --suite layout --output {path.parent}` writes it"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def cards(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The headline: (what, figure)."""
    arms, best = content["synthetic"]["arms"], content["synthetic"]["best"]
    single = arms[SINGLE]["figures"]
    wanted = [
        ("scene out-of-bounds", single, "oob_scene"),
        ("scene collision", single, "collision_scene"),
        ("scene collision, schema alone", arms[LOOSE]["figures"], "collision_scene"),
        ("objects present", single, "present"),
        ("relations met", single, "relation_met"),
        (f"valid rooms, {best}", arms[best]["figures"], "valid"),
    ]
    return [(words, f"{cell(name, found.get(name))} %") for words, found, name in wanted]


def arm_table(arms: Mapping[str, Mapping[str, Any]], first: str) -> dict[str, Any]:
    """Head and rows; every cell is (figure, interval)."""
    names = [n for n in DEFINITIONS if any(n in arm["figures"] for arm in arms.values())]
    names.sort(key=lambda n: COLUMNS.index(n) if n in COLUMNS else len(COLUMNS))
    head = [first, *(f"{n.replace('_', ' ')}{' %' if n in SHARES else ''}" for n in names)]
    rows = [
        {
            "name": name,
            "about": arm.get("about", ""),
            "cells": [(*_split(cell(n, arm["figures"].get(n), whole=True)), False) for n in names],
        }
        for name, arm in arms.items()
    ]
    return {"head": head, "rows": rows}


def pair_table(pairs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Differences with their intervals; `clear` where the interval excludes zero."""
    names = list(dict.fromkeys(n for found in pairs.values() for n in found))
    rows = [
        {
            "name": pair,
            "about": "",
            "cells": [
                (*_split(cell(n, found.get(n), signed=True, whole=True)), _clear(found.get(n))) for n in names
            ],
        }
        for pair, found in pairs.items()
    ]
    head = ["difference", *(f"{n.replace('_', ' ')}{' points' if n in SHARES else ''}" for n in names)]
    return {"head": head, "rows": rows}


def _split(text: str) -> tuple[str, str]:
    figure, _, interval = text.partition(" ")
    return figure, interval


def _clear(interval: Mapping[str, Any] | None) -> bool:
    return interval is not None and interval["low"] is not None and interval["low"] * interval["high"] > 0


def _sample(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": entry["type"].replace("_", " "),
        "request": entry["request"],
        "sides": [_drawn(side, entry["request"]) for side in entry["sides"]],
    }


def _drawn(side: Mapping[str, Any], request: str) -> dict[str, Any]:
    """One plan with its faults in red, and the first of them in words."""
    if side["scene"] is None:
        return {"name": side["name"], "svg": "", "faults": ["the answer could not be read"], "more": 0}
    scene = Scene.model_validate(side["scene"])
    report = check(scene, spec_of(request))
    faults = [f"{v.severity}: {v.message}" for v in sorted(report.violations, key=lambda v: v.severity)]
    return {
        "name": side["name"],
        "svg": svg(plan(scene, report)),
        "faults": faults[:_FAULTS_SAID],
        "more": max(0, len(faults) - _FAULTS_SAID),
    }
