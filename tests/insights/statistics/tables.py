"""Tables and all that is said of them, statistics included."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from raypipe.insights.generator import InsightGenerator
from raypipe.insights.statistics.engine import StatisticsEngine
from raypipe.results import Insight
from tests.insights.tables import as_table, relate

__all__ = ["as_table", "said_of"]


def said_of(table: pa.Table, target: str | None = None, **more: Any) -> tuple[Insight, ...]:
    """Findings of a table, from profile to insights."""
    found = StatisticsEngine().analyze_dataset(table)
    report = relate(table, target, found.profile) if target else None
    return InsightGenerator().generate(found.profile, None, report, statistics=found.statistics, **more)
