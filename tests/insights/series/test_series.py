"""Time series: exact figures against other libraries, planted truths, and what noise must not say."""

import importlib.util
import json
import warnings
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.chance import chi2_tail, false_discoveries
from raypipe.config.insights.series import SeriesConfig
from raypipe.engine.localframe import as_frame
from raypipe.errors import ConfigError, MissingColumnsError, SchemaError
from raypipe.insights.chance import holm, quick_f_tail, quick_t_tails
from raypipe.insights.course_sums import Instants
from raypipe.insights.series.changes import find_changes
from raypipe.insights.series.decompose import decompose, loess
from raypipe.insights.series.forecast import make_forecast
from raypipe.insights.series.frames import analyse_series, resample
from raypipe.insights.series.frequency import find_frequency
from raypipe.insights.series.measure import measure_series
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.series.noise import correlogram
from raypipe.insights.series.stationarity import adf, kpss, stationarity
from raypipe.insights.series.trend import find_trend, mann_kendall, theil_sen
from raypipe.insights.timeline import plan_timeline
from tests.insights.tables import as_table, close, findings, profile_of

HAS_EXTRA = importlib.util.find_spec("statsmodels") is not None and importlib.util.find_spec("scipy") is not None
needs_oracles = pytest.mark.skipif(not HAS_EXTRA, reason="compared with SciPy and statsmodels, which are not installed")
OVER_TIME = {"trend", "volume_trend", "seasonality", "change_point", "random_walk", "time_gaps", "unusual_period"}
OVER_TIME |= {"forecast", "repeated_times"}


def days(count, start=date(2021, 1, 1)):
    return [start + timedelta(days=i) for i in range(count)]


def rng(seed=0):
    return np.random.default_rng(seed)


def ar(random, memory, n):
    noise = random.normal(size=n + 100)
    out = np.zeros(n + 100)
    for i in range(1, n + 100):
        out[i] = memory * out[i - 1] + noise[i]
    return out[100:]


def report(table, time="d", target=None, **changes) -> SeriesReport:
    return analyse_series(table, time, target, SeriesConfig(**changes))


def told(table, target=None, time="d"):
    return {insight.type: insight for insight in findings(table, target, time) if insight.type in OVER_TIME}


def micros_of(stamps):
    return pl.Series(stamps).dt.cast_time_unit("us").to_physical().to_numpy()


# ── steps, gaps, repeats ─────────────────────────────────────────────────────────────────────────────────────────────

STEPS = {
    "D": "day",
    "B": "business day",
    "W": "week",
    "14D": "2 weeks",
    "ME": "month end",
    "MS": "month start",
    "BME": "business month end",
    "QE": "quarter end",
    "YS": "year start",
    "h": "hour",
    "15min": "15 minutes",
    "s": "second",
}


@needs_oracles
@pytest.mark.parametrize(("code", "step"), STEPS.items())
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_every_step_of_the_calendar_is_named_and_clock_changes_are_no_gaps(code, step, zone):
    import pandas as pd

    stamps = pd.date_range("2023-01-03", periods=60 if code != "h" else 8760, freq=code, tz=zone).as_unit("us").asi8
    found, _ = find_frequency(Instants.of(stamps), zone)
    assert (found.step, found.missing, found.gap_count, found.clock_changes) == (step, 0, 0, 0)
    assert found.regular
    kept = np.delete(stamps, [20, 21, 40])
    holed, _ = find_frequency(Instants.of(kept), zone)
    assert (holed.step, holed.missing, holed.gap_count) == (step, 3, 2)
    assert holed.gaps[0].missing == 2


@needs_oracles
def test_hours_as_clocks_show_them_have_a_day_of_23_and_one_of_25_hours_and_no_gap():
    import pandas as pd

    stamps = (
        pd.date_range("2023-01-01", periods=8760, freq="h", tz="Europe/Berlin").tz_localize(None).as_unit("us").asi8
    )
    found, _ = find_frequency(Instants.of(stamps), "UTC")
    assert (found.step, found.missing, found.repeated_times, found.clock_changes) == ("hour", 0, 0, 2)


