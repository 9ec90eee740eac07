"""Findings about the shape of single number columns: skew, tails, outliers, zeros, codes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from raypipe.blocks.chance import IQR_OF_NORMAL
from raypipe.blocks.profile import ColumnProfile, NumberSummary, Quantiles
from raypipe.insights.areas import last_word
from raypipe.insights.facts import (
    MIN_ROWS,
    MIN_SHAPE_ROWS,
    Facts,
    about,
    graded,
    is_whole,
    names_rows_or_things,
)
from raypipe.insights.statistics.models import Extreme
from raypipe.insights.words import figure, name, percent, plain, times
from raypipe.results import Insight

MIN_SKEWNESS = 1.0
MIN_ROBUST_SKEW = 0.2
MIN_TAIL_RATIO = 6.9
"""Twice the ratio of a normal distribution, (q99 - q01) / (q75 - q25) = 3.449."""
MIN_EXCESS_KURTOSIS = 3.0
MIN_OUTLIER_SHARE = 0.05
"""A normal distribution has 0.7 % outside the fences."""
MIN_EXTREME_Z = 10.0
MIN_EXTREME_GAP = 3.0
"""An extreme stands apart if it is this many times farther from the median than the 1 % or 99 % quantile."""
MIN_ZERO_SHARE = 0.3
MIN_COUNTED = 6
"""Values from which their shape tells a count from a code."""
MIN_RARE = 3
"""Fewer values are those of something that seldom happens if they are 0, 1, 2, ... and each is half as frequent as the
one before, at most."""
MAX_CODES = 20
MIN_CODE_ROWS = 10
"""Rows a code below which a number is not taken for one."""
MIN_APART = 1.5
"""How many times as far from the median as the next one an extreme must lie, where the next one is known."""
SURELY_APART = 50.0
"""So many times as far is told whatever the tail: a Cauchy distribution comes to that once in fifty tables."""
MAX_CHANCE = 0.02
"""Of such a gap in a long tail, for all gaps that are looked at."""
_PARTS = {"quarter": 4, "weekday": 7, "dow": 7, "month": 12, "hour": 24, "day": 31, "week": 53, "minute": 59}
"""Word for a part of a date -> its largest number."""
_SENTINELS = frozenset({-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0, 9999999.0})


def _measures(facts: Facts) -> Iterator[tuple[ColumnProfile, NumberSummary, Quantiles]]:
    """Number columns that measure something, with enough values to judge their shape."""
    for column in facts.profile.columns:
        number = column.number
        if column.kind != "number" or number is None or number.quantiles is None or names_rows_or_things(column):
            continue
        many = column.distinct is None or column.distinct.count > 10
        if number.finite >= MIN_SHAPE_ROWS and many:
            yield column, number, number.quantiles


def skewed(facts: Facts) -> Iterator[Insight]:
    """Lopsided columns, by the moments and by the quantiles, so that one wild value is not taken for skew."""
    for column, number, quantiles in _measures(facts):
        low, middle, high = (quantiles.at(p) for p in (0.05, 0.5, 0.95))
        if number.skewness is None or low is None or middle is None or high is None or high <= low:
            continue
        robust = (high + low - 2 * middle) / (high - low)
        same_side = robust * number.skewness > 0
        if abs(number.skewness) < MIN_SKEWNESS or abs(robust) < MIN_ROBUST_SKEW or not same_side:
            continue
        side = "right" if robust > 0 else "left"
        positive = number.min is not None and number.min > 0
        advice = "a logarithm" if positive and side == "right" else "a Yeo-Johnson transform"
        mean = f" Its mean is {figure(number.mean)}, its median {figure(middle)}." if number.mean is not None else ""
        yield Insight(
            type="skewed",
            category="data_distribution",
            title=f"{name(column.name)} is skewed to the {side}",
            description=f"Skewness is {figure(number.skewness)}; the {side} half of the middle 90 % is"
            f" {times((1 + abs(robust)) / max(1 - abs(robust), 1e-9))} times as wide as the other.{mean}",
            impact="The mean is no typical value, and few rows dominate sums and straight-line models.",
            columns_affected=(column.name,),
            priority_score=graded(abs(robust), (MIN_ROBUST_SKEW, 3), (0.9, 6)),
            evidence={
                "skewness": number.skewness,
                "robust_skew": robust,
                "rows": number.finite,
                "threshold": {"skewness": MIN_SKEWNESS, "robust_skew": MIN_ROBUST_SKEW},
                "source": "Hinkley (1975), quantile skewness at 5 % and 95 %",
            },
            recommendation=f"Report the median, and give models {advice} of it.",
        )


def heavy_tailed(facts: Facts) -> Iterator[Insight]:
    """Tails much longer than a normal distribution's, by the quantiles and by the kurtosis."""
    for column, number, quantiles in _measures(facts):
        q01, q25, q75, q99 = (quantiles.at(p) for p in (0.01, 0.25, 0.75, 0.99))
        if q01 is None or q25 is None or q75 is None or q99 is None or q75 <= q25 or number.kurtosis is None:
            continue
        ratio = (q99 - q01) / (q75 - q25)
        if ratio < MIN_TAIL_RATIO or number.kurtosis < MIN_EXCESS_KURTOSIS:
            continue
        yield Insight(
            type="heavy_tails",
            category="data_distribution",
            title=f"{name(column.name)} has heavy tails",
            description=f"The middle 98 % of values span {about(quantiles.exact)}{times(ratio)} times the middle 50 %;"
            f" a normal distribution's span 3.4 times. Excess kurtosis is {times(number.kurtosis)}.",
            impact="Means, standard deviations and correlations hang on few values.",
            columns_affected=(column.name,),
            priority_score=graded(ratio, (MIN_TAIL_RATIO, 3), (50.0, 7)),
            evidence={
                "tail_ratio": ratio,
                "excess_kurtosis": number.kurtosis,
                "exact": quantiles.exact,
                "rank_error": quantiles.rank_error,
                "threshold": {"tail_ratio": MIN_TAIL_RATIO, "excess_kurtosis": MIN_EXCESS_KURTOSIS},
                "source": "after Crow and Siddiqui (1967)",
            },
            recommendation="Use medians and ranks, and models that split on values (trees) or bound pull (Huber).",
        )


