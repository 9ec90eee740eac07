"""`Frame`: a handle on the blocks of a table, wherever they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import to_polars, without_row_numbers
from raypipe.stage import MapStage, Part, SourceStage

if TYPE_CHECKING:
    import pandas as pd


class Frame(ABC):
    """A table in blocks, one a part, in the order of parts.

    Blocks that an earlier pass kept are there at once; the others are read again and sent through `prefix`, the stages
    that made them, when they are needed.
    """

    def __init__(
        self, source: SourceStage, parts: Sequence[Part], prefix: tuple[MapStage, ...], schema: pa.Schema, num_rows: int
    ) -> None:
        self.source = source
        self.parts = tuple(parts)
        self.prefix = prefix
        self.schema = schema
        """Columns and types, without the hidden row number."""
        self.num_rows = num_rows

    @abstractmethod
    def _block(self, index: int) -> pa.Table:
        """The block of one part, with its row numbers."""

    def iter_blocks(self) -> Iterator[pa.Table]:
        """The blocks one after the other, as a user sees them."""
        for index in range(len(self.parts)):
            yield without_row_numbers(self._block(index))

    def to_arrow(self) -> pa.Table:
        """The whole table, in this process."""
        blocks = list(self.iter_blocks())
        return pa.concat_tables(blocks) if blocks else self.schema.empty_table()

    def to_polars(self) -> pl.DataFrame:
        """The whole table as a Polars frame."""
        return to_polars(self.to_arrow())

    def to_pandas(self) -> pd.DataFrame:
        """The whole table as a pandas frame; needs the extra `pandas`."""
        require_extra("pandas", by="Frame.to_pandas")
        return self.to_arrow().to_pandas()

    def head(self, rows: int = 10) -> pa.Table:
        """The first rows; reads no more blocks than that takes."""
        taken: list[pa.Table] = []
        missing = rows
        for block in self.iter_blocks():
            taken.append(block.slice(0, missing))
            missing -= taken[-1].num_rows
            if missing <= 0:
                break
        return pa.concat_tables(taken) if taken else self.schema.empty_table()

    @abstractmethod
    def map_blocks(self, fn: Callable[[pa.Table], pa.Table]) -> Frame:
        """A frame of `fn(block)` for each block. `fn` must not depend on how rows are cut, and keeps every row."""

    @abstractmethod
    def release(self) -> None:
        """Let go of the blocks; what is needed later is read again."""

    def __len__(self) -> int:
        return self.num_rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_rows:,} rows x {len(self.schema)} columns, {len(self.parts)} parts)"


def describe_schema(schema: pa.Schema) -> dict[str, Any]:
    """Column -> type as text."""
    return {field.name: str(field.type) for field in schema}
