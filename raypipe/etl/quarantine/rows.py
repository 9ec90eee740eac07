"""Rows of a quarantine file as they are mended: each with an identity that lasts, its fields as text, and why it is
there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.blocks.frames import from_polars
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.quarantine.mended import CELLS, LINE, VALUES
from raypipe.etl.quarantine.rawrows import is_object, texts_of
from raypipe.etl.quarantine.writer import QUARANTINE_SCHEMA

BATCH_ROWS = 50_000
RULES = "rules"
READ = "read"
"""Stage that rows are set aside by whose text had no place, or was no value of its column."""
STATE_SCHEMA = QUARANTINE_SCHEMA.append(pa.field("id", pa.large_string())).append(
    pa.field("notation", pa.large_string())
)
"""A quarantine whose rows have an identity, and how their `raw` is written (see `raypipe.etl.quarantine.mended`)."""
ID, FILE, LINE_NUMBER, STAGE, COLUMN, REASON, ACTION, RAW = (
    "__id__", "__file__", "__line__", "__stage__", "__column__", "__reason__", "__action__", "__raw__",
)  # fmt: skip
ABOUT = (ID, FILE, LINE_NUMBER, STAGE, COLUMN, REASON, ACTION, RAW)
"""Columns of an exported file that are about a row; its fields follow under their own names."""
REPLAY, DROP, KEEP = "replay", "drop", "keep"
ACTIONS = (REPLAY, DROP, KEEP)
"""What is to become of a row: read again, dropped for good, or left in quarantine."""


def batches(path: Path) -> Iterator[pl.DataFrame]:
    """Rows of a quarantine file in pieces, in its order.

    Raises
    ------
    ReadError
        If it is no quarantine file.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        told = str(error).strip().splitlines()[0]
        raise ReadError(f"{path}: cannot be read as a quarantine file (Parquet): {told}") from error
    with file:
        missing = [name for name in QUARANTINE_SCHEMA.names if name not in (*file.schema_arrow.names, RULES)]
        if missing:
            raise ReadError(
                f"{path}: is no quarantine file; it lacks the columns {', '.join(missing)}. Name a run, or the "
                "quarantine.parquet of one"
            )
        for batch in file.iter_batches(BATCH_ROWS):
            rows = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
            # Runs of older releases knew of no rule files.
            yield rows if RULES in rows.columns else rows.with_columns(pl.lit(None, pl.List(pl.String)).alias(RULES))


def mark_of(run_id: str) -> str:
    """What the identities of the rows of a run begin with."""
    return hashlib.blake2b(run_id.encode(), digest_size=4).hexdigest()


def with_identity(path: Path, run_id: str, target: Path, format: str = "csv") -> int:
    """Write the quarantine of a run over files of this format with an identity for each row; returns how many rows.

    A row is named by the run and its place in the file that the run wrote, which nobody ever changes.
    """
    mark, rows = mark_of(run_id), 0
    with pq.ParquetWriter(target, STATE_SCHEMA) as writer:
        for batch in batches(path):
            numbers = pl.int_range(rows, rows + batch.height, eager=True)
            named = batch.select(QUARANTINE_SCHEMA.names).with_columns(
                id=f"{mark}-" + numbers.cast(pl.String), notation=_notations(batch, format)
            )
            writer.write_table(from_polars(named).cast(STATE_SCHEMA))
            rows += batch.height
    return rows


def _notations(batch: pl.DataFrame, format: str) -> pl.Series:
    """How each row is written. What other formats than CSV could not read is text of theirs, and no fields yet."""
    objects = pl.Series([is_object(text) for text in batch["raw"]], dtype=pl.Boolean)
    placed = pl.Series((batch["stage"] != READ) | (batch["row"].is_not_null() & (format == "csv")))
    which = pl.when(~(objects & placed)).then(pl.lit(LINE)).when(batch["stage"] == READ)
    return pl.select(which.then(pl.lit(CELLS)).otherwise(pl.lit(VALUES))).to_series()


def field_names(path: Path) -> list[str]:
    """Names of the fields that rows of a quarantine have, in the order in which they come up."""
    found: dict[str, None] = {}
    for batch in batches(path):
        for text in batch["raw"]:
            if is_object(text):
                found.update(dict.fromkeys(json.loads(text)))
    return list(found)


def rows_of(state: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Rows with `STATE_SCHEMA` as an exported file has them: `ABOUT`, then the fields as text."""
    is_line = state["notation"] == LINE
    fields = texts_of(pl.select(pl.when(is_line).then(pl.lit("{}")).otherwise(state["raw"])).to_series(), columns)
    about = state.select(
        pl.col("id").alias(ID),
        pl.col("file").alias(FILE),
        pl.col("line").alias(LINE_NUMBER),
        pl.col("stage").alias(STAGE),
        pl.col("column").alias(COLUMN),
        pl.col("reason").alias(REASON),
        pl.lit(REPLAY).alias(ACTION),
        pl.when(is_line).then("raw").alias(RAW),
    )
    return about.hstack(fields)


def refuse_taken_names(columns: Sequence[str]) -> None:
    """ConfigError if a column of the data has a name that an exported file needs for itself."""
    taken = [name for name in columns if name in ABOUT]
    if taken:
        raise ConfigError(
            f"quarantine: the data has a column {taken[0]!r}, which an exported file needs for itself; rename it in "
            "the source and run again"
        )
