"""Workbooks as a format: one sheet of each file, its types found from samples as those of text are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import canonical_schema
from raypipe.blocks.rowlines import RowLines
from raypipe.config import ReadOptions
from raypipe.errors import MissingColumnsError
from raypipe.etl.formats.cells import Found, check_kind, find_kinds
from raypipe.etl.formats.csv_layout import Layout, Placed, Take, Wanted, empty_aside
from raypipe.etl.formats.csv_parse import draw
from raypipe.etl.formats.csv_quotes import Grammar
from raypipe.etl.formats.csv_typing import type_rows
from raypipe.etl.formats.excel_book import OLE, ZIP
from raypipe.etl.formats.excel_file import ExcelFile, ExcelLook, count_rows, look_at_sheet, read_grid
from raypipe.etl.formats.excel_table import Grid
from raypipe.etl.formats.format import EVERYWHERE, Cut, Cutting, Format, Joined, Look, ReadSlice
from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.slices import Slice, draw_seed, take_rows
from raypipe.etl.types import arrow_type, join_kinds, kind_of
from raypipe.stage import PartRead
from raypipe.storage.source import Place

if TYPE_CHECKING:
    from raypipe.etl.source import TableSource

_NO_GRAMMAR = Grammar(delimiter=ord(","), quote=None, eol=ord("\n"))
_CELL_BYTES = 40
"""Of a cell in the XML of a sheet, roughly; it only decides how finely a sheet is cut."""


class ExcelFormat(Format):
    """Sheets of Excel and OpenDocument workbooks."""

    name: ClassVar[str] = "excel"
    title: ClassVar[str] = "Excel"
    extensions: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
    extra: ClassVar[str | None] = "excel"
    honours: ClassVar[frozenset[str]] = EVERYWHERE | {
        "header", "skip_rows", "null_values", "dtypes", "sheet", "header_rows", "cell_errors",
    }  # fmt: skip
    why_refused: ClassVar[str] = "whose cells say so themselves"
    memory_per_byte: ClassVar[int] = 10
    settles: ClassVar[bool] = True

    def holds(self, head: bytes, suffix: str) -> bool:
        named = suffix in self.extensions and head.startswith(ZIP)
        return named or head.startswith(OLE) or _is_book(head)

    def look(self, place: Place, options: ReadOptions) -> Look:
        for column, kind in options.dtypes.items():
            check_kind(kind, column)
        found = look_at_sheet(place, options)
        return Look(found.file, rows=found.rows, rows_exact=False, sample=found)

    def join(self, looks: Sequence[Look], options: ReadOptions) -> Joined:
        kinds, notes = _kinds([look.sample for look in looks], options)
        schema = canonical_schema(pa.schema([(name, arrow_type(kind)) for name, kind in kinds.items()]))
        return Joined(schema, tuple(notes), tuple(options.dtypes))

    def cut(self, files: Sequence[ExcelFile], schema: pa.Schema, how: Cutting) -> Cut:
        slices = [piece for index, file in enumerate(files) for piece in _slices(index, file, how.target)]
        if how.max_rows is None and how.sample_rows is None:
            return Cut(tuple(slices))
        counted = _counted(slices, files, how.max_rows)
        if how.sample_rows is None:
            return Cut(tuple(counted))
        rows = [piece.rows or 0 for piece in counted]
        taken = take_rows(counted, rows, how.sample_rows, how.seed)
        drawn = min(how.sample_rows, sum(rows))
        return Cut(tuple(taken), (f"simple random sample of {drawn:,} of {sum(rows):,} rows, exact",))

    def open(self, source: TableSource) -> ReadSlice:
        schema, options = source.read_schema, source.options
        layouts = [_layout(file, schema, options.null_values) for file in source.files]

        def read(piece: Slice, part_id: str) -> PartRead:
            file: Any = source.files[piece.file]
            grid = read_grid(file, piece.start, piece.end, options.cell_errors)
            take = Take(piece.take, draw_seed(source.seed, part_id)) if piece.take is not None else None
            got = _typed(grid, layouts[piece.file], piece, take)
            return replace(got, block=conform(got.block, got.block.num_rows, schema))

        return read

    def info(self, looks: Sequence[Look]) -> dict[str, Any]:
        columns = list(dict.fromkeys(name for look in looks for name in look.sample.file.names))
        first: ExcelFile = looks[0].sample.file
        return {
            "columns": columns,
            "estimated_columns": len(columns),
            "estimated_rows": sum(look.rows or 0 for look in looks),
            "rows_exact": False,
            "sheet": first.sheet.name,
            "header": first.has_header,
        }


def _is_book(head: bytes) -> bool:
    """Whether a zip archive begins as those of workbooks do."""
    return head.startswith(ZIP) and any(
        sign in head for sign in (b"xl/", b"[Content_Types].xml", b"opendocument.spreadsheet")
    )


def _slices(index: int, file: ExcelFile, target: int) -> list[Slice]:
    """Ranges of rows of about `target` bytes in memory; the first takes what stands above the data with it."""
    size = file.xml_end or max(1, file.end_row) * max(1, len(file.columns)) * _CELL_BYTES
    edges = [0, *file.cuts(max(1, round(size / target))), file.end_row]
    rows = max(1, file.end_row)
    return [
        Slice(file=index, start=start, end=end, bytes=size * (end - start) // rows)
        for start, end in itertools.pairwise(edges)
        if end > start
    ]


def _counted(slices: Sequence[Slice], files: Sequence[ExcelFile], max_rows: int | None) -> list[Slice]:
    """The slices with their rows, up to `max_rows` of them: a sheet does not say which of its rows are blank."""
    found, left = [], max_rows
    for piece in slices:
        if left is not None and left <= 0:
            break
        rows = count_rows(files[piece.file], piece.start, piece.end)
        rows = rows if left is None else min(rows, left)
        left = None if left is None else left - rows
        if rows:
            found.append(piece.replace(rows=rows))
    return found


def _layout(file: Any, schema: pa.Schema, null_values: tuple[str, ...]) -> Layout:
    kinds = {field.name: kind_of(field.type) or "text" for field in schema}
    wanted = tuple(Wanted(at, name, kinds[name]) for at, name in enumerate(file.names) if name in kinds)
    return Layout(_NO_GRAMMAR, "utf-8", len(file.names), wanted, null_values)


def _typed(grid: Grid, layout: Layout, piece: Slice, take: Take | None) -> PartRead:
    """Rows of a slice with their types; what has no place or does not fit is set aside, with its row on the sheet."""
    limit = piece.rows if take is None and piece.rows is not None else grid.rows.size
    chosen = np.arange(min(limit, grid.rows.size))
    if take is not None:
        chosen = chosen[draw(chosen.size, take)]
    lost = grid.reasons.is_not_null().to_numpy()[chosen]
    good, bad = chosen[~lost], chosen[lost]
    lines = grid.rows - piece.start
    notes = {"filled_from_merged_cells": grid.filled} if grid.filled else {}
    placed = Placed(grid.texts[good], good, lines[good], _aside(grid, layout, bad, lines), notes)
    read = type_rows(placed, layout, (0, b""))
    return replace(
        read,
        bytes_read=int(grid.texts.estimated_size()),
        lines=None if take is not None else piece.end - piece.start,
        row_lines=RowLines.of(good, lines[good]),
    )


def _aside(grid: Grid, layout: Layout, bad: np.ndarray[Any, Any], lines: np.ndarray[Any, Any]) -> pl.DataFrame:
    """Rows with an error, or with a cell outside of the table."""
    if not bad.size:
        return empty_aside()
    rows = grid.texts[bad].rechunk()
    named = rows.select([f"c{want.index}" for want in layout.wanted]).rename(
        {f"c{want.index}": want.name for want in layout.wanted}
    )
    frame = pl.DataFrame(
        {
            "row": pl.Series(bad, dtype=pl.Int64),
            "line": pl.Series(lines[bad], dtype=pl.Int64),
            "reason": grid.reasons.gather(bad),
            "raw": named.to_struct("raw").struct.json_encode(),
        }
    )
    return pl.concat([empty_aside(), frame], how="diagonal_relaxed")


def _kinds(looks: Sequence[ExcelLook], options: ReadOptions) -> tuple[dict[str, str], list[str]]:
    """Type of every wanted column, and notes."""
    names = list(dict.fromkeys(name for look in looks for name in look.file.names))
    for given in (options.columns, tuple(options.dtypes)):
        missing = [name for name in given or () if name not in names]
        if missing:
            raise MissingColumnsError("read_options", missing, names)
    notes = [note for look in looks for note in look.file.notes]
    found: dict[str, list[tuple[str, Found]]] = {}
    for look in looks:
        for name, one, stated in zip(
            look.file.names, find_kinds(look.texts, options.null_values), look.kinds, strict=True
        ):
            found.setdefault(name, []).append((stated or one.kind, one))
    if len(looks) > 1:
        notes += [
            f"column {name!r} is not in every file; it is null where it is missing"
            for name in names
            if len(found[name]) < len(looks)
        ]
    kinds = {}
    for name in options.columns or names:
        known = [(kind, one) for kind, one in found[name] if one.values]
        joined = join_kinds(kind for kind, _ in known) if known else "text"
        kinds[name] = options.dtypes.get(name, joined)
        if name not in options.dtypes:
            notes += [f"column {name!r} {note}" for note in dict.fromkeys(one.note for _, one in known) if note]
            several = dict.fromkeys(kind for kind, _ in known)
            if len(several) > 1:
                notes.append(f"column {name!r} is {' and '.join(several)} in several files; it is read as {joined}")
    return kinds, notes
