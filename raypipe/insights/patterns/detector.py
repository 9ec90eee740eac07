"""`PatternDetector`: all patterns of a table, each with its test, within bounds of rows and columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from raypipe.config.insights.patterns import PatternsConfig
from raypipe.errors import ConfigError
from raypipe.insights.patterns.anomalies import find_anomalies, odd_places
from raypipe.insights.patterns.clusters import find_clusters
from raypipe.insights.patterns.density import find_groups
from raypipe.insights.patterns.dependencies import find_dependencies
from raypipe.insights.patterns.matrix import prepare
from raypipe.insights.patterns.models import Dependency, PatternsReport
from raypipe.insights.patterns.plane import draw_map
from raypipe.insights.patterns.rules import find_rules


class PatternDetector:
    """Clusters, anomalies, rules between values, dependencies between columns, and a map of the rows.

    It says "nothing" where nothing is: every pattern has passed a test that holds its level on tables of noise. Equal
    data and settings give equal results, in whatever order rows and columns come.

    Parameters
    ----------
    settings : PatternsConfig, optional
        Bounds, levels and the seed.
    """

    def __init__(self, settings: PatternsConfig | None = None) -> None:
        self._settings = settings or PatternsConfig()

    def detect(
        self, table: pa.Table, ids: frozenset[str] = frozenset(), naming: frozenset[str] = frozenset()
    ) -> PatternsReport:
        """The patterns of `table`, which may be a sample of a larger one.

        Parameters
        ----------
        table : pa.Table
            Any columns; what takes no part stands in `left_out` with its reason.
        ids : frozenset of str
            Columns that name rows, where more is known of them than the table shows.
        naming : frozenset of str
            Columns whose numbers name things, so that distances between them mean nothing.

        Raises
        ------
        ConfigError
            If `table` is no `pa.Table`.
        """
        if not isinstance(table, pa.Table):
            raise ConfigError(
                f"PatternDetector.detect: got a {type(table).__name__}, wanted a pyarrow.Table; for a Polars frame type"
                " frame.to_arrow(), for pandas pa.Table.from_pandas(frame)"
            )
        settings = self._settings
        matrix = prepare(table, settings, ids, naming)
        clusters, labels = find_clusters(matrix, settings)
        anomalies = find_anomalies(matrix, settings.alpha)
        dependencies = find_dependencies(matrix)
        odd = odd_places(matrix, anomalies.count) if anomalies.count else np.zeros(0, np.int64)
        return PatternsReport(
            rows=table.num_rows,
            rows_used=matrix.rows,
            columns=(*matrix.numbers, *matrix.categories),
            left_out=dict(sorted(matrix.left_out.items())),
            clusters=clusters,
            density=find_groups(matrix, clusters, labels),
            anomalies=anomalies,
            rules=find_rules(matrix, settings, _tied(dependencies)),
            dependencies=dependencies,
            map=draw_map(matrix, settings.max_points, labels, odd),
        )


def _tied(dependencies: tuple[Dependency, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((one.determinant[0], one.dependent) for one in dependencies if len(one.determinant) == 1)
