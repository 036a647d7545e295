"""Measure edits on held-out rooms: how many are done without a new hard fault, whether the rest stays, and who placed.

    python -m recipes.layout_edit_measure --rooms 50 --model none --output edits.json
    python -m recipes.layout_edit_measure --rooms 50 -n 8

Every room gets three edits that are known to be possible, because the room itself is a solution: a piece is removed; a piece that was
put elsewhere is moved back to where it stood, said by a relation that was true there; a piece that was taken out is added again the same
way. Synthetic rooms are easier than real ones.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.terminal import progress, remark, say, table

if TYPE_CHECKING:
    from layout.edit import Edited
    from layout.schema import Scene, SceneObject

SEED = 20_261_129  # of the test rooms
KINDS = ("remove", "move", "add")
TRIES = 12  # pieces of a room that are tried until one can be moved or added


@dataclass(frozen=True)
class Case:
    """A room and an edit of it that can be done."""

    kind: str
    scene: Scene
    request: str


def cases(rooms: int, seed: int = SEED) -> list[Case]:
    """Three for each of `rooms` test rooms of every type; fewer where a room has no piece that fits."""
    from recipes.layout_measure import examples

    found = []
    for k, row in enumerate(examples(rooms, seed)):
        rng = random.Random(f"{seed}/{k}/edit")
        for make in (removing, moving, adding):
            case = make(row.scene, rng)
            if case is not None:
                found.append(case)
    return found


def removing(scene: Scene, rng: random.Random) -> Case | None:
    """Any piece, by its id."""
    return Case("remove", scene, f"remove {rng.choice(scene.objects).id}")


def adding(scene: Scene, rng: random.Random) -> Case | None:
    """A piece that is taken out, asked for where it stood."""
    from layout.repair import without
    from layout.wording import a

    for o in rng.sample(scene.objects, min(TRIES, len(scene.objects))):
        where = place_of(scene, o, rng)
        if where is not None:
            return Case("add", without(scene, o.id), f"add {a(o.category.replace('_', ' '))} {where}")
    return None


def moving(scene: Scene, rng: random.Random) -> Case | None:
    """A piece that is put elsewhere, asked for where it stood; what stands on it goes with it."""
    for o in rng.sample(scene.objects, min(TRIES, len(scene.objects))):
        where = place_of(scene, o, rng)
        elsewhere = _displaced(scene, o, f"move {o.id} {where}", rng) if where is not None else None
        if elsewhere is not None:
            return Case("move", elsewhere, f"move {o.id} {where}")
    return None


def place_of(scene: Scene, o: SceneObject, rng: random.Random) -> str | None:
    """Words for where the only piece of its category stands, by a relation that holds there to what does not stand on it."""
    from layout.editing.plan import riders
    from layout.instructions import PAIR_PHRASES, ROOM_PHRASES, measured, trivial

    if len(scene.of(o.category)) != 1:
        return None
    single = [
        p.category
        for p in scene.objects
        if len(scene.of(p.category)) == 1 and p.id not in riders(scene, {o.id})
    ]
    options = [r for r in measured(scene, single, [o.category]) if not trivial(r)]
    if not options:
        return None
    chosen = rng.choice(options)
    reference = chosen.references[0]
    if (chosen.relation, reference) in ROOM_PHRASES:
        return ROOM_PHRASES[chosen.relation, reference]
    return PAIR_PHRASES[chosen.relation].format(r=f"the {reference.replace('_', ' ')}")


def _displaced(scene: Scene, o: SceneObject, request: str, rng: random.Random) -> Scene | None:
    """The room with the piece where it has no hard fault and is not as the request says; None where there is no such spot."""
    from layout.checks import check
    from layout.editing.places import met
    from layout.editing.poses import spots
    from layout.editing.words import read
    from layout.repair import carried

    (place,) = read(request, scene).operations[0].places
    options = [s for s in spots(scene, o, (), scene, still=False) if s.on == o.on]
    rng.shuffle(options)
    for spot in options[:200]:
        moved = carried(scene, o, *spot.pose)
        if not met(moved, moved.by_id[o.id], place, moved) and check(moved).ok:
            return moved
    return None


def measure(backend: Any, found: Sequence[Case], *, n: int, seed: int = 0) -> list[dict[str, Any]]:
    """One row an edit."""
    from layout.edit import edit

    rows = []
    with progress("edits", len(found)) as ticker:
        for case in found:
            began = time.perf_counter()
            done = edit(backend, case.scene, case.request, n=n, seed=seed)
            rows.append(_row(case, done, time.perf_counter() - began))
            ticker.advance()
    return rows


def _row(case: Case, done: Edited, seconds: float) -> dict[str, Any]:
    old = {(v.code, v.ids) for v in done.before_report.violations}
    soft = [v for v in done.report.violations if v.severity == "soft" and (v.code, v.ids) not in old]
    return {
        "kind": case.kind,
        "room": case.scene.room.room_type,
        "request": case.request,
        "done": done.ok,
        "without_any_new_fault": done.ok and not soft,
        "locality": done.locality,
        "source": done.source if case.kind != "remove" else None,
        "readable": done.answers,
        "unmet": list(done.unmet),
        "seconds": seconds,
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rates by kind of edit and over all. `model` is the share of the placed things' rooms that came from the model."""
    found = {}
    for kind in (*KINDS, "all"):
        own = [r for r in rows if kind in (r["kind"], "all")]
        placed = [r for r in own if r["source"] is not None]
        local = [r["locality"] for r in own if r["locality"] is not None]
        if own:
            found[kind] = {
                "n": len(own),
                "done": sum(r["done"] for r in own) / len(own),
                "without_any_new_fault": sum(r["without_any_new_fault"] for r in own) / len(own),
                "locality": sum(local) / len(local) if local else None,
                "locality_least": min(local, default=None),
                "model": sum(r["source"] == "model" for r in placed) / len(placed) if placed else None,
                "seconds": sum(r["seconds"] for r in own) / len(own),
            }
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.layout_edit_measure", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--model", help="folder of a layout model, or none for the search alone (default: the embedded one)"
    )
    parser.add_argument("--rooms", type=int, default=25, help="test rooms of every type (default 25)")
    parser.add_argument("-n", type=int, default=8, help="answers of the model to an edit (default 8)")
    parser.add_argument("--seed", type=int, default=0, help="of the answers (default 0)")
    parser.add_argument("--output", type=Path, help="JSON file for the figures and every edit")
    args = parser.parse_args(argv)
    from recipes.layout_edit import backend_of
    from recipes.layout_generate import put_files

    if args.rooms < 1 or args.n < 1:
        raise ValueError("--rooms and -n are at least 1")
    backend = backend_of(args.model, "transformers")
    found = cases(args.rooms)
    remark(f"{len(found)} edits made")
    rows = measure(backend, found, n=args.n, seed=args.seed)
    report = summary(rows)
    if args.output is not None:
        whole = {
            "of": {"rooms": args.rooms, "n": args.n, "model": args.model},
            "rates": report,
            "edits": rows,
        }
        put_files({args.output: json.dumps(whole, indent=1)})
    columns = ("n", "done", "without_any_new_fault", "locality", "locality_least", "model", "seconds")
    say(table(["", *columns], [[kind, *(_cell(v[c]) for c in columns)] for kind, v in report.items()]))
    return 0


def _cell(value: float | None) -> str:
    return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"


if __name__ == "__main__":
    import sys

    sys.exit(main())
