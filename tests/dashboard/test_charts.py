"""Figures: what can be drawn, what cannot, and that no raw points slip through."""

import json
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.profile import Correlation, Missingness
from raypipe.config import DashboardConfig
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.figures import plain
from raypipe.dashboard.heatmaps import HEATMAP_COLUMNS
from raypipe.dashboard.inputs import DashboardInput
from raypipe.dashboard.scatter import span_of, thin
from raypipe.dashboard.timechart import merge_buckets
from raypipe.insights.models import Level, TargetRelation, TargetReport, Timeline, TimePoint
from raypipe.insights.series.models import ChangePoint, Forecast, Frequency, SeriesFacts, SeriesReport


def test_every_chart_has_a_label_a_table_and_json(few_flights: DashboardInput) -> None:
    engine = ChartEngine()
    report, timeline, series = few_flights.target, few_flights.timeline, few_flights.series
    assert report is not None
    assert timeline is not None
    assert series is not None
    assert few_flights.patterns is not None
    assert few_flights.statistics is not None
    charts = [
        engine.correlation(few_flights.profile.correlation),
        engine.missing_together(few_flights.profile.missingness),
        engine.drivers(report),
        engine.levels(report.relations[0], report.column, "levels0"),
        engine.scatter(few_flights.points, report),
        engine.timeline(timeline, report.column, series),
        engine.further(timeline, series, report.column),
        engine.apart(series, series.series[0], "apart0"),
        engine.map(few_flights.patterns),
        engine.association(few_flights.statistics),
    ]
    for chart in charts:
        assert chart is not None
        assert chart.label
        assert chart.table.rows
        assert all(len(row) == len(chart.table.headers) for row in chart.table.rows)
        assert json.dumps(chart.item)


def test_a_wide_matrix_is_cut_to_the_strongest_columns_and_says_so() -> None:
    n = 80
    r = np.eye(n) * 0.5 + 0.01
    r[70, 75] = r[75, 70] = -0.9
    matrix = Correlation(
        columns=tuple(f"c{i}" for i in range(n)), r=tuple(map(tuple, r.tolist())), pairs=((9,) * n,) * n
    )
    chart = ChartEngine().correlation(matrix)
    assert chart is not None
    assert f"The {HEATMAP_COLUMNS} columns with the strongest pairs of 80" in chart.note
    assert chart.table.rows[0] == ("c70", "c75", "−0.90", "9")
    assert "strongest of 3,160 pairs" in chart.table.note


def test_what_cannot_be_drawn_is_none() -> None:
    engine = ChartEngine()
    report = TargetReport(column="y", task="regression")
    point = TimePoint(start="2024-01-01T00:00:00", rows=3)
    single = Timeline(column="t", bucket="day", first=point.start, last=point.start, points=(point,), gaps=0)
    assert engine.correlation(Correlation()) is None
    assert engine.correlation(Correlation(columns=("a", "b"), r=((None, None),) * 2, pairs=((0, 0),) * 2)) is None
    assert engine.missing_together(Missingness(columns=("a",), together=((3,),))) is None
    assert engine.drivers(report) is None
    assert engine.scatter(pa.table({"y": [1.0]}), report) is None
    assert engine.timeline(single, None) is None
    assert engine.levels(relation(Level(label="only", rows=5, mean=1.0)), "y", "k") is None


def relation(*levels: Level) -> TargetRelation:
    return TargetRelation(
        column="x", kind="category", measure="eta_squared", strength=0.5, value=0.25, rows=9, levels=levels
    )


def test_a_categorical_target_is_drawn_as_shares() -> None:
    shares = {f"class {i}": 0.125 for i in range(8)}
    drawn = ChartEngine().levels(relation(*(Level(label=f"l{i}", rows=4, shares=shares) for i in range(3))), "y", "k")
    assert drawn is not None
    assert drawn.table.headers[:3] == ("Level", "Rows", "class 0")
    assert drawn.table.rows[0][2] == "12.5 %"
    assert "3 rarer classes are left white" in drawn.note


def test_the_scatter_holds_no_more_points_than_allowed() -> None:
    rows = 5000
    points = pa.table({"y": np.arange(rows) * 1.5, "x": np.arange(rows) % 97, "text": ["a"] * rows})
    report = TargetReport(column="y", task="regression", relations=(relation(),)).replace(
        relations=(TargetRelation(column="x", kind="number", measure="pearson_r", strength=0.1, value=0.1, rows=rows),)
    )
    chart = ChartEngine(DashboardConfig(max_points=300)).scatter(points, report)
    assert chart is not None
    assert "A sample of 300 rows" in chart.note
    assert thin(points, 300).num_rows == 300
    assert len(json.dumps(chart.item)) < 60_000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
