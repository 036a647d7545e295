"""`rewright demo`: the whole loop on the embedded default, in about half an hour on two quiet cores.

data → SFT → GRPO → evaluation → report, each a process of its own; finished stages are reused.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.stages import Ledger, Stage, run_stage
from recipes.terminal import remark, say

if TYPE_CHECKING:
    import numpy as np

CONFIG_SFT, CONFIG_GRPO = "rewriter/sft/shapes_cpu", "rewriter/grpo/shapes_cpu"
MINUTES = 30.0
STEPS = 40  # of GRPO in the standard demo
STEPS_PER_MINUTE = 3.0  # beyond it: what more time buys
STRIP_ROWS = 6

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
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="folder (default runs/demo)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help=f"rough time in all on two quiet cores (default {MINUTES:.0f})",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="throw away what an earlier demo left in --output"
    )


def run(args: argparse.Namespace) -> int:
    output: Path = args.output
    if args.minutes <= 0:
        raise ValueError(f"--minutes {args.minutes}: give a positive number")
    check_ready()
    if args.prompts is not None:
        from rewriter.datasets import read_prompts

        read_prompts(args.prompts)  # a bad file is said now and not in half an hour
    if args.fresh:
        shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    ledger = Ledger.load(output / "stages.json")
    try:
        for stage in stages(output, args.minutes, args.prompts):
            run_stage(stage, ledger, output / "logs")
            if stage.name == "grpo":
                copy_rewriter(output / "grpo" / "rewriter", output / "rewriter")
    except KeyboardInterrupt as stop:
        done = ", ".join(ledger.done) or "nothing yet"
        stop.add_note(
            f"Finished: {done}. The same command goes on from there, training from its newest checkpoint."
        )
        raise
    finish(output, ledger, args.prompts)
    return 0


def check_ready() -> None:
    """Raises ValueError naming everything essential that is missing."""
    from recipes.doctor import diagnose

    missing = [f"{finding.name}: {finding.advice}" for finding in diagnose() if finding.level == "missing"]
    if missing:
        raise ValueError("the demo cannot run here. " + "; ".join(missing))


def grpo_steps(minutes: float) -> int:
    """The standard demo's steps, more or fewer with the time given."""
    return max(5, STEPS + round((minutes - MINUTES) * STEPS_PER_MINUTE))


def stages(output: Path, minutes: float, prompts: Path | None) -> list[Stage]:
    """The commands, in order."""
    pairs, sft, grpo = output / "pairs.jsonl", output / "sft", output / "grpo"
    steps = grpo_steps(minutes)
    adapters = ["--adapter", f"sft={sft / 'rewriter'}", "--adapter", f"grpo={grpo / 'rewriter'}"]
    curves = ["--curves", str(sft), "--curves", str(grpo)]
    found = [
        Stage("data", ["data", "sft", "--output", str(pairs)], pairs),
        Stage(
            "sft",
            ["train", CONFIG_SFT, "--pairs", str(pairs), "--output_dir", str(sft)],
            sft / "rewriter" / "rewriter.json",
            reads=[pairs],
            metrics=sft / "metrics.jsonl",
        ),
        Stage(
            "grpo",
            [
                "train",
                CONFIG_GRPO,
                "--adapter",
                str(sft / "rewriter"),
                "--output_dir",
                str(grpo),
                "--max_steps",
                str(steps),
            ],
            grpo / "rewriter" / "rewriter.json",
            reads=[sft / "rewriter"],
            metrics=grpo / "metrics.jsonl",
            steps=steps,
        ),
        Stage(
            "evaluation",
            ["evaluate", "--quick", *adapters, "--output", str(output), *curves, "--no-report"],
            output / "evaluation.json",
            reads=[sft / "rewriter", grpo / "rewriter"],
        ),
    ]
    if prompts is not None:
        yours = output / "yours"
        argv = [
            "evaluate",
            "--prompts",
            str(prompts),
            "--arms",
            "original,sft,grpo",
            *adapters,
            "--seeds",
            "4",
        ]
        found.append(
            Stage(
                "your prompts",
                [*argv, "--output", str(yours), "--no-report"],
                yours / "evaluation.json",
                reads=[prompts, sft / "rewriter", grpo / "rewriter"],
            )
        )
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
        for line in (folder / f"{arm}.texts.jsonl").read_text(encoding="utf-8").splitlines()[1:]
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
