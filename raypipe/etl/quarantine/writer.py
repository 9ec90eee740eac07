"""`quarantine.parquet`: every row that was set aside, with its file, line, stage and reason."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.blocks.frames import from_polars, to_polars
from raypipe.errors import OutputError
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.stage import Part

QUARANTINE_SCHEMA = pa.schema(
    [
        ("file", pa.large_string()),
        ("part", pa.large_string()),
        ("row", pa.int64()),
        ("line", pa.int64()),
        ("stage", pa.large_string()),
        ("column", pa.large_string()),
        ("value", pa.large_string()),
        ("reason", pa.large_string()),
        ("raw", pa.large_string()),
        ("rules", pa.large_list(pa.large_string())),
    ]
)
"""`row`: number within the part, from 0. `line`: number of the text line in the file, from 1; null without lines.
`rules`: ids of all rules of a rule file that the row breaks, the first of which gives the reason; null for other
rows."""


class QuarantineWriter:
    """Appends set-aside rows, part after part, and keeps counts by stage and reason."""

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder. Name a file in it, such as quarantine.parquet")
        self.path = path
        self._temp = path.with_name(f"{TEMP_MARK}{path.name}")
        with writing(path):
            self._writer = pq.ParquetWriter(self._temp, QUARANTINE_SCHEMA)
        self._lines: dict[str, int] = {}
        self._first_line: dict[str, int] = {}
        self.rows = 0
        self.by_reason: Counter[tuple[str, str | None]] = Counter()
        """(stage, column) -> rows."""

    def begin_part(self, part: str, file: str, lines: int | None) -> None:
        """Note where a part begins in its file; parts come in order."""
        if lines is not None:
            self._first_line[part] = self._lines.get(file, 0)
            self._lines[file] = self._first_line[part] + lines

    def add(self, stage: str, part: Part, rows: pa.Table) -> None:
        """Append rows with `ASIDE_SCHEMA`."""
        first = self._first_line.get(part.id, 0)
        frame = to_polars(rows).select(
            pl.lit(part.file).alias("file"),
            pl.lit(part.id).alias("part"),
            "row",
            (pl.col("line") + first + 1).alias("line"),
            pl.lit(stage).alias("stage"),
            "column",
            "value",
            "reason",
            "raw",
            pl.col("rules") if "rules" in rows.column_names else pl.lit(None, pl.List(pl.String)).alias("rules"),
        )
        with writing(self.path):
            self._writer.write_table(from_polars(frame).cast(QUARANTINE_SCHEMA))
        self.rows += rows.num_rows
        for row in frame.group_by("column", maintain_order=True).len().iter_rows():
            self.by_reason[stage, row[0]] += row[1]

    def close(self) -> Path:
        """Finish the file under its name; if that fails, nothing half-written stays."""
        try:
            with writing(self.path):
                self._writer.close()
                os.replace(self._temp, self.path)
        except BaseException:
            self._temp.unlink(missing_ok=True)
            raise
        return self.path

    def discard(self) -> None:
        """Drop what was written; nothing stays behind."""
        with contextlib.suppress(OSError):  # on a full disk there is no room for the footer either
            self._writer.close()
        self._temp.unlink(missing_ok=True)
