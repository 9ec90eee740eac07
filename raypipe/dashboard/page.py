"""From the input to the values that the template prints, section by section, within a budget of detail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from raypipe.config import DashboardConfig
from raypipe.dashboard import numbers
from raypipe.dashboard.about import about_section
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.columns import charted_columns, lines_of
from raypipe.dashboard.figures import Chart
from raypipe.dashboard.inputs import DashboardInput
from raypipe.dashboard.overview import (
    FINDINGS_SHOWN,
    Finding,
    cards_of,
    deductions_of,
    findings_of,
    first_look,
    flow_of,
    verdict_of,
)
from raypipe.dashboard.patterns_page import patterns_section
from raypipe.dashboard.payload import payload, script_json
from raypipe.dashboard.rows import first_rows
from raypipe.dashboard.sparks import ring
from raypipe.dashboard.statistics_page import groups_table, missing_patterns
from raypipe.dashboard.target_page import target_section
from raypipe.dashboard.time_page import time_section

MISSING_BARS = 30
OUTCOMES_SHOWN = 1000
_SCALES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Shares that a full bar may stand for."""


@dataclass(frozen=True)
class Budget:
    """How much detail a page carries; the generator tries the next smaller one while a page is too big."""

    lines: int
    """Columns listed."""
    charted: int
    """Columns with a picture of their own."""
    data_columns: int
    data_rows: int
    chars: int
    """Characters of a cell."""


def budgets(config: DashboardConfig) -> list[Budget]:
    """From what the config asks for down to what fits in any case."""
    columns, rows = config.max_columns, min(config.max_table_rows, 100)
    wanted = Budget(2000, columns, columns, rows, 120)
    smaller = [(1200, 60, 60, 100, 60), (700, 40, 40, 50, 40), (300, 20, 20, 25, 32), (60, 10, 10, 10, 24)]
    fields = (wanted.lines, wanted.charted, wanted.data_columns, wanted.data_rows, wanted.chars)
    return [wanted, *(Budget(*(min(a, b) for a, b in zip(fields, step, strict=True))) for step in smaller)]


def fixed_sections(given: DashboardInput, engine: ChartEngine) -> dict[str, Any]:
    """The sections that are the same under any budget, with every live figure."""
    findings = findings_of(given)
    sections = {
        "overview": _overview(given, findings),
        "findings": {
            "all": findings,
            "shown": findings[:FINDINGS_SHOWN],
            "hidden": max(0, len(findings) - FINDINGS_SHOWN),
        },
        "quality": _quality(given, engine),
        "correlations": _correlations(given, engine),
        "patterns": patterns_section(given, engine),
        "target": target_section(given, engine),
        "time": time_section(given, engine),
        "steps": _steps(given),
        "about": about_section(given),
    }
    return {**sections, "charts": _charts(sections)}


def budgeted_sections(given: DashboardInput, findings: list[Finding], budget: Budget) -> dict[str, Any]:
    """The sections that grow with the table: columns, first rows, and the JSON block."""
    charted = charted_columns(given, budget.charted)
    return {
        "columns": _columns(given, findings, charted, budget),
        "data": _data(given, budget),
        "payload": script_json(payload(given, findings, charted, budget.lines)),
    }


def _overview(given: DashboardInput, findings: list[Finding]) -> dict[str, Any]:
    quality = given.quality
    return {
        "verdict": verdict_of(given, findings),
        "cards": cards_of(given, findings),
        "flow": flow_of(given),
        "top": first_look(findings),
        "ring": ring(quality.score / 100) if quality else Markup(""),
        "tone": _tone(quality.score) if quality else "",
        "grade": quality.grade if quality else None,
        "score": numbers.number(quality.score, 3) if quality else None,
    }


def _tone(score: float) -> str:
    return "good" if score >= 85 else "low" if score >= 70 else "medium" if score >= 50 else "critical"


SEVERITIES = ("critical", "error", "warning", "info")
"""Worst first."""


def _quality(given: DashboardInput, engine: ChartEngine) -> dict[str, Any]:
    ranked = sorted((c for c in given.profile.columns if c.nulls), key=lambda c: -c.null_share)
    outcomes = given.validation.outcomes if given.validation else ()
    listed = sorted(outcomes, key=lambda o: (o.passed, SEVERITIES.index(o.severity)))
    duplicates = given.profile.duplicates
    return {
        "outcomes": listed[:OUTCOMES_SHOWN],
        "severities": SEVERITIES,
        "hidden": max(0, len(listed) - OUTCOMES_SHOWN),
        "passed": sum(o.passed for o in outcomes),
        "why_not": given.why_not("validation", "validation was switched off or found no rule to check"),
        "deductions": [(r, numbers.number(abs(p), 3)) for r, p in deductions_of(given.quality)]
        if given.quality
        else [],
        "score_why": given.why_not("quality", "no score was computed"),
        "missing": [
            (c.name, c.null_share, numbers.share(c.null_share), numbers.count(c.nulls)) for c in ranked[:MISSING_BARS]
        ],
        "missing_scale": min(s for s in _SCALES if s >= (ranked[0].null_share if ranked else 0)),
        "missing_hidden": max(0, len(ranked) - MISSING_BARS),
        "rows_any_null": given.profile.missingness.rows_any_null,
        "together": engine.missing_together(given.profile.missingness),
        "together_why": "fewer than two columns have missing values" if len(ranked) < 2 else "it was not measured",
        "patterns": missing_patterns(given.statistics.missing) if given.statistics else None,
        "patterns_why": given.why_not("statistics", "no statistics were computed"),
        "duplicates": None
        if duplicates is None
        else {
            "rows": numbers.count(duplicates.rows),
            "share": numbers.share(duplicates.share),
            "bound": "" if duplicates.exact else f"estimated; at most {numbers.share(duplicates.share_upper)}",
        },
    }


