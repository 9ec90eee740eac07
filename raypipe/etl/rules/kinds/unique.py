"""Uniqueness: values and keys that occur once, and how many different values there are."""

from __future__ import annotations

from typing import Literal, Self

import pyarrow as pa
from pydantic import model_validator

from raypipe.etl.rules.figures import BoundedFigure, distinct_of, present
from raypipe.etl.rules.losers import LosersOf, NullKeys
from raypipe.etl.rules.measures import RepeatsOf, RowsSeen
from raypipe.etl.rules.rule import Action, CountingRule, Evidence, FigureRule, Judged, Measure, NotMeasuredError
from raypipe.etl.wording import counted, percent
from raypipe.results import FaultyRow


class _NoRepeats(CountingRule, FigureRule):
    """No combination of values occurs twice; rows with a null do not count."""

    GROUP = "uniqueness"
    PROFILED = False
    action: Action | None = None
    """What becomes of rows that repeat another: `count` keeps them, `quarantine` sets them aside in a pass after the
    one that finds them; None is that of the file."""
    keep: Literal["first", "last", "max", "min", "none"] = "first"
    """Which of them stays where the others are set aside; `max` and `min` go by the column `of`."""
    of: str | None = None

    @model_validator(mode="after")
    def _has_score(self) -> Self:
        if (self.of is not None) != (self.keep in ("max", "min")):
            raise ValueError("of: wanted with keep: max or keep: min, and only there")
        return self

    @property
    def wanted(self) -> str:
        return "no value twice" + (f", in all but {self.bound_words}" if self.bound_words else "")

    def measures(self) -> tuple[Measure, ...]:
        if self.keep == "first":
            return (RepeatsOf(columns=self.columns, where=self.where),)
        return (LosersOf(columns=self.columns, keep=self.keep, of=self.of, where=self.where),)

    def names_rows(self) -> tuple[Measure, ...]:
        return self.measures()[:1] if self.action == "quarantine" else ()

    def judge(self, evidence: Evidence) -> Judged:
        found = evidence.measured[self.measures()[0]]
        return self.told(found.repeats, found.rows, found.first)

    def told(self, repeats: int, rows: int, first: tuple[tuple[str, int], ...], more: str = "") -> Judged:
        """The verdict on so many repeats."""
        level = self.level(repeats, rows)
        share = repeats / rows if repeats else 0.0
        text = f"{counted(repeats, 'row')} of {rows:,} ({percent(share)}) {'repeats' if repeats == 1 else 'repeat'}"
        text += {"first": " an earlier value", "last": " a later value"}.get(self.keep, " another value")
        more += ", set aside" if repeats and self.action == "quarantine" else ""
        return Judged(
            level is None,
            (text if repeats else f"{counted(rows, 'row')}, no value twice") + more,
            failing_rows=repeats,
            rows=rows,
            share=share,
            first=tuple(FaultyRow(part=part, row=row) for part, row in first),
            severity=level,
        )


class Unique(_NoRepeats):
    """No value occurs twice; nulls do not count."""

    rule: Literal["unique"] = "unique"


class UniqueTogether(_NoRepeats):
    """No combination of the columns' values occurs twice; rows with a null do not count."""

    EACH = False
    LEAST = 2
    rule: Literal["unique_together"] = "unique_together"


class PrimaryKey(_NoRepeats):
    """The values of the columns together are never null, and never occur twice."""

    EACH = False
    rule: Literal["primary_key"] = "primary_key"

    @property
    def wanted(self) -> str:
        return super().wanted.replace("no value twice", "no null and no value twice")

    def measures(self) -> tuple[Measure, ...]:
        return (*super().measures(), RowsSeen(where=self.where), NullKeys(columns=self.columns, where=self.where))

    def names_rows(self) -> tuple[Measure, ...]:
        repeats, _, nulls = self.measures()
        return (repeats, nulls) if self.action == "quarantine" else ()

    def judge(self, evidence: Evidence) -> Judged:
        repeats, seen, without = (evidence.measured[measure] for measure in self.measures())
        nulls = without.repeats
        more = f", and {counted(nulls, 'row')} {'has' if nulls == 1 else 'have'} a null" if nulls else ""
        judged = self.told(repeats.repeats, repeats.rows, repeats.first, more)
        level = self.level(repeats.repeats + nulls, seen)
        return Judged(
            level is None,
            judged.found,
            failing_rows=repeats.repeats + nulls,
            rows=seen,
            share=(repeats.repeats + nulls) / seen if seen else 0.0,
            first=judged.first,
            severity=level,
        )


class DistinctCount(BoundedFigure):
    """The number of different values lies between bounds; past some thousands it is an estimate with its error."""

    GROUP = "uniqueness"
    rule: Literal["distinct_count"] = "distinct_count"

    @property
    def wanted(self) -> str:
        return self.bounds("a number of different values")

    def judge(self, evidence: Evidence) -> Judged:
        distinct, low, high = distinct_of(evidence.profile.column(self.columns[0]))
        return self.held(distinct.count, low, high, show=lambda value: counted(round(value), "different value"))


class UniqueShare(BoundedFigure):
    """The share of different values among all values lies between bounds."""

    GROUP = "uniqueness"
    rule: Literal["unique_share"] = "unique_share"

    @property
    def wanted(self) -> str:
        return self.bounds("a share of different values", percent)

    def judge(self, evidence: Evidence) -> Judged:
        column = evidence.profile.column(self.columns[0])
        values = present(column)
        distinct, low, high = distinct_of(column)
        return self.held(min(distinct.count / values, 1.0), low / values, high / values, show=percent)


class DuplicateShare(BoundedFigure):
    """The share of rows that repeat an earlier one in every column lies between bounds."""

    GROUP = "uniqueness"
    EACH = False
    LEAST = 0
    rule: Literal["duplicate_share"] = "duplicate_share"

    @property
    def wanted(self) -> str:
        return self.bounds("a share of repeated rows", percent)

    def check(self, schema: pa.Schema) -> None:
        if self.where is not None and not self.columns:
            super().check(schema)

    def judge(self, evidence: Evidence) -> Judged:
        found = evidence.profile.duplicates
        if found is None:
            raise NotMeasuredError("repeated rows were not counted")
        low = None if found.exact else max(0.0, 2 * found.share - found.share_upper)
        return self.held(found.share, low, None if found.exact else found.share_upper, show=percent)


RULES = (Unique, UniqueTogether, PrimaryKey, DistinctCount, UniqueShare, DuplicateShare)
