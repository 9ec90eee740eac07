"""Statistics of single columns: from the profile where it has them exactly, else from the sample."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raypipe.blocks.chance import MAD_TO_STD
from raypipe.blocks.frames import numbers_in
from raypipe.blocks.profile import ColumnProfile, NumberSummary, Profile
from raypipe.insights.statistics.coding import finite_numbers, is_huge
from raypipe.insights.statistics.models import (
    Benford,
    CategoryStatistics,
    Concentration,
    Extreme,
    NormalityTest,
    NumberStatistics,
    Outliers,
)
from raypipe.insights.statistics.shape import (
    MAX_SHAPIRO,
    MIN_BENFORD,
    MIN_BENFORD_SPAN,
    anderson_darling,
    benford,
    dagostino,
    first_digits,
    lilliefors,
    shape_label,
    shapiro,
)
from raypipe.insights.statistics.tables import entropy
from raypipe.insights.statistics.tails import FIRST, Tail, bounds, ends_of

Floats = NDArray[np.float64]
MODIFIED_Z = 3.5
MIN_LABEL_VALUES = 20


def describe_numbers(profile: Profile, sample: pa.Table | None, tails: dict[str, Tail]) -> Iterator[NumberStatistics]:
    """One a number column, in their order."""
    for column in profile.columns:
        if column.kind != "number" or column.number is None:
            continue
        looked_at = sample is not None and not is_huge(column.number)
        values = finite_numbers(sample, column.name) if looked_at else np.zeros(0)
        values = values[~np.isnan(values)]
        yield _describe_number(column, column.number, values, tails.get(column.name))


def _describe_number(
    column: ColumnProfile, number: NumberSummary, values: Floats, tail: Tail | None
) -> NumberStatistics:
    quantiles = number.quantiles
    q1, median, q3 = (quantiles.at(p) if quantiles else None for p in (0.25, 0.5, 0.75))
    mode = _mode(column)
    exact = len(values) == number.finite
    shaped = number.skewness is not None and number.kurtosis is not None and number.finite >= MIN_LABEL_VALUES
    return NumberStatistics(
        column=column.name,
        count=number.finite,
        mean=number.mean,
        median=median,
        mode=mode[0] if mode else None,
        mode_count=mode[1] if mode else None,
        std=number.std,
        variance=number.variance,
        min=number.min,
        max=number.max,
        range=_gap(number.min, number.max),
        q1=q1,
        q3=q3,
        iqr=_gap(q1, q3),
        skewness=number.skewness,
        kurtosis=number.kurtosis,
        coefficient_of_variation=number.std / abs(number.mean) if number.std is not None and number.mean else None,
        quantiles_exact=quantiles.exact if quantiles else True,
        rank_error=quantiles.rank_error if quantiles else 0.0,
        total_gini=_gini(values) if not number.negatives else None,
        concentration=_concentration(column, values),
        label=shape_label(number.skewness or 0.0, number.kurtosis or 0.0) if shaped else None,
        normality=tuple(_normality(number, values)) if shaped else (),
        outliers=tuple(_outliers(column, number, values, tail, exact)),
        lowest=_extremes(tail.lowest) if tail else (),
        highest=_extremes(tail.highest) if tail else (),
        benford=_benford(number, values),
    )


def _gap(low: float | None, high: float | None) -> float | None:
    """Distance of two values, None where it is past the range of a float."""
    gap = None if low is None or high is None else high - low
    return gap if gap is not None and math.isfinite(gap) else None


def _mode(column: ColumnProfile) -> tuple[float, int] | None:
    """The most frequent finite value, if it is known for sure and occurs more than once."""
    top = next((one for one in column.top if _is_finite(one.value)), None)
    if top is None or top.count < 2:
        return None
    others = max((one.count_upper for one in column.top if one is not top), default=0)
    return (float(top.value), top.count) if column.top_exact or top.count >= others else None


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _gini(values: Floats) -> float | None:
    """How unequally a total is shared: half the relative mean difference (Gini 1912), corrected for few values."""
    n = len(values)
    total = float(values.sum()) if n else 0.0
    if n < 2 or not math.isfinite(total) or total <= 0:
        return None
    ordered = np.sort(values)
    weights = 2 * np.arange(1, n + 1) - n - 1
    return min(float((weights * (ordered / total)).sum()) / (n - 1), 1.0)


def _concentration(
    column: ColumnProfile, values: Floats | None = None, texts: pa.Array | None = None
) -> Concentration | None:
    """From the exact counts of the profile where it lists every value, else from the sample."""
    if not column.present:
        return None
    listed = np.array([one.count for one in column.top], np.float64)
    if column.top_exact and int(listed.sum()) == column.present:
        return _spread(listed, column, True)
    if texts is not None:
        counts = numbers_in(pc.value_counts(texts).field("counts")).astype(np.float64)
    else:
        assert values is not None
        counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return _spread(counts, column, counts.sum() == column.present) if len(counts) else None


def _spread(counts: Floats, column: ColumnProfile, exact: bool) -> Concentration:
    n = float(counts.sum())
    bits, same = entropy(counts), float(((counts / n) ** 2).sum())
    if not exact and n > 1:
        # Both are biased on few rows of many values: Miller (1955); and pairs of a row with itself do not count.
        bits += (len(counts) - 1) / (2 * n * math.log(2))
        same = float((counts * (counts - 1)).sum()) / (n * (n - 1))
    top = column.top[0].count / column.present if column.top else float(counts.max()) / n
    return Concentration(entropy_bits=bits, herfindahl=same, gini_impurity=1 - same, top_share=top, exact=bool(exact))


def _normality(number: NumberSummary, values: Floats) -> Iterator[NormalityTest]:
    assert number.skewness is not None
    assert number.kurtosis is not None
    ordered = np.sort(values[:MAX_SHAPIRO])
    found = (
        ("dagostino", dagostino(number.skewness, number.kurtosis, number.finite), number.finite),
        ("shapiro_wilk", shapiro(ordered), len(ordered)),
        ("anderson_darling", anderson_darling(ordered), len(ordered)),
        ("kolmogorov_smirnov", lilliefors(ordered), len(ordered)),
    )
    for name, test, n in found:
        if test is not None:
            yield NormalityTest(test=name, statistic=test[0], p_value=test[1], values=n)


def _outliers(
    column: ColumnProfile, number: NumberSummary, values: Floats, tail: Tail | None, exact: bool
) -> Iterator[Outliers]:
    ends = ends_of(column)
    if ends is None:
        return
    for name, limits in (("iqr", ends.iqr), ("z_score", ends.z)):
        if limits is None:
            continue
        if tail is not None and name in tail.counts:
            below, above = tail.counts[name]
            yield _rule(name, limits, (below, above), tail.first[name], tail.values, True)
        elif len(values):
            yield _looked_at(name, limits, values, exact)
    if len(values) and (around := _modified_bounds(values)) is not None:
        yield _looked_at("modified_z_score", around, values, exact)


def _modified_bounds(values: Floats) -> tuple[float, float] | None:
    """Where the score 0.6745 (x - median) / MAD passes 3.5 (Iglewicz, Hoaglin 1993); None where MAD is 0."""
    middle = float(np.median(values))
    reach = MODIFIED_Z * MAD_TO_STD * float(np.median(np.abs(values - middle)))
    return bounds(middle, middle, reach) if reach > 0 else None


def _looked_at(name: str, limits: tuple[float, float], values: Floats, exact: bool) -> Outliers:
    below, above = values < limits[0], values > limits[1]
    counts = int(below.sum()), int(above.sum())
    return _rule(name, limits, counts, values[below | above][:FIRST].tolist(), len(values), exact)


def _rule(
    name: str, limits: tuple[float, float], counts: tuple[int, int], first: list[float], values: int, exact: bool
) -> Outliers:
    count = sum(counts)
    return Outliers(
        method=name,
        low=limits[0],
        high=limits[1],
        count=count,
        percent=100 * count / values if values else 0.0,
        below=counts[0],
        above=counts[1],
        first=tuple(first),
        values=values,
        exact=exact,
    )


def _extremes(places: list[tuple[float, str, int]]) -> tuple[Extreme, ...]:
    return tuple(Extreme(value=value, part=part, row=row) for value, part, row in places)


def _benford(number: NumberSummary, values: Floats) -> Benford | None:
    """Where it applies: many positive numbers that span at least three powers of ten."""
    positive = number.min is not None and number.max is not None and number.min > 0
    if not positive or len(values) < MIN_BENFORD:
        return None
    low, high = np.quantile(values, [0.01, 0.99])
    if high / low < MIN_BENFORD_SPAN:
        return None
    digits = first_digits(values)
    deviation, by_chance, word = benford(digits)
    return Benford(
        digits=tuple(digits.tolist()),
        mean_absolute_deviation=deviation,
        expected_by_chance=by_chance,
        conformity=word,
        values=len(values),
    )


def describe_categories(profile: Profile, sample: pa.Table | None) -> Iterator[CategoryStatistics]:
    """One a column of text or booleans, in their order."""
    for column in profile.columns:
        if column.kind not in ("text", "boolean") or column.distinct is None:
            continue
        complete = column.top_exact and len(column.top) == column.distinct.count
        last = column.top[-1] if complete and column.top else None
        texts = None if sample is None else pc.drop_null(sample[column.name].combine_chunks())
        yield CategoryStatistics(
            column=column.name,
            count=column.present,
            distinct=column.distinct.count,
            distinct_exact=column.distinct.exact,
            most_frequent=column.top[0].value if column.top else None,
            most_frequent_count=column.top[0].count if column.top else None,
            least_frequent=last.value if last else None,
            least_frequent_count=last.count if last else None,
            concentration=_concentration(column, np.zeros(0), texts),
        )
