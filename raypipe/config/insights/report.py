"""Settings: the order, wording and form of the findings."""

from __future__ import annotations

from pydantic import PositiveInt

from raypipe.config.base import Frozen


class ReportConfig(Frozen):
    """The order, wording and form of the findings."""

    max_per_type: PositiveInt = 10
    """Findings of one type that are told one by one; further ones are told together."""
