"""A drawing as SVG text: one user unit is a centimetre of the room."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from layout.render.drawing import Drawing, Label, Path

MARGIN = 12.0  # cm of paper around what is drawn


def svg(drawing: Drawing, scale: float = 2.0) -> str:
    """The drawing as a standalone SVG file, `scale` pixels a centimetre when shown at its own size."""
    x0, y0, x1, y1 = drawing.bounds(MARGIN)
    width, height = x1 - x0, y1 - y0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'width="{_n(width * scale)}" height="{_n(height * scale)}" font-family="Helvetica, Arial, sans-serif">',
        f"<title>{escape(drawing.title)}</title>",
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="#ffffff"/>',
    ]
    for shape in drawing.shapes:
        lines += _label(shape, x0, y1) if isinstance(shape, Label) else _path(shape, x0, y1)
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _path(path: Path, x0: float, y1: float) -> Iterator[str]:
    points = " ".join(f"{_n(x - x0)},{_n(y1 - y)}" for x, y in path.points)
    style = f'fill="{path.fill or "none"}" stroke="{path.stroke or "none"}"'
    if path.stroke:
        style += f' stroke-width="{_n(path.width)}" stroke-linejoin="round"'
    if path.dash:
        style += f' stroke-dasharray="{_n(path.dash[0])} {_n(path.dash[1])}"'
    tag = "polygon" if path.closed else "polyline"
    if path.title:
        yield f'<{tag} points="{points}" {style}><title>{escape(path.title)}</title></{tag}>'
    else:
        yield f'<{tag} points="{points}" {style}/>'


def _label(label: Label, x0: float, y1: float) -> Iterator[str]:
    x, y = label.at[0] - x0, y1 - label.at[1]
    style = f'font-size="{_n(label.size)}" fill="{label.colour}" text-anchor="{label.anchor}"'
    if label.bold:
        style += ' font-weight="bold"'
    if label.halo:
        style += f' stroke={quoteattr(label.halo)} stroke-width="{_n(label.size / 4)}" paint-order="stroke"'
    # The baseline is a third of the type below its middle; dominant-baseline is not drawn alike everywhere.
    down = label.size * 0.35
    if label.upright:
        turned = f'transform="rotate(-90 {_n(x)} {_n(y)})" '
        yield f'<text x="{_n(x)}" y="{_n(y + down)}" {turned}{style}>{escape(label.text)}</text>'
    else:
        yield f'<text x="{_n(x)}" y="{_n(y + down)}" {style}>{escape(label.text)}</text>'


def _n(value: float) -> str:
    """A number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
