"""Measure a layout model on held-out rooms and wordings: what it writes as it is, what is left after repair, and how free decoding does.

    python -m recipes.layout_measure --model runs/layout/sft/layout_lm --rooms 100
    python -m recipes.layout_measure --model runs/layout/sft/checkpoint-1000 --rooms 25 --best-of 8

The rooms are of the test split, the requests of templates that training never says, and every request is answered once; specs are used
for measuring only. Synthetic rooms are easier than real ones: no figure here compares with one on 3D-FRONT.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.terminal import remark, say, table

ROWS = ("oob_scene", "collision_scene", "door_clear", "valid_scene", "oor", "present", "count_met", "relation_met", "objects")  # fmt: skip
SEED = 20_261_128  # of the test rooms


def examples(count: int, seed: int = SEED) -> list[Any]:
    """`count` test rows of every room type, each for a whole room."""
    from layout.schema import ROOM_TYPES
    from recipes.layout_rows import row

    wanted, found, index = Counter(dict.fromkeys(ROOM_TYPES, count)), [], 0
    while wanted.total():
        drawn = row(seed, "test", index, kinds={"whole": 1})
        index += 1
        if wanted[drawn.scene.room.room_type] > 0:
            wanted[drawn.scene.room.room_type] -= 1
            found.append(drawn)
    return found


def read(
    backend: Any,
    rows: Sequence[Any],
    *,
    plan: bool,
    constrained: bool,
    temperature: float,
    seed: int,
    tries: int = 1,
    space: bool = False,
) -> tuple[list[Any], float]:
    """(one candidate per row, seconds a room), the rows of like length answered together."""
    from layout.generate import Job, answers, candidate
    from layout.schema import Scene

    order = sorted(range(len(rows)), key=lambda i: len(rows[i].completion))
    jobs = [Job(Scene(room=rows[i].scene.room), rows[i].request) for i in order]
    began = time.perf_counter()
    how = {"plan": plan, "constrained": constrained, "tries": tries, "space": space}
    texts = answers(backend, jobs, temperature=temperature, seed=seed, **how)
    seconds = (time.perf_counter() - began) / len(rows)
    found = dict(zip(order, texts, strict=True))
    return [candidate(found[i], r.scene.room, r.instruction.spec) for i, r in enumerate(rows)], seconds


def measure(candidates: Sequence[Any], rows: Sequence[Any], *, mend: bool = False) -> dict[str, Any]:
    """Parse rate and the metrics of what was parsed; with `mend`, of the same rooms after repair that knows only the request's words."""
    from layout.generate import spec_of
    from layout.metrics.evaluation import evaluate
    from layout.repair import repair

    parsed = [(c.scene, r) for c, r in zip(candidates, rows, strict=True) if c.scene is not None]
    found: dict[str, Any] = {"parse": len(parsed) / len(rows), "n": len(rows)}
    if parsed:
        scenes = [repair(scene, spec_of(r.request)).scene if mend else scene for scene, r in parsed]
        values = evaluate(scenes, [r.instruction.spec for _, r in parsed]).values
        found.update({name: values[name].value for name in ROWS if name in values})
    return found


def best_of(
    n: int, backend: Any, rows: Sequence[Any], *, temperature: float, seed: int, **how: Any
) -> tuple[list[Any], list[Any]]:
    """(the first, the least faulty) of n answers for every row, by a validator that knows only the request's words."""
    from layout.generate import candidate, spec_of
    from layout.repair import cost

    drawn = [
        read(backend, rows, plan=True, constrained=True, temperature=temperature, seed=seed + k, **how)[0]
        for k in range(n)
    ]
    chosen = []
    for options, row in zip(zip(*drawn, strict=True), rows, strict=True):
        seen = [candidate(c.text, row.scene.room, spec_of(row.request)) for c in options]
        place = min(
            (i for i, c in enumerate(seen) if c.report is not None),
            key=lambda i: cost(seen[i].report),  # type: ignore[arg-type]
            default=0,
        )
        chosen.append(options[place])
    return drawn[0], chosen


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.layout_measure", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", help="folder of a layout model (default: the embedded one)")
    parser.add_argument("--rooms", type=int, default=25, help="test rooms of every type (default 25)")
    parser.add_argument("--temperature", type=float, default=0.8, help="of sampling (default 0.8)")
    parser.add_argument("--seed", type=int, default=0, help="of the answers (default 0)")
    parser.add_argument("--best-of", type=int, default=0, help="also choose from so many answers")
    parser.add_argument(
        "--tries", type=int, default=1, help="with --best-of: also piece by piece, with so many tries"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    args = parser.parse_args(argv)
    from recipes.layout_generate import load_backend

    rows = examples(args.rooms)
    remark(f"{len(rows)} test rooms drawn")
    backend = load_backend(args.model, "transformers")
    sampled = {"temperature": args.temperature, "seed": args.seed}
    report: dict[str, Any] = {}
    held, seconds = read(backend, rows, plan=True, constrained=True, space=True, **sampled)
    report["held to space"] = measure(held, rows) | {"seconds": seconds}
    report["repaired"] = measure(held, rows, mend=True)
    loose, seconds = read(backend, rows, plan=True, constrained=True, **sampled)
    report["schema alone"] = measure(loose, rows) | {"seconds": seconds}
    free, seconds = read(backend, rows, plan=True, constrained=False, **sampled)
    report["free"] = measure(free, rows) | {"seconds": seconds}
    bare, seconds = read(backend, rows, plan=False, constrained=True, **sampled)
    report["no plan"] = measure(bare, rows) | {"seconds": seconds}
    if args.best_of:
        best = best_of(args.best_of, backend, rows, space=True, **sampled)[1]
        report[f"best of {args.best_of}"] = measure(best, rows)
        if args.tries > 1:
            first, best = best_of(args.best_of, backend, rows, tries=args.tries, space=True, **sampled)
            report["piece by piece"] = measure(first, rows)
            report[f"best of {args.best_of}, piece by piece"] = measure(best, rows)
            report[f"best of {args.best_of}, piece by piece, repaired"] = measure(best, rows, mend=True)
    report["synthesiser"] = measure([_reference(r) for r in rows], rows)
    if args.output is not None:
        of = {"rooms": args.rooms, "best_of": args.best_of, **sampled}
        args.output.write_text(json.dumps(report | {"of": of}, indent=1) + "\n", encoding="utf-8")
    columns = ("parse", *ROWS, "seconds")
    say(table(["", *columns], [[name, *(_cell(v.get(c)) for c in columns)] for name, v in report.items()]))
    for kind, faults in _faults(held, rows).items():
        say(f"{kind}: " + (", ".join(f"{code} {n}" for code, n in faults.most_common()) or "no fault"))
    return 0


def _reference(row: Any) -> Any:
    """The synthesiser's own room, through the same reader."""
    from layout.generate import candidate

    return candidate(row.completion, row.scene.room, row.instruction.spec)


def _faults(candidates: Sequence[Any], rows: Sequence[Any]) -> dict[str, Counter[str]]:
    """How many rooms of each type have a hard fault of each kind."""
    found: dict[str, Counter[str]] = {r.scene.room.room_type: Counter() for r in rows}
    for c, r in zip(candidates, rows, strict=True):
        if c.report is not None:
            found[r.scene.room.room_type].update({v.code for v in c.report.hard})
    return found


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    import sys

    sys.exit(main())
