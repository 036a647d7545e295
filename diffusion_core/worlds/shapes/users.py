"""What people type: user-style prompts for a scene, each with the spec that it really asks for.

A template returns a text and may narrow or widen the spec so that the pair stays true: "a few" widens a count, "but no squares" adds an
exclusion, "bigger than" fixes two sizes. Templates are split by a hash of their name, so that the split cannot drift:
20 % for the simulated SFT data (`sft`), 45 % more that the policy may meet as prompts (`train` holds both), 35 % held out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from diffusion_core.worlds.shapes import phrases as say
from diffusion_core.worlds.shapes.lexicon import BACKGROUND_PHRASES, INVERSE, RELATION_PHRASES, VAGUE
from diffusion_core.worlds.shapes.phrases import Voice
from diffusion_core.worlds.shapes.spec import (
    COLORS,
    LETTERS,
    SHAPES,
    ExcludeSpec,
    RelationSpec,
    SceneSpec,
)


@dataclass(frozen=True, slots=True)
class UserPrompt:
    """`spec` is what `text` asks for: the judge's frozen target. `tags` name the key points that the wording uses."""

    text: str
    spec: SceneSpec
    template: str
    tags: tuple[str, ...] = field(default=())


Template = Callable[[SceneSpec, np.random.Generator], "tuple[str, SceneSpec, tuple[str, ...]] | None"]
TEMPLATES: dict[str, Template] = {}


def _frame(name: str, frame: str, voice: Voice, tags: tuple[str, ...]) -> None:
    """A sentence with the slots {things} {relations} {background}; relations and background may be empty."""

    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        groups = [say.group(spec, g, rng, voice) for g in range(len(spec.objects))]
        if voice.shuffle:
            rng.shuffle(groups)
        relations = "".join(", " + say.relation(spec, r, rng, voice) for r in spec.relations)
        background = " " + say.background(spec, rng, voice) if spec.background else ""
        text = frame.format(things=say.join(groups), relations=relations, background=background)
        used = (
            *tags,
            *(("spatial",) if spec.relations else ()),
            *(("counting",) if spec.total[1] > 2 else ()),
        )
        return text, spec, used

    TEMPLATES[name] = template


_PLAIN, _FREE, _DIGITS = Voice(), Voice(synonyms=0.7), Voice(synonyms=0.3, numbers="digit")
_IMPLIED, _AFTER, _INVERSE = (
    Voice(synonyms=0.4, numbers="implied"),
    Voice(order="after", synonyms=0.3),
    Voice(invert=True, synonyms=0.4),
)
_OPENINGS = {
    "bare": "{things}{relations}{background}",
    "draw": "draw {things}{background}{relations}",
    "please": "please make me a picture of {things}{background}{relations}",
    "want": "I want {things}{relations}{background}",
    "show": "can you show me {things}{background}{relations}?",
    "poster": "minimalist poster: {things}{background}{relations}, clean, high quality",
    "there": "there should be {things}{background}{relations}.",
    "icon": "a flat icon with {things}{relations}{background}, thanks!",
    "kid": "for my kid's flash card I need {things}{background}{relations}",
    "imagine": "Imagine {things}{background}{relations}. Simple shapes, nothing fancy.",
}
for _opening, _text in _OPENINGS.items():
    _frame(f"plain/{_opening}", _text, _PLAIN, ("plain",))
    _frame(f"synonyms/{_opening}", _text, _FREE, ("synonym",))
for _opening in ("bare", "draw", "please", "there", "kid"):
    _frame(f"digits/{_opening}", _OPENINGS[_opening], _DIGITS, ("digits",))
    _frame(f"implied/{_opening}", _OPENINGS[_opening], _IMPLIED, ("implied_count",))
    _frame(f"after/{_opening}", _OPENINGS[_opening], _AFTER, ("word_order",))
    _frame(f"inverse/{_opening}", _OPENINGS[_opening], _INVERSE, ("inverse_relation",))
for _opening in ("bare", "draw", "want"):
    _frame(f"knowledge/{_opening}", _OPENINGS[_opening], Voice(knowledge=0.7), ("knowledge",))
    _frame(f"typos/{_opening}", _OPENINGS[_opening], Voice(synonyms=0.2, typos=0.12), ("typos",))
    _frame(f"shout/{_opening}", _OPENINGS[_opening], Voice(synonyms=0.2, upper=True), ("case",))


