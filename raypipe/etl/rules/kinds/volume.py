"""How many rows there are."""

from __future__ import annotations

from typing import Literal

from raypipe.etl.rules.figures import BoundedFigure
from raypipe.etl.rules.measures import RowsSeen
from raypipe.etl.rules.rule import Evidence, Judged, Measure
from raypipe.etl.wording import counted


class RowCount(BoundedFigure):
    """The number of rows lies between bounds."""

    GROUP = "volume"
    EACH = False
    LEAST = 0
    PROFILED = False
    rule: Literal["row_count"] = "row_count"

    @property
    def wanted(self) -> str:
        return self.bounds("a number of rows")

    def measures(self) -> tuple[Measure, ...]:
        return (RowsSeen(where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        rows = evidence.measured[self.measures()[0]]
        return self.held(rows, show=lambda value: counted(int(value), "row"))


RULES = (RowCount,)
