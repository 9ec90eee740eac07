"""Schemas in files of other forms, and the drift of a table from its schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from raypipe.errors import ConfigError
from raypipe.etl.rules.schema import DataSchema
from raypipe.etl.schemas import (
    Change,
    Converted,
    SchemaDiff,
    diff_schemas,
    from_arrow,
    from_json_schema,
    from_odcs,
    pandera_source,
    pydantic_source,
    to_arrow,
    to_json_schema,
    to_odcs,
)  # fmt: skip

FROM = ("raypipe", "jsonschema", "odcs", "pyarrow")
TO = ("raypipe", "jsonschema", "pydantic", "pandera", "odcs", "pyarrow")


def convert_file(path: Path, source: str, to: str) -> tuple[str | bytes, tuple[str, ...]]:
    """The converted schema as text (of pyarrow: as bytes of an IPC schema), and what was not mapped.

    Raises
    ------
    ConfigError
        If a form is unknown, or the file is none of the form named.
    """
    for option, word, known in (("--from", source, FROM), ("--to", to, TO)):
        if word not in known:
            raise ConfigError(f"schema convert: {option} {word} is no form; wanted one of: {', '.join(known)}")
    read = _read(path, source)
    text, notes = _written(read.value, to)
    return text, (*read.unmapped, *notes)


def drift(declared: DataSchema, found: DataSchema) -> SchemaDiff:
    """How a table differs from the schema it should keep.

    Limits that the table merely does not use (a range, a list of values) are no drift, nor are meanings that the schema
    does not name, nor keys that the table happens to have.
    """
    known = {column.name: column for column in declared.columns}
    columns = []
    for column in found.columns:
        wanted = known.get(column.name)
        if wanted is not None:
            kept = ("min_value", "max_value", "allowed_values", "regex_pattern", "required")
            fields: dict[str, Any] = {field: getattr(wanted, field) for field in kept}
            fields |= {
                field: getattr(wanted, field) for field in ("semantic", "unit", "pii") if not getattr(wanted, field)
            }
            fields["unique"] = column.unique if wanted.unique else False
            dtype = wanted.dtype if column.dtype is None else column.dtype
            column = column.model_copy(update={**fields, "dtype": dtype})
        columns.append(column)
    key = declared.primary_key if _keeps(declared.primary_key, found) else ()
    changes = diff_schemas(declared, found.model_copy(update={"columns": tuple(columns), "primary_key": key})).changes
    return SchemaDiff(changes=tuple(change for change in changes if _counts(change)))


def _keeps(key: tuple[str, ...], found: DataSchema) -> bool:
    unique = {column.name for column in found.columns if column.unique}
    return not key or bool(unique & set(key)) or (set(found.primary_key) <= set(key) and bool(found.primary_key))


def _counts(change: Change) -> bool:
    """A table that is narrower than its schema has not drifted."""
    return change.kind in ("added", "semantic", "unit", "pii") or change.breaks_readers


def _read(path: Path, form: str) -> Converted[DataSchema]:
    if form == "raypipe":
        return Converted(DataSchema.load(path))
    try:
        if form == "pyarrow":
            return from_arrow(_arrow_schema(path), path.stem)
        content = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML, too
    except OSError as error:
        raise ConfigError(f"schema file {path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise ConfigError(f"schema file {path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"schema file {path}: wanted a mapping, got {type(content).__name__}")
    return from_json_schema(content, path.stem) if form == "jsonschema" else from_odcs(content)


def _arrow_schema(path: Path) -> pa.Schema:
    if path.suffix.lower() in (".parquet", ".pq"):
        import pyarrow.parquet as pq

        return pq.read_schema(path)
    return pa.ipc.read_schema(pa.py_buffer(path.read_bytes()))


def _written(schema: DataSchema, form: str) -> tuple[str | bytes, tuple[str, ...]]:
    if form == "pyarrow":
        arrow = to_arrow(schema)
        return arrow.value.serialize().to_pybytes(), arrow.unmapped
    sources: dict[str, Callable[[DataSchema], Converted[str]]] = {
        "pydantic": pydantic_source,
        "pandera": pandera_source,
    }
    if form in sources:
        made = sources[form](schema)
        return made.value, made.unmapped
    if form == "jsonschema":
        document = to_json_schema(schema)
        return json.dumps(document.value, indent=2, ensure_ascii=False) + "\n", document.unmapped
    found = to_odcs(schema) if form == "odcs" else Converted(schema.model_dump(mode="json", exclude_defaults=True))
    return yaml.safe_dump(found.value, sort_keys=False, allow_unicode=True), found.unmapped
