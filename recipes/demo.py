"""`rewright demo`: the whole loop on the embedded default, in about half an hour on two quiet cores.

data → SFT → GRPO → evaluation → report, each a process of its own; finished stages are reused.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from recipes.locks import LOCK
from recipes.runs import SMOKE_RUN
from recipes.stages import Ledger, Stage, run_stage
from recipes.terminal import remark, say

if TYPE_CHECKING:
    import numpy as np

CONFIG_SFT, CONFIG_GRPO = "rewriter/sft/shapes_cpu", "rewriter/grpo/shapes_cpu"
SMOKE_SFT, SMOKE_GRPO = "rewriter/sft/smoke", "rewriter/grpo/smoke"
OUTPUT = Path("runs/demo")
SMOKE_OUTPUT = OUTPUT.with_name(SMOKE_RUN)  # a rewriter of a few steps must not be taken for one
MINUTES = 27.0  # of the half hour; a noisy machine needs the rest
PAIRS = 600  # candidates before the filter
SFT_SHARE = 0.25  # of the time, at most; the plateau of the validation loss mostly comes first
LEAST_STEPS, MOST_STEPS = 5, 2000
STRIP_ROWS = 6


@dataclass(frozen=True)
class Pace:
    """Seconds on two quiet cores of the machine this was measured on; another machine's SFT step says how much slower it is."""

    sft_step: float = 2.6
    grpo_step: float = 17.0
    grpo_start: float = 45.0
    evaluation: float = 300.0


PACE = Pace()

_DESCRIPTION = """
Train a prompt rewriter from nothing to a served model, and show what it changes: pairs are made from the shapes world and SmolLM2 is
fine-tuned on them, then trained by reward (GRPO: rewrite, draw, judge), then measured against its baselines on held-out and hand-written
prompts. Ends with the arms' table, report.html and a before/after strip.
"""
_EPILOG = """
examples:
  rewright demo
  rewright demo --prompts mine.txt        your prompts too, before and after, in the report and in before_after.png
  rewright demo --minutes 90              more GRPO steps
  rewright demo --smoke                   a few steps of everything: does this installation work?

Leaves in --output: rewriter/ (what `rewright rewrite` and `rewright serve` take), summary.json, report.html, before_after.png, logs/.
A second run reuses what is finished; an interrupted one goes on.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="the whole loop in one go: data, SFT, GRPO, evaluation, report",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--prompts", type=Path, help="your prompts (.txt, .jsonl, .csv); specs are judged where there are any"
    )
    parser.add_argument("--output", type=Path, help=f"folder (default {OUTPUT}; {SMOKE_OUTPUT} with --smoke)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help=f"rough time in all on two quiet cores (default {MINUTES:.0f})",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="a few steps of everything; the result is worth nothing"
    )
    parser.add_argument(
        "--generator",
        default="shapes",
        help="another generator of the shapes world (default: the embedded one)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="throw away what an earlier demo left in --output"
    )


def run(args: argparse.Namespace) -> int:
    from recipes.run_record import make_output

    if args.output is None:
        args.output = SMOKE_OUTPUT if args.smoke else OUTPUT
    output: Path = args.output
    if args.minutes <= 0:
        raise ValueError(f"--minutes {args.minutes}: give a positive number")
    check_ready(args.generator)
    if args.prompts is not None:  # a bad file or spec is said now and not in half an hour
        from recipes.evaluation_sets import check_specs, from_file

        check_specs(from_file(args.prompts), str(args.prompts))
    if args.fresh:
        check_removable(output)
    make_output(str(output))
    if args.fresh:
        empty(output)
    ledger = Ledger.load(output / "stages.json")
    try:
        for stage in first_stages(args):
            run_stage(stage, ledger, output / "logs")
        run_stage(grpo_stage(args, ledger), ledger, output / "logs")
        copy_rewriter(output / "grpo" / "rewriter", output / "rewriter")
        for stage in last_stages(args):
            run_stage(stage, ledger, output / "logs")
    except KeyboardInterrupt as stop:
        done = ", ".join(ledger.done) or "nothing yet"
        stop.add_note(
            f"Finished: {done}. The same command goes on from there, training from its newest checkpoint."
        )
        raise
    finish(output, ledger, args.prompts)
    return 0


def check_removable(output: Path) -> None:
    """`--fresh` removes what a demo has left, and nothing else. Raises ValueError."""
    left = [path.name for path in output.iterdir()] if output.is_dir() else []
    if set(left) - {LOCK} and "stages.json" not in left:
        raise ValueError(
            f"--fresh would remove {output} with all that is in it, and no demo has written it (it has no stages.json); "
            "give another --output, or remove the folder yourself"
        )


def empty(folder: Path) -> None:
    """Remove all but the lock, which this process holds."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def check_ready(generator: str) -> None:
    """Raises ValueError naming everything essential that is missing."""
    from recipes.doctor import diagnose

    lacking = [
        f
        for f in diagnose()
        if f.level == "missing" and (f.name != "shapes generator" or generator == "shapes")
    ]
    if lacking:
        raise ValueError(
            "the demo cannot run here. " + "; ".join(f"{f.name}: {f.found} ({f.advice})" for f in lacking)
        )


