"""Rows on their way into a view: typed as it says, those that cannot be kept set aside with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.asof import has_zone, is_time
from raypipe.blocks.frames import from_polars, to_polars
from raypipe.engine.localframe import as_frame
from raypipe.errors import MissingColumnsError, SchemaError
from raypipe.ml.specs.views import FeatureType, FeatureView

ARROW: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
"""Type of a feature -> the one of its column in the Delta table."""
REASON = "reason"
"""Column of rows set aside."""


@dataclass(frozen=True)
class Sorted:
    """Rows for a view, those that it takes and those that it does not."""

    kept: pa.Table
    """One row for each key."""
    superseded: int
    """Rows before a later one of the same key."""
    aside: pa.Table
    """With the column `reason`."""
    reasons: Mapping[str, int] = field(default_factory=dict)


def arrow_of(value: Any, who: str) -> pa.Table:
    """A user's table in Arrow; SchemaError where it is none."""
    try:
        return as_frame(value).to_arrow()
    except SchemaError as error:
        raise SchemaError(f"{who}: {error}") from error


def kind_of(kind: pa.DataType) -> FeatureType | None:
    """The feature type that holds values of an Arrow type; None: there is none."""
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int64"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float64"
    if pa.types.is_timestamp(kind):
        return "timestamp" if has_zone(kind) else "timestamp_ntz"
    if pa.types.is_date(kind):
        return "date"
    return "string" if _is_text(kind) else None


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def table_schema(view: FeatureView, given: pa.Schema) -> pa.Schema:
    """Schema of the Delta table of a view whose first rows have the schema `given`."""
    fields = []
    for name in view.entities:
        kind = kind_of(given.field(name).type)
        if kind not in ("int64", "string"):
            raise SchemaError(
                f"view {view.name!r}: entity {name!r} is {given.field(name).type}; wanted whole numbers or text, which"
                " are equal or not: cast it"
            )
        fields.append(pa.field(name, ARROW[kind]))
    for name in view.times:
        kind = given.field(name).type
        if not is_time(kind):
            raise SchemaError(f"view {view.name!r}: {name!r} is {kind}; wanted a date or a timestamp: parse it first")
        fields.append(pa.field(name, ARROW["timestamp" if has_zone(kind) else "timestamp_ntz"]))
    if len({has_zone(field.type) for field in fields[len(view.entities) :]}) > 1:
        raise SchemaError(
            f"view {view.name!r}: one of {' and '.join(view.times)} has a time zone and the other none; give both one"
        )
    return pa.schema([*fields, *(pa.field(name, ARROW[kind]) for name, kind in view.features.items())])


def typed(view: FeatureView, table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """The rows in the types of the view's table.

    Raises
    ------
    SchemaError
        If a column has a type that does not fit, or a value that has no place in it.
    """
    made = [_cast(view, table[field.name], field) for field in wanted]
    return pa.table(made, schema=wanted)


def _cast(view: FeatureView, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    who, kind = f"view {view.name!r}: column {field.name!r}", column.type
    wanted = kind_of(field.type)
    got = wanted if pa.types.is_null(kind) else kind_of(kind)
    if is_time(field.type) and is_time(kind) and not pa.types.is_date(field.type):
        if has_zone(field.type) != has_zone(kind):
            has, hint = ("a", "give it one") if has_zone(field.type) else ("no", "take it off")
            raise SchemaError(f"{who} is {kind}, and the view keeps times with {has} time zone; {hint}")
        got = wanted
    numbers = {"int64", "float64"}
    if got != wanted and not {got, wanted} <= numbers:
        raise SchemaError(f"{who} is {kind}; the view keeps {wanted}: cast it, or correct the definition of the view")
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{who} is {kind}, with a value that does not fit into {field.type}: {error}") from error


def check_columns(view: FeatureView, given: pa.Schema) -> None:
    """Raise unless just the columns of the view are there."""
    missing = [name for name in view.columns if name not in given.names]
    if missing:
        raise MissingColumnsError(f"ingest into view {view.name!r}", missing, given.names)
    more = [name for name in given.names if name not in view.columns]
    if more:
        raise SchemaError(
            f"ingest into view {view.name!r}: {more[0]!r} is no column of it. Leave it out, or let the view grow:"
            " evolve=True (--evolve)"
        )


def grown(view: FeatureView, given: pa.Schema) -> FeatureView:
    """The view with each column that it does not have yet as a feature."""
    more: dict[str, FeatureType] = {}
    for column in given:
        if column.name in view.columns:
            continue
        kind = kind_of(column.type)
        if kind is None:
            raise SchemaError(
                f"view {view.name!r}: column {column.name!r} is {column.type}, which is no type of a feature"
            )
        more[column.name] = kind
    return FeatureView.from_dict({**view.to_dict(), "features": {**view.features, **more}}) if more else view


def sort_out(view: FeatureView, rows: pa.Table) -> Sorted:
    """Part rows that the view takes from those that it does not; of equal keys the last row stays."""
    frame = to_polars(rows)
    failing = [pl.when(pl.col(name).is_null()).then(pl.lit(f"no {name}")) for name in view.key]
    failing += [
        pl.when(~pl.sql_expr(text)).then(pl.lit(f"constraint {name}: {text}"))
        for name, text in view.constraints.items()
    ]
    reason = frame.select(pl.coalesce(*failing).alias("it")).to_series()
    good = frame.filter(reason.is_null())
    kept = good.unique(subset=list(view.key), keep="last", maintain_order=True)
    aside = from_polars(frame.filter(reason.is_not_null()))
    told = reason.drop_nulls()
    return Sorted(
        kept=from_polars(kept).cast(rows.schema),
        superseded=good.height - kept.height,
        aside=aside.append_column(REASON, told.to_arrow()),
        reasons=dict(sorted(told.value_counts().iter_rows())),
    )
