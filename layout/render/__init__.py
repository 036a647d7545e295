"""Pictures of rooms: `plan` and `isometric` make the drawing, `svg` and `png` write it.

from layout.render import plan, png, svg
drawing = plan(scene, check(scene))
text, pixels = svg(drawing), png(drawing, scale=2)
"""

from layout.render.drawing import Drawing
from layout.render.isometric import isometric
from layout.render.plan import plan
from layout.render.png import png
from layout.render.svg import svg

__all__ = ["Drawing", "isometric", "plan", "png", "svg"]
