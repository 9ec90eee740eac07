"""What an exchange does to rows, apart from where they lie: the same code on one table and range by range.

`at_once(tables)` is the definition. Where a table is too large for one worker, each block is turned into `rows` that
travel, cut into ranges of `keys`, and `gather` makes the result of one range; the results of all ranges in a row are
that of `at_once`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars, no_rows, to_polars
from raypipe.blocks.groups import GroupSpec, partial, whole
from raypipe.blocks.joins import POSITIONS, JoinSpec, joined_rows, numbered
from raypipe.blocks.order import Order, ascending, keys_of, sorted_rows, spread

BUNDLE_ROWS = 1 << 36
"""More rows than a bundle has: bundle number times this, plus the number of a row in it, is its position."""


class Operation(ABC):
    """An exchange, checked against the schemas of its sides."""

    name: ClassVar[str]
    keeps_rows: ClassVar[bool] = False
    """Whether as many rows come out as went in."""

    @property
    @abstractmethod
    def order(self) -> Order:
        """Of the keys by which rows are cut into ranges."""

    @abstractmethod
    def at_once(self, *tables: pa.Table) -> pa.Table:
        """The result of the whole sides."""

    @abstractmethod
    def sample(self, side: int, table: pa.Table, first: int, rows: int) -> pl.DataFrame:
        """Keys of at most `rows` rows of a block whose first row has the position `first`."""

    @abstractmethod
    def travelling(self, side: int, table: pa.Table, first: int) -> tuple[pl.DataFrame, pa.Table]:
        """Keys, and the rows that they belong to, of a block whose first row has the position `first`."""

    @abstractmethod
    def gather(self, sides: Sequence[Sequence[pa.Table]]) -> pa.Table:
        """The result of one range: travelling rows of each side, in order of bundles."""

    def then(self) -> PutInOrder | None:
        """Another exchange that the result of all ranges has to go through."""
        return None


def _with_positions(keys: pl.DataFrame, first: int) -> pl.DataFrame:
    """Keys that are all different, so that rows with equal ones can be cut into ranges too."""
    return keys.with_columns(pl.int_range(first, first + keys.height, dtype=pl.Int64).alias("p"))


@dataclass(frozen=True)
class SortRows(Operation):
    """Rows in order of key columns; those with equal keys stay in theirs."""

    name: ClassVar[str] = "sort"
    keeps_rows: ClassVar[bool] = True
    schema: pa.Schema
    by: tuple[str, ...]
    given: Order

    @property
    def order(self) -> Order:
        """See `Operation.order`."""
        return self.given.then_ascending()

    def at_once(self, *tables: pa.Table) -> pa.Table:
        """See `Operation.at_once`."""
        return sorted_rows(tables[0], self.by, self.given)

    def sample(self, side: int, table: pa.Table, first: int, rows: int) -> pl.DataFrame:
        """See `Operation.sample`."""
        return spread(self.travelling(side, table, first)[0], rows)

    def travelling(self, side: int, table: pa.Table, first: int) -> tuple[pl.DataFrame, pa.Table]:
        """See `Operation.travelling`."""
        return _with_positions(keys_of(to_polars(table), self.by), first), table

    def gather(self, sides: Sequence[Sequence[pa.Table]]) -> pa.Table:
        """See `Operation.gather`."""
        return self.at_once(pa.concat_tables([no_rows(self.schema), *sides[0]]))


@dataclass(frozen=True)
class GroupRows(Operation):
    """One row a group, in order of the keys."""

    name: ClassVar[str] = "group_by"
    spec: GroupSpec

    @property
    def order(self) -> Order:
        """See `Operation.order`."""
        return self.spec.order

    def at_once(self, *tables: pa.Table) -> pa.Table:
        """See `Operation.at_once`."""
        return self.gather([[partial(self.spec, tables[0])]])

    def sample(self, side: int, table: pa.Table, first: int, rows: int) -> pl.DataFrame:
        """See `Operation.sample`."""
        return spread(keys_of(to_polars(table), self.spec.keys), rows)

    def travelling(self, side: int, table: pa.Table, first: int) -> tuple[pl.DataFrame, pa.Table]:
        """See `Operation.travelling`; summaries of the block's groups travel."""
        rows = partial(self.spec, table)
        return to_polars(rows).select([f"k{number}" for number in range(len(self.spec.keys))]), rows

    def gather(self, sides: Sequence[Sequence[pa.Table]]) -> pa.Table:
        """See `Operation.gather`."""
        nothing = partial(self.spec, no_rows(self.spec.schema))
        return whole(self.spec, [nothing, *sides[0]])


