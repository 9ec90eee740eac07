"""Blocks as CSV: shortest exact numbers, ISO dates, nothing that a reader could take for something else."""

from __future__ import annotations

import gzip
from collections import Counter
from io import BytesIO
from pathlib import Path

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import to_polars
from raypipe.config.write import CsvOutput
from raypipe.errors import OutputError, SchemaError
from raypipe.etl.aside import as_text
from raypipe.etl.wording import shown

FORMULA = r"^[=+\-@\t\r]"
"""Text that a spreadsheet takes for a formula."""
LINE_ENDS = {"lf": "\n", "crlf": "\r\n"}
NEUTRALISED = "formulas_neutralised"


def check_csv(schema: pa.Schema, how: CsvOutput) -> None:
    """Raise SchemaError if there is a column that CSV cannot hold."""
    nested = [field for field in schema if pa.types.is_nested(field.type)]
    if nested and how.nested == "refuse":
        raise SchemaError(
            f"csv: column {nested[0].name!r} is {nested[0].type}, which CSV cannot hold. Write it as JSON text with "
            "--set csv.nested=json, or write Parquet, Arrow or JSON lines"
        )


def write_csv(block: pa.Table, how: CsvOutput, where: Path | BytesIO, *, header: bool) -> Counter[str]:
    """Write a block as one CSV file; returns what was changed on the way.

    Raises
    ------
    OutputError
        If text is the same as `null_text`, or cannot be written in the encoding.
    """
    frame, counts = _ready(to_polars(block), how)
    if frame.width == 0:
        return counts
    compression = how.compression or "none"
    plain = compression == "none"
    wanted = {
        "include_header": header, "separator": how.delimiter or ",", "line_terminator": LINE_ENDS[how.line_end],
        "quote_char": how.quote, "quote_style": how.quoting, "decimal_comma": how.decimal == ",",
        "null_value": how.quote * 2 if _may_be_blank(frame, how) else how.null_text,
    }  # fmt: skip
    if how.encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        frame.write_csv(where, compression="uncompressed" if plain else compression, check_extension=False, **wanted)  # type: ignore[call-overload]  # the values of `wanted` are of several types
        return counts
    text = frame.write_csv(**wanted)  # type: ignore[call-overload]
    content = _encoded(text, how.encoding, first=header)
    content = content if plain else _compressed(content, compression)
    if isinstance(where, Path):
        where.write_bytes(content)
    else:
        where.write(content)
    return counts


def _may_be_blank(frame: pl.DataFrame, how: CsvOutput) -> bool:
    """Whether "no value" would make an empty line, which readers pass over, since it stands alone and unquoted."""
    return frame.width == 1 and not how.null_text and how.quoting != "always"


def _ready(frame: pl.DataFrame, how: CsvOutput) -> tuple[pl.DataFrame, Counter[str]]:
    columns, counts = {}, Counter[str]()
    for name in frame.columns:
        cells = frame.get_column(name)
        if cells.dtype in (pl.Binary, pl.Duration) or cells.dtype.is_nested():
            cells = as_text(cells.alias("")).alias(name)
        if cells.dtype in (pl.Categorical, pl.Enum):
            cells = cells.cast(pl.String)
        if cells.dtype == pl.String:
            if how.null_text and (cells == how.null_text).any():
                raise OutputError(
                    f"csv: column {shown(name)} has the text {how.null_text!r}, which stands for no value. Choose "
                    "another one with --set csv.null_text=…"
                )
            if how.neutralise_formulas:
                hit = cells.str.contains(FORMULA).fill_null(value=False)
                counts[NEUTRALISED] += int(hit.sum())
                cells = ("'" + cells).zip_with(hit, cells)
        columns[name] = cells
    return pl.DataFrame(columns), +counts


def _encoded(text: str, encoding: str, *, first: bool) -> bytes:
    """The text in an encoding whose mark, if it has one, only the beginning of a file bears."""
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise OutputError(
            f"csv: {shown(text[error.start : error.end])} in line {line} of a part cannot be written as {encoding}. "
            "Choose utf-8 or another encoding with --set csv.encoding=…"
        ) from error
    mark = "".encode(encoding)
    return content if first else content.removeprefix(mark)


def _compressed(content: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.compress(content, 6, mtime=0)
    held = pa.BufferOutputStream()
    with pa.CompressedOutputStream(held, "zstd") as stream:
        stream.write(content)
    return bytes(held.getvalue())
