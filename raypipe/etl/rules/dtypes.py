"""Names of types as users write them in a schema, and which Arrow types satisfy each."""

from __future__ import annotations

import difflib

import pyarrow as pa
import pyarrow.types as pt

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (
    *INTEGERS,
    "integer",
    "float32",
    "float64",
    "decimal",
    "number",
    "boolean",
    "text",
    "category",
    "date",
    "datetime",
    "time",
    "duration",
    "binary",
)
"""The allowed names; `integer` and `number` take any width."""

ALIASES = {
    "int": "integer",
    "float": "float64",
    "double": "float64",
    "bool": "boolean",
    "str": "text",
    "string": "text",
    "object": "text",
    "datetime64": "datetime",
    "datetime64[ns]": "datetime",
    "datetime64[us]": "datetime",
    "timestamp": "datetime",
    "timedelta64": "duration",
    "timedelta64[ns]": "duration",
    "timedelta": "duration",
    "bytes": "binary",
    "categorical": "category",
}
"""Other spellings, such as pandas uses -> the allowed name."""

NUMBERS = frozenset((*INTEGERS, "integer", "float32", "float64", "decimal", "number"))
TIMES = frozenset(("date", "datetime"))
TEXTS = frozenset(("text", "category"))


def canonical_dtype(name: str) -> str:
    """The allowed name for `name`; ValueError with the nearest one if there is none.

    Examples
    --------
    >>> canonical_dtype("str"), canonical_dtype("Int64")
    ('text', 'int64')
    """
    lower = name.strip().lower()
    lower = ALIASES.get(lower, lower)
    if lower in DTYPES:
        return lower
    close = difflib.get_close_matches(lower, [*DTYPES, *ALIASES], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"unknown dtype {name!r}; allowed: {', '.join(DTYPES)}.{hint}")


def dtype_of(kind: pa.DataType) -> str | None:
    """The allowed name that describes an Arrow type most closely; None where no name fits (nested, all null)."""
    if pt.is_integer(kind):
        return str(kind)
    if pt.is_floating(kind):
        return "float64" if pt.is_float64(kind) else "float32"
    tests = (
        (pt.is_decimal, "decimal"),
        (pt.is_boolean, "boolean"),
        (is_text, "text"),
        (pt.is_dictionary, "category"),
        (pt.is_date, "date"),
        (pt.is_timestamp, "datetime"),
        (pt.is_time, "time"),
        (pt.is_duration, "duration"),
        (_is_binary, "binary"),
    )
    return next((name for test, name in tests if test(kind)), None)


def satisfies(kind: pa.DataType, dtype: str) -> bool:
    """Whether every value of the Arrow type is one of `dtype` without loss.

    A narrower type satisfies a wider one (int32 satisfies int64, integers satisfy float64, dates satisfy datetime),
    and a column of nulls only satisfies any.
    """
    have = dtype_of(kind)
    if pt.is_null(kind) or have == dtype:
        return True
    if dtype in ("number", "float64", "decimal"):
        return have in NUMBERS and not (dtype == "decimal" and have in ("float32", "float64"))
    if dtype == "integer":
        return have in INTEGERS
    if dtype in INTEGERS:
        return have in INTEGERS and _fits_inside(have, dtype)
    if dtype == "float32":
        return have in ("int8", "int16", "uint8", "uint16")
    return (dtype == "datetime" and have == "date") or (dtype in TEXTS and have in TEXTS)


def is_text(kind: pa.DataType) -> bool:
    """Whether the type holds text as such (dictionaries of text are categories)."""
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def integer_range(name: str) -> tuple[int, int]:
    """Smallest and largest value of an integer type.

    Examples
    --------
    >>> integer_range("uint8")
    (0, 255)
    """
    bits = int(name.lstrip("uint"))
    return (0, 2**bits - 1) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _fits_inside(have: str, dtype: str) -> bool:
    (low, high), (least, most) = integer_range(have), integer_range(dtype)
    return low >= least and high <= most


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind))
