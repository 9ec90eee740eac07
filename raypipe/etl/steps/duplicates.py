"""Rows that repeat an earlier row."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from raypipe.blocks.frames import row_numbers
from raypipe.etl.processing.repeats import FindRepeats, Repeats
from raypipe.etl.steps.step import Evidence, Step
from raypipe.results import StepReport
from raypipe.stage import MapStage


class DropDuplicates(Step, MapStage):
    """Drop each row that equals an earlier one in every column, so that the first in source order stays.

    Rows are compared as they were read, after trimming (if text is trimmed) and before dates are parsed: two
    spellings of one day are two values. Which rows go was settled by `FindRepeats` over all parts, so the outcome
    depends neither on cuts nor on the number of workers; its docstring states the odds of taking different rows for
    equal.
    """

    drops_rows = True
    needs_part = True

    repeats: Repeats

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def open(self) -> Callable[..., pa.Table]:
        return self.apply

    def apply(self, block: pa.Table, part: str) -> pa.Table:
        """The block without the rows marked for this part; a block without `ROW` is taken for its whole part."""
        if part not in self.repeats.marks:
            return block
        rows = row_numbers(block)
        return block.filter(pa.array(~self.repeats.mask(part, rows)))

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        detail = {
            "rows_compared": self.repeats.rows,
            "repeats_found": self.repeats.repeats,
            "first": [f"row {row} of {part}" for part, row in self.repeats.first],
        }
        return StepReport(step=self.name, rows_dropped=rows_dropped, detail=detail)


def duplicate_finder(trim: bool) -> FindRepeats:
    """What must run over all rows before `DropDuplicates` can be fitted."""
    return FindRepeats(label="rows", trim=trim)


def fit_drop_duplicates(evidence: Evidence) -> DropDuplicates | None:
    """Drop the rows that `duplicate_finder` marked; None where there are none."""
    if not evidence.config.drop_duplicates:
        return None
    repeats: Repeats = evidence.results[duplicate_finder(evidence.config.trim_text).name]
    return DropDuplicates(repeats=repeats) if repeats.repeats else None
