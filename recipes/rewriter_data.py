"""`rewright data`: the training data of the rewriter, made from the embedded world.

`sft` makes pairs as PromptEnhancer does (arXiv:2509.04545): a scene's caption is the rewrite, a user prompt is simulated from it in one of
the templates frozen for this (20 % of all), images of both are drawn with the same seeds, and the pair is kept where the rewrite's images
pass the judge more often. `prompts` writes what GRPO may see: user prompts and their targets, no captions.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recipes.terminal import progress, remark, say

_EPILOG = """
examples:
  rewright data sft --output runs/data/sft.jsonl                  1,500 candidates, 2 images each: some ten minutes on two cores
  rewright data prompts --output runs/data/prompts.jsonl --count 2000

An interrupted command goes on when it is given again.
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rewright data",
        description=__doc__.split("\n\n", 1)[1],
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    sft = kinds.add_parser("sft", help="pairs of user prompt and rewrite, filtered by the judge")
    sft.add_argument("--count", type=int, default=1500, help="candidates before the filter (default 1500)")
    sft.add_argument("--images", type=int, default=2, help="images of each text (default 2)")
    sft.add_argument(
        "--generator",
        default="shapes",
        help="folder, diffusers id, module:object or URL (default: the embedded one)",
    )
    sft.add_argument("--steps", type=int, help="sampling steps (default: the generator's)")
    sft.add_argument("--no-filter", action="store_true", help="keep every candidate; nothing is drawn")
    prompts = kinds.add_parser("prompts", help="user prompts with targets, for GRPO")
    prompts.add_argument("--count", type=int, default=2000, help="number of prompts (default 2000)")
    for kind in (sft, prompts):
        kind.add_argument("--output", type=Path, required=True, help="JSONL file")
        kind.add_argument("--seed", type=int, default=0, help="of scenes, wording and images (default 0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
    if args.count < 1:
        raise ValueError(f"--count {args.count}: give at least 1")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    return make_prompts(args) if args.kind == "prompts" else make_pairs(args)


def make_prompts(args: argparse.Namespace) -> int:
    from recipes.prompt_rows import shapes_rows

    rows = shapes_rows(args.count, args.seed)
    with args.output.open("w", encoding="utf-8") as out:
        for row in rows:
            line = {
                "id": row.id,
                "prompt": row.prompt,
                "spec": row.spec,
                "licence": row.licence,
                "tags": list(row.tags),
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    remark(f"wrote {len(rows)} prompts to {args.output}")
    return 0


def candidates(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Simulated pairs; candidate `index` depends on (seed, index) alone."""
    import numpy as np

    from diffusion_core.worlds.shapes import caption
    from diffusion_core.worlds.shapes.users import sample_user_prompt, templates_of

    templates = templates_of("sft")
    for index in range(count):
        user = sample_user_prompt(np.random.default_rng([seed, 3, index]), split="train", templates=templates)
        yield {
            "id": f"sft-{seed}-{index}",
            "prompt": user.text,
            "rewrite": caption(user.spec),
            "spec": user.spec.to_json(),
            "template": user.template,
            "licence": "Apache-2.0",
        }


def make_pairs(args: argparse.Namespace, chunk: int = 32) -> int:
    """Write kept pairs as they come; `<output>.part` remembers every candidate judged, and becomes the output at the end."""
    part = args.output.with_suffix(args.output.suffix + ".part")
    bridge = None if args.no_filter else _bridge(args)
    done = _judged(part, _setting(args, bridge))
    wanted = list(candidates(args.seed, args.count))
    rows = [row for row in wanted if not row.items() <= done.get(row["id"], {}).items()]
    with part.open("a", encoding="utf-8") as out, progress("pairs", len(rows)) as ticker:
        for start in range(0, len(rows), chunk):
            some = rows[start : start + chunk]
            for row, verdict in zip(some, _judge(bridge, some), strict=True):
                done[row["id"]] = {**row, **verdict}
                out.write(json.dumps(done[row["id"]], ensure_ascii=False) + "\n")
            out.flush()
            ticker.advance(len(some))
    judged = [done[row["id"]] for row in wanted]
    kept = [{k: v for k, v in row.items() if k != "kept"} for row in judged if row["kept"]]
    if not kept:
        raise ValueError(
            f"none of {len(judged)} pairs passed the judge more often than its prompt; is the generator trained?"
        )
    scratch = args.output.with_suffix(".writing")
    scratch.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")
    scratch.replace(args.output)
    say(f"kept {len(kept)} of {len(judged)} pairs ({len(kept) / len(judged):.0%}) in {args.output}")
    return 0


def _setting(args: argparse.Namespace, bridge: Any) -> dict[str, Any]:
    """What a verdict depends on beside its candidate: the first line of the part file."""
    from recipes.bridging import identity

    if bridge is None:
        return {"filter": False}
    drawn = {"generator": identity(bridge.generator), "judge": identity(bridge.reward)}
    return {"filter": True, **drawn, "images": args.images, "steps": args.steps}


def _judged(part: Path, setting: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Candidates judged in this setting by an earlier, interrupted command; a torn last line is judged again, and all of another setting."""
    lines = part.read_text(encoding="utf-8").splitlines(keepends=True) if part.is_file() else []
    whole = [line for line in lines if line.endswith("\n")]
    head = json.loads(whole[0]).get("setting") if whole else setting
    if head != setting:
        keys = sorted(setting.keys() | (head or {}).keys())
        changed = ", ".join(key for key in keys if (head or {}).get(key) != setting.get(key))
        remark(f"{part} holds verdicts made otherwise (changed: {changed}): every candidate is judged anew")
    if head != setting or len(whole) < 1:
        whole = [json.dumps({"setting": setting}) + "\n"]
    if whole != lines:
        part.write_text("".join(whole), encoding="utf-8")
    return {row["id"]: row for row in map(json.loads, whole[1:])}


def _bridge(args: argparse.Namespace) -> Any:
    from rewards.bridge import Bridge
    from rewards.external import load_generator
    from rewards.shapes import ShapesJudge
    from rewards.store import Store

    if args.images < 1:
        raise ValueError(f"--images {args.images}: give at least 1")
    return Bridge(
        load_generator(args.generator),
        ShapesJudge("strict"),
        images_per_prompt=args.images,
        seed=args.seed,
        reseed="never",
        steps=args.steps,
        store=Store(),
        call_timeout_s=1800.0,
        name="sft_filter",
    )


def _judge(bridge: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How often the images of prompt and rewrite pass, and whether the pair is kept. Unknown is not kept."""
    from rewards.cases import Row

    if bridge is None:
        return [{"kept": True} for _ in rows]
    targets = [Row(row["id"], row["prompt"], row["spec"]) for row in rows]
    texts = [row["prompt"] for row in rows] + [row["rewrite"] for row in rows]
    outcomes = bridge.score_texts(targets * 2, texts, images=False)
    found = []
    for before, after in zip(outcomes[: len(rows)], outcomes[len(rows) :], strict=True):
        known = before.value is not None and after.value is not None
        found.append(
            {
                "pass_prompt": before.value,
                "pass_rewrite": after.value,
                "kept": known and after.value > before.value,
            }
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
