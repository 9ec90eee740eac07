"""For each row the newest row of another table that was known at its time, whatever the cut of either.

Columns are looked at under names of our own, and times as microseconds since 1970: what a user calls a column, and in
which unit a library keeps its times, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import data_columns, from_polars, to_polars
from raypipe.blocks.joins import POSITIONS, common_type
from raypipe.blocks.order import check_keys, comparable, polars_types
from raypipe.errors import MissingColumnsError, SchemaError

_UNIT_US = {"ms": 1_000, "us": 1}
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class AsOfSpec:
    """A join as of a time that has been checked against both schemas."""

    left: pa.Schema
    right: pa.Schema
    keys: tuple[str, ...]
    time: str
    """Column of the left rows that says what they may know."""
    event: str
    """Column of the right rows: when what they tell happened."""
    known: str | None
    """Column of the right rows: when it was known; None: as it happened."""
    ttl_us: int | None
    """Microseconds after the event in which a row is used; None: for ever."""
    taken: tuple[tuple[str, str], ...]
    """Columns that the right rows bring, each with its name in the result."""
    kinds: tuple[pl.DataType, ...]
    """Type in which each key is compared."""

    @property
    def sides(self) -> tuple[pa.Schema, pa.Schema]:
        """Left and right."""
        return self.left, self.right

    @property
    def nothing(self) -> pa.Table:
        """No rows of `as_of_rows`."""
        left, right = (ready(self, side, self.sides[side].empty_table(), 0) for side in (0, 1))
        return as_of_rows(self, left, right)

    @property
    def output_schema(self) -> pa.Schema:
        """Schema of the result."""
        return self.finished(self.nothing).schema

    def finished(self, rows: pa.Table) -> pa.Table:
        """Rows of `as_of_rows` under the names of the result."""
        names = [*self.left.names, *(name for _, name in self.taken)]
        return rows.drop_columns(list(POSITIONS)).rename_columns(names)


@dataclass(frozen=True)
class Times:
    """Columns of times that an as-of join looks at, and how long a row is used."""

    time: str
    event: str
    known: str | None = None
    ttl_us: int | None = None


def plan_as_of(
    left: pa.Schema,
    right: pa.Schema,
    keys: Sequence[str],
    times: Times,
    taken: Mapping[str, str],
    by: str = "as-of join",
) -> AsOfSpec:
    """Check a join as of a time.

    Raises
    ------
    MissingColumnsError
        If a side lacks a key or a time.
    SchemaError
        If keys differ in type, a time is none, one side has zones and the other none, or a name would be there twice.
    """
    check_keys(left, keys, by=f"{by}, entity rows")
    check_keys(right, keys, by=f"{by}, features")
    ours, theirs = polars_types(left), polars_types(right)
    kinds = []
    for name in keys:
        kind = common_type(ours[name], theirs[name])
        if kind is None:
            a, b = left.field(name).type, right.field(name).type
            raise SchemaError(f"{by}: key {name!r} is {a} in the entity rows and {b} in the features; cast one first")
        kinds.append(kind)
    _require(left, [times.time], f"{by}, entity rows")
    later = [name for name in (times.event, times.known) if name is not None]
    _require(right, [*later, *taken], f"{by}, features")
    for name in later:
        check_zones(left.field(times.time), right.field(name), by)
    names = [*left.names, *taken.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(f"{by}: the result would have the column {twice[0]!r} twice; ask for full feature names")
    pairs = tuple(taken.items())
    return AsOfSpec(left, right, tuple(keys), times.time, times.event, times.known, times.ttl_us, pairs, tuple(kinds))


def check_zones(ours: pa.Field, theirs: pa.Field, by: str) -> None:
    """Raise SchemaError unless both are times, and both of them have zones or none has."""
    for field in (ours, theirs):
        if not is_time(field.type):
            raise SchemaError(
                f"{by}: column {field.name!r} is {field.type}; wanted a date or a timestamp: parse it first"
            )
    if has_zone(ours.type) != has_zone(theirs.type):
        zoned, plain = (ours, theirs) if has_zone(ours.type) else (theirs, ours)
        raise SchemaError(
            f"{by}: {zoned.name!r} has a time zone ({zoned.type}) and {plain.name!r} has none ({plain.type}), so that"
            f" nobody can say which is earlier; give {plain.name!r} its zone, such as"
            f" .dt.replace_time_zone('UTC') in Polars or .dt.tz_localize('UTC') in pandas"
        )


def is_time(kind: pa.DataType) -> bool:
    """Whether it is a date or a timestamp."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def has_zone(kind: pa.DataType) -> bool:
    """Whether times of this type are the same moment everywhere."""
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None)


