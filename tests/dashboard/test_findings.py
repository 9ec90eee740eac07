"""What was found, on the page: drawn from the figures of the report, and led to by every finding."""

import html
import json
import re
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from raypipe.blocks.profile import Profile
from raypipe.config import DashboardConfig
from raypipe.dashboard.anchors import PLACES, SECTIONS, place_of
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.generator import MAX_PAGE_BYTES, DashboardGenerator
from raypipe.dashboard.inputs import DashboardInput
from raypipe.dashboard.overview import findings_of
from raypipe.insights.measured import KINDS
from raypipe.insights.overview import Overview
from raypipe.insights.patterns.models import (
    Cluster,
    ClusterReport,
    Component,
    Contrast,
    PatternsReport,
    PointMap,
    Rule,
)
from raypipe.insights.report import write_report
from raypipe.insights.series.models import Anomalies, Anomaly, Decomposition, Frequency, Gap, SeriesFacts, SeriesReport
from raypipe.insights.series.rows import course_rows
from raypipe.insights.statistics.models import PairMatrix, SampleFacts, Statistics
from raypipe.insights.wording.catalogue import Catalogue
from raypipe.results import Insight
from tests.dashboard.test_generator import EMPTIES, Outline

Analyse = Callable[..., DashboardInput]


def rising(rows: int = 400) -> pl.DataFrame:
    """A target that rises a quarter a day, with a day of the week, a gap and a stray; another column that does not."""
    rng = np.random.default_rng(5)
    day = np.arange(rows)
    y = 10 + 0.25 * day + np.where(day % 7 > 4, 3.0, 0.0) + rng.normal(size=rows)
    y[60] += 40
    frame = pl.DataFrame(
        {
            "day": [date(2024, 1, 1) + timedelta(days=int(i)) for i in day],
            "y": y,
            "x": rng.normal(size=rows),
            "shop": rng.choice(["a", "b"], rows),
        }
    )
    return frame.filter(~pl.col("day").is_between(date(2024, 4, 1), date(2024, 4, 6)))


@pytest.fixture(scope="module")
def course(analyse: Analyse) -> DashboardInput:
    """Rising sales, taken apart."""
    return analyse(rising(), "y", "day", deep=True)


def poor(name: str, analyse: Analyse) -> DashboardInput:
    return analyse(EMPTIES[name], deep=bool(EMPTIES[name].width))


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_chart_that_a_kind_of_finding_names_is_a_place_of_the_page() -> None:
    assert {kind.chart for kind in KINDS.values()} <= set(SECTIONS)
    shown = {place_of(insight(name, kind.chart), "y") for name, kind in KINDS.items()}
    assert shown <= set(PLACES)
    assert place_of(insight("trend", "nowhere"), "y") == ""


def insight(kind: str, chart: str, *columns: str) -> Insight:
    return Insight(
        type=kind,
        category="trends",
        title=kind,
        description="d",
        impact="i",
        priority_score=5,
        columns_affected=columns,
        chart=chart,
    )


def test_findings_of_a_series_lead_to_the_chart_that_draws_it() -> None:
    assert place_of(insight("trend", "time", "y", "t"), "y") == "apart"
    assert place_of(insight("volume_trend", "time", "t"), "y") == "apart"
    assert place_of(insight("trend", "time", "x", "t"), "y") == "each-series"


@pytest.mark.parametrize("name", ["flights", "hostile", "course", *EMPTIES])
def test_every_link_leads_to_an_element_that_the_page_has(
    name: str, few_flights: DashboardInput, hostile: DashboardInput, course: DashboardInput, analyse: Analyse
) -> None:
    known = {"flights": few_flights, "hostile": hostile, "course": course}
    given = known[name] if name in known else poor(name, analyse)
    outline = Outline(DashboardGenerator().render(given))
    assert len(outline.ids) == len(set(outline.ids))
    assert set(PLACES) <= set(outline.ids)
    places = [link[1:] for link in outline.links if not link.startswith(("#col=", "#i-"))]
    assert set(places) <= set(outline.ids)
    for finding in findings_of(given):
        assert finding.chart in PLACES
        assert finding.chart in places
    for one in given.insights:
        assert one.chart is None or place_of(one, given.target.column if given.target else None) in PLACES


# ── one source of truth ──────────────────────────────────────────────────────────────────────────────────────────────


