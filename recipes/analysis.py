"""From the rows of all arms on one set of prompts to the figures that are reported.

Axes: P prompts, S seeds. All arms are compared on the samples that every arm has; how many each lost is said beside.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recipes.arms import ABOUT, Text
from recipes.evaluation_sets import Prompt
from recipes.statistics import (
    Interval,
    by_tag,
    complete_cases,
    difference,
    draw_weights,
    gap_closed,
    mean_interval,
    pass_at_k,
    win_tie_loss,
)

Rows = Sequence[Mapping[str, Any]]
ATOMS = ("count", "shape", "color", "size", "relation", "background", "exclude", "extra")
VERDICTS = ("strict", "shaped", "geneval", "tifa_am", "tifa_gm")
BASELINES = ("original", "template", "zero_shot", "rules", "sft", "sft_continued")
PREFERENCE = (
    "grpo",
    "rewriter",
    "sft_continued",
    "sft",
)  # which trained arm is "ours", the first that is there


def main_arm(arms: Sequence[str]) -> str | None:
    """The arm that the headline is about: GRPO where there is one, else the last trained arm."""
    trained = [arm for arm in arms if arm not in ("original", "template", "zero_shot", "rules", "oracle")]
    return next((arm for arm in PREFERENCE if arm in trained), trained[-1] if trained else None)


def score_table(rows: Rows, prompts: Sequence[Prompt], seeds: int, part: str | None) -> np.ndarray:
    """(P, S) of a part, or of the value itself for None; NaN where there is none."""
    place = {prompt.row_id: i for i, prompt in enumerate(prompts)}
    scores_PS = np.full((len(prompts), seeds), np.nan)
    for row in rows:
        held = row["value"] if part is None else row["parts"].get(part)
        if held is not None:
            scores_PS[place[row["row_id"]], row["k"]] = held
    return scores_PS


def analyse(
    prompts: Sequence[Prompt],
    texts: Mapping[str, Sequence[Text]],
    rows: Mapping[str, Rows],
    *,
    seeds: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything `evaluation.json` says of one set."""
    arms = list(rows)
    weights_DP = draw_weights(len(prompts), seed=seed)
    judged = any("strict" in row["parts"] for found in rows.values() for row in found)
    values = {arm: score_table(found, prompts, seeds, None) for arm, found in rows.items()}
    # A reward of the user's own has a value and no verdicts: then the value is what the headline is about.
    headline = (
        {arm: score_table(found, prompts, seeds, "strict") for arm, found in rows.items()}
        if judged
        else values
    )
    kept_PS = complete_cases(headline)
    ours, tags = main_arm(arms), [prompt.tags for prompt in prompts]
    found: dict[str, Any] = {
        "metric": "strict" if judged else "value",
        "judged": bool(kept_PS.any()),
        "n_prompts": len(prompts),
        "n_seeds": seeds,
        "n_samples": int(kept_PS.sum()),
        "ours": ours,
        "arms": {},
        "paired": {},
        "gap_closed": Interval(None).to_json(),
    }
    tables = {
        name: {arm: score_table(r, prompts, seeds, name) for arm, r in rows.items()}
        for name in (*VERDICTS, *ATOMS)
    }
    for arm in arms:
        entry: dict[str, Any] = {
            "about": ABOUT.get(arm, "a trained rewriter"),
            "n_prompts": len(prompts),
            "n_seeds": seeds,
        }
        entry["n_missing"] = int((~np.isfinite(headline[arm])).sum())
        for name in VERDICTS:
            entry[name] = mean_interval(
                tables[name][arm], weights_DP, kept_PS & np.isfinite(tables[name][arm])
            ).to_json()
        entry["value"] = mean_interval(values[arm], weights_DP, kept_PS & np.isfinite(values[arm])).to_json()
        entry["pass_at_k"] = (
            pass_at_k(headline[arm], weights_DP).to_json() if judged else Interval(None).to_json()
        )
        entry["atoms"] = {name: _mean(tables[name][arm], kept_PS) for name in ATOMS}
        entry["by_tag"] = {
            tag: {"mean": m, "n": n} for tag, (m, n) in by_tag(headline[arm], tags, kept_PS).items()
        }
        entry |= _text_figures(prompts, texts[arm]) | _image_figures(rows[arm])
        if arm != "original" and "original" in arms:
            versus = win_tie_loss(headline[arm], headline["original"], weights_DP, kept_PS)
            shaped = win_tie_loss(tables["shaped"][arm], tables["shaped"]["original"], weights_DP, kept_PS)
            entry["versus_original"] = versus.to_json() if versus else None
            entry["versus_original_shaped"] = shaped.to_json() if shaped else None
        if "original" in arms and "oracle" in arms and arm not in ("original", "oracle"):
            trio = (headline[arm], headline["original"], headline["oracle"])
            entry["gap_closed"] = gap_closed(*trio, weights_DP, kept_PS).to_json()
        found["arms"][arm] = entry
    if ours is not None:
        found["gap_closed"] = found["arms"][ours].get("gap_closed", found["gap_closed"])
    for arm, base in _pairs(arms, ours):
        found["paired"][f"{arm}-{base}"] = difference(
            headline[arm], headline[base], weights_DP, kept_PS
        ).to_json()
    return found