def test_days_of_23_and_25_hours_are_no_anomaly_and_weekdays_follow_the_zone():
    hours = pl.datetime_range(
        datetime(2023, 1, 1), datetime(2023, 12, 31, 23), "1h", time_zone="Europe/Berlin", eager=True
    )
    y = rng().normal(size=len(hours)) + 3 * (hours.dt.weekday().to_numpy() == 1)
    found = report(as_table(d=hours, y=y), target="y")
    facts = found.of("y")
    assert (found.zone, found.frequency.step, found.frequency.missing) == ("Europe/Berlin", "hour", 0)
    assert found.bucket == "day"
    assert facts.anomalies.count == 0
    weekly = next(test for test in facts.seasons if test.cycle == "day of the week")
    assert weekly.p_value < 1e-6
    assert weekly.high == "Monday"
    assert not set(told(as_table(d=hours, y=y), "y")) & {"time_gaps", "unusual_period", "repeated_times"}


def test_a_setting_names_the_zone_whose_days_count():
    hours = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 3, 1), "1h", time_zone="UTC", eager=True)
    assert report(as_table(d=hours, y=range(len(hours)))).zone == "UTC"
    assert report(as_table(d=hours, y=range(len(hours))), time_zone="Asia/Tokyo").zone == "Asia/Tokyo"
    with pytest.raises(ValueError, match="got 'Mars/Olympus'; wanted a time zone by its name"):
        SeriesConfig(time_zone="Mars/Olympus")


def test_leap_days_are_days_like_others():
    leap = days(1200, date(2019, 6, 1))
    found = report(as_table(d=leap, y=rng().normal(size=1200)))
    assert (found.frequency.step, found.frequency.missing) == ("day", 0)
    without = [day for day in leap if (day.month, day.day) != (2, 29)]
    assert report(as_table(d=without, y=range(len(without)))).frequency.missing == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=0, max_size=60), st.randoms())
def test_instants_add_up_whatever_the_cuts_and_every_row_is_counted(seconds, random):
    at = np.array(seconds, np.int64) * 1_000_000
    cut = random.randint(0, len(at))
    whole, pieces = Instants.of(at), Instants.of(at[cut:]).add(Instants.of(at[:cut]))
    assert np.array_equal(whole.at, pieces.at)
    assert np.array_equal(whole.rows, pieces.rows)
    found, _ = find_frequency(whole, "UTC")
    assert found.times == len(set(seconds))
    assert found.rows_beyond_first == len(seconds) - len(set(seconds))


def test_repeats_are_told_where_one_row_a_time_is_the_rule_and_only_there():
    usual = days(100)
    assert told(as_table(d=[*usual, usual[40]]))["repeated_times"].evidence["times"] == 1
    assert "repeated_times" not in told(as_table(d=usual * 3))


def test_missing_steps_are_told_exactly():
    insight = told(as_table(d=[day for i, day in enumerate(days(300)) if i not in (50, 51, 52, 200)]))["time_gaps"]
    assert (insight.evidence["missing"], insight.evidence["gaps"], insight.evidence["longest"]) == (4, 2, 3)


# ── exact figures ────────────────────────────────────────────────────────────────────────────────────────────────────


@needs_oracles
@pytest.mark.parametrize("n", [40, 150])
@pytest.mark.parametrize("terms", ["c", "ct"])
def test_adf_and_kpss_equal_those_of_statsmodels(n, terms):
    from statsmodels.tsa.stattools import adfuller
    from statsmodels.tsa.stattools import kpss as reference

    for seed in range(4):
        random = rng(seed)
        y = random.normal(size=n) + random.normal(size=n).cumsum() * seed / 3
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its result will have another form
            oracle = adfuller(y, regression=terms, autolag="BIC")[:2]
        assert adf(y, terms) == pytest.approx(oracle, rel=1e-6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its table goes no further
            wanted = reference(y, regression=terms)[:2]
        assert kpss(y, terms) == pytest.approx(wanted, rel=1e-6)


@needs_oracles
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=12, max_size=40).filter(lambda values: len(set(values)) > 2))
def test_autocorrelation_slope_and_tau_equal_those_of_other_libraries(values):
    from scipy import stats
    from statsmodels.tsa.stattools import acf

    y, t = np.array(values, float), np.arange(len(values), dtype=float)
    assert correlogram(y, 5) == pytest.approx(acf(y, nlags=5), abs=1e-9)
    assert theil_sen(t, y) == pytest.approx(stats.theilslopes(y, t)[0])
    score, variance = mann_kendall(y)
    signs = np.sign(np.subtract.outer(y, y))[np.tril_indices(len(y), -1)].sum()
    assert score == signs
    ranks = stats.kendalltau(t, y, method="asymptotic")
    assert np.sign(ranks.statistic) == np.sign(score)
    assert 2 * stats.norm.sf(abs(score) / np.sqrt(variance)) == pytest.approx(ranks.pvalue)


