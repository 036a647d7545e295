"""What the exact tier leaves behind: tables in Markdown and on the terminal, pictures, one page of HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from recipes.bench.exact import displacement
from recipes.bench.exact.displacement_plot import picture
from recipes.bench.exact.plane import plane
from recipes.bench.exact.summary import KL_RANGE
from recipes.terminal import table

Summary = Mapping[str, Any]
CONTROLS = ("diffusion_dpo", "control: labels swapped", "control: labels random")
SOURCES = {"own": "own samples", "near": "near pairs", "foreign": "foreign winners"}


def write(folder: Path, found: Sequence[Summary], summary: Summary) -> None:
    """exact.json (every point), summary.json, tables.md, an SVG of every plane, and report.html with all of it."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = pictures(summary)
    texts = {
        "exact.json": json.dumps({"scale": summary["scale"], "settings": list(found)}) + "\n",
        "summary.json": as_json(summary),
        "tables.md": "\n\n".join(markdown(name, summary) for name in TABLES) + "\n",
        "report.html": page(summary, drawn),
        **drawn,
    }
    for name, content in texts.items():
        (folder / name).write_text(content, encoding="utf-8")


def pictures(summary: Summary) -> dict[str, str]:
    """SVGs by file name."""
    found = {}
    for setting in summary["settings"]:
        name = setting["where"].replace(", ", "-")
        found[f"{name}.svg"] = plane(
            setting["positions"], setting["start"], setting["frontier"], setting["where"]
        )
        if setting["displacement"]:
            found[f"displacement-{name}.svg"] = picture(setting["displacement"], setting["where"])
    return found


def plus_minus(middle: float | None, half: float | None, form: str) -> str:
    if middle is None:
        return "–"
    return format(middle, form) + (f" ± {half:{form.lstrip('+')}}" if half is not None else "")


def percent(row: Mapping[str, Any]) -> str:
    half = row["share_half"]
    return plus_minus(100 * row["share"], None if half is None else 100 * half, ".0f")


def best_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """A line a method, a column a setting: share, and where on its dial."""
    settings = summary["settings"]
    names = dict.fromkeys(row["method"] for s in settings for row in s["positions"])
    lines = []
    for name in names:
        cells = []
        for setting in settings:
            row = setting["best"].get(name)
            cells.append("–" if row is None else f"{percent(row)} (at {row['dial']:g}, KL {row['kl']:.2f})")
        lines.append([name, *cells])
    return ["method", *(s["where"] for s in settings)], lines


def control_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Gain in mean reward at the same beta by right, swapped and random labels, and the KL of the last."""
    header = ["setting", "β", "right labels", "swapped", "random", "KL: right", "swapped", "random"]
    lines = []
    for setting in summary["settings"]:
        mine = {name: [r for r in setting["positions"] if r["method"] == name] for name in CONTROLS}
        for rows in zip(*mine.values(), strict=False):  # none where a subset of methods leaves one out
            gains = [plus_minus(row["gain"], row["gain_half"], "+.3f") for row in rows]
            kls = [plus_minus(row["kl"], None, ".3f") for row in rows]
            lines.append([setting["where"], f"{rows[0]['dial']:g}", *gains, *kls])
    return header, lines


def displacement_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """A line a (setting, source, beta): Diffusion-DPO's loss and accuracy, and beside it what its cures do with the winner."""
    methods = list(displacement.METHODS)
    header = ["pairs", "β", "loss of DPO", "its accuracy", "its KL"]
    header += [
        f"winner's error: {methods[0]}",
        *methods[1:],
        "mass before",
        *(f"after: {m}" for m in methods),
    ]
    lines = []
    for setting in summary["settings"]:
        for source, rows in setting["displacement"].items():
            for beta in dict.fromkeys(row["beta"] for row in rows):
                at = {row["method"]: row for row in rows if row["beta"] == beta}
                dpo = at[methods[0]]
                errors = [plus_minus(at[m]["winner"], at[m]["winner_half"], "+.2g") for m in methods]
                masses = [plus_minus(at[m]["mass"], None, ".2f") for m in methods]
                loss = f"{dpo['curve']['loss'][0]:.2f} → {plus_minus(dpo['loss'], None, '.2f')}"
                accuracy = plus_minus(dpo["accuracy"], None, ".2f")
                before = plus_minus(dpo["mass_before"], None, ".2f")
                where = f"{setting['where']}: {SOURCES.get(source, source)}"
                lines.append(
                    [
                        where,
                        f"{beta:g}",
                        loss,
                        accuracy,
                        plus_minus(dpo["kl"], None, ".2f"),
                        *errors,
                        before,
                        *masses,
                    ]
                )
    return header, lines


