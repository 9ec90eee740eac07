"""Findings about times themselves: missing and far-off ones, gaps, repeats, and unusual periods."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from raypipe.insights.facts import MIN_ROWS, Facts, graded, sureness
from raypipe.insights.findings.series import CHART, columns_of, followed
from raypipe.insights.models import Timeline
from raypipe.insights.series.decompose import MIN_Z
from raypipe.insights.series.models import MAX_REPEATED, Anomaly, Frequency, SeriesFacts, SeriesReport
from raypipe.insights.words import count, figure, has_have, moment, name, names, percent, steps
from raypipe.results import Insight

GAP_CHANCE = 0.01
"""Expected number of gaps this long, if rows fell at random, below which a gap is told."""
STRAY_CHANCE = 0.01
"""Chance that any bucket of any series stands out as much."""
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def unusable_times(facts: Facts) -> Iterator[Insight]:
    """Rows without a time, or with one far off all others."""
    line = facts.timeline
    rows = facts.profile.rows
    if line is None or not rows:
        return
    if not line.points or line.unknown / rows >= 0.05:
        yield Insight(
            type="missing_times",
            category="data_quality",
            title=f"{percent(line.unknown / rows)} of rows have no {name(line.column)}",
            description=f"{line.unknown:,} of {count(rows, 'row')} have no place in time.",
            impact="The course over time leaves them out.",
            columns_affected=(line.column,),
            priority_score=graded(line.unknown / rows, (0.05, 4), (1.0, 9)),
            evidence={"rows": line.unknown, "share": line.unknown / rows, "threshold": 0.05},
            recommendation="Name another time_column, or find out why times are missing.",
        )
    if line.outside and line.points:
        yield Insight(
            type="far_off_times",
            category="data_quality",
            title=f"{count(line.outside, 'row')} lie far off in time",
            description=f"They lie before {moment(line.first)} or long after {moment(line.last)}; 98 % of rows lie"
            " close together.",
            impact="They are left out of the course over time.",
            columns_affected=(line.column,),
            priority_score=graded(line.outside / rows, (0.0, 3), (0.02, 6)),
            evidence={"rows": line.outside, "share": line.outside / rows, "threshold": "20 times the middle 98 %"},
            recommendation="Dates such as 1900-01-01 or 9999-12-31 stand for “unknown”: list them in"
            " read_options.null_values.",
        )


def gaps(facts: Facts) -> Iterator[Insight]:
    """Steps that are missing from a grid; without a grid, stretches without rows, longer than chance makes them."""
    report, line = facts.series, facts.timeline
    if report is not None and report.frequency.steady:
        if report.frequency.missing:
            yield _grid_gaps(report)
    elif line is not None:
        yield from _chance_gaps(line)


def _grid_gaps(report: SeriesReport) -> Insight:
    frequency = report.frequency
    longest = frequency.gaps[0]
    expected = (frequency.times or 0) + frequency.missing
    share = frequency.missing / expected
    return Insight(
        type="time_gaps",
        category="data_quality",
        title=f"{name(report.time_column)} has {count(frequency.gap_count, 'gap')}",
        description=f"Times follow each other by {_step(frequency)} ({percent(frequency.on_grid)} of steps);"
        f" {frequency.missing:,} of {expected:,} are missing. The longest gap misses {longest.missing:,}, after"
        f" {moment(longest.after)} and before {moment(longest.before)}.",
        impact="Sums and differences across a gap compare unequal periods.",
        columns_affected=(report.time_column,),
        priority_score=graded(share, (0.0, 4), (0.3, 8)),
        evidence={
            "step": frequency.step,
            "missing": frequency.missing,
            "gaps": frequency.gap_count,
            "longest": longest.missing,
            "longest_from": longest.after,
            "threshold": "a step of the grid without a row",
        },
        recommendation="Check whether data of these periods was lost, late or never made.",
        effect_size=share,
        effect_measure="share_of_steps",
        confidence=1.0,
        chart=CHART,
    )


def _step(frequency: Frequency) -> str:
    step = str(frequency.step)
    return step if step[:1].isdigit() else f"one {step}"


def repeated_times(facts: Facts) -> Iterator[Insight]:
    """Times in several rows of a table that has one row a time."""
    report = facts.series
    if report is None or not report.frequency.steady or not report.frequency.repeated_times:
        return
    frequency = report.frequency
    times, repeated = frequency.times or 1, frequency.repeated_times or 0
    yield Insight(
        type="repeated_times",
        category="data_quality",
        title=f"{count(repeated, 'time')} of {name(report.time_column)} "
        f"{'stands' if repeated == 1 else 'stand'} in several rows",
        description=f"All other times have one row each; at most {frequency.most_rows} rows share a time.",
        impact="Sums count these times twice, and joins by time multiply rows.",
        columns_affected=(report.time_column,),
        priority_score=graded(repeated / times, (0.0, 4), (0.2, 7)),
        evidence={
            "times": repeated,
            "rows_beyond_first": frequency.rows_beyond_first,
            "most_rows": frequency.most_rows,
            "threshold": f"at most {MAX_REPEATED:.0%} of times",
        },
        recommendation=f"Keep one row for each time (step drop_duplicates, by {name(report.time_column)}), or group by"
        " it.",
        effect_size=repeated / times,
        effect_measure="share_of_times",
        confidence=1.0,
    )


def _chance_gaps(line: Timeline) -> Iterator[Insight]:
    if not line.gaps or sum(point.rows for point in line.points) < MIN_ROWS:
        return
    closed = _closed_weekdays(line)
    open_points = [p for p in line.points if not (closed and datetime.fromisoformat(p.start).weekday() in closed)]
    runs = [(empty, list(points)) for empty, points in groupby(open_points, key=lambda point: point.rows == 0)]
    per_bucket = sum(point.rows for point in open_points) / len(open_points)
    found = [run for empty, run in runs if empty and len(open_points) * math.exp(-len(run) * per_bucket) < GAP_CHANCE]
    if not found:
        return
    longest = max(found, key=len)
    missing = sum(len(run) for run in found)
    yield Insight(
        type="time_gaps",
        category="trends",
        title=f"{name(line.column)} has {count(len(found), 'gap')} without rows",
        description=f"{missing:,} of {count(len(open_points), line.bucket)} {has_have(missing)} no row; the longest"
        f" gap runs over {count(len(longest), line.bucket)} from {moment(longest[0].start)}. By chance none would be"
        " expected.",
        impact="Sums and trends across a gap compare unequal periods.",
        columns_affected=(line.column,),
        priority_score=graded(missing / len(open_points), (0.0, 4), (0.3, 8)),
        evidence={
            "gaps": len(found),
            "empty_buckets": missing,
            "longest": len(longest),
            "longest_from": longest[0].start,
            "bucket": line.bucket,
            "closed_weekdays": [_WEEKDAYS[day] for day in sorted(closed)],
            "threshold": f"fewer than {GAP_CHANCE} such gaps expected by chance",
        },
        recommendation="Check whether data of these periods was lost, late or never made.",
        effect_size=missing / len(open_points),
        effect_measure="share_of_buckets",
        p_value=GAP_CHANCE,
        confidence=sureness(GAP_CHANCE),
        chart=CHART,
    )


def _closed_weekdays(line: Timeline) -> frozenset[int]:
    """Weekdays that never have a row, where the timeline is by day and long enough to tell."""
    if line.bucket != "day" or len(line.points) < 28:
        return frozenset()
    return frozenset(day for day, rows in enumerate(line.weekday_rows) if rows == 0)


def unusual_periods(facts: Facts) -> Iterator[Insight]:
    """Periods far off what trend and season let expect; the target's apart."""
    of_target: list[tuple[SeriesFacts, Anomaly]] = []
    of_others: list[tuple[SeriesFacts, Anomaly]] = []
    tested = sum(one.anomalies.tested for _, one in followed(facts) if one.anomalies)
    report = facts.series
    for _, one in followed(facts):
        group = of_target if one.column is not None and one.column == facts.target_name else of_others
        found = one.anomalies.found if one.anomalies else ()
        group.extend((one, stray) for stray in found if stray.p_value * tested < STRAY_CHANCE and _is_told(one, stray))
    for strays, low, high in ((of_target, 4, 8), (of_others, 3, 6)):
        if strays and report is not None:
            yield _unusual(report, strays, tested, low, high)


