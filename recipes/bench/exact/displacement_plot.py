"""Displacement as an SVG: a column a source of pairs; above where the samples end by beta, below the winner's error through a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

COLOURS = {"diffusion_dpo": "#c7352b", "rpo": "#2554c7", "sdpo": "#1e8f3e"}
ABOUT = {"own": "its own samples", "near": "near pairs", "foreign": "foreign winners"}
PANEL_W, PANEL_H, LEFT, TOP, GAP = 220, 150, 52, 62, 62
Point = tuple[float, float]


def picture(sources: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> str:
    """`sources`: rows of `summary.displaced` by the name of their source. What diverged is left out."""
    width = LEFT + len(sources) * (PANEL_W + GAP)
    height = TOP + 2 * (PANEL_H + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold">Small world: likelihood displacement, {escape(title)}</text>',
    ]
    for number, (name, colour) in enumerate(COLOURS.items()):
        parts.append(f'<circle cx="{LEFT + 4 + 130 * number}" cy="36" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 14 + 130 * number}" y="40">{name}</text>')
    for column, (name, rows) in enumerate(sources.items()):
        x = LEFT + column * (PANEL_W + GAP)
        parts += masses(rows, x, TOP, ABOUT.get(name, name))
        parts += courses(rows, x, TOP + PANEL_H + GAP)
    return "\n".join([*parts, "</svg>"]) + "\n"


def masses(rows: Sequence[Mapping[str, Any]], x: float, y: float, about: str) -> list[str]:
    """Mass at the winners' place by beta; dashed: the reference's."""
    betas = sorted({row["beta"] for row in rows})
    low, high = math.log(betas[0]), math.log(betas[-1])

    def across(beta: float) -> float:
        return (math.log(beta) - low) / ((high - low) or 1)

    lines = {
        name: [(across(r["beta"]), r["mass"]) for r in rows if r["method"] == name and r["mass"] is not None]
        for name in COLOURS
    }
    before = next((row["mass_before"] for row in rows if row["mass_before"] is not None), 0.0)
    ticks = [(across(beta), f"{beta:g}") for beta in betas]
    return panel(
        x,
        y,
        f"mass where the winners are, by β ({about})",
        lines,
        ticks,
        [(0, "0"), (0.5, "0.5"), (1, "1")],
        before,
    )


def squeeze(value: float) -> float:
    return math.asinh(value / 0.1)


def courses(rows: Sequence[Mapping[str, Any]], x: float, y: float) -> list[str]:
    """The winner's error less the reference's through training at the second smallest beta, on a scale that is logarithmic away from 0."""
    beta = sorted({row["beta"] for row in rows})[1]
    mine = [row for row in rows if row["beta"] == beta]
    values = [v for row in mine for v in row["curve"]["winner"] if v is not None]
    low, high = squeeze(min([*values, -0.1])), squeeze(max([*values, 0.1]))

    def up(value: float) -> float:
        return (squeeze(value) - low) / (high - low)

    lines = {
        row["method"]: [
            (i / max(len(row["curve"]["winner"]) - 1, 1), up(v))
            for i, v in enumerate(row["curve"]["winner"])
            if v is not None
        ]
        for row in mine
    }
    marks = [v for v in (-1, -0.1, 0, 0.1, 1, 10, 100, 1e3, 1e4, 1e5) if low <= squeeze(v) <= high]
    ticks = [(0.0, "start"), (1.0, "end of training")]
    return panel(
        x,
        y,
        f"winner's error less the reference's, β = {beta:g}",
        lines,
        ticks,
        [(up(v), f"{v:g}") for v in marks],
        up(0),
    )


def panel(
    x: float,
    y: float,
    title: str,
    lines: Mapping[str, Sequence[Point]],
    across: Sequence[tuple[float, str]],
    upwards: Sequence[tuple[float, str]],
    dashed: float,
) -> list[str]:
    """Axes and lines, whose points are shares of the panel's width and height, upwards."""

    def at(point: Point) -> Point:
        return x + point[0] * PANEL_W, y + (1 - point[1]) * PANEL_H

    (a, b), (c, d) = at((0, dashed)), at((1, dashed))
    parts = [
        f'<text x="{x}" y="{y - 7}">{escape(title)}</text>',
        f'<rect x="{x}" y="{y}" width="{PANEL_W}" height="{PANEL_H}" fill="none" stroke="#ccd2d8"/>',
        f'<line x1="{a:.0f}" y1="{b:.1f}" x2="{c:.0f}" y2="{d:.1f}" stroke="#111" stroke-dasharray="4 3"/>',
    ]
    for share, label in across:
        parts.append(
            f'<text x="{x + share * PANEL_W:.0f}" y="{y + PANEL_H + 15}" text-anchor="middle">{label}</text>'
        )
    for share, label in upwards:
        parts.append(f'<text x="{x - 5}" y="{at((0, share))[1] + 4:.0f}" text-anchor="end">{label}</text>')
    for name, points in lines.items():
        placed = " ".join(f"{p:.1f},{q:.1f}" for p, q in map(at, points))
        parts.append(f'<polyline points="{placed}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
    return parts
