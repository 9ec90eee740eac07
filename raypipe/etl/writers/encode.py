"""Blocks as bytes of a file: Parquet, CSV, JSON lines, Arrow IPC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.blocks.frames import to_polars
from raypipe.config.write import ArrowOutput, ParquetOutput, WriteOptions
from raypipe.errors import ConfigError, SchemaError
from raypipe.etl.aside import as_text
from raypipe.etl.writers.csv import check_csv, write_csv

SUFFIXES = {"parquet": ".parquet", "csv": ".csv", "jsonl": ".jsonl", "arrow": ".arrow"}
COMPRESSED = {"gzip": ".gz", "zstd": ".zst", "none": "", None: ""}
SAMPLE_ROWS, MOST_DISTINCT = 8_192, 0.75
"""A column is taken for one whose values repeat if so large a share of so many rows is distinct, at most."""
NAN_AS_NULL = "nan_as_null"
"""Note: how many NaN and infinities JSON could not hold."""


def suffix_of(options: WriteOptions) -> str:
    """How names of files of this form end."""
    form = options.format or "parquet"
    text = {"csv": options.csv.compression, "jsonl": options.json_lines.compression}.get(form)
    return f"{SUFFIXES[form]}{COMPRESSED[text]}"


def check_encodable(schema: pa.Schema, options: WriteOptions) -> None:
    """Raise SchemaError if the format cannot hold a column, ConfigError if an option does not suit it."""
    if options.format == "csv":
        check_csv(schema, options.csv)
    if options.format == "jsonl":
        nested = [field.name for field in schema if pa.types.is_nested(field.type) and _holds_binary(field.type)]
        if nested:
            raise SchemaError(
                f"json lines: column {nested[0]!r} is {schema.field(nested[0]).type}, with bytes inside, which JSON "
                "cannot hold. Write Parquet or Arrow, or take the column out"
            )
    level = options.parquet.compression_level
    if level is not None and options.parquet.compression in ("snappy", "none", "lz4"):
        raise ConfigError(f"parquet.compression_level: {options.parquet.compression} has no levels. Leave it out")


def encode(block: pa.Table, options: WriteOptions, where: Path | BytesIO, *, header: bool = True) -> Counter[str]:
    """Write a block as one file; returns what was lost on the way, by kind.

    Parameters
    ----------
    options : WriteOptions
        Its format is one of files.
    where : Path or BytesIO
        Opened for writing from the start.
    header : bool
        Whether a CSV file begins with the names of its columns, if `options` want any.
    """
    form = options.format or "parquet"
    if form == "csv":
        return write_csv(block, options.csv, where, header=header and options.csv.header)
    writers: dict[str, Callable[[], Counter[str]]] = {
        "parquet": lambda: _write_parquet(block, options.parquet, where),
        "jsonl": lambda: _write_json(block, options, where),
        "arrow": lambda: _write_arrow(block, options.arrow, where),
    }
    return writers[form]()


def _write_parquet(block: pa.Table, how: ParquetOutput, where: Path | BytesIO) -> Counter[str]:
    dictionary: bool | list[str] = repeating(block) if how.dictionary == "auto" else how.dictionary == "all"
    pq.write_table(
        block, where, compression=how.compression, compression_level=how.compression_level,
        row_group_size=how.row_group_rows, use_dictionary=dictionary, write_statistics=how.statistics,
    )  # fmt: skip
    return Counter()


def repeating(block: pa.Table) -> bool | list[str]:
    """Columns whose values repeat, in rows spread over the block; True where there are nested ones, too.

    Examples
    --------
    >>> repeating(pa.table({"id": range(9), "city": ["Ulm", "Bonn", "Ulm"] * 3}))
    ['city']
    """
    if any(pa.types.is_nested(field.type) or "." in field.name for field in block.schema):
        return True  # Parquet names what is inside of nested columns by paths
    step = max(1, block.num_rows // SAMPLE_ROWS)
    sample = to_polars(block.take(pa.array(np.arange(0, block.num_rows, step))) if step > 1 else block)
    most = MOST_DISTINCT * sample.height
    found = [cells.name for cells in sample if cells.dtype != pl.Boolean and cells.n_unique() <= most]
    return found or False


def _write_arrow(block: pa.Table, how: ArrowOutput, where: Path | BytesIO) -> Counter[str]:
    codec = None if how.compression == "none" else how.compression
    sink = str(where) if isinstance(where, Path) else where
    with pa.ipc.new_file(sink, block.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(block)
    return Counter()


def _write_json(block: pa.Table, options: WriteOptions, where: Path | BytesIO) -> Counter[str]:
    frame = to_polars(block)
    lost = sum(_odd_floats(frame[name]) for name in frame.columns)
    ready = pl.DataFrame({name: _json_ready(frame[name]) for name in frame.columns})
    compression = options.json_lines.compression or "none"
    if ready.width == 0:
        return Counter()
    ready.write_ndjson(where, compression="uncompressed" if compression == "none" else compression)
    return Counter({NAN_AS_NULL: lost}) if lost else Counter()


def _json_ready(cells: pl.Series) -> pl.Series:
    if cells.dtype == pl.Binary:
        return as_text(cells.alias("")).alias(cells.name)
    if isinstance(cells.dtype, pl.Datetime):  # ISO 8601 wants the T
        return cells.dt.to_string("iso:strict")
    return cells


def _odd_floats(cells: pl.Series) -> int:
    """NaN and infinities, in lists and structs, too."""
    if cells.dtype.is_float():
        return int((~cells.is_finite()).sum())
    if isinstance(cells.dtype, pl.List | pl.Array):
        return _odd_floats(cells.explode())
    if isinstance(cells.dtype, pl.Struct):
        return sum(_odd_floats(cells.struct.field(field.name)) for field in cells.dtype.fields)
    return 0


def _holds_binary(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_holds_binary(kind.field(index).type) for index in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))
