"""Statistics under the names of the older platform, and in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.insights.statistics.models import NumberStatistics, PairMatrix, Statistics
from raypipe.insights.words import count, figure, name, percent

STRONG, VERY_STRONG = 0.7, 0.9
"""The bands of the older platform."""
MAX_TOLD = 5


class DatasetStatistics(Mapping[str, Any]):
    """What `analyze_dataset` found: a mapping under the older names, and the whole as `statistics`."""

    def __init__(self, statistics: Statistics, profile: Profile, schema: pa.Schema) -> None:
        self.statistics = statistics
        self.profile = profile
        self._schema = schema

    @cached_property
    def _parts(self) -> dict[str, Any]:
        found = self.statistics
        return {
            "overview": self._overview(),
            "descriptive_stats": {
                "numeric": {one.column: _described(one) for one in found.numbers},
                "categorical": {one.column: one.model_dump(exclude={"column"}) for one in found.categories},
            },
            "correlations": _correlations(found),
            "outliers": {one.column: _outliers(one) for one in found.numbers},
            "distributions": {
                one.column: {
                    "distribution_type": one.label,
                    "tests": {test.test: test.model_dump(exclude={"test"}) for test in one.normality},
                    "benford": one.benford.model_dump() if one.benford else None,
                }
                for one in found.numbers
            },
            "missing_data": _missing(found),
        }

    def _overview(self) -> dict[str, Any]:
        kinds: dict[str, list[str]] = {}
        for column in self.profile.columns:
            kinds.setdefault(column.kind, []).append(column.name)
        return {
            "shape": (self.profile.rows, len(self.profile.columns)),
            "memory_bytes": self.profile.bytes,
            "dtypes": {field.name: str(field.type) for field in self._schema},
            "columns_by_kind": kinds,
            "sample": self.statistics.sample.model_dump(),
        }

    def __getitem__(self, key: str) -> Any:
        return self._parts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return f"DatasetStatistics({self.profile.rows:,} rows, {len(self.profile.columns)} columns)"

    def get_summary_insights(self) -> list[str]:
        """What stands out, in sentences."""
        return list(_sentences(self.statistics, self.profile))


def _described(one: NumberStatistics) -> dict[str, Any]:
    left_out = {"column", "normality", "outliers", "benford", "label"}
    return one.model_dump(exclude=left_out)


def _outliers(one: NumberStatistics) -> dict[str, Any]:
    return {
        rule.method: {
            "count": rule.count,
            "percentage": rule.percent,
            "bounds": (rule.low, rule.high),
            "values": list(rule.first),
            "exact": rule.exact,
        }
        for rule in one.outliers
    }


def _correlations(found: Statistics) -> dict[str, Any]:
    matrices = {matrix.measure: _as_dict(matrix) for matrix in found.correlations}
    if found.association is not None:
        matrices["cramers_v"] = _as_dict(found.association)
    return {**matrices, "strong_correlations": list(_strong(found)), "pairs": [one.model_dump() for one in found.pairs]}


def _as_dict(matrix: PairMatrix) -> dict[str, dict[str, float | None]]:
    return {
        column: dict(zip(matrix.columns, row, strict=True))
        for column, row in zip(matrix.columns, matrix.values, strict=True)
    }


def _strong(found: Statistics) -> Iterator[dict[str, Any]]:
    pearson = next((matrix for matrix in found.correlations if matrix.measure == "pearson"), None)
    if pearson is None:
        return
    pairs = [
        (a, b, r)
        for i, (a, row) in enumerate(zip(pearson.columns, pearson.values, strict=True))
        for b, r in zip(pearson.columns[i + 1 :], row[i + 1 :], strict=True)
        if r is not None and abs(r) > STRONG
    ]
    for a, b, r in sorted(pairs, key=lambda pair: -abs(pair[2])):
        yield {
            "column1": a,
            "column2": b,
            "correlation": r,
            "strength": "Very Strong" if abs(r) > VERY_STRONG else "Strong",
        }


def _missing(found: Statistics) -> dict[str, Any]:
    missing = found.missing
    return {
        "total_missing": missing.cells,
        "missing_percentage": missing.percent,
        "missing_by_column": missing.by_column,
        "missing_patterns": [pattern.model_dump() for pattern in missing.patterns],
        "missing_relations": [relation.model_dump() for relation in missing.relations],
    }


def _sentences(found: Statistics, profile: Profile) -> Iterator[str]:
    yield f"The table has {count(found.rows, 'row')} and {count(len(profile.columns), 'column')}."
    if found.missing.cells:
        yield f"{percent(found.missing.percent / 100)} of its cells are missing."
    for pair in list(_strong(found))[:MAX_TOLD]:
        yield (
            f"{name(pair['column1'])} and {name(pair['column2'])} are correlated"
            f" ({pair['strength'].lower()}, r = {figure(pair['correlation'])})."
        )
    skewed = [one for one in found.numbers if one.label in ("Right Skewed", "Left Skewed")]
    for one in skewed[:MAX_TOLD]:
        assert one.label is not None
        yield f"{name(one.column)} is {one.label.lower()} (skewness {figure(one.skewness or 0.0)})."
    for groups in found.groups[:MAX_TOLD]:
        if groups.kruskal_p < 0.01 and groups.epsilon_squared >= 0.06:
            yield (
                f"The values of {name(groups.category)} explain {percent(groups.epsilon_squared)} of the spread of"
                f" {name(groups.number)}."
            )
    for gap in found.missing.relations[:MAX_TOLD]:
        yield (
            f"Gaps of {name(gap.column)} go with {name(gap.other)} (Cramér's V {figure(gap.cramers_v)}):"
            " consistent with data missing at random given that column."
        )
