"""`rewright fifa`: the pairs of a set that teach most, by FiFA (arXiv:2410.10166)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.terminal import remark, say, table

if TYPE_CHECKING:
    import numpy as np

    from diffusion_core.filters import FiFA, Terms

_DESCRIPTION = """
Choose the most useful preference pairs: a clear margin between winner and loser, prompts that say much, and prompts unlike each other.
Few well-chosen pairs can do the work of a large set. The set must be scored: `rewright pairs` writes scores, `rewright pairs --relabel`
adds them.

Importance of a pair = z(margin) + alpha z(text quality) + gamma z(log distance to the k-th nearest prompt); --greedy measures the
distance within the choice, so that near-duplicates of a chosen prompt lose. Text quality is the number of distinct content words unless
--quality names something better (the paper asks a language model); distances are of hashed n-grams unless --embed names a model.
"""
_EPILOG = """
examples:
  rewright fifa runs/pairs --keep 500 --output runs/best
  rewright fifa runs/pairs --share 0.1 --greedy --output runs/best
  rewright fifa runs/pairs --keep 500 --compare                     against random and margin-only, nothing is written
  rewright fifa runs/pairs --keep 500 --embed models/clip --quality my_llm:judge --output runs/best
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "fifa",
        help="choose the most useful preference pairs",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "pairs", help="folder, .jsonl, .parquet, datasets folder or hub id (docs/preference-data.md)"
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--keep", type=int, help="number of pairs to choose")
    size.add_argument("--share", type=float, help="share of the pairs to choose, such as 0.1")
    parser.add_argument(
        "--output", type=Path, help="folder for the chosen pairs; may be left out with --compare"
    )
    parser.add_argument("--limit", type=int, help="look at the first so many pairs only")
    parser.add_argument(
        "--greedy", action="store_true", help="build the set up one by one; slower, fewer near-duplicates"
    )
    parser.add_argument(
        "--shortlist", type=int, help="candidates of --greedy (default 10 times as many as are chosen)"
    )
    weights = parser.add_argument_group("weights (the defaults are ours; none were published)")
    weights.add_argument("--alpha", type=float, default=0.5, help="of the text quality (default 0.5)")
    weights.add_argument(
        "--gamma", type=float, default=0.5, help="of the distance to other prompts (default 0.5)"
    )
    weights.add_argument(
        "--k", type=int, default=1, help="which neighbour the distance is taken to (default 1: the nearest)"
    )
    weights.add_argument(
        "--epsilon",
        type=float,
        default=0.01,
        help="added to distances, so that duplicates have a logarithm (default 0.01)",
    )
    terms = parser.add_argument_group("what judges the prompts")
    terms.add_argument(
        "--quality", help="module:function, prompts -> one number each (default: distinct content words)"
    )
    terms.add_argument(
        "--embed",
        help="module:function, prompts -> (N, D), or the folder or id of a transformers or CLIP model (default: hashed n-grams)",
    )
    shown = parser.add_argument_group("comparison")
    shown.add_argument(
        "--compare", action="store_true", help="compare with random and margin-only choices of the same size"
    )
    shown.add_argument("--seeds", type=int, default=10, help="random choices to average over (default 10)")
    shown.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(args: argparse.Namespace) -> int:
    from diffusion_core.data import load_pairs, save_pairs
    from diffusion_core.filters import FiFA, measure, select_greedy, select_top

    if args.output is None and not args.compare:
        raise ValueError("give --output DIR for the chosen pairs, or --compare to look only")
    if args.share is not None and not 0 < args.share <= 1:
        raise ValueError(f"--share {args.share:g} must lie in (0, 1]")
    if args.seeds < 1:
        raise ValueError(f"--seeds {args.seeds}: give at least 1")
    if args.json and not args.compare:
        raise ValueError("--json prints the comparison; add --compare")
    fifa = FiFA(args.alpha, args.gamma, args.k, args.epsilon)
    quality, embed = _quality(args.quality), _embedder(args.embed)
    pairs = load_pairs(args.pairs, limit=args.limit)
    count = args.keep if args.share is None else max(1, round(args.share * len(pairs)))
    terms = measure(pairs, quality=quality, embed=embed)
    if args.greedy:
        chosen = select_greedy(terms, count, fifa, shortlist=args.shortlist)
    else:
        chosen = select_top(terms, count, fifa)
    if args.compare:
        found = compare(terms, count, fifa, seeds=args.seeds, shortlist=args.shortlist)
        say(json.dumps(found, indent=2) if args.json else _as_table(found, len(pairs), args.seeds))
    if args.output is not None:
        kept = [pairs[i] for i in chosen]
        save_pairs(kept, args.output)
        _write_manifest(args, terms, chosen, fifa)
        remark(f"wrote {len(kept)} of {len(pairs)} pairs to {args.output}, the most important first")
    return 0


