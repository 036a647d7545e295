"""`rewright evaluate`: a rewriter against its baselines, on the same prompts and the same seeds. (`layout_evaluate.py` has the layout suite.)

The full run (500 held-out prompts, 129 hand-written ones, 4 seeds, 8 arms) draws some 20,000 images: about half an hour on two quiet
cores. `--quick` (100 and 50 prompts, 2 seeds) takes about five minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.layout_evaluate import add_arguments as add_layout_arguments
from recipes.layout_evaluate import run as run_layout
from recipes.terminal import Ticker, progress, remark, say, table

if TYPE_CHECKING:
    from recipes.arms import Arm
    from recipes.evaluation_sets import Prompt
    from rewards.bridge import Bridge

OUTPUT = Path("runs/evaluation")
FULL = {"held_out": 500, "handwritten": None, "seeds": 4}
QUICK = {"held_out": 100, "handwritten": 50, "seeds": 2}

_DESCRIPTION = """
Measure a rewriter. Every arm answers the same prompts, every answer is drawn with the same seeds, and every image is scored against the
user's prompt. The arms: the prompt as it is, a fixed wrapper around it, the base model asked in words, a parser written by hand, the
trained rewriters, and the oracle (the caption of what was asked for).

Without --prompts there are two sets: prompts written by hand, and held-out ones of the grammar. With --prompts FILE it is yours: lines of
text, or JSONL with {"prompt": ..., "spec": ...}; without a spec pictures are made and nothing is judged, unless --reward reads none.

--suite layout measures layout models instead: held-out rooms with and without plan, schema, choice and repair, between random placement and
the synthesiser; stages of training paired by room; LayoutGPT's rooms and SceneEval's rows from their files. No figure of synthetic rooms
compares with one on 3D-FRONT, and no human preference was collected.
"""
_EPILOG = """
examples:
  rewright evaluate --quick                                   the newest rewriter in runs/, some minutes
  rewright evaluate --adapter sft=runs/sft/rewriter --adapter grpo=runs/grpo/rewriter --output runs/full
  rewright evaluate --prompts mine.jsonl --adapter runs/demo/rewriter
  rewright evaluate --prompts mine.txt --generator my_package.models:generator --reward my_package.scores:reward
  rewright evaluate --suite layout --quick                    the embedded layout model on 100 rooms
  rewright evaluate --suite layout --stage sft=runs/layout/sft/layout_lm --stage dpo=runs/layout/dpo/layout_lm --layoutgpt FOLDER