@needs_oracles
def test_tails_are_close_to_the_exact_ones():
    from scipy import stats

    for x in (0.5, 2.0, 4.0):
        assert quick_t_tails(x, 8) == pytest.approx(2 * stats.t.sf(x, 8), rel=0.05)
        assert quick_f_tail(x, 6, 200) == pytest.approx(stats.f.sf(x, 6, 200), rel=0.06, abs=1e-4)
        assert chi2_tail(10 * x, 10) == pytest.approx(stats.chi2.sf(10 * x, 10), rel=0.06, abs=1e-4)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    p = rng(4).random(50) ** 3
    assert np.array_equal(false_discoveries(p) <= 0.1, stats.false_discovery_control(p) <= 0.1)


@needs_oracles
def test_the_smooth_is_that_of_local_lines_and_the_season_that_of_stl():
    from statsmodels.tsa.seasonal import STL

    at = np.arange(280)
    straight = loess(3 + 0.5 * at, np.ones(280), 14)
    assert straight == pytest.approx(3 + 0.5 * at)
    season = np.array([0, 1, 4, 2, -1, -3, -3.0])[at % 7]
    y = 0.01 * at + season + 0.3 * rng().normal(size=280)
    parts = decompose(y, [at % 7], 7.0)
    reference = STL(y, period=7, seasonal=1001, robust=True).fit()
    assert np.corrcoef(parts.season, reference.seasonal)[0, 1] > 0.99
    assert np.abs(parts.season - season).max() < 0.3
    assert parts.trend + parts.season + parts.left == pytest.approx(y)


def test_decomposition_adds_up_where_values_are_missing_too():
    y = rng(2).normal(size=100)
    y[[3, 50, 51, 52]] = np.nan
    parts = decompose(y, [np.arange(100) % 7], 7.0)
    known = np.isfinite(y)
    assert (parts.trend + parts.season + parts.left)[known] == pytest.approx(y[known])


# ── planted truths ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_trend_is_told_as_one_and_a_step_as_one_and_neither_twice():
    random = rng(5)
    line = as_table(d=days(300), y=np.arange(300) * 0.01 + random.normal(size=300))
    step = as_table(d=days(300), y=(np.arange(300) >= 180) * 1.5 + random.normal(size=300))
    assert {"trend"} <= set(told(line, "y")) <= {"trend", "forecast"}
    found = told(step, "y")
    assert {"change_point"} <= set(found) <= {"change_point", "forecast"}
    low, high = found["change_point"].evidence["place_interval"]
    assert low <= date(2021, 6, 30).isoformat() <= high
    shift_low, shift_high = found["change_point"].evidence["shift_interval"]
    assert shift_low < 1.5 < shift_high
    assert found["change_point"].category == "change_points"
    assert found["change_point"].confidence < 1


def test_the_biggest_of_several_shifts_comes_first():
    level = np.repeat([0.0, 3.0, 1.0, 6.0], 100)
    shifts = find_changes(level + rng(1).normal(size=400), 0.01)
    assert [abs(shift.at - at) <= 3 for shift, at in zip(shifts, (100, 200, 300), strict=True)] == [True] * 3
    changes = report(as_table(d=days(400), y=level + rng(1).normal(size=400))).of("y").changes
    assert changes[0].shift == pytest.approx(5, abs=0.6)


