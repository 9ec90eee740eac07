"""Sets of values, over all rows: which values occur, and how often the most frequent one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pyarrow as pa
from pydantic import Field, field_validator

from raypipe.etl.rules.cells import Cells
from raypipe.etl.rules.figures import BoundedFigure, present
from raypipe.etl.rules.kinds.sets import plain_values
from raypipe.etl.rules.measures import ValuesSeen
from raypipe.etl.rules.rule import Evidence, FigureRule, Judged, Measure, NotMeasuredError
from raypipe.etl.rules.values import Scalar
from raypipe.etl.wording import counted, listed, percent, shown


class _Members(FigureRule):
    """Values that must occur."""

    GROUP = "sets"
    PROFILED = False
    values: tuple[Scalar, ...] = Field(min_length=1)

    @field_validator("values", mode="before")
    @classmethod
    def _plain(cls, values: object) -> object:
        return plain_values(values)

    def measures(self) -> tuple[Measure, ...]:
        return (ValuesSeen(column=self.columns[0], values=self.values, where=self.where),)

    def check(self, schema: pa.Schema) -> None:
        self.measures()[0].check(schema)

    def absent(self, evidence: Evidence) -> list[Scalar]:
        """The values that do not occur."""
        counts = evidence.measured[self.measures()[0]].counts
        return [value for value, count in zip(self.values, counts, strict=True) if not count]


class ContainsAll(_Members):
    """Each of the values occurs at least once."""

    rule: Literal["contains_all"] = "contains_all"

    @property
    def wanted(self) -> str:
        return f"each of {listed(self.values)}"

    def judge(self, evidence: Evidence) -> Judged:
        absent = self.absent(evidence)
        found = f"{listed(absent)} {'does' if len(absent) == 1 else 'do'} not occur" if absent else "all occur"
        return Judged(not absent, found, figure=len(self.values) - len(absent))


class CategoriesExactly(_Members):
    """Each of the values occurs, and no other one does; nulls do not count."""

    rule: Literal["categories_exactly"] = "categories_exactly"

    @property
    def wanted(self) -> str:
        return f"exactly the values {listed(self.values)}"

    def judge(self, evidence: Evidence) -> Judged:
        absent, others = self.absent(evidence), evidence.measured[self.measures()[0]].others
        told = [f"{listed(absent)} {'does' if len(absent) == 1 else 'do'} not occur"] if absent else []
        told += [f"{counted(others, 'row')} {'has' if others == 1 else 'have'} another value"] if others else []
        return Judged(not told, " and ".join(told) or "they all occur, and no other", failing_rows=others)


class MostCommon(BoundedFigure):
    """The most frequent value has a share between bounds, and is the one that is given, if one is."""

    GROUP = "sets"
    rule: Literal["most_common"] = "most_common"
    value: str | None = None
    """The value as text; left out, any will do."""

    @property
    def wanted(self) -> str:
        which = "" if self.value is None else f", which is {shown(self.value)}"
        return self.bounds("a share of the most frequent value", percent) + which

    def check(self, schema: pa.Schema) -> None:
        _ = Cells(schema)[self.columns[0]]

    def judge(self, evidence: Evidence) -> Judged:
        column = evidence.profile.column(self.columns[0])
        values = present(column)
        if not column.top:
            raise NotMeasuredError("no value is frequent enough to be counted")
        top = column.top[0]
        judged = self.held(top.count / values, top.count / values, top.count_upper / values, show=percent)
        rivals = [other.value for other in column.top[1:] if other.count == top.count]
        right = self.value is None or self.value in (top.value, *rivals)
        found = f"{shown(top.value)} has {judged.found}"
        return replace(judged, passed=judged.passed and right, found=found, examples=(top.value,))


RULES = (ContainsAll, CategoriesExactly, MostCommon)