def _template(name: str) -> Callable[[Template], Template]:
    def keep(template: Template) -> Template:
        TEMPLATES[name] = template
        return template

    return keep


def _tail(spec: SceneSpec, rng: np.random.Generator, voice: Voice = _PLAIN) -> str:
    relations = "".join(", " + say.relation(spec, r, rng, voice) for r in spec.relations)
    return relations + (" " + say.background(spec, rng, voice) if spec.background else "")


def _things(spec: SceneSpec, rng: np.random.Generator, voice: Voice = _PLAIN) -> str:
    return say.join([say.group(spec, g, rng, voice) for g in range(len(spec.objects))])


def _absent_shape(spec: SceneSpec, rng: np.random.Generator) -> str | None:
    """A core shape that the scene leaves out; None if some object's shape is open."""
    used = {group.shape for group in spec.objects}
    free = [shape for shape in SHAPES if shape not in used and shape not in LETTERS]
    return str(rng.choice(free)) if free and None not in used else None


def _negated(name: str, frame: str) -> None:
    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        absent = _absent_shape(spec, rng)
        if absent is None:
            return None
        changed = spec.model_copy(update={"exclude": (ExcludeSpec.model_validate({"shape": absent}),)})
        text = frame.format(things=_things(spec, rng), tail=_tail(spec, rng), absent=say.plural(absent))
        return text, changed, ("negation",)

    TEMPLATES[name] = template


for _n, _f in {
    "no": "{things}{tail}, no {absent}",
    "without": "{things} without any {absent}{tail}",
    "leave_out": "draw {things}{tail}. leave out {absent}.",
    "do_not": "I don't want {absent}, just {things}{tail}",
    "instead": "{things}{tail} instead of {absent}",
    "hate": "{things}{tail}, my client hates {absent} so none of those",
}.items():
    _negated(f"negation/{_n}", _f)