def test_weekly_and_yearly_seasons_are_found_by_the_calendar_and_not_told_as_changes():
    random, when = rng(6), days(1461)
    y = np.array([2.0 * (day.weekday() >= 5) + 3 * np.cos((day.month - 7) / 6 * np.pi) for day in when])
    table = as_table(d=when, y=y + random.normal(size=1461))
    found = [insight for insight in findings(table, "y", "d") if insight.type in OVER_TIME]
    cycles = {insight.evidence["cycle"] for insight in found if insight.type == "seasonality"}
    assert cycles == {"day of the week", "month of the year"}
    assert {insight.type for insight in found} <= {"seasonality", "forecast"}


def test_seasons_of_business_days_and_of_month_ends_keep_their_own_steps():
    working = [day for day in days(500) if day.weekday() < 5]
    y = rng().normal(size=len(working)) + np.array([day.weekday() == 4 for day in working]) * 3
    found = report(as_table(d=working, y=y), target="y")
    assert (found.bucket, found.empty_buckets, found.frequency.missing) == ("business day", 0, 0)
    assert (
        found.of("y").forecast.starts[0]
        == (working[-1] + timedelta(days=3 if working[-1].weekday() == 4 else 1)).isoformat()
    )


def test_a_spike_is_an_anomaly_with_what_was_expected():
    y = 0.01 * np.arange(300) + rng(3).normal(size=300)
    y[150] += 20
    stray = report(as_table(d=days(300), y=y), target="y").of("y").anomalies.found[0]
    assert stray.start == days(300)[150].isoformat()
    assert stray.expected == pytest.approx(1.5, abs=1.0)
    assert "unusual_period" in told(as_table(d=days(300), y=y), "y")


def test_a_forecast_beats_naive_where_there_is_something_to_foretell_and_says_so_where_there_is_not():
    at = np.arange(300)
    y = 5 * np.sin(at * 2 * np.pi / 7) + 0.05 * at + 0.5 * rng(2).normal(size=300)
    phases = (np.arange(314) % 7,)
    good = make_forecast(y, phases, tuple(map(str, range(14))), None)
    assert good.better
    assert good.error < 0.9 * good.naive_error
    assert 0.6 <= good.coverage <= 0.97
    truth = 5 * np.sin(np.arange(300, 314) * 2 * np.pi / 7) + 0.05 * np.arange(300, 314)
    assert np.abs(np.array(good.values) - truth).mean() < 0.6
    noise = make_forecast(rng(3).normal(size=300), (), tuple(map(str, range(14))), None)
    assert not noise.better
    counts = make_forecast(rng(3).poisson(0.5, 300).astype(float), (), tuple(map(str, range(14))), 0.0)
    assert min(counts.low) >= 0


def test_a_random_walk_is_no_trend_and_no_level_with_shifts():
    walk = rng(11).normal(size=400).cumsum()
    assert set(told(as_table(d=days(400), y=walk), "y")) <= {"random_walk"}
    assert stationarity(walk).verdict == "unit root"
    assert stationarity(rng(1).normal(size=400)).verdict == "stationary"


# ── shapes that break careless code ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "table",
    [
        as_table(d=[date(2024, 1, 1)], y=[1.0]),
        as_table(d=[date(2024, 1, 1)] * 50, y=range(50)),
        as_table(d=days(50), y=[7.0] * 50),
        as_table(d=days(3), y=[1.0, 2.0, 3.0]),
        as_table(d=[*days(30), date(2900, 1, 1)], y=range(31)),
        as_table(d=[date(1, 1, 1), *days(30), date(9999, 12, 31)], y=range(32)),
        as_table(d=days(60), y=[None] * 60),
        as_table(d=days(60), y=[None, 1e308, -1e308] * 20),
        as_table(d=days(40), y=[float("inf"), 1.0] * 20),
    ],
    ids=["one point", "one time", "all equal", "three", "far off", "ends of time", "no value", "huge", "infinite"],
)
def test_odd_series_give_a_report_that_is_plain_json_and_claims_nothing(table):
    found = report(table, target="y")
    text = json.dumps(found.model_dump(mode="json"), allow_nan=False)
    assert SeriesReport.model_validate_json(text) == found
    assert not {"change_point", "seasonality", "forecast"} & set(told(table, "y"))


def test_no_time_at_all_gives_no_report():
    assert report(as_table(d=pl.Series([None] * 5, dtype=pl.Date), y=range(5))) is None


