"""Rows summed up by group: summaries of single blocks that merge, so that few rows have to travel.

Whole numbers and decimals are summed exactly, and a sum that has no place in its type is an error, where Polars would
wrap it around. Nulls are left out of every number; where no value is left, the answer is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars, no_rows, to_polars
from raypipe.blocks.order import Order, ascending, check_keys, comparable, keys_of, polars_types
from raypipe.errors import ConfigError, MissingColumnsError, SchemaError

Wanted = str | tuple[str, str] | tuple[str, str, float]
"""`"rows"`, (column, function), or (column, "quantile", share)."""

_NUMBERS = ("mean", "std", "var", "median", "quantile", "sum")
FUNCTIONS = ("count", "n_unique", "min", "max", "first", "last", *_NUMBERS)
_DECIMAL_DIGITS = 38


@dataclass(frozen=True)
class Aggregate:
    """One column of the result."""

    name: str
    function: str
    """`rows`, or one of `FUNCTIONS`."""
    column: str | None = None
    share: float = 0.5
    """Of a quantile, 0 to 1."""


@dataclass(frozen=True)
class GroupSpec:
    """A group-by that has been checked against the schema."""

    schema: pa.Schema
    keys: tuple[str, ...]
    aggregates: tuple[Aggregate, ...]

    @property
    def order(self) -> Order:
        """Of the groups: by their keys, nulls last."""
        return ascending(len(self.keys))

    @property
    def output_schema(self) -> pa.Schema:
        """Schema of the result."""
        nothing = no_rows(self.schema)
        return whole(self, [partial(self, nothing)]).schema


def plan_groups(schema: pa.Schema, keys: Sequence[str], wanted: Mapping[str, Wanted]) -> GroupSpec:
    """Check a group-by.

    Raises
    ------
    ConfigError
        If a function is none of those that there are.
    MissingColumnsError
        If a column is not there.
    SchemaError
        If a column has no type for its function, or two columns of the result would have one name.
    """
    check_keys(schema, keys, by="group_by")
    found = tuple(_aggregate(name, one) for name, one in wanted.items())
    if not found:
        raise ConfigError('group_by: agg() was asked for nothing; give e.g. agg(rows="rows", total=("price", "sum"))')
    twice = next((one.name for one in found if one.name in keys), None)
    if twice is not None:
        raise SchemaError(f"group_by: {twice!r} is the name of a key; give the column of the result another one")
    missing = [one.column for one in found if one.column is not None and one.column not in schema.names]
    if missing:
        raise MissingColumnsError("group_by", missing, schema.names)
    kinds = polars_types(schema)
    for one in found:
        if one.column is not None:
            _check_type(one, one.column, kinds[one.column])
    return GroupSpec(schema, tuple(keys), found)


def _aggregate(name: str, wanted: Wanted) -> Aggregate:
    if wanted == "rows":
        return Aggregate(name, "rows")
    if isinstance(wanted, tuple) and len(wanted) in (2, 3) and wanted[1] in FUNCTIONS:
        column, function = wanted[:2]
        shared = function == "quantile"
        if shared and len(wanted) == 3 and 0 <= wanted[2] <= 1:
            return Aggregate(name, function, column, wanted[2])
        if not shared and len(wanted) == 2:
            return Aggregate(name, function, column)
    raise ConfigError(
        f'group_by: got {name}={wanted!r}; wanted "rows", (column, function) with one of {", ".join(FUNCTIONS)}, '
        'or (column, "quantile", share) with a share from 0 to 1'
    )


def _check_type(one: Aggregate, column: str, kind: pl.DataType) -> None:
    number = kind.is_numeric() or kind in (pl.Boolean, pl.Null)
    if one.function in _NUMBERS and not number:
        raise SchemaError(f"group_by: {one.function} wants numbers, and column {column!r} is {kind}")
    if one.function in ("min", "max", "n_unique") and kind.is_nested():
        raise SchemaError(
            f"group_by: {one.function} wants values that can be compared, and column {column!r} is {kind}"
        )


# ---- the summary of one block ---------------------------------------------------------------------------------------


def partial(spec: GroupSpec, table: pa.Table) -> pa.Table:
    """The summary of a block: a row for each of its groups, in the order in which they first stand in it."""
    rows = to_polars(table)
    work = keys_of(rows, spec.keys)
    for number, one in enumerate(spec.aggregates):
        if one.column is not None:
            column = rows.to_series(rows.get_column_index(one.column))
            work = work.with_columns(_made_ready(one.function, column).alias(f"v{number}"))
    wanted = [part for number, one in enumerate(spec.aggregates) for part in _partials(one, number, work)]
    groups = work.group_by([f"k{number}" for number in range(len(spec.keys))], maintain_order=True)
    return from_polars(groups.agg(*wanted))


def _made_ready(function: str, column: pl.Series) -> pl.Series:
    if function in ("first", "last", "count"):
        return column
    column = comparable(column)
    if function in ("sum", "mean") and not column.dtype.is_float() and not column.dtype.is_decimal():
        return column.cast(pl.Int128)
    return column if function in ("sum", "min", "max", "n_unique") else column.cast(pl.Float64)


def _partials(one: Aggregate, number: int, work: pl.DataFrame) -> list[pl.Expr]:
    """What is kept of one block; columns `a<number>`, `b<number>`, `c<number>`."""
    if one.column is None:
        return [pl.len().cast(pl.Int64).alias(f"a{number}")]
    value, kind = pl.col(f"v{number}"), work.schema[f"v{number}"]
    count = value.count().cast(pl.Int64).alias(f"b{number}")
    match one.function:
        case "count":
            return [value.count().cast(pl.Int64).alias(f"a{number}")]
        case "sum" | "mean" if kind == pl.Int128:  # Arrow has no such type, so that it travels as text
            return [value.sum().cast(pl.String).alias(f"a{number}"), count]
        case "sum" if kind.is_decimal():
            size = value.cast(pl.Float64).abs().sum().alias(f"c{number}")
            return [value.sum().alias(f"a{number}"), count, size]
        case "sum":
            return [value.cast(pl.Float64).sum().alias(f"a{number}"), count]
        case "mean":
            return [value.mean().alias(f"a{number}"), count]
        case "std" | "var":
            return [value.mean().alias(f"a{number}"), count, (value.var(ddof=0) * value.count()).alias(f"c{number}")]
        case "n_unique":
            return [value.drop_nulls().unique(maintain_order=True).alias(f"a{number}")]
        case "median" | "quantile":
            return [value.drop_nulls().implode().alias(f"a{number}")]
    return [_plain(one.function, value).alias(f"a{number}")]


def _plain(function: str, value: pl.Expr) -> pl.Expr:
    """A summary that is merged the way it is made."""
    return {"min": value.min, "max": value.max, "first": value.first, "last": value.last}[function]()


# ---- the summaries of all blocks put together -----------------------------------------------------------------------


def whole(spec: GroupSpec, partials: Sequence[pa.Table]) -> pa.Table:
    """The result from the summaries of all blocks, in their order.

    Raises
    ------
    SchemaError
        If a sum does not fit into its type.
    """
    rows = pl.concat([to_polars(part) for part in partials])
    names = [f"k{number}" for number in range(len(spec.keys))]
    kinds = polars_types(spec.schema)
    sums = {
        number: kinds[one.column]
        for number, one in enumerate(spec.aggregates)
        if one.function == "sum" and one.column is not None
    }
    wanted = []
    for number, one in enumerate(spec.aggregates):
        exact = rows.schema[f"a{number}"] == pl.String
        wanted += _sum(number, sums[number]) if number in sums else [_whole(one, number, exact).alias(f"a{number}")]
    groups = rows.group_by(names, maintain_order=True).agg(*wanted)
    for number, kind in sums.items():
        groups = groups.with_columns(_checked_sum(groups, number, kind, spec.aggregates[number]))
    made = groups.select(*names, *(f"a{number}" for number in range(len(spec.aggregates))))
    made = made[spec.order.ranks(made.select(names))]
    made.columns = [*spec.keys, *(one.name for one in spec.aggregates)]
    return from_polars(made)


def _whole(one: Aggregate, number: int, exact: bool) -> pl.Expr:
    value, count = pl.col(f"a{number}"), pl.col(f"b{number}")
    mean = (value * count).sum() / count.sum()
    match one.function:
        case "rows" | "count":
            return value.sum()
        case "mean":
            if exact:  # the sum of whole numbers, as text
                mean = value.cast(pl.Int128).sum().cast(pl.Float64) / count.sum()
            return pl.when(count.sum() > 0).then(mean)
        case "std" | "var":
            square = pl.col(f"c{number}").sum() + ((value - mean) ** 2 * count).sum()  # Chan, Golub, LeVeque (1979)
            variance = pl.when(count.sum() > 1).then(square / (count.sum() - 1))
            return variance.sqrt() if one.function == "std" else variance
        case "n_unique":
            return value.explode().drop_nulls().n_unique().cast(pl.Int64)
        case "median" | "quantile":
            return value.explode().drop_nulls().quantile(one.share, "linear")
    return _plain(one.function, value)


def _sum(number: int, kind: pl.DataType) -> list[pl.Expr]:
    value = pl.col(f"a{number}")
    if kind.is_decimal():
        return [value.sum(), pl.col(f"b{number}").sum(), pl.col(f"c{number}").sum()]
    if not kind.is_float():
        value = value.cast(pl.Int128)
    return [value.sum(), pl.col(f"b{number}").sum()]


def _checked_sum(groups: pl.DataFrame, number: int, kind: pl.DataType, one: Aggregate) -> pl.Series:
    """The sums in the type in which they come out; null where there was no value."""
    sums = groups[f"a{number}"]
    fits = True
    if isinstance(kind, pl.Decimal):
        # Polars wraps around in silence; sums of the sizes, as floats, tell where it may have.
        fits = not (groups[f"c{number}"] >= 10.0 ** (_DECIMAL_DIGITS - kind.scale)).any()
        told = f"a decimal with {kind.scale} digits after the point"
    elif not kind.is_float():
        wide = pl.UInt64() if kind == pl.UInt64 else pl.Int64()
        made = sums.cast(wide, strict=False)
        fits, told = made.null_count() == sums.null_count(), str(wide)
        sums = made
    if not fits:
        raise SchemaError(f"group_by: the sum of {one.column!r} does not fit into {told}; make floats of it first")
    return sums.to_frame().select(pl.when(groups[f"b{number}"] > 0).then(pl.nth(0)).alias(sums.name)).to_series()