def outliers(facts: Facts) -> Iterator[Insight]:
    """Many values outside Tukey's fences."""
    for column, number, quantiles in _measures(facts):
        q25, q75 = quantiles.at(0.25), quantiles.at(0.75)
        if number.iqr_outliers is None or q25 is None or q75 is None or q75 <= q25:
            continue
        share = number.iqr_outliers / number.finite
        if share - (0.0 if quantiles.exact else 2 * quantiles.rank_error) < MIN_OUTLIER_SHARE:
            continue
        low, high = q25 - 1.5 * (q75 - q25), q75 + 1.5 * (q75 - q25)
        side = _side(number, low, high)
        beyond = {"above": f"above {figure(high)}", "below": f"below {figure(low)}"}.get(
            side, f"outside {figure(low)} to {figure(high)}"
        )
        yield Insight(
            type="outliers",
            category="outliers",
            title=f"{about(quantiles.exact).capitalize()}{percent(share)} of {name(column.name)} are outliers",
            description=f"{about(quantiles.exact).capitalize()}{number.iqr_outliers:,} of {number.finite:,} values lie"
            f" {beyond}; a normal distribution has 0.7 % beyond such bounds.",
            impact="They pull means and fitted lines towards them.",
            columns_affected=(column.name,),
            priority_score=graded(share, (MIN_OUTLIER_SHARE, 4), (0.25, 7)),
            evidence={
                "outliers": number.iqr_outliers,
                "share": share,
                "fences": [low, high],
                "side": side,
                "exact": quantiles.exact,
                "threshold": MIN_OUTLIER_SHARE,
                "source": "Tukey (1977), fences at 1.5 IQR",
            },
            recommendation="Look at the most extreme rows first. If they are errors, set processing.cap_outliers: true;"
            " if they are real, keep them and use medians.",
        )


