"""An edit as tasks: what is taken out, what is placed in which order, what must not move, and how good a room is as an answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layout.catalogue import CATALOGUE
from layout.checks import check
from layout.editing import search
from layout.editing.operations import Edits, Place, Size
from layout.editing.places import met
from layout.editing.search import Task, rank
from layout.relations import BANDS, PAIR, ROOM
from layout.report import Report
from layout.schema import PLACES, CountSpec, RelationSpec, Scene, SceneObject, Spec
from layout.wording import NUMBERS, a, plural

MODEL, SEARCH = "model", "search"


@dataclass(frozen=True)
class Option:
    """One way to carry out the edit: where it comes from, the room, and its rank (less is better)."""

    source: str
    scene: Scene
    report: Report
    key: tuple[float, ...]


class Plan:
    """Operations as tasks: what is taken out, what is placed in which order, and what must not move."""

    def __init__(self, scene: Scene, edits: Edits) -> None:
        self.scene, self.edits = scene, edits
        self.notes: list[str] = []
        self.why: dict[str, str] = {}  # what kept a thing from being placed
        removed = set(edits.removed)
        gone = removed | riders(scene, removed, but=edits.touched)
        for op in edits.operations:
            lost = sorted(gone & set(op.ids)) if op.kind == "keep" else []
            if lost:
                on = scene.by_id[lost[0]].on
                raise ValueError(f"'{op}': {lost[0]} stands on {on}, which is removed; say where it is to go")
        for name in sorted(gone - removed):
            self.notes.append(f"{name} is removed with {scene.by_id[name].on}, on which it stands")
        self.tasks = self._ordered_tasks()
        placed = {t.o.id for t in self.tasks} | {c.id for t in self.tasks for c in t.children}
        for t in self.tasks:
            if t.children:
                self.notes.append(
                    f"{', '.join(c.id for c in t.children)} {'goes' if len(t.children) == 1 else 'go'} with {t.o.id}"
                )
        rest = tuple(o for o in scene.objects if o.id not in gone | placed)
        self.base = Scene(room=scene.room, objects=rest)
        self.kept = frozenset(o.id for o in rest)
        self.spec = self._spec(gone)
        self.for_model = [
            t
            for t in self.tasks
            if not t.still and not any(p.relation in ("shifted", "closer", "farther") for p in t.places)
        ]

    def _ordered_tasks(self) -> list[Task]:
        """One task a thing, all that is said of it together; what others are placed by comes before them."""
        places: dict[str, list[Place]] = {}
        things: dict[str, SceneObject] = {}
        still: dict[str, bool] = {}
        for op in self.edits.operations:
            if op.kind in ("remove", "keep"):
                continue
            for k, name in enumerate(op.ids):
                o = things.get(name) or self.scene.by_id.get(name)
                if o is None:
                    assert op.category is not None, op
                    o = _new(name, op.category, op.size, self.scene)
                if op.kind == "resize":
                    assert isinstance(op.size, tuple), op
                    o = o.moved(size=op.size)
                things[name] = o
                own = list(op.places)
                if op.kind == "swap":
                    own = [Place("instead_of", (op.ids[1 - k],), words=f"in place of {op.ids[1 - k]}")]
                places.setdefault(name, []).extend(own)
                free = op.kind == "move" or (
                    op.kind == "add" and not any(p.relation == "instead_of" for p in own)
                )
                still[name] = still.get(name, True) and not free
        tasks = {
            name: Task(o, self._children(name, o, set(things)), tuple(places[name]), still[name])
            for name, o in things.items()
        }
        for name in [name for name, task in tasks.items() if self._there_already(task, set(tasks))]:
            self.notes.append(f"{name} is there already: {' '.join(p.words for p in tasks.pop(name).places)}")
        done: list[Task] = []

        def visit(name: str, trail: frozenset[str]) -> None:
            task = tasks[name]
            for target in (t for p in task.places if p.relation != "instead_of" for t in p.targets):
                if target in tasks and target not in trail:
                    visit(target, trail | {target})
            if task not in done:
                done.append(task)

        for name in sorted(tasks, key=lambda name: not tasks[name].still):
            visit(name, frozenset({name}))
        return done

    def _there_already(self, task: Task, others: set[str]) -> bool:
        """Whether something to be moved is where it is to be, by things that stay themselves; then it stays too."""
        o = self.scene.by_id.get(task.o.id)
        if o is None or o.size != task.o.size or task.still or not task.places:
            return False
        return all(
            set(p.targets) <= set(self.scene.by_id) and met(self.scene, o, p, self.scene) for p in task.places
        )

    def _children(self, name: str, o: SceneObject, placed: set[str]) -> tuple[SceneObject, ...]:
        """What stands on a thing and is not placed itself, down to the last; on a new height where that changed."""
        if name not in self.scene.by_id:
            return ()
        rise = o.size[2] - self.scene.by_id[name].size[2]
        carried = riders(self.scene, {name}, but=placed)
        return tuple(
            c.moved(pos=(c.pos[0], c.pos[1], c.pos[2] + rise)) for c in self.scene.objects if c.id in carried
        )

    def _spec(self, gone: set[str]) -> Spec:
        """Counts of every category that changes, and the relations that the validator knows by category."""
        after = [o for o in self.scene.objects if o.id not in gone]
        new = [t.o for t in self.tasks if t.o.id not in self.scene.by_id]
        changed = {o.category for o in new} | {self.scene.by_id[n].category for n in gone}
        counts = tuple(
            CountSpec(category=c, n=sum(o.category == c for o in (*after, *new))) for c in sorted(changed)
        )
        wanted: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
        category = {o.id: o.category for o in (*self.scene.objects, *new)}
        for task in self.tasks:
            for p in task.places:
                known = (
                    (p.relation, p.part) in ROOM
                    if p.part
                    else p.relation in {*PAIR, "between"} - {*BANDS, "under"} | {"next_to"}
                )
                if p.side is None and known and p.relation != "opposite":
                    names = (p.part,) if p.part else tuple(category[t] for t in p.targets)
                    if len(set(names)) == 1 and p.relation != "between":
                        names = names[:1]
                    elif p.relation != "between":
                        continue
                    wanted.setdefault((p.relation, task.o.category, names), set()).add(task.o.id)
        relations = tuple(
            RelationSpec(relation=relation, subject=subject, references=names, n=len(ids))
            for (relation, subject, names), ids in wanted.items()
        )
        return Spec(counts=counts, relations=relations)

    def depends(self, task: Task) -> bool:
        """Whether it is placed by something that the model places."""
        placed = {t.o.id for t in self.for_model}
        return any(t in placed for p in task.places for t in p.targets if p.relation != "instead_of")

    @property
    def asked(self) -> str:
        """What the model is asked for, in the form of `layout.turns`: the things to place, then where; all others are given as staying."""
        counts: dict[str, int] = {}
        for t in self.for_model:
            counts[t.o.category] = counts.get(t.o.category, 0) + 1
        named = [
            a(_noun(c)) if n == 1 else f"{NUMBERS.get(n, n)} {plural(_noun(c))}" for c, n in counts.items()
        ]
        listed = named[0] if len(named) == 1 else ", ".join(named[:-1]) + " and " + named[-1]
        where = dict.fromkeys(
            f"{_noun(t.o.category)} {words}"
            for t in self.for_model
            for p in t.places
            if (words := self._said(p))
        )
        return f"Add {listed}" + (": " + "; ".join(f"the {w}" for w in where) if where else "") + "."

    def _said(self, p: Place) -> str:
        """A place in the words that layout models are taught."""
        if p.part is not None:
            side = f" at the {p.side} wall" if p.side and p.part == "wall" and not p.side.isdigit() else ""
            return _ROOM_WORDS.get((p.relation, p.part), p.words) + side
        if p.relation in _WORDS and p.targets:
            first = p.targets[0]
            category = (
                next((t.o.category for t in self.tasks if t.o.id == first), None)
                or self.scene.by_id[first].category
            )
            return f"{_WORDS[p.relation]} the {_noun(category)}"
        return ""

    def searched(self, start: Scene, tasks: Sequence[Task], seed: int) -> list[Scene]:
        """The room with all tasks placed by search, in order and, where that leaves something to be wished, once more the other way round."""
        found = []
        for order in (tasks, _reversed(tasks)):
            scene: Scene = start
            for task in order:
                scene = self._settled(scene, task, seed)
            found.append(scene)
            if self.option(SEARCH, scene).key[0] == 0 or len(tasks) < 2:
                break
        return found

    def _settled(self, scene: Scene, task: Task, seed: int) -> Scene:
        """The thing placed; new furniture that finds no place is tried at its smallest too."""
        # Only what is about this thing: relations of others that are still to come are not its fault.
        placed = search.place(scene, task, Spec(), self.scene, seed)
        fresh = task.o.id not in self.scene.by_id
        if fresh and (placed is None or rank(placed, [task], check(placed), self.scene)[0] > 0):
            small = Task(task.o.moved(size=_size(task.o.category, "small")), (), task.places, task.still)
            smaller = search.place(scene, small, Spec(), self.scene, seed)
            if smaller is not None and (
                placed is None
                or rank(smaller, [task], check(smaller), self.scene)
                < rank(placed, [task], check(placed), self.scene)
            ):
                placed = smaller
        if placed is None and not fresh:  # nowhere to go: it stays, and it is said why
            self.why[task.o.id] = search.hindrance(scene, task, self.scene)
            old = self.scene.by_id[task.o.id]
            if old.on in PLACES or old.on in scene.by_id:
                children = tuple(o for o in self.scene.objects if o.id in {c.id for c in task.children})
                return Scene(room=scene.room, objects=(*scene.objects, old, *children))
        return scene if placed is None else placed

    def taken(self, start: Scene, answer: Scene, seed: int) -> list[Scene]:
        """The rooms that come of a model's answer: its poses for what it was asked for, the rest by search."""
        offered = [o for o in answer.objects if o.id not in start.by_id]
        scene, missing = start, []
        there = {o.id for o in start.objects}
        for task in self.tasks:
            if task.o.id in there:
                continue
            match = (
                next((o for o in offered if o.category == task.o.category), None)
                if task in self.for_model
                else None
            )
            if match is None or (match.on not in PLACES and match.on not in scene.by_id):
                missing.append(task)
                continue
            offered.remove(match)
            fresh = task.o.id not in self.scene.by_id
            o = task.o.moved(size=match.size, on=match.on) if fresh else task.o.moved(on=match.on)
            scene = search.put(scene, Task(o, task.children, task.places), (*match.pos, match.yaw))
        for task in missing:
            scene = self._settled(scene, task, seed)
        # A model that placed nothing of what was asked has no part in the room.
        return [] if len(missing) + len(there & {t.o.id for t in self.tasks}) == len(self.tasks) else [scene]

    def option(self, source: str, scene: Scene) -> Option:
        report = check(scene, self.spec)
        return Option(source, scene, report, rank(scene, self.tasks, report, self.scene))

    def ordered(self, scene: Scene) -> Scene:
        """The room in its old order, what is new at the end."""
        place = {o.id: k for k, o in enumerate(self.scene.objects)}
        objects = sorted(scene.objects, key=lambda o: place.get(o.id, len(place)))
        return Scene(room=scene.room, objects=tuple(objects))

    def not_done(self, scene: Scene) -> tuple[str, ...]:
        """A sentence for every thing that is not where it was to be."""
        said: list[str] = []
        for task in self.tasks:
            why = f" ({self.why[task.o.id]})" if task.o.id in self.why else ""
            o = scene.by_id.get(task.o.id)
            if o is None:
                said.append(f"there is no room for {task.o.id}")
                continue
            if o.size != task.o.size and task.o.id in self.scene.by_id:
                said.append(f"{o.id} could not be made {' x '.join(f'{v:g}' for v in task.o.size)} cm{why}")
            for p in task.places:
                if not met(scene, o, p, self.scene):
                    said.append(f"{o.id} is not where it was to be: {p.words}{why}")
        return tuple(said)