Leaves in --output: summary.json, evaluation.json (all figures with 95 % intervals), sets/ (one line per image), report.html.
An interrupted evaluation goes on when the same command is given again.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a rewriter against its baselines on the same seeds, or a layout model",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--suite",
        choices=("rewriter", "layout"),
        default="rewriter",
        help="what is measured (default rewriter)",
    )
    asked = parser.add_argument_group("what is asked")
    asked.add_argument("--prompts", type=Path, help="your prompts: .txt, .jsonl, .json, .csv")
    asked.add_argument("--limit", type=int, help="at most so many of --prompts")
    asked.add_argument(
        "--quick",
        action="store_true",
        help="100 held-out and 50 hand-written prompts, 2 seeds; of the layout suite 25 rooms a type",
    )
    asked.add_argument("--count", type=int, help="number of held-out prompts (default 500; 100 with --quick)")
    asked.add_argument(
        "--handwritten",
        type=int,
        help="number of hand-written prompts (default all; 50 with --quick; 0 for none)",
    )
    asked.add_argument(
        "--seeds",
        type=int,
        help="images per prompt and arm (default 4; 2 with --quick), or answers per room (default 3)",
    )
    asked.add_argument("--seed", type=int, default=0, help="of the images and of the bootstrap (default 0)")
    arms = parser.add_argument_group("who answers")
    arms.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="[NAME=]FOLDER",
        help="a trained rewriter; may be given several times",
    )
    arms.add_argument(
        "--arms", help="comma-separated subset, such as original,rules,grpo,oracle (default all that apply)"
    )
    arms.add_argument(
        "--base", default="smollm2", help="the base model of the zero-shot arm (default smollm2)"
    )
    arms.add_argument(
        "--backend",
        choices=("auto", "vllm", "transformers"),
        default="transformers",
        help="what runs the models",
    )
    arms.add_argument(
        "--dialect", help="what the generator likes (default: that of the first adapter, else shapes)"
    )
    judged = parser.add_argument_group("who draws and who judges")
    judged.add_argument(
        "--generator", help="folder, diffusers id, module:object or URL (default: the embedded one)"
    )
    judged.add_argument("--reward", help="module:object (default: the exact judge of the shapes world)")
    judged.add_argument("--steps", type=int, help="sampling steps (default: the generator's)")
    judged.add_argument("--guidance", type=float, help="guidance scale (default: the generator's)")
    judged.add_argument(
        "--commercial-only", action="store_true", help="refuse unknown and non-commercial licences"
    )
    out = parser.add_argument_group("what is left behind")
    out.add_argument(
        "--output", type=Path, help="folder (default runs/evaluation, or runs/layout_evaluation)"
    )
    out.add_argument(
        "--pictures", type=int, default=24, help="prompts per set whose images are kept (default 24)"
    )
    out.add_argument(
        "--curves",
        type=Path,
        action="append",
        default=[],
        help="folder of a training run whose curves go into the report",
    )
    out.add_argument("--no-report", action="store_true", help="figures only, no report.html")
    add_layout_arguments(parser)


def run(args: argparse.Namespace) -> int:
    check_suite(args)
    if args.suite == "layout":
        return run_layout(args)
    args.output = args.output or OUTPUT
    return run_rewriter(args)


def check_suite(args: argparse.Namespace) -> None:
    """Raises ValueError for an option that the suite does not read."""
    from recipes.layout_evaluate import OPTIONS, SHARED

    for name, default in vars(_defaults()).items():
        foreign = name in OPTIONS if args.suite == "rewriter" else name not in (*OPTIONS, *SHARED)
        if foreign and getattr(args, name) != default:
            other = "layout" if args.suite == "rewriter" else "rewriter"
            raise ValueError(
                f"--{name.replace('_', '-')} is an option of the {other} suite, not of --suite {args.suite}"
            )


def _defaults() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(["evaluate"])


def run_rewriter(args: argparse.Namespace) -> int:
    from recipes.analysis import summary
    from recipes.arms import FIXED

    started = time.monotonic()
    sets, seeds = prompt_sets(args)
    asked = args.arms.split(",") if args.arms else None
    trained = [name for name in asked or ("rewriter",) if name not in FIXED]
    if trained and not args.adapter and trained != ["rewriter"]:
        raise ValueError(
            f"unknown arm {trained[0]!r} in --arms; known: {', '.join(FIXED)}, and trained ones by --adapter NAME=FOLDER"
        )
    adapters = named_adapters(args.adapter) if args.adapter or trained else {}
    dialect = args.dialect or adapter_dialect(adapters) or "shapes"
    arms = build_arms(args, asked, sets, adapters, dialect)
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    bridge = make_bridge(args, seeds)
    allowed = licences(args, bridge, adapters, sets, arms)
    total = sum(len(prompts) * seeds * len(arms[name]) for name, prompts in sets.items())
    found: dict[str, Any] = {}
    try:
        texts = all_texts(arms, sets, output)
        with progress("images", total) as ticker:
            for name, prompts in sets.items():
                found[name] = measure_set(name, prompts, texts[name], bridge, args, output, ticker)
    except KeyboardInterrupt as stop:
        stop.add_note(f"Finished arms are kept in {output / 'sets'}; the same command goes on there.")
        raise
    seconds = time.monotonic() - started
    headline = "held_out" if "held_out" in found else next(iter(found))
    settings = {
        "generator": args.generator or "shapes",
        "generator_fingerprint": bridge.generator.fingerprint,
        "reward": args.reward or "shapes",
        "reward_fingerprint": bridge.reward.fingerprint,
        "steps": args.steps,
        "guidance": args.guidance,
        "adapters": {name: str(folder) for name, folder in adapters.items()},
        "licences": allowed,
        "dialect": dialect,
        "seed": args.seed,
    }
    record_run(args, output, sets, settings)
    whole = {"seconds": round(seconds, 1), "settings": settings, "headline": headline, "sets": found}
    write_json(output / "evaluation.json", whole)
    write_json(output / "summary.json", summary(found[headline], seconds))
    for name, analysis in found.items():
        say(f"\n{title_of(name, analysis)}")
        say(arms_table(analysis))
    if not args.no_report:
        from recipes.report import write_report

        remark(f"report: {write_report(output, args.curves)}")
    return 0


