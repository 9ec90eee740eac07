"""`Frame`: a handle on the blocks of a table, wherever they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import polars as pl
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import ROW, to_polars, without_row_numbers
from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.faults import is_fault, say
from raypipe.errors import RaypipeError, ReadError, StageFailedError
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
        self._chain: Chain | None = None

    @abstractmethod
    def _block(self, index: int) -> pa.Table:
        """The block of one part, with its row numbers."""

    def _made_again(self, index: int) -> pa.Table:
        """The block of a part that was not kept."""
        if self._chain is None:
            self._chain = Chain(ChainSpec(self.source, self.prefix, hands_on=True, reads_again=True))
        block, _ = self._chain.run(self.parts[index], None, True)
        assert block is not None
        return block

    def iter_blocks(self) -> Iterator[pa.Table]:
        """The blocks one after the other, as a user sees them."""
        for index in range(len(self.parts)):
            yield without_row_numbers(self._block(index))

    def to_arrow(self) -> pa.Table:
        """The whole table, in this process."""
        blocks = list(self.iter_blocks())
        table = pa.concat_tables(blocks) if blocks else self.schema.empty_table()
        check_unchanged(self, table.num_rows)
        return table

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
        missing = max(0, rows)
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


class MapFunction(MapStage):
    """A user's function over blocks; its schema is what it makes of an empty block. It keeps every row or fails."""

    needs_part: ClassVar[bool] = True
    fn: Callable[[pa.Table], pa.Table]

    @property
    def name(self) -> str:
        return "map_blocks"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        """See `Stage.output_schema`; StageFailedError where the function cannot take a block of no rows."""
        return self._made(schema.empty_table(), "(a block of 0 rows)").schema

    def open(self) -> Callable[..., pa.Table]:
        """See `MapStage.open`."""
        return self._apply

    def _apply(self, block: pa.Table, part: str) -> pa.Table:
        made = self._made(without_row_numbers(block), part)
        return made.append_column(ROW, block[ROW]) if ROW in block.column_names else made

    def _made(self, block: pa.Table, part: str) -> pa.Table:
        try:
            made = self.fn(block)
        except RaypipeError:
            raise
        except BaseException as error:
            if not is_fault(error):
                raise
            raise StageFailedError(self.name, part, say(error)) from error
        if not isinstance(made, pa.Table) or ROW in made.column_names:
            got = type(made).__name__ if not isinstance(made, pa.Table) else f"a table with a column {ROW!r}"
            raise StageFailedError(self.name, part, f"the function returned {got}; wanted a pyarrow Table")
        if made.num_rows != block.num_rows:
            text = f"the function returned {made.num_rows} rows for {block.num_rows}; it must keep every row"
            raise StageFailedError(self.name, part, text)
        return made


def check_unchanged(frame: Frame, rows: int) -> None:
    """Raise ReadError unless all blocks of the frame together had as many rows as it was made of."""
    if rows != frame.num_rows:
        raise ReadError(
            f"{frame.source.name}: a later reading found {rows:,} rows where the first one found {frame.num_rows:,}; "
            "the source changed in between. Run again on files that nobody writes to"
        )
