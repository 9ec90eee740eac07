"""What is compared, and what comes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from raypipe.blocks.profile import Kind, Profile
from raypipe.config import Frozen
from raypipe.config.base import Share
from raypipe.insights.models import TargetReport
from raypipe.results import Insight

COMPARE_VERSION = 1
"""Version of the JSON layout."""

Verdict = Literal["same", "changed", "drifted", "cannot tell", "stale"]
"""same: no difference that chance does not explain; changed: a sure difference, too small to be drift, or one of
schema, size or quality; drifted: a sure difference past a threshold; cannot tell: an effect past a threshold that
chance or the error of a sketch may explain; stale: both are the same table."""


class Side(Frozen):
    """One of the two that are compared."""

    name: str
    kind: Literal["run", "profile", "table", "before", "after", "segment", "rest"]
    profile: Profile
    quality: float | None = None
    """Its quality score; None where only a part of a table is known."""
    insights: tuple[Insight, ...] | None = None
    """What its run told; None: nothing was kept, and what the profile says is taken for both."""
    target: TargetReport | None = None


class Thresholds(Frozen):
    """From which size on a sure difference is drift, and how sure it must be."""

    alpha: Share = 0.001
    """Of the differences that are called sure, at most this share is expected to be false (Benjamini-Hochberg, all
    tests)."""
    min_rows: PositiveInt = 100
    """Fewer values on either side are not compared."""
    kolmogorov_smirnov: float = Field(default=0.1, gt=0)
    wasserstein: float = Field(default=0.1, gt=0)
    """In pooled standard deviations."""
    total_variation: float = Field(default=0.1, gt=0)
    """Share of rows that would have to change their category."""
    missing_share: float = Field(default=0.05, gt=0)
    correlation: float = Field(default=0.3, gt=0)
    """Difference of Fisher z values (Cohen's q); 0.3 is a medium effect."""
    strength: float = Field(default=0.1, gt=0)
    """Change of the strength of a relation to the target."""
    rows: float = Field(default=0.25, gt=0)
    """Growth or loss of rows, as a share of the larger side, from which the size has changed."""
    quality: float = Field(default=5.0, gt=0)
    """Points of the quality score."""


class Effect(Frozen):
    """One measure of a difference."""

    measure: str
    value: float
    """The estimate; the same whichever side comes first."""
    least: float
    """At least this, whatever the error of a sketch or the inside of a bin leaves open."""
    threshold: float | None = None
    """None: told, but it decides nothing."""
    p_value: float | None = None
    """By chance alone so large or larger, after the correction over all tests of the comparison
    (Benjamini-Hochberg)."""
    breadth: float | None = None
    """Of a KS distance: the mean gap over the middle 90 %. Below a fifth of the threshold a large gap is no drift: many
    equal values moved by a hair."""
    rows: int = 0
    """Values on the smaller side."""
    verdict: Verdict = "same"


class ColumnChange(Frozen):
    """What became of one column."""

    column: str
    status: Literal["both", "added", "removed", "retyped"]
    kind: Kind
    dtype: tuple[str | None, str | None]
    """On either side; None where it is absent."""
    verdict: Verdict = "same"
    effects: tuple[Effect, ...] = ()
    """Those that decide first."""
    figures: dict[str, tuple[float | str | None, float | str | None]] = Field(default_factory=dict)
    """Figure -> its value on either side."""
    new_values: tuple[str, ...] = ()
    """Categories that only the second side has."""
    gone_values: tuple[str, ...] = ()
    note: str = ""
    """Why something was not compared."""


class PairChange(Frozen):
    """A correlation, or a relation to the target, that differs."""

    columns: tuple[str, str]
    measure: str
    before: float
    after: float
    effect: Effect


class Comparison(Frozen):
    """What changed from one side to the other."""

    version: int = COMPARE_VERSION
    before: str
    after: str
    verdict: Verdict
    why: tuple[str, ...]
    """What decided, most important first."""
    rows: tuple[int, int]
    quality: tuple[float | None, float | None] = (None, None)
    missing_share: tuple[float, float]
    duplicate_share: tuple[float | None, float | None] = (None, None)
    columns: tuple[ColumnChange, ...] = ()
    """Worst first."""
    correlations: tuple[PairChange, ...] = ()
    """Those that differ surely, or may be past the threshold; the largest first."""
    target: tuple[PairChange, ...] = ()
    came: tuple[Insight, ...] = ()
    """Findings of the second side that the first has not."""
    went: tuple[Insight, ...] = ()
    not_compared: dict[str, str] = Field(default_factory=dict)
    """What -> why not."""
    tests: int = 0
    """Tests that the p-values are corrected for."""
    thresholds: Thresholds = Thresholds()

    @property
    def drifted(self) -> tuple[ColumnChange, ...]:
        """Columns that drifted."""
        return tuple(column for column in self.columns if column.verdict == "drifted")
