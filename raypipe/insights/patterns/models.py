"""What the search for patterns found: the content of `patterns.json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raypipe.config.base import Frozen

PATTERNS_VERSION = 1
"""Version of the JSON layout; raised when a field changes its meaning or goes away."""

Cell = float | int | bool | str | None


class Contrast(Frozen):
    """How one column of a group of rows differs from the rows outside it."""

    column: str
    kind: Literal["number", "category"]
    effect: float
    """Numbers: the rank-biserial correlation, -1 (every value below those outside) to 1. Categories: how much larger
    the share of `level` is inside, -1 to 1."""
    inside: float
    """Median inside; for a category, the share of `level`."""
    outside: float
    level: str | None = None


class Cluster(Frozen):
    """One cluster."""

    rows: int
    """Of those looked at."""
    share: float
    contrasts: tuple[Contrast, ...] = ()
    """What sets it apart, most marked first."""


class ClusterReport(Frozen):
    """Groups of rows with thinly populated space between them, or why there are none."""

    k: int = 0
    """0: no clusters."""
    reason: str = ""
    """Why there are no clusters."""
    columns: tuple[str, ...] = ()
    """Number columns that the clusters are made of."""
    clusters: tuple[Cluster, ...] = ()
    """Largest first."""
    p_value: float | None = None
    """Against "one mode", by rows that had no part in finding the clusters; after correction."""
    valley: float | None = None
    """Density between the groups relative to the lower of the two peaks beside it: 0 empty, 1 no valley."""
    prediction_strength: dict[int, float] = Field(default_factory=dict)
    """Number of clusters -> smallest share of pairs of a cluster that the other half of the rows keeps together."""
    stability: float | None = None
    """Mean adjusted Rand index between the clusters and those of resampled rows: 1 the same each time."""
    stability_range: tuple[float, float] | None = None
    silhouette: float | None = None
    """Mean silhouette over the columns of the clusters."""
    rows: int = 0


class DensityReport(Frozen):
    """Groups of any shape by density (HDBSCAN) over the same columns."""

    groups: int
    noise_share: float
    """Rows that belong to no group."""
    rows: int
    agreement: float | None = None
    """Adjusted Rand index with the clusters, over rows in a group."""


class AnomalousRow(Frozen):
    """One row that lies apart."""

    key: str | None = None
    """Its value in the column that names rows, where there is one."""
    distance: float
    """Robust distance, in units of the distance beyond which rows lie apart."""
    values: dict[str, Cell] = Field(default_factory=dict)
    """Its values in the columns that make it odd."""


class AnomalyReport(Frozen):
    """Rows beyond a gap in the tail of the robust distance that the tail itself does not explain."""

    count: int = 0
    rows: int = 0
    """Rows looked at."""
    share: float = 0.0
    interval: tuple[float, float] | None = None
    """95 % interval (Wilson) of the share in the whole table."""
    p_value: float | None = None
    """Of the widest gap, after correction for all gaps tried."""
    gap: float | None = None
    """Distance of the nearest odd row over that of the farthest ordinary one."""
    tail_index: float | None = None
    """Hill's estimate over the ordinary tail: about 0 for light tails, 0.33 for Student's t with 3 degrees."""
    columns: dict[str, float] = Field(default_factory=dict)
    """Column -> its part in the squared distances of the odd rows, largest first; the parts sum to 1."""
    key_column: str | None = None
    odd: tuple[AnomalousRow, ...] = ()
    """The farthest first, at most 20."""
    tested: tuple[str, ...] = ()
    reason: str = ""
    """Why nothing was looked for."""


class Rule(Frozen):
    """Values that occur together more often than chance has it."""

    items: tuple[tuple[str, str], ...]
    """(column, value), two or three."""
    rows: int
    support: float
    lift: float
    """How many times as often as independent columns would have it."""
    confidence: float
    """Share of the rows with all values but the last that have the last one too."""
    phi: float
    """Correlation of having the last value with having the others."""
    p_value: float
    """Exact (hypergeometric), after correction for all that was tried."""


class Dependency(Frozen):
    """A column whose value follows from that of another."""

    determinant: tuple[str, ...]
    dependent: str
    g3: float
    """Smallest share of rows to take away so that the dependency holds without exception."""
    interval: tuple[float, float]
    """95 % interval (Wilson) of that share in the whole table."""
    lift: float
    """Goodman and Kruskal's lambda: share of the wrong guesses of the dependent that knowing the determinant saves."""
    groups: int
    """Values of the determinant."""
    rows: int
    exceptions: tuple[str, ...] = ()
    """A few values of the determinant with more than one value of the dependent."""
    both_ways: bool = False
    """Whether the determinant follows from the dependent as well."""


class Component(Frozen):
    """One axis of the map."""

    explained: float
    """Share of the variance of the standardised columns."""
    loadings: dict[str, float] = Field(default_factory=dict)
    """Column -> correlation with the axis, strongest first."""
    words: str = ""
    """What a large value on this axis means."""


class PointMap(Frozen):
    """Rows on the plane that shows most of their spread (principal components of robustly scaled columns)."""

    components: tuple[Component, ...] = ()
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    cluster: tuple[int, ...] = ()
    """Place of the point's cluster in the list of clusters; empty without clusters."""
    odd: tuple[int, ...] = ()
    """Places of the points that are anomalous."""
    columns: tuple[str, ...] = ()
    rows: int = 0


class PatternsReport(Frozen):
    """All patterns of a sample."""

    version: int = PATTERNS_VERSION
    rows: int = 0
    """Rows of the sample."""
    rows_used: int = 0
    columns: tuple[str, ...] = ()
    """Columns that took part, numbers before categories."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Column -> why it took no part."""
    clusters: ClusterReport = ClusterReport()
    density: DensityReport | None = None
    anomalies: AnomalyReport = AnomalyReport()
    rules: tuple[Rule, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    map: PointMap = PointMap()
    not_computed: dict[str, str] = Field(default_factory=dict)
    """Part -> why it is absent."""
