"""Settings: statistics of columns and pairs of columns."""

from __future__ import annotations

from pydantic import PositiveInt

from raypipe.config.base import Frozen


class StatisticsConfig(Frozen):
    """Statistics of columns and pairs of columns."""

    enabled: bool = True
    """Off: nothing of this is computed, and the report says so."""
    exact_pairs: PositiveInt = 20
    """Pairs of columns that get every measure: the strongest that the screening of the sample finds. Where the table
    is larger than the sample, they are measured over all rows, in one further pass."""
    max_pair_columns: PositiveInt = 200
    """Columns that are paired with each other, the target and then the first ones. The results name the others."""
