"""`WriteFiles`: each part as a file of its own, or as one a folder of its partitions; on a disk or in a bucket."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars, to_polars
from raypipe.config.write import WriteOptions
from raypipe.errors import OutputError, SchemaError
from raypipe.etl.outputs import OTHER_FOLDER, TEMP_MARK, writing
from raypipe.etl.writers.encode import check_encodable, encode, suffix_of
from raypipe.etl.writers.names import file_name, folder_name, partition_texts
from raypipe.stage import SinkStage, require
from raypipe.storage.objects import RemoteFolder, write_whole

PREFIX = "part-"


class WriteFiles(SinkStage):
    """One file a part in `folder`, or one a partition of it; writing a part again replaces its files.

    On a disk a file is written under a temporary name and renamed. In a bucket it is put whole under its last name,
    which is made from the part, so that nothing there is ever renamed.
    """

    folder: Path | RemoteFolder
    options: WriteOptions = WriteOptions()
    header: bool = True
    """Whether each CSV file begins with the names of its columns."""
    prefix: str = PREFIX
    """What names of files begin with."""
    instead: str = OTHER_FOLDER
    """What to choose where the folder cannot be written."""

    @property
    def name(self) -> str:
        return f"Write{(self.options.format or 'parquet').title()}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        check_partitions(schema, self.options)
        check_encodable(schema, self.options)
        return schema

    def open(self) -> Callable[[pa.Table, str], dict[str, Any]]:
        if isinstance(self.folder, Path):
            with writing(self.folder, self.instead):
                self.folder.mkdir(parents=True, exist_ok=True)
        return self._write

    def _write(self, block: pa.Table, part: str) -> dict[str, Any]:
        name = f"{self.prefix}{file_name(part)}{suffix_of(self.options)}"
        files, notes = [], Counter[str]()
        for values, rows in self._pieces(block, part):
            folder = "/".join(folder_name(column, values[column]) for column in self.options.partition_by)
            file, lost = self._put(rows, folder, name)
            files.append({**file, "partition": values} if values else file)
            notes += lost
        receipt: dict[str, Any] = {"rows": block.num_rows, "bytes": sum(file["bytes"] for file in files)}
        if len(files) == 1:
            receipt |= files[0]
        return {**receipt, "part": part, "files": files, "notes": dict(notes)}

    def _pieces(self, block: pa.Table, part: str) -> Iterator[tuple[dict[str, str | None], pa.Table]]:
        """The rows of each partition, one after the other, so that a single file is open at a time."""
        columns = self.options.partition_by
        if not columns:
            yield {}, block
            return
        frame = to_polars(block)
        keys = pl.DataFrame([partition_texts(frame[column]).alias(f"k{at}") for at, column in enumerate(columns)])
        groups = keys.with_row_index("at").group_by(keys.columns, maintain_order=True).agg("at")
        if groups.height > self.options.max_partitions:
            raise OutputError(
                f"partition_by {', '.join(columns)}: part {part} has {groups.height:,} different values, more than "
                f"max_partitions ({self.options.max_partitions:,}). Choose columns with fewer values, or raise it"
            )
        for *values, rows in groups.iter_rows():
            chosen = frame[rows].drop(columns)
            yield dict(zip(columns, values, strict=True)), from_polars(chosen)

    def _put(self, block: pa.Table, folder: str, name: str) -> tuple[dict[str, Any], Counter[str]]:
        """One file; what a receipt says of it, and what was lost in it."""
        if isinstance(self.folder, RemoteFolder):
            held = BytesIO()
            notes = encode(block, self.options, held, header=self.header)
            below = self.folder.below(folder) if folder else self.folder
            address, content = below.address(name), held.getbuffer()
            write_whole(address, content, self.folder.storage)
            digest = hashlib.sha256(content).hexdigest()
            return {"path": str(address), "rows": block.num_rows, "bytes": len(content), "sha256": digest}, notes
        home = self.folder / folder
        temp, target = home / f"{TEMP_MARK}{name}", home / name
        with writing(target, self.instead):
            if folder:
                home.mkdir(parents=True, exist_ok=True)
            temp.touch()  # a format with nothing to say of no columns writes nothing
            notes = encode(block, self.options, temp, header=self.header)
            size = temp.stat().st_size
            os.replace(temp, target)
        return {"path": str(target), "rows": block.num_rows, "bytes": size}, notes


def check_partitions(schema: pa.Schema, options: WriteOptions) -> None:
    """Raise SchemaError if a column to partition by is not there, cannot name folders, or is all that there is."""
    columns = options.partition_by
    require(schema, *columns, by="partition_by")
    for column in columns:
        kind = schema.field(column).type
        if pa.types.is_nested(kind) or pa.types.is_floating(kind) or _is_bytes(kind):
            raise SchemaError(
                f"partition_by: column {column!r} is {kind}, whose values make no names of folders. "
                "Choose text, whole numbers, booleans, dates or times"
            )
    if columns and len(columns) == len(schema):
        raise SchemaError(f"partition_by: {', '.join(columns)} are all columns; files would have none. Leave one out")


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))
