"""`DataReader`: a file, a pattern or a folder as a table, in one go, in pieces, or as a source for the engine."""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import no_rows
from raypipe.config import ReadOptions, StorageConfig
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.files import find_source
from raypipe.etl.formats.format import Cutting, Format, Joined, Look, Spot, Whole
from raypipe.etl.partitions import Added, added_columns, schema_with
from raypipe.etl.source import MISCUT, TableSource, cut_exactly, settle_types
from raypipe.etl.types import Promotion, gather_misfits
from raypipe.stage import ASIDE_SCHEMA, Part, PartRead
from raypipe.storage.address import is_remote
from raypipe.storage.ranges import look_at_all
from raypipe.storage.source import size_of

logger = logging.getLogger(__name__)

DEFAULT_PART_BYTES = 32 << 20
WHOLE_BYTES = 256 << 20
"""Taken for the size of a table of a lake or a database before it is looked at."""
PARTS_AHEAD = 3
"""Parts of an object that are fetched at a time, where one process reads all."""


@dataclass(frozen=True)
class ReadResult:
    """A whole source in memory."""

    table: pa.Table
    aside: pa.Table
    """Rows that could not be placed or typed (`ASIDE_SCHEMA`), with `line` counted within the part."""
    source: TableSource
    promotions: tuple[Promotion, ...] = ()
    parts: tuple[PartRead, ...] = ()


COLUMN_BYTES = 24 << 10
"""Bytes of a column that make its share of the work on a block worth the while."""


class DataReader:
    """Reads a file, a pattern such as `data/*.csv`, or a folder with all that is below it, in any of `FORMATS`.

    Parameters
    ----------
    path : str or Path
        What to read; also an address in a bucket, such as `s3://bucket/data/*.csv`.
    format : str, optional
        Name of an entry of `FORMATS`, such as "csv"; None finds it by looking at the content.
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
        self._format, self.files = find_source(path, format, storage or StorageConfig())
        self.format = self._format.name
        check_options(self._format, self.options)
        if self._format.extra is not None:
            require_extra(self._format.extra, by=f"reading {self._format.title}")

    @property
    def memory_bytes(self) -> int:
        """Rough size of the whole source in memory; it only decides how finely a source is cut."""
        files = [file for file in self.files if not isinstance(file, Whole)]
        if len(files) < len(self.files):
            return WHOLE_BYTES
        return sum(map(size_of, files)) * self._format.memory_per_byte

    def source(
        self,
        seed: int = 42,
        sample_size: int | None = None,
        target_part_bytes: int = DEFAULT_PART_BYTES,
        most_part_bytes: int = 0,
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
        most_part_bytes : int
            Size up to which blocks may be larger than that where they have many columns: the work on a block grows with
            its columns, however few rows it has.
        """
        looks = self._look()
        files = tuple(look.file for look in looks)
        own = [self._format.names_in([look]) for look in looks]
        added, notes = added_columns(self.path, [file.path for file in files], own, self.options)
        joined, filler = self._joined(looks, added)
        columns = len(joined.schema) + len(added)
        target = max(target_part_bytes, min(most_part_bytes, columns * COLUMN_BYTES))
        how = Cutting(target=target, max_rows=self.options.max_rows, sample_rows=sample_size or None, seed=seed)
        cut = self._format.cut(files, filler or joined.schema, how)
        return TableSource(
            format=self.format,
            files=files,
            table_schema=schema_with(joined.schema, added, self.options.columns) if added else joined.schema,
            added=added,
            filler=filler,
            slices=cut.slices,
            options=self.options.replace(formats={**self.options.formats, **joined.formats}),
            fixed=joined.fixed,
            seed=seed,
            cutting=how,
            notes=(*joined.notes, *notes, *cut.notes),
        )

    def _joined(self, looks: Sequence[Look], added: Sequence[Added]) -> tuple[Joined, pa.Schema | None]:
        """The schema of the files' own columns, and one column to read where none of these is wanted."""
        names = {one.name for one in added}
        if not names:
            return self._format.join(looks, self.options), None
        dtypes = {name: kind for name, kind in self.options.dtypes.items() if name not in names}
        wanted = self.options.columns
        left = tuple(name for name in wanted if name not in names) if wanted is not None else None
        joined = self._format.join(looks, self.options.replace(columns=left or None, dtypes=dtypes))
        if wanted is None or left:
            return joined, None
        return dataclasses.replace(joined, schema=pa.schema([])), pa.schema([joined.schema.field(0)])

    def _look(self) -> list[Look]:
        return look_at_all(self.files, self._look_at)

    def _look_at(self, place: Spot) -> Look:
        try:
            return self._format.look(place, self.options)
        except PermissionError as error:
            raise ReadError(f"{place}: permission denied. Make it readable: chmod u+r {str(place)!r}.") from error

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
        source.release()
        blocks = [part.block for part in parts]
        table = pa.concat_tables(blocks) if blocks else no_rows(source.schema())
        aside = pa.concat_tables([no_rows(ASIDE_SCHEMA), *(part.aside for part in parts)])
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
        source = self.settled()
        waiting: list[pa.Table] = []
        for part in _parts_of(source):
            waiting.append(part.block)
            table = pa.concat_tables(waiting)
            whole = table.num_rows // rows * rows
            yield from (table.slice(start, rows) for start in range(0, whole, rows))
            waiting = [table.slice(whole)]
        source.release()
        if waiting and waiting[0].num_rows:
            yield waiting[0]

    def settled(self, max_bad_share: float = 0.0) -> TableSource:
        """The source with types that hold for all of it: it is read once, part by part.

        Parameters
        ----------
        max_bad_share : float
            A column keeps its type while at most this share of its values does not fit.
        """
        source = self.source()
        while self._format.settles:
            read = source.open()
            notes = [read(part).notes for part in source.parts()]
            if any(MISCUT in note for note in notes):
                source = cut_exactly(source)
                continue
            source, promotions = settle_types(source, gather_misfits(notes), max_bad_share)
            if not promotions:
                break
        return source

    def get_file_info(self) -> dict[str, Any]:
        """Format, size, columns and rows; the rows of large text are an estimate, and said to be."""
        size = sum(size_of(path) for path in self.files if not isinstance(path, Whole))
        looks = self._look()
        for look in looks:
            look.file.release()
        return {
            "file_path": str(self.path),
            "files": [str(path) for path in self.files],
            "format": self.format,
            "size_bytes": size,
            "size_mb": round(size / 2**20, 3),
            "exists": True,
        } | self._format.info(looks)


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


def check_options(format: Format, options: ReadOptions) -> None:
    """ConfigError for options that cannot be, or that the format does not honour."""
    columns = options.columns
    if columns is not None and not columns:
        raise ConfigError("columns: names no column. Name at least one, or leave it out to read all.")
    if columns is not None and len(set(columns)) < len(columns):
        raise ConfigError(f"columns: a name stands there twice: {', '.join(columns)}.")
    plain = dict(ReadOptions())
    wrong = [name for name, value in options if value != plain[name] and name not in format.honours]
    if wrong:
        have, it = ("have", "them") if len(wrong) > 1 else ("has", "it")
        raise ConfigError(
            f"read_options: {', '.join(wrong)} {have} no meaning for {format.title}, {format.why_refused}."
            f" Leave {it} out."
        )
