"""Databases as a format: one table or query, each part one bounded query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from raypipe.config import ReadOptions, StorageConfig
from raypipe.errors import ReadError
from raypipe.etl.formats.csv_layout import Take
from raypipe.etl.formats.csv_parse import draw
from raypipe.etl.formats.format import EVERYWHERE, Cut, Cutting, Format, Look, ReadSlice, Spot, Whole
from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.slices import Slice, draw_seed, take_rows
from raypipe.etl.formats.sql_address import SqlAddress, is_database, parse_database
from raypipe.etl.formats.sql_source import Backend, RowIds, SqlFile, Window
from raypipe.etl.formats.sql_text import even_edges
from raypipe.stage import PartRead

if TYPE_CHECKING:
    from raypipe.etl.source import TableSource

MOST_ROUNDS = 24
"""How often ranges with too many rows are halved again."""
TOO_FULL = 2.0
"""A range is cut again if it holds more than so many times the rows of a part."""


class SqlFormat(Format):
    """Tables and queries of databases."""

    name: ClassVar[str] = "sql"
    title: ClassVar[str] = "SQL"
    honours: ClassVar[frozenset[str]] = EVERYWHERE | {"table", "query", "partition_on", "partition_count"}
    why_refused: ClassVar[str] = "whose tables say so themselves"
    settles: ClassVar[bool] = True

    def whole(self, path: str | Path, storage: StorageConfig) -> Sequence[Spot] | None:
        if not isinstance(path, str) or not is_database(path):
            return None
        parse_database(path)  # a password is refused before anything else gets to see it
        return (Whole(text=path, storage=storage),)

    def look(self, place: Whole, options: ReadOptions) -> Look:
        if not isinstance(place, Whole):
            raise ReadError(f"{place}: is a file. Name an SQLite database as sqlite:///{place}.")
        address = parse_database(place.text)
        file = _backend(address).look(address, options)
        if options.partition_count is not None:
            file = file.replace(pieces=options.partition_count)
        if not file.size:
            file = file.replace(size=file.rows * file.row_bytes)
        schema = pa.schema([(column.name, column.kind) for column in file.columns])
        return Look(file, schema, file.rows, rows_exact=file.by in ("row", "offset"))

    def cut(self, files: Sequence[SqlFile], schema: pa.Schema, how: Cutting) -> Cut:
        (file,) = files
        backend = _backend(file.address)
        slices = _slices(file, backend, max(1, how.target // file.row_bytes), how)
        if how.sample_rows is None:
            return Cut(tuple(_up_to(slices, how.max_rows)))
        known = list(_up_to(slices, how.max_rows))
        rows = [piece.rows or 0 for piece in known]
        drawn = min(how.sample_rows, sum(rows))
        note = f"simple random sample of {drawn:,} of {sum(rows):,} rows, exact"
        return Cut(tuple(take_rows(known, rows, how.sample_rows, how.seed)), (note,))

    def open(self, source: TableSource) -> ReadSlice:
        (file,) = source.files
        assert isinstance(file, SqlFile)
        backend = _backend(file.address)
        schema = source.read_schema

        def read(piece: Slice, part_id: str) -> PartRead:
            as_read = file.replace(columns=_typed(file, schema))
            got = backend.read(as_read, schema.names, Window.of(piece))
            if piece.take is not None:
                got = _drawn(got, Take(piece.take, draw_seed(source.seed, part_id)))
            elif piece.rows is not None:
                if as_read.address.dialect == "sqlite":
                    _check_count(as_read, piece, got, source.cutting is not None and source.cutting.max_rows is None)
                got = _first(got, piece.rows)
            return replace(got, block=conform(got.block, got.block.num_rows, schema))

        return read


def _check_count(file: SqlFile, piece: Slice, got: PartRead, whole: bool) -> None:
    """ReadError if a range of an SQLite file, which has not changed, holds other rows than were counted in it."""
    found, counted = got.block.num_rows + got.aside.num_rows, piece.rows or 0
    if found < counted or (whole and found > counted):
        raise ReadError(
            f"{file.path}: the database is damaged: it counts {counted:,} rows in a range, and gives {found:,}. Look at"
            " it with sqlite3 FILE 'PRAGMA integrity_check', and restore it, or save what is left with sqlite3 FILE"
            " .recover"
        )


def _backend(address: SqlAddress) -> Backend:
    if address.driver is None and address.dialect == "sqlite":
        from raypipe.etl.formats.sql_sqlite import SqliteBackend

        return SqliteBackend()
    if address.driver is None and address.dialect == "postgresql":
        from raypipe.etl.formats.sql_postgres import PostgresBackend

        return PostgresBackend()
    from raypipe.etl.formats.sql_alchemy import AlchemyBackend

    return AlchemyBackend()


def _typed(file: SqlFile, schema: pa.Schema) -> tuple[Any, ...]:
    """The columns under the types that the whole source asked for, where values decide about types."""
    if file.address.dialect == "postgresql" and file.address.driver is None:
        return file.columns
    kinds = {field.name: field.type for field in schema}
    return tuple(column.replace(kind=kinds.get(column.name, column.kind)) for column in file.columns)


def _slices(file: SqlFile, backend: Backend, rows: int, how: Cutting) -> list[Slice]:
    """Windows of about `rows` rows each, in order."""
    counts: Sequence[int | None]
    exact = how.max_rows is not None or how.sample_rows is not None
    if file.by == "row" and isinstance(backend, RowIds):
        edges, total = backend.edges(file, max(1, rows))
        counts = [rows] * len(edges) + [total - rows * len(edges)]
        return _as_slices(file, [Window(*pair) for pair in _pairs(edges)], counts)
    if file.by == "offset":
        edges = list(range(rows, file.rows, rows))
        counts = [rows] * len(edges) + [file.rows - rows * len(edges)]
        windows = [Window(low or 0, high) for low, high in _pairs(edges)]
        return _as_slices(file, windows, counts)
    if file.by == "block":
        pages = max(1, rows * max(1, file.extent) // max(1, file.rows))
        edges = list(range(pages, file.extent, pages))
        counts = backend.counts(file, edges) if exact else [None] * (len(edges) + 1)
        return _as_slices(file, [Window(*pair) for pair in _pairs(edges)], counts)
    return _ranges(file, backend, rows)


def _pairs(edges: Sequence[int]) -> list[tuple[int | None, int | None]]:
    return list(zip([None, *edges], [*edges, None], strict=True))


def _ranges(file: SqlFile, backend: Backend, rows: int) -> list[Slice]:
    """Ranges of the column that the user names; too full ones are cut again; rows without a value come last."""
    low, high, total, nulls = backend.bounds(file)
    windows, counts = [], []
    if low is not None and high is not None:
        pieces = file.pieces or max(1, -(-total // rows))
        edges = even_edges(low, high, pieces, file.key_kind)
        found = backend.counts(file, edges)
        for _ in range(MOST_ROUNDS):
            more = _halved(edges, found, (low, high), rows)
            if more == edges:
                break
            edges = more
            found = backend.counts(file, edges)
        windows = [Window(*pair) for pair in _pairs(edges)]
        counts = list(found)
    elif total > nulls:  # nothing but infinite dates
        windows, counts = [Window(None, None)], [total - nulls]
    if nulls:
        windows.append(Window(None, None, nulls=True))
        counts.append(nulls)
    return _as_slices(file, windows, counts)


def _halved(edges: list[int], counts: Sequence[int], ends: tuple[int, int], rows: int) -> list[int]:
    """The edges with one more in the middle of each range that holds too many rows and more than one value."""
    found = list(edges)
    for (low, high), count in zip(_pairs(edges), counts, strict=True):
        start, end = ends[0] if low is None else low, ends[1] + 1 if high is None else high
        if count > TOO_FULL * rows and end - start > 1:
            found.append(start + (end - start) // 2)
    return sorted(found)


def _as_slices(file: SqlFile, windows: Sequence[Window], counts: Sequence[int | None]) -> list[Slice]:
    mean = file.rows // max(1, len(windows))
    return [
        Slice(
            file=0, start=at, end=at + 1, rows=count, bytes=(mean if count is None else count) * file.row_bytes,
            **window.bounds(),
        )
        for at, (window, count) in enumerate(zip(windows, counts, strict=True))
        if count is None or count or len(windows) == 1
    ]  # fmt: skip


def _up_to(slices: Sequence[Slice], max_rows: int | None) -> list[Slice]:
    """The slices with the first `max_rows` rows; else all, whose rows are not told: the database may know better."""
    if max_rows is None:
        return list(slices)
    found, left = [], max_rows
    for piece in slices:
        rows = min(piece.rows or 0, left)
        left -= rows
        if rows:
            found.append(piece.replace(rows=rows))
    return found


def _first(got: PartRead, rows: int) -> PartRead:
    """The first rows of what was read, those set aside among them."""
    total = got.block.num_rows + got.aside.num_rows
    if total <= rows:
        return got
    return _only(got, np.arange(rows))


def _drawn(got: PartRead, take: Take) -> PartRead:
    return _only(got, draw(got.block.num_rows + got.aside.num_rows, take))


def _only(got: PartRead, rows: np.ndarray[Any, Any]) -> PartRead:
    """Those rows of these numbers, and their numbers."""
    have = np.arange(got.block.num_rows) if got.row_numbers is None else np.asarray(got.row_numbers)
    kept = np.flatnonzero(np.isin(have, rows)).astype(np.int64)
    aside = got.aside.filter(pa.array(np.isin(np.asarray(got.aside["row"]), rows))) if got.aside.num_rows else got.aside
    numbers = pa.array(have[kept].astype(np.int64))
    return replace(got, block=got.block.take(pa.array(kept)), aside=aside, row_numbers=numbers)
