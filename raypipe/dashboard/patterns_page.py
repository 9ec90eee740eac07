"""The section on patterns: the map, clusters, rows that lie apart, rules and dependencies of `patterns.json`."""

from __future__ import annotations

from typing import Any

from raypipe.dashboard import numbers
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.figures import DataTable
from raypipe.dashboard.inputs import DashboardInput
from raypipe.dashboard.mapchart import look_of
from raypipe.insights.patterns.models import (
    AnomalousRow,
    AnomalyReport,
    Cluster,
    ClusterReport,
    Contrast,
    DensityReport,
    Dependency,
    PatternsReport,
    Rule,
)

CLUSTERS_SHOWN = 12
CONTRASTS_SHOWN = 6
ODD_SHOWN = 20
RULES_SHOWN = 30
DEPENDENCIES_SHOWN = 40
PARTS_SHOWN = 8
LEFT_OUT_SHOWN = 20


def patterns_section(given: DashboardInput, engine: ChartEngine) -> dict[str, Any]:
    """Values of the template; without patterns, why there are none."""
    report = given.patterns
    if report is None:
        return {"report": None, "why_not": given.why_not("patterns", "no search for patterns was made")}
    return {
        "report": report,
        "map": engine.map(report),
        "map_why": "it takes two number columns that vary, and ten rows",
        "clusters": _clusters(report.clusters),
        "density": _density(report.density),
        "anomalies": _anomalies(report.anomalies),
        "rules": _rules(report.rules),
        "rules_why": _why(report, "rules", "none occur together beyond chance"),
        "dependencies": _dependencies(report.dependencies),
        "dependencies_why": _why(report, "dependencies", "none follows from another"),
        "left_out": list(report.left_out.items())[:LEFT_OUT_SHOWN],
    }


def _why(report: PatternsReport, part: str, otherwise: str) -> str:
    return report.not_computed.get(part, otherwise)


def _clusters(report: ClusterReport) -> dict[str, Any]:
    facts = [
        ("Clusters", str(report.k)),
        ("Against one group", numbers.p_words(report.p_value) if report.p_value is not None else ""),
        ("Silhouette", _figure(report.silhouette)),
        ("Stability", _spread(report.stability, report.stability_range)),
        ("Density between them", numbers.share(report.valley) if report.valley is not None else ""),
    ]
    return {
        "why": report.reason or "no groups of rows are set apart",
        "facts": [(name, text) for name, text in facts if text] if report.k else [],
        "columns": report.columns,
        "rows": report.rows,
        "cards": [_card(place, one) for place, one in enumerate(report.clusters[:CLUSTERS_SHOWN])],
        "hidden": max(0, len(report.clusters) - CLUSTERS_SHOWN),
    }


def _card(place: int, cluster: Cluster) -> dict[str, Any]:
    look = look_of(place)
    return {
        "name": f"Cluster {place + 1}",
        "colour": look.colour,
        "marker": look.marker,
        "rows": numbers.count(cluster.rows),
        "share": numbers.share(cluster.share),
        "contrasts": [_contrast(one) for one in cluster.contrasts[:CONTRASTS_SHOWN]],
        "hidden": max(0, len(cluster.contrasts) - CONTRASTS_SHOWN),
    }


def _contrast(one: Contrast) -> dict[str, Any]:
    if one.kind == "number":
        text = f"median {numbers.number(one.inside)}, elsewhere {numbers.number(one.outside)}"
    else:
        level = numbers.clip(one.level or "", 40) or "(empty)"
        text = f"{numbers.share(one.inside)} are “{level}”, elsewhere {numbers.share(one.outside)}"
    return {"column": one.column, "text": text, "effect": f"{one.effect:+.2f}".replace("-", "−"), **bar(one.effect)}


def bar(effect: float) -> dict[str, float]:
    """Left end and width, in percent, of a bar from 0 to `effect` on a track from -1 to 1."""
    held = max(-1.0, min(1.0, effect))
    return {"left": 50 + 50 * min(held, 0.0), "width": 50 * abs(held)}


