"""Excel workbooks: one sheet, or several where rows are too many; typed cells, and text that is never a formula."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import to_polars
from raypipe.config.write import WriteOptions
from raypipe.errors import ConfigError, OutputError, SchemaError
from raypipe.etl.aside import as_text
from raypipe.etl.outputs import writing
from raypipe.etl.wording import shown
from raypipe.etl.writers.staging import Staging
from raypipe.etl.writers.target import INSTEAD, Blocks, Target, Written
from raypipe.stage import SinkStage

MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
MAX_CHARS = 32_767
MAX_EXACT = 2**53
"""Largest whole number that a cell, which is a float64, holds exactly."""
MAX_DIGITS = 15
"""Digits that Excel shows of a number."""
FIRST_DAY = dt.datetime(1900, 3, 1)
"""Before it Excel counts a day that never was."""
_BAD_SHEET = frozenset("[]:*?/\\")
_MAX_SHEET_NAME = 31
FORMATS = {"date": "yyyy-mm-dd", "datetime": "yyyy-mm-dd hh:mm:ss.000", "time": "hh:mm:ss"}


class ExcelTarget(Target):
    """One workbook on a disk, written by the driver from one block after the other in constant memory."""

    def __init__(self, path: Path, options: WriteOptions) -> None:
        super().__init__(str(path), options)
        self.path = path.absolute()
        self._staging = Staging(self.path)

    def check(self, schema: pa.Schema) -> None:
        """See `Target.check`."""
        require_extra("excel", by="Excel")
        if self.options.mode not in ("new", "overwrite"):
            raise ConfigError(f"{self.name}: a workbook cannot be added to. Choose another name, or --mode overwrite")
        if self.path.is_dir():
            raise ConfigError(f"{self.name}: is a folder. Choose another name")
        if self.options.mode == "new" and os.path.lexists(self.path):
            raise ConfigError(f"{self.name}: is there already. Choose another name, or replace it: --mode overwrite")
        sheet = self.options.excel.sheet
        if not sheet or len(sheet) > _MAX_SHEET_NAME or _BAD_SHEET & set(sheet) or "'" in (sheet[0], sheet[-1]):
            raise ConfigError(
                f"excel.sheet: {sheet!r} is no name of a sheet: 1 to {_MAX_SHEET_NAME} characters, none of []:*?/\\, "
                "no ' at an end"
            )
        if len(schema) > MAX_COLUMNS:
            raise SchemaError(
                f"{self.name}: {len(schema):,} columns; a sheet has {MAX_COLUMNS:,}. Write Parquet or CSV"
            )
        long = [name for name in schema.names if len(name) > MAX_CHARS]
        if long:
            raise SchemaError(f"{self.name}: the name {shown(long[0])} is longer than a cell holds. Rename the column")

    def sink(self, schema: pa.Schema) -> SinkStage | None:
        """See `Target.sink`."""
        return None

    def commit(self, schema: pa.Schema, receipts: Sequence[dict[str, Any]], blocks: Blocks) -> Written:
        """See `Target.commit`."""
        self._staging.begin()
        temp = self._staging.folder / "book.xlsx"
        with writing(self.path, INSTEAD):
            book = _Book(temp, self.options, schema.names)
            try:
                for block in blocks():
                    book.add(to_polars(block))
                book.close()
            except BaseException:
                book.abandon()
                raise
            if self.options.mode == "overwrite":
                os.replace(temp, self.path)
            else:
                self._staging.put_new(temp)
            size = self.path.stat().st_size
        detail = {name: count for name, count in book.counts.items() if count}
        if book.sheets > 1:
            detail["sheets"] = book.sheets
        return Written(book.rows, size, [{"path": str(self.path), "rows": book.rows, "bytes": size}], detail)

    def close(self) -> None:
        """See `Target.close`."""
        self._staging.close()


class _Exact(float):
    """A number that is written with all its digits, where xlsxwriter asks for 16 of up to 17."""

    def __format__(self, spec: str) -> str:
        return float.__repr__(self)


class _Book:
    """A workbook being written, row by row as xlsxwriter wants it."""

    def __init__(self, path: Path, options: WriteOptions, names: Sequence[str]) -> None:
        import xlsxwriter

        self._how, self._names = options.excel, names
        self._book = xlsxwriter.Workbook(
            str(path),
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "tmpdir": str(path.parent),
            },
        )
        self._formats = {name: self._book.add_format({"num_format": text}) for name, text in FORMATS.items()}
        self._bold = self._book.add_format({"bold": True})
        self.counts = {"numbers_as_text": 0, "dates_as_text": 0, "texts_cut": 0}
        self.rows = self.sheets = 0
        self._open_sheet()

    def _open_sheet(self) -> None:
        self.sheets += 1
        number = "" if self.sheets == 1 else f" {self.sheets}"
        self._sheet = self._book.add_worksheet(self._how.sheet[: _MAX_SHEET_NAME - len(number)] + number)
        for column, name in enumerate(self._names):
            self._sheet.write_string(0, column, name, self._bold)
        self._sheet.freeze_panes(1, 0)
        self._row = 1

    def add(self, frame: pl.DataFrame) -> None:
        """Append rows; OutputError past the last row of a sheet unless further sheets are wanted."""
        puts = [self._put_of(frame[name], name) for name in frame.columns]
        ready = pl.DataFrame([_ready(frame[name]).alias(str(at)) for at, name in enumerate(frame.columns)])
        for row in ready.iter_rows():
            if self._row == MAX_ROWS:
                if self._how.overflow == "refuse":
                    raise OutputError(
                        f"excel: there are more rows than a sheet holds ({MAX_ROWS - 1:,} and the header). Go on in "
                        "further sheets with --set excel.overflow=sheets, or write Parquet or CSV"
                    )
                self._open_sheet()
            for column, value in enumerate(row):
                if value is not None:
                    puts[column](column, value)
            self._row += 1
        self.rows += frame.height

    def _put_of(self, cells: pl.Series, name: str) -> Callable[[int, Any], None]:
        """How values of a column are put into cells."""
        kind = cells.dtype
        if kind == pl.Boolean:
            return lambda column, value: self._sheet.write_boolean(self._row, column, value)
        if kind.is_numeric():
            return self._put_number
        if kind == pl.Date:
            return lambda column, value: self._put_moment(column, dt.datetime.combine(value, dt.time()), "date")
        if isinstance(kind, pl.Datetime):
            return lambda column, value: self._put_moment(column, value, "datetime")
        if kind == pl.Time:
            return lambda column, value: self._sheet.write_datetime(self._row, column, value, self._formats["time"])
        return lambda column, value: self._put_text(column, value, name)

    def _put_number(self, column: int, value: Any) -> None:
        if _fits(value):
            self._sheet.write_number(self._row, column, _Exact(value) if isinstance(value, float) else value)
        else:
            self.counts["numbers_as_text"] += 1
            self._sheet.write_string(self._row, column, str(value))

    def _put_moment(self, column: int, value: dt.datetime, form: str) -> None:
        if value >= FIRST_DAY:
            self._sheet.write_datetime(self._row, column, value, self._formats[form])
        else:
            self.counts["dates_as_text"] += 1
            self._sheet.write_string(self._row, column, (value.date() if form == "date" else value).isoformat())

    def _put_text(self, column: int, value: str, name: str) -> None:
        if len(value) > MAX_CHARS:
            if self._how.long_text == "refuse":
                raise OutputError(
                    f"excel: column {shown(name)} has a text of {len(value):,} characters; a cell holds "
                    f"{MAX_CHARS:,}. Cut such texts with --set excel.long_text=cut, or write Parquet or CSV"
                )
            self.counts["texts_cut"] += 1
            value = value[:MAX_CHARS]
        self._sheet.write_string(self._row, column, value)

    def close(self) -> None:
        """Write the file."""
        from xlsxwriter.exceptions import FileCreateError

        try:
            self._book.close()
        except FileCreateError as error:
            cause = error.args[0] if error.args else None
            raise (cause if isinstance(cause, OSError) else OSError(str(error))) from error

    def abandon(self) -> None:
        """Let go of the files that sheets are kept in until the end."""
        for sheet in self._book.worksheets():
            held = getattr(sheet, "row_data_fh", None)
            if held is not None:
                with contextlib.suppress(OSError):  # what does not fit on a full disk
                    held.close()


def _ready(cells: pl.Series) -> pl.Series:
    """Without what has no cells of its own: bytes, lists and durations as text, times in UTC."""
    kind = cells.dtype
    if isinstance(kind, pl.Datetime):
        plain = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if kind.time_zone else cells
        return plain.cast(pl.Datetime("us"))
    if kind in (pl.Binary, pl.Duration, pl.Categorical, pl.Enum) or kind.is_nested():
        return as_text(cells.alias(""))
    return cells


def _fits(value: Any) -> bool:
    """Whether a cell holds the number as it is."""
    if isinstance(value, int):
        return -MAX_EXACT <= value <= MAX_EXACT
    if isinstance(value, Decimal):
        digits = "".join(map(str, value.as_tuple().digits))  # `normalize` would round to 28 of them
        return len(digits.rstrip("0")) <= MAX_DIGITS
    return math.isfinite(value)
