"""Values and types as JSON holds them, and back without loss."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.types as pt
from pydantic_core import core_schema

Cell = bool | int | float | str | None
"""A value as JSON holds it: times as counts of their unit, decimals and odd floats as text."""


def cell_of(value: Any, kind: pa.DataType) -> Cell:
    """The value of a column of type `kind` as JSON holds it.

    Examples
    --------
    >>> import datetime as dt
    >>> cell_of(dt.date(1970, 1, 3), pa.date32()), cell_of(float("inf"), pa.float64())
    (2, 'inf')
    """
    scalar = value if isinstance(value, pa.Scalar) else pa.scalar(value, kind)
    if not scalar.is_valid:
        return None
    if pt.is_temporal(kind):
        wide = pa.int32() if kind.bit_width == 32 else pa.int64()
        return int(scalar.cast(wide).as_py())
    plain = scalar.as_py()
    if pt.is_decimal(kind) or (isinstance(plain, float) and (plain != plain or plain in (float("inf"), -float("inf")))):
        return str(plain)
    if isinstance(plain, bool | int | float | str):
        return plain
    raise TypeError(f"a value of type {kind} has no form in JSON")


def scalar_of(cell: Cell, kind: pa.DataType) -> pa.Scalar:
    """The way back from `cell_of`."""
    return array_of([cell], kind)[0]


def array_of(cells: Sequence[Cell], kind: pa.DataType) -> pa.Array:
    """The values as an array of the type."""
    if pt.is_temporal(kind):
        return pa.array(cells, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    if pt.is_decimal(kind):
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string()).cast(kind)
    if pt.is_floating(kind):
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64()).cast(kind)
    return pa.array(cells, kind)


def type_text(kind: pa.DataType) -> str:
    """The type as text that `parse_type` reads.

    Examples
    --------
    >>> type_text(pa.timestamp("us", "UTC")), parse_type("decimal128(10, 2)")
    ('timestamp[us, tz=UTC]', Decimal128Type(decimal128(10, 2)))
    """
    text = str(kind)
    try:
        if parse_type(text) == kind:
            return text
    except ValueError:
        pass
    packed = pa.schema([pa.field("", kind)]).serialize().to_pybytes()
    return "arrow:" + base64.b64encode(packed).decode()


_ZONED = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")


def parse_type(text: str) -> pa.DataType:
    """The type of this text; ValueError if it is none."""
    if text.startswith("arrow:"):
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text.removeprefix("arrow:")))).field(0).type
    if zoned := _ZONED.fullmatch(text):
        return pa.timestamp(zoned[1], zoned[2])
    if decimal := _DECIMAL.fullmatch(text):
        return getattr(pa, f"decimal{decimal[1]}")(int(decimal[2]), int(decimal[3]))
    return pa.type_for_alias(text)


class _AsText:
    """How pydantic reads and writes an Arrow type."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(type_text, return_schema=core_schema.str_schema())
        return core_schema.no_info_plain_validator_function(_read, serialization=written)


def _read(value: Any) -> pa.DataType:
    if isinstance(value, pa.DataType):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no Arrow type")
    return parse_type(value)


ArrowType = Annotated[pa.DataType, _AsText]
"""An Arrow type that JSON holds as text."""