def _side(number: NumberSummary, low: float, high: float) -> str:
    """Where outliers lie: a fence that no value is beyond is not told."""
    if number.min is not None and number.min >= low:
        return "above"
    return "below" if number.max is not None and number.max <= high else "both"


def extreme_values(facts: Facts) -> Iterator[Insight]:
    """Largest or smallest values that stand apart from all others.

    Where the ends of the column are known, there must be a gap among them: the last values of a long tail are no news.
    """
    for column, number, quantiles in _measures(facts):
        middle, q25, q75 = (quantiles.at(p) for p in (0.5, 0.25, 0.75))
        if middle is None or q25 is None or q75 is None or q75 <= q25:
            continue
        for value, near, ends in (
            (number.max, quantiles.at(0.99), _ends(facts, column.name, "highest")),
            (number.min, quantiles.at(0.01), _ends(facts, column.name, "lowest")),
        ):
            if value is None or near is None:
                continue
            z = abs(value - middle) / ((q75 - q25) / IQR_OF_NORMAL)
            gap = abs(value - middle) / max(abs(near - middle), 1e-300)
            apart = _apart([abs(end - middle) for end in ends])
            if z >= MIN_EXTREME_Z and gap >= MIN_EXTREME_GAP and apart:
                yield _extreme(column, value, middle, (z, gap), apart)


def _ends(facts: Facts, column: str, end: str) -> list[float]:
    """The most extreme values of a column, the outermost first; none where they were not looked for."""
    found = facts.statistics.numbers if facts.statistics else ()
    extremes: tuple[Extreme, ...] = next((getattr(one, end) for one in found if one.column == column), ())
    return [one.value for one in extremes]


def _apart(distances: list[float]) -> int:
    """How many of the outermost values lie beyond a gap; 1 where only the outermost is known, 0 if there is none.

    In a tail that falls like a power, the i-th logarithm of a ratio of neighbours, times i, is exponential with one
    mean for all. So a gap is judged by the others: a tail may be as long as it likes.

    References
    ----------
    Rényi (1953), On the theory of order statistics.
    """
    if len(distances) < 2:
        return 1
    if distances[0] == distances[-1]:
        return len(distances)  # one value many times over, as codes for “unknown” are
    spaces = [i * math.log(far / max(near, 1e-300)) for i, (far, near) in enumerate(pairwise(distances), 1)]
    most = len(spaces) - 1
    for i, space in enumerate(spaces, 1):
        others = (sum(spaces) - space) / max(most, 1)
        by_chance = (1 + space / max(others, 1e-12) / max(most, 1)) ** -most
        unlikely = len(spaces) * by_chance <= MAX_CHANCE or space >= i * math.log(SURELY_APART)
        if space >= i * math.log(MIN_APART) and unlikely:
            return i
    return 0


def _extreme(column: ColumnProfile, value: float, middle: float, far: tuple[float, float], apart: int) -> Insight:
    coded, (z, gap) = value in _SENTINELS, far
    others = f" It is the outermost of {apart} such values." if apart > 1 else ""
    advice = (
        f"Add {figure(value).replace(',', '')} to read_options.null_values if it stands for “unknown”."
        if coded
        else "Look the row up: an error of unit or typing, or the one event worth a story?"
    )
    return Insight(
        type="extreme_value",
        category="outliers",
        title=f"{name(column.name)} reaches {figure(value)}, far from nearly all else",
        description=f"The median is {figure(middle)}; {figure(value)} lies about {times(z)} robust standard deviations"
        f" away, {times(gap)} times as far as the {'99 %' if value > middle else '1 %'} quantile.{others}"
        + (" It looks like a code for “unknown”." if coded else ""),
        impact="A single such value can decide a mean, a scale or a correlation.",
        columns_affected=(column.name,),
        priority_score=graded(z, (MIN_EXTREME_Z, 3), (100.0, 7)),
        evidence={
            "value": value,
            "median": middle,
            "robust_z": z,
            "gap": gap,
            "values_apart": apart,
            "coded": coded,
            "threshold": {"robust_z": MIN_EXTREME_Z, "gap": MIN_EXTREME_GAP, "beyond_the_next": MIN_APART},
        },
        recommendation=advice,
    )