def test_the_axes_of_a_scatter_are_finite_and_increase(values: list[float]) -> None:
    low, high = span_of(np.array(values, dtype=np.float64))
    assert np.isfinite([low, high]).all()
    assert low < high


@pytest.mark.parametrize("values", [[1e308, -1e308, 5.0, 7.0], [float("inf"), 1.0, 2.0, 3.0], [1.0, 1.0, 2.0, None]])
def test_extreme_values_do_not_break_the_scatter(values: list[Any]) -> None:
    points = pl.DataFrame({"y": values, "x": [1.0, 2.0, 3.0, 4.0]}).to_arrow()
    report = TargetReport(
        column="y",
        task="regression",
        relations=(TargetRelation(column="x", kind="number", measure="pearson_r", strength=0.1, value=0.1, rows=4),),
    )
    assert ChartEngine().scatter(points, report) is not None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.one_of(st.none(), st.floats(-9, 9))), min_size=1, max_size=90),
    st.integers(1, 40),
)
def test_merged_buckets_keep_rows_and_the_weighted_mean(parts: list[tuple[int, float | None]], limit: int) -> None:
    points = tuple(
        TimePoint(start=f"2024-01-01T00:00:{i:02d}", rows=rows, means={"y": mean if rows else None})
        for i, (rows, mean) in enumerate(parts)
    )
    merged, size = merge_buckets(points, limit)
    assert len(merged) <= limit
    assert sum(p.rows for p in merged) == sum(p.rows for p in points)
    assert len(merged) == -(-len(points) // size)
    for place, bucket in enumerate(merged):
        group = [p for p in points[place * size : (place + 1) * size] if p.means["y"] is not None]
        weight = sum(p.rows for p in group)
        expected = sum(float(p.means["y"] or 0) * p.rows for p in group) / weight if weight else None
        assert bucket.means["y"] == (None if expected is None else pytest.approx(expected, abs=1e-9))


@pytest.mark.parametrize("text", ["$$x^2$$", "\\[x\\]", "\\(x\\)", "a\nb", "\u202eabc"])
def test_a_canvas_label_is_never_tex_and_never_turns_the_writing(text: str) -> None:
    label = plain(text)
    assert "$$" not in label
    assert "\\[" not in label
    assert "\\(" not in label
    assert not set(label) & set("\n\u202e")


def course_of(bucket: str, *, better: bool) -> SeriesReport:
    """A mean that rose once, with a forecast of two days."""
    change = ChangePoint(
        at="2024-01-05",
        interval=("2024-01-03", "2024-01-06"),
        shift=4.0,
        shift_interval=(3.0, 5.0),
        shift_in_std=2.0,
        p_value=1e-6,
    )
    forecast = Forecast(
        method="theta",
        starts=("2024-01-11", "2024-01-12"),
        values=(4.0, 4.0),
        low=(3.0, 3.0),
        high=(5.0, 5.0),
        coverage=0.8,
        origins=20,
        error=1.0,
        naive_error=2.0,
        mean_error=2.0,
        skill_p=0.001,
        better=better,
    )
    facts = SeriesFacts(column="y", measure="mean", points=10, changes=(change,), forecast=forecast)
    return SeriesReport(time_column="t", zone="UTC", frequency=Frequency(), bucket=bucket, series=(facts,))


@pytest.mark.parametrize(
    ("series", "drawn", "told"),
    [
        (course_of("day", better=True), {"VSpan", "VStrip", "VArea"}, ("change of level", "forecast by theta")),
        (course_of("day", better=False), {"VSpan", "VStrip"}, ("change of level",)),
        (course_of("hour", better=True), {"VSpan", "VStrip"}, ("change of level",)),
        (None, set(), ()),
    ],
)
def test_changes_and_forecasts_that_hold_are_marked_on_the_chart_of_their_buckets(
    series: SeriesReport | None, drawn: set[str], told: tuple[str, ...]
) -> None:
    days = [TimePoint(start=f"2024-01-{day:02}", rows=3, means={"y": 4.0 * (day > 4)}) for day in range(1, 11)]
    line = Timeline(column="t", bucket="day", first=days[0].start, last=days[-1].start, points=tuple(days), gaps=0)
    chart = ChartEngine().timeline(line, "y", series)
    assert chart is not None
    text = json.dumps(chart.item)
    assert {kind for kind in ("VSpan", "VStrip", "VArea") if f'"name": "{kind}"' in text} == drawn
    assert [words in chart.note for words in ("change of level", "forecast by theta")] == [
        words in told for words in ("change of level", "forecast by theta")
    ]
