"""Settings: statistics of columns and pairs of columns."""

from __future__ import annotations

from raypipe.config.base import Frozen


class StatisticsConfig(Frozen):
    """Statistics of columns and pairs of columns."""

    enabled: bool = True
    """Off: nothing of this is computed, and the report says so."""
