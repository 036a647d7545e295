"""`rewright pairs`: preference pairs from one's own model, or an existing set scored anew."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.pair_folder import MANIFEST
from recipes.terminal import say

if TYPE_CHECKING:
    from rewriter.datasets import PromptRow

_DESCRIPTION = """
Make preference pairs for the Diffusion-DPO family: n images of each prompt, scored by a reward, and paired where the scores differ by
--margin or more. Samples of the very model that is trained later make for fewer artefacts than other people's pictures.

--relabel scores an existing set instead: pairs that the reward orders the other way are swapped, ties are left out. A set is a folder
with chosen/, rejected/ and captions.jsonl, JSONL, parquet, or Pick-a-Pic's columns (docs/preference-data.md).

The folder that is written has chosen/, rejected/, captions.jsonl with the scores, pairs.json (models, licences, counts) and preview.png.
An interrupted command goes on when it is given again.
"""
_EPILOG = """
examples:
  rewright pairs --prompts captions --limit 200 -n 8 --output runs/pairs            embedded model, captions and judge
  rewright pairs --generator my_model:Generator --reward my_model:score --prompts mine.txt --output runs/mine
  rewright pairs --prompts mine.jsonl --strategy adjacent --pairs_per_prompt 3 --margin 0.05 --output runs/fine
  rewright pairs --relabel runs/pairs --reward shapes-strict --output runs/strict
  rewright pairs --relabel pickapic/data --reward my_model:score --soft_labels --limit 5000 --output runs/relabelled
