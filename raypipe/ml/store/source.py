"""The files of a view's table at one version, read by whoever joins them: this process, or workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict

from raypipe.blocks.frames import canonical_schema, from_polars, to_polars
from raypipe.ml.store.tables import schema_of
from raypipe.stage import Part, PartRead, SourceStage

if TYPE_CHECKING:
    from deltalake import DeltaTable

EXPANDS = 3
"""Bytes in memory for one in a file, about."""


class TableFiles(SourceStage):
    """Columns of the files of a Delta table at one version."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    folder: str
    files: tuple[Part, ...]
    columns: pa.Schema

    def schema(self) -> pa.Schema:  # type: ignore[override]  # pydantic's deprecated BaseModel.schema is none of ours
        """See `SourceStage.schema`."""
        return canonical_schema(self.columns)

    def parts(self) -> Sequence[Part]:
        """See `SourceStage.parts`."""
        return self.files

    def open(self) -> Callable[[Part], PartRead]:
        """See `SourceStage.open`."""
        return lambda part: PartRead(self._read(part.file))

    def _read(self, file: str) -> pa.Table:
        """Rows of one file; a column that came later has no values in it."""
        path = Path(self.folder) / file
        there = set(pq.read_schema(path).names)
        table = pq.read_table(path, columns=[name for name in self.columns.names if name in there], partitioning=None)
        made = [
            table[field.name].cast(field.type) if field.name in there else pa.nulls(table.num_rows, field.type)
            for field in self.columns
        ]
        return from_polars(to_polars(pa.table(made, schema=self.columns)))


def files_of(table: DeltaTable, folder: Path, columns: Sequence[str]) -> TableFiles:
    """The files of a table at its version, in an order that depends on nothing but the version."""
    known = pa.table(table.get_add_actions(flatten=True)).select(["path", "size_bytes", "num_records"]).to_pylist()
    parts = tuple(
        Part(
            id=f"{number:06d}/{one['path']}",
            file=one["path"],
            rows=one["num_records"],
            bytes=one["size_bytes"] * EXPANDS,
        )
        for number, one in enumerate(sorted(known, key=lambda one: str(one["path"])))
    )
    schema = schema_of(table)
    wanted = pa.schema([schema.field(name) for name in columns])
    return TableFiles(folder=str(folder.resolve()), files=parts, columns=wanted)
