"""`DataReader`: a file, a pattern or a folder as a table, in one go, in pieces, or as a source for the engine."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import canonical_schema
from raypipe.config import CellFormat, ReadOptions, StorageConfig
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.etl.files import find_format, list_places
from raypipe.etl.formats.cell_formats import find_formats
from raypipe.etl.formats.cells import Found, check_kind, find_kinds
from raypipe.etl.formats.csv_file import Sample, look_at
from raypipe.etl.formats.csv_plan import Sampling, plan_csv
from raypipe.etl.formats.parquet import ParquetFile, cut_ranges, read_footer, unify
from raypipe.etl.formats.slices import Slice, take_rows
from raypipe.etl.source import MISCUT, Cutting, TableSource, cut_exactly, settle_types
from raypipe.etl.types import Promotion, arrow_type, gather_misfits, join_found
from raypipe.stage import ASIDE_SCHEMA, Part, PartRead
from raypipe.storage.address import is_remote
from raypipe.storage.ranges import look_at_all
from raypipe.storage.source import Place, size_of

logger = logging.getLogger(__name__)

DEFAULT_PART_BYTES = 32 << 20
PARTS_AHEAD = 3
"""Parts of an object that are fetched at a time, where one process reads all."""
TYPED_FILES = 24
"""Of many CSV files, rows of so many are looked at for types, spread over all of them."""


@dataclass(frozen=True)
class ReadResult:
    """A whole source in memory."""

    table: pa.Table
    aside: pa.Table
    """Rows that could not be placed or typed (`ASIDE_SCHEMA`), with `line` counted within the part."""
    source: TableSource
    promotions: tuple[Promotion, ...] = ()
    parts: tuple[PartRead, ...] = ()


class DataReader:
    """Reads CSV and Parquet: a file, a pattern such as `data/*.csv`, or a folder with all that is below it.

    Parameters
    ----------
    path : str or Path
        What to read; also an address in a bucket, such as `s3://bucket/data/*.csv`.
    format : {"csv", "parquet"}, optional
        None finds it by looking at the content.
    options : ReadOptions
        How to read; what is left out is found by looking at the data.
    storage : StorageConfig
        Where buckets are.

    Raises
    ------
    ReadError
        If there is nothing to read, or a file is not what it should be.
    ConfigError
        If an option cannot be, or has no meaning for the format.
    """

    def __init__(
        self,
        path: str | Path,
        format: str | None = None,
        options: ReadOptions | None = None,
        storage: StorageConfig | None = None,
    ) -> None:
        self.path = path
        self.options = options or ReadOptions()
        self.files = list_places(path, storage or StorageConfig())
        self.format = find_format(self.files, format)
        columns = self.options.columns
        if columns is not None and not columns:
            raise ConfigError("columns: names no column. Name at least one, or leave it out to read all.")
        if columns is not None and len(set(columns)) < len(columns):
            raise ConfigError(f"columns: a name stands there twice: {', '.join(columns)}.")
        for column, kind in self.options.dtypes.items():
            check_kind(kind, column)
        if self.format == "parquet":
            _refuse_text_options(self.options)

    def source(
        self, seed: int = 42, sample_size: int | None = None, target_part_bytes: int = DEFAULT_PART_BYTES
    ) -> TableSource:
        """The plan: dialect, types and parts found; no row of it is kept.

        Parameters
        ----------
        seed : int
            Of the sample.
        sample_size : int, optional
            Rows to draw; None reads all.
        target_part_bytes : int
            Wanted size of a block in memory.
        """
        sampling = Sampling(sample_size, seed) if sample_size else None
        plan = self._csv_source if self.format == "csv" else self._parquet_source
        return plan(sampling, target_part_bytes, seed)

    def _csv_source(self, sampling: Sampling | None, target: int, seed: int) -> TableSource:
        samples = look_at_all(self.files, lambda path: _look(path, self.options))
        kinds, formats, notes = _csv_kinds(samples, self.options)
        files = tuple(sample.file for sample in samples)
        plan = plan_csv(files, target, self.options.max_rows, sampling)
        schema = canonical_schema(pa.schema([(name, arrow_type(kind)) for name, kind in kinds.items()]))
        return TableSource(
            format="csv",
            csv_files=files,
            table_schema=schema,
            slices=plan.slices,
            null_values=self.options.null_values,
            formats=formats,
            fixed=tuple(self.options.dtypes),
            seed=seed,
            cutting=Cutting(
                target=target, max_rows=self.options.max_rows, sample_rows=sampling.rows if sampling else None
            ),
            notes=(*notes, *plan.notes),
        )

    def _parquet_source(self, sampling: Sampling | None, target: int, seed: int) -> TableSource:
        files = tuple(look_at_all(self.files, _footer))
        unified = unify([(file.path, file.table_schema) for file in files], self.options.columns)
        schema = _select(unified.schema, self.options.columns, str(self.path))
        slices = _parquet_slices(files, schema, target, self.options.max_rows)
        notes = (*(note for file in files for note in file.notes), *unified.notes)
        if sampling:
            rows = [piece.end - piece.start for piece in slices]
            slices = tuple(take_rows(slices, rows, sampling.rows, sampling.seed))
            drawn = min(sampling.rows, sum(rows))
            notes = (
                *notes,
                f"simple random sample of {drawn:,} of {sum(rows):,} rows, exact; only parts with one are read",
            )
        return TableSource(
            format="parquet", parquet_files=files, table_schema=schema, slices=slices, seed=seed, notes=notes
        )

    def read_all(self, max_bad_share: float = 0.0) -> ReadResult:
        """The whole table with everything that was found on the way.

        Parameters
        ----------
        max_bad_share : float
            A column keeps its type while at most this share of its values does not fit; those rows stand in `aside`.
        """
        source = self.source()
        parts = _read_parts(source)
        if any(MISCUT in part.notes for part in parts):
            source = cut_exactly(source)
            parts = _read_parts(source)
        promotions: list[Promotion] = []
        while True:
            source, more = settle_types(source, gather_misfits(part.notes for part in parts), max_bad_share)
            if not more:
                break
            promotions += more
            parts = _read_parts(source)
        blocks = [part.block for part in parts]
        table = pa.concat_tables(blocks) if blocks else source.schema().empty_table()
        aside = pa.concat_tables([ASIDE_SCHEMA.empty_table(), *(part.aside for part in parts)])
        return ReadResult(table, aside, source, tuple(promotions), tuple(parts))

    def read(self) -> pa.Table:
        """The whole table. Rows that cannot be placed are left out with a warning; `read_all` returns them too."""
        result = self.read_all()
        if result.aside.num_rows:
            first = result.aside.slice(0, 1).to_pylist()[0]
            logger.warning(
                "%s: %d rows could not be read and are left out, the first for: %s. read_all() returns them.",
                self.path,
                result.aside.num_rows,
                first["reason"],
            )
        return result.table

    def read_chunked(self, rows: int) -> Iterator[pa.Table]:
        """Tables of `rows` rows each, the last with what is left; one part at a time is held in memory.

        The types are those of the whole source: it is read once beforehand if a sample left doubt.
        """
        if rows < 1:
            raise ConfigError(f"read_chunked: wants at least 1 row, got {rows}.")
        source = self._settled()
        waiting: list[pa.Table] = []
        for part in _parts_of(source):
            waiting.append(part.block)
            table = pa.concat_tables(waiting)
            whole = table.num_rows // rows * rows
            yield from (table.slice(start, rows) for start in range(0, whole, rows))
            waiting = [table.slice(whole)]
        if waiting and waiting[0].num_rows:
            yield waiting[0]

    def _settled(self) -> TableSource:
        """The source with types that hold for all of it."""
        source = self.source()
        while source.format == "csv":
            read = source.open()
            notes = [read(part).notes for part in source.parts()]
            if any(MISCUT in note for note in notes):
                source = cut_exactly(source)
                continue
            source, promotions = settle_types(source, gather_misfits(notes), 0.0)
            if not promotions:
                break
        return source

    def get_file_info(self) -> dict[str, Any]:
        """Format, size, columns and rows; the rows of a large CSV are an estimate, and said to be."""
        sizes = [size_of(path) for path in self.files]
        info: dict[str, Any] = {
            "file_path": str(self.path),
            "files": [str(path) for path in self.files],
            "format": self.format,
            "size_bytes": sum(sizes),
            "size_mb": round(sum(sizes) / 2**20, 3),
            "exists": True,
        }
        if self.format == "parquet":
            footers = look_at_all(self.files, _footer)
            columns = unify([(file.path, file.table_schema) for file in footers]).schema.names
            rows = sum(file.rows for file in footers)
            return info | {
                "columns": columns,
                "estimated_columns": len(columns),
                "estimated_rows": rows,
                "rows_exact": True,
            }
        samples = look_at_all(self.files, lambda path: _look(path, self.options))
        columns = list(dict.fromkeys(name for sample in samples for name in sample.file.names))
        dialect = samples[0].file.dialect
        estimates = [_estimate_rows(sample) for sample in samples]
        return info | {
            "columns": columns,
            "estimated_columns": len(columns),
            "estimated_rows": sum(rows for rows, _ in estimates),
            "rows_exact": all(exact for _, exact in estimates),
            "encoding": dialect.encoding,
            "delimiter": dialect.delimiter,
            "header": samples[0].file.has_header,
        }


def _estimate_rows(sample: Sample) -> tuple[int, bool]:
    """Rows of the file by the mean length of those sampled, and whether the sample is the file."""
    if sample.is_whole:
        return sample.texts.height, True
    body = max(0, sample.file.size - sample.file.data_start)
    return round(body / sample.bytes_per_row), False


def _look(path: Place, options: ReadOptions) -> Sample:
    try:
        return look_at(path, options)
    except PermissionError as error:
        raise ReadError(f"{path}: permission denied. Make it readable: chmod u+r {str(path)!r}.") from error


def _footer(path: Place) -> ParquetFile:
    try:
        return read_footer(path)
    except PermissionError as error:
        raise ReadError(f"{path}: permission denied. Make it readable: chmod u+r {str(path)!r}.") from error


def _read_parts(source: TableSource) -> list[PartRead]:
    return list(_parts_of(source))


def _parts_of(source: TableSource) -> Iterator[PartRead]:
    """The parts one after the other; what the file system refuses is a ReadError."""
    read = source.open()

    def read_one(part: Part) -> PartRead:
        try:
            return read(part)
        except OSError as error:
            raise ReadError(f"{part.file}: cannot be read: {error.strerror or error}.") from error

    if any(is_remote(path) for path in source.paths):
        yield from _ahead(read_one, source.parts())
    else:
        yield from map(read_one, source.parts())


def _ahead(read: Callable[[Part], PartRead], parts: Sequence[Part]) -> Iterator[PartRead]:
    """Parts in order, while the next ones are being fetched: a bucket is slow to begin an answer."""
    with ThreadPoolExecutor(PARTS_AHEAD) as pool:
        waiting = deque(pool.submit(read, part) for part in parts[:PARTS_AHEAD])
        for part in [*parts[PARTS_AHEAD:], *[None] * len(waiting)]:
            done = waiting.popleft().result()
            if part is not None:
                waiting.append(pool.submit(read, part))
            yield done


def _refuse_text_options(options: ReadOptions) -> None:
    """ConfigError for options that only text has."""
    given = {
        "delimiter": options.delimiter is not None,
        "encoding": options.encoding is not None,
        "header": options.header is not None,
        "skip_rows": options.skip_rows is not None,
        "dtypes": bool(options.dtypes),
    }
    wrong = [name for name, is_set in given.items() if is_set]
    if wrong:
        raise ConfigError(
            f"read_options: {', '.join(wrong)} have no meaning for Parquet, which says so itself. Leave them out."
        )


def _csv_kinds(
    samples: Sequence[Sample], options: ReadOptions
) -> tuple[dict[str, str], dict[str, CellFormat], list[str]]:
    """Kind of every wanted column, formats of those not written plainly, and notes."""
    names = list(dict.fromkeys(name for sample in samples for name in sample.file.names))
    for given in (options.columns, tuple(options.dtypes), tuple(options.formats)):
        missing = [name for name in given or () if name not in names]
        if missing:
            raise MissingColumnsError("read_options", missing, names)
    notes = [f"{sample.file.path}: {note}" for sample in samples for note in sample.file.notes]
    if len(samples) > 1:
        notes += [
            f"column {name!r} is not in every file; it is null where it is missing"
            for name in names
            if any(name not in sample.file.names for sample in samples)
        ]
    step = max(1, -(-len(samples) // TYPED_FILES))
    looked = [*samples[::step], *([samples[-1]] if (len(samples) - 1) % step else [])]
    found = _found(looked, options)
    kinds: dict[str, str] = {}
    formats: dict[str, CellFormat] = {}
    for name in options.columns or names:
        known = [one for one in found.get(name, ()) if one.values]
        joined, how = join_found(known)
        wanted = options.dtypes.get(name, joined)
        kinds[name] = joined if (wanted, joined) == ("datetime", "datetime_utc") else wanted
        if (how := options.formats.get(name, how)) is not None:
            formats[name] = how
        if len({one.kind for one in known}) > 1 and name not in options.dtypes:
            notes.append(_join_note(name, joined, looked, found[name]))
        if name not in options.dtypes:
            notes += [f"column {name!r} {note}" for note in dict.fromkeys(one.note for one in known) if note]
    return kinds, formats, notes


def _join_note(name: str, joined: str, samples: Sequence[Sample], found: Sequence[Found]) -> str:
    holding = [sample.file.path for sample in samples if name in sample.file.names]
    places = dict(reversed([(one.kind, path) for one, path in zip(found, holding, strict=True) if one.values]))
    said = " and ".join(f"{kind} in {path}" for kind, path in places.items())
    return f"column {name!r} is {said}; it is read as {joined}"


def _found(samples: Sequence[Sample], options: ReadOptions) -> dict[str, list[Found]]:
    """What each sample says of each of its columns."""
    found: dict[str, list[Found]] = {}
    for sample in samples:
        plain = find_kinds(sample.texts, options.null_values)
        for name, one in zip(
            sample.file.names, find_formats(sample.texts, sample.file.names, plain, options), strict=True
        ):
            found.setdefault(name, []).append(one)
    return found


def _select(schema: pa.Schema, columns: Sequence[str] | None, path: str) -> pa.Schema:
    if columns is None:
        return schema
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise MissingColumnsError(path, missing, schema.names)
    return pa.schema([schema.field(name) for name in columns])


def _parquet_slices(
    files: Sequence[ParquetFile], schema: pa.Schema, target: int, max_rows: int | None
) -> tuple[Slice, ...]:
    """Row ranges of all files, up to `max_rows` rows."""
    left, slices = max_rows, []
    for index, file in enumerate(files):
        for span in cut_ranges(file, schema, target):
            rows = span.rows if left is None else min(span.rows, left)
            if rows:
                size = span.bytes * rows // span.rows
                slices.append(Slice(file=index, start=span.start, end=span.start + rows, rows=rows, bytes=size))
            left = None if left is None else left - rows
    return tuple(slices)
