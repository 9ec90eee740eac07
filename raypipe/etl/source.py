"""The source of a run: files that were looked at, one schema for them, and the parts they are read in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import ConfigDict

from raypipe.blocks.frames import canonical_schema
from raypipe.config import Frozen
from raypipe.errors import ReadError
from raypipe.etl.formats.csv_file import CsvFile
from raypipe.etl.formats.csv_guess import check_guess
from raypipe.etl.formats.csv_layout import Layout, Take, Wanted
from raypipe.etl.formats.csv_parse import Task, draw, read_part
from raypipe.etl.formats.csv_plan import Sampling, plan_csv
from raypipe.etl.formats.parquet import ParquetFile
from raypipe.etl.formats.parquet_rows import conform, read_range
from raypipe.etl.formats.slices import Slice, draw_seed
from raypipe.etl.types import Promotion, arrow_type, decide, kind_of
from raypipe.stage import Part, PartRead, SourceStage

logger = logging.getLogger(__name__)

MISCUT = "miscut"
"""Note of a part whose end turned out to be none: the source is to be cut exactly."""


class Cutting(Frozen):
    """How a CSV source was cut, so that it can be cut again."""

    target: int
    max_rows: int | None = None
    sample_rows: int | None = None


class TableSource(SourceStage):
    """CSV or Parquet files as one table, cut into parts. Small, and the same in every process."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True)

    format: Literal["csv", "parquet"]
    csv_files: tuple[CsvFile, ...] = ()
    parquet_files: tuple[ParquetFile, ...] = ()
    table_schema: pa.Schema
    """Columns that blocks have, under the types they travel with."""
    slices: tuple[Slice, ...] = ()
    null_values: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    """Columns whose type the user gave: never promoted."""
    seed: int = 0
    cutting: Cutting | None = None
    """CSV: how it was cut."""
    notes: tuple[str, ...] = ()
    """What a user should know: names that were changed, types that were joined, how a sample was drawn."""

    @property
    def name(self) -> str:
        return "read"

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, in source order."""
        return tuple(file.path for file in self.csv_files or self.parquet_files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.csv_files or self.parquet_files)

    def stamps(self) -> list[tuple[str, int, int, str]]:
        """Path, bytes, time of the last change (ns since 1970) and version of each file, in source order.

        A local file has no version but its time; an object in a bucket has no time but its version.
        """
        return [
            (file.path, file.size, file.mtime_ns, file.remote.version if file.remote else "")
            for file in self.csv_files or self.parquet_files
        ]

    @property
    def is_sample(self) -> bool:
        """Whether only drawn rows are read."""
        return any(piece.take is not None for piece in self.slices)

    def schema(self) -> pa.Schema:  # type: ignore[override]  # pydantic has a deprecated method of this name
        return self.table_schema

    def parts(self) -> Sequence[Part]:
        return [
            Part(
                id=self._part_id(piece),
                file=self.paths[piece.file],
                rows=piece.take if piece.take is not None else piece.rows,
                bytes=piece.bytes,
            )
            for piece in self.slices
        ]

    def _part_id(self, piece: Slice) -> str:
        digits = max(5, len(str(len(self.paths))))
        return f"{piece.file:0{digits}d}/{Path(self.paths[piece.file]).name}@{piece.start:013d}"

    def open(self) -> Callable[[Part], PartRead]:
        by_id = {self._part_id(piece): piece for piece in self.slices}
        read = self._csv_reader() if self.format == "csv" else self._read_parquet

        def read_one(part: Part) -> PartRead:
            if part.id not in by_id:
                raise ReadError(f"part {part.id!r} is not one of this source.")
            try:
                return read(by_id[part.id], part.id)
            except (FileNotFoundError, NotADirectoryError) as error:
                # Any other OSError passes: the engine tries again what may pass, and words the rest.
                raise ReadError(
                    f"{part.file}: is no longer there; it was when the run began. Put it back and run again."
                    " On a cluster, every node must see it under this path."
                ) from error

        return read_one

    def _csv_reader(self) -> Callable[[Slice, str], PartRead]:
        layouts = [self._layout(file) for file in self.csv_files]

        def read(piece: Slice, part_id: str) -> PartRead:
            file, layout = self.csv_files[piece.file], layouts[piece.file]
            take = Take(piece.take, draw_seed(self.seed, part_id)) if piece.take is not None else None
            raw, clean = file.raw(piece.start, piece.end), piece.clean
            if piece.sought is not None:
                checked = check_guess(raw, file, piece)
                if checked is None:
                    return PartRead(self.table_schema.empty_table(), bytes_read=len(raw), lines=0, notes={MISCUT: 1})
                clean = checked
            got = read_part(Task(raw, clean, piece.first_line, take), layout)
            block = conform(got.block, got.block.num_rows, self.table_schema)
            return replace(got, block=block, lines=None if take else got.lines)

        return read

    def read_text(self, path: str, text: str) -> PartRead:
        """Rows of a text that is written as one of the CSV files is, with its columns and without a header."""
        file = next((file for file in self.csv_files if file.path == path), None)
        if file is None:
            raise ReadError(f"{path}: is no CSV file of this source, so that its lines cannot be read.")
        layout = replace(self._layout(file), encoding="utf-8")
        read = read_part(Task(text.encode("utf-8", "replace"), clean=False), layout)
        return replace(read, block=conform(read.block, read.block.num_rows, self.table_schema))

    def _layout(self, file: CsvFile) -> Layout:
        kinds = {field.name: kind_of(field.type) or "text" for field in self.table_schema}
        wanted = tuple(Wanted(at, name, kinds[name]) for at, name in enumerate(file.names) if name in kinds)
        return Layout(file.dialect.grammar, file.part_encoding, len(file.names), wanted, self.null_values)

    def _read_parquet(self, piece: Slice, part_id: str) -> PartRead:
        file = self.parquet_files[piece.file]
        block, notes = read_range(file, piece.start, piece.end - piece.start, self.table_schema)
        if piece.take is None:
            return PartRead(block=block, bytes_read=block.nbytes, notes=notes)
        rows = draw(block.num_rows, Take(piece.take, draw_seed(self.seed, part_id)))
        numbers = pa.array(rows.astype(np.int64))
        return PartRead(block=block.take(numbers), row_numbers=numbers, bytes_read=block.nbytes, notes=notes)


def cut_exactly(source: TableSource) -> TableSource:
    """The source with cuts that are certain, after a part said `MISCUT`: the driver reads all of it once."""
    how = source.cutting
    assert how is not None
    sampling = Sampling(how.sample_rows, source.seed) if how.sample_rows else None
    plan = plan_csv(source.csv_files, how.target, how.max_rows, sampling, guess=False)
    logger.warning("%s: its quotes cannot be told from pieces of it; it is read as a whole to be cut", source.paths[0])
    return source.replace(slices=plan.slices)


def settle_types(
    source: TableSource, misfits: Mapping[str, Mapping[str, Any]], max_bad_share: float
) -> tuple[TableSource, list[Promotion]]:
    """The source with the types that the whole data ask for, and what was changed.

    Parameters
    ----------
    source : TableSource
        The plan that was read with.
    misfits : mapping
        Totals over all parts, from `gather_misfits`.
    max_bad_share : float
        A column keeps its type while at most this share of its values does not fit.

    Returns
    -------
    tuple of TableSource and list of Promotion
        `source` itself and an empty list where every type stands. It depends on totals only, not on parts.
    """
    promotions = []
    for field in source.table_schema:
        kind = kind_of(field.type)
        if field.name in misfits and field.name not in source.fixed and kind not in (None, "text"):
            promotion = decide(field.name, str(kind), misfits[field.name], max_bad_share)
            if promotion:
                promotions.append(promotion)
    if not promotions:
        return source, []
    targets = {promotion.column: arrow_type(promotion.to_type) for promotion in promotions}
    schema = pa.schema([(field.name, targets.get(field.name, field.type)) for field in source.table_schema])
    return source.replace(table_schema=canonical_schema(schema)), promotions
