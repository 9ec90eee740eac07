"""Settings: what goes with the target."""

from __future__ import annotations

from raypipe.config.base import Frozen


class TargetConfig(Frozen):
    """What goes with the target."""

    enabled: bool = True
    """Off: nothing of this is computed, and the report says so."""
