"""The statistics of a table: what `statistics.json` holds. Figures that could not be computed are None, or listed with
the reason in `not_computed`; whatever rests on a sample says so."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raypipe.config import Frozen

STATISTICS_VERSION = 1
"""Version of the JSON layout; raised when a field changes its meaning or goes away."""

Interval = tuple[float, float]
Matrix = tuple[tuple[float | None, ...], ...]


class SampleFacts(Frozen):
    """The rows that figures rest on which need rows."""

    rows: int
    of_rows: int
    seed: int
    method: str = "uniform, without replacement"

    @property
    def is_table(self) -> bool:
        """Whether the sample is the table, so that nothing is estimated."""
        return self.rows == self.of_rows


class Concentration(Frozen):
    """How evenly rows spread over the values of a column."""

    entropy_bits: float
    """Shannon's entropy; 0 for one value, log2 of the number of values where all are equally frequent."""
    herfindahl: float
    """Chance that two rows drawn with replacement have the same value (Herfindahl, Hirschman)."""
    gini_impurity: float
    """1 less that."""
    top_share: float
    """Share of the most frequent value, at least."""
    exact: bool
    """False: from the sample; the entropy with Miller's correction, still a little low for very many values."""


class Extreme(Frozen):
    """One of the smallest or largest values."""

    value: float
    part: str | None = None
    """Id of the part of the source that holds it."""
    row: int | None = None
    """Number of its row within the part, from 0."""


class Outliers(Frozen):
    """Values outside the bounds of one rule."""

    method: Literal["iqr", "z_score", "modified_z_score"]
    """Tukey's fences at 1.5 IQR; 3 standard deviations; a score of 3.5 by the median absolute deviation."""
    low: float
    high: float
    count: int
    percent: float
    """Of the values looked at."""
    below: int
    above: int
    first: tuple[float, ...] = ()
    """The first ten, in the order of the source (of the sample, where that is what was looked at)."""
    values: int
    """Values that were looked at."""
    exact: bool
    """Whether these are all values of the column. The bounds may be estimates even so: see `quantiles_exact`."""


class NormalityTest(Frozen):
    """One test against the normal distribution."""

    test: Literal["dagostino", "shapiro_wilk", "anderson_darling", "kolmogorov_smirnov"]
    statistic: float
    p_value: float
    """Of many values, even a harmless departure has a small one: the label goes by the size of skewness and tails."""
    values: int


class Benford(Frozen):
    """First digits against Benford's law."""

    digits: tuple[int, ...]
    """How often 1 to 9 lead."""
    mean_absolute_deviation: float
    expected_by_chance: float
    """What that many values of a column that follows the law would show."""
    conformity: Literal["close", "acceptable", "marginal", "nonconformity"]
    """Nigrini's bands: 0.006, 0.012, 0.015."""
    values: int


class NumberStatistics(Frozen):
    """One number column, over its finite values."""

    column: str
    count: int
    mean: float | None = None
    median: float | None = None
    mode: float | None = None
    """The most frequent value, where one is known and occurs more than once."""
    mode_count: int | None = None
    std: float | None = None
    variance: float | None = None
    min: float | None = None
    max: float | None = None
    range: float | None = None
    q1: float | None = None
    q3: float | None = None
    iqr: float | None = None
    skewness: float | None = None
    kurtosis: float | None = None
    """Excess kurtosis."""
    coefficient_of_variation: float | None = None
    quantiles_exact: bool = True
    rank_error: float = 0.0
    """By how much the rank of a quantile may be off, as a share of the rows."""
    total_gini: float | None = None
    """How unequally the total is shared among rows, 0 to 1, for columns without negative values; from the sample."""
    concentration: Concentration | None = None
    label: str | None = None
    """The shape in words, by skewness and kurtosis."""
    normality: tuple[NormalityTest, ...] = ()
    outliers: tuple[Outliers, ...] = ()
    lowest: tuple[Extreme, ...] = ()
    highest: tuple[Extreme, ...] = ()
    benford: Benford | None = None


class CategoryStatistics(Frozen):
    """One column of text or booleans."""

    column: str
    count: int
    distinct: int
    distinct_exact: bool
    most_frequent: str | None = None
    most_frequent_count: int | None = None
    least_frequent: str | None = None
    """None where the column has more values than the profile lists."""
    least_frequent_count: int | None = None
    concentration: Concentration | None = None


class PairMatrix(Frozen):
    """One measure for each pair of columns."""

    measure: str
    columns: tuple[str, ...]
    values: Matrix
    rows: int
    """Most rows that a pair was measured over."""
    exact: bool
    """Whether those are all rows."""
    method: str = ""


