"""From the summary of a column to its profile."""

from __future__ import annotations

import numpy as np
import polars as pl

from raypipe.blocks.arrays import Floats
from raypipe.blocks.column import ColumnSummary, Sketched
from raypipe.blocks.counts import ValueCounts
from raypipe.blocks.distinct import RELATIVE_ERROR
from raypipe.blocks.histogram import counts_between, nice_edges, ranks_between
from raypipe.blocks.kinds import ColumnType
from raypipe.blocks.moments import Moments
from raypipe.blocks.profile import (
    ColumnProfile,
    DistinctCount,
    Histogram,
    NumberSummary,
    Quantiles,
    TextSummary,
    ValueCount,
)
from raypipe.blocks.quantiles import PROBABILITIES, QuantileSketch, exact_quantiles
from raypipe.blocks.spec import SummarySpec
from raypipe.blocks.text import TextCounts

_TIME_UNITS = (86400.0, 3600.0, 60.0, 1.0)
_WHISKER = 1.5


def column_profile(summary: ColumnSummary, spec: SummarySpec) -> ColumnProfile:
    """The profile of one column."""
    summary = summary.settled(spec)
    kind = summary.type
    exact = summary.sketched is None
    table = summary.tables[0] if summary.tables else None
    low, high = _extremes(summary, table)
    top = () if kind.kind == "other" else _top(summary, table, spec)
    return ColumnProfile(
        name=kind.name,
        dtype=kind.arrow,
        kind=kind.kind,
        rows=summary.rows,
        nulls=summary.nulls,
        distinct=_distinct(summary, table) if kind.hashable else None,
        top=top,
        top_exact=exact,
        min=low,
        max=high,
        true_count=_true_count(table) if kind.kind == "boolean" else None,
        number=_number(summary, table, spec) if kind.kind in ("number", "temporal") else None,
        text=_text(summary, table, spec) if kind.kind == "text" else None,
        notes=tuple(_notes(summary, top)),
    )


def _specials(summary: ColumnSummary) -> dict[str, int]:
    """Counts of the values that are no finite numbers, where there are any."""
    counted = {"NaN": summary.nan, "inf": summary.positive_infinite, "-inf": summary.negative_infinite}
    return {text: count for text, count in counted.items() if count}


def _distinct(summary: ColumnSummary, table: ValueCounts | None) -> DistinctCount:
    specials = len(_specials(summary))
    if summary.sketched is None:
        return DistinctCount(count=specials + (len(table) if table else 0), exact=True)
    estimate = min(round(summary.sketched.distinct.estimate()), summary.finite)
    return DistinctCount(count=estimate + specials, exact=False, relative_error=RELATIVE_ERROR)


def _top(summary: ColumnSummary, table: ValueCounts | None, spec: SummarySpec) -> tuple[ValueCount, ...]:
    """The most frequent values; ties in order of the value, NaN and the infinities last."""
    specials = _specials(summary)
    if summary.sketched is not None:
        items = summary.sketched.frequent
        values, seen, upper = items.values, items.seen, items.upper()
    elif table is not None:
        values, seen, upper = table.values, table.counts, table.counts
    else:
        values, seen, upper = pl.Series([], dtype=summary.type.storage), np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = np.argsort(-seen, kind="stable")[: spec.top]
    texts = summary.type.texts(values.gather(first)) if len(first) else []
    found = [
        ValueCount(value=text, count=int(seen[i]), count_upper=int(upper[i]))
        for text, i in zip(texts, first, strict=True)
    ]
    found += [ValueCount(value=text, count=count, count_upper=count) for text, count in specials.items()]
    return tuple(sorted(found, key=lambda item: -item.count)[: spec.top])


def _extremes(summary: ColumnSummary, table: ValueCounts | None) -> tuple[str | None, str | None]:
    """Smallest and largest finite value as text."""
    if summary.type.kind == "other" or not summary.finite:
        return None, None
    if summary.sketched is not None:
        ends = pl.Series([summary.sketched.low, summary.sketched.high], dtype=summary.type.storage)
    else:
        assert table is not None
        ends = table.values.gather([0, -1])
    low, high = summary.type.texts(ends)
    return low, high


def _true_count(table: ValueCounts | None) -> int:
    return 0 if table is None else int(table.counts[table.values.to_numpy() == 1].sum())


def _text(summary: ColumnSummary, table: ValueCounts | None, spec: SummarySpec) -> TextSummary:
    if summary.sketched is not None and summary.sketched.text is not None:
        return summary.sketched.text.finish(spec.bins)
    if table is None:
        return TextSummary(empty=0, blank=0, padded=0)
    return TextCounts.of(table.values, table.counts).finish(spec.bins)


def _number(summary: ColumnSummary, table: ValueCounts | None, spec: SummarySpec) -> NumberSummary:
    specials = {
        "nan": summary.nan,
        "positive_infinite": summary.positive_infinite,
        "negative_infinite": summary.negative_infinite,
    }
    if not summary.finite:
        return NumberSummary(finite=0, **specials)
    if summary.sketched is not None:
        return _sketched_number(summary, summary.sketched, spec).model_copy(update=specials)
    assert table is not None
    return _exact_number(summary.type, table, spec).model_copy(update=specials)


