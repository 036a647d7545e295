"""What a user might say to get a room: text at four levels of detail, with the structured spec it stands for.

    level 0   type and size of the room
    level 1   what is to be in it
    level 2   and how things stand to each other: relations measured from the finished room, so that the text is true of it
    level 3   who it is for, from which the furniture follows

Also the plan that a model writes before its coordinates (`plan_text`). Everything follows from the scene and a seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from layout import relations
from layout.catalogue import CATALOGUE, of_room
from layout.placement import shortfall
from layout.rules import BY_SUBJECT
from layout.schema import PLACES, CountSpec, RelationSpec, Room, Scene, SceneObject, Spec, Strict
from layout.wording import NUMBERS, PERSONAS, STYLES, TEMPLATES, a, plural, the

LEVELS = (0, 1, 2, 3)
LEVEL_MIX = (0.25, 0.35, 0.25, 0.15)
CORNER = (
    25.0  # cm to both walls of a corner up to which people say "in a corner"; the predicate itself is wider
)
CLEAR = 0.7  # score above which a measured relation is said: clear of the 0.5 at which it holds
HIDDEN = ("ceiling_light", "curtain", "counter", "wall_cabinet")  # seldom asked for by name

# Relations between categories, most telling first, and how they are said of subject and reference.
PAIR_PHRASES = {
    "on_top_of": "on {r}",
    "facing": "facing {r}",
    "opposite": "opposite {r}",
    "beside": "beside {r}",
    "in_front_of": "in front of {r}",
    "left_of": "to the left of {r}",
    "right_of": "to the right of {r}",
    "next_to": "next to {r}",
    "near": "near {r}",
    "across_from": "across the room from {r}",
}
ROOM_PHRASES = {
    ("at", "window"): "at the window",
    ("in", "corner"): "in a corner",
    ("against", "wall"): "against the wall",
    ("in_middle_of", "room"): "in the middle of the room",
    ("near", "door"): "near the door",
    ("far_from", "door"): "far from the door",
}


class Instruction(Strict):
    """A request: what is said, what it means, and which template said it (some are held out of training)."""

    level: int
    text: str
    spec: Spec
    template: str


def instruct(
    scene: Scene, seed: int | str, level: int | None = None, *, held_out: bool = False
) -> Instruction:
    """An instruction that the scene fulfils. `level` None draws one; `held_out` uses the templates that training never sees."""
    rng = random.Random(f"{seed}/instruction")
    level = rng.choices(LEVELS, LEVEL_MIX)[0] if level is None else level
    if level not in LEVELS:
        raise ValueError(
            f"level {level} does not exist; levels: 0 (room), 1 (objects), 2 (relations), 3 (persona)"
        )
    options = TEMPLATES[level]
    index = rng.choice([i for i in range(len(options)) if (i % 5 == 4) == held_out])
    parts = {"room": _room_noun(scene.room), "size": _size_text(scene.room, rng), "style": rng.choice(STYLES)}
    counts, found = (), ()
    nouns = choose_nouns(rng)
    if level in (1, 2):
        counts = _counts(scene, rng, most=9 if level == 1 else 6)
        parts["objects"] = listed(counts, nouns, rng)
        if level == 2:
            found = _choose_relations(scene, counts, rng)
            parts["relations"] = "; ".join(said(scene, r, nouns) for r in found) or "the door kept clear"
        absent = _absent(scene, rng) if rng.random() < 0.15 else None
        if absent:
            counts = (*counts, CountSpec(category=absent, n=0))
            parts["objects"] += f", but no {nouns[absent]}"
    elif level == 3:
        needs, parts["persona"] = _persona(scene, rng)
        counts = tuple(CountSpec(category=name, n=1, quantifier="ge") for name in needs)
    text = options[index].format(**parts)
    text = text[0].upper() + text[1:]
    return Instruction(
        level=level, text=text, spec=Spec(counts=counts, relations=found), template=f"{level}.{index}"
    )


def sized_instruction(scene: Scene, seed: int | str) -> Instruction:
    """OptiScene's contract: the floor's area in m² and every object with its size, in whole cm as width x depth x height."""
    rng = random.Random(f"{seed}/sized")
    nouns = choose_nouns(rng)
    groups: Counter[tuple[str, tuple[int, int, int]]] = Counter()
    for o in scene.objects:
        w, d, h = (round(v) for v in o.size)
        groups[o.category, (w, d, h)] += 1
    sized = (
        f"{f'{n} {plural(nouns[name])}' if n > 1 else nouns[name]} {w} x {d} x {h} cm"
        for (name, (w, d, h)), n in groups.items()
    )
    text = f"{_room_noun(scene.room)} of {scene.room.area / 1e4:.1f} m2: {', '.join(sized)}"
    present = Counter(o.category for o in scene.objects)
    counts = tuple(CountSpec(category=name, n=n) for name, n in present.items())
    return Instruction(level=1, text=text[0].upper() + text[1:], spec=Spec(counts=counts), template="sized")


def _room_noun(room: Room) -> str:
    return room.room_type.replace("_", " ")


def _size_text(room: Room, rng: random.Random) -> str:
    """The bounding size, in metres mostly, also in centimetres or feet."""
    w, d = room.extent
    unit = rng.choices(["m", "cm", "ft"], [0.65, 0.25, 0.1])[0]
    if unit == "m":
        return f"{w / 100:.1f} x {d / 100:.1f} m"
    return f"{w:.0f} x {d:.0f} cm" if unit == "cm" else f"{w / 30.48:.0f} x {d / 30.48:.0f} ft"


def choose_nouns(rng: random.Random) -> dict[str, str]:
    """What each category is called in one text: its first name two times out of three."""
    chosen = {}
    for name, entry in CATALOGUE.items():
        first, *others = entry.synonyms
        chosen[name] = rng.choice(others) if others and rng.random() > 0.67 else first
    return chosen


def _counts(scene: Scene, rng: random.Random, most: int) -> tuple[CountSpec, ...]:
    """Exact counts of some of the categories, in the order in which the room was furnished."""
    present = Counter(o.category for o in scene.objects)
    names = [n for n in present if n not in HIDDEN]
    main = [n for n in names if not CATALOGUE[n].small]
    small = [n for n in names if CATALOGUE[n].small and rng.random() < 0.4]
    kept = set(rng.sample(main, min(len(main), rng.randint(min(3, len(main)), most))) + small)
    return tuple(CountSpec(category=n, n=present[n]) for n in names if n in kept)


def listed(counts: Sequence[CountSpec], nouns: Mapping[str, str], rng: random.Random) -> str:
    """'a bed, two nightstands and a wardrobe'."""
    said = []
    for wanted in counts:
        noun = nouns[wanted.category]
        number = str(wanted.n) if rng.random() < 0.3 else NUMBERS.get(wanted.n, str(wanted.n))
        said.append(a(noun) if wanted.n == 1 else f"{number} {plural(noun)}")
    return said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]


def _absent(scene: Scene, rng: random.Random) -> str | None:
    """A category that could be in such a room and is not."""
    there = {o.category for o in scene.objects}
    options = [
        c.name
        for c in of_room(scene.room.room_type)
        if c.name not in there and not c.small and c.name not in HIDDEN
    ]
    return rng.choice(options) if options else None


def _persona(scene: Scene, rng: random.Random) -> tuple[tuple[str, ...], str]:
    """Somebody whose needs the room meets."""
    there = {o.category for o in scene.objects}
    fitting = [p for p in PERSONAS[scene.room.room_type] if set(p[0]) <= there]
    return rng.choice(fitting)


def measured(
    scene: Scene, names: Sequence[str], subjects: Sequence[str] | None = None
) -> Iterator[RelationSpec]:
    """Every relation among the named categories, and of them to the room, that clearly holds, with how many do; of `subjects` alone if given."""
    for subject in names if subjects is None else subjects:
        own = scene.of(subject)
        for relation, part in ROOM_PHRASES:
            if relations.room_distance(own[0].box, scene.room, part) is None and part in ("window", "door"):
                continue
            n = sum(_clear_in_room(scene, relation, o, part) for o in own)
            if n:
                yield RelationSpec(relation=relation, subject=subject, references=(part,), n=n)
        for reference in names:
            if reference != subject:
                for relation in PAIR_PHRASES:
                    n = sum(any(_clear(scene, relation, o, r) for r in scene.of(reference)) for o in own)
                    if n:
                        yield RelationSpec(relation=relation, subject=subject, references=(reference,), n=n)


def _clear_in_room(scene: Scene, relation: str, o: SceneObject, part: str) -> bool:
    if part == "corner" and all(max(gaps) > CORNER for gaps in relations.corners(o.box, scene.room)):
        return False
    return relations.score(scene, relation, o, [part]) > CLEAR


def _clear(scene: Scene, relation: str, o: SceneObject, reference: SceneObject) -> bool:
    # Cheap first: what is metres apart is neither beside nor next to anything.
    if relation in ("on_top_of", "beside", "next_to") and not o.box.near(reference.box, 60):
        return False
    # A painting over the sofa is above it, not on it; of what stands on something nothing else is worth saying.
    if (relation == "on_top_of") != (o.on not in PLACES) or (
        relation == "on_top_of" and o.on != reference.id
    ):
        return False
    return relations.score(scene, relation, o, [reference]) > CLEAR


def _choose_relations(
    scene: Scene, counts: Sequence[CountSpec], rng: random.Random
) -> tuple[RelationSpec, ...]:
    """Two to five telling relations, at most two of a subject and one of a pair."""
    found = [r for r in measured(scene, [c.category for c in counts]) if not trivial(r)]
    rng.shuffle(found)
    found.sort(key=lambda r: _dull(r) + rng.random() * 3)
    chosen: list[RelationSpec] = []
    wanted = rng.randint(2, 5)
    subjects: Counter[str] = Counter()
    pairs = set()
    for spec in found:
        pair = frozenset((spec.subject, *spec.references))
        if len(chosen) < wanted and subjects[spec.subject] < 2 and pair not in pairs:
            chosen.append(spec)
            subjects[spec.subject] += 1
            pairs.add(pair)
    return tuple(chosen)


def _dull(spec: RelationSpec) -> int:
    """Higher for what says little: everything is near something and most things are at a wall."""
    if spec.relation in ("against", "near", "across_from", "far_from"):
        return 3
    ruled = any(spec.references[0] in rule.targets for rule in BY_SUBJECT.get(spec.subject, ()))
    return 0 if ruled or spec.relation in ("at", "on_top_of") else 1


def trivial(spec: RelationSpec) -> bool:
    """What nobody says: a rug that faces something, a lamp left of the rug it stands on, a painting at the wall."""
    flat = {"rug", "bath_mat"}
    front = bool(CATALOGUE[spec.subject].use) or spec.subject.endswith("chair")
    if spec.subject in flat or set(spec.references) & flat:
        return True
    if spec.relation in ("facing", "opposite") and not front:
        return True
    if any(
        name in CATALOGUE and CATALOGUE[name].on == ("wall",) for name in (spec.subject, *spec.references)
    ):
        return True
    return CATALOGUE[spec.subject].small and spec.relation != "on_top_of"


def said(scene: Scene, spec: RelationSpec, nouns: Mapping[str, str]) -> str:
    """'both nightstands beside the bed', 'one of the chairs near the door'."""
    total, noun = len(scene.of(spec.subject)), nouns[spec.subject]
    if total == 1:
        who = the(noun)
    elif spec.n == total:
        who = f"both {plural(noun)}" if total == 2 else f"all {plural(noun)}"
    else:
        who = f"{NUMBERS.get(spec.n, str(spec.n))} of the {plural(noun)}"
    reference = spec.references[0]
    if (spec.relation, reference) in ROOM_PHRASES:
        return f"{who} {ROOM_PHRASES[spec.relation, reference]}"
    many = len(scene.of(reference)) > 1
    other = nouns[reference]
    return f"{who} {PAIR_PHRASES[spec.relation].format(r=a(other) if many else the(other))}"


def plan_text(scene: Scene, first: int = 0) -> str:
    """The plan before the coordinates: the objects from number `first` on in their order, neighbours of one kind and place together, with where they go.

    'double_bed at wall 3; 2 nightstand beside the double_bed; wardrobe at wall 1; table_lamp on nightstand'. The only numbers are counts
    and wall indices.
    """
    said = ((o.category, _where(scene, o)) for o in scene.objects[first:])
    groups = ((len(list(same)), name, where) for (name, where), same in groupby(said))
    return "; ".join(f"{n} {name} {where}" if n > 1 else f"{name} {where}" for n, name, where in groups)


def _where(scene: Scene, o: SceneObject) -> str:
    if o.on not in PLACES:
        return f"on {scene.by_id[o.on].category}"
    if o.on == "ceiling":
        return "under the ceiling"
    for rule in BY_SUBJECT.get(o.category, ()):
        for target in scene.objects:
            if target.category in rule.targets and shortfall(rule, o.box, target.box) == 0:
                return rule.phrase.format(target=target.category)
    middle = o.box.world((0, o.box.depth / 2))
    near = min(
        scene.room.walls,
        key=lambda w: abs(w.into(middle)) + max(0.0, -w.mark(middle), w.mark(middle) - w.length),
    )
    if abs(near.into(middle)) <= 12:
        return f"at wall {near.index}"
    return "in the open"
