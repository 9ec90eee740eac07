"""Settings: clusters, anomalies, segments and dependencies."""

from __future__ import annotations

from raypipe.config.base import Frozen


class PatternsConfig(Frozen):
    """Clusters, anomalies, segments and dependencies."""

    enabled: bool = True
    """Off: nothing of this is computed, and the report says so."""
