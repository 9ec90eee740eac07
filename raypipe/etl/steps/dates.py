"""Text that holds dates, turned into dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa
from pydantic import Field

from raypipe.etl.aside import Fault, numbered, set_aside
from raypipe.etl.steps.detect_dates import DateCounts, DateWriting, DetectDates, judge
from raypipe.etl.steps.layouts import BY_NAME, DateKind, as_kind, read_dates
from raypipe.etl.steps.step import ASIDE, CELLS, Evidence, Step, cell_counts, cells_of
from raypipe.results import StepReport
from raypipe.stage import BlockStage, Sifted, require

TYPES: dict[DateKind, pa.DataType] = {
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "datetime_utc": pa.timestamp("us", "UTC"),
}


class ParseDates(Step, BlockStage):
    """Turn text columns that are written by one known layout into dates, or into moments if any has a time of day.

    A row with a value that does not follow its column's layout is set aside. A step that has only reasons to give
    why columns stay text passes blocks on as they are.
    """

    columns: tuple[DateWriting, ...] = ()
    left_as_text: Mapping[str, str] = Field(default_factory=dict)
    """Column that looks like dates -> why it stays text."""

    @property
    def idle(self) -> bool:
        return not self.columns

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(writing.column for writing in self.columns), by=self.name)
        for writing in self.columns:
            index = schema.get_field_index(writing.column)
            schema = schema.set(index, schema.field(index).with_type(TYPES[writing.kind]))
        return schema

    def apply(self, block: pa.Table) -> pa.Table | Sifted:
        if not self.columns:
            return block
        parsed: dict[str, pl.Series] = {}
        unread: dict[str, pl.Series] = {}
        for number, writing in enumerate(self.columns):
            cells = cells_of(block, writing.column)
            moments = read_dates(cells, BY_NAME[writing.layout])
            parsed[writing.column] = as_kind(moments, writing.kind)
            unread[f"u{number}"] = cells.is_not_null() & moments.is_null()
        after = block
        for name, dates in parsed.items():
            index = after.schema.get_field_index(name)
            kind = TYPES[next(writing.kind for writing in self.columns if writing.column == name)]
            after = after.set_column(index, after.schema.field(index).with_type(kind), dates.to_arrow().cast(kind))
        return self._sift(block, after, pl.DataFrame(unread))

    def _sift(self, before: pa.Table, after: pa.Table, unread: pl.DataFrame) -> Sifted:
        bad = unread.select(pl.any_horizontal(pl.all())).to_series()
        kept = after.filter((~bad).to_arrow()) if bad.any() else after
        counts = {CELLS + w.column: kept.num_rows - kept[w.column].null_count for w in self.columns}
        if not bad.any():
            return Sifted(kept, counts=counts)
        picks = [pl.when(pl.col(name)).then(pl.lit(n, pl.UInt32)) for n, name in enumerate(unread.columns)]
        first = unread.filter(bad).select(pl.coalesce(picks).alias("first")).to_series()
        faults = [Fault(w.column, f"is no date written as {w.layout}") for w in self.columns]
        for number, rows in first.value_counts(name="rows").iter_rows():
            counts[ASIDE + self.columns[number].column] = rows
        return Sifted(kept, set_aside(numbered(before).filter(bad.to_arrow()), first, faults), counts)

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        cells, aside = cell_counts(counts), cell_counts(counts, ASIDE)
        detail: dict[str, Any] = {
            writing.column: {
                "format": writing.layout,
                "type": writing.kind,
                "cells": cells.get(writing.column, 0),
                "rows_set_aside": aside.get(writing.column, 0),
            }
            for writing in self.columns
        }
        if self.left_as_text:
            detail["left_as_text"] = dict(self.left_as_text)
        names = tuple(writing.column for writing in self.columns)
        return StepReport(step=self.name, columns=names, cells_changed=sum(cells.values()), detail=detail)


def fit_parse_dates(evidence: Evidence, detector: DetectDates | None) -> ParseDates | None:
    """Parse the columns that `DetectDates` found to be written by one layout; None where no column looks like dates."""
    if detector is None:
        return None
    found: DateCounts = evidence.results[detector.name]
    columns: list[DateWriting] = []
    reasons: dict[str, str] = {}
    for name in detector.columns:
        profile = evidence.profile.column(name)
        present = profile.rows - evidence.missing(profile)
        counts = found.columns.get(name, Counter())
        judged = judge(name, counts, present, evidence.config.min_date_share)
        if isinstance(judged, DateWriting):
            columns.append(judged)
        elif judged is not None:
            reasons[name] = judged
    return ParseDates(columns=tuple(columns), left_as_text=reasons) if columns or reasons else None