def zero_inflated(facts: Facts) -> Iterator[Insight]:
    """Numbers that are mostly zero, or zero far more often than any value near it."""
    for column, number, _ in _measures(facts):
        share = number.zeros / number.finite
        if share < MIN_ZERO_SHARE or share >= 1:
            continue
        yield Insight(
            type="zero_inflated",
            category="data_distribution",
            title=f"{name(column.name)} is zero in {percent(share)} of its rows",
            description=f"{number.zeros:,} of {number.finite:,} values are 0; the others are not.",
            impact="Whether something happened and how much of it are two questions; one average mixes them.",
            columns_affected=(column.name,),
            priority_score=graded(share, (MIN_ZERO_SHARE, 3), (0.95, 7)),
            evidence={"zeros": number.zeros, "share": share, "rows": number.finite, "threshold": MIN_ZERO_SHARE},
            recommendation="Ask whether 0 means “none” or “unknown”; then model “any” and “how much” apart.",
        )


def coded_categories(facts: Facts) -> Iterator[Insight]:
    """Whole numbers with few values, which may be names of groups."""
    for column in facts.profile.columns:
        distinct = column.distinct
        if not is_whole(column) or distinct is None or column.name == facts.target_name or _is_part_of_date(column):
            continue
        enough = column.present >= max(5 * MIN_ROWS, MIN_CODE_ROWS * distinct.count)
        if not distinct.exact or not 2 <= distinct.count <= MAX_CODES or not enough or _is_count(column):
            continue
        yield Insight(
            type="coded_category",
            category="data_distribution",
            title=f"{name(column.name)} is a number with only {distinct.count} values",
            description=f"{column.present:,} rows share {distinct.count} whole numbers"
            f" ({column.min} to {column.max}): perhaps codes of groups, grades or parts of a date.",
            impact="Means and straight lines over codes say nothing.",
            columns_affected=(column.name,),
            priority_score=graded(distinct.count, (2, 3), (MAX_CODES, 1)),
            evidence={"distinct": distinct.count, "rows": column.present, "threshold": MAX_CODES},
            recommendation="If the numbers have no order, read them as text:"
            f" read_options.dtypes: {{{plain(column.name)}: text}}.",
        )


def _is_part_of_date(column: ColumnProfile) -> bool:
    """Whether the name says which part of a date or of a day the numbers are, and they are within it."""
    number, last = column.number, _PARTS.get(last_word(column.name))
    return last is not None and number is not None and (number.min or 0) >= 0 and (number.max or 0) <= last


def _is_count(column: ColumnProfile) -> bool:
    """Whether the values are spread as those of something counted: one peak among neighbouring numbers, or a fast fall
    from 0."""
    shares = sorted((int(item.value), item.count) for item in column.top)
    if not column.distinct or len(shares) < column.distinct.count:
        return False
    values, counts = [value for value, _ in shares], [n for _, n in shares]
    if len(shares) < MIN_COUNTED:
        rare = all(2 * after <= before for before, after in pairwise(counts))
        often = [value for value, n in shares if n >= 5]  # beyond them chance leaves numbers out
        return rare and often == list(range(len(often))) and len(values) >= MIN_RARE
    peak = counts.index(max(counts))
    large = [place for place, n in enumerate(counts) if n >= counts[peak] / 10]
    neighbours = values[large[-1]] - values[large[0]] == large[-1] - large[0]
    sides = (counts[: peak + 1], counts[: peak - 1 if peak else None : -1])
    falling = all(low <= high + 3 * math.sqrt(low + high) for side in sides for low, high in pairwise(side))
    return neighbours and falling and counts[peak] >= 3 * min(counts[0], counts[-1])
