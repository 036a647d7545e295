"""Requests to change a furnished room: what is added or moved comes last in the scene, and everything before it stays where it is.

Made from a finished room by taking pieces for the new ones, so that what the text says is true of the room as it is.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from layout.instructions import Instruction, choose_nouns, listed, measured, said, trivial
from layout.keeping import on_wire
from layout.schema import PLACES, CountSpec, RelationSpec, Scene, SceneObject, Spec

MOVES = 0.35  # share of the turns that move something
MOST_NEW = 3  # pieces added at once, what stands on them aside
_ADD = (
    ("Add {objects}.", "Add {objects}: {relations}."),
    ("Please add {objects}.", "Please add {objects}, {relations}."),
    ("I also want {objects}.", "I also want {objects}; {relations}."),
    ("Put in {objects}.", "Put in {objects} with {relations}."),
    ("There should be {objects} too.", "There should be {objects} too: {relations}."),  # held out
)
_MOVE = (
    "Move {relations}.",
    "Put {relations}.",
    "I would rather have {relations}.",
    "Move things so that you have {relations}.",
    "Place {relations} instead.",  # held out
)


@dataclass(frozen=True)
class Turn:
    """A change: the room after it, whose first `kept` objects were there before, and how it was asked for."""

    scene: Scene
    kept: int
    instruction: Instruction


def turn(scene: Scene, seed: int | str, *, held_out: bool = False) -> Turn | None:
    """A change that ends in `scene`; None for a room from which nothing can be taken."""
    rng = random.Random(f"{seed}/turn")
    move = rng.random() < MOVES
    new = _taken(scene, rng, 1 if move else rng.randint(1, MOST_NEW))
    kept = [o for o in scene.objects if o.id not in new]
    if not kept or not new:
        return None
    after, _ = on_wire(Scene(room=scene.room, objects=(*kept, *(o for o in scene.objects if o.id in new))))
    # Only of a category that is new as a whole it is clear which piece a relation is about.
    fresh = [n for n in _names(after.objects[len(kept) :]) if n not in {o.category for o in kept}]
    relations = _relations(after, fresh, rng)
    nouns = choose_nouns(rng)
    told = "; ".join(said(after, r, nouns) for r in relations)
    index = 4 if held_out else rng.randrange(4)
    if move and told:
        counts = tuple(CountSpec(category=n, n=len(after.of(n))) for n in fresh)
        text = _MOVE[index].format(relations=told)
    else:
        names = Counter(
            o.category for o in after.objects[len(kept) :] if o.on in PLACES or rng.random() < 0.5
        )
        names = names or Counter([after.objects[-1].category])
        objects = listed([CountSpec(category=n, n=k) for n, k in names.items()], nouns, rng)
        counts = tuple(CountSpec(category=n, n=len(after.of(n))) for n in names)
        relations = tuple(r for r in relations if r.subject in names)
        told = "; ".join(said(after, r, nouns) for r in relations)
        text = _ADD[index][bool(told)].format(objects=objects, relations=told)
    spec = Spec(counts=counts, relations=relations)
    template = f"{'move' if move else 'add'}.{index}"
    return Turn(after, len(kept), Instruction(level=2, text=text, spec=spec, template=template))


def _taken(scene: Scene, rng: random.Random, count: int) -> set[str]:
    """Ids of `count` pieces and of everything that stands on them."""
    taken = {o.id for o in rng.sample(scene.objects, min(count, len(scene.objects) - 1))}
    while more := {o.id for o in scene.objects if o.on in taken and o.id not in taken}:
        taken |= more
    return taken


def _names(objects: tuple[SceneObject, ...]) -> list[str]:
    return list(dict.fromkeys(o.category for o in objects))


def _relations(scene: Scene, subjects: list[str], rng: random.Random) -> tuple[RelationSpec, ...]:
    """At most one relation for each of the first two subjects."""
    found = []
    names = _names(scene.objects)
    for subject in subjects[:2]:
        options = [r for r in measured(scene, names, [subject]) if not trivial(r)]
        if options:
            found.append(rng.choice(options))
    return tuple(found)
