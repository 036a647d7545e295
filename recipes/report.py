"""`rewright report`: one self-contained page of an evaluation. Pictures, styles and charts are inside; nothing is fetched."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from recipes.terminal import say

_DESCRIPTION = """
Write report.html of an evaluation: the arms with their intervals, pictures before and after, key points, learning curves, costs. The page
needs no network and no files beside it.
"""
_EPILOG = """
examples:
  rewright report runs/demo
  rewright report runs/full --curves runs/sft --curves runs/grpo
"""
_SHOWN = 12  # prompts per set in the picture section; the first ones, not the best
_SEEDS_SHOWN = 4
_TAGS_SHOWN = 14


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "report",
        help="write report.html of an evaluation",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="an evaluation's folder: it holds evaluation.json")
    parser.add_argument(
        "--curves",
        type=Path,
        action="append",
        default=[],
        help="folder of a training run (may be given several times)",
    )
    parser.add_argument(
        "--also", type=Path, action="append", default=[], help="a further evaluation whose sets are shown too"
    )


def run(args: argparse.Namespace) -> int:
    if _evaluation(args.folder).get("suite") == "layout":
        from recipes.layout_report import write_report as write_layouts

        if args.curves or args.also:
            raise ValueError(
                f"{args.folder} is of the layout suite, whose report takes neither --curves nor --also"
            )
        say(str(write_layouts(args.folder)))
    else:
        say(str(write_report(args.folder, args.curves, args.also)))
    return 0


def write_report(folder: Path, curves: Sequence[Path] = (), also: Sequence[Path] = ()) -> Path:
    """Write `folder/report.html` and return its path. Raises FileNotFoundError where there is no evaluation."""
    evaluations = [(place, _evaluation(place)) for place in (*also, folder)]
    sets = [
        set_view(name, analysis, place / "sets" / name)
        for place, found in evaluations
        for name, analysis in found["sets"].items()
    ]
    main = evaluations[-1][1]
    html = render(
        "report.html.j2",
        sets=sets,
        headline=next((view for view in sets if view["name"] == main["headline"]), sets[0]),
        runs=[view for place in curves if (view := run_view(place))],
        stages=_stages(folder),
        settings=main["settings"],
        seconds=main["seconds"],
    )
    path = folder / "report.html"
    part = path.with_suffix(".part")
    part.write_text(html, encoding="utf-8")
    part.replace(path)
    return path


def render(template: str, **content: Any) -> str:
    """A page of recipes/templates, with the common style inside."""
    from jinja2 import Environment, StrictUndefined

    folder = files("recipes") / "templates"
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string((folder / template).read_text(encoding="utf-8"))
    return page.render(style=(folder / "style.css").read_text(encoding="utf-8"), **content)


def _evaluation(folder: Path) -> dict[str, Any]:
    path = folder / "evaluation.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; `rewright evaluate --output {folder}` writes it")
    return json.loads(path.read_text(encoding="utf-8"))


def _stages(folder: Path) -> list[tuple[str, float]]:
    path = folder / "stages.json"
    if not path.is_file():
        return []
    return [(name, entry["seconds"]) for name, entry in json.loads(path.read_text(encoding="utf-8")).items()]


def set_view(name: str, analysis: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the page says of one set of prompts."""
    from recipes.evaluate import title_of

    arms, ours = analysis["arms"], analysis["ours"]
    metric = analysis["metric"]
    return {
        "name": name,
        "title": title_of(name, analysis),
        "judged": analysis["judged"],
        "strict": metric == "strict",
        "metric": metric,
        "ours": ours,
        "seeds": analysis["n_seeds"],
        "prompts": analysis["n_prompts"],
        "arms": [{"name": arm, **entry, "bar": bar(entry[metric])} for arm, entry in arms.items()],
        "gap": analysis["gap_closed"],
        "paired": analysis["paired"],
        "versus": versus_rows(arms, ours),
        "tags": tag_rows(arms, ours),
        "atoms": atom_rows(arms),
        "pictures": picture_rows(
            folder, [arm for arm in dict.fromkeys(("original", "sft", ours or list(arms)[-1])) if arm in arms]
        ),
    }


def bar(interval: Mapping[str, float | None]) -> dict[str, float] | None:
    """Percent positions of a bar and its whisker; only for shares in [0, 1]."""
    mean, low, high = interval["mean"], interval["low"], interval["high"]
    if mean is None or low is None or high is None or not 0 <= low <= high <= 1:
        return None
    return {"mean": 100 * mean, "low": 100 * low, "width": 100 * (high - low)}


def versus_rows(arms: Mapping[str, Any], ours: str | None) -> list[dict[str, Any]]:
    """Win, tie and loss against the original, ours first."""
    named = [(arm, entry) for arm, entry in arms.items() if entry.get("versus_original")]
    named.sort(key=lambda pair: pair[0] != ours)
    return [{"name": arm, **entry["versus_original"]} for arm, entry in named]


