"""Furniture that stays: named as the wire names things while a model writes, and as its owner named it before and after.

A model knows an object's category from its id, so that "my_bed" has to be "double_bed_1" on the wire, and something of the owner's own
catalogue what it is like. Whatever it writes about a kept piece, the piece itself comes back, with its own id and its exact pose.
"""

from __future__ import annotations

from collections import Counter

from layout.catalogue import base
from layout.schema import PLACES, Scene, SceneObject
from layout.serialise import carriers_first, category_of


def on_wire(kept: Scene) -> tuple[Scene, dict[str, str]]:
    """(the scene with ids made of category and number, carriers first; the owner's id of each)."""
    kept = carriers_first(kept)
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for o in kept.objects:
        kind = base(o.category)
        counts[kind] += 1
        names[o.id] = f"{kind}_{counts[kind]}"
    objects = tuple(
        o.moved(id=names[o.id], category=base(o.category), on=names.get(o.on, o.on)) for o in kept.objects
    )
    return Scene(room=kept.room, objects=objects), {wire: own for own, wire in names.items()}


def off_wire(answer: Scene, kept: Scene, owners: dict[str, str]) -> Scene:
    """The answer with every kept piece as it was; a new piece whose id the owner has already used gets the next free number."""
    used = {o.id for o in kept.objects}
    names = dict(owners)
    for o in answer.objects:
        if o.id not in owners:
            names[o.id] = _free(o, used)
            used.add(names[o.id])
    new = tuple(
        o.moved(id=names[o.id], on=names.get(o.on, o.on) if o.on not in PLACES else o.on)
        for o in answer.objects
        if o.id not in owners
    )
    return Scene(room=kept.room, objects=(*kept.objects, *new))


def _free(o: SceneObject, used: set[str]) -> str:
    if o.id not in used:
        return o.id
    number = 1
    while f"{category_of(o.id)}_{number}" in used:
        number += 1
    return f"{category_of(o.id)}_{number}"
