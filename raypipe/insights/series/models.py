"""What is found in time series; `series.json` of a run is a `SeriesReport`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raypipe.config import Frozen

SERIES_VERSION = 1
Cycle = Literal["hour of the day", "day of the week", "day of the month", "month of the year", "quarter"]
Interval = tuple[float, float]
MAX_REPEATED = 0.2
"""Share of times in several rows up to which those are repeats; above, the table has several rows a time by nature."""


class Gap(Frozen):
    """A stretch in which steps of the grid are missing."""

    after: str
    """Last instant before it, as the clock of the zone shows it."""
    before: str
    missing: int
    """Steps that are not there."""


class Frequency(Frozen):
    """The grid on which the times lie, if they do."""

    step: str | None = None
    """E.g. `day`, `business day`, `month end`, `15 minutes`; None: no step fits."""
    on_grid: float = 0.0
    """Share of steps from one time to the next that are just one step of the grid."""
    regular: bool = False
    """At least 70 % of steps are, and 95 % are a whole number of them."""
    times: int | None = None
    """Distinct times; None where there are too many to be kept."""
    rows_per_time: float | None = None
    repeated_times: int | None = None
    """Times that stand in more than one row."""
    rows_beyond_first: int | None = None
    """Rows that share their time with an earlier one."""
    most_rows: int | None = None
    """Most rows at one time."""
    missing: int = 0
    """Steps of the grid without a row."""
    gaps: tuple[Gap, ...] = ()
    """The longest, at most 20."""
    gap_count: int = 0
    clock_changes: int = 0
    """Hours that are missing or double where clocks are put forward or back; neither a gap nor a repeat."""
    exact: bool = True
    """Whether every distinct time was seen; else nothing of this is known."""

    @property
    def steady(self) -> bool:
        """Whether every step of the grid has its row, so that a missing one is missing and not just empty by chance."""
        single = (self.most_rows or 0) == 1 or (self.repeated_times or 0) <= MAX_REPEATED * (self.times or 1)
        return self.regular and single


class Trend(Frozen):
    """A straight course."""

    slope_per_day: float
    """Theil-Sen: the median of the slopes between all pairs of buckets."""
    slope_interval: Interval
    """At 95 %, allowing for serial correlation."""
    change: float
    """Slope times span."""
    tau: float
    """Kendall's tau with time, -1 to 1."""
    p_value: float
    """The larger one of Mann-Kendall with the variance of Hamed and Rao (1998), and a test of the line that holds
    also if the noise is a random walk (Perron and Yabu 2009)."""
    unit_root: bool
    """Whether the noise around the line could be a random walk; if so, the interval is that of its drift."""


class SeasonTest(Frozen):
    """One calendar cycle of one series."""

    cycle: Cycle
    strength: float
    """1 - Var(remainder) / Var(season + remainder) after detrending, 0 to 1 (Wang, Smith and Hyndman 2006)."""
    p_value: float
    """F-test of the phases with autoregressive noise."""
    interval: Interval
    """Of the share of variance that the phases explain, at 95 % (Olkin and Finn 1995)."""
    profile: dict[str, float] = Field(default_factory=dict)
    """Phase -> its mean distance from the course."""
    high: str = ""
    low: str = ""
    points: int = 0


class Autocorrelation(Frozen):
    """Correlation of a series with itself, after trend and season were taken out."""

    lags: tuple[int, ...]
    values: tuple[float, ...]
    bands: tuple[float, ...]
    """Half width at 95 % of each lag if all further ones are 0 (Bartlett 1946)."""
    ljung_box_p: float
    """Of the hypothesis that there is none."""


class Stationarity(Frozen):
    """Whether level and spread stay the same."""

    adf: float
    adf_p: float
    kpss: float
    kpss_p: float
    """Within 0.01 to 0.1, as its table goes no further."""
    verdict: Literal["stationary", "stationary around a trend", "unit root", "not decided"]


