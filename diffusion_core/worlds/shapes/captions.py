"""The generator's dialect: one canonical caption per spec.

    two small red circles, one large blue square; red circles left of blue square; white background

Groups first (count, size, colour, shape), then relations, then the background; what the spec leaves open is left out.
The dialect has no negation, no pronouns and no synonyms: bridging to it is the rewriter's work.
"""

from __future__ import annotations

from diffusion_core.worlds.shapes.spec import LETTERS, MAX_OBJECTS, ObjectSpec, SceneSpec

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def shape_words(shape: str | None, plural: bool) -> str:
    if shape in LETTERS:
        return f"letters {shape}" if plural else f"letter {shape}"
    noun = shape or "shape"
    return (noun + ("es" if noun.endswith(("s", "x")) else "s")) if plural else noun


def caption_counts(spec: SceneSpec) -> list[int]:
    """The one number that a caption names for each group.

    Of a range it is the largest up to the rounded-down middle that leaves the scene drawable (`MAX_OBJECTS`), first groups first;
    its lower end where no choice does.
    """
    room = MAX_OBJECTS - spec.total[0]
    counts = []
    for group in spec.objects:
        low, high = group.count
        more = max(0, min((low + high) // 2 - low, room))
        room -= more
        counts.append(low + more)
    return counts


def group_words(group: ObjectSpec, count: int) -> str:
    words = (NUMBERS[count], group.size, group.color, shape_words(group.shape, count > 1))
    return " ".join(word for word in words if word)


def _reference(spec: SceneSpec, index: int, count: int) -> str:
    """The shortest words that single out a group: colour and shape, and its size only where those are shared."""
    group = spec.objects[index]
    shared = any(
        other.color == group.color and other.shape == group.shape
        for other_index, other in enumerate(spec.objects)
        if other_index != index
    )
    words = (
        group.size if shared or not group.color else None,
        group.color,
        shape_words(group.shape, count > 1),
    )
    return " ".join(word for word in words if word)


def caption(spec: SceneSpec) -> str:
    """The canonical caption of a spec (lower case but for letters; at most 40 words for four objects)."""
    counts = caption_counts(spec)
    clauses = [", ".join(map(group_words, spec.objects, counts))]
    clauses += [
        f"{_reference(spec, r.a, counts[r.a])} {r.rel} {_reference(spec, r.b, counts[r.b])}"
        for r in spec.relations
    ]
    if spec.background:
        clauses.append(f"{spec.background} background")
    return "; ".join(clauses)