def test_too_many_distinct_times_are_said_to_be_too_many():
    at = np.arange(30_000) * 61_000_000 + rng().integers(0, 10**6, 30_000)
    found = report(as_table(d=pl.Series(at).cast(pl.Datetime("us")), y=rng().normal(size=30_000)))
    assert not found.frequency.exact
    assert found.frequency.times is None
    assert "too many distinct times" in found.not_computed["frequency, gaps and repeats in time"]


@pytest.mark.parametrize("rows", [7, 100])
def test_cuts_and_order_of_rows_change_nothing(rows):
    random = rng(8)
    at = pl.Series(random.integers(0, 100 * 86_400, 400) * 1_000_000).cast(pl.Datetime("us", "UTC"))
    table = as_table(d=at, y=random.normal(size=400), x=random.normal(size=400))
    stage = plan_timeline(profile_of(table), table.schema, "d", "y")
    shuffled = table.take(pa.array(random.permutation(400)))
    pieces = [stage.partial(shuffled.slice(i, rows), "0") for i in range(0, 400, rows)]
    state = pieces[0]
    for piece in pieces[1:]:
        state = stage.merge(piece, state)
    whole = measure_series(stage.finish(stage.partial(table, "0")).course, SeriesConfig())
    assert close(measure_series(stage.finish(state).course, SeriesConfig()), whole, 1e-6)


# ── from Python ──────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=8, deadline=None)
@given(every=st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]), seed=st.integers(0, 99))
def test_resampling_equals_truncation_by_polars(every, seed):
    random = rng(seed)
    at = pl.Series(random.integers(-(10**9), 10**9, 80) * 1_000_000).cast(pl.Datetime("us"))
    frame = pl.DataFrame({"t": at, "y": random.normal(size=80)})
    made = resample(frame, "t", every, {"rows": "rows", "y": ("y", "sum")}).to_polars()
    code = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}[every]
    wanted = frame.group_by(pl.col("t").dt.truncate(code)).agg(pl.len().alias("rows"), pl.sum("y")).sort("t")
    assert made["t"].to_list() == wanted["t"].to_list()
    assert made["rows"].to_list() == wanted["rows"].to_list()
    assert made["y"].to_list() == pytest.approx(wanted["y"].to_list())


def test_resampling_says_what_is_wrong():
    frame = as_frame(as_table(t=[datetime(2024, 1, 1)], n=[1]))
    with pytest.raises(ConfigError, match="got every='fortnight'; wanted one of minute"):
        resample(frame, "t", "fortnight")
    with pytest.raises(SchemaError, match="'n' has type int64, wanted a date or a timestamp"):
        resample(frame, "n", "day")
    with pytest.raises(MissingColumnsError, match="no column 'tt'.*Did you mean 't'"):
        resample(frame, "tt", "day")


# ── what noise must not say ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("memory", [0.0, 0.7, 1.0])
def test_noise_is_hardly_ever_a_trend_or_a_shift(memory):
    trends = shifts = 0
    for seed in range(60):
        y = ar(rng(seed), memory, 120)
        trends += find_trend(np.arange(120.0), y).p_value < 0.01
        shifts += bool(find_changes(y, 0.01))
    assert trends <= 3
    assert shifts <= 3


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("n", [60, 200])
def test_at_most_one_table_of_noise_in_twenty_has_any_finding_over_time(memory, n):
    alarms = 0
    for seed in range(100):
        random = rng(1000 + seed)
        table = as_table(d=days(n), **{f"c{i}": ar(random, memory, n) for i in range(3)})
        alarms += bool(set(told(table, "c0")) - ({"random_walk"} if memory >= 0.9 else set()))
    assert alarms <= 5


@pytest.mark.slow
def test_intervals_of_place_and_size_of_a_shift_hold_the_truth_as_often_as_they_say():
    place = size = found = 0
    for seed in range(150):
        y = (np.arange(200) >= 120) * 1.5 + ar(rng(seed), 0.3, 200)
        for shift in find_changes(y, 0.01)[:1]:
            found += 1
            place += shift.first <= 120 <= shift.last
            size += abs(shift.size - 1.5) <= 1.96 * shift.error
    assert found >= 120
    assert place / found >= 0.9
    assert size / found >= 0.85
