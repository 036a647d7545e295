"""Put a trained layout model into the zoo, with a card that says what was measured and how.

python -m recipes.layout_measure --model runs/layout/sft/layout_lm --rooms 100 --best-of 8 --output runs/layout/sft/measured.json
python -m recipes.layout_card --run runs/layout/sft --figures runs/layout/sft/measured.json
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
    "valid_scene": "valid rooms", "oor": "OOR", "present": "asked-for objects present", "count_met": "counts met",
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

n = {n} test rooms in equal parts of the four types, wordings that training never says, sampled at temperature {temperature}. "constrained":
one answer each, as the model gave it, held to the schema of its own plan. "repaired": these after bounded repair. "free": without the
schema. "no plan": objects at once. "synthesiser": the rule-based rooms themselves, the upper reference. Definitions: `layout.metrics`.

{table}

Reproduce: `{command}`. Synthetic rooms are easier than those of 3D-FRONT, and no human preference was collected: no figure here compares
with a published one.

## Training

{training}
Train on or again: `rewright train layout/sft/rooms_cpu`.

## Limits

English requests close to the templates; categories of `layout.catalogue` only; rooms of four types up to 7.6 m. Relations in a request
are followed as far as the table says and are not checked at generation. Numbers above 1000 cm were never seen.
"""


def card(
    run: Mapping[str, Any],
    steps: int,
    losses: Sequence[tuple[int, float]],
    figures: Mapping[str, Any],
    size: Mapping[str, Any],
) -> str:
    """The README of the model, from run.json, the steps it was trained, (step, validation loss) pairs, and the figures of `recipes.layout_measure`."""
    found = {name: value for name, value in figures.items() if name != "of"}
    shown = [c for c in COLUMNS if any(c in row for row in found.values())]
    lines = ["| figure | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    lines += [
        f"| {COLUMNS[c]} | " + " | ".join(_cell(row.get(c)) for row in found.values()) + " |" for c in shown
    ]
    of = figures["of"]
    return _TEXT.format(
        **size,
        n=next(iter(found.values()))["n"],
        temperature=of["temperature"],
        command=f"python -m recipes.layout_measure --rooms {of['rooms']} --temperature {of['temperature']} --seed {of['seed']}"
        + (f" --best-of {of['best_of']}" if of["best_of"] else ""),
        table="\n".join(lines),
        training=_training(run, steps, losses),
    )


def _training(run: Mapping[str, Any], steps: int, losses: Sequence[tuple[int, float]]) -> str:
    config = run["config"]
    batch = config["per_device_train_batch_size"] * config["gradient_accumulation_steps"]
    whole = steps == config["max_steps"]
    state = (
        "the whole run"
        if whole
        else "a checkpoint of a run that was still going on, its learning rate not yet lowered"
    )
    told = ", ".join(f"{step}: {loss:.3f}" for step, loss in losses if step <= steps)
    return (
        f"{steps} of {config['max_steps']} steps of {batch} fresh rooms on {run['machine']['threads']} thread of a CPU: {state}.\n"
        f"Validation loss in nats a token by steps: {told or 'not yet measured'}.\n"
    )


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def validation_losses(run: Path) -> list[tuple[int, float]]:
    """(step, loss) of every evaluation of a run."""
    from recipes.run_record import MetricsLog

    return [(int(r["step"]), r["eval_loss"]) for r in MetricsLog(run).rows() if "eval_loss" in r]


def steps_of(run: Mapping[str, Any], model: Path) -> int:
    """Training steps behind the weights in a folder: a checkpoint's own, else those of the finished run."""
    from recipes.resume import state_of

    state = state_of(model)
    return state["global_step"] if state is not None else run["result"]["steps"]


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
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--model", type=Path, help="the model's folder (default: RUN/layout_lm)")
    parser.add_argument("--figures", type=Path, required=True, help="what layout_measure --output wrote")
    parser.add_argument("--output", type=Path, default=EMBEDDED, help=f"default: {EMBEDDED.name} of the zoo")
    args = parser.parse_args(argv)
    record = json.loads((args.run / "run.json").read_text(encoding="utf-8"))
    figures = json.loads(args.figures.read_text(encoding="utf-8"))
    model = args.model or args.run / "layout_lm"
    size = install(model, args.output)
    text = card(record, steps_of(record, model), validation_losses(args.run), figures, size)
    (args.output / "README.md").write_text(text, encoding="utf-8")
    remark(f"wrote {args.output}")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main())
