"""Rows that were set aside and mended, as a source: read again as the run read them, each under its first identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import ConfigDict

from raypipe.blocks.frames import from_polars, no_rows
from raypipe.etl.aside import raw_json, shortened
from raypipe.etl.formats.csv_file import CsvFile
from raypipe.etl.formats.csv_format import read_fields, read_lines
from raypipe.etl.partitions import Added, with_added
from raypipe.etl.quarantine.rawrows import values_of
from raypipe.etl.source import TableSource
from raypipe.etl.types import kind_of
from raypipe.stage import ASIDE_SCHEMA, Part, PartRead, SourceStage

PART_ROWS = 50_000
Notation = Literal["line", "cells", "values"]
"""How a row that was set aside is written. line: a line of its file. cells: texts as they stood in its file. values:
values of the types of the table, as text."""
LINE, CELLS, VALUES = "line", "cells", "values"
STAGED = ("id", "notation", "file", "line")
"""Columns of a staged file before the fields: identity, notation, the file that a row is from, its text if a line."""


class MendedRows(SourceStage):
    """A staged Parquet file: `STAGED`, then one text column a field, `c0`, `c1` and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    path: Path
    rows: int
    origin: TableSource
    """What the run read: its types, and how the lines of its files are read."""

    @property
    def name(self) -> str:
        return self.origin.name

    def schema(self) -> pa.Schema:  # type: ignore[override]  # pydantic has a deprecated method of this name
        return self.origin.schema()

    def parts(self) -> Sequence[Part]:
        starts = range(0, self.rows, PART_ROWS)
        return [
            Part(id=f"mended@{start:013d}", file=str(self.path), rows=min(PART_ROWS, self.rows - start))
            for start in starts
        ]

    def open(self) -> Callable[[Part], PartRead]:
        def read(part: Part) -> PartRead:
            start = int(part.id.rpartition("@")[2])
            return self.read_rows(pl.scan_parquet(self.path).slice(start, part.rows).collect())

        return read

    def read_rows(self, staged: pl.DataFrame) -> PartRead:
        """Rows of a staged frame: typed, or set aside with the reason; `row` is their place in it."""
        blocks, places, asides = [], [], [no_rows(ASIDE_SCHEMA)]
        for notation in (LINE, CELLS, VALUES):
            at = np.flatnonzero((staged["notation"] == notation).to_numpy())
            if not at.size:
                continue
            as_read = notation == CELLS and self.origin.format == "csv"
            got = self._lines(staged[at]) if notation == LINE else self._fields(staged[at], as_read)
            blocks.append(got.block)
            places.append(at[got.kept])
            asides.append(_aside_at(got.aside, at))
        order = np.argsort(np.concatenate(places)) if places else np.zeros(0, np.int64)
        block = pa.concat_tables([no_rows(self.schema()), *blocks]).take(order).combine_chunks()
        numbers = pa.array(np.concatenate(places)[order] if places else order, pa.int64())
        return PartRead(block, pa.concat_tables(asides).sort_by("row"), numbers)

    def _fields(self, staged: pl.DataFrame, as_read: bool) -> _Got:
        """Rows given field by field; `as_read`: as their file writes them."""
        columns: list[pl.Series] = []
        reason = pl.Series([None] * staged.height, dtype=pl.String)
        column, value = reason.clone(), reason.clone()
        for number, field in enumerate(self.schema()):
            texts = staged[f"c{number}"]
            added = next((one for one in self.origin.added if one.name == field.name), None) if as_read else None
            if added is not None:  # no file holds it, and so no row that was set aside while its file was read
                texts = texts.fill_null(self._told(added, staged["file"]))
            values, wrong = self._column(texts, field, as_read and added is None)
            columns.append(values.alias(field.name))
            new = wrong & reason.is_null()
            if new.any():
                shown = shortened(texts)
                told = f"column {field.name!r} wants {kind_of(field.type) or field.type}, got '" + shown + "'"
                reason, value = told.zip_with(new, reason), shown.zip_with(new, value)
                column = pl.Series([field.name]).new_from_index(0, staged.height).zip_with(new, column)
        fine = reason.is_null()
        block = from_polars(pl.DataFrame(columns)) if columns else pa.table({})
        bad = np.flatnonzero(~fine.to_numpy())
        raw = raw_json(from_polars(staged[bad].select(_named(self.schema()))))
        aside = pl.DataFrame(
            {"row": bad, "column": column[bad], "value": value[bad], "reason": reason[bad], "raw": raw}
        )
        return _Got(block.filter(fine.to_arrow()).cast(self.schema()), np.flatnonzero(fine.to_numpy()), aside)

    def _column(self, texts: pl.Series, field: pa.Field, as_read: bool) -> tuple[pl.Series, pl.Series]:
        if not as_read:
            return values_of(texts, field.type)
        values, wrong = read_fields(texts, field, self.origin.options)
        return values, pl.Series([False]).new_from_index(0, len(texts)) if wrong is None else wrong

    def _lines(self, staged: pl.DataFrame) -> _Got:
        """Rows given as lines of their files. Those with quotes are read one by one, since a quote may reach far."""
        pieces = []
        for (path,), some in staged.with_row_index("at").group_by("file", maintain_order=True):
            plain = ~some["line"].str.contains(r"[\r\n\"']") & ~some["line"].str.contains_any(self._quotes(str(path)))
            if plain.any():
                pieces.append(self._read_lines(str(path), some.filter(plain)))
            pieces += [self._read_lines(str(path), one) for one in some.filter(~plain).iter_slices(1)]
        return _Got(
            pa.concat_tables([piece.block for piece in pieces]),
            np.concatenate([piece.kept for piece in pieces]),
            pl.concat([piece.aside for piece in pieces]),
        )

    def _told(self, added: Added, paths: pl.Series) -> pl.Series:
        """What the folders of files tell."""
        by_path = dict(zip(self.origin.paths, added.values, strict=False))
        return pl.Series([by_path.get(path) for path in paths], dtype=pl.String)

    def _file(self, path: str) -> CsvFile | None:
        """The file of lines of this path."""
        return next((file for file in self.origin.files if file.path == path and isinstance(file, CsvFile)), None)

    def _quotes(self, path: str) -> list[str]:
        file = self._file(path)
        return [mark for mark in (file.dialect.quote, file.dialect.escape) if mark] if file is not None else ['"']

    def _read_lines(self, path: str, some: pl.DataFrame) -> _Got:
        """Lines of one file, each of which is a row; where one is more than that, it is alone in `some`."""
        at = some["at"].to_numpy().astype(np.int64)
        file = self._file(path)
        if file is None:
            told = f"text of a file of {self.origin.format} cannot be read again; fill in its fields"
            return self._refused(some.with_columns(reason=pl.lit(told)), at)
        end = "\n" if len(file.dialect.eol) != 1 else file.dialect.eol
        read = read_lines(
            file, "".join(text + end for text in some["line"]), self.origin.read_schema, self.origin.options
        )
        aside = pl.DataFrame(pl.from_arrow(read.aside))
        if read.block.num_rows + aside.height != len(at):
            text = f"{read.block.num_rows + aside.height} rows in the place of one"
            return self._refused(some.with_columns(reason=pl.lit(text)), at)
        bad = aside["line"].to_numpy().astype(np.int64)
        faults = aside.with_columns(row=pl.Series(at[bad], dtype=pl.Int64)).select(_ASIDE)
        place = self.origin.paths.index(path)
        block = with_added(read.block, self.origin.added, place, self.schema())
        return _Got(block, np.delete(at, bad), faults.with_columns(raw=some["line"].gather(bad)))

    def _refused(self, some: pl.DataFrame, at: np.ndarray[Any, Any]) -> _Got:
        nothing = pl.lit(None, pl.String)
        aside = some.select(
            row=pl.Series(at, dtype=pl.Int64), column=nothing, value=nothing, reason="reason", raw="line"
        )
        return _Got(no_rows(self.schema()), np.zeros(0, np.int64), aside)


_ASIDE = ("row", "column", "value", "reason", "raw")


@dataclass(frozen=True)
class _Got:
    """Rows read, the places of those that are fine, and the others (`_ASIDE`)."""

    block: pa.Table
    kept: np.ndarray[Any, Any]
    aside: pl.DataFrame


def _named(schema: pa.Schema) -> list[pl.Expr]:
    return [pl.col(f"c{number}").alias(field.name) for number, field in enumerate(schema)]


def _aside_at(aside: pl.DataFrame, at: np.ndarray[Any, Any]) -> pa.Table:
    """The rows with their places in the whole."""
    rows = pl.Series(at[aside["row"].to_numpy().astype(np.int64)], dtype=pl.Int64)
    frame = aside.with_columns(row=rows, line=pl.lit(None, pl.Int64)).select(ASIDE_SCHEMA.names)
    return from_polars(frame).cast(ASIDE_SCHEMA)
