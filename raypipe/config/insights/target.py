"""Settings: what goes with the target."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from raypipe.config.base import Frozen


class TargetConfig(Frozen):
    """What goes with the target: relations by all rows; leaks, segments, drift and baselines by the sample."""

    enabled: bool = True
    """Off: leaks, segments, drift and baselines are not computed, and the report says so."""
    max_rows: PositiveInt = Field(default=4_000, ge=100)
    """Most rows of the sample that models and segments see."""
    max_columns: PositiveInt = 60
    """Most columns that models and segments see, those most closely related to the target first."""
    folds: PositiveInt = Field(default=5, ge=2, le=20)
    """Parts of the cross-validation. With a time column each part is predicted from what lies before it."""
    alpha: float = Field(default=0.001, gt=0, lt=0.5)
    """Chance of a false leak, segment or drift in a table without any, for each kind of them."""
    min_support: float = Field(default=0.02, gt=0, lt=1)
    """Share of rows that a segment has at least."""
    max_segments: PositiveInt = 10
    """Most segments that are kept."""
    seed: int = 42
    """For what is drawn at random."""