def first_stages(args: argparse.Namespace) -> list[Stage]:
    """Pairs, and fine-tuning on them."""
    output, drawn = args.output, ["--generator", args.generator]
    draws = generator_files(args.generator)
    pairs, sft = output / "pairs.jsonl", output / "sft"
    count = ["--count", "48", "--no-filter"] if args.smoke else ["--count", str(PAIRS)]
    return [
        Stage("data", ["data", "sft", "--output", str(pairs), *count, *drawn], pairs, reads=draws),
        Stage(
            "sft",
            [
                "train",
                SMOKE_SFT if args.smoke else CONFIG_SFT,
                "--pairs",
                str(pairs),
                "--output_dir",
                str(sft),
                "--max_seconds",
                str(round(SFT_SHARE * 60 * args.minutes)),
            ],
            sft / "rewriter" / "rewriter.json",
            reads=[pairs],
            metrics=sft / "metrics.jsonl",
            run=sft,
        ),
    ]


def generator_files(name: str) -> list[Path]:
    """What a generator on this disk draws with: other weights there are another generator. [] for an object, an id or a URL."""
    from diffusion_core.generator import EMBEDDED

    folder = EMBEDDED.get(name, Path(name))
    if not folder.is_dir():
        return []
    told = ("README.md", "accuracy.json")  # what is said of the weights changes no picture
    return sorted(path for path in folder.iterdir() if path.name not in told)


def grpo_stage(args: argparse.Namespace, ledger: Ledger) -> Stage:
    """Training by reward, as long as the time allows; a second run of the demo keeps what the first had planned."""
    output: Path = args.output
    grpo, plan = output / "grpo", output / "plan.json"
    held = json.loads(plan.read_text(encoding="utf-8")) if plan.is_file() else {}
    if held.get("minutes") != args.minutes or held.get("smoke") != args.smoke:
        steps, seconds = (2, 3600) if args.smoke else grpo_budget(args, ledger)
        held = {"minutes": args.minutes, "smoke": args.smoke, "grpo_steps": steps, "grpo_seconds": seconds}
        plan.write_text(json.dumps(held) + "\n", encoding="utf-8")
    steps = held["grpo_steps"]
    argv = ["train", SMOKE_GRPO if args.smoke else CONFIG_GRPO, "--adapter", str(output / "sft" / "rewriter")]
    argv += ["--output_dir", str(grpo), "--max_steps", str(steps), "--generator", args.generator]
    argv += ["--max_seconds", str(held["grpo_seconds"])]
    made = grpo / "rewriter" / "rewriter.json"
    reads = [output / "sft" / "rewriter", *generator_files(args.generator)]
    return Stage("grpo", argv, made, reads, grpo / "metrics.jsonl", steps, run=grpo)


def grpo_budget(args: argparse.Namespace, ledger: Ledger) -> tuple[int, int]:
    """(steps, seconds) that the stages before have left, on a machine as fast as its fine-tuning was."""
    left = 60 * args.minutes - sum(ledger.done[name]["seconds"] for name in ("data", "sft"))
    slower = seconds_per_step(args.output / "sft") / PACE.sft_step
    return grpo_steps(left, slower), round(max(60.0, left - slower * (PACE.evaluation + PACE.grpo_start)))


