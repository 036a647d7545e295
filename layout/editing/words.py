"""The words of an edit, read into operations: by rules alone, and nothing is guessed.

    "move the desk to the window wall, add a bookshelf"  ->  move desk_1 to the window wall; add bookshelf_1

A request is steps of a verb, what it is about, and places. Whatever is not understood is an error that quotes it; so is furniture that is
not in the room, and steps that contradict each other. Where the words leave a choice that does not matter, a note says what was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from layout.catalogue import CATALOGUE, base, named
from layout.editing import sizes
from layout.editing.meaning import KNOWN, MARKS, VERBS, Meaning
from layout.editing.nouns import Phrase, phrase_at
from layout.editing.operations import Edits, Operation, Place
from layout.editing.turns import turn_at
from layout.rules import BY_SUBJECT
from layout.schema import Scene

MAX_WORDS = 300


def read(request: str, scene: Scene) -> Edits:
    """The operations a request asks for in a room. Raises ValueError that quotes what is not understood or cannot be meant."""
    edits = Reader(request, scene).read()
    _refuse_contradictions(edits, scene)
    return edits


class Reader(Meaning):
    """Reads step by step, one method a verb."""

    def read(self) -> Edits:
        if not any(w not in MARKS for w in self.words):
            raise ValueError(f"the edit is empty; say what to change. I know {KNOWN}")
        if len(self.words) > MAX_WORDS:
            raise ValueError(f"the edit has {len(self.words)} words; the limit is {MAX_WORDS}")
        self._skip()
        while self.i < len(self.words):
            self.begun = self.i
            verb = self._verb()
            if verb is None:
                raise self._lost()
            self._skip_polite()
            self.i += len(verb.split())
            _STEPS[VERBS[verb]](self, verb)
            if self.i < len(self.words) and self.words[self.i] not in MARKS and self._verb() is None:
                raise self._lost()
            self._skip()
        return Edits(tuple(self.operations), tuple(self.notes))

    def _add(self, verb: str) -> None:
        while True:
            phrase = self._phrase()
            if phrase.pronoun or phrase.id is not None or phrase.definite is True:
                raise ValueError(f"{self._step()!r}: {phrase.words!r} is there already; say 'a', 'another' or a number to add")  # fmt: skip
            self._add_phrase(phrase)
            if not self._goes_on():
                return

    def _add_phrase(self, phrase: Phrase) -> None:
        guess = phrase.categories[0] if len(phrase.categories) == 1 else None
        at = self.i
        places = self._places(guess, new=True)
        category = guess or self._one_category(phrase, places)
        if guess is None and places:  # a lamp "on the desk" stands on it now that it is a table lamp
            self.i = at
            places = self._places(category, new=True)
        number = phrase.number or (2 if phrase.plural else 1)
        if phrase.plural and phrase.number is None:
            self.notes.append(f"{phrase.words!r}: no number said, two are added")
        used = {*self.scene.by_id, *self.new}
        ids = []
        for _ in range(number):
            ids.append(_free_id(category, used))
            used.add(ids[-1])
        self.new |= dict.fromkeys(ids, category)
        self._say("add", ids, places, category=category, size=phrase.size)

    def _one_category(self, phrase: Phrase, places: Sequence[Place]) -> str:
        """Which of a family is meant by something new: what can stand there, what the room has, what people usually mean."""
        family = phrase.categories
        targets = [
            kind for p in places for t in p.targets for kind in {self._category(t), base(self._category(t))}
        ]
        if any(p.relation == "on_top_of" for p in places):
            fitting = [c for c in family if set(CATALOGUE[c].on) & set(targets)]
            if fitting:
                return fitting[0]
        ruled = [c for c in family if any(set(r.targets) & set(targets) for r in BY_SUBJECT.get(base(c), ()))]
        if ruled:
            return ruled[0]
        kind = self.scene.room.room_type
        usual = named(phrase.words.split()[-1])
        here = [c for c in family if kind in CATALOGUE[c].rooms]
        if usual in here:
            return usual  # type: ignore[return-value]
        present = [c for c in here if self._present([c])]
        for options in (present, here):
            if len(options) == 1:
                return options[0]
        said = ", ".join(c.replace("_", " ") for c in (present or here or family))
        raise ValueError(f"{self._step()!r}: {phrase.words!r} may be: {said}; say which")

    def _remove(self, verb: str) -> None:
        for ids in self._subjects():
            new = [name for name in ids if name in self.new]
            if new:
                raise ValueError(f"{self._step()!r}: {', '.join(new)} is added in the same edit")
            self._say("remove", ids)
            self.removed |= set(ids)

    def _move(self, verb: str) -> None:
        found: list[tuple[str, ...] | Phrase] = []
        while True:
            phrase = self._phrase()
            found.append(self._qualified(phrase, moved=True))
            if not self._goes_on():
                break
        self._to_places(found)

    def _to_places(self, found: Sequence[tuple[str, ...] | Phrase]) -> None:
        first = found[0]
        subject = self._category(first[0]) if isinstance(first, tuple) else (
            self._category(first.id) if first.id else first.categories[0] if first.categories else None
        )  # fmt: skip
        places = self._places(subject)
        if not places:
            raise self._short("where to? Say a place, such as 'to the window' or 'next to the bed'")
        # What it is about is settled last: of several chairs the nearest to the place is meant.
        ids = [n for f in found for n in (self._existing(f, places) if isinstance(f, Phrase) else f)]
        self._say("move", ids, places)

    def _put(self, verb: str) -> None:
        """ "put a lamp on the desk" adds one, "put the lamp on the desk" moves it."""
        phrase = phrase_at(self.words, self.i, self._ids())
        if phrase is None:
            raise self._no_noun()
        there = phrase.id is not None or phrase.pronoun or bool(self._present(phrase.categories))
        if phrase.definite is False or (phrase.definite is None and not there):
            self._add(verb)
        else:
            self._move(verb)

    def _swap(self, verb: str) -> None:
        first = self._phrase()
        both = self._existing(first)
        if self.words[self.i : self.i + 1] == ["for"]:  # "swap the armchair for a lamp"
            self.i += 1
            self._replaced(both)
            return
        if self.words[self.i : self.i + 1] in (["and"], ["with"], ["&"]):
            self.i += 1
            other = self._phrase()
            if other.definite is False:
                self.i = other.end
                raise ValueError(f"{self._step()!r}: to have something new in its place say 'replace {first.words} with {other.words}'")  # fmt: skip
            both = (*both, *self._existing(other))
        if len(both) != 2 or both[0] == both[1]:
            raise ValueError(f"{self._step()!r}: two things swap places, not {len(set(both))}")
        self._say("swap", both)

    def _turn(self, verb: str) -> None:
        at = self.i
        for ids in self._turned_subjects():
            place = self._turning(ids)
            if place is None:
                self.i = max(self.i, at)
                raise self._short("how? Say 'around', 'by 90 degrees', or what it should face")
            self._say("turn", ids, (place,))

    def _turned_subjects(self) -> list[tuple[str, ...]]:
        """All that is turned the same way, as one."""
        return [tuple(name for ids in self._subjects() for name in ids)]

    def _turning(self, ids: Sequence[str]) -> Place | None:
        found = turn_at(self.words, self.i, self._ids(), self._target)
        if found is None:
            return None
        self.i = found[1]
        return found[0]

    def _replace(self, verb: str) -> None:
        ids = [name for part in self._subjects() for name in part]
        if self.words[self.i : self.i + 1] not in (["with"], ["by"], ["to"], ["into"]):
            raise self._lost()
        self.i += 1
        self._replaced(ids)

    def _replaced(self, ids: Sequence[str]) -> None:
        fresh = [name for name in ids if name in self.new]
        if fresh:
            raise ValueError(f"{self._step()!r}: {', '.join(fresh)} is added in the same edit")
        self._say("remove", ids)
        self.removed |= set(ids)
        at = self.i
        phrase = self._phrase()
        if phrase.pronoun or phrase.id is not None or phrase.definite is True:
            self.i = at
            raise ValueError(
                f"{self._step()!r}: {phrase.words!r} is there already; replace by 'a …', or say 'swap'"
            )
        count = len(self.operations)
        self._add_phrase(phrase)
        added = self.operations[count]
        if not added.places:  # nothing else said: where the old ones were
            del self.operations[count]
            old = [ids[min(k, len(ids) - 1)] for k in range(len(added.ids))]
            for name, before in zip(added.ids, old, strict=True):
                where = Place("instead_of", (before,), words=f"in place of {before}")
                self._say("add", (name,), (where,), category=added.category, size=added.size)

    def _make(self, verb: str) -> None:
        ids = [name for part in self._subjects() for name in part]
        place = self._turning(ids)
        if place is not None:  # "make the sofa face the window"
            self._say("turn", ids, (place,))
            return
        change, end = sizes.change_at(self.words, self.i, verb)
        if change is None:
            raise self._short("how? Say 'bigger', 'wider', '180 cm wide' or what it should face")
        self.i = end
        for name in ids:
            self._say("resize", (name,), size=sizes.resized(self._object(name), change, self.scene.room))
        self.last = tuple(ids)

    def _keep(self, verb: str) -> None:
        ids = [name for part in self._subjects() for name in part]
        for ending in (
            ("where", "it", "is"),
            ("where", "they", "are"),
            ("as", "it", "is"),
            ("there",),
            ("alone",),
        ):
            if tuple(self.words[self.i : self.i + len(ending)]) == ending:
                self.i += len(ending)
        self._say("keep", ids)


_STEPS = {
    "add": Reader._add, "remove": Reader._remove, "move": Reader._move, "put": Reader._put, "swap": Reader._swap,
    "turn": Reader._turn, "replace": Reader._replace, "make": Reader._make, "keep": Reader._keep,
}  # fmt: skip


def _free_id(category: str, used: set[str]) -> str:
    number = 1
    while f"{category}_{number}" in used:
        number += 1
    return f"{category}_{number}"


def _refuse_contradictions(edits: Edits, scene: Scene) -> None:
    """Raises ValueError where one thing is both removed and kept, moved twice, or is a place though it is removed."""
    said: dict[tuple[str, str], Operation] = {}
    removed = set(edits.removed)
    for op in edits.operations:
        for name in op.ids:
            if (name, op.kind) in said and op.kind != "resize":
                raise ValueError(f"'{op}' and '{said[name, op.kind]}' contradict each other: say one of them")
            said[name, op.kind] = op
    kinds: dict[str, list[Operation]] = {}
    for op in edits.operations:
        for name in op.ids:
            kinds.setdefault(name, []).append(op)
    for ops in kinds.values():
        names = {op.kind for op in ops}
        for one in ("remove", "keep", "swap"):
            if one in names and len(names) > 1:
                first, second = ops[0], next(op for op in ops if op.kind != ops[0].kind)
                raise ValueError(f"'{first}' and '{second}' contradict each other: say one of them")
    for op in edits.operations:
        for place in op.places:
            gone = [t for t in place.targets if t in removed]
            if gone and place.relation != "instead_of":
                raise ValueError(f"'{op}' is about {', '.join(gone)}, which the same edit removes")
            own = set(op.ids) & set(place.targets)
            if own and len(place.targets) == 1:
                raise ValueError(f"'{op}': {', '.join(sorted(own))} cannot be placed by itself")
