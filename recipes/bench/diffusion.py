"""`rewright bench diffusion --tier exact`: every loss where the best possible is known. Small worlds, not images.

A small network learns a mixture; pairs are drawn from *its own* samples and labelled by one Bradley–Terry draw each (smpo alone is also
told the true probability of each label, which is what its soft labels stand for). inpo inverts with the reference network. Of that sampled
distribution q the best at every distance is the tilt q exp(r/λ), so a method's figure is its gain in reward divided by the greatest gain at
the same KL from q. Each method sweeps its own dial over all seeds at once; the seed is the unit of every mean and interval.

One task is a method in a setting (a world under a process). Tasks run on all cores, one thread each, and leave a file when done: a command
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import ast
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import diffusion_core
from recipes.bench.exact import displacement, report
from recipes.bench.exact.methods import FULL, METHODS, QUICK, Scale
from recipes.bench.exact.placing import baselines, place
from recipes.bench.exact.setting import Setting, load_or_prepare
from recipes.bench.exact.summary import best, displaced, methods_at, positions, rounded
from recipes.terminal import progress, remark, say, spell_seconds

Result = dict[str, Any]
DISPLACEMENT = tuple(
    f"displacement: {name}" for name in displacement.SOURCES
)  # tasks that are not a method's
DISPLACED_WORLDS = ("line",)


def run(
    folder: Path,
    tier: str = "exact",
    quick: bool = False,
    only: Sequence[str] = (),
    workers: int | None = None,
    page: Path | None = None,
) -> dict[str, float]:
    """All methods on all worlds; returns the best share of each within KL_RANGE, by setting, and how many losses reach 80 % in all of them.

    `folder` receives exact.json with every point, summary.json with what the tables say, tables.md, report.html and an SVG of each plane
    (its `subset` where not all methods are asked for), and keeps what is done for the next run. `workers`: processes, as many as there are
    cores by default; 1 stays in this one. `page`: a Markdown page whose tables are to be these. Raises ValueError for what is unknown or
    does not go together, before anything is trained.
    """
    if tier != "exact":
        raise ValueError(f"unknown tier {tier!r}; known: exact")
    unknown = [name for name in only if name not in METHODS]
    if unknown:
        raise ValueError(f"unknown method {unknown[0]!r}; known: {', '.join(METHODS)}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers} must be at least 1")
    if page is not None and (quick or only or not page.is_file()):
        raise ValueError(f"page={page} must be a file, and is filled by a full run of all methods only")
    scale, began = QUICK if quick else FULL, time.monotonic()
    workers = workers or os.cpu_count() or 1
    settings = [(world, process) for world in scale.worlds for process in scale.processes]
    parts = folder / "parts" / fingerprint(scale)
    names = list(only or METHODS)
    extra = () if only else DISPLACEMENT  # they take longest and so come first
    tasks: list[Task] = [(s, name) for name in extra for s in settings if s[0] in DISPLACED_WORLDS]
    tasks += [(setting, name) for name in names for setting in settings]
    with pool(workers) as submit:
        finish(submit, "references", [(s, None) for s in settings], scale, parts)
        finish(submit, "methods", tasks, scale, parts)
    found = [
        gather(setting, [name for s, name in tasks if s == setting], scale, parts) for setting in settings
    ]
    seconds = time.monotonic() - began
    summary = rounded({"scale": asdict(scale), "settings": [summarise(setting) for setting in found]})
    written = folder / "subset" if only else folder
    report.write(written, found, summary)
    if page is not None:
        report.publish(page, summary)
    say(report.text(summary))
    remark(f"{spell_seconds(seconds)} with {workers} process(es); everything is in {written}")
    figures = {
        f"{s['where']}: {name}": row["share"] for s in summary["settings"] for name, row in s["best"].items()
    }
    passed = methods_at([s["best"] for s in summary["settings"]], 0.8, METHODS)
    return {**figures, "methods_at_80_percent": passed, "seconds": round(seconds, 1)}


def summarise(setting: Result) -> Result:
    """What the tables and pictures say of a setting."""
    places = positions(setting["rows"], setting["start"])
    moved = {name: displaced(rows) for name, rows in setting["displacement"].items()}
    kept = {k: v for k, v in setting.items() if k != "rows"}
    return {**kept, "positions": places, "best": best(places), "displacement": moved}


def fingerprint(scale: Scale) -> str:
    """Of all that a kept result depends on beside its method: amounts, and the source of what trains and measures."""
    amounts = {k: v for k, v in asdict(scale).items() if k not in ("worlds", "processes")}
    core, here = Path(diffusion_core.__file__).parent, Path(__file__).parent / "exact"
    sources = [here / f"{name}.py" for name in ("setting", "training", "placing", "stacked")]
    sources += [core / f"{name}.py" for name in ("noising", "sampling", "kernels")]
    sources += sorted(p for part in ("losses", "processes", "worlds") for p in (core / part).glob("*.py"))
    text = json.dumps(amounts, sort_keys=True) + "".join(map(source_of, sources))
    return sha256(text.encode()).hexdigest()[:12]


def source_of(path: Path) -> str:
    """Without comments and layout, which change no result."""
    return ast.dump(ast.parse(path.read_text(encoding="utf-8")))


Task = tuple[tuple[str, str], str | None]  # (world, process), and a method's name; None prepares the setting


@contextmanager
def pool(workers: int) -> Iterator[Callable[..., Any]]:
    """`submit(function, *args)`, which returns a future; with one worker it computes at once and here."""
    if workers == 1:
        yield at_once
        return
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as executor:
        yield executor.submit


def at_once(function: Callable[..., Any], *args: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(function(*args))
    return future


def finish(submit: Callable[..., Any], title: str, tasks: Sequence[Task], scale: Scale, parts: Path) -> None:
    """Do what is not done yet, and say how long is left."""
    left = [task for task in tasks if not part_of(task, parts).is_file()]
    if len(left) < len(tasks):
        remark(f"{title}: {len(tasks) - len(left)} of {len(tasks)} are there from an earlier run")
    with progress(title, len(left)) as ticker:
        futures = [submit(do, task, scale, parts) for task in left]
        for future in as_completed(futures):
            future.result()
            ticker.advance()


def part_of(task: Task, parts: Path) -> Path:
    (world, process), name = task
    if name is None:
        return parts / f"{world}-{process}.pt"
    turned = (
        json.dumps(asdict(METHODS[name]), sort_keys=True)
        if name in METHODS
        else source_of(Path(displacement.__file__))
    )
    slug = "".join(c if c.isalnum() else "_" for c in name)
    return parts / f"{world}-{process}-{slug}-{sha256(turned.encode()).hexdigest()[:8]}.json"


def do(task: Task, scale: Scale, parts: Path) -> None:
    """One task, its result written whole or not at all."""
    (world, process), name = task
    setting = load_or_prepare(world, process, scale, part_of((task[0], None), parts))
    if name is None:
        return
    began = time.process_time()
    if name in DISPLACEMENT:
        result = displacement.measure(setting, name.partition(": ")[2], scale)
    else:
        result = [{"method": name, **row} for row in place(setting, METHODS[name].under(process), scale)]
    path = part_of(task, parts)
    partial = path.with_suffix(".tmp")
    kept = {"cpu_seconds": time.process_time() - began, "rows": result}
    partial.write_text(json.dumps(kept) + "\n", encoding="utf-8")
    partial.replace(path)


def gather(where: tuple[str, str], names: Sequence[str], scale: Scale, parts: Path) -> Result:
    """A setting's results, read back from their files."""
    setting: Setting = load_or_prepare(*where, scale, part_of((where, None), parts))
    read = {n: json.loads(part_of((where, n), parts).read_text(encoding="utf-8")) for n in names}
    rows = [*baselines(setting), *(row for n in names if n in METHODS for row in read[n]["rows"])]
    curve = [round(setting.frontier.reward_at(i / 100), 5) for i in range(101)]
    moved = {n.partition(": ")[2]: read[n]["rows"] for n in names if n in DISPLACEMENT}
    return {
        "where": ", ".join(where),
        "start": setting.frontier.start,
        "frontier": curve,
        "cpu_seconds": sum(part["cpu_seconds"] for part in read.values()),
        "rows": rows,
        "displacement": moved,
    }
