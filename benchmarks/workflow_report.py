"""From the cells of `benchmarks.workflow` to figures, bars, a table to read and a JSON file to keep."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RAYPIPE = ("raypipe", "raypipe on Ray Tune")
PEERS = ("scikit-learn", "Optuna")
COST = "one trial"
MAX_RATIO, FIT_S = 1.10, 0.05
"""A trial costs at most so many times cross_val_score, where a fit takes longer than so many seconds."""
MAX_OVER_S = 2.0
NOISE = 0.01
"""Losses that differ by less than this share count as equal."""
Cells = Sequence[Mapping[str, Any]]
NOTES = (
    "the budget is for the whole: search, learning with the best, judging; peers begin no candidate past it",
    "raypipe counts trials that it gave up after a fold because they fell behind; trials_whole are the others",
    "scikit-learn's searches know no time limit: its sampler's candidates are judged one by one instead, by"
    " cross_val_score on two processes; successive halving wants the number of candidates beforehand, and is left out",
    "`one trial` is a whole search in one process, journal and preparing of rows included, over cross_val_score of the"
    " same candidates with one thread, in CPU seconds",
    "on a machine that is not quiet, trials and seconds over the budget say little; load and CPU seconds stand beside",
)


def figures(cells: Cells) -> list[dict[str, Any]]:
    """One entry a task, estimator and contender: medians over the rounds."""
    by: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for cell in cells:
        if cell["error"] is None:
            by[cell["task"], cell["estimator"], cell["contender"]].append(cell)
    return [_entry(key, found) for key, found in by.items()]


def _entry(key: tuple[str, str, str], cells: Cells) -> dict[str, Any]:
    facts = [cell["facts"] for cell in cells]
    names = ("ratio", "trial_cpu_s", "plain_cpu_s", "fit_s") if "ratio" in facts[0] else ("loss", "cv_loss", "trials")
    known = {name: [one[name] for one in facts if one.get(name) is not None] for name in names}
    entry: dict[str, Any] = dict(zip(("task", "estimator", "contender"), key, strict=True))
    entry["rounds"] = len(cells)
    entry.update({name: round(statistics.median(values), 5) for name, values in known.items() if values})
    if "over_s" in facts[0]:
        entry["over_s"] = round(max(one["over_s"] for one in facts), 2)
    entry["cpu_s"] = round(statistics.median(cell["sample"]["cpu_s"] for cell in cells), 2)
    entry["cpu_share"] = round(statistics.median(_share(cell) for cell in cells), 2)
    entry["peak_rss_mib"] = max(cell["sample"]["main_rss_mib"] for cell in cells)
    entry["load_1min"] = max(cell["load_after"]["load_1min"] for cell in cells)
    return entry


def _share(cell: Mapping[str, Any]) -> float:
    return float(cell["sample"]["cpu_s"] / max(cell["sample"]["seconds"], 1e-9))


def together(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the entries of each contender say together, raypipe's beside those of its peers."""
    by = {(one["task"], one["estimator"], one["contender"]): one for one in entries}
    told: dict[str, Any] = {}
    for name in dict.fromkeys(one["contender"] for one in entries if "loss" in one):
        own = [one for one in entries if one["contender"] == name]
        told[name] = {
            "cells": len(own),
            "trials_median": statistics.median(one["trials"] for one in own),
            "over_s_median": round(statistics.median(one["over_s"] for one in own), 2),
            "over_s_max": max(one["over_s"] for one in own),
            "peak_rss_mib_max": max(one["peak_rss_mib"] for one in own),
            "against": {peer: _against(own, by, peer) for peer in PEERS if peer != name},
        }
    return told


def _against(own: Sequence[Mapping[str, Any]], by: Mapping[Any, Mapping[str, Any]], peer: str) -> dict[str, Any]:
    pairs = [(one, by.get((one["task"], one["estimator"], peer))) for one in own]
    both = [(one, other) for one, other in pairs if other is not None]
    gaps = [one["loss"] / other["loss"] - 1 for one, other in both]
    return {
        "cells": len(both),
        "better": sum(gap < -NOISE for gap in gaps),
        "equal": sum(abs(gap) <= NOISE for gap in gaps),
        "worse": sum(gap > NOISE for gap in gaps),
        "loss_ratio_median": round(1 + statistics.median(gaps), 4) if gaps else None,
        "trials_ratio_median": round(
            statistics.median(one["trials"] / max(1, other["trials"]) for one, other in both), 3
        )
        if both
        else None,
    }


