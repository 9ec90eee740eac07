"""`quarantine.parquet`: every row that was set aside, with its file, line, stage and reason."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raypipe.blocks.rowlines import RowLines
from raypipe.engine.report import PartReport
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
_NAMES = QUARANTINE_SCHEMA.names
_REPEATED = ["file", "part", "stage", "column", "reason", "rules.list.element"]
"""Columns whose texts come again and again; looking for repeats in `raw` would cost more than all the rest."""
MOST_MARKS = 1 << 20
"""Numbers that are held to tell lines of rows (16 MiB); a file without line breaks in its cells takes one a part."""


class QuarantineWriter:
    """Appends set-aside rows, part after part, and keeps counts by stage and reason."""

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder. Name a file in it, such as quarantine.parquet")
        self.path = path
        self._temp = path.with_name(f"{TEMP_MARK}{path.name}")
        with writing(path):
            self._writer = pq.ParquetWriter(self._temp, QUARANTINE_SCHEMA, use_dictionary=_REPEATED)
        self._lines: dict[str, int] = {}
        self._first_line: dict[str, int] = {}
        self._row_lines: dict[str, RowLines] = {}
        self._marks = 0
        self.rows = 0
        self.by_reason: Counter[tuple[str, str | None]] = Counter()
        """(stage, column) -> rows."""

    def begin_part(self, report: PartReport) -> None:
        """Note where a part begins in its file, and its rows in it; parts come in order."""
        if report.lines is None:
            return
        self._first_line[report.part] = self._lines.get(report.file, 0)
        self._lines[report.file] = self._first_line[report.part] + report.lines
        if report.row_lines is not None and self._marks < MOST_MARKS:
            self._row_lines[report.part] = report.row_lines
            self._marks += len(report.row_lines.rows)

    def add(self, stage: str, part: Part, rows: pa.Table) -> None:
        """Append rows with `ASIDE_SCHEMA`."""
        told = {"file": part.file, "part": part.id, "stage": stage}
        have = {name: pa.repeat(text, rows.num_rows) for name, text in told.items()}
        have |= {name: rows[name] for name in rows.column_names} | {"line": self._numbered(part.id, rows)}
        columns = [have.get(name, pa.nulls(rows.num_rows, QUARANTINE_SCHEMA.field(name).type)) for name in _NAMES]
        with writing(self.path):
            self._writer.write_table(pa.table(columns, names=_NAMES).cast(QUARANTINE_SCHEMA))
        self.rows += rows.num_rows
        for column in pc.value_counts(rows["column"]).to_pylist():
            self.by_reason[stage, column["values"]] += column["counts"]

    def _numbered(self, part: str, rows: pa.Table) -> pa.Array:
        """Line of each row in its file, from 1. A stage names rows by their numbers only."""
        lines, first = rows["line"], self._first_line.get(part)
        if first is None:  # a sample, or a source without lines
            return pa.nulls(rows.num_rows, pa.int64())
        known = self._row_lines.get(part)
        if known is not None and lines.null_count:
            numbers = pc.fill_null(rows["row"], 0).to_numpy()
            found = pa.array(known.lines(numbers), mask=rows["row"].is_null().to_numpy())
            lines = pc.coalesce(lines, found)
        return pc.add(lines, first + 1)

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