def prompt_sets(args: argparse.Namespace) -> tuple[dict[str, list[Prompt]], int]:
    """The sets by name, the first reported first, and the number of seeds."""
    from recipes.evaluation_sets import check_specs, from_file, handwritten, held_out

    scale = QUICK if args.quick else FULL
    seeds = args.seeds if args.seeds is not None else scale["seeds"]
    count = args.count if args.count is not None else scale["held_out"]
    written = args.handwritten if args.handwritten is not None else scale["handwritten"]
    check_ranges(args, seeds)
    if args.prompts is not None:
        sets = {"yours": from_file(args.prompts, args.limit)}
        if args.reward is None:
            check_specs(sets["yours"], str(args.prompts))
    else:
        sets = {"handwritten": handwritten(written), "held_out": held_out(count)}
    sets = {name: prompts for name, prompts in sets.items() if prompts}
    if not sets:
        raise ValueError("no prompts: --count and --handwritten are both 0")
    return sets, seeds


def check_ranges(args: argparse.Namespace, seeds: int) -> None:
    """Raises ValueError naming the first number that makes no sense."""
    if not 1 <= seeds <= 64:
        raise ValueError(f"--seeds {seeds}: give 1 to 64 images per prompt")
    for name, least, meaning in (
        ("limit", 1, "a number of prompts from 1 on"),
        ("count", 0, "a number of held-out prompts, 0 for none"),
        ("handwritten", 0, "a number of hand-written prompts, 0 for none"),
        ("pictures", 0, "a number of prompts whose images are kept, 0 for none"),
        ("seed", 0, "a whole number from 0 on"),
        ("steps", 1, "a number of sampling steps from 1 on"),
    ):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: give {meaning}")


def named_adapters(given: Sequence[str]) -> dict[str, Path]:
    """NAME=FOLDER pairs; a folder alone is `rewriter`; nothing at all is the newest of runs/."""
    from recipes.runs import rewriter_folder

    found: dict[str, Path] = {}
    for text in given or [""]:
        name, equals, folder = text.partition("=")
        if not equals or "/" in name:
            name, folder = "rewriter", text
        if name in found:
            raise ValueError(
                f"two adapters are called {name!r}; name them: --adapter {name}_a=… --adapter {name}_b=…"
            )
        found[name] = rewriter_folder(folder or None)
    return found


def adapter_dialect(adapters: Mapping[str, Path]) -> str | None:
    from rewriter.schema import RewriterConfig

    return next((RewriterConfig.load(folder).dialect for folder in adapters.values()), None)


