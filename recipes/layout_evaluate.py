"""`rewright evaluate --suite layout`: layout models on held-out rooms, LayoutGPT's rooms and SceneEval's rows, beside their references.

A full run (400 rooms, 3 seeds, best of 8) asks a model some 5,000 times, about half an hour of the embedded one on a core; answers are kept,
so that a stopped run goes on and a second stage costs its own answers only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.terminal import progress, remark, say, table

if TYPE_CHECKING:
    from recipes.layout_arms import Answers, Key, Model, Question
    from recipes.layout_sets import Asked

ROOMS, QUICK_ROOMS, SEEDS, BEST_OF, TEMPERATURE = 100, 25, 3, 8, 0.8
OUTPUT = Path("runs/layout_evaluation")


@dataclass(frozen=True)
class Plan:
    """What is asked of whom: `main` goes through every arm, `stages` answer the same rooms with the same seeds."""

    main: Model
    stages: tuple[Model, ...]
    rooms: int
    seeds: int
    best_of: int
    temperature: float
    layoutgpt: Path | None
    sceneeval: Path | None
    output: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this suite alone; None where they are not given."""
    group = parser.add_argument_group("the layout suite")
    group.add_argument(
        "--model", help="folder of a layout model (default: the last --stage, else the embedded one)"
    )
    group.add_argument(
        "--stage",
        action="append",
        metavar="NAME=FOLDER",
        help="a stage of training, in order; may be given several times: differences are paired by room",
    )
    group.add_argument(
        "--rooms",
        type=int,
        help=f"held-out rooms of every type (default {ROOMS}; {QUICK_ROOMS} with --quick)",
    )
    group.add_argument("--best-of", type=int, help=f"answers to choose from (default {BEST_OF})")
    group.add_argument("--temperature", type=float, help=f"of sampling (default {TEMPERATURE})")
    group.add_argument(
        "--layoutgpt",
        type=Path,
        help="folder of gpt4_bedroom.json and gpt4_livingroom.json: their rooms, theirs beside ours",
    )
    group.add_argument(
        "--sceneeval", type=Path, help="SceneEval's annotations as CSV: its rows of the four types"
    )


OTHER_WAYS = ("piece by piece", "schema alone", "free", "no plan")
STAGE_WAYS = ("schema alone", "held")  # what training changes shows best where nothing else holds the model
OPTIONS = ("model", "stage", "rooms", "best_of", "temperature", "layoutgpt", "sceneeval")
SHARED = ("command", "suite", "quick", "seeds", "output", "no_report")


def run(args: argparse.Namespace) -> int:
    evaluate(planned(args), report=not args.no_report)
    return 0


def planned(args: argparse.Namespace) -> Plan:
    """The plan of a command line. Raises ValueError for what would fail later, before any work."""
    from recipes.layout_arms import model_of

    rooms = args.rooms if args.rooms is not None else QUICK_ROOMS if args.quick else ROOMS
    seeds = args.seeds if args.seeds is not None else SEEDS
    best = args.best_of if args.best_of is not None else BEST_OF
    temperature = args.temperature if args.temperature is not None else TEMPERATURE
    for name, value, least in (("rooms", rooms, 1), ("seeds", seeds, 1), ("best-of", best, 1)):
        if value < least:
            raise ValueError(f"--{name} {value}: give a number from {least} on")
    if temperature <= 0:
        raise ValueError(f"--temperature {temperature:g}: give more than 0; the seeds would all answer alike")
    stages = []
    for text in args.stage or ():
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ValueError(f"--stage {text}: give NAME=FOLDER, such as sft=runs/layout/sft/layout_lm")
        if name in [stage.name for stage in stages]:
            raise ValueError(f"--stage {text}: two stages are called {name!r}")
        stages.append(model_of(name, folder, "--stage"))
    main = stages[-1] if stages and args.model is None else model_of("model", args.model, "--model")
    return Plan(
        main,
        tuple(stages),
        rooms,
        seeds,
        best,
        temperature,
        args.layoutgpt,
        args.sceneeval,
        args.output or OUTPUT,
    )