@dataclass(frozen=True)
class JoinRows(Operation):
    """Two tables joined; after the exchange by keys, one by positions puts the rows in order."""

    name: ClassVar[str] = "join"
    spec: JoinSpec

    @property
    def order(self) -> Order:
        """See `Operation.order`."""
        return ascending(len(self.spec.on))

    def at_once(self, *tables: pa.Table) -> pa.Table:
        """See `Operation.at_once`."""
        return self.spec.finished(self.beside(tables[0], 0, tables[1], 0))

    def beside(self, left: pa.Table, first_left: int, right: pa.Table, first_right: int) -> pa.Table:
        """The joined rows of two pieces, with their positions."""
        spec = self.spec
        return joined_rows(
            spec, numbered(spec, spec.left, left, first_left), numbered(spec, spec.right, right, first_right)
        )

    def sample(self, side: int, table: pa.Table, first: int, rows: int) -> pl.DataFrame:
        """See `Operation.sample`."""
        return spread(self.travelling(side, table, first)[0], rows)

    def travelling(self, side: int, table: pa.Table, first: int) -> tuple[pl.DataFrame, pa.Table]:
        """See `Operation.travelling`."""
        rows = numbered(self.spec, self.spec.sides[side], table, first)
        return rows.select([f"k{number}" for number in range(len(self.spec.on))]), from_polars(rows)

    def gather(self, sides: Sequence[Sequence[pa.Table]]) -> pa.Table:
        """See `Operation.gather`; the rows still have their positions."""
        both = []
        for schema, tables in zip(self.spec.sides, sides, strict=True):
            nothing = numbered(self.spec, schema, no_rows(schema), 0)
            both.append(pl.concat([nothing, *map(to_polars, tables)]))
        return joined_rows(self.spec, *both)

    def then(self) -> PutInOrder:
        """See `Operation.then`."""
        return PutInOrder(self.spec, self.spec.nothing.schema)


class Finishes(Protocol):
    """What knows the names that joined rows end up with."""

    def finished(self, rows: pa.Table) -> pa.Table:
        """Rows without their positions, under the names of the result."""


@dataclass(frozen=True)
class PutInOrder(Operation):
    """Joined rows in order of their positions, under the names of the result."""

    name: ClassVar[str] = "join"
    keeps_rows: ClassVar[bool] = True
    spec: Finishes
    schema: pa.Schema

    @property
    def order(self) -> Order:
        """See `Operation.order`."""
        return ascending(len(POSITIONS))

    def at_once(self, *tables: pa.Table) -> pa.Table:
        """See `Operation.at_once`."""
        rows = to_polars(tables[0])
        return self.spec.finished(from_polars(rows[self.order.ranks(rows.select(POSITIONS))]))

    def sample(self, side: int, table: pa.Table, first: int, rows: int) -> pl.DataFrame:
        """See `Operation.sample`."""
        return spread(self.travelling(side, table, first)[0], rows)

    def travelling(self, side: int, table: pa.Table, first: int) -> tuple[pl.DataFrame, pa.Table]:
        """See `Operation.travelling`."""
        return to_polars(table).select(POSITIONS), table

    def gather(self, sides: Sequence[Sequence[pa.Table]]) -> pa.Table:
        """See `Operation.gather`."""
        return self.at_once(pa.concat_tables([no_rows(self.schema), *sides[0]]))