@_template("negation/no_color")
def _no_color(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
    used = {group.color for group in spec.objects}
    free = [color for color in COLORS if color not in used]
    if None in used or not free:
        return None
    absent = str(rng.choice(free))
    changed = spec.model_copy(update={"exclude": (ExcludeSpec.model_validate({"color": absent}),)})
    return f"{_things(spec, rng)}{_tail(spec, rng)}, nothing {absent}", changed, ("negation",)


def _correction(name: str, frame: str) -> None:
    """ "a square, not a circle": the wrong word stands beside the right one."""

    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        if len(spec.objects) != 1 or (absent := _absent_shape(spec, rng)) is None:
            return None
        changed = spec.model_copy(update={"exclude": (ExcludeSpec.model_validate({"shape": absent}),)})
        text = frame.format(things=_things(spec, rng), tail=_tail(spec, rng), absent=say.plural(absent))
        return text, changed, ("negation", "correction")

    TEMPLATES[name] = template


_correction("correction/not", "{things}, not {absent}{tail}")
_correction("correction/sorry", "{absent}... no wait, sorry, {things}{tail}")


def _vague(name: str, frame: str) -> None:
    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        many = [
            g for g, group in enumerate(spec.objects) if group.count[0] > 1 and group.shape not in LETTERS
        ]
        if not many:
            return None
        chosen = int(rng.choice(many))
        phrases = [p for p, (low, high) in VAGUE.items() if low <= spec.objects[chosen].count[0] <= high]
        phrase = str(rng.choice(phrases))
        objects = [
            group.model_copy(update={"count": VAGUE[phrase]}) if g == chosen else group
            for g, group in enumerate(spec.objects)
        ]
        changed = spec.model_copy(update={"objects": tuple(objects)})
        groups = [
            say.group(spec, g, rng, _PLAIN, number=phrase if g == chosen else None)
            for g in range(len(objects))
        ]
        return frame.format(things=say.join(groups), tail=_tail(spec, rng)), changed, ("vague_count",)

    TEMPLATES[name] = template


for _n, _f in {
    "bare": "{things}{tail}",
    "draw": "draw {things}{tail}",
    "need": "need {things}{tail} pls",
    "show": "show {things}{tail}",
}.items():
    _vague(f"vague/{_n}", _f)


def _shared_color(name: str, frame: str) -> None:
    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        color = spec.objects[0].color
        shapes = [group.shape for group in spec.objects]
        if len(shapes) < 2 or color is None or None in shapes or len(set(shapes)) < len(shapes):
            return None
        changed = spec.model_copy(
            update={"objects": tuple(o.model_copy(update={"color": color}) for o in spec.objects)}
        )
        bare = changed.model_copy(
            update={"objects": tuple(o.model_copy(update={"color": None}) for o in spec.objects)}
        )
        each = "both" if len(shapes) == 2 else "all of them"
        word = say.color(color, rng, _FREE)
        text = frame.format(things=_things(bare, rng), each=each, color=word, tail=_tail(bare, rng))
        return text, changed, ("shared_attribute",)

    TEMPLATES[name] = template


_shared_color("shared/both", "{things}, {each} {color}{tail}")
_shared_color("shared/everything", "{things}{tail}, everything in {color}")
_shared_color("shared/same", "in {color}: {things}{tail}")


def _pronoun(name: str, frame: str) -> None:
    """One object introduced first and described afterwards through a pronoun."""

    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        group = spec.objects[0]
        if (
            group.count != (1, 1)
            or group.shape is None
            or group.color is None
            or group.shape in LETTERS
            or group.size is None
        ):
            return None
        if len(spec.objects) > 2 or (
            len(spec.objects) == 2 and (not spec.relations or spec.objects[1].count != (1, 1))
        ):
            return None
        other = ""
        if len(spec.objects) == 2:
            relation = spec.relations[0]
            rel = relation.rel if relation.a == 0 else INVERSE[relation.rel]
            other = f" and sits {rng.choice(RELATION_PHRASES[rel])} {say.group(spec, 1, rng, _PLAIN)}"
        background = f", {rng.choice(BACKGROUND_PHRASES[spec.background])}" if spec.background else ""
        shape, color, size = (
            say.singular(group.shape),
            say.color(group.color, rng, _FREE),
            say.size(group.size, rng, _FREE),
        )
        return (
            frame.format(shape=shape, color=color, size=size, other=other, background=background),
            spec,
            ("pronoun",),
        )

    TEMPLATES[name] = template


_pronoun("pronoun/it", "a {shape}{background}. it is {size} and {color}{other}")
_pronoun("pronoun/make_it", "one {color} {shape}{background}; make it {size}. it stands alone")
_pronoun("pronoun/which", "a {shape}, which is {color}, {size}{other}{background}")
TEMPLATES["pronoun/alone"] = (
    lambda pronoun: lambda spec, rng: pronoun(spec, rng) if len(spec.objects) == 1 else None
)(TEMPLATES.pop("pronoun/make_it"))


def _compared(name: str, frame: str) -> None:
    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        if len(spec.objects) != 2 or any(
            o.count != (1, 1) or o.shape is None or o.color is None or o.shape in LETTERS
            for o in spec.objects
        ):
            return None
        if spec.objects[0].shape == spec.objects[1].shape:
            return None
        flip = bool(rng.integers(2))
        sizes = ("small", "large") if flip else ("large", "small")
        changed = spec.model_copy(
            update={
                "objects": tuple(
                    o.model_copy(update={"size": s}) for o, s in zip(spec.objects, sizes, strict=True)
                )
            }
        )
        bare = spec.model_copy(
            update={"objects": tuple(o.model_copy(update={"size": None}) for o in spec.objects)}
        )
        first, second = (say.singular(o.shape or "") for o in spec.objects)
        text = frame.format(
            things=_things(bare, rng),
            tail=_tail(bare, rng),
            first=first,
            second=second,
            word="smaller" if flip else "bigger",
        )
        return text, changed, ("comparative",)

    TEMPLATES[name] = template


_compared("compare/than", "{things}{tail}, the {first} {word} than the {second}")
_compared("compare/should", "{things}{tail}. The {first} should be clearly {word}.")
_compared("compare/much", "{things}{tail}, with the {first} much {word}")


def _row(name: str, frame: str, rel: str) -> None:
    """Single things in reading order: the relations are in the order of the words."""

    def template(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
        if not 2 <= len(spec.objects) <= 3 or any(o.count != (1, 1) for o in spec.objects):
            return None
        chain = tuple(
            RelationSpec.model_validate({"a": g, "rel": rel, "b": g + 1})
            for g in range(len(spec.objects) - 1)
        )
        changed = spec.model_copy(update={"relations": chain})
        things = ", ".join(say.group(spec, g, rng, _PLAIN) for g in range(len(spec.objects)))
        background = " " + say.background(spec, rng, _PLAIN) if spec.background else ""
        return frame.format(things=things, background=background), changed, ("spatial", "ordering")

    TEMPLATES[name] = template


_row("row/left_to_right", "from left to right: {things}{background}", "left of")
_row("row/top_to_bottom", "from top to bottom: {things}{background}", "above")
_row("row/bottom_up", "stacked from the bottom up: {things}{background}", "below")


def _tags_list(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
    if spec.relations:
        return None
    parts = []
    for group in spec.objects:
        words = [say.noun(group.shape, group.count[0] > 1, rng, _PLAIN), group.color, group.size]
        parts.append(
            ", ".join(w for w in words if w) + (f", {group.count[0]} of them" if group.count[0] > 1 else "")
        )
    return "; ".join(parts) + (f"; bg {spec.background}" if spec.background else ""), spec, ("word_order",)


TEMPLATES["tags/list"] = _tags_list


def _times(spec: SceneSpec, rng: np.random.Generator) -> tuple[str, SceneSpec, tuple[str, ...]] | None:
    parts = []
    for group in spec.objects:
        words = [group.size, group.color, say.noun(group.shape, False, rng, _PLAIN)]
        parts.append(f"{group.count[0]}x " + " ".join(w for w in words if w))
    return " + ".join(parts) + _tail(spec, rng), spec, ("digits",)


TEMPLATES["tags/times"] = _times

for _language in ("de", "fr", "es"):
    TEMPLATES[f"foreign/{_language}"] = say.foreign(_language)
    TEMPLATES[f"foreign/{_language}_draw"] = say.foreign(_language, polite=True)


def _place(name: str) -> float:
    return int.from_bytes(hashlib.sha256(f"shapes-template:{name}".encode()).digest()[:6], "big") / 2**48


def templates_of(split: str) -> tuple[str, ...]:
    """Template names of a split: `sft` (20 %), `train` (65 %, with the former), `held_out` (35 %), `all`; frozen by hash."""
    ordered = sorted(TEMPLATES, key=_place)
    n_sft, n_train = round(0.2 * len(ordered)), round(0.65 * len(ordered))
    ranges = {
        "sft": ordered[:n_sft],
        "train": ordered[:n_train],
        "held_out": ordered[n_train:],
        "all": ordered,
    }
    if split not in ranges:
        raise ValueError(f"unknown split {split!r}; known: {', '.join(ranges)}")
    return tuple(sorted(ranges[split]))


def user_prompt(
    spec: SceneSpec, rng: np.random.Generator, templates: tuple[str, ...] | None = None
) -> UserPrompt | None:
    """A random applicable template's prompt for a spec, or None if none of `templates` can say it.

    A family is drawn first and a template in it second, so that families weigh alike however many frames they have;
    foreign languages and typos stay at a few percent each.
    """
    families: dict[str, list[str]] = {}
    for name in templates or templates_of("all"):
        families.setdefault(name.split("/")[0], []).append(name)
    weights = np.array([{"foreign": 0.4, "typos": 0.5, "shout": 0.3}.get(family, 1.0) for family in families])
    order = rng.choice(len(families), size=len(families), replace=False, p=weights / weights.sum())
    names = list(families)
    for index in order:
        name = str(rng.choice(families[names[int(index)]]))
        found = TEMPLATES[name](spec, rng)
        if found is not None:
            text, changed, tags = found
            return UserPrompt(text, changed, name, tags)
    return None


def sample_user_prompt(
    rng: np.random.Generator,
    *,
    split: str | None = None,
    templates: tuple[str, ...] | None = None,
    n_objects: int | None = None,
) -> UserPrompt:
    """A user prompt for a random spec of the committed mix; draws again until some template can say the scene.

    With a `split`, what the prompt asks for is of that split too: a template may give all things one colour, which makes another
    combination of them.
    """
    from diffusion_core.worlds.shapes.grammar import sample_spec

    while True:
        spec = sample_spec(rng, split=split, n_objects=n_objects)
        prompt = user_prompt(spec, rng, templates)
        if prompt is not None and (split is None or _split_asked_for(spec, prompt.spec) == split):
            return prompt


def _split_asked_for(original: SceneSpec, changed: SceneSpec) -> str:
    """The split of a template's spec; a range ("a few") counts as the number that it was made from."""
    from diffusion_core.worlds.shapes.grammar import split_of

    pairs = zip(changed.objects, original.objects, strict=True)
    counted = tuple(group.model_copy(update={"count": before.count}) for group, before in pairs)
    return split_of(changed.model_copy(update={"objects": counted}))


__all__ = ["TEMPLATES", "UserPrompt", "sample_user_prompt", "templates_of", "user_prompt"]
