"""The judge is exact on clean renders and cannot be won by changing the request."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffusion_core.worlds.shapes import (
    Layout,
    Placed,
    SceneSpec,
    caption,
    render,
    sample_layout,
    sample_spec,
)
from diffusion_core.worlds.shapes.spec import COLORS, SHAPES
from diffusion_core.worlds.shapes.users import sample_user_prompt
from rewards.base import Item, Media, Status
from rewards.shapes import ShapesJudge, detect, judge


def _spec(**kwargs) -> SceneSpec:
    return SceneSpec.model_validate(kwargs)


def _verdict(spec: SceneSpec, *objects: tuple, background: str = "white"):
    placed = tuple(Placed(shape, color, size, x, y) for shape, color, size, x, y in objects)
    return judge(detect(render(Layout(placed, background))), spec)


def test_the_detector_is_exact_on_two_thousand_clean_scenes():
    rng = np.random.default_rng(11)
    for _ in range(2000):
        layout = sample_layout(sample_spec(rng), rng)
        seen = detect(render(layout))
        assert len(seen.objects) == len(layout.objects)
        for p in layout.objects:  # a star's bounding box is half a pixel off its centre
            near = [o for o in seen.objects if abs(o.x - p.x) <= 0.5 and abs(o.y - p.y) <= 0.5]
            assert [(o.shape, o.color, o.size) for o in near] == [(p.shape, p.color, p.size)]
        assert seen.background == layout.background


def test_every_shape_size_color_and_background_is_read_back():
    for shape in SHAPES:
        for color in COLORS:
            for size in ("large",) if len(shape) == 1 else ("small", "large"):
                for background in ("white", "black", "gray"):
                    seen = detect(render(Layout((Placed(shape, color, size, 24, 24),), background)))
                    assert [(o.shape, o.color, o.size) for o in seen.objects] == [(shape, color, size)]
                    assert seen.background == background


def test_true_images_of_user_prompts_score_one_everywhere():
    rng = np.random.default_rng(2)
    for _ in range(300):
        spec = sample_user_prompt(rng).spec
        verdict = judge(detect(render(sample_layout(spec, rng))), spec)
        assert (verdict.strict, verdict.shaped, verdict.geneval, verdict.tifa_am, verdict.tifa_gm) == (
            1,
            1,
            1,
            1,
            1,
        )


RED_CIRCLE = ("circle", "red", "small", 8, 8)
BLUE_SQUARE = ("square", "blue", "large", 40, 8)


@pytest.mark.parametrize(
    ("objects", "background", "broken"),
    [
        ((RED_CIRCLE,), "white", "count/1"),
        ((RED_CIRCLE, BLUE_SQUARE, ("star", "green", "large", 24, 40)), "white", "extra/0"),
        ((RED_CIRCLE, ("circle", "red", "small", 8, 40), BLUE_SQUARE), "white", "extra/0"),
        ((("circle", "green", "small", 8, 8), BLUE_SQUARE), "white", "color/0"),
        ((RED_CIRCLE, ("square", "blue", "small", 40, 8)), "white", "size/1"),
        ((("circle", "red", "small", 40, 8), ("square", "blue", "large", 8, 8)), "white", "relation/0"),
        ((RED_CIRCLE, BLUE_SQUARE), "gray", "background/0"),
        ((RED_CIRCLE, ("triangle", "blue", "large", 40, 8)), "white", "shape/1"),
    ],
)
def test_one_wrong_thing_breaks_its_atom_and_the_strict_verdict(objects, background, broken):
    spec = _spec(
        objects=[{"shape": "circle", "color": "red"}, {"shape": "square", "color": "blue", "size": "large"}],
        relations=[{"a": 0, "rel": "left of", "b": 1}],
        background="white",
    )
    assert _verdict(spec, RED_CIRCLE, BLUE_SQUARE).strict == 1
    verdict = _verdict(spec, *objects, background=background)
    assert verdict.atoms[broken] < 1
    assert verdict.strict == 0
    assert 0 < verdict.shaped < 1


def test_swapped_colors_lose_although_all_words_are_there():
    spec = _spec(objects=[{"shape": "circle", "color": "red"}, {"shape": "square", "color": "blue"}])
    swapped = _verdict(spec, ("circle", "blue", "small", 8, 8), ("square", "red", "large", 40, 8))
    assert swapped.strict == 0


def test_geneval_forgives_extras_and_strict_does_not():
    spec = _spec(objects=[{"shape": "circle", "color": "red"}])
    verdict = _verdict(spec, RED_CIRCLE, ("circle", "red", "small", 40, 40))
    assert verdict.geneval == 1
    assert verdict.strict == 0


def test_an_excluded_thing_is_caught():
    spec = _spec(objects=[{"color": "blue"}], exclude=[{"shape": "square"}])
    verdict = _verdict(spec, BLUE_SQUARE)
    assert verdict.atoms["exclude/0"] == 0
    assert verdict.strict == verdict.geneval == 0
    assert _verdict(spec, ("star", "blue", "large", 24, 24)).strict == 1


@pytest.mark.parametrize(("n", "holds"), [(1, False), (2, True), (4, True), (5, False)])
def test_a_count_range_is_met_inside_and_only_inside(n, holds):
    spec = _spec(objects=[{"shape": "ring", "count": [2, 4]}])
    rings = [("ring", "red", "small", 8 + 16 * (k % 3), 8 + 16 * (k // 3)) for k in range(n)]
    assert _verdict(spec, *rings).strict == holds


def test_a_relation_on_a_group_holds_for_all_of_it():
    spec = _spec(
        objects=[{"shape": "circle", "color": "red", "count": 2}, {"shape": "square", "color": "blue"}],
        relations=[{"a": 0, "rel": "left of", "b": 1}],
    )
    inside = (
        ("circle", "red", "small", 8, 8),
        ("circle", "red", "small", 8, 24),
        ("square", "blue", "large", 40, 24),
    )
    outside = (
        ("circle", "red", "small", 8, 8),
        ("circle", "red", "small", 40, 24),
        ("square", "blue", "large", 24, 8),
    )
    assert _verdict(spec, *inside).strict == 1
    assert _verdict(spec, *outside).atoms["relation/0"] == 0


def test_equal_things_are_assigned_so_that_a_true_relation_is_found():
    spec = _spec(
        objects=[{"shape": "star"}, {"shape": "star", "color": "red"}],
        relations=[{"a": 0, "rel": "below", "b": 1}],
    )
    assert _verdict(spec, ("star", "red", "large", 24, 40), ("star", "red", "large", 24, 8)).strict == 1


def test_too_many_objects_never_make_a_score_negative():
    spec = _spec(objects=[{"shape": "circle", "count": 3}])
    verdict = _verdict(
        spec, *[("circle", "red", "small", 8 + 16 * (k % 3), 8 + 16 * (k // 3)) for k in range(9)]
    )
    assert all(0 <= value <= 1 for value in verdict.atoms.values())


def test_an_empty_or_noisy_image_scores_low_and_nothing_raises():
    spec = _spec(objects=[{"shape": "circle", "color": "red", "count": 2}], background="white")
    rng = np.random.default_rng(0)
    for image in (
        np.full((48, 48, 3), 245, np.uint8),
        rng.integers(0, 256, (48, 48, 3), np.uint8),
        np.zeros((48, 48, 3), np.uint8),
    ):
        verdict = judge(detect(image), spec)
        assert verdict.strict == 0
        assert verdict.shaped <= 0.5


ADVERSARIAL = [  # (spec of the original prompt, what a dishonest rewrite would draw instead)
    (
        {"objects": [{"shape": "star", "color": "red", "count": 3}]},
        {"objects": [{"shape": "star", "color": "blue", "count": 3}]},
    ),
    (
        {"objects": [{"shape": "star", "color": "red", "count": 3}]},
        {"objects": [{"shape": "star", "color": "red", "count": 1}]},
    ),
    (
        {"objects": [{"shape": "star", "color": "red", "count": 3}]},
        {"objects": [{"shape": "circle", "color": "red", "count": 3}]},
    ),
    (
        {"objects": [{"color": "red"}], "exclude": [{"shape": "circle"}]},
        {"objects": [{"shape": "circle", "color": "red"}]},
    ),
    (
        {"objects": [{"shape": "ring"}], "background": "black"},
        {"objects": [{"shape": "ring"}], "background": "white"},
    ),
    ({"objects": [{"shape": "ring", "size": "small"}]}, {"objects": [{"shape": "ring", "size": "large"}]}),
    ({"objects": [{"shape": "ring"}, {"shape": "star"}]}, {"objects": [{"shape": "ring"}]}),
    (
        {"objects": [{"shape": "ring"}, {"shape": "star"}], "relations": [{"a": 0, "rel": "above", "b": 1}]},
        {"objects": [{"shape": "ring"}, {"shape": "star"}], "relations": [{"a": 1, "rel": "above", "b": 0}]},
    ),
    ({"objects": [{"shape": "A", "color": "red"}]}, {"objects": [{"shape": "H", "color": "red"}]}),
]


@pytest.mark.parametrize(("asked", "drawn"), ADVERSARIAL)
def test_a_rewrite_that_changes_the_request_cannot_win(asked, drawn):
    rng = np.random.default_rng(0)
    asked_spec, drawn_spec = _spec(**asked), _spec(**drawn)
    honest = [judge(detect(render(sample_layout(asked_spec, rng))), asked_spec) for _ in range(10)]
    dishonest = [judge(detect(render(sample_layout(drawn_spec, rng))), asked_spec) for _ in range(10)]
    assert all(v.strict == 1 for v in honest)
    assert all(v.strict == 0 for v in dishonest)
    assert max(v.shaped for v in dishonest) < 1
    assert caption(asked_spec)


def test_the_reward_tells_unknown_from_bad():
    image = torch.from_numpy(render(Layout((Placed(*RED_CIRCLE),), "white"))).permute(2, 0, 1)[None]
    media = Media(image.repeat(3, 1, 1, 1))
    good = {"objects": [{"shape": "circle", "color": "red"}]}
    scores = ShapesJudge().score(
        media, [Item("p", "c", good), Item("p", "c"), Item("p", "c", {"objects": "two"})]
    )
    assert [Status(int(s)) for s in scores.status] == [Status.OK, Status.NA, Status.BROKEN]
    assert scores.value[0] == 1
    assert torch.isnan(scores.value[1:]).all()
    assert torch.isnan(scores.parts["relation"]).all()


def test_float_and_byte_pixels_score_alike_and_unknown_modes_are_refused():
    pixels = torch.from_numpy(render(Layout((Placed(*RED_CIRCLE), Placed(*BLUE_SQUARE)), "gray"))).permute(
        2, 0, 1
    )[None]
    items = [Item("p", "c", {"objects": [{"shape": "circle"}, {"shape": "square"}], "background": "gray"})]
    byte = ShapesJudge("strict").score(Media(pixels), items)
    floating = ShapesJudge("strict").score(Media(pixels.float() / 255), items)
    assert byte.value.item() == floating.value.item() == 1
    with pytest.raises(ValueError, match="known: strict"):
        ShapesJudge("nice")  # type: ignore[arg-type]


def test_a_canvas_of_another_world_is_broken_not_an_exception():
    scores = ShapesJudge().score(
        Media(torch.zeros(1, 3, 50, 50)), [Item("p", "c", {"objects": [{"shape": "ring"}]})]
    )
    assert int(scores.status[0]) == Status.BROKEN
    assert "50" in (scores.notes[0] or "")
