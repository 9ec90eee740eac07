"""The finished profile of a table: what `profile.json` holds, and what rules, findings and charts read.

A number that could not be computed is None and its reason stands in `notes`; an estimate carries its error bound.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from raypipe.config import Frozen

PROFILE_VERSION = 1
"""Version of the JSON layout; raised when a field changes its meaning or goes away."""

Kind = Literal["number", "boolean", "temporal", "text", "null", "other"]


class DistinctCount(Frozen):
    """How many different non-null values."""

    count: int
    exact: bool
    relative_error: float = 0.0
    """Standard error of the estimate relative to it (HyperLogLog: 1.04/sqrt(registers)); 0 when exact."""


class ValueCount(Frozen):
    """One frequent value."""

    value: str
    """As text; numbers and times in their shortest exact form."""
    count: int
    """At least this often."""
    count_upper: int
    """At most this often; equal to `count` when exact."""


class Quantiles(Frozen):
    """Quantiles by probability."""

    exact: bool
    rank_error: float = 0.0
    """Normalised rank error that no quantile exceeds; 0 when exact."""
    values: dict[str, float] = Field(default_factory=dict)
    """Probability as text ("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99") -> value."""

    def at(self, probability: float) -> float | None:
        """The quantile at `probability`, or None if it was not kept."""
        return self.values.get(f"{probability:g}")


class Histogram(Frozen):
    """Counts between edges; the last bin is closed on both sides, the others on the left."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    exact: bool
    """False: counts are estimated from the quantile sketch, within `rank_error * rows` each side."""
    rank_error: float = 0.0


class NumberSummary(Frozen):
    """Numbers, over finite values. Times are summarised as seconds since 1970-01-01 UTC, booleans not at all."""

    finite: int
    """Values that are neither null, NaN nor infinite."""
    nan: int = 0
    positive_infinite: int = 0
    negative_infinite: int = 0
    zeros: int = 0
    negatives: int = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    variance: float | None = None
    """Sample variance (divisor n - 1)."""
    std: float | None = None
    skewness: float | None = None
    """Population skewness g1 = m3 / m2^1.5."""
    kurtosis: float | None = None
    """Excess kurtosis g2 = m4 / m2^2 - 3."""
    sum: float | None = None
    quantiles: Quantiles | None = None
    histogram: Histogram | None = None
    iqr_outliers: int | None = None
    """Values outside [q25 - 1.5 IQR, q75 + 1.5 IQR]; estimated from the sketch when quantiles are not exact."""


class TextSummary(Frozen):
    """Text columns."""

    empty: int
    """Values of length 0."""
    blank: int
    """Values of white space only, the empty ones included."""
    padded: int
    """Values that begin or end with white space, blank ones excluded."""
    min_chars: int | None = None
    max_chars: int | None = None
    mean_chars: float | None = None
    chars: Histogram | None = None
    """Distribution of lengths in characters."""


class ColumnProfile(Frozen):
    """One column."""

    name: str
    dtype: str
    """Arrow type as text, e.g. `int64`, `timestamp[us]`."""
    kind: Kind
    rows: int
    nulls: int
    distinct: DistinctCount | None = None
    top: tuple[ValueCount, ...] = ()
    """Most frequent first, at most 20; ties in order of the value."""
    top_exact: bool = True
    min: str | None = None
    """Smallest value as text (ISO 8601 for times)."""
    max: str | None = None
    true_count: int | None = None
    """Booleans only."""
    number: NumberSummary | None = None
    """Numbers and times."""
    text: TextSummary | None = None
    notes: tuple[str, ...] = ()
    """Why something is not available."""

    @property
    def null_share(self) -> float:
        """Nulls per row, 0 for an empty table."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls


class Correlation(Frozen):
    """Pearson correlation of each pair of number columns, over rows where both are finite."""

    columns: tuple[str, ...] = ()
    r: tuple[tuple[float | None, ...], ...] = ()
    """Square; None where a column is constant or fewer than 3 pairs exist."""
    pairs: tuple[tuple[int, ...], ...] = ()
    """Rows behind each cell."""
    skipped: tuple[str, ...] = ()
    """Number columns left out because of the limit on columns."""


class Missingness(Frozen):
    """How often columns are null together."""

    columns: tuple[str, ...] = ()
    """Columns with at least one null, within the limit on columns."""
    together: tuple[tuple[int, ...], ...] = ()
    """Square; rows where both are null, the diagonal counts each alone."""
    skipped: tuple[str, ...] = ()
    rows_all_null: int = 0
    rows_any_null: int = 0


class DuplicateRows(Frozen):
    """Rows that repeat an earlier row."""

    rows: int
    """Repeats: rows minus distinct rows."""
    share: float
    exact: bool
    share_upper: float
    """Upper end of the 99 % interval; equal to `share` when exact."""


class Profile(Frozen):
    """The whole table."""

    version: int = PROFILE_VERSION
    rows: int
    columns: tuple[ColumnProfile, ...]
    bytes: int = 0
    """Bytes that the values take in memory (see `blocks.frames.data_bytes`)."""
    correlation: Correlation = Correlation()
    missingness: Missingness = Missingness()
    duplicates: DuplicateRows | None = None

    def column(self, name: str) -> ColumnProfile:
        """The column of this name; KeyError if there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, ColumnProfile]:
        # A search through the columns for each column would take minutes for a table of 20,000.
        return {column.name: column for column in reversed(self.columns)}

    @property
    def missing_share(self) -> float:
        """Null cells per cell."""
        cells = self.rows * len(self.columns)
        return sum(column.nulls for column in self.columns) / cells if cells else 0.0
