"""Columns and rows that hold nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from raypipe.blocks.frames import data_columns
from raypipe.etl.steps.step import Evidence, Step
from raypipe.results import StepReport
from raypipe.stage import BlockStage, require


class DropEmptyColumns(Step, BlockStage):
    """Drop columns in which no row of the whole table has a value."""

    by_column = True

    columns: tuple[str, ...]

    def of_columns(self, columns: frozenset[str]) -> DropEmptyColumns | None:
        kept = tuple(name for name in self.columns if name in columns)
        return self.replace(columns=kept) if kept else None

    @property
    def changes(self) -> frozenset[str]:
        return frozenset(self.columns)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, by=self.name)
        gone = set(self.columns)
        return pa.schema([field for field in schema if field.name not in gone], metadata=schema.metadata)

    def apply(self, block: pa.Table) -> pa.Table:
        return block.drop_columns(list(self.columns))

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        return StepReport(step=self.name, columns=self.columns, columns_dropped=self.columns)


class DropEmptyRows(Step, BlockStage):
    """Drop rows that are null in every column. NaN is a value."""

    drops_rows = True

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        names = sorted(data_columns(block), key=lambda name: block[name].null_count)
        if not names or block[names[0]].null_count == 0:
            return block
        empty = pc.is_null(block[names[0]])
        for name in names[1:]:
            empty = pc.and_(empty, pc.is_null(block[name]))
        return block.filter(pc.invert(empty))

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        return StepReport(step=self.name, rows_dropped=rows_dropped)


def fit_drop_empty_columns(evidence: Evidence) -> DropEmptyColumns | None:
    """Drop the columns that the first pass found empty, but never the target, the time column, or one that a step of
    the list names.

    A table of which every column is empty keeps them, since rows without columns cannot be counted; its rows go.
    """
    profile = evidence.profile
    if not evidence.config.drop_empty_columns:
        return None
    empty = [column.name for column in profile.columns if evidence.is_empty(column)]
    columns = tuple(name for name in empty if name not in evidence.named and name not in evidence.wanted)
    return DropEmptyColumns(columns=columns) if columns and len(columns) < len(profile.columns) else None


def fit_drop_empty_rows(evidence: Evidence, columns: list[str]) -> DropEmptyRows | None:
    """Drop empty rows, unless the first pass shows that there are none.

    Parameters
    ----------
    evidence : Evidence
        What the first pass found.
    columns : list of str
        Those that are left when the step runs.
    """
    profile = evidence.profile
    if not evidence.config.drop_empty_rows or not profile.rows:
        return None
    left = [profile.column(name) for name in columns]
    if any(evidence.missing(column) == 0 for column in left):
        return None
    blank = any(evidence.missing(column) > column.nulls for column in profile.columns)
    if profile.missingness.columns and profile.missingness.rows_all_null == 0 and not blank:
        return None
    return DropEmptyRows()
