"""`rewright train generator/…`: arguments of the generator's recipe, handed to `generator_train.train`."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from recipes.configuration import ConfigError, parse_arguments, resolved


def run(argv: Sequence[str]) -> int:
    """Parse → train. Everything in this recipe is of this repository and under its licence: nothing for commercial_only to refuse."""
    from recipes.arguments import GeneratorArguments, RunArguments
    from recipes.run_record import make_output
    from recipes.terminal import say

    run_args, args = parse_arguments((RunArguments, GeneratorArguments), argv)
    if not args.output_dir:
        raise ConfigError("output_dir: missing; give the folder of the run")
    if run_args.dry_run:
        say(json.dumps(resolved((run_args, args)), indent=1))
        return 0
    output = make_output(args.output_dir)
    if run_args.fresh:
        (output / "state.pt").unlink(missing_ok=True)
        (output / "metrics.jsonl").unlink(missing_ok=True)
        (output / "summary.json").unlink(missing_ok=True)
    import torch

    from recipes.generator_train import train

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    try:
        train(SimpleNamespace(**{name: getattr(args, name) for name in type(args).__dataclass_fields__}))
    except KeyboardInterrupt:
        for member in multiprocessing.active_children():  # a signal to this process alone does not reach them
            member.terminate()
        raise
    summarise(output)
    return 0


def summarise(output: Path) -> None:
    """`summary.json`: samples, seconds and losses of the last line of `metrics.jsonl`."""
    from recipes.run_record import MetricsLog

    rows = MetricsLog(output).rows()
    last = rows[-1] if rows else {}
    found = {k: v for k, v in last.items() if k in ("step", "samples", "seconds") or k.endswith("loss")}
    part = output / "summary.part"
    part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    part.replace(output / "summary.json")


def main(argv: Sequence[str] | None = None) -> int:
    from recipes.train import entry

    return entry("generator", argv)


if __name__ == "__main__":
    sys.exit(main())
