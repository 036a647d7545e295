"""The reward–KL plane as an SVG: the frontier, and where every method ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from recipes.bench.exact.summary import KL_RANGE

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 460, 60, 50, 40
LEGEND = 200
FARTHEST = 1.0  # nats shown
COLOURS = (
    "#2554c7",
    "#c7352b",
    "#1e8f3e",
    "#8e44ad",
    "#d17b0f",
    "#0f8f8f",
    "#7a5c3e",
    "#c2388f",
    "#5d6b7a",
    "#3f7fb5",
)


def plane(places: Sequence[Mapping[str, Any]], start: float, frontier: Sequence[float], title: str) -> str:
    """`places` as `summary.positions` gives them, joined along each method's dial; `frontier` is the best reward at even steps of KL from 0
    to 1 nat, `start` the reference's. What diverged or lies further is left out. The dashed line is 80 % of the frontier's gain."""
    places = [row for row in places if row["kl"] is not None]  # what diverged has no place
    seen = [row for row in places if row["kl"] <= FARTHEST]
    top, low = max(frontier), min([start, *(start + row["gain"] for row in seen)])

    def at(kl: float, reward: float) -> tuple[float, float]:
        x = LEFT + kl / FARTHEST * (WIDTH - LEFT - LEGEND)
        return x, HEIGHT - BOTTOM - (reward - low) / ((top - low) or 1) * (HEIGHT - BOTTOM - TOP)

    def line(rewards: Sequence[float], style: str) -> str:
        points = [at(i / (len(rewards) - 1) * FARTHEST, reward) for i, reward in enumerate(rewards)]
        return f'<polyline points="{path(points)}" fill="none" {style}/>'

    (x0, y0), (x1, y1) = at(KL_RANGE[0], top), at(KL_RANGE[1], low)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<rect x="{x0:.0f}" y="{y0:.0f}" width="{x1 - x0:.0f}" height="{y1 - y0:.0f}" fill="#f3f5f8"/>',
        f'<text x="{LEFT}" y="22" font-size="14" font-weight="bold">Small world: {escape(title)}</text>',
        line(frontier, 'stroke="#111" stroke-width="2"'),
        line([start + 0.8 * (r - start) for r in frontier], 'stroke="#111" stroke-dasharray="5 4"'),
        *axes(at, low, start, top),
    ]
    for number, name in enumerate(dict.fromkeys(row["method"] for row in places)):
        shown = [at(row["kl"], start + row["gain"]) for row in seen if row["method"] == name]
        parts += drawn(number, name, shown)
    return "\n".join([*parts, "</svg>"]) + "\n"


def path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def axes(at: Any, low: float, start: float, top: float) -> list[str]:
    parts = []
    for kl in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(kl, low)
        parts.append(f'<text x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle">{kl:g}</text>')
    for reward in (start, top):
        x, y = at(0.0, reward)
        parts.append(f'<text x="{x - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{reward:.2f}</text>')
    about = "KL from the reference, nats; upwards: mean reward; black: the best there is, dashed: 80 % of its gain"
    return [*parts, f'<text x="{LEFT}" y="{HEIGHT - 8}">{about}</text>']


def drawn(number: int, name: str, shown: Sequence[tuple[float, float]]) -> list[str]:
    """A method's points, the line that joins them, and its entry in the legend."""
    colour = COLOURS[number % len(COLOURS)]
    dash = ' stroke-dasharray="4 3"' if number >= len(COLOURS) else ""
    x, y = WIDTH - LEGEND, TOP + 16 * number
    parts = [f'<polyline points="{path(shown)}" fill="none" stroke="{colour}" opacity="0.5"{dash}/>']
    parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>' for a, b in shown]
    parts.append(f'<circle cx="{x + 20}" cy="{y}" r="4" fill="{colour}"/>')
    if dash:
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 16}" y2="{y}" stroke="{colour}"{dash}/>')
    return [*parts, f'<text x="{x + 30}" y="{y + 4}">{escape(name)}</text>']
