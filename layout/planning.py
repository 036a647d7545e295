"""A model's plan held to the user's words: what they name is in it, as often as they say, and what they exclude is not.

The words are read as `layout.serialise.mentioned` reads them; nothing else goes in. Where a plan lacks a piece, its name is written at the
end and the model goes on from there, so that where the piece goes is the model's own word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from layout.catalogue import CATALOGUE

_GROUP = re.compile(r"^(?:(\d{1,2}) )?([a-z][a-z0-9_]*)(?: (.*))?$")
_NOWHERE = "in the open"  # where a piece goes of which the model would not say it


def agreed(plan: str, wanted: Mapping[str, int], kept: Sequence[str] = (), once: Collection[str] = ()) -> str:
    """The plan without what the words exclude, and with their numbers where they say more than one, or one and no more.

    `wanted` has a number for each category that is named, 0 for what is not to be there, `once` those of which one is meant; `kept` are the
    categories of pieces that are there already, with which the plan begins. Groups that name no category are left out: they promise nothing.
    """
    groups = _groups(plan)
    start = _kept_groups(groups, len(kept))
    old, new = groups[:start], groups[start:]
    new = [g for g in new if wanted.get(g[1]) != 0]
    for name, n in wanted.items():
        if (n > 1 or (n == 1 and name in once)) and name not in kept and any(g[1] == name for g in new):
            new = _exactly(new, name, n)
    return "; ".join(_text(g) for g in (*old, *new))


def lacking(plan: str, wanted: Mapping[str, int], kept: Sequence[str] = ()) -> list[str]:
    """How the groups of what the words name and neither the plan nor the room has begin, such as "2 nightstand "."""
    there = {g[1] for g in _groups(plan)} | set(kept)
    return [f"{n} {name} " if n > 1 else f"{name} " for name, n in wanted.items() if n and name not in there]


def begun_with(plan: str, group: str) -> str:
    """The plan with the beginning of one more group, to be gone on from."""
    return f"{plan}; {group}" if plan else group


def closed(plan: str, groups: Sequence[str]) -> str:
    """The plan with these groups, of which it is not said where they go."""
    return "; ".join(filter(None, (plan, *(group + _NOWHERE for group in groups))))


Group = tuple[int, str, str]  # how many, what, where


def _groups(plan: str) -> list[Group]:
    matches = (_GROUP.match(part.strip()) for part in plan.split(";"))
    return [
        (int(m[1] or 1), m[2], m[3] or _NOWHERE) for m in matches if m and m[2] in CATALOGUE and m[1] != "0"
    ]


def _kept_groups(groups: Sequence[Group], pieces: int) -> int:
    """With how many groups the kept pieces are through."""
    for k, (n, _, _) in enumerate(groups):
        if pieces <= 0:
            return k
        pieces -= n
    return len(groups)


def _exactly(groups: Sequence[Group], name: str, n: int) -> list[Group]:
    """`n` pieces of a category: the last ones are left out, or the last group has more."""
    counts: Counter[str] = Counter()
    found: list[Group] = []
    for group in groups:
        if group[1] != name:
            found.append(group)
            continue
        take = min(group[0], n - counts[name])
        counts[name] += take
        if take:
            found.append((take, name, group[2]))
    last = max(k for k, g in enumerate(found) if g[1] == name)
    found[last] = (found[last][0] + n - counts[name], name, found[last][2])
    return found


def _text(group: Group) -> str:
    n, name, where = group
    return f"{n} {name} {where}" if n > 1 else f"{name} {where}"
