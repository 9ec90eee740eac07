"""White space around text."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from raypipe.etl.processing.repeats import trimmed
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.steps.step import CELLS, Evidence, Step, cell_counts, cells_of, with_columns
from raypipe.results import StepReport
from raypipe.stage import BlockStage, Sifted, require


class TrimText(Step, BlockStage):
    """Strip white space (as Unicode defines it) around text; text of which nothing is left becomes null."""

    by_column = True

    columns: tuple[str, ...]

    def of_columns(self, columns: frozenset[str]) -> TrimText | None:
        kept = tuple(name for name in self.columns if name in columns)
        return self.replace(columns=kept) if kept else None

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, by=self.name)
        return schema

    @property
    def changes(self) -> frozenset[str]:
        return frozenset(self.columns)

    def apply(self, block: pa.Table) -> Sifted:
        arrays: dict[str, pa.Array] = {}
        counts: dict[str, int] = {}
        for column in self.columns:
            cells = cells_of(block, column)
            bare = trimmed(cells)
            changed = int(bare.ne_missing(cells).sum())
            if changed:
                arrays[column] = bare.to_arrow()
                counts[CELLS + column] = changed
        return Sifted(with_columns(block, arrays), counts=counts)

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        cells = cell_counts(counts)
        detail = {column: {"cells": cells.get(column, 0)} for column in self.columns}
        return StepReport(step=self.name, columns=self.columns, cells_changed=sum(cells.values()), detail=detail)


def fit_trim_text(schema: pa.Schema, evidence: Evidence) -> TrimText | None:
    """Trim the text columns in which the first pass saw white space at an end, or text of nothing else."""
    if not evidence.config.trim_text:
        return None
    columns: list[str] = []
    for field in schema:
        if not is_text(field.type):
            continue
        text = evidence.profile.column(field.name).text
        if text is None or text.padded or text.blank or text.empty:
            columns.append(field.name)
    return TrimText(columns=tuple(columns)) if columns else None