def evaluate(plan: Plan, *, report: bool = True) -> dict[str, Any]:
    """Ask, measure, write evaluation.json, samples.json, run.json and report.html into the plan's folder, and print the summary."""
    from recipes.evaluate import write_json

    began = time.monotonic()
    sets = read_sets(plan)
    try:
        content, samples = measured(plan, sets, answered(plan, sets))
    except KeyboardInterrupt as stop:
        kept = plan.output / "answers"
        stop.add_note(f"Finished answers are kept in {kept}; the same command goes on there.")
        raise
    content["seconds"] = round(time.monotonic() - began, 1)
    record_run(plan, sets)
    write_json(plan.output / "samples.json", samples)
    write_json(plan.output / "evaluation.json", content)
    say(summary(content))
    if report:
        from recipes.layout_report import write_report

        remark(f"report: {write_report(plan.output)}")
    return content


def answered(plan: Plan, sets: Mapping[str, Sequence[Asked]]) -> dict[Key, Answers]:
    """The answers to all questions by their keys; only those are asked that are not there already."""
    from recipes.layout_arms import Desk
    from recipes.layout_sets import Store

    desk, asked = Desk(Store(plan.output), plan.temperature), questions(plan, sets)
    found = {q.key: held for q in asked if (held := desk.held(q)) is not None}
    missing = [q for q in asked if q.key not in found]
    with progress("answers", sum(len(q.rooms) for q in missing)) as ticker:
        for q in missing:
            found[q.key] = desk.ask(q, ticker)
    return found


def measured(
    plan: Plan, sets: Mapping[str, Sequence[Asked]], found: Mapping[Key, Answers]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the figures, the sample rooms)"""
    from recipes.layout_figures import external, layoutgpt_figures, stage_figures, synthetic_figures, targets

    def of(name: str, model: Model, way: str = "held", seeds: int = 1) -> list[Answers]:
        return [found[name, model.fingerprint, way, seed] for seed in range(seeds)]

    rooms = sets["synthetic"]
    held = of("synthetic", plan.main, seeds=max(plan.seeds, plan.best_of))
    others = {way: of("synthetic", plan.main, way, seeds_of(plan, way)) for way in OTHER_WAYS}
    content: dict[str, Any] = {"suite": "layout", "settings": settings(plan)}
    content["synthetic"], samples = synthetic_figures(
        rooms, held, others, plan.seeds, plan.best_of, (sets["contract"], of("contract", plan.main))
    )
    content["stages"] = {
        way: stage_figures(
            rooms, {stage.name: of("synthetic", stage, way, plan.seeds) for stage in plan.stages}
        )
        for way in (STAGE_WAYS if plan.stages else ())
    }
    if "layoutgpt" in sets:
        content["layoutgpt"], theirs = layoutgpt_figures(sets["layoutgpt"], of("layoutgpt", plan.main))
        samples |= theirs
    if "sceneeval" in sets:
        content["sceneeval"] = external(sets["sceneeval"], of("sceneeval", plan.main, seeds=plan.seeds))
    content["targets"] = targets(content)
    return content, samples


def record_run(plan: Plan, sets: Mapping[str, Sequence[Asked]]) -> None:
    """`run.json`: what was asked, of what, with which versions."""
    from recipes.run_record import RunRecord, sha256_rows

    record = RunRecord(
        plan.output,
        "evaluate-layout",
        settings(plan),
        seeds={"answers": plan.seeds},
        licences={},
        datasets=[
            {
                "name": name,
                "rows": len(asked),
                "sha256": sha256_rows([{"id": a.id, "request": a.request} for a in asked]),
            }
            for name, asked in sets.items()
        ],
        models={"model": plan.main.fingerprint, **{s.name: s.fingerprint for s in plan.stages}},
    )
    record.start()
    record.finish("finished")


def read_sets(plan: Plan) -> dict[str, list[Asked]]:
    """The sets by name; the user's files first, since they may be wrong and held-out rooms take a minute to draw."""
    from recipes.layout_sets import Store, contract, layoutgpt, sceneeval, synthetic

    sets: dict[str, list[Asked]] = {}
    if plan.layoutgpt is not None:
        sets["layoutgpt"] = layoutgpt(plan.layoutgpt)
    if plan.sceneeval is not None:
        sets["sceneeval"] = sceneeval(plan.sceneeval)
    plan.output.mkdir(parents=True, exist_ok=True)
    sets["synthetic"] = synthetic(Store(plan.output), plan.rooms)
    sets["contract"] = contract(sets["synthetic"])
    remark(", ".join(f"{len(asked)} requests of {name}" for name, asked in sets.items()))
    return sets


