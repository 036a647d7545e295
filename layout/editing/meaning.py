"""What the words of an edit mean in a room: where a step ends, which things a phrase is about, which places follow.

Every error quotes the step it is about and says the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from layout.catalogue import CATALOGUE, base
from layout.editing.nouns import FAMILIES, Phrase, phrase_at, tokens
from layout.editing.operations import Kind, Operation, Place
from layout.editing.places import met, way
from layout.editing.where import place_at
from layout.rules import BY_SUBJECT
from layout.schema import Scene, SceneObject

KNOWN = "add, remove, move, swap, turn, replace, resize (make … bigger, 180 cm wide) and keep"
VERBS: dict[str, str] = {
    "add": "add", "insert": "add", "include": "add", "bring in": "add", "put in": "add", "i need": "add", "i want": "add", "we need": "add", "give me": "add", "buy": "add", "install": "add",
    "remove": "remove", "delete": "remove", "discard": "remove", "take away": "remove", "take out": "remove", "get rid of": "remove", "throw out": "remove", "throw away": "remove", "drop": "remove",
    "move": "move", "shift": "move", "push": "move", "pull": "move", "slide": "move", "relocate": "move", "drag": "move", "bring": "move",
    "put": "put", "place": "put", "set": "put", "stand": "put", "hang": "put", "position": "put",
    "swap": "swap", "exchange": "swap", "switch": "swap", "turn": "turn", "rotate": "turn", "face": "turn", "point": "turn", "orient": "turn", "flip": "turn",
    "replace": "replace", "change": "replace", "make": "make", "resize": "make", "enlarge": "make", "widen": "make", "shrink": "make",
    "keep": "keep", "leave": "keep",
}  # fmt: skip
_POLITE = {
    "please",
    "then",
    "also",
    "now",
    "can",
    "could",
    "would",
    "you",
    "let",
    "us",
    "kindly",
    "just",
    "finally",
    "first",
}
MARKS = {",", ";", ".", "&", "and", "!", "?", ":"}
_PUT_TO = ("to", "into", "onto", "against", "over", "towards", "toward", "up", "away", "closer", "nearer", "further", "farther")  # fmt: skip


class Meaning:
    """A place in the words of an edit, and the room as the steps so far will leave it."""

    def __init__(self, request: str, scene: Scene) -> None:
        self.words, self.scene = tokens(request), scene
        self.i = 0
        self.begun = 0  # of the step being read
        self.operations: list[Operation] = []
        self.notes: list[str] = []
        self.new: dict[str, str] = {}  # id -> category of what is added
        self.removed: set[str] = set()
        self.last: tuple[str, ...] = ()  # what "it" is

    # Where in the words we are.

    def _skip(self) -> None:
        while self.i < len(self.words) and (self.words[self.i] in MARKS or self.words[self.i] in _POLITE):
            self.i += 1

    def _skip_polite(self) -> None:
        while self.words[self.i] in _POLITE:
            self.i += 1

    def _verb(self, i: int | None = None) -> str | None:
        i = self.i if i is None else i
        while i < len(self.words) and self.words[i] in _POLITE:
            i += 1
        for length in (3, 2, 1):
            text = " ".join(self.words[i : i + length])
            if i + length <= len(self.words) and text in VERBS:
                return text
        return None

    def _step(self) -> str:
        """The step being read, as it was said."""
        end = max(self.i, self.begun + 1)
        while end < len(self.words) and not (
            self.words[end] in MARKS and (self._verb(end + 1) or end + 1 == len(self.words))
        ):
            end += 1
        return " ".join(self.words[self.begun : end])

    def _lost(self) -> ValueError:
        rest = [w for w in self.words[self.i : self.i + 3] if w not in MARKS]
        at = f" (from {rest[0]!r} on)" if rest and self.i > self.begun else ""
        return ValueError(f"{self._step()!r}: not understood{at}; I know {KNOWN}")

    def _short(self, question: str) -> ValueError:
        """The step ends too early, or goes on with something else than what it needs."""
        if self.i < len(self.words) and self.words[self.i] not in MARKS:
            return self._lost()
        return ValueError(f"{self._step()!r}: {question}")

    def _no_noun(self) -> ValueError:
        """Why there is no furniture where some should be: the end, or a word that is not known."""
        k = self.i
        while k < len(self.words) and (
            self.words[k] in ("a", "an", "the", "my", "another", "all", "both", "of")
        ):
            k += 1
        if k >= len(self.words) or self.words[k] in MARKS:
            return ValueError(f"{self._step()!r}: what? Name furniture, such as 'the desk'")
        word = self.words[k]
        nouns = {
            noun.lower() for c in CATALOGUE.values() for noun in (c.name.replace("_", " "), *c.synonyms)
        } | set(FAMILIES)
        close = get_close_matches(word, sorted(nouns), n=3, cutoff=0.7)
        there = ", ".join(o.id for o in self.scene.objects) or "nothing"
        hint = f"did you mean {', '.join(close)}?" if close else f"in the room: {there}"
        return ValueError(f"{self._step()!r}: {word!r} is no furniture I know; {hint}")

    # What phrases mean in this room.

    def _phrase(self) -> Phrase:
        phrase = phrase_at(self.words, self.i, self._ids())
        if phrase is None:
            raise self._no_noun()
        self.i = phrase.end
        return phrase

    def _ids(self) -> list[str]:
        return [*self.scene.by_id, *self.new]

    def _present(self, categories: Sequence[str]) -> list[str]:
        """Ids of these categories that are in the room or will be."""
        there = [o.id for o in self.scene.objects if o.category in categories and o.id not in self.removed]
        return there + [name for name, category in self.new.items() if category in categories]

    def _category(self, name: str) -> str:
        return self.new.get(name) or self.scene.by_id[name].category

    def _existing(
        self, phrase: Phrase, places: Sequence[Place] = (), *, any_will_do: bool = False
    ) -> tuple[str, ...]:
        """The ids a phrase means. Raises ValueError when there are none, too few, or several where one is meant.

        With `places` the nearest to where it is to go is chosen among several; with `any_will_do` the last; both are said.
        """
        if phrase.pronoun:
            if not self.last:
                raise ValueError(f"{self._step()!r}: {phrase.words!r} stands for nothing named before")
            return self.last
        if phrase.id is not None:
            if phrase.id in self.removed:
                raise ValueError(f"{self._step()!r}: {phrase.id} is removed in the same edit")
            return (phrase.id,)
        there = self._present(phrase.categories)
        if not there:
            gone = [n for n in self.removed if self.scene.by_id[n].category in phrase.categories]
            if gone:
                raise ValueError(f"{self._step()!r}: {', '.join(gone)} is removed in the same edit")
            present = ", ".join(o.id for o in self.scene.objects) or "nothing"
            raise ValueError(f"{self._step()!r}: there is no {phrase.noun} in the room; there is: {present}")  # fmt: skip
        if phrase.every or (phrase.plural and phrase.number is None):
            if phrase.number is not None and phrase.number != len(there):
                raise ValueError(f"{self._step()!r}: there are {len(there)}: {', '.join(there)}")
            return tuple(there)
        n = phrase.number or 1
        if n > len(there):
            raise ValueError(f"{self._step()!r}: there {'is' if len(there) == 1 else 'are'} only {len(there)}: {', '.join(there)}")  # fmt: skip
        if n == len(there):
            return tuple(there)
        if phrase.size is not None:
            by_area = sorted(there, key=lambda name: -self._object(name).box.area)
            return tuple(by_area[:n] if phrase.size == "large" else by_area[-n:])
        return self._chosen(phrase, there, n, places, any_will_do or phrase.definite is False)

    def _chosen(self, phrase: Phrase, there: list[str], n: int, places: Sequence[Place], any_will_do: bool) -> tuple[str, ...]:  # fmt: skip
        old = [name for name in there if name in self.scene.by_id]
        if places and len(old) >= n:
            ways = {
                name: sum(way(self.scene, self.scene.by_id[name], p, self.scene) or 0.0 for p in places)
                for name in old
            }
            chosen = tuple(sorted(old, key=lambda name: ways[name])[:n])
            why = f"the nearest of {len(there)}"
        elif any_will_do:
            chosen, why = tuple(there[-n:]), f"any of {len(there)} would do"
        else:
            raise ValueError(
                f"{self._step()!r}: {phrase.words!r} may be {', '.join(there)}; say which by its id, or 'all'"
            )
        self.notes.append(f"{phrase.words!r}: {', '.join(chosen)} taken, {why}")
        return chosen

    def _object(self, name: str) -> SceneObject:
        if name not in self.scene.by_id:
            raise ValueError(f"{self._step()!r}: {name} is only being added; say its size where it is added")
        return self.scene.by_id[name]

    def _places(self, subject: str | None, *, new: bool = False) -> list[Place]:
        """All phrases of place from here on; "to the window, facing the door" are two."""
        found: list[Place] = []
        while True:
            k = self.i + (found != [] and self.words[self.i : self.i + 1] in ([","], ["and"]))
            after = None if self._verb(k) and k > self.i else place_at(
                self.words, k, self._ids(), lambda phrase: self._target(phrase, subject), subject, new=new
            )  # fmt: skip
            if after is None:
                return found
            found.append(after[0])
            self.i = after[1]

    def _target(self, phrase: Phrase, subject: str | None = None) -> tuple[str, ...]:
        """What a place is at: one thing, or all that a plural means. Of several any will do; a chair's "table" is what it belongs to."""
        if not phrase.pronoun and phrase.id is None and not phrase.plural:
            there = self._present(phrase.categories)
            ruled = {t for rule in BY_SUBJECT.get(base(subject or ""), ()) for t in rule.targets}
            there = [n for n in there if base(self._category(n)) in ruled] or there
            if len(there) > 1:
                return tuple(there)
            if there:
                return (there[0],)
        return self._existing(phrase)

    def _qualified(self, phrase: Phrase, *, moved: bool = False) -> Phrase | tuple[str, ...]:
        """ "the lamp on the desk": a place that says which one is meant, where one follows; of what is `moved`, where another follows that."""
        if phrase.id is not None or phrase.pronoun:
            return phrase
        words, k = self.words, self.i
        if words[k : k + 1] and (words[k] in _PUT_TO or words[k] not in ("on", "at", "in", "by", "near", "next", "beside", "under", "behind", "against")):  # fmt: skip
            return phrase
        found = place_at(words, k, self._ids(), self._target, phrase.categories[0])
        if found is None:
            return phrase
        place, end = found
        if moved and place_at(words, end, self._ids(), self._target, phrase.categories[0]) is None:
            return phrase
        old = [n for n in self._present(phrase.categories) if n in self.scene.by_id]
        fitting = tuple(n for n in old if met(self.scene, self.scene.by_id[n], place, self.scene))
        if not fitting:
            self._existing(phrase)
            raise ValueError(f"{self._step()!r}: no {phrase.noun} is {place.words}")
        self.i = end
        if not phrase.plural and len(fitting) > 1:
            raise ValueError(f"{self._step()!r}: {phrase.words} {place.words} may be {', '.join(fitting)}; say which by its id")  # fmt: skip
        return fitting

    def _subjects(self) -> list[tuple[str, ...]]:
        """What a step is about: phrases joined by "and", each as the ids it means."""
        found = []
        while True:
            phrase = self._phrase()
            meant = self._qualified(phrase)
            found.append(self._existing(meant) if isinstance(meant, Phrase) else meant)
            if not self._goes_on():
                return found

    def _goes_on(self) -> bool:
        """Whether a mark and another noun phrase follow; the mark is then passed."""
        k = self.i
        while k < len(self.words) and self.words[k] in (",", "and", "&"):
            k += 1
        if k == self.i or self._verb(k) is not None:
            return False
        if phrase_at(self.words, k, self._ids()) is None:
            return False
        self.i = k
        return True

    def _say(self, kind: Kind, ids: Sequence[str], places: Sequence[Place] = (), **more: object) -> None:
        self.operations.append(Operation(kind, tuple(ids), tuple(places), **more))  # type: ignore[arg-type]
        self.last = tuple(ids)
