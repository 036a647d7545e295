"""The reward–KL plane as an SVG: the frontier, and where every method ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from statistics import mean
from typing import Any

from diffusion_core.worlds.mixtures import Frontier

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


def plane(rows: Sequence[Mapping[str, Any]], frontier: Frontier, title: str) -> str:
    """Points are means over seeds, joined along each method's dial; what lies further than 1 nat is left out."""
    rows = [row for row in rows if row["kl"] is not None]  # what diverged has no place
    start, top = frontier.start, frontier.reward_at(FARTHEST)
    low = min([start, *(row["reward"] for row in rows if row["kl"] <= FARTHEST)])

    def at(kl: float, reward: float) -> tuple[float, float]:
        x = LEFT + kl / FARTHEST * (WIDTH - LEFT - LEGEND)
        return x, HEIGHT - BOTTOM - (reward - low) / (top - low) * (HEIGHT - BOTTOM - TOP)

    def path(points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)

    curve = [at(k, frontier.reward_at(k)) for k in [i * FARTHEST / 100 for i in range(101)]]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14" font-weight="bold">Small world: {escape(title)}</text>',
        f'<polyline points="{path(curve)}" fill="none" stroke="#111" stroke-width="2"/>',
    ]
    for kl in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(kl, low)
        parts.append(f'<text x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle">{kl:g}</text>')
    for reward in (start, top):
        x, y = at(0.0, reward)
        parts.append(f'<text x="{x - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{reward:.2f}</text>')
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 8}">KL from the reference, nats; upwards: mean reward; black: the best there is</text>'
    )
    for number, name in enumerate(dict.fromkeys(row["method"] for row in rows)):
        colour, shown = COLOURS[number % len(COLOURS)], []
        dash = ' stroke-dasharray="4 3"' if number >= len(COLOURS) else ""
        mine = [row for row in rows if row["method"] == name]
        for dial in dict.fromkeys(row["dial"] for row in mine):
            some = [row for row in mine if row["dial"] == dial]
            kl = mean(row["kl"] for row in some)
            if kl <= FARTHEST:
                shown.append(at(kl, mean(row["reward"] for row in some)))
        parts.append(f'<polyline points="{path(shown)}" fill="none" stroke="{colour}" opacity="0.5"{dash}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in shown]
        y = TOP + 16 * number
        parts.append(f'<circle cx="{WIDTH - LEGEND + 20}" cy="{y}" r="4" fill="{colour}"/>')
        if dash:
            x = WIDTH - LEGEND
            parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 16}" y2="{y}" stroke="{colour}"{dash}/>')
        parts.append(f'<text x="{WIDTH - LEGEND + 30}" y="{y + 4}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
