"""The source of a run: files that were looked at, one schema for them, and the parts they are read in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ConfigDict, SerializeAsAny

from raypipe.blocks.frames import canonical_schema
from raypipe.config import ReadOptions
from raypipe.errors import ReadError, SchemaError
from raypipe.etl.formats.format import Cutting, SourceFile
from raypipe.etl.formats.registry import FORMATS
from raypipe.etl.formats.slices import MISCUT, Slice
from raypipe.etl.partitions import Added, with_added
from raypipe.etl.types import Promotion, appeared, arrow_type, decide, kind_of
from raypipe.stage import Part, PartRead, SourceStage

__all__ = ["MISCUT", "TableSource", "cut_exactly", "settle_types"]
logger = logging.getLogger(__name__)


class TableSource(SourceStage):
    """Files of one format as one table, cut into parts. Small, and the same in every process."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    format: str
    """Name of an entry of `FORMATS`."""
    files: tuple[SerializeAsAny[SourceFile], ...]
    """As they were looked at, in source order."""
    table_schema: pa.Schema
    """Columns that blocks have, under the types they travel with."""
    slices: tuple[Slice, ...] = ()
    options: ReadOptions = ReadOptions()
    fixed: tuple[str, ...] = ()
    """Columns whose type the user gave: never promoted."""
    added: tuple[Added, ...] = ()
    """Columns with one value a file, which no file holds."""
    filler: pa.Schema | None = None
    """A column to read where none of the files' own is wanted, so that their rows are counted."""
    seed: int = 0
    cutting: Cutting | None = None
    """How it was cut."""
    notes: tuple[str, ...] = ()
    """What a user should know: names that were changed, types that were joined, how a sample was drawn."""

    @property
    def name(self) -> str:
        return "read"

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, in source order."""
        return tuple(file.path for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def stamps(self) -> list[tuple[str, int, int, str]]:
        """Path, bytes, time of the last change (ns since 1970) and version of each file, in source order.

        A local file has no version but its time; an object in a bucket has no time but its version.
        """
        return [file.stamp() for file in self.files]

    def pinned(self, options: ReadOptions) -> ReadOptions:
        """The options under which the source is found again as it was, such as the version of a table."""
        for file in self.files:
            options = file.pinned(options)
        return options

    def release(self) -> None:
        """Let go of what is held for those who read it: nobody does any more."""
        for file in self.files:
            file.release()

    @property
    def is_sample(self) -> bool:
        """Whether only drawn rows are read."""
        return any(piece.take is not None for piece in self.slices)

    @property
    def read_schema(self) -> pa.Schema:
        """Columns that the format is to read from the files."""
        if not self.added:
            return self.table_schema
        names = {one.name for one in self.added}
        return self.filler or pa.schema([field for field in self.table_schema if field.name not in names])

    @property
    def is_quick(self) -> bool:
        return FORMATS[self.format].by_column and all(
            file.remote is None and file.packed is None for file in self.files
        )

    def narrowed(self, columns: frozenset[str]) -> TableSource:
        schema = pa.schema([field for field in self.table_schema if field.name in columns])
        if not schema.names:  # Rows without columns cannot be counted.
            return self
        added = tuple(one for one in self.added if one.name in columns)
        filler = self.filler
        if len(added) == len(schema):
            filler = filler or pa.schema([next(iter(self.read_schema))])
        return self.replace(table_schema=schema, added=added, filler=filler)

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
        read = FORMATS[self.format].open(self)

        def read_one(part: Part) -> PartRead:
            if part.id not in by_id:
                raise ReadError(f"part {part.id!r} is not one of this source.")
            try:
                piece = by_id[part.id]
                got = read(piece, part.id)
                return replace(got, block=with_added(got.block, self.added, piece.file, self.table_schema))
            except (FileNotFoundError, NotADirectoryError) as error:
                # Any other OSError passes: the engine tries again what may pass, and words the rest.
                raise ReadError(
                    f"{part.file}: is no longer there; it was when the run began. Put it back and run again."
                    " On a cluster, every node must see it under this path."
                ) from error

        return read_one


def cut_exactly(source: TableSource) -> TableSource:
    """The source with cuts that are certain, after a part said `MISCUT`: the driver reads all of it once."""
    assert source.cutting is not None
    cut = FORMATS[source.format].cut(source.files, source.read_schema, source.cutting.replace(guess=False))
    logger.warning("%s: its quotes cannot be told from pieces of it; it is read as a whole to be cut", source.paths[0])
    return source.replace(slices=cut.slices)


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
        if field.name in misfits and field.name not in source.fixed and kind != "text":
            promotion = decide(field.name, kind or str(field.type), misfits[field.name], max_bad_share)
            if promotion:
                promotions.append(promotion)
    known = set(source.table_schema.names)
    twice = next((one.name for one in source.added if misfits.get(one.name, {}).get("new")), None)
    if twice is not None:
        raise SchemaError(
            f"read: field {twice!r} is in some rows of the files, and comes from their folders (or file_column), too."
            " Set read_options.folder_columns to false, or file_column to another name."
        )
    promotions += [appeared(name, found) for name, found in misfits.items() if name not in known and found.get("new")]
    if not promotions:
        return source, []
    targets = {promotion.column: arrow_type(promotion.to_type) for promotion in promotions}
    fields = [(field.name, targets.pop(field.name, field.type)) for field in source.table_schema]
    schema = pa.schema([*fields, *targets.items()])
    return source.replace(table_schema=canonical_schema(schema)), promotions
