"""Files of rows to mend: written as CSV, JSON lines or Parquet, and read back with every value as text."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.blocks.frames import from_polars
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.aside import as_text
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.etl.quarantine.rawrows import texts_of
from raypipe.etl.quarantine.rows import ABOUT, ACTION, ACTIONS, BATCH_ROWS, ID

SUFFIXES = (".csv", ".jsonl", ".parquet")
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_QUOTED = r"^'['=+\-@\t\r]"


def write_rows(batches: Iterator[pl.DataFrame], path: Path) -> int:
    """Write rows by way of a temporary name, in the format that the name asks for; returns how many.

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe before it, which reading takes away.

    Raises
    ------
    ConfigError
        If the name ends in something else than `SUFFIXES`, or a file of that name is there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"quarantine fix: --out {path}: wanted a name that ends in {', '.join(SUFFIXES)}")
    if path.exists():
        raise ConfigError(f"quarantine fix: {path} is there already; it may hold somebody's mends. Choose another name")
    temp = path.with_name(f"{TEMP_MARK}{path.name}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = _write(batches, temp, path.suffix.lower())
            os.replace(temp, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temp.unlink()
    return rows


def _write(batches: Iterator[pl.DataFrame], temp: Path, suffix: str) -> int:
    rows = 0
    if suffix == ".parquet":
        writer = None
        for batch in batches:
            table = from_polars(batch)
            writer = writer or pq.ParquetWriter(temp, table.schema)
            writer.write_table(table)
            rows += batch.height
        if writer is not None:
            writer.close()
        return rows
    with temp.open("wb") as file:
        for batch in batches:
            if suffix == ".csv":
                pl.DataFrame([_guarded(batch[name]) for name in batch.columns]).write_csv(
                    file, include_header=rows == 0
                )
            else:
                batch.write_ndjson(file)
            rows += batch.height
    return rows


def _guarded(cells: pl.Series) -> pl.Series:
    """The cells as a spreadsheet may see them."""
    if cells.dtype != pl.String:
        return cells
    held = pl.lit(cells.alias(""))
    risky = (held.str.contains(_FORMULA) & ~held.str.contains(_NUMBER)) | held.str.contains(_QUOTED)
    return pl.select(pl.when(risky).then("'" + held).otherwise(held)).to_series().alias(cells.name)


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows of a file that `write_rows` wrote and somebody changed: text columns, `__id__` always among them.

    Parameters
    ----------
    columns : sequence of str
        Fields that the rows may have.

    Raises
    ------
    ConfigError
        If it has a column that is none of theirs, lacks `__id__`, or asks for an action that there is not.
    ReadError
        If it cannot be read.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"quarantine replay: {path}: wanted a file that ends in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ReadError(f"{path}: there is no such file. Make one: raypipe quarantine fix RUN --out {path.name}")
    try:
        for batch in _read(path, (*ABOUT, *columns)):
            _check(batch, path, columns)
            yield batch
    except (pl.exceptions.PolarsError, pa.ArrowException, UnicodeDecodeError, OSError) as error:
        told = str(error).strip().splitlines()[0]
        raise ReadError(f"{path}: cannot be read as {path.suffix.lower()[1:]}: {told}") from error


def _read(path: Path, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        frame = pl.read_csv(path, infer_schema=False)
        for batch in frame.iter_slices(BATCH_ROWS):
            texts = (batch[name] for name in batch.columns)
            yield pl.DataFrame([pl.select(_bare(cells)).to_series().alias(cells.name) for cells in texts])
    elif suffix == ".jsonl":
        yield from _read_jsonl(path, names)
    else:
        with pq.ParquetFile(path) as file:
            for piece in file.iter_batches(BATCH_ROWS):
                batch = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([piece])))
                yield pl.DataFrame([as_text(batch[name].alias("")).alias(name) for name in batch.columns])


def _bare(cells: pl.Series) -> pl.Expr:
    held = pl.lit(cells.alias(""))
    return pl.when(held.str.contains(_QUOTED)).then(held.str.slice(1)).otherwise(held)


def _read_jsonl(path: Path, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    with path.open(encoding="utf-8") as file:
        lines: list[str] = []
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                strange = set(json.loads(line)) - set(names)
            except (ValueError, TypeError) as error:
                raise ReadError(f"{path}, line {number}: is no JSON object: {error}") from error
            if strange:
                raise ConfigError(_unknown(path, sorted(strange)[0], names))
            lines.append(line)
            if len(lines) == BATCH_ROWS:
                yield texts_of(pl.Series(lines, dtype=pl.String), names)
                lines = []
        if lines:
            yield texts_of(pl.Series(lines, dtype=pl.String), names)


def _check(batch: pl.DataFrame, path: Path, columns: Sequence[str]) -> None:
    names = (*ABOUT, *columns)
    strange = [name for name in batch.columns if name not in names]
    if strange:
        raise ConfigError(_unknown(path, strange[0], names))
    if ID not in batch.columns or batch[ID].null_count():
        raise ConfigError(
            f"{path}: a row has no {ID}, so that nobody knows which row it mends; leave that column as it was"
        )
    if ACTION in batch.columns:
        wrong = batch[ACTION].drop_nulls().filter(~batch[ACTION].drop_nulls().is_in(ACTIONS))
        if len(wrong):
            raise ConfigError(f"{path}: {ACTION} is {wrong[0]!r}; it takes {', '.join(ACTIONS)}")


def _unknown(path: Path, name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{path}: has a column {name!r} that the rows in quarantine do not have.{hint}"