def build_arms(
    args: argparse.Namespace,
    asked: Sequence[str] | None,
    sets: Mapping[str, Sequence[Prompt]],
    adapters: Mapping[str, Path],
    dialect: str,
) -> dict[str, list[Arm]]:
    """The arms of each set: rules only for the shapes dialect, the oracle only where every prompt has a spec."""
    from recipes.arms import FIXED, plain_arm, rewriter_arm, zero_shot_arm
    from rewriter.dialects import load_dialect
    from rewriter.templates import template_names

    known = [*FIXED, *adapters]
    for name in asked or ():
        if name not in known:
            raise ValueError(
                f"unknown arm {name!r} in --arms; known: {', '.join(known)} (trained ones by --adapter NAME=FOLDER)"
            )
    zero_shot = f"{dialect}_zero_shot"
    if zero_shot not in template_names():
        zero_shot = load_dialect(dialect).template
    made: dict[str, Arm] = {
        "original": plain_arm("original", dialect),
        "template": plain_arm("template", dialect),
        "zero_shot": zero_shot_arm(args.base, zero_shot, dialect, args.backend),
    }
    if dialect == "shapes":
        made["rules"] = plain_arm("rules", dialect)
    made |= {name: rewriter_arm(name, folder, args.backend) for name, folder in adapters.items()}
    chosen: dict[str, list[Arm]] = {}
    for name, prompts in sets.items():
        here = dict(made)
        if dialect == "shapes" and all(prompt.spec is not None for prompt in prompts):
            here["oracle"] = plain_arm("oracle", dialect)
        chosen[name] = [arm for arm_name, arm in here.items() if asked is None or arm_name in asked]
        if not chosen[name]:
            raise ValueError(f"none of the arms {args.arms} applies to {name}; known here: {', '.join(here)}")
    return chosen


def make_bridge(args: argparse.Namespace, seeds: int) -> Bridge:
    """Generator, judge and cache, with the same seeds for every arm."""
    from rewards.bridge import Bridge
    from rewards.external import load_generator, load_reward
    from rewards.store import Store

    return Bridge(
        load_generator(args.generator),
        load_reward(args.reward),
        images_per_prompt=seeds,
        seed=args.seed,
        reseed="never",
        steps=args.steps,
        guidance=args.guidance,
        store=Store(),
        generation_batch=32,
        call_timeout_s=1800.0,
        name="evaluation",
    )


def licences(
    args: argparse.Namespace,
    bridge: Bridge,
    adapters: Mapping[str, Path],
    sets: Mapping[str, Sequence[Prompt]],
    arms: Mapping[str, Sequence[Arm]],
) -> dict[str, str]:
    """SPDX identifiers of what took part; `--commercial-only` refuses some of them."""
    from recipes.prompt_rows import licence_of_rows
    from rewriter.models import licence_of
    from rewriter.schema import RewriterConfig

    found = {"data": licence_of_rows([prompt for prompts in sets.values() for prompt in prompts])}
    if any(arm.name == "zero_shot" for asked in arms.values() for arm in asked):
        found["base"] = licence_of(args.base)
    found |= {f"rewriter {name}": RewriterConfig.load(folder).licence for name, folder in adapters.items()}
    found["generator"] = getattr(bridge.generator, "licence", "unknown")
    found["reward"] = getattr(bridge.reward, "licence", "unknown")
    if args.commercial_only:
        from recipes.licences import require_commercial

        require_commercial(found)
    return found


def all_texts(
    arms: Mapping[str, Sequence[Arm]], sets: Mapping[str, Sequence[Prompt]], output: Path
) -> dict[str, dict[str, Any]]:
    """Per set and arm the texts to draw. Arm by arm, so that each model is loaded once and only one is in memory."""
    from recipes.measure import arm_texts

    texts: dict[str, dict[str, Any]] = {name: {} for name in sets}
    for arm_name in dict.fromkeys(arm.name for found in arms.values() for arm in found):
        for name, prompts in sets.items():
            arm = next((arm for arm in arms[name] if arm.name == arm_name), None)
            if arm is not None:
                texts[name][arm_name] = arm_texts(arm, prompts, output / "sets" / name)
        for found in arms.values():
            for arm in found:
                arm.close()
    order = {name: [arm.name for arm in found] for name, found in arms.items()}
    return {name: {arm: texts[name][arm] for arm in order[name]} for name in sets}