_ROOM_WORDS = {
    ("at", "window"): "at the window", ("in", "corner"): "in a corner", ("against", "wall"): "against the wall",
    ("in_middle_of", "room"): "in the middle of the room", ("near", "door"): "near the door", ("far_from", "door"): "far from the door",
}  # fmt: skip
_WORDS = {
    "on_top_of": "on", "facing": "facing", "opposite": "opposite", "next_to": "next to", "in_front_of": "in front of",
    "left_of": "to the left of", "right_of": "to the right of", "near": "near", "across_from": "across the room from",
}  # fmt: skip


def _noun(category: str) -> str:
    return CATALOGUE[category].synonyms[0] if category in CATALOGUE else category.replace("_", " ")


def _reversed(tasks: Sequence[Task]) -> list[Task]:
    """The other way round, as far as what things are placed by allows."""
    names = {t.o.id for t in tasks}
    free = [
        t
        for t in tasks
        if not any(n in names for p in t.places if p.relation != "instead_of" for n in p.targets)
    ]
    return [*reversed(free), *(t for t in tasks if t not in free)]


def riders(
    scene: Scene, names: frozenset[str] | set[str], but: frozenset[str] | set[str] = frozenset()
) -> set[str]:
    """Ids of what stands on these, on that, and so on; `but` are on their own, with what they carry."""
    found: set[str] = set()
    grown = True
    while grown:
        more = {
            o.id
            for o in scene.objects
            if o.on in (set(names) | found) and o.id not in found and o.id not in but
        }
        grown, found = bool(more), found | more
    return found - set(names)


def _new(name: str, category: str, size: object, scene: Scene) -> SceneObject:
    """Something new, not placed yet: as large as its kind here is, or as is usual."""
    there = scene.of(category)
    if isinstance(size, tuple):
        chosen: Size = size
    elif there and size is None:
        chosen = there[0].size
    else:
        chosen = _size(category, size if isinstance(size, str) else None)
    return SceneObject(id=name, category=category, size=chosen, yaw=0, pos=(0, 0, 0), on="floor")


def _size(category: str, which: str | None) -> Size:
    """Small, usual or large within the catalogue's ranges, even numbers of cm so that backs touch walls."""
    entry = CATALOGUE[category]
    if entry.products:
        by_area = sorted(entry.products, key=lambda p: p[0] * p[1])
        return by_area[{"small": 0, "large": -1}.get(which or "", len(by_area) // 2)]
    share = {"small": 0.05, "large": 0.95}.get(which or "", 0.4)

    def of(low: float, high: float) -> float:
        even = round((low + (high - low) * share) / 2) * 2
        return min(max(even, low), high)

    width = of(*entry.width)
    return width, width if entry.square else of(*entry.depth), of(*entry.height)