def test_page_report_and_findings_tell_the_same_trend(course: DashboardInput) -> None:
    page = DashboardGenerator().render(course)
    assert course.series is not None
    trend = course.series.of("y").trend  # type: ignore[union-attr]
    assert trend is not None
    told = next(one for one in course.insights if one.type == "trend")
    numbers = json.loads(Outline(page).scripts["data"])["series"]["series"]
    in_page = next(one for one in numbers if one["column"] == "y" and one["measure"] == "mean")
    assert told.evidence["slope_per_day"] == trend.slope_per_day == pytest.approx(0.25, abs=0.02)
    assert in_page["trend"]["slope_per_day"] == pytest.approx(trend.slope_per_day, rel=1e-9)
    report = write_report(
        Overview(course.profile, insights=course.insights, timeline=course.timeline, series=course.series)
    )
    for row in course_rows(course.series, Catalogue()):
        assert all(f'dir="auto">{html.escape(cell)}</td>' in page for cell in row)
        assert all(cell.replace("_", "\\_") in report for cell in row)


def test_a_trend_is_told_nowhere_but_by_series(course: DashboardInput) -> None:
    assert course.timeline is not None
    assert not {"trends", "rows_trend", "seasons"} & set(type(course.timeline).model_fields)
    bare = DashboardInput(profile=course.profile, timeline=course.timeline, reasons={"time series": "switched off"})
    page = DashboardGenerator().render(bare)
    assert "Series: not available, because switched off." in page
    assert "a day</b>" not in page


def test_what_the_series_knows_is_drawn(course: DashboardInput) -> None:
    page = DashboardGenerator().render(course)
    outline = Outline(page)
    apart, over = outline.scripts["item-apart0"], outline.scripts["item-timeline"]
    assert "straight course (Theil-Sen)" in page
    assert "Hatched: times are missing." in page
    assert "diamond" in apart
    assert '"VStrip"' in over
    assert "mean of y by day of the week" in page
    assert "Forecasts and their back-test" in page
    assert "Unusual buckets of each series" in page
    assert "Autocorrelation and stationarity of each series" in page
    assert "2024-03-31</td>" in page, "the gap stands in the table of gaps"


def test_stretches_without_rows_are_listed_where_times_lie_on_no_grid(analyse: Analyse) -> None:
    rng = np.random.default_rng(2)
    at = np.sort(rng.integers(0, 60 * 86_400, 2000))
    at = at[(at < 20 * 86_400) | (at > 26 * 86_400)] * 1_000_000
    frame = pl.DataFrame({"at": pl.Series(at).cast(pl.Datetime("us")), "y": rng.normal(size=len(at))})
    given = analyse(frame, "y", "at", deep=True)
    assert any(one.type == "time_gaps" for one in given.insights)
    page = DashboardGenerator().render(given)
    times = page[page.index('id="times"') :]
    assert "The longest stretches without rows" in times
    assert '1970-01-21</td><td class=" nw" dir="auto">1970-01-26</td><td class="n nw" dir="auto">6</td>' in times


# ── charts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def patterns(points: int = 500, columns: int = 6, name: str = "column") -> PatternsReport:
    """Three clusters on a map, the last ten rows apart."""
    rng = np.random.default_rng(3)
    names = tuple(f"{name} {i}" for i in range(columns))
    axis = Component(explained=0.4, loadings={n: 0.9 - i / columns for i, n in enumerate(names)}, words="high")
    contrast = Contrast(column=names[0], kind="category", effect=-0.7, inside=0.1, outside=0.8, level=name)
    clusters = tuple(Cluster(rows=100, share=0.3, contrasts=(contrast,) * 8) for _ in range(3))
    rule = Rule(
        items=((names[0], name), (names[1], name)), rows=9, support=0.1, lift=3, confidence=0.9, phi=0.4, p_value=1e-9
    )
    return PatternsReport(
        rows=points,
        rows_used=points,
        columns=names,
        left_out=dict.fromkeys(names, "constant " * 20),
        clusters=ClusterReport(k=3, clusters=clusters, columns=names, rows=points),
        rules=(rule,) * 40,
        map=PointMap(
            components=(axis, axis.replace(explained=0.2)),
            x=tuple(rng.normal(size=points).tolist()),
            y=tuple(rng.normal(size=points).tolist()),
            cluster=tuple(int(i % 3) for i in range(points)),
            odd=tuple(range(points - 10, points)),
            columns=names,
            rows=points,
        ),
    )


