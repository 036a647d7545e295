"""Put a trained layout model into the zoo, with a card that says what was measured and how.

rewright evaluate --suite layout --stage sft=runs/layout/sft/layout_lm --stage dpo2=runs/layout/dpo2/layout_lm --output runs/layout/evaluation
python -m recipes.layout_card --run runs/layout/sft --run runs/layout/dpo2 --figures runs/layout/evaluation/evaluation.json
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.layout_backends import EMBEDDED
from recipes.terminal import remark

MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")  # fmt: skip
COLUMNS = {
    "parse": "parsed", "oob_scene": "rooms out of bounds", "collision_scene": "rooms with a collision", "door_clear": "doors clear",
    "valid": "valid rooms", "hard": "hard faults a room", "oor": "OOR", "present": "asked-for objects present", "count_met": "counts met",
    "relation_met": "relations met", "objects": "objects a room", "seconds": "seconds a room",
}  # fmt: skip
_TEXT = """---
license: apache-2.0
library_name: rewright
pipeline_tag: text-generation
---
# rooms_llama

The embedded layout model of Rewright: a Llama of {weights:.1f} M weights with its own tokenizer of {tokens} tokens. It reads an empty room
and a request and writes a plan and the furniture as JSON. It was trained from scratch on rooms of the rule-based synthesiser and their
template-made requests; it has seen no real room and no user's sentence.

## Measured

n = {n} test rooms in equal parts of the four types, wordings that training never says, sampled at temperature {temperature}; means, the
intervals are in the evaluation's report. "single sample": one answer each in one pass, each piece held to the space that the room and the pieces
before it leave and to what the words say of its place. "schema alone": held to a schema of the words and the room's size, which is what the model
does by itself. "piece by piece": held to the space, and a piece that brings in a hard fault is written again. "free": not held. "no plan":
the schema alone, objects at once. "chance, held to the space": random choices under the same guide.
"synthesiser": the rule-based rooms themselves, the upper reference. Definitions: `layout.metrics`.

{table}

Reproduce: `{command}`. Synthetic rooms are easier than those of 3D-FRONT, and no human preference was collected: no figure here compares
with a published one.

## Training

{training}
Train on or again: `rewright train layout/sft/rooms_cpu`, then `layout/dpo/rooms_cpu_stage1` and `_stage2`.

## Limits

English requests close to the templates; categories of `layout.catalogue` only; rooms of four types up to 9 m, mostly rectangles. Relations
are heard where they are said in one breath ("the desk at the window"). By itself, without the space it is held to, it collides as "schema alone" says. Numbers above 1200 cm have no token.
"""


def card(
    runs: Sequence[Path], evaluation: Mapping[str, Any], size: Mapping[str, Any], notes: Sequence[str] = ()
) -> str:
    """The README of the model, from the folders of its runs in their order and evaluation.json of `rewright evaluate --suite layout`."""
    arms, settings = evaluation["synthetic"]["arms"], evaluation["settings"]
    found = {
        name: {figure: interval["mean"] for figure, interval in arm["figures"].items() if interval}
        for name, arm in arms.items()
    }
    shown = [c for c in COLUMNS if any(c in row for row in found.values())]
    lines = ["| arm | " + " | ".join(COLUMNS[c] for c in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(_cell(row.get(c)) for c in shown) + " |" for name, row in found.items()
    ]
    return _TEXT.format(
        **size,
        n=4 * settings["rooms"],
        temperature=settings["temperature"],
        command=f"rewright evaluate --suite layout --rooms {settings['rooms']} --seeds {settings['seeds']} --best-of {settings['best_of']}",
        table="\n".join(lines),
        training="\n".join([*map(trained, runs), *notes]) + "\n",
    )


def trained(run: Path) -> str:
    """One run in a line: what it was, how long, and the validation losses on the way."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    config, result = record["config"], record.get("result") or {}
    batch = config["per_device_train_batch_size"] * config["gradient_accumulation_steps"]
    what = "fresh rooms" if record["recipe"] == "layout_sft" else "pairs"
    losses = ", ".join(f"{step}: {loss:.3f}" for step, loss in validation_losses(run))
    planned = f" of {config['max_steps']} planned" if config["max_steps"] > 0 else ""
    return (
        f"- `{run.name}` ({record['recipe']}): {result['steps'] if result else 'stopped before its'} steps{planned} of {batch} {what}, learning rate "
        f"{config['learning_rate']:g}, {record['machine']['threads']} CPU threads. Validation loss by steps: {losses or 'not taken'}."
    )


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def validation_losses(run: Path) -> list[tuple[int, float]]:
    """(step, loss) of every evaluation of a run."""
    from recipes.run_record import MetricsLog

    return [(int(r["step"]), r["eval_loss"]) for r in MetricsLog(run).rows() if "eval_loss" in r]


def install(model: Path, target: Path) -> dict[str, Any]:
    """Copy a model's files and save its weights in half precision. Returns {"weights": millions, "tokens": vocabulary}."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float16)
    target.mkdir(parents=True, exist_ok=True)
    for name in MODEL_FILES:
        if (model / name).is_file() and name != "model.safetensors":
            shutil.copyfile(model / name, target / name)
    loaded.save_pretrained(target)
    return {
        "weights": sum(p.numel() for p in loaded.parameters()) / 1e6,
        "tokens": loaded.config.vocab_size,
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m recipes.layout_card", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--run",
        type=Path,
        action="append",
        required=True,
        help="folder of a training run; once for each, in order",
    )
    parser.add_argument("--model", type=Path, help="the model's folder (default: layout_lm of the last run)")
    parser.add_argument(
        "--figures", type=Path, required=True, help="evaluation.json of rewright evaluate --suite layout"
    )
    parser.add_argument("--note", action="append", default=[], help="a line more on the training")
    parser.add_argument("--output", type=Path, default=EMBEDDED, help=f"default: {EMBEDDED.name} of the zoo")
    args = parser.parse_args(argv)
    figures = json.loads(args.figures.read_text(encoding="utf-8"))
    size = install(args.model or args.run[-1] / "layout_lm", args.output)
    text = card(args.run, figures, size, args.note)
    (args.output / "README.md").write_text(text, encoding="utf-8")
    remark(f"wrote {args.output}")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main())