def _density(report: DensityReport | None) -> str:
    if report is None:
        return ""
    agreed = (
        f"; with the clusters it agrees by {numbers.number(report.agreement, 2)} (1 fully, 0 by chance)"
        if report.agreement is not None
        else ""
    )
    groups = f"{report.groups} group{'' if report.groups == 1 else 's'}"
    return (
        f"By density alone (HDBSCAN, {report.rows:,} rows) there are {groups} of any shape, with"
        f" {numbers.share(report.noise_share)} of the rows in none{agreed}."
    )


def _anomalies(report: AnomalyReport) -> dict[str, Any]:
    parts = list(report.columns.items())[:PARTS_SHOWN]
    interval = (
        f" (95 % interval {' to '.join(map(numbers.share, report.interval))} of the table)" if report.interval else ""
    )
    tested = f"{numbers.p_words(report.p_value)}; " if report.p_value is not None else ""
    apart = f"the nearest lies {numbers.number(report.gap, 3)} times as far out as any other row" if report.gap else ""
    return {
        "why": report.reason or f"none of {report.rows:,} rows lies beyond what their own tail explains",
        "text": f"{report.count:,} of {report.rows:,} rows{interval}; {tested}{apart}".rstrip("; ") + "."
        if report.count
        else "",
        "parts": [(name, numbers.share(part), 100 * part) for name, part in parts],
        "table": _odd_rows(report) if report.odd else None,
    }


def _odd_rows(report: AnomalyReport) -> DataTable:
    shown = report.odd[:ODD_SHOWN]
    rows = tuple((numbers.number(row.distance, 3), _values_of(row)) for row in shown)
    note = f"The farthest {len(rows)} of {report.count:,}." if report.count > len(rows) else ""
    if report.key_column is None:
        return DataTable(("Distance", "Its values"), rows, (0,), note, cell_chars=200)
    keyed = tuple((row.key or "", *cells) for row, cells in zip(shown, rows, strict=True))
    return DataTable((report.key_column, "Distance", "Its values"), keyed, (1,), note, cell_chars=200)


def _values_of(row: AnomalousRow) -> str:
    return ", ".join(f"{numbers.clip(name, 30)} {_cell(value)}" for name, value in list(row.values.items())[:6])


def _cell(value: Any) -> str:
    return numbers.number(value) if isinstance(value, int | float) else numbers.clip(str(value), 40)


def _rules(rules: tuple[Rule, ...]) -> DataTable | None:
    if not rules:
        return None
    rows = tuple(
        (
            " and ".join(f"{numbers.clip(column, 40)} = {numbers.clip(value, 30)}" for column, value in rule.items),
            numbers.count(rule.rows),
            numbers.share(rule.support),
            f"{numbers.number(rule.lift, 3)} times",
            numbers.share(rule.confidence),
            numbers.number(rule.phi, 2),
            numbers.p_value(rule.p_value),
        )
        for rule in rules[:RULES_SHOWN]
    )
    note = (
        "Lift: how many times as often as independent columns would have it. Confidence: of the last value, given the"
        " others."
    )
    heads = ("Values", "Rows", "Share", "Lift", "Confidence", "Phi", "p")
    return DataTable(heads, rows, (1, 2, 3, 4, 5, 6), note, cell_chars=240)


def _dependencies(found: tuple[Dependency, ...]) -> DataTable | None:
    if not found:
        return None
    rows = tuple(
        (
            " and ".join(numbers.clip(name, 40) for name in one.determinant),
            one.dependent,
            numbers.share(one.lift),
            f"{numbers.share(one.g3)} ({' to '.join(map(numbers.share, one.interval))})",
            ", ".join(numbers.clip(text, 30) for text in one.exceptions[:3]),
            "yes" if one.both_ways else "no",
        )
        for one in found[:DEPENDENCIES_SHOWN]
    )
    note = "Saved: share of the wrong guesses of the second column that knowing the first one saves (lambda)."
    heads = ("Column", "fixes", "Saved", "Exceptions (95 % interval)", "Such as", "Both ways")
    return DataTable(heads, rows, (2, 3), note, cell_chars=120)


def _figure(value: float | None) -> str:
    return "" if value is None else numbers.number(value, 2)


def _spread(value: float | None, ends: tuple[float, float] | None) -> str:
    within = f" ({numbers.between(ends, 2)})" if ends else ""
    return "" if value is None else _figure(value) + within