"""
_NEW_MARGIN = 0.1
_WORLD_PROMPTS = 1000


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "pairs",
        help="make preference pairs from your own model, or score a set anew",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, help="folder that is written")
    parser.add_argument(
        "--reward",
        default="shapes",
        help="shapes, shapes-strict, or your own as module:object (default shapes)",
    )
    parser.add_argument(
        "--relabel", metavar="PAIRS", help="score this set of pairs instead of making new ones"
    )
    parser.add_argument(
        "--margin",
        type=float,
        help=f"least difference of the scores, in the reward's units (default {_NEW_MARGIN}; with --relabel 0)",
    )
    parser.add_argument(
        "--soft_labels",
        action="store_true",
        help="also write prob_chosen, the softmax of the two scores over the reward's range (for SmPO)",
    )
    parser.add_argument("--limit", type=int, help="at most so many prompts, or pairs of --relabel")
    parser.add_argument(
        "--commercial-only", action="store_true", help="refuse unknown and non-commercial licences"
    )
    drawn = parser.add_argument_group("what is drawn (not with --relabel)")
    drawn.add_argument(
        "--prompts",
        help='a prompt file (.txt, .jsonl, .csv), or 1,000 of the embedded world: "captions" in the words of its generator, '
        '"shapes" in those of users',
    )
    drawn.add_argument(
        "--generator",
        default="shapes",
        help="folder, diffusers id, module:object or URL (default: the embedded one)",
    )
    drawn.add_argument("-n", "--n", type=int, default=8, help="images of a prompt (default 8)")
    drawn.add_argument(
        "--pairs_per_prompt", type=int, default=1, help="at most so many pairs of a prompt (default 1)"
    )
    drawn.add_argument(
        "--strategy",
        choices=("best_worst", "adjacent", "random"),
        default="best_worst",
        help="which images are paired: best with worst, neighbours in rank, or any (default best_worst)",
    )
    drawn.add_argument("--steps", type=int, help="sampling steps (default: the generator's)")
    drawn.add_argument("--guidance", type=float, help="guidance scale (default: the generator's)")
    drawn.add_argument("--seed", type=int, default=0, help="of the images and of shapes prompts (default 0)")
    drawn.add_argument("--batch", type=int, default=64, help="images generated at once (default 64)")
    drawn.add_argument(
        "--adapter", help="a rewriter's folder: prompts are rewritten first, and the rewrite is drawn"
    )
    drawn.add_argument(
        "--judge_by",
        choices=("prompt", "rewrite"),
        default="prompt",
        help="the text the reward judges by, with --adapter (default: the user's own prompt)",
    )


def run(args: argparse.Namespace) -> int:
    _check(args)
    if args.relabel is not None:
        return _relabel(args)
    return _make(args)


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is loaded."""
    from recipes.pair_making import most_pairs

    if (args.prompts is None) == (args.relabel is None):
        raise ValueError("give either --prompts (a file, or shapes) or --relabel PAIRS")
    if args.margin is None:
        args.margin = _NEW_MARGIN if args.relabel is None else 0.0
    if not args.margin >= 0:
        raise ValueError(f"--margin {args.margin}: give 0 or more")
    for name, least in (("n", 2), ("pairs_per_prompt", 1), ("batch", 1), ("limit", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: give at least {least}")
    most = most_pairs(args.n, args.strategy)
    if args.pairs_per_prompt > most:
        raise ValueError(
            f"--pairs_per_prompt {args.pairs_per_prompt}: {args.strategy} gives at most {most} of -n {args.n} images"
        )
    if args.judge_by == "rewrite" and not args.adapter:
        raise ValueError("--judge_by rewrite needs a rewriter: --adapter FOLDER")


def _reward(args: argparse.Namespace) -> Any:
    from rewards.external import load_reward

    reward = load_reward(args.reward)
    width = reward.bounds[1] - reward.bounds[0]
    if args.margin > width:
        raise ValueError(
            f"--margin {args.margin:g} is more than the range of {reward.name}, {reward.bounds[0]:g} to {reward.bounds[1]:g}"
        )
    return reward


def _make(args: argparse.Namespace) -> int:
    from recipes.bridging import identity
    from recipes.pair_folder import PairFolder
    from recipes.pair_making import make_all
    from recipes.prompt_rows import licence_of_rows
    from rewards.bridge import Bridge
    from rewards.external import load_generator
    from rewards.store import Store

    rows = _prompts(args)
    reward, generator = _reward(args), load_generator(args.generator)
    licences = _licences(args, {"prompts": licence_of_rows(rows)}, generator=generator, reward=reward)
    names = (
        "n",
        "margin",
        "pairs_per_prompt",
        "strategy",
        "steps",
        "guidance",
        "seed",
        "judge_by",
        "adapter",
        "soft_labels",
    )
    setting = {name: getattr(args, name) for name in names}
    setting |= {"prompts": args.prompts, "generator": identity(generator), "reward": identity(reward)}
    folder = PairFolder(args.output, setting)
    bridge = Bridge(
        generator,
        reward,
        images_per_prompt=args.n,
        seed=args.seed,
        reseed="never",
        steps=args.steps,
        guidance=args.guidance,
        store=Store(),
        generation_batch=args.batch,
        call_timeout_s=1800.0,
        floor=reward.bounds[0]
        if abs(reward.bounds[0]) < float("inf")
        else 0.0,  # of format failures: there are none here
        name="pairs",
    )
    with _going_on(folder, "prompts"):
        reason = make_all(
            rows,
            _texts(args, rows),
            bridge,
            folder,
            margin=args.margin,
            per_prompt=args.pairs_per_prompt,
            strategy=args.strategy,
            judge_by=args.judge_by,
            soft_labels=args.soft_labels,
            batch=args.batch,
        )
    counts = folder.counts
    unknown = f"{counts['unknown']} scores are unknown and left out" + (f" ({reason})" if reason else "")
    if not counts["pairs"]:
        raise ValueError(
            f"no pair: of {counts['samples']} images of {counts['rows']} prompts, {unknown}, and no two known ones differ by "
            f"--margin {args.margin:g}; lower it, raise -n, or choose another reward"
        )
    folder.finish(
        {"made_by": "pairs", "models": _named(generator=generator, reward=reward), "licences": licences}
    )
    say(f"{counts['pairs']} pairs of {counts['rows']} prompts in {args.output}")
    say(
        f"{counts['without_pair']} prompts gave none; {unknown if counts['unknown'] else 'all scores are known'}"
    )
    return 0


def _relabel(args: argparse.Namespace) -> int:
    from diffusion_core.data import load_pairs
    from recipes.bridging import identity
    from recipes.pair_folder import PairFolder
    from recipes.pair_relabelling import relabel_all

    reward = _reward(args)
    pairs = load_pairs(args.relabel, limit=args.limit)
    licences = _licences(args, {"pairs": _licence_of_set(Path(args.relabel))}, reward=reward)
    setting = {"relabel": args.relabel, "margin": args.margin, "soft_labels": args.soft_labels}
    folder = PairFolder(args.output, {**setting, "reward": identity(reward)})
    with _going_on(folder, "pairs"):
        reason = relabel_all(pairs, reward, folder, margin=args.margin, soft_labels=args.soft_labels)
    counts = folder.counts
    unknown = f"{counts['unknown']} unknown" + (f" ({reason})" if reason else "")
    if not counts["pairs"]:
        raise ValueError(f"no pair is left of {counts['rows']}: {counts['tied']} tied, {unknown}")
    folder.finish({"made_by": "pairs --relabel", "models": _named(reward=reward), "licences": licences})
    say(f"{counts['pairs']} of {counts['rows']} pairs in {args.output}")
    say(
        f"{counts['swapped']} labels swapped ({counts['swapped'] / counts['pairs']:.1%}); left out: {counts['tied']} tied, {unknown}"
    )
    return 0


@contextmanager
def _going_on(folder: Any, unit: str) -> Iterator[None]:
    """Says after an interruption what is kept."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(f"{len(folder.done)} {unit} are done; the same command goes on from there.")
        raise


def _prompts(args: argparse.Namespace) -> list[PromptRow]:
    from recipes.prompt_rows import WORLDS, caption_rows, shapes_rows
    from rewriter.datasets import read_prompts

    if args.prompts in WORLDS:
        return shapes_rows(args.limit or _WORLD_PROMPTS, args.seed)
    if args.prompts == "captions":
        return caption_rows(args.limit or _WORLD_PROMPTS, args.seed)
    return read_prompts(args.prompts, limit=args.limit)


def _texts(args: argparse.Namespace, rows: Sequence[PromptRow]) -> list[str]:
    """What the generator is given: the prompts, or their rewrites."""
    from recipes.arms import rewriter_arm
    from recipes.evaluation_sets import Prompt
    from recipes.runs import rewriter_folder

    if not args.adapter:
        return [row.prompt for row in rows]
    arm = rewriter_arm("adapter", rewriter_folder(args.adapter), "transformers")
    texts = [text.text for text in arm.texts([Prompt(row.id, row.prompt) for row in rows])]
    arm.close()
    return texts


def _licences(args: argparse.Namespace, known: Mapping[str, str], **parts: Any) -> dict[str, str]:
    from recipes.licences import canonical, require_commercial

    found = {name: str(getattr(part, "licence", "unknown")) for name, part in parts.items()}
    licences = {name: canonical(value) for name, value in {**known, **found}.items()}
    if args.commercial_only:
        require_commercial(licences)
    return licences


def _licence_of_set(source: Path) -> str:
    """What the manifest of a set made here says of its parts; of any other set nobody knows."""
    manifest = source / MANIFEST
    if not manifest.is_file():
        return "unknown"
    held = json.loads(manifest.read_text(encoding="utf-8")).get("licences", {})
    return " AND ".join(sorted(set(held.values()))) or "unknown"


def _named(**parts: Any) -> dict[str, dict[str, str]]:
    from recipes.bridging import identity

    return {name: {"name": part.name, "fingerprint": identity(part)} for name, part in parts.items()}
