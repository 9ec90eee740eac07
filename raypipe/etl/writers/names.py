"""Names of written files: from part ids, and folders from values of partition columns."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

import polars as pl

from raypipe.etl.aside import as_text

NAME_BYTES = 150
"""Bytes of a part id that a file name takes over; file systems allow 255 for the whole name."""
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, Spark, DuckDB and Arrow call the folder of rows without a value."""
_KEPT = "-_.~ "
"""Beside letters and digits; everything else is percent-encoded, as Spark and Arrow decode it."""


def file_name(part: str) -> str:
    """The part id as a file name.

    Examples
    --------
    >>> file_name("00003/flights.csv@0000067108864")
    '00003-flights.csv@0000067108864'
    """
    plain = "".join(char if char.isalnum() or char in "-_.@" else "-" for char in part)
    if plain == part.replace("/", "-", 1) and len(plain.encode()) <= NAME_BYTES:
        return plain
    # What was replaced or cut may be all that told two parts apart; a digest of the whole id does.
    digest = hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{plain.encode()[:NAME_BYTES].decode(errors='ignore')}-{digest}"


def folder_name(column: str, value: str | None) -> str:
    """The folder of a value of a partition column.

    Examples
    --------
    >>> folder_name("city", "Köln/Bonn"), folder_name("city", None), folder_name("a=b", "x")
    ('city=K%C3%B6ln%2FBonn', 'city=__HIVE_DEFAULT_PARTITION__', 'a%3Db=x')
    """
    return f"{quote(column, safe=_KEPT)}={NULL_PARTITION if value is None else quote(value, safe=_KEPT)}"


def partition_texts(cells: pl.Series) -> pl.Series:
    """Values of a partition column as they stand in folders: numbers in their shortest form, ISO dates, true, false."""
    return as_text(cells.alias(""))
