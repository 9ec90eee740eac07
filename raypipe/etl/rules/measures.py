"""What rules about figures measure beyond the profile of a column; each keeps the laws of a `ReduceStage`."""

from __future__ import annotations

import pyarrow as pa

from raypipe.etl.rules.cells import Cells
from raypipe.etl.rules.rule import Measure


class RowsSeen(Measure):
    """How many rows there are."""

    def check(self, schema: pa.Schema) -> None:
        if self.where is not None:
            Cells(schema).condition(self.where)

    def partial(self, block: pa.Table, part: str) -> int:
        rows: int = block.num_rows
        return rows

    def merge(self, a: int, b: int) -> int:
        return a + b

    def finish(self, state: int) -> int:
        return state