def _pairs(arms: Sequence[str], ours: str | None) -> list[tuple[str, str]]:
    pairs = [(ours, base) for base in BASELINES if base in arms and base != ours] if ours else []
    pairs += [(arm, "original") for arm in arms if arm not in ("original", ours) and "original" in arms]
    others = [arm for arm in arms if arm not in (*BASELINES, "oracle", ours)]  # other seeds, other methods
    return pairs + [(arm, base) for arm in others for base in ("sft", "sft_continued") if base in arms]


def _mean(scores_PS: np.ndarray, kept_PS: np.ndarray) -> float | None:
    chosen = kept_PS & np.isfinite(scores_PS)
    return float(scores_PS[chosen].mean()) if chosen.any() else None


def _text_figures(prompts: Sequence[Prompt], texts: Sequence[Text]) -> dict[str, Any]:
    """Length, how often the prompt came back unchanged, and what the guards said."""
    words = np.array([len(text.text.split()) for text in texts])
    before = np.array([len(prompt.prompt.split()) for prompt in prompts])
    return {
        "words": {
            "mean": float(words.mean()),
            "p95": float(np.percentile(words, 95)),
            "original_mean": float(before.mean()),
        },
        "changed_rate": float(np.mean([text.changed for text in texts])),
        "fallback_rate": float(np.mean([text.fallback for text in texts])),
        "fallback_reasons": dict(
            Counter(text.reason for text in texts if text.fallback and text.reason).most_common()
        ),
        "violation_rate": float(np.mean([bool(text.violations) for text in texts])),
        "violations": dict(Counter(code for text in texts for code in text.violations).most_common()),
    }


def _image_figures(rows: Rows) -> dict[str, Any]:
    drawn = [row["image"] for row in rows if row["image"]]
    if not drawn:
        return {"images": None}
    return {"images": {name: math.fsum(image[name] for image in drawn) / len(drawn) for name in drawn[0]}}


def summary(analysis: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """What `summary.json` holds: means per arm, the share of the oracle gap closed, paired differences.

    `strict` is the value of the reward where that has no verdicts, and null where nothing could be judged.
    """
    judged = analysis["metric"] == "strict"
    arms = {
        arm: {
            "strict": entry["strict" if judged else "value"]["mean"],
            "shaped": entry["shaped" if judged else "value"]["mean"],
            "n_prompts": entry["n_prompts"],
            "n_seeds": entry["n_seeds"],
        }
        for arm, entry in analysis["arms"].items()
    }
    return {
        "seconds": round(seconds, 1),
        "arms": arms,
        "gap_closed": analysis["gap_closed"],
        "paired": analysis["paired"],
    }
