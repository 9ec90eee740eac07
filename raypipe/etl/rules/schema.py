"""What a user declares about a table: columns, their types and limits, and the primary key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

import polars as pl
import pyarrow as pa
import pyarrow.types as pt
import yaml
from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.etl.rules.columns import column_outcomes
from raypipe.etl.rules.dtypes import NUMBERS, TEXTS, TIMES, canonical_dtype, dtype_of, is_text, satisfies
from raypipe.etl.rules.mistakes import mistakes, parse_text
from raypipe.etl.rules.values import Scalar, fit_bound, fit_value, plain_scalar, why_unfit
from raypipe.etl.wording import listed, shown
from raypipe.results import RuleOutcome


class ColumnSchema(Frozen):
    """One column: its type, and what its values must keep to. Null is held to `nullable` only."""

    name: str
    dtype: str | None = None
    """One of `raypipe.etl.rules.dtypes.DTYPES`, or a spelling of pandas; None takes any type."""
    required: bool = True
    """Whether a table without this column is at fault."""
    nullable: bool = True
    unique: bool = False
    """No value twice; nulls do not count."""
    min_value: Scalar | None = None
    """Smallest value allowed; NaN is never allowed where a bound stands. Dates as '2024-12-31'."""
    max_value: Scalar | None = None
    allowed_values: tuple[Scalar, ...] | None = None
    regex_pattern: str | None = None
    """The whole value must match. Syntax of Rust's regex: no look-around, no back-references, linear time."""
    semantic: str | None = None
    """What the values mean, in the words of `raypipe.etl.infer`: email, currency, identifier …; not checked."""
    unit: str | None = None
    """Unit of numbers, e.g. kg, EUR, %."""
    pii: tuple[str, ...] = ()
    """Kinds of personal data that it may hold: email, phone, person_name …"""
    description: str = ""

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, value: str | None) -> str | None:
        return None if value is None else canonical_dtype(value)

    @field_validator("min_value", "max_value", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        return plain_scalar(value)

    @field_validator("allowed_values", mode="before")
    @classmethod
    def _plain_values(cls, values: object) -> object:
        if isinstance(values, list | tuple | set | frozenset):
            return tuple(plain_scalar(value) for value in values)
        return values

    @field_validator("allowed_values")
    @classmethod
    def _some_values(cls, values: tuple[Scalar, ...] | None) -> tuple[Scalar, ...] | None:
        if values is not None and not values:
            raise ValueError("allowed_values is empty, so no value would be allowed; leave it out to allow all")
        return values

    @field_validator("regex_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                pl.Series([], dtype=pl.String).str.contains(whole_match(pattern))
            except pl.exceptions.ComputeError as error:
                reason = str(error).split("error: ")[-1].split("\n")[0]
                raise ValueError(f"regex_pattern {shown(pattern)} is no regular expression: {reason}") from None
        return pattern

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.dtype is not None and self.regex_pattern is not None and self.dtype not in TEXTS:
            raise ValueError(f"regex_pattern needs dtype text, and dtype is {self.dtype}")
        bounds = [value for value in (self.min_value, self.max_value) if value is not None]
        if bounds and self.dtype is not None and self.dtype not in NUMBERS | TIMES:
            raise ValueError(f"min_value and max_value need a dtype of numbers or times, and dtype is {self.dtype}")
        if any(isinstance(value, bool) for value in bounds):
            raise ValueError("min_value and max_value are numbers or times, not true or false")
        if len(bounds) == 2:
            _in_order(bounds[0], bounds[1])
        return self

    def misfits(self, kind: pa.DataType) -> tuple[tuple[str, str], ...]:
        """(rule, reason) for each rule that cannot hold on a column of this Arrow type; empty where all can."""
        if pt.is_null(kind):
            return ()
        found: list[tuple[str, str]] = []
        if self.dtype is not None and not satisfies(kind, self.dtype):
            found.append(("dtype", f"holds {dtype_of(kind) or kind}, wanted {self.dtype}"))
        for rule, value in (("min_value", self.min_value), ("max_value", self.max_value)):
            if value is not None and (reason := why_unfit(fit_bound, value, kind)):
                found.append((rule, reason))
        unfit = [reason for value in self.allowed_values or () if (reason := why_unfit(fit_value, value, kind))]
        if unfit:
            found.append(("allowed_values", unfit[0]))
        if self.regex_pattern is not None and not is_text(kind):
            found.append(("regex_pattern", f"holds {dtype_of(kind) or kind}, and a pattern needs text"))
        return tuple(found)


class DataSchema(Frozen):
    """A table: its columns and its key."""

    schema_format: Literal[1] = 1
    """Of the file; raised when a field changes its meaning or goes away."""
    name: str
    version: str = "1.0.0"
    description: str = ""
    columns: tuple[ColumnSchema, ...] = Field(min_length=1)
    primary_key: tuple[str, ...] = ()
    """Columns whose values together are never null and never occur twice."""
    foreign_keys: JsonValue = None
    """Kept for readers of the file; not checked, since other tables are out of sight."""
    indexes: JsonValue = None
    """Kept for readers of the file."""
    constraints: JsonValue = None
    """Kept for readers of the file."""

    @field_validator("primary_key", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else () if value is None else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise ValueError(f"columns: {listed(twice)} is declared twice")
        missing = [name for name in self.primary_key if name not in names]
        if missing:
            raise ValueError(f"primary_key: {listed(missing)} is no column of this schema")
        if len(set(self.primary_key)) < len(self.primary_key):
            raise ValueError("primary_key: a column is named twice")
        return self

    @classmethod
    def from_arrow(cls, schema: pa.Schema, name: str = "inferred") -> DataSchema:
        """A schema that every table with these Arrow columns fits, to start from."""
        return cls(name=name, columns=tuple(ColumnSchema(name=f.name, dtype=dtype_of(f.type)) for f in schema))

    @classmethod
    def load(cls, path: str | Path) -> DataSchema:
        """Read a schema from a YAML or JSON file.

        Raises
        ------
        ConfigError
            Naming the file, the column and the field at fault.
        """
        path = Path(path)
        if path.suffix.lower() not in (".yaml", ".yml", ".json"):
            raise ConfigError(f"schema file {path}: wanted a name that ends in .yaml, .yml or .json")
        try:
            raw = parse_text(path.read_text(encoding="utf-8"), path.suffix.lower())
        except OSError as error:
            raise ConfigError(f"schema file {path}: cannot be read: {error.strerror or error}") from None
        except (ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"schema file {path}: {' '.join(str(error).split())}") from None
        if not isinstance(raw, dict):
            raise ConfigError(f"schema file {path}: wanted the fields name and columns, got {shown(raw)}")
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            fields = {"": tuple(cls.model_fields), "columns": tuple(ColumnSchema.model_fields)}
            raise ConfigError(f"schema file {path}: {mistakes(error, raw, fields)}") from None

    def save(self, path: str | Path) -> None:
        """Write the schema as YAML or JSON, by the ending of the name; fields left at their default are left out."""
        path = Path(path)
        values = {"schema_format": self.schema_format, **self.model_dump(mode="json", exclude_defaults=True)}
        if path.suffix.lower() == ".json":
            text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        elif path.suffix.lower() in (".yaml", ".yml"):
            text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
            if yaml.safe_load(text) != values:  # U+0085 and its like are line breaks to YAML
                text = yaml.safe_dump(values, sort_keys=False)
        else:
            raise ConfigError(f"schema file {path}: wanted a name that ends in .yaml, .yml or .json")
        path.write_text(text, encoding="utf-8")

    def column(self, name: str) -> ColumnSchema | None:
        """The declaration of this column, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    def read_dtypes(self) -> dict[str, str]:
        """Column -> type in the words of `ReadOptions.dtypes`, so that a declared text column is read as text."""
        words = dict.fromkeys(("float32", "float64", "decimal", "number"), "float64") | {"category": "text"}
        words |= {name: name for name in ("boolean", "text", "date", "datetime", "int64")} | {"integer": "int64"}
        words |= dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16", "uint32"), "int64")
        return {c.name: words[c.dtype] for c in self.columns if c.dtype in words}

    def check_against(self, schema: pa.Schema, strict: bool = False) -> tuple[RuleOutcome, ...]:
        """What is known before a row is read: missing and unexpected columns, types, and rules that cannot hold.

        Parameters
        ----------
        schema : pa.Schema
            Of the source.
        strict : bool
            Whether a column that is not declared is an error rather than a warning.
        """
        return column_outcomes(self, schema, strict)


def whole_match(pattern: str) -> str:
    """The pattern, made to match whole values only."""
    return rf"\A(?:{pattern})\z"


def _in_order(low: Scalar, high: Scalar) -> None:
    if isinstance(low, str) is not isinstance(high, str):
        raise ValueError(f"min_value {shown(low)} and max_value {shown(high)} are of different types")
    if low > high:  # type: ignore[operator]  # both text (ISO 8601, which sorts) or both numbers
        raise ValueError(f"min_value {shown(low)} is above max_value {shown(high)}")
