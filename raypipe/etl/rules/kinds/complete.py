"""Completeness: whether cells have a value."""

from __future__ import annotations

from typing import Literal

import polars as pl

from raypipe.config.base import Share
from raypipe.etl.rules.cells import Cells
from raypipe.etl.rules.comparing import text_cell
from raypipe.etl.rules.rule import Evidence, FigureRule, Judged, NotMeasuredError, RowRule
from raypipe.etl.wording import counted, percent


class NotNull(RowRule):
    """Every row has a value."""

    GROUP = "completeness"
    rule: Literal["not_null"] = "not_null"

    @property
    def wanted(self) -> str:
        return "no null"

    def breaks(self, cells: Cells) -> pl.Expr:
        return cells[self.columns[0]].expr.is_null()


class NotBlank(RowRule):
    """Text has a character that is no white space; null keeps it."""

    GROUP = "completeness"
    rule: Literal["not_blank"] = "not_blank"

    @property
    def wanted(self) -> str:
        return "text that is not blank"

    def breaks(self, cells: Cells) -> pl.Expr:
        return text_cell(cells[self.columns[0]]).str.strip_chars() == ""


class NullShare(FigureRule):
    """The share of nulls lies between two bounds."""

    GROUP = "completeness"
    rule: Literal["null_share"] = "null_share"
    min: Share = 0.0
    max: Share

    @property
    def wanted(self) -> str:
        low = f"at least {percent(self.min)} and " if self.min else ""
        return f"{low}at most {percent(self.max)} null"

    def judge(self, evidence: Evidence) -> Judged:
        column = evidence.profile.column(self.columns[0])
        if not column.rows:
            raise NotMeasuredError("there are no rows")
        share = column.null_share
        found = f"{percent(share)} null ({column.nulls:,} of {counted(column.rows, 'row')})"
        passed = self.min <= share <= self.max
        return Judged(passed, found, figure=share, share=share, failing_rows=column.nulls, rows=column.rows)


class CompleteTogether(RowRule):
    """Every row has a value in each of the columns."""

    GROUP = "completeness"
    EACH = False
    LEAST = 2
    rule: Literal["complete_together"] = "complete_together"

    @property
    def wanted(self) -> str:
        return "a value in each"

    def breaks(self, cells: Cells) -> pl.Expr:
        return pl.any_horizontal(cells[name].expr.is_null() for name in self.columns)


class AnyPresent(RowRule):
    """Every row has a value in at least one of the columns."""

    GROUP = "completeness"
    EACH = False
    LEAST = 2
    rule: Literal["any_present"] = "any_present"

    @property
    def wanted(self) -> str:
        return "a value in at least one"

    def breaks(self, cells: Cells) -> pl.Expr:
        return pl.all_horizontal(cells[name].expr.is_null() for name in self.columns)


class NullTogether(RowRule):
    """The columns are null in the same rows: either all have a value, or none has."""

    GROUP = "across columns"
    EACH = False
    LEAST = 2
    rule: Literal["null_together"] = "null_together"

    @property
    def wanted(self) -> str:
        return "a value in all or in none"

    def breaks(self, cells: Cells) -> pl.Expr:
        nulls = [cells[name].expr.is_null() for name in self.columns]
        return pl.any_horizontal(nulls) & ~pl.all_horizontal(nulls)


RULES = (NotNull, NotBlank, NullShare, CompleteTogether, AnyPresent, NullTogether)
