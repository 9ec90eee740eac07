"""Settings: the course over time."""

from __future__ import annotations

from raypipe.config.base import Frozen


class SeriesConfig(Frozen):
    """The course over time."""

    enabled: bool = True
    """Off: nothing of this is computed, and the report says so."""