class Measure(Frozen):
    """One measure of how two columns go together."""

    measure: str
    value: float
    interval: Interval | None = None
    """At 95 %, for what the rows were drawn from."""
    p_value: float | None = None


class PairStatistics(Frozen):
    """Two columns that go together, with every measure that suits their kinds."""

    columns: tuple[str, str]
    kinds: tuple[Literal["number", "category"], Literal["number", "category"]]
    strength: float
    """Bias-corrected Cramér's V of their bins, 0 to 1: what the screening ranked by."""
    adjusted_p: float
    """Of the screening, after Benjamini and Hochberg over all pairs."""
    rows: int
    exact: bool
    """Whether these are all rows where both are known; else rows of the sample."""
    measures: tuple[Measure, ...]

    def measure(self, name: str) -> Measure | None:
        """The measure of this name, if it was computed."""
        return next((one for one in self.measures if one.measure == name), None)


class Group(Frozen):
    """One group of a comparison."""

    value: str
    rows: int
    mean: float


class GroupComparison(Frozen):
    """How a number differs between the values of a category, on the sample."""

    category: str
    number: str
    groups: tuple[Group, ...]
    """Most rows first."""
    rows: int
    exact: bool = False
    """Whether these are all rows where both are known."""
    epsilon_squared: float
    """Share of the spread that lies between the groups, corrected for their number."""
    interval: Interval
    welch_f: float | None = None
    welch_p: float | None = None
    """This and `kruskal_p` after Benjamini and Hochberg over all comparisons tried."""
    kruskal_h: float
    kruskal_p: float
    rank_epsilon_squared: float
    """The same share of the spread of ranks, which no extreme value can decide."""
    cohens_d: float | None = None
    """For two groups: the mean of the second less that of the first, in standard deviations."""
    cohens_d_interval: Interval | None = None


class PartialCorrelation(Frozen):
    """What is left of a correlation when all other number columns are held fixed."""

    columns: tuple[str, str]
    r: float
    """Pearson's r of the two alone."""
    partial: float
    interval: Interval | None = None
    p_value: float


class MissingPattern(Frozen):
    """Rows that lack the same columns."""

    columns: tuple[str, ...]
    """Empty: nothing is missing."""
    rows: int
    share: float
    interval: Interval | None = None
    """Of the share, where it rests on a sample."""


class MissingRelation(Frozen):
    """A column whose gaps go with the values of another."""

    column: str
    other: str
    cramers_v: float
    interval: Interval
    adjusted_p: float
    rates: dict[str, float] = Field(default_factory=dict)
    """Value (or range) of the other column -> share of its rows where `column` is missing."""
    rows: int


class Missing(Frozen):
    """What is missing, and where."""

    cells: int = 0
    percent: float = 0.0
    by_column: dict[str, int] = Field(default_factory=dict)
    patterns: tuple[MissingPattern, ...] = ()
    """The ten most frequent."""
    pattern_count: int = 0
    exact: bool = True
    """Whether the patterns were counted on all rows."""
    relations: tuple[MissingRelation, ...] = ()
    """Strongest first. Gaps that go with another column are consistent with data missing at random given that column;
    none found is consistent with data missing completely at random. No test on the table itself can tell whether gaps
    depend on the missing values."""
    tested: int = 0


class Statistics(Frozen):
    """The whole of it."""

    version: int = STATISTICS_VERSION
    rows: int
    sample: SampleFacts
    numbers: tuple[NumberStatistics, ...] = ()
    categories: tuple[CategoryStatistics, ...] = ()
    correlations: tuple[PairMatrix, ...] = ()
    """Pearson, Spearman and Kendall between number columns."""
    association: PairMatrix | None = None
    """Between columns of any kind: bias-corrected Cramér's V of at most eight bins or values each."""
    pairs: tuple[PairStatistics, ...] = ()
    """The pairs that the screening found, strongest first."""
    pairs_screened: int = 0
    pairs_found: int = 0
    """Pairs that passed the screening; `pairs` has the strongest of them."""
    groups: tuple[GroupComparison, ...] = ()
    """Largest effect first."""
    groups_tested: int = 0
    partial: tuple[PartialCorrelation, ...] = ()
    """Largest change first."""
    missing: Missing = Missing()
    skipped: dict[str, str] = Field(default_factory=dict)
    """Column -> why it is in no pair."""
    not_computed: dict[str, str] = Field(default_factory=dict)
    """What -> why not."""
