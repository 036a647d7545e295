"""Learning curves of a training run as inline SVG, from its `metrics.jsonl`: one JSON object a line, with a `step`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

Series = list[tuple[float, float]]

# What is worth a picture, in order: (title, the names it may have, the first that is there is drawn; more than one line may share a chart).
ChartTable = tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...]
CHARTS: ChartTable = (
    ("reward", (("rewrites", ("reward",)), ("original prompts", ("image_reward/baseline",)))),
    ("strict accuracy in training", (("", ("image_reward/part/strict",)),)),
    ("loss", (("training", ("loss",)), ("validation", ("eval_loss",)))),
    ("KL to the start", (("", ("kl",)),)),
    ("spread of rewards in a group", (("", ("reward_std",)),)),
    ("groups without a signal", (("", ("frac_reward_zero_std",)),)),
    ("tokens per rewrite", (("", ("completions/mean_length",)),)),
    ("rewrites refused by the guards", (("", ("image_reward/n_policy",)),)),
    (
        "token accuracy",
        (("training", ("mean_token_accuracy",)), ("validation", ("eval_mean_token_accuracy",))),
    ),
    ("entropy", (("", ("entropy",)),)),
)
COLOURS = ("#2457d6", "#b45309", "#1a7f37")
_W, _H, _LEFT, _BOTTOM = 340, 190, 54, 24


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    svg: str


def read_series(path: Path) -> dict[str, Series]:
    """Numbers by name, in order of step; a torn last line of a running training is skipped."""
    found: dict[str, Series] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        step = row.get("step", number)
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append((float(step), float(value)))
    return found


def charts(series: Mapping[str, Series], wanted: ChartTable = CHARTS) -> list[Chart]:
    """The charts that have at least two points."""
    drawn = []
    for title, lines in wanted:
        picked: list[tuple[str, Series]] = []
        for label, names in lines:
            name = next((n for n in names if len(series.get(n, ())) >= 2), None)
            if name is not None:
                picked.append((label, series[name]))
        if picked:
            drawn.append(Chart(title, svg(picked)))
    return drawn


def smooth(points: Series, share: float = 0.08) -> Series:
    """Centred moving mean over a share of the run; short runs stay as they are."""
    half = int(len(points) * share / 2)
    if half < 1:
        return points
    values = [value for _, value in points]
    found = []
    for i, (step, _) in enumerate(points):
        window = values[max(0, i - half) : i + half + 1]
        found.append((step, sum(window) / len(window)))
    return found


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that cover low … high."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = math.floor(low / step) * step
    return [first + i * step for i in range(math.ceil((high - first) / step - 1e-9) + 1)]


def svg(lines: Sequence[tuple[str, Series]]) -> str:
    """One chart: raw points pale, their moving mean in colour, axes with round numbers."""
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    y_ticks = ticks(min(ys), max(ys))
    legend = [(label, colour) for (label, _), colour in zip(lines, COLOURS, strict=False) if label]
    top = 26 if len(legend) > 1 else 10
    x_low, x_high, y_low, y_high = min(xs), max(xs), y_ticks[0], y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / ((x_high - x_low) or 1)
        up = (y - y_low) / ((y_high - y_low) or 1)
        return _LEFT + across * (_W - _LEFT - 8), _H - _BOTTOM - up * (_H - _BOTTOM - top)

    def path(points: Series) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))

    out = [f'<svg viewBox="0 0 {_W} {_H}" role="img" xmlns="http://www.w3.org/2000/svg">']
    for tick in y_ticks:
        _, y = place(x_low, tick)
        out.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_W - 8}" y2="{y:.1f}" stroke="#e3e6ea"/>')
        out.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" font-size="11" fill="#57606a">{tick:.4g}</text>'
        )
    for x_value, anchor in ((x_low, "start"), (x_high, "end")):
        x, _ = place(x_value, y_low)
        out.append(
            f'<text x="{x:.1f}" y="{_H - 7}" text-anchor="{anchor}" font-size="11" fill="#57606a">step {x_value:.0f}</text>'
        )
    for (label, points), colour in zip(lines, COLOURS, strict=False):
        out.append(
            f'<polyline points="{path(points)}" fill="none" stroke="{colour}" stroke-width="1" opacity="0.25"/>'
        )
        out.append(
            f'<polyline points="{path(smooth(points))}" fill="none" stroke="{colour}" stroke-width="2"><title>{escape(label)}</title></polyline>'
        )
    x = float(_LEFT)
    for label, colour in legend if len(legend) > 1 else ():
        out.append(f'<rect x="{x:.0f}" y="6" width="9" height="9" rx="2" fill="{colour}"/>')
        out.append(f'<text x="{x + 13:.0f}" y="14" font-size="11" fill="#24292f">{escape(label)}</text>')
        x += 30 + 6.4 * len(label)
    out.append("</svg>")
    return "".join(out)