def _is_told(one: SeriesFacts, stray: Anomaly) -> bool:
    """An empty bucket is a gap, which is told as one."""
    return one.column is not None or stray.value > 0


def _unusual(
    report: SeriesReport, strays: list[tuple[SeriesFacts, Anomaly]], tested: int, low: int, high: int
) -> Insight:
    strays = sorted(strays, key=lambda pair: -abs(pair[1].robust_z))
    periods = list(dict.fromkeys(stray.start for _, stray in strays))
    columns = tuple(dict.fromkeys(one.column for one, _ in strays if one.column))
    told = []
    for start in periods[:5]:
        here = [(one, stray) for one, stray in strays if stray.start == start][:3]
        what = (
            f"{name(one.column) if one.column else 'rows'} {figure(stray.value)} instead of {figure(stray.expected)}"
            for one, stray in here
        )
        told.append(f"{moment(start)} ({', '.join(what)})")
    of = f" of {names(columns, 3)}" if columns else " of the number of rows"
    worst = strays[0][1]
    p = min(worst.p_value * tested, 1.0)
    return Insight(
        type="unusual_period",
        category="anomalies",
        title=f"{steps(len(periods), report.bucket)} with unusual values{of}",
        description=f"Against trend and season, these stand out most: {'; '.join(told)}. Of"
        f" {count(tested, 'value')}, fewer than {STRAY_CHANCE} so far off are expected by chance.",
        impact="A few such periods can make or hide a trend.",
        columns_affected=(*columns, report.time_column) if columns else columns_of(report, strays[0][0]),
        priority_score=graded(abs(worst.robust_z), (MIN_Z, low), (30.0, high)),
        evidence={
            "periods": len(periods),
            "most_unusual": [
                {
                    "start": stray.start,
                    "column": one.column or "number of rows",
                    "value": stray.value,
                    "expected": stray.expected,
                    "robust_z": stray.robust_z,
                }
                for one, stray in strays[:8]
            ],
            "threshold": {"robust_z": MIN_Z, "expected_false": STRAY_CHANCE},
            "source": "remainder of a robust decomposition; tails as generalised Pareto distributions (Pickands 1975)",
        },
        recommendation="Ask what happened then (an event, a holiday, a fault in recording), and mark these periods.",
        effect_size=worst.robust_z,
        effect_measure="robust_z",
        p_value=p,
        confidence=sureness(p),
        chart=CHART,
    )
