"""What every conversion gives: the converted schema, and what the other form has no words for.

Each form carries the original beside its own words, where it has room for remarks (`x-raypipe`). On the way back that
original is taken only while it still says what the other form says, so that a schema that was edited there wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.wording import shown

T = TypeVar("T")

REMARK = "x-raypipe"
"""Key of the original in forms that allow keys of one's own."""
MEANING = ("semantic", "unit", "pii")
"""Fields that no other form has words for, and that stay true when the rest was edited."""


@dataclass(frozen=True)
class Converted(Generic[T]):
    """A converted schema."""

    value: T
    unmapped: tuple[str, ...] = ()
    """What the target does not check or cannot say, one sentence each; nothing else was left out."""


def column_remark(column: ColumnSchema) -> dict[str, Any]:
    """The original of a column, as plain values."""
    return column.model_dump(mode="json", exclude_defaults=True)


def schema_remark(schema: DataSchema) -> dict[str, Any]:
    """All of a schema but its columns, as plain values."""
    return schema.model_dump(mode="json", exclude={"columns"}, exclude_defaults=True)


def restored(
    remark: Any, name: str, still_so: Callable[[ColumnSchema], bool], read: Callable[[], dict[str, Any]]
) -> ColumnSchema:
    """A column: the original if the other form still says the same, else what is read from that form.

    Parameters
    ----------
    remark : mapping or None
        From `column_remark`.
    name : str
        Of the column in the other form.
    still_so : callable
        Whether the other form of this column is what stands there.
    read : callable
        Fields of the column by the other form alone.
    """
    kept: dict[str, Any] = dict(remark) if isinstance(remark, Mapping) else {}
    try:
        column = ColumnSchema(**kept) if kept else None
    except (ValidationError, TypeError):
        column = None  # a remark that somebody edited is no original any more
    if column is not None and column.name == name and still_so(column):
        return column
    meaning = {field: getattr(column, field) for field in MEANING} if column is not None else {}
    return ColumnSchema(**{**meaning, **read()})


def schema_of(
    remark: Any,
    columns: list[ColumnSchema],
    name: str,
    description: str = "",
    primary_key: tuple[str, ...] | None = None,
) -> DataSchema:
    """A schema of these columns; `remark` from `schema_remark` gives the rest."""
    kept = dict(remark) if isinstance(remark, Mapping) else {}
    kept |= {"name": name, "description": description}
    known = {column.name for column in columns}
    key = tuple(kept.get("primary_key", ())) if primary_key is None else primary_key
    return DataSchema(**{**kept, "primary_key": key if set(key) <= known else (), "columns": tuple(columns)})


def about(column: ColumnSchema, text: str) -> str:
    """A sentence about a column."""
    return f"column {shown(column.name)}: {text}"


def table_notes(schema: DataSchema, *, keys: bool) -> list[str]:
    """What a form without foreign keys, indexes and constraints, and maybe without keys, cannot say."""
    notes = []
    if keys and schema.primary_key:
        notes.append(f"primary key {', '.join(map(shown, schema.primary_key))}: rows are not compared with each other")
    stored = [field for field in ("foreign_keys", "indexes", "constraints") if getattr(schema, field) is not None]
    return notes + [f"{field}: kept as a remark, not checked" for field in stored]
