"""`Frame`: a handle on the blocks of a table, wherever they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import ROW, canonical_schema, no_rows, to_polars, without_row_numbers
from raypipe.blocks.groups import Wanted, plan_groups
from raypipe.blocks.joins import How, plan_join
from raypipe.blocks.order import Order, check_keys
from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.faults import is_fault, say
from raypipe.engine.operations import GroupRows, JoinRows, Operation, SortRows
from raypipe.errors import ConfigError, RaypipeError, ReadError, SchemaError, StageFailedError
from raypipe.stage import MapStage, Part, SourceStage, Stage

if TYPE_CHECKING:
    import modin.pandas as mpd
    import pandas as pd
    import ray.data

    from raypipe.engine.rayframe import RayFrame


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

    @abstractmethod
    def run_stages(self, *stages: Stage) -> Mapping[str, Any]:
        """What stages find in one pass over the rows, by their names; where the rows are, none of them moves."""

    def iter_blocks(self) -> Iterator[pa.Table]:
        """The blocks one after the other, as a user sees them."""
        for index in range(len(self.parts)):
            yield without_row_numbers(self._block(index))

    def to_arrow(self) -> pa.Table:
        """The whole table, in this process."""
        blocks = list(self.iter_blocks())
        table = pa.concat_tables(blocks) if blocks else no_rows(self.schema)
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
        return pa.concat_tables(taken) if taken else no_rows(self.schema)

    @abstractmethod
    def map_blocks(self, fn: Callable[[pa.Table], pa.Table]) -> Frame:
        """A frame of `fn(block)` for each block. `fn` must not depend on how rows are cut, and keeps every row."""

    # ---- exchanges: what needs all rows, see docs/guide/frames.md -------------------------------------------------

    def sort(
        self, by: str | Sequence[str], descending: bool | Sequence[bool] = False, nulls_last: bool = True
    ) -> Frame:
        """The rows in order of one or several columns; rows with equal values stay in their order.

        Parameters
        ----------
        by : str or sequence of str
            Columns, the most important one first. NaN counts as larger than every number.
        descending : bool or sequence of bool
            For all columns, or for each.
        nulls_last : bool
            Where nulls stand, whatever the direction.

        Raises
        ------
        MissingColumnsError, SchemaError
            If a column is not there, or has no order (a list, a struct).
        """
        columns = _names(by)
        check_keys(self.schema, columns, by="sort")
        flags = (descending,) * len(columns) if isinstance(descending, bool) else tuple(descending)
        if len(flags) != len(columns):
            raise ConfigError(
                f"sort: got {len(flags)} values of descending for {len(columns)} columns; give one for each"
            )
        schema = canonical_schema(self.schema)
        return self._exchanged(SortRows(schema, columns, Order(flags, nulls_last)), (), schema)

    def join(self, other: Any, on: str | Sequence[str], how: How = "inner", suffix: str = "_right") -> Frame:
        """The rows of two tables side by side, where their keys are equal.

        Rows come in the order of this frame, and for one of its rows in the order of `other`; what `full` adds comes
        last. `right` has the order of `other`.

        Parameters
        ----------
        other : Frame, or anything that `as_frame` takes
            The right side.
        on : str or sequence of str
            Key columns, of one name on both sides. A null equals nothing; NaN equals NaN.
        how : {"inner", "left", "right", "full", "semi", "anti"}
            Whose rows without a partner stay: nobody's, this frame's, the other's, or both. `semi` keeps the rows of
            this frame that have a partner, `anti` those that have none; neither adds a column.
        suffix : str
            Appended to columns of `other` whose names this frame has already.

        Raises
        ------
        MissingColumnsError, SchemaError
            If a key is not there, or its types have no common one, or two columns of the result had one name.
        """
        from raypipe.engine.localframe import as_frame  # a frame too

        right = as_frame(other)
        spec = plan_join(self.schema, right.schema, _names(on), how, suffix)
        return self._exchanged(JoinRows(spec), (right,), spec.output_schema)

    def group_by(self, keys: str | Sequence[str]) -> Groups:
        """Rows with equal keys; call `agg` on it."""
        columns = _names(keys)
        check_keys(self.schema, columns, by="group_by")
        return Groups(self, columns)

    def repartition(self, *, blocks: int | None = None, rows: int | None = None) -> Frame:
        """The same rows in `blocks` blocks of even size, or in blocks of `rows` rows.

        Raises
        ------
        ConfigError
            If not just one of both is given, or it is below 1.
        """
        wanted = [number for number in (blocks, rows) if number is not None]
        if len(wanted) != 1 or wanted[0] < 1:
            raise ConfigError(f"repartition: got blocks={blocks}, rows={rows}; give one of them, 1 or more")
        total = self.num_rows
        if rows is not None:
            return self._cut_anew([min(rows, total - start) for start in range(0, total, rows)])
        even, more = divmod(total, wanted[0])
        return self._cut_anew([even + (number < more) for number in range(min(wanted[0], total))])

    @abstractmethod
    def _exchanged(self, operation: Operation, others: Sequence[Frame], schema: pa.Schema) -> Frame:
        """The result of an operation on this frame and others."""

    @abstractmethod
    def _cut_anew(self, rows: Sequence[int]) -> Frame:
        """The same rows in blocks of these sizes."""

    @abstractmethod
    def _on_ray(self) -> RayFrame:
        """The same rows on Ray, which is started if need be."""

    def to_ray_dataset(self) -> ray.data.Dataset:
        """A dataset of Ray Data over the same blocks, which it reads as it needs them; needs the extra `exchange`."""
        return self._on_ray().to_ray_dataset()

    @staticmethod
    def from_ray_dataset(dataset: ray.data.Dataset) -> Frame:
        """A frame of what a dataset of Ray Data makes; it is run, and its blocks stay in the object store."""
        from raypipe.engine.rayframe import frame_of_dataset

        return frame_of_dataset(dataset)

    def to_modin(self) -> mpd.DataFrame:
        """A Modin frame over the same cluster, with Arrow-backed columns; needs the extra `modin`."""
        return self._on_ray().to_modin()

    @staticmethod
    def from_modin(value: mpd.DataFrame) -> Frame:
        """A frame of a Modin frame's rows, without its index; they stay on the cluster."""
        from raypipe.engine.rayframe import frame_of_modin

        return frame_of_modin(value)

    @abstractmethod
    def release(self) -> None:
        """Let go of the blocks; what is needed later is read again."""

    def __len__(self) -> int:
        return self.num_rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.num_rows:,} rows x {len(self.schema)} columns, {len(self.parts)} parts)"


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    found = (columns,) if isinstance(columns, str) else tuple(columns)
    if not all(isinstance(name, str) for name in found):
        raise SchemaError(f"frame: got {columns!r}; wanted the name of a column, or a list of names")
    return found


