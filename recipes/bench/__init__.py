"""`rewright bench`: how fast the parts are, beside what they are held to.

Each module here offers `run() -> dict[str, float]`; names say the unit. A share such as `..._share` is of 1.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
from importlib import import_module
from pathlib import Path

from recipes.terminal import remark, say, table

BENCHES = {
    "bridge": "what the reward bridge costs beside generator and scorer, and its cache's look-ups",
    "detector": "images judged per second",
    "generator": "images drawn per second by the embedded generator",
    "shapes": "how exact the judge is on clean, noisy, blurred and JPEG images, by canvas",
    "layout": "rooms validated and made per second, decoding held to a schema against free, seconds a layout",
    "update": "seconds of an SFT update, against TRL's batch and PEFT's layers",
    "preference": "preference training of a generator, pairs a second and memory, against a plain loop (some minutes)",
    "grpo": "seconds per GRPO step, split, against TRL's defaults (several minutes)",
    "diffusion": "preference losses on small worlds whose optimum is known (only when asked for)",
}
ON_REQUEST = ("diffusion",)  # evidence about methods rather than speed: not part of `all`
DIFFUSION_OUTPUT = Path(
    "runs/bench-diffusion"
)  # every point, tables, pictures, and what is done if interrupted
AT_MOST, AT_LEAST = operator.le, operator.ge
TARGETS = {
    "overhead_ms_per_sample_m1": (AT_MOST, 0.2),
    "warm_lookups_per_s": (AT_LEAST, 20_000),
    "detect_32px_images_per_s": (AT_LEAST, 1_000),
    "clean_48px_exact_share": (AT_LEAST, 1.0),
    "speedup_rollout_generation_scoring": (AT_LEAST, 1.8),
    "sd15_speed_precomputed_all_in": (AT_LEAST, 1.5),
    "shapes_speed_precomputed_all_in": (AT_LEAST, 1.25),
    "sd15_peak_ratio": (AT_MOST, 0.75),
    "shapes_peak_ratio": (AT_MOST, 0.75),
    "validator_rooms_per_s": (AT_LEAST, 150),
    "synthesis_rooms_per_s": (AT_LEAST, 40),
    "decoding_held_to_free_batch_8": (AT_LEAST, 0.9),
    "vllm_decoding_held_to_free_batch_8": (AT_LEAST, 0.9),
    "methods_at_80_percent": (AT_LEAST, 3),
}

_DESCRIPTION = (
    "Measure the parts. Run it on a quiet machine: beside another busy process CPU figures fall several-fold."
)
_EPILOG = (
    "benches:\n"
    + "\n".join(f"  {name:<10} {about}" for name, about in BENCHES.items())
    + """

examples:
  rewright bench                     all of them but diffusion
  rewright bench detector generator
  rewright bench grpo --output bench.json
  rewright bench layout --model runs/layout/sft/layout_lm
  rewright bench diffusion --tier exact --quick
"""
)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "bench",
        help="measure the speed of the parts",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "which", nargs="*", default=[], metavar="BENCH", help=f"{', '.join(BENCHES)} or all (default all)"
    )
    parser.add_argument("--output", type=Path, help="also write the figures to this JSON file")
    rooms = parser.add_argument_group("layout")
    rooms.add_argument("--model", help="folder or hub id of a layout model (default: the embedded one)")
    rooms.add_argument(
        "--vllm", action="store_true", help="decode in a vLLM engine too, which takes a minute to start"
    )
    only = parser.add_argument_group("diffusion")
    only.add_argument(
        "--tier", default="exact", help="exact: small worlds with a known frontier (the only one yet)"
    )
    only.add_argument("--quick", action="store_true", help="one world, three seeds, shorter training")
    only.add_argument("--methods", default="", help="comma-separated subset of the methods (default all)")
    only.add_argument("--workers", type=int, help="processes of one thread each (default: one a core)")
    only.add_argument(
        "--page", type=Path, help="also write tables and pictures into this page (docs/small-worlds.md)"
    )


def run(args: argparse.Namespace) -> int:
    asked = args.which or ["all"]
    for name in asked:
        if name not in (*BENCHES, "all"):
            raise ValueError(f"unknown bench {name!r}; known: {', '.join(BENCHES)}, all")
    if "diffusion" not in asked and (args.quick or args.methods or args.workers or args.page):
        raise ValueError("--quick, --methods, --workers and --page belong to `rewright bench diffusion`")
    if not {"layout", "all"} & set(asked) and (args.model or args.vllm):
        raise ValueError("--model and --vllm belong to `rewright bench layout`")
    load = os.getloadavg()[0]
    if load > 0.5:
        remark(f"the machine is busy (load {load:.1f}): take ratios, not absolutes")
    found: dict[str, dict[str, float]] = {}
    chosen = [name for name in BENCHES if name in asked or ("all" in asked and name not in ON_REQUEST)]
    for name in chosen:
        remark(f"{name}: {BENCHES[name]}")
        given = {}
        if name == "diffusion":
            given = {
                "tier": args.tier,
                "quick": args.quick,
                "only": [part.strip() for part in args.methods.split(",") if part.strip()],
                "folder": DIFFUSION_OUTPUT / ("quick" if args.quick else "full"),
                "workers": args.workers,
                "page": args.page,
            }
        if name == "layout":
            given = {"model": args.model, "vllm": args.vllm}
        found[name] = import_module(f"recipes.bench.{name}").run(**given)
        say(
            table(
                [name, "measured", "target", ""],
                [_line(metric, value) for metric, value in found[name].items()],
            )
            + "\n"
        )
        if args.output is not None:
            args.output.parent.mkdir(parents=True, exist_ok=True)
            args.output.write_text(json.dumps({"load": load, **found}, indent=2) + "\n", encoding="utf-8")
    return 0


def _line(metric: str, value: float) -> list[str]:
    written = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if metric not in TARGETS:
        return [metric, written, "", ""]
    compare, target = TARGETS[metric]
    sign = "≤" if compare is AT_MOST else "≥"
    return [metric, written, f"{sign} {target:,}", "met" if compare(value, target) else "missed"]
