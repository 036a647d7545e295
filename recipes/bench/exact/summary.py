"""What is said of many placed policies: means over seeds, the best position of each dial, how many methods reach a share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from recipes.bench.exact.methods import NOT_METHODS, Method
from recipes.bench.exact.placing import Row

KL_RANGE = (0.05, 0.5)
STUDENT_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def by_position(rows: Sequence[Row]) -> dict[tuple[str, float], list[Row]]:
    found: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        found.setdefault((row["method"], row["dial"]), []).append(row)
    return found


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over seeds, and half the width of its 95 % interval (Student's t); None of one seed."""
    n = len(values)
    return mean(values), None if n < 2 else STUDENT_95.get(n - 1, 1.96) * stdev(values) / math.sqrt(n)


def positions(rows: Sequence[Row], start: float) -> list[Row]:
    """One row a (method, dial): means over seeds, `gain` over `start` and `share` with half-widths. `diverged` counts seeds without a place;
    where there is one the means are None."""
    found = []
    for (name, dial), some in by_position(rows).items():
        row: Row = {
            "method": name,
            "dial": dial,
            "seeds": len(some),
            "diverged": sum(r["kl"] is None for r in some),
        }
        row |= dict.fromkeys(("kl", "gain", "gain_half", "share", "share_half"))
        if not row["diverged"]:
            row["kl"] = mean(r["kl"] for r in some)
            row["gain"], row["gain_half"] = interval([r["reward"] - start for r in some])
            shares = [r["share"] for r in some]
            if None not in shares:
                row["share"], row["share_half"] = interval(shares)
        found.append(row)
    return found


def best(places: Sequence[Row]) -> dict[str, Row]:
    """Per method its row of highest mean share with a mean KL in KL_RANGE; methods that never get there are left out."""
    found: dict[str, Row] = {}
    for row in places:
        if row["share"] is None or not KL_RANGE[0] <= row["kl"] <= KL_RANGE[1]:
            continue
        if row["method"] not in found or row["share"] > found[row["method"]]["share"]:
            found[row["method"]] = row
    return found


def methods_at(
    best_of_settings: Sequence[Mapping[str, Row]], least: float, losses: Mapping[str, Method]
) -> int:
    """Losses, baselines and controls left out, with a row that reaches the share in every setting; one that is missing there does not."""
    passed = {
        method.loss
        for name, method in losses.items()
        if not name.startswith(NOT_METHODS)
        and all(name in found and found[name]["share"] >= least for found in best_of_settings)
    }
    return len(passed)
