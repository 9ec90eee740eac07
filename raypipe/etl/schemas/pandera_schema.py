"""Schemas to and from pandera, for its Polars backend."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from raypipe.errors import ConfigError, MissingDependencyError
from raypipe.etl.rules.dtypes import INTEGERS
from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.schemas.conversion import (
    REMARK,
    Converted,
    about,
    column_remark,
    restored,
    schema_of,
    schema_remark,
    table_notes,
)

_TYPES: dict[str | None, str | None] = {
    **{name: name.replace("uint", "UInt").replace("int", "Int") for name in INTEGERS},
    "integer": "Int64",
    "float32": "Float32",
    "float64": "Float64",
    "number": "Float64",
    "decimal": "Decimal(38, 9)",
    "boolean": "Boolean",
    "text": "String",
    "category": "Categorical()",
    "date": "Date",
    "datetime": "Datetime('us')",
    "time": "Time",
    "duration": "Duration('us')",
    "binary": "Binary",
    None: None,
}
"""dtype -> the same in Polars, as it is written after `pl.`."""
_READ: dict[Any, str] = {
    pl.Boolean: "boolean", pl.String: "text", pl.Date: "date", pl.Time: "time", pl.Duration: "duration",
    pl.Datetime: "datetime", pl.Binary: "binary", pl.Decimal: "decimal", pl.Categorical: "category",
    pl.Enum: "category", pl.Float32: "float32", pl.Float64: "float64",
}  # fmt: skip
_CHECKS = {
    "greater_than_or_equal_to": ("min_value", "min_value"),
    "less_than_or_equal_to": ("max_value", "max_value"),
    "isin": ("allowed_values", "allowed_values"),
    "str_matches": ("regex_pattern", "pattern"),
}
"""Name of a check -> field of a column, and the name of its argument."""


def to_pandera(schema: DataSchema) -> Converted[Any]:
    """A `pandera.polars.DataFrameSchema` that checks the same.

    Raises
    ------
    MissingDependencyError
        If pandera is not installed.
    """
    pandera = _pandera("to_pandera")
    columns = {}
    for column in schema.columns:
        columns[column.name] = pandera.Column(
            _dtype(column),
            [getattr(pandera.Check, name)(value) for name, value in _checks(column)],
            nullable=column.nullable and column.name not in schema.primary_key,
            unique=column.unique,
            required=column.required,
            description=column.description or None,
            metadata={REMARK: column_remark(column)},
        )
    made = pandera.DataFrameSchema(
        columns,
        name=schema.name,
        description=schema.description or None,
        unique=list(schema.primary_key) or None,
        metadata={REMARK: schema_remark(schema)},
    )
    return Converted(made, tuple(_unchecked(schema)))


def from_pandera(frame_schema: Any) -> Converted[DataSchema]:
    """A schema from a pandera `DataFrameSchema` for Polars; checks without a counterpart are listed."""
    _pandera("from_pandera")
    remark = (frame_schema.metadata or {}).get(REMARK)
    key = tuple(frame_schema.unique or ())
    notes = [f"check {check.name or check!r} of the whole table: not taken over" for check in frame_schema.checks]
    columns = [_column(name, column, name in key, notes) for name, column in frame_schema.columns.items()]
    if not columns:
        raise ConfigError("pandera schema: it names no column; a schema wants at least one")
    given = frame_schema.name or "table"
    return Converted(schema_of(remark, columns, given, frame_schema.description or "", key), tuple(notes))


def pandera_source(schema: DataSchema) -> Converted[str]:
    """The same schema as Python source, a module of its own; pandera need not be there to write it."""
    lines = []
    for column in schema.columns:
        checks = ", ".join(f"pa.Check.{_SHORT[name]}({_literal(value)})" for name, value in _full_checks(column))
        dtype = f"pl.{_TYPES[column.dtype]}" if column.dtype else "None"
        nullable = column.nullable and column.name not in schema.primary_key
        words = [dtype, f"[{checks}]", f"nullable={nullable}", f"unique={column.unique}", f"required={column.required}"]
        if column.description:
            words.append(f"description={column.description!r}")
        lines.append(f"        {column.name!r}: pa.Column({', '.join(words)}),\n")
    unique = f"    unique={list(schema.primary_key)!r},\n" if schema.primary_key else ""
    text = (
        "import datetime as dt\n\nimport pandera.polars as pa\nimport polars as pl\n\n"
        f"schema = pa.DataFrameSchema(\n    {{\n{''.join(lines)}    }},\n    name={schema.name!r},\n{unique})\n"
    )
    return Converted(text, tuple(_unchecked(schema)))


_SHORT = {"greater_than_or_equal_to": "ge", "less_than_or_equal_to": "le", "isin": "isin", "str_matches": "str_matches"}


def _pandera(who: str) -> Any:
    try:
        import pandera.polars
    except ImportError:
        raise MissingDependencyError(f"{who} needs pandera: pip install 'pandera[polars]'") from None
    return pandera.polars


def _dtype(column: ColumnSchema) -> Any:
    spelled = _TYPES[column.dtype]
    if spelled is None:
        return None
    known = {
        "Decimal(38, 9)": pl.Decimal(38, 9),
        "Datetime('us')": pl.Datetime("us"),
        "Duration('us')": pl.Duration("us"),
    }
    return known.get(spelled) or getattr(pl, spelled.removesuffix("()"))


def _full_checks(column: ColumnSchema) -> Iterator[tuple[str, Any]]:
    """Name of each check of a column, and its argument."""
    for name, (field, _) in _CHECKS.items():
        value = getattr(column, field)
        if value is None:
            continue
        if name == "str_matches":
            if _python_reads(value):
                yield name, f"^(?:{value})$"
        elif name == "isin":
            yield name, list(value)
        elif column.dtype is not None:
            yield name, _bound(column.dtype, value)


def _checks(column: ColumnSchema) -> Iterator[tuple[str, Any]]:
    return ((_SHORT[name], value) for name, value in _full_checks(column))


def _python_reads(pattern: str) -> bool:
    """Whether Python, which pandera asks, reads a pattern of Rust's regex."""
    try:
        re.compile(f"^(?:{pattern})$")
    except re.error:
        return False
    return True