def questions(plan: Plan, sets: Mapping[str, Sequence[Asked]]) -> list[Question]:
    """Everything that is asked, model by model.

    Every seed is asked where the headline, the stages and SceneEval's few rows need it; ablations and the other sets take the first.
    """
    from recipes.layout_arms import Question

    def put(model: Model, name: str, way: str = "held", seeds: int = 1) -> list[Question]:
        return [Question(model, name, sets[name], way, seed) for seed in range(seeds)]

    asked = put(plan.main, "synthetic", seeds=max(plan.seeds, plan.best_of))
    for way in OTHER_WAYS:
        asked += put(plan.main, "synthetic", way, seeds_of(plan, way))
    asked += put(plan.main, "contract")
    if "layoutgpt" in sets:
        asked += put(plan.main, "layoutgpt")
    if "sceneeval" in sets:
        asked += put(plan.main, "sceneeval", seeds=plan.seeds)
    for stage in plan.stages:
        for way in STAGE_WAYS:
            asked += put(stage, "synthetic", way, plan.seeds)
    return list({q.key: q for q in asked}.values())  # a stage that is the main model answers once


def seeds_of(plan: Plan, way: str) -> int:
    """How many answers an ablation has: as many as the headline where the two are set side by side."""
    return plan.seeds if way == "schema alone" else 1


def settings(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.main.name,
        "fingerprint": plan.main.fingerprint,
        "stages": {stage.name: stage.fingerprint for stage in plan.stages},
        "rooms": plan.rooms,
        "seeds": plan.seeds,
        "best_of": plan.best_of,
        "temperature": plan.temperature,
        "layoutgpt": None if plan.layoutgpt is None else str(plan.layoutgpt),
        "sceneeval": None if plan.sceneeval is None else str(plan.sceneeval),
    }


COLUMNS = (
    "parse", "valid", "complete", "oob_scene", "oob_sampled", "collision_scene", "collision_sampled", "oor", "door_clear", "present",
    "relation_met", "hard", "objects", "seconds",
)  # fmt: skip


def summary(content: Mapping[str, Any]) -> str:
    """The figures for a terminal."""
    from recipes.layout_figures import CAVEATS, GEOMETRIC, cell

    def arms(found: Mapping[str, Any], first: str, wanted: Sequence[str] = COLUMNS) -> str:
        columns = [c for c in wanted if any(c in arm["figures"] for arm in found.values())]
        lines = [[name, *(cell(c, arm["figures"].get(c)) for c in columns)] for name, arm in found.items()]
        return table([first, *(c.replace("_", " ") for c in columns)], lines)

    lines = ["Held-out synthetic rooms", arms(content["synthetic"]["arms"], "arm")]
    for way, stages in content["stages"].items():
        lines += ["", f"Stages on the same rooms and seeds, {way}", arms(stages["stages"], "stage")]
        for pair, found in stages["differences"].items():
            told = ", ".join(
                f"{n.replace('_', ' ')} {cell(n, i, signed=True, whole=True)}" for n, i in found.items()
            )
            lines.append(f"{pair}: {told}")
    for part, found in content.get("layoutgpt", {}).items():
        lines += ["", f"LayoutGPT's rooms, {part}", arms(found["arms"], "whose", GEOMETRIC)]
        lines.append(f"objects, ours over theirs: {cell('', found['count_ratio'], whole=True)}")
    if "sceneeval" in content:
        lines += [
            "",
            "SceneEval's rows",
            *(f"{k}: {v}" for k, v in sceneeval_lines(content["sceneeval"]).items()),
        ]
    lines += [
        "",
        *(
            f"{t['name']}: {t['shown']} (bar {t['bar']}, synthesiser {t['synthesiser']}) {'met' if t['met'] else 'NOT met'}"
            for t in content["targets"]
        ),
    ]
    return "\n".join([*lines, "", *CAVEATS])


def sceneeval_lines(found: Mapping[str, Any]) -> dict[str, str]:
    """Each kind of predicate: the rate over what can be evaluated, and how much that is."""
    from recipes.layout_figures import cell

    lines = {}
    for kind, figure in (
        ("count", "count_met"),
        ("object-object", "pair_met"),
        ("object-room", "part_met"),
        ("attribute", ""),
    ):
        covered, asked = found["covered"][kind], found["asked"][kind]
        rate = found["figures"].get(figure)
        met = f"{cell(figure, rate, whole=True)} % met of " if rate else ""
        least = f"; at least {100 * rate['mean'] * covered / asked:.1f} % of all" if rate else ""
        lines[kind] = f"{met}{covered} that can be evaluated; {asked - covered} of {asked} cannot{least}"
    return lines