def _columns(given: DashboardInput, findings: list[Finding], charted: set[str], budget: Budget) -> dict[str, Any]:
    lines = lines_of(given, findings, charted, budget.lines)
    total = len(given.profile.columns)
    notes = []
    if len(charted) < total:
        notes.append(f"{len(charted)} of {total:,} columns have charts (target, time and columns with findings first)")
    if len(lines) < total:
        notes.append(f"the first {len(lines):,} of {total:,} columns are listed")
    kinds = sorted({line.kind for line in lines})
    return {"lines": lines, "kinds": kinds, "note": "; ".join(notes)}


def _correlations(given: DashboardInput, engine: ChartEngine) -> dict[str, Any]:
    correlation = given.profile.correlation
    numeric = sum(column.kind == "number" for column in given.profile.columns)
    why = (
        f"it takes two number columns that vary, and the table has {numeric} number column{'' if numeric == 1 else 's'}"
    )
    if numeric >= 2:
        why = "no pair of number columns varies together in at least three rows"
    found = given.statistics
    return {
        "chart": engine.correlation(correlation),
        "why_not": given.why_not("correlation", why),
        "skipped": len(correlation.skipped),
        "association": engine.association(found) if found else None,
        "association_why": given.why_not("statistics", "no statistics were computed")
        if found is None
        else "it takes two columns that vary and are no identifiers",
        "groups": groups_table(found) if found else None,
    }


def _data(given: DashboardInput, budget: Budget) -> dict[str, Any]:
    if given.head is None or not given.head.num_columns:
        return {"rows": None, "why_not": given.why_not("head", "no rows were handed to the dashboard")}
    if not given.head.num_rows:
        return {"rows": None, "why_not": given.why_not("head", "the table has no rows")}
    return {"rows": first_rows(given.head, budget.data_rows, budget.data_columns, budget.chars)}


def _steps(given: DashboardInput) -> dict[str, Any]:
    return {
        "steps": [
            {
                "name": report.step.replace("_", " "),
                "columns": report.columns,
                "dropped": report.columns_dropped,
                "rows": report.rows_dropped,
                "cells": report.cells_changed,
                "idle": not (report.rows_dropped or report.cells_changed or report.columns_dropped),
                "detail": _detail(report.detail),
                "figures": _figures(report.figures),
            }
            for report in given.steps
        ],
        "why_not": given.why_not("steps", "no processing step was configured"),
    }


FIGURES = ("rows", "nulls", "distinct", "mean", "std", "min", "max")
FIGURE_COLUMNS = 12


def _figures(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[tuple[str, str, list[str]]]:
    """(column, before or after, cells) of the first columns of a step."""
    rows = []
    for column, ends in list(figures.items())[:FIGURE_COLUMNS]:
        for end in ("before", "after"):
            if end in ends:
                values = [ends[end].get(name) for name in FIGURES]
                rows.append((column, end, ["" if value is None else numbers.number(value, 5) for value in values]))
    return rows


def _detail(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    listed = [(str(name), _detail_text(value)) for name, value in list(detail.items())[:40]]
    return listed + ([("…", f"{len(detail) - 40} more")] if len(detail) > 40 else [])


def _detail_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return numbers.clip(", ".join(f"{name}: {_detail_text(entry)}" for name, entry in value.items()), 160)
    if isinstance(value, float):
        return numbers.number(value, 6)
    if isinstance(value, (list, tuple)):
        return numbers.clip(", ".join(map(_detail_text, value)), 160)
    return numbers.clip(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value), 160)


def _charts(sections: dict[str, Any]) -> list[Chart]:
    correlations, target, time = sections["correlations"], sections["target"], sections["time"]
    found = [sections["quality"]["together"], correlations["chart"], correlations["association"]]
    found += [sections["patterns"].get("map"), target.get("drivers"), target.get("scatter")]
    found += [chart for _, chart in target.get("levels", ())]
    found += [time.get("chart"), *time.get("apart", ()), time.get("further")]
    return [chart for chart in found if chart is not None]
