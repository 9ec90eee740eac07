"""Rows that killed a worker in an earlier pass, left out where blocks are made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from raypipe.blocks.frames import ROW
from raypipe.stage import MapStage

Spared = dict[str, dict[str, frozenset[int]]]
"""Stage -> part id -> numbers of rows that it does not survive."""


class SpareRows(MapStage):
    """Drops rows by part and number; an earlier pass has set them aside and counted them."""

    needs_part: ClassVar[bool] = True
    drops_rows: ClassVar[bool] = True
    rows: Mapping[str, frozenset[int]]
    """Part id -> row numbers."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        """See `Stage.output_schema`."""
        return schema

    def open(self) -> Callable[..., pa.Table]:
        """See `MapStage.open`."""
        return self._apply

    def _apply(self, block: pa.Table, part: str) -> pa.Table:
        return without_rows(block, self.rows.get(part, frozenset()))


def without_rows(block: pa.Table, rows: frozenset[int]) -> pa.Table:
    """The block without the rows of these numbers."""
    return block.filter(pc.invert(rows_in(block, rows))) if rows else block


def rows_in(block: pa.Table, rows: frozenset[int]) -> pa.ChunkedArray:
    """For each row, whether its number is among `rows`."""
    return pc.is_in(block[ROW], value_set=pa.array(sorted(rows), pa.int64()))
