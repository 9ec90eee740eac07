"""The columns of a block as expressions, under names that Polars takes for nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.frames import ROW
from raypipe.etl.rules.conditions import parsed_condition
from raypipe.etl.rules.dtypes import dtype_of, is_text
from raypipe.etl.wording import listed, shown


class UnfitError(ValueError):
    """A rule cannot be held against these columns; the text says why, without naming the rule."""


@dataclass(frozen=True)
class Cell:
    """The cell of one column."""

    name: str
    expr: pl.Expr
    kind: pa.DataType

    @property
    def called(self) -> str:
        """The type in the words of a schema."""
        return dtype_of(self.kind) or str(self.kind)


@dataclass
class Cells:
    """The columns of one schema; it notes which of them are asked for, and only those are looked at.

    Columns go by number: a name such as `^a$` is a pattern to Polars, and `*` means all. A condition in SQL names
    columns itself, so that those are there under their own names as well.
    """

    schema: pa.Schema
    _numbered: dict[str, int] = field(default_factory=dict)
    _named: dict[str, None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Cell:
        index = self._require(name)
        number = self._numbered.setdefault(name, len(self._numbered))
        kind, expr = self.schema.field(index).type, pl.col(_own(number))
        if pt.is_dictionary(kind) and (is_text(kind.value_type)):
            return Cell(name, expr.cast(pl.String), pa.large_string())
        return Cell(name, expr, kind)

    def condition(self, text: str, unknown: bool = False) -> pl.Expr:
        """The condition as a boolean that is never null: what is unknown, since a value is null, is `unknown`."""
        expression, columns = parsed_condition(text)
        for name in columns:
            self._require(name)
            self._named[name] = None
        empty = {name: pl.Series(pl.from_arrow(pa.array([], self.schema.field(name).type))) for name in columns}
        try:
            kind = pl.DataFrame(empty).select(expression.alias("found")).to_series().dtype
        except pl.exceptions.PolarsError as error:
            reason = str(error).split("\n")[0]
            raise UnfitError(f"the condition {shown(text)} cannot be computed: {reason}") from None
        if kind not in (pl.Boolean, pl.Null):
            raise UnfitError(f"the condition {shown(text)} gives {kind}; wanted true or false")
        return expression.fill_null(unknown)

    def frame(self, block: pa.Table) -> pl.DataFrame:
        """The columns that were asked for, of a block with this schema."""
        series = [_series(block[name], _own(number)) for name, number in self._numbered.items()]
        return pl.DataFrame(series + [_series(block[name], name) for name in self._named])

    def _require(self, name: str) -> int:
        index = -1 if name == ROW else int(self.schema.get_field_index(name))
        if index < 0:
            raise UnfitError(missing_column(name, self.schema.names))
        return index


def require_columns(schema: pa.Schema, names: Sequence[str]) -> None:
    """Raise UnfitError unless the schema has all these columns."""
    for name in names:
        if name == ROW or schema.get_field_index(name) < 0:
            raise UnfitError(missing_column(name, schema.names))


def missing_column(name: str, have: Sequence[str]) -> str:
    """That there is no such column, with those that there are and the nearest one."""
    known = [one for one in have if one != ROW]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f". Did you mean {close[0]!r}?" if close else ""
    return f"there is no column {shown(name)}; the table has {listed(known, 20)}{hint}"


def _own(number: int) -> str:
    return f"\0{number}"


def _series(column: pa.ChunkedArray, name: str) -> pl.Series:
    return pl.Series(name, pl.from_arrow(column))