def seconds_per_step(run: Path) -> float:
    """Median seconds of a training step, from the `seconds` a run logged beside its steps."""
    from recipes.curves import read_series

    points = read_series(run / "metrics.jsonl").get("seconds", [])
    paces = [(s1 - s0) / (n1 - n0) for (n0, s0), (n1, s1) in pairwise(points) if n1 > n0]
    return median(paces) if paces else PACE.sft_step


def grpo_steps(seconds_left: float, slower: float = 1.0) -> int:
    """Steps that fit beside the evaluation, on a machine `slower` times as slow as the one of PACE."""
    fits = (seconds_left / slower - PACE.evaluation - PACE.grpo_start) / PACE.grpo_step
    return min(MOST_STEPS, max(LEAST_STEPS, int(fits)))


def last_stages(args: argparse.Namespace) -> list[Stage]:
    """The evaluation, and the user's own prompts."""
    output: Path = args.output
    trained = {name: output / name / "rewriter" for name in ("sft", "grpo")}
    common = [word for name, folder in trained.items() for word in ("--adapter", f"{name}={folder}")]
    common += ["--generator", args.generator, "--no-report"]
    reads = [*trained.values(), *generator_files(args.generator)]
    scale = ["--count", "4", "--handwritten", "4", "--seeds", "1"] if args.smoke else ["--quick"]
    found = [
        Stage(
            "evaluation",
            ["evaluate", *scale, *common, "--output", str(output)],
            output / "evaluation.json",
            reads=reads,
        )
    ]
    if args.prompts is not None:
        yours = output / "yours"
        argv = ["evaluate", "--prompts", str(args.prompts), "--arms", "original,sft,grpo", "--seeds", "4"]
        argv += [*common, "--output", str(yours)]
        found.append(Stage("your prompts", argv, yours / "evaluation.json", reads=[args.prompts, *reads]))
    return found


def copy_rewriter(source: Path, target: Path) -> None:
    """The trained rewriter under the name where `rewright rewrite` looks."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    shutil.rmtree(target, ignore_errors=True)
    part.replace(target)


def finish(output: Path, ledger: Ledger, prompts: Path | None) -> None:
    """Summary with the whole demo's seconds, strip, report, and what to do next."""
    from recipes.analysis import summary
    from recipes.evaluate import arms_table, title_of, write_json
    from recipes.pictures import save_png
    from recipes.report import write_report

    found = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))
    write_json(output / "summary.json", summary(found["sets"][found["headline"]], ledger.seconds))
    mine = [output / "yours"] if prompts is not None else []
    shown = output / "yours" / "sets" / "yours" if prompts is not None else output / "sets" / "handwritten"
    figure = strip_of(shown)
    if figure is not None:
        save_png(figure, output / "before_after.png")
    report = write_report(output, [output / "sft", output / "grpo"], mine)
    for name, analysis in found["sets"].items():
        say(f"\n{title_of(name, analysis)}")
        say(arms_table(analysis))
    say(
        f"\n{ledger.seconds / 60:.1f} minutes in all: "
        + ", ".join(f"{n} {e['seconds']:.0f} s" for n, e in ledger.done.items())
    )
    remark(f"report: {report}    pictures: {output / 'before_after.png'}    rewriter: {output / 'rewriter'}")
    remark('next: rewright rewrite "a couple of crimson discs"   or   rewright serve')


def strip_of(folder: Path, arm: str = "grpo", rows: int = STRIP_ROWS) -> np.ndarray | None:
    """Before/after of the first prompts of a set whose images were kept."""
    from recipes.measure import picture_path
    from recipes.pictures import load_png, strip

    answers = [
        json.loads(line)
        for line in (folder / f"{arm}.texts.jsonl").read_text(encoding="utf-8").split("\n")[1:]
        if line
    ]
    found = []
    for answer in answers[:rows]:
        sides = [
            [
                load_png(path)
                for k in range(4)
                if (path := picture_path(folder, side, answer["row_id"], k)).is_file()
            ]
            for side in ("original", arm)
        ]
        if all(sides):
            found.append((answer["prompt"], answer["answer"]["text"], *sides))
    return strip(found) if found else None
