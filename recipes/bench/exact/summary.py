"""What is said of many placed policies: means over seeds, the best position of each dial, how many methods reach a share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

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


def displaced(rows: Sequence[Row]) -> list[Row]:
    """Of one source of pairs a row a (method, beta): means over seeds at the end of training, None where a seed diverged, and two mean curves.

    `loss` and the two errors are those on held-out pairs, errors less the reference's; `mass` is at the winners' place, `outside` where the
    reference does not sample.
    """
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["beta"]), []).append(row)
    found = []
    for (name, beta), some in groups.items():
        curve = {
            key: [mean_or_none([row["curve"][i][key] for row in some]) for i in range(len(some[0]["curve"]))]
            for key in ("loss", "winner", "loser", "accuracy")
        }
        ends = {key: values[-1] for key, values in curve.items()}
        ends |= {k: mean_or_none([row[k] for row in some]) for k in ("kl", "mass", "mass_before", "outside")}
        winners = [row["curve"][-1]["winner"] for row in some]
        ends["winner_half"] = interval(winners)[1] if ends["winner"] is not None else None
        shown = {key: curve[key] for key in ("loss", "winner")}
        found.append({"method": name, "beta": beta, **ends, "curve": shown})
    return found


def mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return mean(known) if len(known) == len(values) else None


def rounded(value: Any, digits: int = 4) -> Any:
    """Numbers to that many significant digits, all the way down: what is kept is what is printed."""
    match value:
        case bool() | int() | None | str():
            return value
        case float():
            return float(f"{value:.{digits}g}")
        case Mapping():
            return {key: rounded(part, digits) for key, part in value.items()}
        case _:
            return [rounded(part, digits) for part in value]