def bars(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is wanted, what was measured, and whether it holds; None: not measured."""
    costs = [one for one in entries if one["contender"] == COST and one["fit_s"] > FIT_S]
    found = [
        _bar(
            f"a trial at most {MAX_RATIO:.2f}x cross_val_score, median",
            MAX_RATIO,
            [one["ratio"] for one in costs],
            statistics.median,
        )
    ]
    found.append(
        _bar(
            f"a trial at most {MAX_RATIO:.2f}x cross_val_score, dearest cell",
            MAX_RATIO,
            [one["ratio"] for one in costs],
            max,
        )
    )
    for name in RAYPIPE:
        over = [one["over_s"] for one in entries if one["contender"] == name]
        found.append(_bar(f"{name}: seconds over the budget, at most", MAX_OVER_S, over, max))
    for name in RAYPIPE:
        for peer in PEERS:
            against = together(entries).get(name, {}).get("against", {}).get(peer, {})
            ratio = against.get("loss_ratio_median")
            found.append(_bar(f"{name}: loss over that of {peer}, median", 1 + NOISE, [ratio] if ratio else [], max))
    return found


def _bar(text: str, wanted: float, values: Sequence[float], of: Any) -> dict[str, Any]:
    got = of(values) if values else None
    return {"text": text, "wanted": wanted, "got": got, "met": None if got is None else got <= wanted}


def report(about: Mapping[str, Any], cells: Cells, folder: Path) -> int:
    """Write the JSON, print the table; the exit code is 1 if a cell failed."""
    entries = figures(cells)
    failed = {
        f"{cell['task']}, {cell['estimator']}, {cell['contender']}": cell["error"] for cell in cells if cell["error"]
    }
    document = {
        "format": 1,
        "name": "workflow",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "commits_of_cells": sorted({cell["commit"] for cell in cells}),
        "notes": list(NOTES),
        "bars": bars(entries),
        "together": together(entries),
        "figures": entries,
        "failed": failed,
        "runs": list(cells),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "workflow.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(entries, document["bars"], failed)
    return 1 if failed else 0


def show(entries: Sequence[Mapping[str, Any]], held: Sequence[Mapping[str, Any]], failed: Mapping[str, str]) -> None:
    """Figures and bars on standard output."""
    console = Console(width=140)
    table = Table(
        "task", "estimator", "contender", "loss", "trials", "s over", "CPU s", "RSS MiB", "load", title="workflow"
    )
    for one in (entry for entry in entries if "loss" in entry):
        table.add_row(
            one["task"], one["estimator"], one["contender"], f"{one['loss']:.4f}", f"{one['trials']:g}",
            f"{one['over_s']:+.1f}", f"{one['cpu_s']:.0f}", f"{one['peak_rss_mib']:.0f}", f"{one['load_1min']:.1f}",
        )  # fmt: skip
    console.print(table)
    cost = Table("task", "estimator", "a fit, ms", "a trial, CPU s", "cross_val_score, CPU s", "ratio", title=COST)
    for one in (entry for entry in entries if "ratio" in entry):
        cost.add_row(
            one["task"], one["estimator"], f"{one['fit_s'] * 1000:.0f}", f"{one['trial_cpu_s']:.3f}",
            f"{one['plain_cpu_s']:.3f}", f"{one['ratio']:.3f}",
        )  # fmt: skip
    console.print(cost)
    judged = Table("bar", "wanted", "got", "met")
    for one in held:
        met = {True: "yes", False: "NO", None: "not measured"}[one["met"]]
        judged.add_row(one["text"], f"{one['wanted']:g}", "" if one["got"] is None else f"{one['got']:.4g}", met)
    console.print(judged)
    for who, why in failed.items():
        console.print(f"{who}: not measured: {why}", markup=False, highlight=False)
