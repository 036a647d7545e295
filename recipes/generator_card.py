"""Measure a generator of the shapes world and write its model card.

    python -m recipes.generator_card                       # the embedded generator, 600 held-out captions, prints the table
    python -m recipes.generator_card --model runs/generator/generator --run runs/generator --write

The captions are canonical, of held-out scenes in the committed mix, one seed each; the user-style prompts are of held-out templates and
scenes. Intervals are Wilson's at 95 %.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recipes.terminal import say

SEED = 20_261_122  # of the evaluation scenes; a training batch draws from [seed, step] and never from this stream


def wilson(hits: float, n: int) -> tuple[float, float]:
    """95 % interval of a share."""
    z, p = 1.96, hits / n
    centre, half = p + z * z / (2 * n), z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def measure(generator: Any, n: int = 600, seed: int = SEED) -> dict[str, Any]:
    """Accuracy on `n` canonical captions and `n` user-style prompts; every figure a mean over images."""
    import torch

    from diffusion_core.types import GenerationRequest
    from diffusion_core.worlds.shapes import caption, sample_spec
    from diffusion_core.worlds.shapes.users import sample_user_prompt, templates_of
    from rewards.base import Item, Media
    from rewards.shapes import ShapesJudge
    from rewards.shapes_verdict import KINDS

    rng = np.random.default_rng(seed)
    specs = [sample_spec(rng, split="held_out") for _ in range(n)]
    users = [sample_user_prompt(rng, split="held_out", templates=templates_of("held_out")) for _ in range(n)]
    report: dict[str, Any] = {"n": n, "steps": generator.steps, "guidance": generator.guidance}
    for name, prompts, targets in (
        ("canonical", [caption(s) for s in specs], specs),
        ("user_style", [u.text for u in users], [u.spec for u in users]),
    ):
        began = time.perf_counter()
        samples = generator.generate(
            [GenerationRequest(prompt, seed + i) for i, prompt in enumerate(prompts)]
        )
        seconds = time.perf_counter() - began
        items = [Item(p, p, s.to_json()) for p, s in zip(prompts, targets, strict=True)]
        scores = ShapesJudge("strict").score(Media(torch.stack([s.pixels for s in samples])), items)
        strict = scores.value.numpy()
        counts = np.array([min(s.total[0], 4) for s in targets])
        report[name] = {
            "strict": float(strict.mean()),
            "interval": wilson(strict.sum(), n),
            "atoms": float(scores.parts["shaped"].mean()),
            "one_and_two": float(strict[counts <= 2].mean()),
            "by_objects": {int(k): float(strict[counts == k].mean()) for k in np.unique(counts)},
            "by_kind": {
                kind: float(scores.parts[kind].nanmean())
                for kind in KINDS
                if not scores.parts[kind].isnan().all()
            },
            "images_per_second": n / seconds,
        }
    return report


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    rows = ["| figure | canonical captions | user-style prompts |", "|---|---|---|"]
    both = (report["canonical"], report["user_style"])
    for label, get in (
        ("strict accuracy", lambda r: f"{r['strict']:.3f} ({r['interval'][0]:.3f}–{r['interval'][1]:.3f})"),
        ("strict, one and two objects", lambda r: f"{r['one_and_two']:.3f}"),
        *((f"strict, {k} object{'s' * (k > 1)}", lambda r, k=k: f"{r['by_objects'].get(k, float('nan')):.3f}") for k in (1, 2, 3, 4)),
        ("mean of atoms", lambda r: f"{r['atoms']:.3f}"),
        *((f"atom: {kind}", lambda r, kind=kind: f"{r['by_kind'][kind]:.3f}" if kind in r["by_kind"] else "–")
          for kind in ("count", "shape", "color", "size", "relation", "background", "exclude", "extra")),
        ("images per second", lambda r: f"{r['images_per_second']:.1f}"),
    ):  # fmt: skip
        rows.append(f"| {label} | {get(both[0])} | {get(both[1])} |")
    return "\n".join(rows)


def kernel(manifest: Mapping[str, Any]) -> str:
    """The sampler in words, from `generator.json`."""
    eta = manifest.get("eta", 0.0)
    return f"DDIM steps with fresh noise (eta {eta:g})" if eta else "Euler steps"


def layers(count: int | None) -> str:
    words = {1: "one-layer", 2: "two-layer", 3: "three-layer", 4: "four-layer"}
    return words.get(count or 0, f"{count}-layer" if count else "small")


def compute(run: Mapping[str, Any]) -> str:
    """What a run was computed with, from its `run.json`: "on 2 CPU processes of 1 thread each"."""
    processes, threads = run["args"].get("processes", 1), run["threads"]
    counted = f"{threads} thread{'s' * (threads != 1)}"
    return f"on {processes} CPU processes of {counted} each" if processes > 1 else f"on {counted} of a CPU"


def history(run: Path) -> str:
    """The card's section on training, from what the run has left."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    last, record = rows[-1], json.loads((run / "run.json").read_text(encoding="utf-8"))
    curve = ", ".join(f"{r['samples'] // 1000} k: {r['loss']:.3f}" for r in rows[:: max(1, len(rows) // 8)])
    return (
        f"\n## Training\n\n{last['samples']:,} samples in {last['seconds'] / 3600:.2f} hours {compute(record)}, "
        f"loss {last['loss']:.4f}.\nLoss by samples seen: {curve}.\n"
    )


def card(report: dict[str, Any], manifest: Mapping[str, Any], run: Path | None) -> str:
    """README.md of the weights: what they are, what they can do, how they were made."""
    canvas = manifest["canvas"]
    return f"""---
license: apache-2.0
library_name: rewright
pipeline_tag: text-to-image
---
# shapes_dit

The embedded generator of Rewright: a PixArt-class transformer in pixel space with a {layers(manifest.get("text_layers"))} BERT text encoder and a word tokenizer,
flow matching with {manifest["prediction"]} prediction, {canvas} x {canvas} pixels, {report["steps"]} {kernel(manifest)}, guidance {report["guidance"]}.
It was trained from scratch on procedurally drawn scenes and canonical captions alone; it has seen no photograph and no user's prompt.

## Accuracy

n = {report["n"]} held-out scenes in the committed mix, one seed each, judged by the exact detector; intervals are Wilson's at 95 %.

{table(report)}

Reproduce: `python -m recipes.generator_card`. Train on: `rewright train generator/shapes_dit_cpu`.
{history(run) if run is not None else ""}
## Limits

It knows about 50 words. Synonyms, negation, pronouns, other languages and vague counts are unknown to it by design: a rewriter's work.
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shapes", help="zoo name or generator folder")
    parser.add_argument("--n", type=int, default=600, help="captions and user prompts each")
    parser.add_argument("--steps", type=int, help="sampling steps instead of the model's own")
    parser.add_argument("--guidance", type=float, help="guidance weight instead of the model's own")
    parser.add_argument(
        "--run", type=Path, help="training run whose metrics.jsonl and run.json go into the card"
    )
    parser.add_argument(
        "--write", action="store_true", help="write README.md and accuracy.json into the model's folder"
    )
    args = parser.parse_args(argv)
    from diffusion_core.generator import EMBEDDED, Generator

    generator = Generator.from_pretrained(args.model).defaults(steps=args.steps, guidance=args.guidance)
    report = measure(generator, args.n)
    say(table(report))
    if args.write:
        folder = EMBEDDED.get(args.model, Path(args.model))
        manifest = json.loads((folder / "generator.json").read_text(encoding="utf-8"))
        (folder / "README.md").write_text(card(report, manifest, args.run), encoding="utf-8")
        (folder / "accuracy.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
