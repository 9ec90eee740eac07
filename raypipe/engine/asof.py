"""Frames joined as of a time: rows of one entity meet on one worker, and those of the left side keep their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl
import pyarrow as pa

from raypipe.blocks.asof import AsOfSpec, as_of_rows, ready
from raypipe.blocks.frames import from_polars, to_polars
from raypipe.blocks.order import Order, ascending, spread
from raypipe.engine.frame import Frame
from raypipe.engine.localframe import LocalFrame
from raypipe.engine.operations import Operation, PutInOrder
from raypipe.stage import Plan, SourceStage


@dataclass(frozen=True)
class AsOfRows(Operation):
    """Each left row with the newest right row that it may know; see `raypipe.blocks.asof`."""

    name: ClassVar[str] = "as-of join"
    spec: AsOfSpec

    @property
    def order(self) -> Order:
        """See `Operation.order`; rows of one entity stand in one range."""
        return ascending(len(self.spec.keys))

    def at_once(self, *tables: pa.Table) -> pa.Table:
        """See `Operation.at_once`."""
        left, right = (ready(self.spec, side, table, 0) for side, table in enumerate(tables))
        return self.spec.finished(as_of_rows(self.spec, left, right))

    def sample(self, side: int, table: pa.Table, first: int, rows: int) -> pl.DataFrame:
        """See `Operation.sample`."""
        return spread(self.travelling(side, table, first)[0], rows)

    def travelling(self, side: int, table: pa.Table, first: int) -> tuple[pl.DataFrame, pa.Table]:
        """See `Operation.travelling`."""
        rows = ready(self.spec, side, table, first)
        return rows.select([f"k{number}" for number in range(len(self.spec.keys))]), from_polars(rows)

    def gather(self, sides: Sequence[Sequence[pa.Table]]) -> pa.Table:
        """See `Operation.gather`; the rows still have their positions."""
        both = []
        for side, tables in enumerate(sides):
            nothing = ready(self.spec, side, self.spec.sides[side].empty_table(), 0)
            both.append(pl.concat([nothing, *map(to_polars, tables)]))
        return as_of_rows(self.spec, *both)

    def then(self) -> PutInOrder:
        """See `Operation.then`."""
        return PutInOrder(self.spec, self.spec.nothing.schema)


def join_as_of(frame: Frame, features: SourceStage, spec: AsOfSpec) -> Frame:
    """The rows of a frame with what they may know; where its blocks are on a cluster, the work is done there.

    Parameters
    ----------
    features : SourceStage
        Reads the right side; its parts know their rows.
    """
    return frame._exchanged(AsOfRows(spec), (_beside(frame, features),), spec.output_schema)


def _beside(frame: Frame, source: SourceStage) -> Frame:
    """A frame of a source whose parts are read where the rows of `frame` lie, and not before they are needed."""
    parts = source.parts()
    rows = sum(part.rows or 0 for part in parts)
    if isinstance(frame, LocalFrame):
        return LocalFrame(source, parts, (), source.schema(), [None] * len(parts), rows)
    from raypipe.engine.rayframe import Kept, RayFrame

    assert isinstance(frame, RayFrame)
    bundles = [range(number, number + 1) for number in range(len(parts))]
    kept = Kept(frame.kept.session, bundles, [None] * len(parts), [0] * len(parts))
    return RayFrame(frame._engine, Plan(source=source), parts, kept, rows)
