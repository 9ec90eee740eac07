"""What `statistics.json` says beside its charts: differences between groups, and patterns of missing values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import DataTable
from raypipe.insights.statistics.models import GroupComparison, Missing, Statistics

GROUPS_SHOWN = 12
RELATIONS_SHOWN = 10
SURE = 0.01
"""P-value, corrected, below which a comparison is shown."""
LEAST_SHARE = 0.01
"""Of the spread, below which groups hardly differ, however sure that is; Cohen's small effect."""


def groups_table(found: Statistics) -> DataTable | None:
    """How numbers differ between the values of categories, where that is more than chance."""
    sure = [
        one
        for one in found.groups
        if min(one.kruskal_p, 1.0 if one.welch_p is None else one.welch_p) < SURE and one.epsilon_squared >= LEAST_SHARE
    ]
    if not sure:
        return None
    rows = tuple(
        (
            one.number,
            one.category,
            numbers.number(one.epsilon_squared, 3),
            numbers.between(one.interval, 2),
            numbers.p_value(one.welch_p),
            numbers.p_value(one.kruskal_p),
            _means(one),
            numbers.count(one.rows),
        )
        for one in sure[:GROUPS_SHOWN]
    )
    more = f" The largest {len(rows)} of {len(sure)}." if len(rows) < len(sure) else ""
    note = (
        "Epsilon squared: share of the spread that lies between the groups, corrected for their number."
        f" {found.groups_tested:,} comparisons were made; shown are those with a p-value below {SURE}, corrected for"
        f" all of them, that explain at least {numbers.share(LEAST_SHARE)}.{more}"
    )
    heads = (
        "Number",
        "Category",
        "Epsilon squared",
        "95 % interval",
        "p (means)",
        "p (ranks)",
        "Means, most rows first",
    )
    return DataTable((*heads, "Rows"), rows, (2, 4, 5, 7), note, cell_chars=200)


def _means(one: GroupComparison) -> str:
    more = f" and {len(one.groups) - 5} more" if len(one.groups) > 5 else ""
    return ", ".join(f"{numbers.clip(group.value, 24)} {numbers.number(group.mean)}" for group in one.groups[:5]) + more


def missing_patterns(missing: Missing) -> dict[str, Any]:
    """Which columns lack values in the same rows, and which gaps go with values of another column."""
    shown = [one for one in missing.patterns if one.columns]
    most = max((one.share for one in shown), default=0.0)
    whole = next((one.share for one in missing.patterns if not one.columns), None)
    return {
        "rows": [
            (one.columns, numbers.share(one.share), numbers.count(one.rows), 100 * one.share / most) for one in shown
        ],
        "whole": None if whole is None else numbers.share(whole),
        "hidden": max(0, missing.pattern_count - len(missing.patterns)),
        "exact": missing.exact,
        "relations": [
            (
                one.column,
                one.other,
                numbers.number(one.cramers_v, 2),
                numbers.between(one.interval, 2),
                _rates(one.rates),
            )
            for one in missing.relations[:RELATIONS_SHOWN]
        ],
        "tested": missing.tested,
    }


def _rates(rates: Mapping[str, float]) -> str:
    """The values with most and least missing."""
    ranked = sorted(rates.items(), key=lambda pair: -pair[1])
    shown = ranked if len(ranked) <= 3 else [*ranked[:2], ranked[-1]]
    return ", ".join(f"{numbers.clip(value, 24) or '(empty)'} {numbers.share(rate)}" for value, rate in shown)
