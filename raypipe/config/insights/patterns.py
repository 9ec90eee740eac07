"""Settings: clusters, anomalies, segments and dependencies."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from raypipe.config.base import Frozen


class PatternsConfig(Frozen):
    """Clusters, anomalies, segments and dependencies."""

    enabled: bool = True
    """Off: nothing of this is computed, and the report says so."""
    max_rows: PositiveInt = Field(default=4_000, ge=100)
    """Most rows of the sample that each method looks at; drawn from it with `seed`."""
    max_numbers: PositiveInt = 30
    """Most number columns: of more, those that hang together most are taken, and the others are named."""
    max_categories: PositiveInt = 30
    """Most category columns, those with the fewest nulls first."""
    max_levels: PositiveInt = 50
    """A text column with more values than this is no category."""
    max_clusters: PositiveInt = Field(default=8, ge=2, le=50)
    """Most clusters that are looked for."""
    min_stability: float = Field(default=0.8, gt=0, le=1)
    """Prediction strength that clusters must reach: how well the clusters of one half of the rows hold in the other."""
    alpha: float = Field(default=0.001, gt=0, lt=0.5)
    """Chance of a false cluster, anomaly, rule or dependency in a table without any, for each kind of them."""
    min_support: float = Field(default=0.02, gt=0, lt=1)
    """Share of rows that a frequent pattern, or a segment, has at least."""
    max_points: PositiveInt = 1_000
    """Most points of the map."""
    seed: int = 42
    """For what is drawn at random. Equal data and seed give equal results, in whatever order rows and columns are."""
