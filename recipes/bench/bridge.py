"""What the reward bridge itself costs: `run()` measures overhead per sample and warm look-ups per second.

Overhead is the time of a call minus the time inside generator and scorer, with parsing and guards, hashing, the cache
on disk and all accounting, at batch 64 and cold caches. Targets on one CPU core: <= 0.2 ms per sample with one image
each, >= 20,000 warm look-ups/s.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

BATCH = 64
GROUP = 8
SIZE = 48  # pixels, the embedded world's canvas


def run(repeats: int = 15) -> dict[str, float]:
    """Times in milliseconds, rates per second. On a busy machine read `best`: the rest is waiting for a core."""
    with tempfile.TemporaryDirectory(prefix="rewright-bench-") as folder:
        found: dict[str, float] = {}
        for images in (1, 4):
            overhead, screening = _overhead(Path(folder) / str(images), images, repeats)
            found[f"overhead_ms_per_sample_m{images}"] = statistics.median(overhead)
            found[f"overhead_ms_per_sample_m{images}_best"] = min(overhead)
            found["of_it_parse_and_guards_ms"] = statistics.median(screening)
            found["of_it_parse_and_guards_ms_best"] = min(screening)
        return {**found, **_look_ups(Path(folder) / "warm", repeats)}


def _overhead(folder: Path, images: int, repeats: int) -> tuple[list[float], list[float]]:
    """Cold: every batch has new prompts and rewrites. Also what parsing and guards take on other such batches."""
    from rewards.bridge import Bridge
    from rewards.store import Store
    from rewards.testing import Brightness, ColourGenerator

    bridge = Bridge(
        ColourGenerator(size=SIZE),
        Brightness(max_batch=BATCH),
        dialect="shapes",
        images_per_prompt=images,
        store=Store(folder),
    )
    overhead, screening = [], []
    for number in range(repeats + 2):
        asyncio.run(bridge(**_batch(number)))
        if number >= 2:  # the first two load modules and make threads and files
            assert bridge.last is not None
            assert bridge.last.n_ok == BATCH
            overhead.append(1e3 * bridge.last.overhead_s / BATCH)
            screening.append(_screening_ms(bridge, _batch(-1 - number - 1000 * images)))
    return overhead, screening


def _screening_ms(bridge: Any, columns: dict[str, Any]) -> float:
    from rewards.cases import Row, Target

    triples = zip(columns["row_id"], columns["prompt_text"], columns["spec"], strict=True)
    targets = [Target.of(Row(*triple)) for triple in triples]
    began = time.perf_counter()
    bridge.screen(targets, columns["completions"], columns["row_id"])
    return 1e3 * (time.perf_counter() - began) / BATCH


def _look_ups(folder: Path, repeats: int) -> dict[str, float]:
    """Scores found per second, each from its image's key: in memory, from SQLite alone, and through a whole call."""
    from rewards.bridge import Bridge
    from rewards.keys import MediaKeys, ScoreKeys, canonical_json
    from rewards.store import Store
    from rewards.testing import Brightness, ColourGenerator

    store, generator, reward = Store(folder), ColourGenerator(size=8), Brightness(max_batch=BATCH)
    bridge = Bridge(generator, reward, images_per_prompt=16, store=store)
    columns = _batch(0)
    asyncio.run(bridge(**columns))
    media_key, score_key = MediaKeys(generator.fingerprint, "", None, None), ScoreKeys(reward.fingerprint)
    texts = [completion[0]["content"] for completion in columns["completions"]]
    wanted = [
        (prompt, canonical_json(json.loads(spec)), text, seed)
        for prompt, spec, text, row in zip(
            columns["prompt_text"], columns["spec"], texts, columns["row_id"], strict=True
        )
        for seed in bridge.seeds(row)
    ]

    def look_up() -> int:
        keys = [media_key(text, seed) for _, _, text, seed in wanted]
        digests = store.get_digests(keys)
        found = [
            score_key(digests[key], prompt, spec, text)
            for key, (prompt, spec, text, _) in zip(keys, wanted, strict=True)
        ]
        held = store.get_scores(found)
        return sum(key in held for key in found)

    def from_disk() -> int:
        store.forget_memory()
        return look_up()

    def whole_call() -> int:
        rewards = asyncio.run(bridge(**columns))
        return len(wanted) if None not in rewards else 0

    return {
        "warm_lookups_per_s": _rate(look_up, len(wanted), repeats),
        "warm_lookups_per_s_sqlite": _rate(from_disk, len(wanted), repeats),
        "warm_images_per_s_whole_call": _rate(whole_call, len(wanted), repeats),
    }


def _rate(work: Any, count: int, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        done = work()
        seconds.append(time.perf_counter() - began)
        if done != count:
            raise RuntimeError(f"the cache was not warm: {done} of {count} look-ups found something")
    return count / statistics.median(seconds)


def _batch(number: int) -> dict[str, Any]:
    """64 completions as TRL hands them over: 8 rows of the shapes world, 8 different faithful rewrites each."""
    from diffusion_core.worlds.shapes.spec import COLORS, SHAPES, SIZES

    colors, shapes, sizes = list(COLORS), list(SHAPES), list(SIZES)
    sides = ("left of", "right of", "above", "below")
    prompts, completions, specs, rows = [], [], [], []
    for row in range(BATCH // GROUP):
        shape, other = shapes[row % len(shapes)], shapes[(row + 1) % len(shapes)]
        color, second = colors[row % len(colors)], colors[(row + 2) % len(colors)]
        prompt = f"please draw one {color} {shape} and a {second} {other}, batch {number} row {row}"
        for member in range(GROUP):
            size, side = sizes[member % len(sizes)], sides[member // len(sizes)]
            text = (
                f"one {size} {color} {shape} and one {second} {other}, the {color} {shape} {side} the {second} {other}, "
                f"batch {number} row {row}"
            )
            prompts.append(prompt)
            completions.append([{"role": "assistant", "content": text}])
            specs.append(
                json.dumps({"objects": [{"shape": shape, "color": color}, {"shape": other, "color": second}]})
            )
            rows.append(f"{number}-{row}")
    return {
        "prompts": [[{"role": "user", "content": prompt}] for prompt in prompts],
        "completions": completions,
        "prompt_text": prompts,
        "spec": specs,
        "row_id": rows,
    }


if __name__ == "__main__":
    import sys

    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
