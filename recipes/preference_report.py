"""`summary.json` and `report.html` of a preference run: reward before and after on the same seeds, pictures, learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipes.curves import ChartTable

CHARTS: ChartTable = (
    ("reward of the evaluation", (("", ("eval_reward",)),)),
    ("loss", (("training", ("loss",)), ("held-out pairs", ("eval_loss",)))),
    (
        "implicit accuracy",
        (("training", ("implicit_acc_half",)), ("held-out pairs", ("eval_implicit_acc_half",))),
    ),
    ("error above the reference's", (("winner", ("winner_error_gap",)), ("loser", ("loser_error_gap",)))),
    ("margin z", (("training", ("z",)), ("held-out pairs", ("eval_z",)))),
    ("slope of the loss, σ(−z)", (("", ("gradient_factor",)),)),
    ("scale of the loser's gradient", (("", ("loser_scale",)),)),
    ("norm of the gradient", (("", ("grad_norm",)),)),
)


def summary(output: Path, trainer: Any, watch: Any | None, step: int) -> dict[str, Any]:
    """Steps, seconds, pairs a second, last figures, and the paired change of the reward with its 95 % interval (prompts are the clusters)."""
    from recipes.run_record import MetricsLog
    from recipes.statistics import difference, draw_weights, mean_interval

    rows = MetricsLog(output).rows()
    trained = [row for row in rows if "loss" in row]
    found: dict[str, Any] = {
        "steps": step,
        "pairs": step * trainer.pairs_per_step,
        "seconds": round(trainer.seconds, 1),
        "pairs_per_second": round(step * trainer.pairs_per_step / trainer.seconds, 3)
        if trainer.seconds
        else None,
        "last": {k: v for k, v in (trained[-1] if trained else {}).items() if k not in ("step", "seconds")},
        "displacement": any(row.get("displacement") for row in rows),
        "stopped_early": trainer.early_stop.stopped,
        "reward": None,
    }
    if watch is not None and watch.reward is not None and {0, step} <= watch.values.keys():
        before, after = watch.values[0], watch.values[step]
        weights = draw_weights(len(before))
        found["reward"] = {
            "name": watch.reward.name,
            "prompts": before.shape[0],
            "seeds": before.shape[1],
            "before": mean_interval(before, weights).to_json(),
            "after": mean_interval(after, weights).to_json(),
            "difference": difference(after, before, weights).to_json(),
        }
    return found


def write_report(
    output: Path, config: Mapping[str, Any], found: Mapping[str, Any], watch: Any | None, step: int
) -> Path:
    """`output`/report.html: self-contained."""
    from recipes.curves import charts, read_series
    from recipes.report import render

    metrics = output / "metrics.jsonl"
    shown = (
        "model", "loss", "method_kwargs", "reference", "pairs", "learning_rate", "batch_size", "gradient_accumulation_steps", "max_steps",
        "lora_r", "draws_per_pair", "prompt_dropout", "seed",
    )  # fmt: skip
    html = render(
        "preference.html.j2",
        title=f"{config['loss']} on {config['model']}",
        found=found,
        charts=charts(read_series(metrics), CHARTS) if metrics.is_file() else [],
        settings=[(key, config[key]) for key in shown if config.get(key) not in (None, "")],
        sheets=[] if watch is None else _sheets(watch, step),
    )
    path = output / "report.html"
    part = path.with_suffix(".part")
    part.write_text(html, encoding="utf-8")
    part.replace(path)
    return path


def _sheets(watch: Any, step: int) -> list[dict[str, Any]]:
    """The first prompts with their pictures before and after, cut out of the two sheets."""
    from recipes.pictures import data_uri, load_png
    from recipes.preference_eval import SHOWN

    before, after = (load_png(watch.path(at, ".png")) for at in (0, step))
    rows = min(SHOWN, len(watch.prompts))
    height = (before.shape[0] + 4) // rows
    return [
        {
            "prompt": prompt.prompt,
            "before": data_uri(before[i * height : (i + 1) * height - 4]),
            "after": data_uri(after[i * height : (i + 1) * height - 4]),
            "values": [_mean(watch.values[at][i]) for at in (0, step)],
        }
        for i, prompt in enumerate(watch.prompts[:rows])
    ]


def _mean(values: Any) -> float | None:
    import numpy as np

    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