class ChangePoint(Frozen):
    """A shift of the level."""

    at: str
    """Start of the first bucket after it."""
    interval: tuple[str, str]
    """First and last place that the data allow, at 95 %."""
    shift: float
    shift_interval: Interval
    """At 95 %, given the place."""
    shift_in_std: float
    """In standard deviations of the series around its levels."""
    p_value: float


class Anomaly(Frozen):
    """A bucket far off what trend and season let expect."""

    start: str
    value: float
    expected: float
    robust_z: float
    p_value: float
    """By the tails of the other buckets."""


class Anomalies(Frozen):
    """Buckets that stand out."""

    found: tuple[Anomaly, ...] = ()
    """The most extreme first, at most 50."""
    count: int = 0
    tested: int = 0
    expected_false: float = 0.0
    """Of `count`, by the false discovery rate."""
    false_discovery_rate: float = 0.05


class Decomposition(Frozen):
    """value = trend + season + remainder, robust; None where a bucket has no value."""

    cycle: Cycle | None
    trend_strength: float
    starts: tuple[str, ...] = ()
    values: tuple[float | None, ...] = ()
    trend: tuple[float | None, ...] = ()
    season: tuple[float | None, ...] = ()


class Forecast(Frozen):
    """The next buckets, with the record of the method on the last ones."""

    method: Literal["seasonal naive", "drift", "theta", "exponential smoothing"]
    """The best on the middle of the series."""
    starts: tuple[str, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float = 0.8
    """Aim of the interval."""
    coverage: float
    """Share of values within the interval in the back-test."""
    origins: int
    """Forecasts in the back-test: rolling origins over the last quarter, which chose neither method nor weights."""
    error: float
    """Mean absolute error there."""
    naive_error: float
    """That of the seasonal naive forecast (the naive one where there is no season)."""
    mean_error: float
    """That of the mean so far: what noise without memory is best foretold by."""
    skill_p: float
    """Of the hypothesis that it is no better than the better one of both (Diebold and Mariano 1995)."""
    better: bool
    """Whether its errors are at least 2 % smaller than those of both, and that is no chance (p below 0.01)."""


class SeriesFacts(Frozen):
    """All about one series."""

    column: str | None
    """None: the number of rows."""
    measure: Literal["rows", "mean", "sum"]
    points: int
    """Buckets with a value."""
    mean: float | None = None
    std: float | None = None
    """Of the buckets."""
    trend: Trend | None = None
    seasons: tuple[SeasonTest, ...] = ()
    autocorrelation: Autocorrelation | None = None
    stationarity: Stationarity | None = None
    changes: tuple[ChangePoint, ...] = ()
    """The biggest first."""
    shape: Literal["level", "line", "shifts", "line and shifts", "curve"] = "level"
    """What describes the course best, by BIC among what is surer than chance. A step also passes for a trend, and a
    trend for steps: only the better of both is told."""
    anomalies: Anomalies | None = None
    decomposition: Decomposition | None = None
    forecast: Forecast | None = None
    not_computed: dict[str, str] = Field(default_factory=dict)
    """What -> why not."""


class SeriesReport(Frozen):
    """The course over time, measured."""

    version: int = SERIES_VERSION
    time_column: str
    zone: str
    frequency: Frequency
    bucket: str
    """What the series are made of, e.g. `day`, `business day`, `15 minutes`."""
    first: str = ""
    last: str = ""
    buckets: int = 0
    empty_buckets: int = 0
    rows: int = 0
    series: tuple[SeriesFacts, ...] = ()
    columns_left_out: int = 0
    """Number columns that could be followed, but for `analysis.series.max_columns`."""
    tests: int = 1
    """Series over which p-values were corrected (Holm 1979)."""
    not_computed: dict[str, str] = Field(default_factory=dict)

    def of(self, column: str | None, measure: str | None = None) -> SeriesFacts | None:
        """The facts of a column's mean, or of the number of rows (None)."""
        wanted = measure or ("rows" if column is None else "mean")
        return next((one for one in self.series if one.column == column and one.measure == wanted), None)
