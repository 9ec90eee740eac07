"""How each kind of finding is measured: its effect, how sure it is, where that was read, and which chart shows it.

Finders put their figures into the evidence; this table says which of them is the effect. A field that a finder sets
itself stands, so that a kind of finding which is not in the table needs no entry if its finder sets them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from raypipe.blocks.chance import NORMAL_95, NORMAL_99, normal_tail
from raypipe.insights.effects import fisher_interval, fisher_score
from raypipe.insights.facts import Facts
from raypipe.results import Insight

MOST = 0.999
"""Confidence of a test at the most: it rests on assumptions."""
ESTIMATED = 0.997
"""Of an estimate that is past its threshold by three standard errors."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """How one kind of finding is measured."""

    measure: str
    figure: str
    """Key of the evidence; `a|b` takes the larger one. Empty: the finder measures."""
    origin: str
    """The partial that it was read from."""
    chart: str
    """Anchor on the dashboard."""
    tests: Callable[[Facts], int] | None = None
    """How many results of the kind were tried; None: it was counted on every row."""


def _relations(facts: Facts) -> int:
    return len(facts.target.relations) if facts.target else 1


def _pairs(facts: Facts) -> int:
    return len(facts.profile.correlation.columns) * (len(facts.profile.correlation.columns) - 1) // 2


def _null_pairs(facts: Facts) -> int:
    return len(facts.profile.missingness.columns) ** 2


def _of_series(measure: str, part: str) -> Measured:
    """A kind whose finder measures it by `series.json`."""
    return Measured(measure, "", f"series.json, {part}", "time")


_COLUMN, _NUMBER = "profile.json, columns", "profile.json, columns: number"
KINDS: dict[str, Measured] = {
    "empty_table": Measured("rows", "rows", "profile.json", "overview"),
    "quarantined_rows": Measured("share_of_rows", "share", "rows read and set aside; quarantine.parquet", "overview"),
    "broken_rule": Measured("share_of_rows", "share", "validation.json, outcomes", "quality"),
    "missing_values": Measured("share_of_rows", "null_share", f"{_COLUMN}: nulls", "columns"),
    "empty_column": Measured("share_of_rows", "null_share", f"{_COLUMN}: nulls", "columns"),
    "duplicate_rows": Measured("share_of_rows", "share", "profile.json, duplicates", "quality"),
    "constant_column": Measured("distinct_values", "distinct", f"{_COLUMN}: distinct", "columns"),
    "constant_columns": Measured("columns", "count", f"{_COLUMN}: distinct", "columns"),
    "near_constant": Measured("share_of_values", "share", f"{_COLUMN}: top", "columns"),
    "identifier": Measured("distinct_share", "distinct_share", f"{_COLUMN}: distinct", "columns"),
    "high_cardinality": Measured("distinct_share", "distinct_share", f"{_COLUMN}: distinct", "columns"),
    "duplicate_keys": Measured("share_of_values", "share", f"{_COLUMN}: distinct", "columns"),
    "association": Measured("cramers_v", "cramers_v", "statistics.json, pairs", "correlations"),
    "curved_relation": Measured("spearman", "spearman", "statistics.json, pairs", "correlations"),
    "explained_correlation": Measured("partial_correlation", "partial", "statistics.json, partial", "correlations"),
    "group_difference": Measured("epsilon_squared", "epsilon_squared", "statistics.json, groups", "correlations"),
    "missing_depends": Measured("cramers_v", "cramers_v", "statistics.json, missing", "quality"),
    "clusters": Measured("silhouette", "silhouette", "patterns.json, clusters", "patterns"),
    "anomalous_rows": Measured("share_of_rows", "share", "patterns.json, anomalies", "patterns"),
    "same_information": Measured("lambda", "lambda", "patterns.json, dependencies", "patterns"),
    "dependency": Measured("lambda", "lambda", "patterns.json, dependencies", "patterns"),
    "frequent_pattern": Measured("phi", "phi", "patterns.json, rules", "patterns"),
    "segment": Measured("rank_biserial", "effect", "target.json, segments", "target"),
    "target_drift": Measured("standard_deviations", "effect", "target.json, drift", "target"),
    "predictable_target": Measured("r_squared", "best", "target.json, baselines", "target"),
    "padded_text": Measured("share_of_values", "share", f"{_COLUMN}: text.padded", "columns"),
    "mixed_types": Measured(
        "share_of_frequent_values", "number_share_of_frequent", "types widened while reading", "columns"
    ),
    "numbers_as_text": Measured("share_of_frequent_values", "number_share", f"{_COLUMN}: top", "columns"),
    "non_finite": Measured("share_of_values", "share", f"{_NUMBER}.nan and infinite", "columns"),
    "heavy_cleaning": Measured(
        "share_changed", "cells_share|rows_share", "execution_summary.json, processing", "steps"
    ),
    "missing_together": Measured("jaccard", "least_jaccard", "profile.json, missingness", "quality", _null_pairs),
    "strong_correlation": Measured("pearson_r", "r", "profile.json, correlation", "correlations", _pairs),
    "redundant_group": Measured("pearson_r", "strongest", "profile.json, correlation", "correlations", _pairs),
    "target_unusable": Measured("columns_measured", "measured", "relations to the target", "target"),
    "target_driver": Measured("strength", "value", "relations to the target, one pass", "target", _relations),
    "leakage": Measured("strength", "value", "relations to the target, one pass", "target", _relations),
    "no_driver": Measured("strength", "strongest", "relations to the target, one pass", "target"),
    "class_imbalance": Measured("share_of_rows", "majority_share", "classes of the target, one pass", "target"),
    "columns_unmeasured": Measured("share_of_columns", "share", "relations to the target", "target"),
    "skewed": Measured("quantile_skewness", "robust_skew", f"{_NUMBER}.quantiles and skewness", "columns"),
    "heavy_tails": Measured("tail_ratio", "tail_ratio", f"{_NUMBER}.quantiles and kurtosis", "columns"),
    "outliers": Measured("share_of_values", "share", f"{_NUMBER}.iqr_outliers", "columns"),
    "extreme_value": Measured("robust_z", "robust_z", f"{_NUMBER}.min, max and quantiles", "columns"),
    "zero_inflated": Measured("share_of_values", "share", f"{_NUMBER}.zeros", "columns"),
    "coded_category": Measured("distinct_values", "distinct", f"{_COLUMN}: distinct", "columns"),
    "missing_times": Measured("share_of_rows", "share", "course over time, one pass", "time"),
    "far_off_times": Measured("share_of_rows", "share", "course over time, one pass", "time"),
    "trend": _of_series("change_in_std", "trend"),
    "volume_trend": _of_series("change_share", "trend"),
    "seasonality": _of_series("seasonal_strength", "seasons"),
    "change_point": _of_series("shift_in_std", "changes"),
    "unusual_period": _of_series("robust_z", "anomalies"),
    "random_walk": _of_series("kpss_statistic", "stationarity"),
    "forecast": _of_series("error_reduction", "forecast"),
    "time_gaps": _of_series("share_of_steps", "frequency"),
    "repeated_times": _of_series("share_of_times", "frequency"),
}
"""Type of finding -> how it is measured."""


def measured(insight: Insight, facts: Facts) -> Insight:
    """The finding with its effect, interval, p-value, confidence, chart and origin; what its finder set stands."""
    kind = KINDS.get(insight.type)
    if kind is None:
        return insight
    effect = _effect(insight, kind)
    p_value = _p_value(insight, facts, kind)
    found = {
        "effect_size": effect,
        "effect_measure": insight.evidence.get("measure", kind.measure),
        "interval": _interval(insight, facts, effect),
        "p_value": p_value,
        "confidence": _confidence(insight, facts, p_value),
        "chart": kind.chart,
    }
    told = {name: value for name, value in found.items() if getattr(insight, name) is None and value is not None}
    return insight.replace(evidence={"read_from": kind.origin, **insight.evidence}, **told)


def _effect(insight: Insight, kind: Measured) -> float | None:
    if insight.type == "target_unusable":
        return 0.0
    values = [insight.evidence.get(key) for key in kind.figure.split("|")]
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    return max(known) if known else None


def _p_value(insight: Insight, facts: Facts, kind: Measured) -> float | None:
    """Probability of such a finding by chance, corrected for all that were tried beside it (Bonferroni)."""
    score = _score(insight, facts) if kind.tests is not None else None
    if score is None or kind.tests is None:
        return None
    return min(1.0, max(kind.tests(facts), 1) * normal_tail(score))


def _score(insight: Insight, facts: Facts) -> float | None:
    """How many standard deviations the finding lies from chance."""
    evidence = insight.evidence
    if insight.type == "strong_correlation":
        return fisher_score(evidence["r"], evidence["rows"])
    if insight.type == "redundant_group":
        return min(fisher_score(pair["r"], pair["rows"]) for pair in evidence["pairs"])
    if insight.type == "missing_together":
        return min(abs(float(pair["phi"])) for pair in evidence["pairs"]) * math.sqrt(facts.profile.rows)
    if insight.type == "leakage" and facts.target and "strength" in evidence:
        return next((r.score for r in facts.target.relations if r.column == insight.columns_affected[0]), None)
    score = evidence.get("score")
    return None if score is None else float(score)


def _interval(insight: Insight, facts: Facts, effect: float | None) -> Interval | None:
    """The 95 % interval of an effect that is an estimate, where there is one."""
    evidence = insight.evidence
    if effect is None:
        return None
    if insight.type == "strong_correlation" or evidence.get("measure") == "pearson_r":
        return fisher_interval(effect, evidence["rows"])
    if insight.type == "redundant_group":
        strongest = max(evidence["pairs"], key=lambda pair: abs(pair["r"]))
        return fisher_interval(effect, strongest["rows"])
    return _sketched(insight, facts, effect)


def _sketched(insight: Insight, facts: Facts, effect: float) -> Interval | None:
    """What the error of a sketch leaves open."""
    column = facts.columns.get(insight.columns_affected[0]) if insight.columns_affected else None
    repeats = facts.profile.duplicates
    if insight.type == "duplicate_rows" and repeats and not repeats.exact:
        half = (repeats.share_upper - repeats.share) * NORMAL_95 / NORMAL_99
        return max(effect - half, 0.0), effect + half
    if insight.type == "outliers" and column and column.number and column.number.quantiles:
        half = 2 * column.number.quantiles.rank_error
        return (max(effect - half, 0.0), effect + half) if half else None
    if insight.type in ("identifier", "high_cardinality") and column and column.distinct and not column.distinct.exact:
        half = NORMAL_95 * column.distinct.relative_error * effect
        return effect - half, min(effect + half, 1.0)
    return None


def _confidence(insight: Insight, facts: Facts, p_value: float | None) -> float:
    if p_value is not None:
        return min(1 - p_value, MOST)
    repeats = facts.profile.duplicates
    estimated = insight.evidence.get("exact") is False or (
        insight.type == "duplicate_rows" and repeats is not None and not repeats.exact
    )
    return ESTIMATED if estimated else 1.0