def measure_set(
    name: str,
    prompts: Sequence[Prompt],
    texts: Mapping[str, Any],
    bridge: Bridge,
    args: argparse.Namespace,
    output: Path,
    ticker: Ticker,
) -> dict[str, Any]:
    """Images and verdicts of all arms on one set, and their analysis."""
    from recipes.analysis import analyse
    from recipes.measure import arm_rows

    folder, drawn = output / "sets" / name, {"steps": args.steps, "guidance": args.guidance}
    rows = {
        arm: arm_rows(
            arm, prompts, answers, bridge, folder, pictures=args.pictures, drawn=drawn, ticker=ticker
        )
        for arm, answers in texts.items()
    }
    return analyse(prompts, texts, rows, seeds=bridge.images_per_prompt, seed=args.seed)


def record_run(
    args: argparse.Namespace, output: Path, sets: Mapping[str, Sequence[Prompt]], settings: Mapping[str, Any]
) -> None:
    """`run.json`: what was asked, of what, with which versions."""
    from dataclasses import asdict

    from recipes.run_record import RunRecord, sha256_rows

    record = RunRecord(
        output,
        "evaluate",
        {name: value for name, value in vars(args).items() if name != "command"},
        seeds={"images": args.seed, "bootstrap": args.seed},
        licences=settings["licences"],
        datasets=[
            {
                "name": name,
                "rows": len(prompts),
                "sha256": sha256_rows([asdict(prompt) for prompt in prompts]),
            }
            for name, prompts in sets.items()
        ],
        models={name: settings[name] for name in ("generator_fingerprint", "reward_fingerprint", "adapters")},
    )
    record.start()
    record.finish("finished")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


TITLES = {
    "handwritten": "Prompts written by hand",
    "held_out": "Held-out prompts of the grammar",
    "yours": "Your prompts",
}


def title_of(name: str, analysis: Mapping[str, Any]) -> str:
    prompts, seeds = analysis["n_prompts"], analysis["n_seeds"]
    words = f"{prompts} prompt{'s' * (prompts != 1)}, {seeds} seed{'s' * (seeds != 1)} each"
    return f"{TITLES.get(name, name)}: {words}"


def percent(interval: Mapping[str, float | None], signed: bool = False) -> str:
    """'61.5 [57.1, 65.9]' of an interval of shares; '–' of nothing."""
    if interval["mean"] is None:
        return "–"
    form = "{:+.1f}" if signed else "{:.1f}"
    text = form.format(100 * interval["mean"])
    if interval["low"] is None or interval["high"] is None:
        return text
    return f"{text} [{form.format(100 * interval['low'])}, {form.format(100 * interval['high'])}]"


def arms_table(analysis: Mapping[str, Any]) -> str:
    """The figures of one set for a terminal."""
    if not analysis["judged"]:
        return "nothing to judge: no prompt has a spec; the pictures are in the report"
    k = analysis["n_seeds"]
    judged = analysis["metric"] == "strict"
    columns = ("strict", "shaped") if judged else ("value",)
    header = [
        "arm",
        *(f"{c} %" if judged else c for c in columns),
        f"pass@{k} %",
        "gap closed %",
        "words",
        "unchanged %",
    ]
    lines = []
    for arm, entry in analysis["arms"].items():
        figures = [percent(entry[c]) if judged else number(entry[c]) for c in columns]
        gap = percent(entry["gap_closed"]) if "gap_closed" in entry else "–"
        words, fallback = f"{entry['words']['mean']:.1f}", f"{100 * entry['fallback_rate']:.1f}"
        lines.append([arm, *figures, percent(entry["pass_at_k"]), gap, words, fallback])
    written = [table(header, lines)]
    written += [
        f"{pair}: {percent(i, signed=True) if judged else number(i)}"
        for pair, i in analysis["paired"].items()
    ]
    return "\n".join(written)


def number(interval: Mapping[str, float | None]) -> str:
    if interval["mean"] is None:
        return "–"
    return f"{interval['mean']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