def _bound(dtype: str, value: Any) -> Any:
    if dtype == "date":
        return dt.date.fromisoformat(str(value)[:10])
    return dt.datetime.fromisoformat(str(value)) if dtype == "datetime" else value


def _literal(value: Any) -> str:
    return repr(value).replace("datetime.", "dt.", 1) if isinstance(value, dt.date) else repr(value)


def _column(name: str, found: Any, in_key: bool, notes: list[str]) -> ColumnSchema:
    def still_so(column: ColumnSchema) -> bool:
        alone = DataSchema(name="row", columns=(column,), primary_key=(name,) if in_key else ())
        return _shape(to_pandera(alone).value.columns[name]) == _shape(found)

    def read() -> dict[str, Any]:
        dtype = _read_dtype(found, notes)
        fields: dict[str, Any] = {
            "name": name, "dtype": dtype, "required": found.required, "unique": found.unique,
            "nullable": found.nullable or in_key, "description": found.description or "",
        }  # fmt: skip
        for check in found.checks:
            fields |= _read_check(name, check, notes)
        return fields

    return restored((found.metadata or {}).get(REMARK), name, still_so, read)


def _read_dtype(found: Any, notes: list[str]) -> str | None:
    if found.dtype is None:
        return None
    kind = found.dtype.type
    base: Any = kind if isinstance(kind, type) else type(kind)
    dtype = base.__name__.lower() if base.is_integer() else _READ.get(base)
    if dtype is None:
        notes.append(f"column {found.name!r}: dtype {found.dtype} has no name in a schema; any type will do")
    return dtype


def _read_check(name: str, check: Any, notes: list[str]) -> dict[str, Any]:
    """The field that a check stands for; none if there is no such field."""
    known = _CHECKS.get(check.name)
    if known is None:
        notes.append(f"column {name!r}: check {check.name or check!r} not taken over")
        return {}
    field, argument = known
    value = check.statistics[argument]
    if field != "regex_pattern":
        return {field: tuple(value) if field == "allowed_values" else value}
    text = getattr(value, "pattern", value)
    inner = text.removeprefix("^(?:").removesuffix(")$")
    return {field: inner if text == f"^(?:{inner})$" else f"(?:{text})(?s:.*)"}


def _shape(column: Any) -> tuple[Any, ...]:
    checks = [(check.name, repr(check.statistics)) for check in column.checks]
    return repr(column.dtype), checks, column.nullable, column.unique, column.required, column.description


def _unchecked(schema: DataSchema) -> list[str]:
    notes = table_notes(schema, keys=False)
    for column in schema.columns:
        bounds = column.min_value is not None or column.max_value is not None
        if column.dtype is None and bounds:
            notes.append(about(column, "bounds without a dtype: pandera is not told of them"))
        if column.dtype in ("integer", "number", "decimal"):
            notes.append(about(column, f"{column.dtype} takes several types; pandera wants {_TYPES[column.dtype]}"))
        if column.regex_pattern is not None and not _python_reads(column.regex_pattern):
            notes.append(about(column, "regex_pattern: Python, which pandera asks, does not read it"))
        if column.unique and column.nullable:
            notes.append(about(column, "unique: pandera counts nulls as values, too"))
    return notes
