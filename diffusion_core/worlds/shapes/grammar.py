"""What scenes exist and how often: the committed caption mix and the split into training and held-out scenes.

Mix: 25 / 35 / 20 / 20 % of scenes have 1 / 2 / 3 / 4 objects. Sizes are named in 60 % of groups, colours in 93 %, shapes in 97 %,
backgrounds in 65 % of scenes; 55 % of scenes with two or more groups carry a relation; 4 % of groups are letters.
"""

from __future__ import annotations

import hashlib

import numpy as np

from diffusion_core.worlds.shapes.spec import (
    BACKGROUNDS,
    COLORS,
    LETTERS,
    RELATIONS,
    SHAPES,
    SIZES,
    ObjectSpec,
    RelationSpec,
    SceneSpec,
)

OBJECT_MIX = (0.25, 0.35, 0.20, 0.20)
HELD_OUT_SHARE = 0.1
_PARTITIONS = {  # how n objects fall into groups of equal ones, with weights
    1: (((1,), 1.0),),
    2: (((1, 1), 0.75), ((2,), 0.25)),
    3: (((1, 1, 1), 0.45), ((2, 1), 0.4), ((3,), 0.15)),
    4: (((1, 1, 1, 1), 0.2), ((2, 1, 1), 0.3), ((2, 2), 0.2), ((3, 1), 0.2), ((4,), 0.1)),
}


def split_of(spec: SceneSpec) -> str:
    """`train` or `held_out`, from a hash of the attribute combination: shapes, colours and counts, whatever their order.

    Sizes, relations and background do not enter: a held-out scene is a new combination of things and not a known one moved.
    """
    groups = sorted(f"{o.count}{o.color}{o.shape}" for o in spec.objects)
    if (
        len(groups) == 1
    ):  # single kinds are few (six shapes, six colours, four counts): all of them must be learnable
        groups.append(f"{spec.objects[0].size}{spec.background}")
    digest = hashlib.sha256("|".join(groups).encode()).digest()
    return "held_out" if int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT_SHARE else "train"


def _group(rng: np.random.Generator, count: int) -> ObjectSpec:
    letter = rng.random() < 0.04
    core = SHAPES[: len(SHAPES) - len(LETTERS)]
    shape = str(rng.choice(LETTERS)) if letter else str(rng.choice(core)) if rng.random() < 0.97 else None
    color = str(rng.choice(list(COLORS))) if rng.random() < 0.93 or shape is None else None
    size = None if letter or rng.random() >= 0.6 else str(rng.choice(SIZES))
    return ObjectSpec.model_validate({"shape": shape, "color": color, "size": size, "count": count})


def _relation(rng: np.random.Generator, a: int, b: int) -> RelationSpec:
    return RelationSpec.model_validate({"a": a, "rel": str(rng.choice(list(RELATIONS))), "b": b})


def _sample(rng: np.random.Generator, n_objects: int) -> SceneSpec:
    partitions, weights = zip(*_PARTITIONS[n_objects], strict=True)
    counts = list(partitions[int(rng.choice(len(partitions), p=weights))])
    rng.shuffle(counts)
    groups: list[ObjectSpec] = []
    while len(groups) < len(counts):
        group = _group(rng, counts[len(groups)])
        # Two groups never differ in count alone, so that a caption refers to each without doubt.
        if all((group.shape, group.color) != (other.shape, other.color) for other in groups):
            groups.append(group)
    relations: list[RelationSpec] = []
    if len(groups) > 1 and rng.random() < 0.55:
        order = rng.permutation(len(groups))
        relations.append(_relation(rng, int(order[0]), int(order[1])))
        if len(groups) > 2 and rng.random() < 0.3:
            relations.append(_relation(rng, int(order[1]), int(order[2])))
    background = str(rng.choice(list(BACKGROUNDS))) if rng.random() < 0.65 else None
    return SceneSpec.model_validate(
        {"objects": tuple(groups), "relations": tuple(relations), "background": background}
    )


def sample_spec(
    rng: np.random.Generator, *, split: str | None = None, n_objects: int | None = None
) -> SceneSpec:
    """A random spec of the committed mix, optionally of one split or number of objects. Always renderable."""
    while True:
        n = n_objects or 1 + int(rng.choice(len(OBJECT_MIX), p=OBJECT_MIX))
        spec = _sample(rng, n)
        if split is None or split_of(spec) == split:
            return spec