def sweep_rows(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Every position of every dial."""
    header, lines = ["setting", "method", "dial", "KL", "gain in reward", "share %"], []
    for setting in summary["settings"]:
        for row in setting["positions"]:
            share = "–" if row["share"] is None else percent(row)
            kl = "diverged" if row["diverged"] else f"{row['kl']:.3f}"
            gain = plus_minus(row["gain"], row["gain_half"], "+.3f")
            lines.append([setting["where"], row["method"], f"{row['dial']:g}", kl, gain, share])
    return header, lines


TABLES = {
    "best": (
        best_rows,
        f"Share of the frontier's gain at equal KL, %: mean ± 95 % interval over seeds; the best position of the dial with KL in {KL_RANGE}",
    ),
    "controls": (control_rows, "Gain in mean reward by Diffusion-DPO with right, swapped and random labels"),
    "displacement": (displacement_rows, "Likelihood displacement: held-out pairs, and where the samples end"),
    "sweep": (sweep_rows, "Every position of every dial"),
}


def markdown(name: str, summary: Summary) -> str:
    """One of TABLES as Markdown."""
    header, lines = TABLES[name][0](summary)
    rule = "|".join(["---"] * len(header))
    return "\n".join(
        ["| " + " | ".join(header) + " |", f"|{rule}|", *("| " + " | ".join(x) + " |" for x in lines)]
    )


def fill(page_text: str, summary: Summary) -> str:
    """A page with what stands between `<!-- table: name -->` and `<!-- end -->` replaced by that table."""

    def table_of(found: re.Match[str]) -> str:
        return f"<!-- table: {found[1]} -->\n{markdown(found[1], summary)}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", table_of, page_text, flags=re.DOTALL)


def publish(page_path: Path, summary: Summary) -> None:
    """Fill a page, and put pictures, every position and the results themselves into the folder of its name."""
    beside = page_path.with_suffix("")
    beside.mkdir(exist_ok=True)
    page_path.write_text(fill(page_path.read_text(encoding="utf-8"), summary), encoding="utf-8")
    about = f"# Small worlds: {TABLES['sweep'][1].lower()}\n\nMean ± 95 % interval over seeds.\n\n"
    texts = {"summary.json": as_json(summary), "sweep.md": about + markdown("sweep", summary) + "\n"}
    for name, content in (texts | pictures(summary)).items():
        (beside / name).write_text(content, encoding="utf-8")


def as_json(summary: Summary) -> str:
    """One setting a line."""
    settings = ",\n".join(json.dumps(s, separators=(",", ":")) for s in summary["settings"])
    rest = json.dumps({k: v for k, v in summary.items() if k != "settings"})
    return f'{rest[:-1]}, "settings": [\n{settings}\n]}}\n'


def text(summary: Summary) -> str:
    """All tables for the terminal."""
    parts = []
    for rows, title in TABLES.values():
        header, lines = rows(summary)
        if lines:
            parts.append(f"{title}\n\n{table(header, lines)}")
    return "\n\n".join(parts)


def page(summary: Summary, drawn: Mapping[str, str]) -> str:
    """HTML without anything from elsewhere."""
    body = "\n".join(f"<figure>{svg}</figure>" for svg in drawn.values())
    style = (
        "body{font-family:sans-serif;max-width:70rem;margin:2rem auto} pre{overflow-x:auto;font-size:12px}"
    )
    return (
        f"<!doctype html><meta charset='utf-8'><title>Small worlds</title><style>{style}</style>\n"
        "<h1>Small worlds: preference losses beside the best possible</h1>\n"
        "<p>Mixtures on a line and in a plane, networks of some thousand weights. Not images.</p>\n"
        f"{body}\n<pre>{escape(text(summary))}</pre>\n"
    )