def compare(
    terms: Terms, count: int, fifa: FiFA, *, seeds: int, shortlist: int | None = None
) -> dict[str, dict[str, Any]]:
    """Choices of `count` pairs by FiFA, by the margin alone and at random (mean over `seeds`), and what each is like."""
    import numpy as np

    from diffusion_core.filters import select_greedy, select_top, summary

    by_margin = np.argsort(-terms.margin, kind="stable")[:count]
    found: dict[str, dict[str, Any]] = {
        "fifa": summary(terms, select_top(terms, count, fifa), fifa),
        "fifa, greedy": summary(terms, select_greedy(terms, count, fifa, shortlist=shortlist), fifa),
        "margin only": summary(terms, by_margin, fifa),
    }
    draws = [
        summary(terms, np.random.default_rng(seed).choice(len(terms), count, replace=False), fifa)
        for seed in range(seeds)
    ]
    found["random"] = {name: _mean([draw[name] for draw in draws]) for name in draws[0]}
    found["random"]["deviation"] = {name: _deviation([draw[name] for draw in draws]) for name in draws[0]}
    found["all pairs"] = summary(terms, np.arange(len(terms)), fifa)
    return {
        name: {"pairs": len(terms) if name == "all pairs" else count, **row} for name, row in found.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _deviation(values: Sequence[float | None]) -> float | None:
    import statistics

    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def _as_table(found: dict[str, dict[str, Any]], pairs: int, seeds: int) -> str:
    names = ("margin", "quality", "entropy", "duplicates")

    def cell(row: dict[str, Any], name: str) -> str:
        value, spread = row[name], row.get("deviation", {}).get(name)
        told = "unknown" if value is None else f"{value:.1%}" if name == "duplicates" else f"{value:.3f}"
        if spread is None or value is None:
            return told
        return f"{told} ± {spread:.1%}" if name == "duplicates" else f"{told} ± {spread:.3f}"

    rows = [
        [name, str(row["pairs"]), *(cell(row, column) for column in names)] for name, row in found.items()
    ]
    note = f"random: mean ± deviation over {seeds} draws; entropy: mean log distance to the k-th prompt of the choice"
    return table(["choice", "pairs", *names], rows) + f"\n{note}"


def _quality(spec: str | None) -> Any:
    from diffusion_core.filters import content_words
    from rewards.external import import_object

    return content_words if spec is None else import_object(spec)


def _embedder(spec: str | None) -> Any:
    """Hashed n-grams, a function by its dotted path, or a model by its folder or id."""
    from functools import partial

    from diffusion_core.text_embeddings import from_model, hashed_ngrams
    from rewards.external import import_object

    if spec is None:
        return hashed_ngrams
    if ":" in spec and not Path(spec).exists():
        return import_object(spec)
    return partial(from_model, spec)


def _write_manifest(args: argparse.Namespace, terms: Terms, chosen: np.ndarray, fifa: FiFA) -> None:
    from dataclasses import asdict

    from diffusion_core.filters import summary
    from recipes.evaluate import write_json
    from recipes.pair_folder import MANIFEST
    from recipes.run_record import git_revision, versions

    source = Path(args.pairs) / MANIFEST
    origin = json.loads(source.read_text(encoding="utf-8")) if source.is_file() else {}
    licences = {"licences": origin["licences"]} if "licences" in origin else {}
    content = {
        "format": "rewright-pairs",
        "made_by": "fifa",
        **licences,
        "setting": {
            "pairs": args.pairs,
            **asdict(fifa),
            "greedy": args.greedy,
            "quality": args.quality or "content_words",
            "embed": args.embed or "hashed_ngrams",
        },
        "counts": {"pairs": len(chosen), "of": len(terms)},
        "chosen": summary(terms, chosen, fifa),
        "versions": versions(),
        "git": git_revision(),
    }
    write_json(args.output / MANIFEST, content)
