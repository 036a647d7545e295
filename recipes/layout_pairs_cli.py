"""`rewright layout pairs`: preference pairs for a layout model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from recipes.terminal import say, table

PIECE, PROMPTS = 32, 16  # prompts at once: rooms that are damaged, rooms that a model furnishes
_DESCRIPTION = """
Preference pairs for `rewright train layout/dpo/...`: a request for a room, a good answer and a worse one, with the faults of both as the
validator found them.

stage 1: the model's own answers. Rejected is a near miss (few faults); chosen its best answer without one, else the synthesiser's room.
slips:   the synthesiser's room, and the same with one piece that the model wrote once more, where that brought a fault. The two differ in
         this piece alone. --own: in faultless rooms that the model wrote itself, held to the space that is left.
stage 2: the synthesiser's room, and the same with one defect that was put in and found again.
naive:   the same with random noise that nobody looked at, to compare with. The share that is no defect at all is printed.
"""
_EPILOG = """
examples:
  rewright layout pairs --stage slips --own --plan-share 1 --model runs/layout/sft/layout_lm --count 5000 --output runs/layout/slips.jsonl
  rewright layout pairs --stage 2 --count 2000 --output runs/layout/pairs2.jsonl
  rewright layout pairs --stage 1 --model runs/layout/sft/layout_lm --count 600 --output runs/layout/pairs1.jsonl
  rewright layout pairs --stage naive --count 400 --output runs/layout/naive.jsonl

A stopped command goes on where it was. FILE.summary.json has the counts.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "pairs",
        help="make preference pairs: a model's near misses, or verified defects",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--stage",
        choices=("1", "slips", "2", "naive"),
        required=True,
        help="where the worse answers come from",
    )
    parser.add_argument("--count", type=int, required=True, help="number of pairs")
    parser.add_argument("--output", type=Path, required=True, help="JSON lines; a new file")
    parser.add_argument(
        "--seed", type=int, default=1, help="of rooms and requests; not that of the fine-tuning (default 1)"
    )
    parser.add_argument(
        "--plan-share", type=float, default=0.85, help="share of prompts that ask for a plan (default 0.85)"
    )
    parser.add_argument(
        "--model", help="stages 1 and slips: folder or hub id of the layout model (default: the embedded one)"
    )
    parser.add_argument(
        "-k",
        type=int,
        default=8,
        help="stage 1: answers a prompt; slips: pieces that are written once more (default 8)",
    )
    parser.add_argument(
        "--own", action="store_true", help="slips: in the model's own rooms, not in the synthesiser's"
    )
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="stages 1 and slips: of sampling (default 1.0)"
    )
    parser.add_argument(
        "--codes", help="stage 2: the defects, comma-separated (default: all, about equally often)"
    )
    parser.add_argument(
        "--beyond-schema",
        action="store_true",
        help="stage 2: also defects that constrained decoding rules out, through an outer wall or the ceiling",
    )
    parser.add_argument("--moved", type=int, default=1, help="naive: objects that are moved (default 1)")


def run(args: argparse.Namespace) -> int:
    from recipes.layout_pairs_file import write_pairs

    check(args)
    source, settings = source_of(args)
    piece = PROMPTS if args.stage in ("1", "slips") else PIECE
    try:
        made = write_pairs(args.output, settings, source, args.count, piece)
    except KeyboardInterrupt as stop:
        stop.add_note("The same command goes on where it stopped.")
        raise
    say(told(made))
    return 0


def check(args: argparse.Namespace) -> None:
    """What would only show late. Raises ValueError naming the option."""
    from layout.defects import INJECTORS
    from recipes.layout_pairs import SFT_SEED

    for name in ("count", "k", "moved"):
        if getattr(args, name) < 1:
            raise ValueError(
                f"{'-k' if name == 'k' else '--' + name} {getattr(args, name)}: give a number from 1 on"
            )
    if args.seed == SFT_SEED:
        raise ValueError(f"--seed {args.seed} draws the rooms of the fine-tuning; give another seed")
    if not 0 <= args.plan_share <= 1:
        raise ValueError(f"--plan-share {args.plan_share} must lie in [0, 1]")
    if args.temperature <= 0:
        raise ValueError(f"--temperature {args.temperature}: answers must differ; give more than 0")
    unknown = [code for code in codes_of(args) or () if code not in INJECTORS]
    if unknown:
        raise ValueError(f"--codes {','.join(unknown)}: there are: {', '.join(INJECTORS)}")
    if args.own and args.stage != "slips":
        raise ValueError(f"--own is for stage slips, not for {args.stage}; leave it out")
    if args.stage == "slips" and args.plan_share == 0:
        raise ValueError("--plan-share 0: a slip needs a plan to be written again after; give more")
    for name, stages in (("model", ("1", "slips")), ("codes", ("2",))):
        if getattr(args, name) is not None and args.stage not in stages:
            raise ValueError(
                f"--{name} is for stage {' and '.join(stages)}, not for {args.stage}; leave it out"
            )


def codes_of(args: argparse.Namespace) -> list[str] | None:
    return [code.strip() for code in args.codes.split(",")] if args.codes else None


def source_of(args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """(what makes the pairs, what they depend on)."""
    from recipes.layout_pairs import Drawn, Injected, Noisy, Sampled

    drawn = Drawn(args.seed, args.plan_share)
    settings = {"stage": args.stage, "seed": args.seed, "plan_share": args.plan_share}
    if args.stage == "2":
        held = not args.beyond_schema
        return Injected(drawn, codes_of(args), held), settings | {"codes": codes_of(args), "held": held}
    if args.stage == "naive":
        return Noisy(drawn, args.moved), settings | {"moved": args.moved}
    from recipes.layout_generate import load_backend
    from recipes.layout_slips import Slips

    settings |= {"model": model_hash(args.model), "k": args.k, "temperature": args.temperature}
    backend = load_backend(args.model, "transformers")
    if args.stage == "1":
        return Sampled(drawn, backend, args.k, args.temperature), settings
    return Slips(drawn, backend, args.k, args.temperature, args.own), settings | {"own": args.own}


def model_hash(model: str | None) -> str:
    """Of the weights, or the hub id where there is no folder: pairs of another model are other pairs."""
    from recipes.layout_backends import EMBEDDED
    from recipes.run_record import sha256_of

    folder = EMBEDDED if model is None else Path(model)
    weights = sorted(folder.glob("*.safetensors"))
    return "+".join(sha256_of(file)[:16] for file in weights) if weights else str(model)


def told(made: dict[str, Any]) -> str:
    """For people."""
    lines = [table(["rejected for", "pairs"], [[code, str(n)] for code, n in made["codes"].items()]), ""]
    lines.append(
        f"{made['pairs']} pairs; chosen by "
        + ", ".join(f"{who}: {n}" for who, n in made["chosen_by"].items())
    )
    lines.append(
        f"objects: {made['chosen_objects']:.2f} in what is chosen, {made['rejected_objects']:.2f} in what is rejected"
    )
    lines.append(
        f"rejected without a hard fault: {made['rejected_without_hard_fault']:.1%}, "
        f"without any fault: {made['rejected_without_any_fault']:.1%}"
    )
    return "\n".join(lines)