class Groups:
    """Rows of a frame with equal keys."""

    def __init__(self, frame: Frame, keys: tuple[str, ...]) -> None:
        self._frame = frame
        self._keys = keys

    def agg(self, wanted: Mapping[str, Wanted] | None = None, /, **more: Wanted) -> Frame:
        """One row a group, in order of the keys, nulls last; a null is a key like any other.

        Parameters
        ----------
        wanted : mapping, optional
            Name of a column of the result -> what it holds: `"rows"` for the number of rows, else (column, function)
            with count, n_unique, sum, mean, std, var, min, max, median, first or last, or (column, "quantile", share).
        **more
            The same as keywords.

        Raises
        ------
        ConfigError, MissingColumnsError, SchemaError
            If a function is unknown, or a column is not there or has no type for its function, or a sum has no room.
        """
        spec = plan_groups(self._frame.schema, self._keys, {**(wanted or {}), **more})
        return self._frame._exchanged(GroupRows(spec), (), spec.output_schema)


class MapFunction(MapStage):
    """A user's function over blocks; its schema is what it makes of an empty block. It keeps every row or fails."""

    needs_part: ClassVar[bool] = True
    fn: Callable[[pa.Table], pa.Table]

    @property
    def name(self) -> str:
        return "map_blocks"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        """See `Stage.output_schema`; StageFailedError where the function cannot take a block of no rows."""
        return self._made(no_rows(schema), "(a block of 0 rows)").schema

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
