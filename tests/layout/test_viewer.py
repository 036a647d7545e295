"""The viewer's page: nothing from outside, nothing from an object's name gets out of the data, and Chromium draws it."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from layout.schema import Scene
from layout.viewer import page, scene_data

from .conftest import thing

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# One process does the drawing: helpers that have to be started first are what fails on a busy machine.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--no-zygote",
    "--in-process-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
TALL = thing("tall", "wardrobe", (100, 60, 200), 0, (200, 300, 0))
LOW = thing("low", "bench", (120, 40, 45), 33, (320, 90, 0))
PROBE = """<script>
const m = matrix(place());
document.body.dataset.hits = scene.objects.map(o => {
  const p = [o.pos[0], o.pos[1], o.pos[2] + o.size[2] / 2];
  const at = [0, 1, 2, 3].map(r => m[r] * p[0] + m[4 + r] * p[1] + m[8 + r] * p[2] + m[12 + r]);
  return (hit((at[0] / at[3] + 1) / 2 * canvas.clientWidth, (1 - at[1] / at[3]) / 2 * canvas.clientHeight) || {}).id;
}).join(" ");
</script>"""
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def test_the_page_asks_for_nothing_from_outside(bedroom):
    text = page(bedroom)
    assert not re.search(r"https?://|src=|@import|url\(", text)
    assert "default-src 'none'" in text


def test_a_title_cannot_break_out_of_the_page(bedroom):
    text = page(bedroom, title="</title><script>alert(1)</script>")
    assert "<script>alert" not in text
    data = re.search(r'application/json">(.*?)</script>', text, re.S)[1]
    assert len(json.loads(data)["objects"]) == len(bedroom.objects)


def test_every_object_is_drawn_where_its_box_is(bedroom):
    data = scene_data(bedroom)
    meshes = {m["name"]: np.array(m["triangles"]).reshape(-1, 3) * 100 for m in data["meshes"]}
    for o in bedroom.objects:
        low, high = meshes[o.id].min(axis=0), meshes[o.id].max(axis=0)
        assert [*low, *high] == pytest.approx(
            [*o.box.bounds[:2], o.box.bottom, *o.box.bounds[2:], o.box.top], abs=0.02
        )


def _chromium(tmp_path, target, *more):
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=700,500",
        *more,
        target,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=True).stdout


@browser
def test_chromium_draws_the_room_and_shows_the_chosen_object(bedroom, tmp_path):
    path = tmp_path / "room.html"
    path.write_text(page(Scene(room=bedroom.room, objects=(TALL, LOW))) + PROBE, encoding="utf-8")
    shot = tmp_path / "shot.png"
    dom = _chromium(tmp_path, f"{path.as_uri()}#tall", f"--screenshot={shot}", "--dump-dom")
    assert 'data-ready="' in dom, "no WebGL or an error in the script"
    assert "100 × 60 × 200 cm" in dom
    assert 'data-hits="tall low"' in dom  # a click on the middle of each finds it
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    orange = (pixels[..., 0] - pixels[..., 2] > 90).mean()  # the chosen wardrobe
    floor = ((pixels[..., 0] - pixels[..., 2] > 30) & (pixels[..., 0] - pixels[..., 2] < 90)).mean()
    assert orange > 0.01
    assert floor > 0.1