def tag_rows(arms: Mapping[str, Any], ours: str | None) -> list[dict[str, Any]]:
    """Per key point the original, ours and the oracle; the most frequent key points first."""
    if ours is None or "original" not in arms:
        return []
    before, after = arms["original"]["by_tag"], arms[ours]["by_tag"]
    oracle = arms["oracle"]["by_tag"] if "oracle" in arms else {}
    tags = sorted((tag for tag in before if tag in after), key=lambda tag: -before[tag]["n"])[:_TAGS_SHOWN]
    return [
        {
            "tag": tag.replace("_", " "),
            "n": before[tag]["n"],
            "before": 100 * before[tag]["mean"],
            "after": 100 * after[tag]["mean"],
            "oracle": 100 * oracle[tag]["mean"] if tag in oracle else None,
        }
        for tag in tags
    ]


def atom_rows(arms: Mapping[str, Any]) -> list[tuple[str, list[float | None]]]:
    """Per kind of fact the mean of each arm, for kinds that any arm has."""
    kinds = list(next(iter(arms.values()))["atoms"])
    rows = [(kind, [entry["atoms"][kind] for entry in arms.values()]) for kind in kinds]
    return [(kind, values) for kind, values in rows if any(value is not None for value in values)]


def picture_rows(folder: Path, arms: Sequence[str]) -> list[dict[str, Any]]:
    """The first prompts with the images of each arm on the same seeds, and the verdict on each."""
    from recipes.measure import picture_path
    from recipes.pictures import data_uri, load_png

    answers = {arm: _lines(folder / f"{arm}.texts.jsonl") for arm in arms}
    verdicts = {
        arm: {(row["row_id"], row["k"]): row for row in _lines(folder / f"{arm}.rows.jsonl")} for arm in arms
    }
    rows = []
    for i, first in enumerate(answers[arms[0]][:_SHOWN] if arms else ()):
        row_id, shown = first["row_id"], []
        for arm in arms:
            images = []
            for k in range(_SEEDS_SHOWN):
                path = picture_path(folder, arm, row_id, k)
                if path.is_file():
                    images.append(
                        {"uri": data_uri(shrink(load_png(path))), **_verdict(verdicts[arm].get((row_id, k)))}
                    )
            answer = answers[arm][i]["answer"]
            shown.append(
                {
                    "arm": arm,
                    "text": answer["text"],
                    "changed": answer["changed"],
                    "reason": answer["reason"],
                    "images": images,
                }
            )
        rows.append({"prompt": first["prompt"], "arms": shown})
    return rows


def shrink(image: Any, longest: int = 256) -> Any:
    """Large images are shown small, so that a page stays a few megabytes."""
    import numpy as np
    from PIL import Image

    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _verdict(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """right is True, False, or None where nothing was judged; `words` is what a tooltip says."""
    if row is None or row["value"] is None:
        return {"right": None, "words": "not judged"}
    parts = row["parts"]
    if "strict" not in parts:
        return {"right": None, "words": f"{row['value']:.3f}"}
    wrong = [
        name
        for name in ("count", "shape", "color", "size", "relation", "background", "exclude", "extra")
        if parts.get(name, 1) < 1
    ]
    return {
        "right": parts["strict"] >= 1,
        "words": "all as asked" if parts["strict"] >= 1 else "wrong: " + ", ".join(wrong),
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]
    ]  # the first says what it was made from


def run_view(folder: Path) -> dict[str, Any] | None:
    """The curves of a training run, or None where it left none."""
    from recipes.curves import charts, read_series

    path = folder / "metrics.jsonl"
    if not path.is_file():
        return None
    series = read_series(path)
    drawn = charts(series)
    return {"name": folder.name, "charts": drawn, "cost": cost_of(series)} if drawn else None


_PARTS = {  # where a training step's time goes: name in the metrics, words for the page
    "time/rollout": "roll-out",
    "image_reward/generate_seconds": "images",
    "image_reward/score_seconds": "scoring",
    "time/train": "training",
    "time/sync": "weight sync",
}


def cost_of(series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """'120 steps in 14.2 min; a step 7.1 s: roll-out 2.0, images 3.1, …', as far as it was logged."""
    from statistics import median

    words = []
    if series.get("seconds"):
        step, seconds = series["seconds"][-1]
        words.append(f"{step:.0f} steps in {seconds / 60:.1f} min")
    parts = [
        f"{label} {median(v for _, v in series[name]):.1f} s"
        for name, label in _PARTS.items()
        if series.get(name)
    ]
    if series.get("step_time"):
        words.append(
            f"a step {median(v for _, v in series['step_time']):.1f} s"
            + (f": {', '.join(parts)}" if parts else "")
        )
    return "; ".join(words)
