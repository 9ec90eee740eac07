"""The columns of the table: which there are, in which order, under which names, of which types."""

from __future__ import annotations

import difflib
from typing import Literal, Self

import polars as pl
import pyarrow as pa
from pydantic import Field, NonNegativeInt, field_validator, model_validator

from raypipe.blocks.frames import ROW
from raypipe.etl.rules.cells import missing_column
from raypipe.etl.rules.dtypes import canonical_dtype, dtype_of, satisfies
from raypipe.etl.rules.kinds.patterns import Pattern
from raypipe.etl.rules.rule import SchemaRule
from raypipe.etl.rules.schema import whole_match
from raypipe.etl.wording import counted, listed, shown


def names_of(schema: pa.Schema) -> list[str]:
    """The columns that a user knows."""
    return [name for name in schema.names if name != ROW]


class ColumnsExist(SchemaRule):
    """The columns are there; others may be, too."""

    GROUP = "schema"
    EACH = False
    rule: Literal["columns_exist"] = "columns_exist"

    @property
    def wanted(self) -> str:
        return f"the columns {listed(self.columns)}"

    def fault(self, schema: pa.Schema) -> str | None:
        have = names_of(schema)
        missing = [name for name in self.columns if name not in have]
        return missing_column(missing[0], have) if missing else None


class ColumnsExactly(SchemaRule):
    """These columns are there, in any order, and no others."""

    GROUP = "schema"
    EACH = False
    rule: Literal["columns_exactly"] = "columns_exactly"

    @property
    def wanted(self) -> str:
        return f"exactly the columns {listed(self.columns)}"

    def fault(self, schema: pa.Schema) -> str | None:
        have = names_of(schema)
        missing = [name for name in self.columns if name not in have]
        more = [name for name in have if name not in self.columns]
        told = ([f"{listed(missing)} missing"] if missing else []) + ([f"{listed(more)} too many"] if more else [])
        return " and ".join(told) or None


class ColumnsOrdered(SchemaRule):
    """The columns come in this order; others may stand between them."""

    GROUP = "schema"
    EACH = False
    LEAST = 2
    rule: Literal["columns_ordered"] = "columns_ordered"

    @property
    def wanted(self) -> str:
        return f"the columns {listed(self.columns)} in this order"

    def fault(self, schema: pa.Schema) -> str | None:
        have = names_of(schema)
        missing = [name for name in self.columns if name not in have]
        if missing:
            return missing_column(missing[0], have)
        order = tuple(name for name in have if name in self.columns)
        return None if order == self.columns else f"the order is {listed(order)}"


class NoExtraColumns(SchemaRule):
    """No column is there but these; some may be missing."""

    GROUP = "schema"
    EACH = False
    rule: Literal["no_extra_columns"] = "no_extra_columns"

    @property
    def wanted(self) -> str:
        return f"no column but {listed(self.columns)}"

    def fault(self, schema: pa.Schema) -> str | None:
        more = [name for name in names_of(schema) if name not in self.columns]
        if not more:
            return None
        close = difflib.get_close_matches(more[0], self.columns, n=1)
        return f"there is {listed(more)}" + (f"; the nearest allowed is {close[0]!r}" if close else "")


class ColumnNamesMatch(SchemaRule):
    """The name of every column matches a pattern as a whole."""

    GROUP = "schema"
    EACH = False
    LEAST = 0
    rule: Literal["column_names_match"] = "column_names_match"
    pattern: Pattern

    @property
    def wanted(self) -> str:
        return f"names that match {shown(self.pattern)}"

    def fault(self, schema: pa.Schema) -> str | None:
        have = [name for name in names_of(schema) if not self.columns or name in self.columns]
        names = pl.Series(have, dtype=pl.String)
        wrong = names.filter(~names.str.contains(whole_match(self.pattern))).to_list()
        return f"{listed(wrong)} {'does' if len(wrong) == 1 else 'do'} not match" if wrong else None


class ColumnCount(SchemaRule):
    """The number of columns lies between bounds."""

    GROUP = "schema"
    EACH = False
    LEAST = 0
    rule: Literal["column_count"] = "column_count"
    min: NonNegativeInt = 0
    max: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    @property
    def wanted(self) -> str:
        return f"at least {self.min}" + (f" and at most {self.max}" if self.max is not None else "") + " columns"

    def fault(self, schema: pa.Schema) -> str | None:
        have = len(names_of(schema))
        right = self.min <= have and (self.max is None or have <= self.max)
        return None if right else f"the table has {counted(have, 'column')}"


class DtypeIs(SchemaRule):
    """The column is of a type, or of one that fits into it without loss."""

    GROUP = "schema"
    rule: Literal["dtype_is"] = "dtype_is"
    dtype: str
    """One of the types of a schema file, e.g. integer, number, text, date."""

    @field_validator("dtype")
    @classmethod
    def _known(cls, value: str) -> str:
        return canonical_dtype(value)

    @property
    def wanted(self) -> str:
        return f"the type {self.dtype}"

    def fault(self, schema: pa.Schema) -> str | None:
        return _wrong_type(schema, self.columns[0], (self.dtype,))


class DtypeIn(SchemaRule):
    """The column is of one of several types, or fits into one without loss."""

    GROUP = "schema"
    rule: Literal["dtype_in"] = "dtype_in"
    dtypes: tuple[str, ...] = Field(min_length=1)

    @field_validator("dtypes")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(canonical_dtype(name) for name in value)

    @property
    def wanted(self) -> str:
        return f"one of the types {', '.join(self.dtypes)}"

    def fault(self, schema: pa.Schema) -> str | None:
        return _wrong_type(schema, self.columns[0], self.dtypes)


def _wrong_type(schema: pa.Schema, name: str, wanted: tuple[str, ...]) -> str | None:
    have = names_of(schema)
    if name not in have:
        return missing_column(name, have)
    kind = schema.field(name).type
    return None if any(satisfies(kind, dtype) for dtype in wanted) else f"holds {dtype_of(kind) or kind}"


RULES = (
    ColumnsExist,
    ColumnsExactly,
    ColumnsOrdered,
    NoExtraColumns,
    ColumnNamesMatch,
    ColumnCount,
    DtypeIs,
    DtypeIn,
)