def _require(schema: pa.Schema, names: Sequence[str], by: str) -> None:
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise MissingColumnsError(by, missing, schema.names)


def microseconds(column: pl.Series) -> pl.Series:
    """Times as int64 microseconds since 1970, the rest of a nanosecond time cut off towards the past."""
    number = column.to_physical().cast(pl.Int64)
    if column.dtype == pl.Date:
        return number * _DAY_US
    unit = column.dtype.time_unit  # type: ignore[attr-defined]  # a Datetime, as `is_time` says
    return number // 1_000 if unit == "ns" else number * _UNIT_US[unit]


def ready(spec: AsOfSpec, side: int, table: pa.Table, first: int) -> pl.DataFrame:
    """One side ready for `as_of_rows`; its rows are numbered from `first`.

    Left rows are all there: columns c0, c1, …, keys k0, k1, …, time t, number p. Of the right ones those without a key
    or a time are left out, since nothing can find them: k0, k1, …, event e, from when it is used a, known w, number q,
    and f0, f1, … that they bring.
    """
    rows = to_polars(table.select(data_columns(table)))
    numbers = pl.int_range(first, first + rows.height, dtype=pl.Int64, eager=True)
    keys = [
        comparable(_column(rows, name).cast(kind)).alias(f"k{n}")
        for n, (name, kind) in enumerate(zip(spec.keys, spec.kinds, strict=True))
    ]
    if side == 0:
        given = [_column(rows, name).alias(f"c{n}") for n, name in enumerate(spec.left.names)]
        return pl.DataFrame([*given, *keys, microseconds(_column(rows, spec.time)).alias("t"), numbers.alias("p")])
    event = microseconds(_column(rows, spec.event))
    known = event if spec.known is None else microseconds(_column(rows, spec.known))
    brought = [_column(rows, name).alias(f"f{n}") for n, (name, _) in enumerate(spec.taken)]
    made = pl.DataFrame([*keys, event.alias("e"), known.alias("w"), numbers.alias("q"), *brought])
    made = made.filter(pl.all_horizontal(pl.col([*(key.name for key in keys), "e", "w"]).is_not_null()))
    return made.with_columns(pl.max_horizontal("e", "w").alias("a"))


def _column(rows: pl.DataFrame, name: str) -> pl.Series:
    return rows.to_series(rows.get_column_index(name))


def as_of_rows(spec: AsOfSpec, left: pl.DataFrame, right: pl.DataFrame) -> pa.Table:
    """The left rows of `ready` in their order, each with the newest right row that it may know, or with nulls.

    May know: event and known-at time are not after its time. Newest: the latest event; of equal ones the latest known,
    of those the last one. A newest row that is older than the ttl is none.
    """
    keys = [f"k{n}" for n in range(len(spec.keys))]
    ranked = right.sort("e", "w", "q").with_row_index("rank")
    # A row that comes late may tell of an older event than one that is known already, so that the best is carried on.
    best = (
        ranked.group_by(*keys, "a")
        .agg(pl.col("rank").max(), pl.col("e").max())
        .sort("a")
        .with_columns(pl.col("rank").cum_max().over(keys), pl.col("e").cum_max().over(keys))
    )
    asking = left.select(*keys, "t", "p").drop_nulls().sort("t", "p")
    found = asking.join_asof(best, left_on="t", right_on="a", by=keys, strategy="backward", check_sortedness=False)
    found = found.filter(pl.col("rank").is_not_null())
    if spec.ttl_us is not None:
        found = found.filter(pl.col("t") - pl.col("e") <= spec.ttl_us)
    columns = [f"c{n}" for n in range(len(spec.left.names))]
    brought = [f"f{n}" for n in range(len(spec.taken))]
    rows = left.select(*columns, "p").join(found.select("p", "rank"), on="p", how="left", maintain_order="left")
    rows = rows.join(ranked.select("rank", *brought), on="rank", how="left", maintain_order="left")
    return from_polars(rows.select(*columns, *brought, "p", pl.lit(None, pl.Int64).alias("q")))
