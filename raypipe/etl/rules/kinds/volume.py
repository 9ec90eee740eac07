"""How many rows there are."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from raypipe.etl.rules.figures import BoundedFigure
from raypipe.etl.rules.measures import RowsSeen
from raypipe.etl.rules.other import reference_profile
from raypipe.etl.rules.rule import Evidence, FigureRule, Judged, Measure, NotMeasuredError
from raypipe.etl.wording import counted, percent


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


class RowCountChange(FigureRule):
    """The number of rows differs by at most a share `max` from that of a reference, such as the last run."""

    GROUP = "volume"
    EACH = False
    LEAST = 0
    PROFILED = False
    rule: Literal["row_count_change"] = "row_count_change"
    reference: str
    """Path of a `profile.json`, or of a table."""
    max: NonNegativeFloat

    @property
    def wanted(self) -> str:
        return f"a number of rows within {percent(self.max)} of that of {self.reference}"

    def prepare(self) -> None:
        reference_profile(self.reference)

    def measures(self) -> tuple[Measure, ...]:
        return (RowsSeen(where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        rows, before = evidence.measured[self.measures()[0]], reference_profile(self.reference).rows
        if not before:
            raise NotMeasuredError("the reference has no rows")
        change = rows / before - 1
        return Judged(abs(change) <= self.max, f"{rows:,} rows after {before:,} ({100 * change:+.4g} %)", abs(change))


RULES = (RowCount, RowCountChange)
