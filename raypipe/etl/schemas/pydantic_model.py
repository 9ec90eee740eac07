"""Schemas to and from pydantic: a model of one row."""

from __future__ import annotations

import datetime as dt
import keyword
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from raypipe.etl.rules.dtypes import INTEGERS, integer_range
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
from raypipe.etl.schemas.json_schema import read_property, resolved

_TYPES: dict[str | None, Any] = {
    **dict.fromkeys((*INTEGERS, "integer"), int),
    **dict.fromkeys(("float32", "float64", "number"), float),
    "decimal": Decimal,
    "boolean": bool,
    "text": str,
    "category": str,
    "date": dt.date,
    "datetime": dt.datetime,
    "time": dt.time,
    "duration": dt.timedelta,
    "binary": bytes,
    None: Any,
}
_SPELLED = {
    Decimal: "Decimal",
    dt.date: "dt.date",
    dt.datetime: "dt.datetime",
    dt.time: "dt.time",
    dt.timedelta: "dt.timedelta",
}


def to_pydantic(schema: DataSchema) -> Converted[type[BaseModel]]:
    """A model of one row, whose fields check types, nulls, bounds, values and patterns.

    A column whose name cannot be a field of Python has a field of another name, and its own as alias.
    """
    fields: dict[str, Any] = {}
    for name, column in _named(schema):
        annotation, given = _annotation(column, column.name in schema.primary_key)
        extra: dict[str, Any] = {
            "json_schema_extra": {REMARK: column_remark(column)},
            "description": column.description or None,
        }
        alias = {} if name == column.name else {"alias": column.name}
        default: dict[str, Any] = {} if column.required else {"default": None}
        words: dict[str, Any] = {**default, **given, **alias, **extra}
        fields[name] = (annotation, Field(**words))
    config = ConfigDict(title=schema.name, json_schema_extra={REMARK: schema_remark(schema)}, protected_namespaces=())
    model: type[BaseModel] = create_model(
        _class_name(schema.name), __config__=config, __doc__=schema.description or None, **fields
    )
    return Converted(model, tuple(_unchecked(schema)))


def from_pydantic(model: type[BaseModel]) -> Converted[DataSchema]:
    """A schema from a model of one row; what has no counterpart is listed."""
    document = model.model_json_schema(by_alias=True)
    remark = document.get(REMARK)
    key = remark.get("primary_key", ()) if isinstance(remark, dict) else ()
    required = set(document.get("required", ()))
    notes: list[str] = []
    columns = []
    for name, found in document.get("properties", {}).items():
        plain = resolved(found, document)
        columns.append(_column(name, plain, name in required, name in key, notes))
    title = str(document.get("title", model.__name__))
    return Converted(schema_of(remark, columns, title, str(document.get("description", ""))), tuple(notes))


def pydantic_source(schema: DataSchema) -> Converted[str]:
    """The same model as Python source, a module of its own."""
    body = []
    for name, column in _named(schema):
        annotation, given = _annotation(column, column.name in schema.primary_key)
        words = [f"{key}={value!r}" for key, value in _given_as_text(given)]
        words = ([] if column.required else ["default=None"]) + words
        if name != column.name:
            words.append(f"alias={column.name!r}")
        if column.description:
            words.append(f"description={column.description!r}")
        body.append(f"    {name}: {_spelled(annotation)}" + (f" = Field({', '.join(words)})" if words else ""))
    doc = f"    {schema.description!r}\n\n" if schema.description else ""
    head = (
        "import datetime as dt\nfrom decimal import Decimal\nfrom typing import Any, Literal\n\n"
        "from pydantic import BaseModel, ConfigDict, Field\n\n\n"
    )
    config = f"    model_config = ConfigDict(title={schema.name!r}, protected_namespaces=())\n\n"
    text = f"{head}class {_class_name(schema.name)}(BaseModel):\n{doc}{config}" + "\n".join(body) + "\n"
    return Converted(text, tuple(_unchecked(schema)))


def _annotation(column: ColumnSchema, in_key: bool) -> tuple[Any, dict[str, Any]]:
    """Type of the field, and the limits that `Field` takes."""
    kind = Literal[column.allowed_values] if column.allowed_values is not None else _TYPES[column.dtype]
    given: dict[str, Any] = {}
    if column.allowed_values is None and column.dtype is not None:
        given = {key: _limit(column.dtype, value) for key, value in _bounds(column)}
        if column.regex_pattern is not None:
            given["pattern"] = rf"\A(?:{column.regex_pattern})\z"
    if kind is float:
        given["allow_inf_nan"] = column.min_value is None and column.max_value is None
    nullable = column.nullable and not in_key
    return (kind | None if nullable and kind is not Any else kind), given


