"""Places of the page that findings lead to. Every page has each of them, with a chart or with why there is none."""

from __future__ import annotations

from raypipe.results import Insight

SECTIONS: dict[str, str] = {
    "overview": "Overview",
    "quality": "Quality",
    "columns": "Columns",
    "correlations": "Correlations",
    "patterns": "Patterns",
    "target": "Target",
    "time": "Time",
    "steps": "Processing steps",
}
"""What `Insight.chart` may name, and how links call it."""

PLACES: dict[str, str] = {
    **SECTIONS,
    "missing-values": "Missing values",
    "missing-patterns": "Patterns of missing values",
    "missing-together": "Missing together",
    "duplicates": "Duplicate rows",
    "validation": "Validation",
    "pearson": "Pairwise correlation",
    "association": "Association of all kinds of columns",
    "group-differences": "Differences between groups",
    "map": "Map of the rows",
    "clusters": "Clusters",
    "anomalies": "Rows that lie apart",
    "together": "Values that occur together",
    "dependencies": "Columns that follow from others",
    "drivers": "What goes with the target",
    "segments": "Segments",
    "baselines": "Simple models",
    "leaks": "Columns that may give the target away",
    "drift": "The target over time",
    "over-time": "Over time",
    "times": "Times and gaps",
    "apart": "Series taken apart",
    "each-series": "Each series",
    "seasons": "Seasons",
}
"""Every place, and how links call it."""

_OF_TYPE: dict[str, str] = {
    "broken_rule": "validation",
    "duplicate_rows": "duplicates",
    "missing_values": "missing-values",
    "empty_column": "missing-values",
    "missing_together": "missing-together",
    "missing_depends": "missing-patterns",
    "strong_correlation": "pearson",
    "redundant_group": "pearson",
    "explained_correlation": "pearson",
    "curved_relation": "association",
    "association": "association",
    "group_difference": "group-differences",
    "clusters": "map",
    "anomalous_rows": "anomalies",
    "frequent_pattern": "together",
    "same_information": "dependencies",
    "dependency": "dependencies",
    "target_driver": "drivers",
    "leakage": "leaks",
    "no_driver": "drivers",
    "segment": "segments",
    "predictable_target": "baselines",
    "target_drift": "drift",
    "missing_times": "times",
    "far_off_times": "times",
    "time_gaps": "times",
    "repeated_times": "times",
    "seasonality": "seasons",
}
"""Type of finding -> the place that shows just that; others lead to the section that they name."""
_OF_SERIES = frozenset({"trend", "volume_trend", "change_point", "unusual_period", "random_walk", "forecast"})


def place_of(insight: Insight, target: str | None) -> str:
    """Where the page shows what a finding says; empty for one that names no place of the page.

    Findings about a series lead to its charts if there are some (the number of rows, the target), else to its line in
    the table of series.
    """
    if insight.type in _OF_SERIES and insight.chart == "time":
        drawn = (
            insight.type == "volume_trend" or len(insight.columns_affected) == 1 or target in insight.columns_affected
        )
        return "apart" if drawn else "each-series"
    named = insight.chart if insight.chart in SECTIONS else ""
    return _OF_TYPE.get(insight.type, named) if named else ""
