"""The section on the target: what goes with it, segments, leaks, simple models and drift of `target.json`."""

from __future__ import annotations

from typing import Any

from raypipe.dashboard import numbers
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.figures import Chart, DataTable
from raypipe.dashboard.inputs import DashboardInput
from raypipe.dashboard.patterns_page import bar
from raypipe.insights.models import TargetRelation, TargetReport
from raypipe.insights.target.models import Baselines, Segment, TargetDrift

LEVEL_CHARTS = 4
SEGMENTS_SHOWN = 20
LEAKS_SHOWN = 20
SKIPPED_SHOWN = 20
PERIODS_SHOWN = 60
_KINDS = {"too_good": "too good to be true", "derived": "made of the target", "future": "known only afterwards"}


def target_section(given: DashboardInput, engine: ChartEngine) -> dict[str, Any]:
    """Values of the template; without a target, why there is none."""
    report = given.target
    if report is None:
        return {"report": None, "why_not": given.why_not("target", "no target column was named (--target COLUMN)")}
    points = engine.scatter(given.points, report) if given.points is not None and given.points.num_rows else None
    no_points = (
        "no sample of rows was kept"
        if given.points is None
        else "the sample holds no number column to set against a number target"
    )
    return {
        "report": report,
        "drivers": engine.drivers(report),
        "levels": _levels(report, engine),
        "scatter": points,
        "scatter_why": given.why_not("points", no_points),
        "suspects": [r.column for r in report.relations if r.leakage_suspected],
        "leaks": [(_KINDS[leak.kind], leak.columns, leak.text) for leak in report.leaks[:LEAKS_SHOWN]],
        "leaks_hidden": max(0, len(report.leaks) - LEAKS_SHOWN),
        "segments": [_segment(one) for one in report.segments[:SEGMENTS_SHOWN]],
        "segments_why": _why(report, "segments", "No segments: none of one half was confirmed on the other"),
        "segments_hidden": max(0, len(report.segments) - SEGMENTS_SHOWN),
        "baselines": _baselines(report.baselines),
        "baselines_why": _why(report, "baselines", _not(report.baselines.reason if report.baselines else "")),
        "drift": _drift(report.drift, report.column),
        "drift_why": _why(report, "drift", _not(report.drift.reason if report.drift else "")),
        "skipped": list(report.skipped.items())[:SKIPPED_SHOWN],
    }


def _why(report: TargetReport, part: str, otherwise: str) -> str:
    """Why a part is absent, as a sentence without its full stop."""
    if part in report.not_computed or not report.sample_rows:
        return _not(report.not_computed.get(part, ""))
    return otherwise


def _not(why: str) -> str:
    return f"Not available, because {why or 'it takes a sample of rows, and none was analysed'}"


def _levels(report: TargetReport, engine: ChartEngine) -> list[tuple[TargetRelation, Chart]]:
    levels: list[tuple[TargetRelation, Chart]] = []
    for relation in report.relations:
        if len(levels) == LEVEL_CHARTS:
            break
        chart = engine.levels(relation, report.column, f"levels{len(levels)}")
        if chart is not None:
            levels.append((relation, chart))
    return levels


def _segment(one: Segment) -> dict[str, Any]:
    say = numbers.number if one.label is None else numbers.share
    what = "median" if one.label is None else f"share of “{numbers.clip(one.label, 30)}”"
    low, high = one.interval or (one.effect, one.effect)
    return {
        "where": " and ".join(one.conditions),
        "text": f"{what} {say(one.inside)}, elsewhere {say(one.outside)}",
        "rows": numbers.count(one.rows),
        "support": numbers.share(one.support),
        "effect": f"{one.effect:+.2f}".replace("-", "−"),
        "interval": numbers.between(one.interval, 2),
        "low": 50 + 50 * max(-1.0, low),
        "high": 50 + 50 * min(1.0, high),
        "p": numbers.p_value(one.p_value),
        "adds": one.adds,
        **bar(one.effect),
    }


def _baselines(found: Baselines | None) -> DataTable | None:
    if found is None or not found.models:
        return None
    rows = tuple(
        (
            one.model,
            ", ".join(numbers.clip(name, 30) for name in one.columns),
            f"{numbers.number(one.skill, 3)} ± {numbers.number(one.skill_std, 2)}",
            numbers.number(one.error) if one.error is not None else "",
            numbers.number(one.auc, 3) if one.auc is not None else "",
            numbers.number(one.balanced_accuracy, 3) if one.balanced_accuracy is not None else "",
        )
        for one in found.models
    )
    split = "in order of time" if found.split == "time" else "shuffled"
    note = (
        f"On rows that the model did not see: {found.folds} folds of {found.rows:,} sampled rows, {split}. Skill: R²"
        " for a number; for classes the share of the log loss that is saved. ± is the spread between folds."
    )
    heads = ("Model", "Columns", "Skill", "Mean error", "AUC", "Balanced accuracy")
    keep = [place for place in range(len(heads)) if place < 3 or any(row[place] for row in rows)]
    cells = tuple(tuple(row[place] for place in keep) for row in rows)
    return DataTable(tuple(heads[place] for place in keep), cells, tuple(range(2, len(keep))), note, cell_chars=160)


def _drift(drift: TargetDrift | None, target: str) -> dict[str, Any] | None:
    """Bars from period to period, with the verdict."""
    if drift is None or len(drift.values) < 2:
        return None
    shown = slice(-PERIODS_SHOWN, None)
    values, periods, rows = drift.values[shown], drift.periods[shown], drift.rows[shown]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    say = numbers.number if drift.label is None else numbers.share
    what = f"Mean of {target}" if drift.label is None else f"Share of “{numbers.clip(drift.label, 30)}”"
    unit = "standard deviations of the rows" if drift.label is None else "as a difference of shares"
    interval = f" (95 % interval {numbers.between(drift.interval, 2)})" if drift.interval else ""
    verdict = "It drifts" if drift.drifts else "No drift beyond chance"
    return {
        "title": f"{what} by period",
        "columns": [
            {
                "label": numbers.clock(period),
                "text": f"{say(value)} ({numbers.count(count)} rows)",
                "bottom": 100 * (min(value, 0) - low) / span,
                "size": 100 * abs(value) / span,
            }
            for period, value, count in zip(periods, values, rows, strict=True)
        ],
        "means": True,
        "zero": 100 * -low / span,
        "top": numbers.compact(high) if drift.label is None else numbers.share(high),
        "ends": (numbers.clock(periods[0]), numbers.clock(periods[-1])),
        "note": f"{verdict}: from the first period to the last {numbers.number(drift.effect, 2)} {unit}{interval},"
        f" {numbers.p_words(drift.p_value)}. The p-value allows for the memory of the target, the interval does not.",
    }