def _exact_number(kind: ColumnType, table: ValueCounts, spec: SummarySpec) -> NumberSummary:
    wide = isinstance(table.values.dtype, pl.Decimal)
    stored = (table.values.cast(pl.Float64) if wide else table.values).to_numpy()
    values, counts = kind.floats(stored), table.counts
    quantiles = exact_quantiles(values, counts)
    low, high = _fences(quantiles)
    edges = _edges(float(values[0]), float(values[-1]), kind, spec)
    return NumberSummary(
        finite=table.total,
        zeros=int(counts[values == 0].sum()),
        negatives=int(counts[values < 0].sum()),
        min=float(values[0]),
        max=float(values[-1]),
        **_moments(Moments.of(stored, counts), kind),
        quantiles=_quantiles(quantiles, exact=True, rank_error=0.0),
        histogram=Histogram(
            edges=tuple(edges.tolist()), counts=tuple(counts_between(values, edges, counts).tolist()), exact=True
        ),
        iqr_outliers=int(counts[(values < low) | (values > high)].sum()),
    )


def _sketched_number(summary: ColumnSummary, sketched: Sketched, spec: SummarySpec) -> NumberSummary:
    number, kind = sketched.number, summary.type
    assert number is not None
    sketch = number.quantiles
    ends = [float(end) if kind.storage == pl.Decimal else end for end in (sketched.low, sketched.high)]
    low, high = (float(end) for end in kind.floats(np.array(ends)))
    quantiles = sketch.quantiles()
    edges = _edges(low, high, kind, spec)
    return NumberSummary(
        finite=summary.finite,
        zeros=number.zeros,
        negatives=number.negatives,
        min=low,
        max=high,
        **_moments(number.moments, kind),
        quantiles=_quantiles(quantiles, exact=False, rank_error=sketch.rank_error),
        histogram=Histogram(
            edges=tuple(edges.tolist()),
            counts=tuple(ranks_between(sketch, edges).tolist()),
            exact=False,
            rank_error=sketch.rank_error,
        ),
        iqr_outliers=_sketched_outliers(sketch, quantiles, low, high),
    )


def _quantiles(values: list[float], *, exact: bool, rank_error: float) -> Quantiles:
    named = {f"{p:g}": value for p, value in zip(PROBABILITIES, values, strict=True)}
    return Quantiles(exact=exact, rank_error=rank_error, values=named)


def _moments(moments: Moments, kind: ColumnType) -> dict[str, float | None]:
    """Moments in the user's unit."""
    factor, divisor = kind.ratio

    def scaled(number: float | None, power: int = 1) -> float | None:
        return None if number is None else number * float(factor) ** power / float(divisor) ** power

    return {
        "mean": scaled(moments.mean),
        "variance": scaled(moments.variance, 2),
        "std": scaled(moments.std),
        "skewness": moments.skewness,
        "kurtosis": moments.kurtosis,
        "sum": scaled(moments.sum),
    }


def _fences(quantiles: list[float]) -> tuple[float, float]:
    """Bounds outside which values count as outliers (Tukey 1977)."""
    q25, q75 = quantiles[PROBABILITIES.index(0.25)], quantiles[PROBABILITIES.index(0.75)]
    reach = _WHISKER * (q75 - q25)
    return q25 - reach, q75 + reach


def _sketched_outliers(sketch: QuantileSketch, quantiles: list[float], least: float, most: float) -> int:
    """Values outside the fences, by estimated ranks; none where no value lies there."""
    low, high = _fences(quantiles)
    below = sketch.ranks([low])[0] if least < low else 0.0
    above = 1.0 - sketch.ranks([high], inclusive=True)[0] if most > high else 0.0
    return round((below + above) * sketch.count)


def _edges(low: float, high: float, kind: ColumnType, spec: SummarySpec) -> Floats:
    """Edges of the histogram; those of times fall on whole days, hours, minutes or seconds where bins are that wide."""
    if kind.kind != "temporal":
        return nice_edges(low, high, spec.bins, whole=kind.whole)
    unit = next((unit for unit in _TIME_UNITS if (high - low) / unit >= spec.bins), 1.0)
    edges = nice_edges(low / unit, high / unit, spec.bins) * unit
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return edges


def _notes(summary: ColumnSummary, top: tuple[ValueCount, ...]) -> list[str]:
    """Why something is not available."""
    kind = summary.type
    if not kind.hashable:
        return [f"values of type {kind.arrow} are not compared: distinct and frequent values are not available"]
    if kind.kind == "other":
        return [f"values of type {kind.arrow} have no order: smallest, largest and frequent ones are not available"]
    if summary.rows and summary.nulls == summary.rows:
        return ["every value is null"]
    if kind.kind == "number" and summary.rows and not summary.finite:
        return ["no value is finite: moments, quantiles and histogram are not available"]
    if summary.sketched is not None and not top:
        share = summary.sketched.frequent.slack / max(summary.finite, 1)
        return [f"no value is frequent: none makes up more than {share:.2%} of the values"]
    return []