def test_the_map_tells_clusters_by_shape_and_colour_names_its_axes_and_keeps_odd_rows() -> None:
    chart = ChartEngine(DashboardConfig(max_points=60)).map(patterns())
    assert chart is not None
    text = json.dumps(chart.item)
    for marker in ("square", "triangle"):
        assert f'"value": "{marker}"' in text
    assert "40 %: column 0 0.9, column 1 0.73" in text
    assert chart.label.startswith("Map of 60 rows with 3 clusters")
    assert len(re.findall("a row that lies apart", text)) >= 10
    assert ChartEngine().map(PatternsReport()) is None
    plain = patterns().replace(map=patterns().map.replace(cluster=(), odd=()))
    assert "with no clusters" in ChartEngine().map(plain).label  # type: ignore[union-attr]


def test_the_association_of_many_columns_is_cut_to_the_strongest() -> None:
    n = 80
    values = np.full((n, n), 0.05)
    values[70, 75] = values[75, 70] = 0.9
    matrix = PairMatrix(
        measure="cramers_v",
        columns=tuple(f"c{i}" for i in range(n)),
        values=tuple(map(tuple, values.tolist())),
        rows=9,
        exact=True,
    )
    found = Statistics(rows=9, sample=SampleFacts(rows=9, of_rows=9, seed=1), association=matrix)
    chart = ChartEngine().association(found)
    assert chart is not None
    assert "The 30 columns with the strongest pairs of 80." in chart.note
    assert chart.table.rows[0][:3] == ("c70", "c75", "0.90")
    assert chart.legend == "strength"
    assert ChartEngine().association(found.replace(association=None)) is None


def test_a_series_of_many_buckets_is_shown_by_its_last_ones_with_strays_and_breaks() -> None:
    n = 2500
    starts = tuple((date(2010, 1, 1) + timedelta(days=i)).isoformat() for i in range(n))
    values = tuple(None if i == n - 5 else float(i % 7) for i in range(n))
    parts = Decomposition(
        cycle=None, trend_strength=0.5, starts=starts, values=values, trend=(3.0,) * n, season=(0.0,) * n
    )
    stray = Anomaly(start=starts[-3], value=9.0, expected=3.0, robust_z=8.0, p_value=1e-9)
    early = stray.replace(start=starts[0])
    facts = SeriesFacts(
        column="y",
        measure="mean",
        points=n - 1,
        decomposition=parts,
        anomalies=Anomalies(found=(stray, early), count=2),
    )
    gaps = Frequency(regular=True, most_rows=1, gaps=(Gap(after=starts[1], before=starts[9], missing=7),))
    report = SeriesReport(time_column="t", zone="UTC", frequency=gaps, bucket="day", series=(facts,))
    chart = ChartEngine().apart(report, facts, "apart0")
    assert chart is not None
    assert "The last 2,000 days." in chart.note
    assert chart.figures == 2, "there is no season to draw"
    assert len(chart.table.rows) == 400
    assert chart.table.rows[-5][1] == "n/a"
    assert ChartEngine().apart(report, facts.replace(decomposition=None), "apart0") is None


# ── size ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_thousand_columns_with_every_pattern_fit_in_five_megabytes(analyse: Analyse) -> None:
    rng = np.random.default_rng(1)
    seen = analyse(pl.DataFrame({f"v{i}": rng.normal(size=300) for i in range(20)})).profile
    columns = tuple(
        column.replace(name=f"{column.name} of copy {copy} {'n' * 60}")
        for copy in range(100)
        for column in seen.columns
    )
    profile: Profile = seen.replace(columns=columns)
    wide = patterns(1000, 2000, "measured " + "m" * 60)
    page = DashboardGenerator().render(DashboardInput(profile=profile, patterns=wide))
    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert "The 40 of 2,000 columns that go most with the axes." in page


def test_hostile_names_stay_texts_in_patterns(hostile: DashboardInput) -> None:
    attack = "</td><script>window.hit=1</script>"
    page = DashboardGenerator().render(DashboardInput(profile=hostile.profile, patterns=patterns(name=attack)))
    outline = Outline(page)
    assert outline.tags.count("script") == page.count("<script")
    assert attack not in page
