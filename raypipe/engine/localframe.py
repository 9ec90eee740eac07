"""`LocalFrame`: a frame whose kept blocks lie in this process, and frames of what users hand back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import ConfigDict

from raypipe.blocks.frames import ROW, from_polars, to_polars
from raypipe.config import EngineConfig
from raypipe.engine.faults import is_fault, say
from raypipe.engine.frame import Frame, MapFunction
from raypipe.engine.operations import Operation
from raypipe.errors import RaypipeError, SchemaError, StageFailedError
from raypipe.stage import MapStage, Part, PartRead, Plan, SourceStage, Stage

if TYPE_CHECKING:
    from raypipe.engine.rayframe import RayFrame


class LocalFrame(Frame):
    """A frame whose kept blocks lie in this process."""

    def __init__(
        self,
        source: SourceStage,
        parts: Sequence[Part],
        prefix: tuple[MapStage, ...],
        schema: pa.Schema,
        blocks: Sequence[pa.Table | None],
        num_rows: int,
    ) -> None:
        super().__init__(source, parts, prefix, schema, num_rows)
        self._blocks = list(blocks)

    def kept(self, index: int) -> pa.Table | None:
        """The block of a part, if it was kept."""
        return self._blocks[index]

    def _block(self, index: int) -> pa.Table:
        kept = self._blocks[index]
        return kept if kept is not None else self._made_again(index)

    def let_go(self, index: int) -> None:
        """Forget the block of a part."""
        self._blocks[index] = None

    def map_blocks(self, fn: Callable[[pa.Table], pa.Table]) -> Frame:
        """See `Frame.map_blocks`; runs at once."""
        from raypipe.engine.inline import InlineEngine  # which makes frames of this kind
        from raypipe.engine.run import Pass

        plan = Plan(source=self.source, prefix=self.prefix, stages=(MapFunction(fn=fn),))
        outcome = InlineEngine(EngineConfig()).run(Pass(plan, frame=self, keep=True))
        assert outcome.frame is not None
        return outcome.frame

    def run_stages(self, *stages: Stage) -> Mapping[str, Any]:
        """See `Frame.run_stages`."""
        from raypipe.engine.inline import InlineEngine
        from raypipe.engine.run import Pass

        plan = Plan(source=self.source, prefix=self.prefix, stages=stages)
        return InlineEngine(EngineConfig(engine="inline")).run(Pass(plan, frame=self)).results

    def release(self) -> None:
        """See `Frame.release`."""
        self._blocks = [None] * len(self.parts)

    def _exchanged(self, operation: Operation, others: Sequence[Frame], schema: pa.Schema) -> Frame:
        if not all(isinstance(other, LocalFrame) for other in others):
            return self._on_ray()._exchanged(operation, others, schema)
        try:
            return local_frame(operation.at_once(self.to_arrow(), *(other.to_arrow() for other in others)))
        except RaypipeError:
            raise
        except BaseException as error:
            if not is_fault(error):
                raise
            raise StageFailedError(operation.name, "(all)", say(error)) from error

    def _on_ray(self) -> RayFrame:
        from raypipe.engine.rayframe import put_on_ray

        return put_on_ray(self)

    def _cut_anew(self, rows: Sequence[int]) -> Frame:
        table = self.to_arrow()
        return local_frame(from_polars(to_polars(table)), tuple(rows))


class MemorySource(SourceStage):
    """A table that is here already."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    table: pa.Table
    rows: tuple[int, ...]
    """Of each part."""

    def schema(self) -> pa.Schema:  # type: ignore[override]  # pydantic's deprecated BaseModel.schema is none of ours
        """See `SourceStage.schema`."""
        return self.table.schema

    def parts(self) -> Sequence[Part]:
        """See `SourceStage.parts`."""
        share = self.table.nbytes / max(1, self.table.num_rows)
        return [
            Part(id=f"{number:05d}/memory", file="(memory)", rows=rows, bytes=int(share * rows))
            for number, rows in enumerate(self.rows)
        ]

    def open(self) -> Callable[[Part], PartRead]:
        """See `SourceStage.open`."""
        return lambda part: PartRead(self.block(int(part.id.partition("/")[0])))

    def block(self, number: int) -> pa.Table:
        """The rows of one part."""
        return self.table.slice(sum(self.rows[:number]), self.rows[number])


def local_frame(table: pa.Table, rows: tuple[int, ...] | None = None) -> LocalFrame:
    """A frame of a table of canonical types, with so many rows in each part; None makes one part of all."""
    source = MemorySource(table=table, rows=(table.num_rows,) if rows is None else rows)
    blocks = []
    for number, count in enumerate(source.rows):
        numbers = pa.array(np.arange(count, dtype=np.int64))
        blocks.append(source.block(number).append_column(ROW, numbers))
    return LocalFrame(source, source.parts(), (), table.schema, blocks, table.num_rows)


def as_frame(value: Any) -> Frame:
    """A frame of what a user's code may hand back: a Frame, an Arrow, Polars or pandas table, or one on the cluster.

    A Modin frame and a dataset of Ray Data become frames on Ray, and nothing of them comes into this process.

    Raises
    ------
    SchemaError
        If it is none of these, or has a column `__row__` or two of one name.
    """
    if isinstance(value, Frame):
        return value
    library = type(value).__module__.split(".")[0]
    if isinstance(value, pl.DataFrame):
        return local_frame(canonical(value.to_arrow()))
    if isinstance(value, pa.Table):
        return local_frame(canonical(value))
    if library == "pandas" and hasattr(value, "columns"):
        return local_frame(canonical(pa.Table.from_pandas(value, preserve_index=False)))
    if library == "modin" and hasattr(value, "columns"):
        return Frame.from_modin(value)
    if type(value).__module__.startswith("ray.data") and hasattr(value, "map_batches"):
        return Frame.from_ray_dataset(value)
    raise SchemaError(
        f"frame: got {type(value).__name__}; wanted a raypipe Frame, a pyarrow, Polars, pandas or Modin table, or a "
        "dataset of Ray Data"
    )


def canonical(table: pa.Table) -> pa.Table:
    """The table with each type as it travels between stages.

    Raises
    ------
    SchemaError
        If two columns have one name, one has the name that raypipe keeps, or a type that Polars cannot hold.
    """
    names = table.column_names
    if ROW in names:
        raise SchemaError(f"frame: the table has a column {ROW!r}, a name that raypipe keeps for itself; rename it")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(f"frame: the table has more than one column {twice[0]!r}; rename all but one")
    zero = next((name for name in names if "\0" in name), None)
    if zero is not None:
        raise SchemaError(f"frame: the name of column {zero!r} holds a zero byte, which no library takes; rename it")
    try:
        return from_polars(to_polars(table))
    except BaseException as error:
        if not is_fault(error):
            raise
        raise SchemaError(f"frame: a column has a type that cannot be used: {say(error)}") from error