def _bounds(column: ColumnSchema) -> Iterator[tuple[str, Any]]:
    low: Any = column.min_value
    high: Any = column.max_value
    if column.dtype in INTEGERS:
        least, most = integer_range(column.dtype)
        low = least if low is None else max(low, least)
        high = most if high is None else min(high, most)
    yield from ((key, value) for key, value in (("ge", low), ("le", high)) if value is not None)


def _limit(dtype: str, value: Any) -> Any:
    """A bound as a value of its field."""
    if dtype == "date":
        return dt.date.fromisoformat(str(value)[:10])
    if dtype == "datetime":
        return dt.datetime.fromisoformat(str(value))
    return Decimal(str(value)) if dtype == "decimal" else value


def _column(name: str, found: dict[str, Any], required: bool, in_key: bool, notes: list[str]) -> ColumnSchema:
    plain = {key: value for key, value in found.items() if key != REMARK}

    def still_so(column: ColumnSchema) -> bool:
        alone = DataSchema(name="row", columns=(column,), primary_key=(column.name,) if in_key else ())
        document = to_pydantic(alone).value.model_json_schema(by_alias=True)
        again = {key: value for key, value in document["properties"][name].items() if key != REMARK}
        return again == plain and column.required == required

    def read() -> dict[str, Any]:
        # pydantic gives every field a title, and a decimal a branch of text beside its branch of numbers.
        bare = {key: value for key, value in plain.items() if key not in ("title", "default")}
        return {"name": name, "required": required, **read_property(name, _without_decimal(bare), notes)}

    return restored(found.get(REMARK), name, still_so, read)


def _without_decimal(found: dict[str, Any]) -> dict[str, Any]:
    branches = found.get("anyOf", [])
    texts = [b for b in branches if b.get("type") == "string" and "pattern" in b]
    numbers = [b for b in branches if b.get("type") == "number"]
    if not (texts and numbers):
        return found
    return {**found, "anyOf": [branch for branch in branches if branch not in texts]}


def _named(schema: DataSchema) -> Iterator[tuple[str, ColumnSchema]]:
    """A name that Python and pydantic take for each column."""
    taken = {column.name for column in schema.columns}
    given: set[str] = set()
    for number, column in enumerate(schema.columns):
        name = column.name
        if not _is_field(name):
            name = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "column"
            name = name if name[0].isalpha() else f"column_{name}"
            while name in taken | given or not _is_field(name):
                name = f"{name}_{number}"
        given.add(name)
        yield name, column


def _is_field(name: str) -> bool:
    plain = name.isidentifier() and name.isascii() and not keyword.iskeyword(name)
    return plain and not name.startswith("_") and not hasattr(BaseModel, name)


def _class_name(name: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", name)
    made = "".join(word[0].upper() + word[1:] for word in words) or "Row"
    return made if made[0].isalpha() else f"Row{made}"


def _spelled(annotation: Any) -> str:
    if isinstance(annotation, type):
        return _SPELLED.get(annotation, annotation.__name__)
    text = str(annotation).replace("typing.", "").replace("datetime.", "dt.").replace("decimal.", "")
    return re.sub(r"Optional\[(.*)\]$", r"\1 | None", text)


def _given_as_text(given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        yield key, _Spelled(repr(value).replace("datetime.", "dt.", 1)) if isinstance(value, dt.date) else value


class _Spelled(str):
    """A text whose representation is itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _unchecked(schema: DataSchema) -> list[str]:
    notes = table_notes(schema, keys=True)
    for column in schema.columns:
        if column.unique:
            notes.append(about(column, "unique: rows are not compared with each other"))
        if column.dtype in ("float32",):
            notes.append(about(column, f"{column.dtype}: Python has one kind of float"))
        limits = (column.min_value, column.max_value, column.regex_pattern)
        if (column.dtype is None or column.allowed_values is not None) and any(x is not None for x in limits):
            notes.append(about(column, "bounds and pattern: not checked beside values, or without a dtype"))
        if not column.required and not column.nullable:
            notes.append(about(column, "not required: a row without it has None there"))
    return notes
