"""Two schemas merged into one that takes the data of both."""

from __future__ import annotations

from typing import Any

from raypipe.config import Frozen
from raypipe.etl.rules.dtypes import NUMBERS, TEXTS, TIMES
from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.schemas.lattice import join
from raypipe.etl.wording import listed, shown


class Evolved(Frozen):
    """The merged schema, and why it differs from each of the two."""

    merged: DataSchema
    reasons: tuple[str, ...] = ()
    """One sentence for each thing that was widened or given up."""


def evolve_schemas(a: DataSchema, b: DataSchema) -> Evolved:
    """The narrowest schema that takes every table that fits `a`, and every one that fits `b`.

    Types go up the lattice of `raypipe.etl.schemas.lattice`; limits widen to hold both, or are given up. The name and
    description are those of `a`; the version is that of `a`, for `SchemaRegistry.register` to raise.

    Examples
    --------
    >>> a = DataSchema(name="t", columns=(ColumnSchema(name="n", dtype="int32", nullable=False),))
    >>> b = DataSchema(name="t", columns=(ColumnSchema(name="n", dtype="uint32", nullable=False),))
    >>> made = evolve_schemas(a, b)
    >>> made.merged.columns[0].dtype, made.reasons
    ('int64', ("'n': int64 holds both int32 and uint32",))
    """
    reasons: list[str] = []
    others = {column.name: column for column in b.columns}
    names = {column.name for column in a.columns}
    columns = []
    for column in a.columns:
        if column.name in others:
            columns.append(_merged(column, others[column.name], reasons))
        else:
            columns.append(_optional(column, "the second", reasons))
    columns += [_optional(column, "the first", reasons) for column in b.columns if column.name not in names]
    key = a.primary_key
    if set(a.primary_key) != set(b.primary_key):
        key = _wider_key(a, b)
        was, now, kept = (listed(one) or "none" for one in (a.primary_key, b.primary_key, key))
        reasons.append(f"primary key: {was} and {now}; {kept} holds for both")
    return Evolved(merged=a.replace(columns=tuple(columns), primary_key=key), reasons=tuple(reasons))


def _wider_key(a: DataSchema, b: DataSchema) -> tuple[str, ...]:
    """The key that both keep: of two of which one contains the other, the longer, if neither leaves it null."""
    short, long = sorted((a, b), key=lambda schema: len(schema.primary_key))
    if not short.primary_key or not set(short.primary_key) <= set(long.primary_key):
        return ()
    others = [short.column(name) for name in long.primary_key if name not in short.primary_key]
    filled = all(column is not None and column.required and not column.nullable for column in others)
    return long.primary_key if filled else ()


def _optional(column: ColumnSchema, which: str, reasons: list[str]) -> ColumnSchema:
    if not column.required:
        return column
    reasons.append(f"{shown(column.name)}: may be absent, as {which} schema lacks it")
    return column.replace(required=False)


def _merged(a: ColumnSchema, b: ColumnSchema, reasons: list[str]) -> ColumnSchema:
    said: list[str] = []
    dtype = join(a.dtype, b.dtype)
    if a.dtype != b.dtype:
        both = f"{a.dtype or 'any type'} and {b.dtype or 'any type'}"
        said.append(f"{dtype} holds both {both}" if dtype else f"any type will do, as no dtype holds {both}")
    fields: dict[str, Any] = {"name": a.name, "dtype": dtype, "description": a.description or b.description}
    for field, may, text in (
        ("required", False, "may be absent"),
        ("nullable", True, "may be null"),
        ("unique", False, "may repeat values"),
    ):
        was, now = getattr(a, field), getattr(b, field)
        fields[field] = was if was == now else may
        if was != now:
            said.append(f"{text}, as in one of the two")
    fields |= _limits(a, b, dtype, said)
    for field in ("semantic", "unit"):
        was, now = getattr(a, field), getattr(b, field)
        fields[field] = was if was == now else None
        if was != now and was is not None and now is not None:
            said.append(f"{field} is open: {was} in one, {now} in the other")
    fields["pii"] = tuple(dict.fromkeys((*a.pii, *b.pii)))
    reasons += [f"{shown(a.name)}: {text}" for text in said]
    return ColumnSchema(**fields)


def _limits(a: ColumnSchema, b: ColumnSchema, dtype: str | None, said: list[str]) -> dict[str, Any]:
    """Limits that hold for both; given up where one side has none, or the types have nothing in common."""
    found: dict[str, Any] = {}
    apart = dtype is None and a.dtype != b.dtype
    for field, outer in (("min_value", min), ("max_value", max)):
        was, now = getattr(a, field), getattr(b, field)
        alike = was is not None and now is not None and isinstance(was, str) is isinstance(now, str)
        fits = not apart and (dtype is None or dtype in NUMBERS | TIMES)
        found[field] = outer(was, now) if alike and fits else None
        _tell(field, (was, now), found[field], said)
    values = None
    if a.allowed_values is not None and b.allowed_values is not None and not apart:
        values = tuple(dict.fromkeys((*a.allowed_values, *b.allowed_values)))
        if len({(isinstance(value, bool), value) for value in (*a.allowed_values, *b.allowed_values)}) > len(values):
            values = None  # true and 1 would become one
    found["allowed_values"] = values
    _tell("allowed_values", (a.allowed_values, b.allowed_values), values, said)
    patterns = (a.regex_pattern, b.regex_pattern)
    pattern = None
    if None not in patterns and (dtype is None or dtype in TEXTS) and not apart:
        pattern = patterns[0] if patterns[0] == patterns[1] else f"(?:{patterns[0]})|(?:{patterns[1]})"
    found["regex_pattern"] = pattern
    _tell("regex_pattern", patterns, pattern, said)
    return found


def _tell(field: str, before: tuple[Any, Any], after: Any, said: list[str]) -> None:
    if after is None and before != (None, None):
        said.append(f"{field} is given up: {shown(before[0])} in one, {shown(before[1])} in the other")
    elif before[0] != before[1]:
        said.append(f"{field} is {shown(after)}, to hold both")
