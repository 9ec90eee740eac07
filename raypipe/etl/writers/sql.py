"""Tables of SQLite and PostgreSQL, through ADBC, in one transaction: readers see all of it or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import from_polars, to_polars
from raypipe.config.write import WriteOptions
from raypipe.errors import ConfigError, OutputError, SchemaError
from raypipe.etl.aside import as_text
from raypipe.etl.wording import shown
from raypipe.etl.writers.encode import NAN_AS_NULL
from raypipe.etl.writers.sql_place import columns_of, connected, full_name, name, parse_url, told
from raypipe.etl.writers.target import Blocks, Target, Written
from raypipe.stage import SinkStage, require

STAGING = "raypipe_new_rows"
"""A temporary table of the connection, for rows on their way into a table that is there."""


class SqlTarget(Target):
    """One table, written by the driver from one block after the other, in one transaction.

    Parameters
    ----------
    url : str
        `sqlite:///file.db`, or `postgresql://user@host:5432/database`. A password in it is refused.
    """

    def __init__(self, url: str, options: WriteOptions) -> None:
        self._dialect, self._url = parse_url(url)
        super().__init__(self._url, options)
        self._table = full_name(str(options.sql.table), options.sql.db_schema)

    # ---- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: pa.Schema) -> None:
        """See `Target.check`."""
        require_extra("sql", by="SQL")
        how, mode = self.options.sql, self.options.mode
        if not how.table:
            raise ConfigError(f"{self.name}: which table? Name it: --table NAME")
        if how.db_schema is not None and self._dialect == "sqlite":
            raise ConfigError("sql.db_schema: SQLite has no schemas. Leave it out")
        require(schema, *self.options.key, by="key")
        self._check_names(schema)
        with connected(self._url, how) as connection, told(self.name), connection.cursor() as cursor:
            there = columns_of(cursor, self._dialect, how.table, how.db_schema)
        if there and mode == "new":
            raise ConfigError(
                f"{self.name}: table {how.table} is there already. Choose another one, or say what to do with it: "
                "--mode append, overwrite or merge"
            )
        if there and mode in ("append", "merge"):
            self._check_fit(schema, there)
        if not there and mode == "merge":
            raise ConfigError(f"{self.name}: there is no table {how.table} to merge into. Make it first: --mode new")

    def _check_names(self, schema: pa.Schema) -> None:
        if not schema.names:
            raise SchemaError(f"{self.name}: the source has no columns, and a table of SQL needs one. Write Parquet")
        lower = [one.lower() for one in schema.names]
        twice = next((one for one in schema.names if lower.count(one.lower()) > 1), None)
        if twice is not None and self._dialect == "sqlite":
            raise SchemaError(f"{self.name}: column {shown(twice)} is there twice but for capitals, one for SQLite")
        if any("\0" in one or not one for one in schema.names):
            raise SchemaError(f"{self.name}: a column has no name, or a zero byte in it, which SQL does not take")

    def _check_fit(self, schema: pa.Schema, there: Iterable[str]) -> None:
        missing = [one for one in schema.names if one not in there]
        if missing:
            raise SchemaError(
                f"{self.name}: table {self.options.sql.table} has no column {', '.join(map(shown, missing))}. It has: "
                f"{', '.join(there)}. Add them to the table, or replace it: --mode overwrite"
            )

    # ---- writing ----------------------------------------------------------------------------------------------------

    def sink(self, schema: pa.Schema) -> SinkStage | None:
        """See `Target.sink`."""
        return None

    def commit(self, schema: pa.Schema, receipts: Sequence[dict[str, Any]], blocks: Blocks) -> Written:
        """See `Target.commit`."""
        how, mode = self.options.sql, self.options.mode
        table = str(how.table)
        with connected(self._url, how) as connection, told(self.name), connection.cursor() as cursor:
            if mode == "overwrite":
                cursor.execute(f"DROP TABLE IF EXISTS {self._table}")
            there = columns_of(cursor, self._dialect, table, how.db_schema)
            detail: dict[str, Any] = {"table": table}
            if there:
                rows, lost = self._ingest(cursor, STAGING, schema, blocks)
                self._check_values(cursor, schema, there)
                detail |= self._merge(cursor, schema, there) if mode == "merge" else self._append(cursor, schema)
                cursor.execute(f"DROP TABLE {STAGING}")
            else:
                rows, lost = self._ingest(cursor, table, schema, blocks)
            connection.commit()
        return Written(rows, 0, [], detail | ({NAN_AS_NULL: lost} if lost else {}))

    def _ingest(self, cursor: Any, table: str, schema: pa.Schema, blocks: Blocks) -> tuple[int, int]:
        """Make a table of all rows; returns how many, and how many NaN the database has no value for."""
        how = self.options.sql
        where: dict[str, Any] = {"temporary": True} if table == STAGING else {"db_schema_name": how.db_schema}
        where = {key: value for key, value in where.items() if value is not None}
        cursor.adbc_ingest(table, _ready(schema.empty_table(), self._dialect), "create", **where)
        rows = lost = 0
        for block in blocks():
            if block.num_rows:
                cursor.adbc_ingest(table, _ready(block, self._dialect), "append", **where)
                rows += block.num_rows
                lost += _nans(block) if self._dialect == "sqlite" else 0
        return rows, lost

    def _append(self, cursor: Any, schema: pa.Schema) -> dict[str, int]:
        columns = ", ".join(map(name, schema.names))
        cursor.execute(f"INSERT INTO {self._table} ({columns}) SELECT {columns} FROM {STAGING}")
        return {}

    def _merge(self, cursor: Any, schema: pa.Schema, there: Iterable[str]) -> dict[str, int]:
        """Replace rows with equal keys, and add the others."""
        keys = [name(key) for key in self.options.key]
        self._refuse_repeats(cursor, keys)
        same = " AND ".join(f"{self._table}.{key} = {STAGING}.{key}" for key in keys)
        updated = _count(cursor, f"{self._table} WHERE EXISTS (SELECT 1 FROM {STAGING} WHERE {same})")
        before = _count(cursor, self._table)
        others = [name(column) for column in schema.names if column not in self.options.key]
        if others:
            changes = ", ".join(f"{column} = {STAGING}.{column}" for column in others)
            cursor.execute(f"UPDATE {self._table} SET {changes} FROM {STAGING} WHERE {same}")
        columns = ", ".join(map(name, schema.names))
        cursor.execute(
            f"INSERT INTO {self._table} ({columns}) SELECT {columns} FROM {STAGING} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self._table} WHERE {same})"
        )
        return {"rows_updated": updated, "rows_inserted": _count(cursor, self._table) - before}

    def _refuse_repeats(self, cursor: Any, keys: Sequence[str]) -> None:
        chosen = ", ".join(keys)
        cursor.execute(f"SELECT {chosen}, count(*) FROM {STAGING} GROUP BY {chosen} HAVING count(*) > 1 LIMIT 1")
        found = cursor.fetchone()
        if found is not None and None not in found[:-1]:
            raise OutputError(
                f"{self.name}: the key {', '.join(self.options.key)} = {', '.join(map(shown, found[:-1]))} stands in "
                f"{found[-1]:,} rows of the source; which one should win? Nothing was written. Drop all but one"
            )

    def _check_values(self, cursor: Any, schema: pa.Schema, there: dict[str, str]) -> None:
        """Raise OutputError if a column of the table would change a value, as PostgreSQL's integers round fractions."""
        if self._dialect == "sqlite":  # which keeps any value in any column
            return
        ours = columns_of(cursor, self._dialect, STAGING, None)
        for column in schema.names:
            if ours[column] == there[column]:
                continue
            changed = f"CAST(CAST({name(column)} AS {there[column]}) AS {ours[column]}) IS DISTINCT FROM {name(column)}"
            count = _count(cursor, f"{STAGING} WHERE {changed}")
            if count:
                raise OutputError(
                    f"{self.name}: {count:,} values of column {shown(column)} ({ours[column]}) would change in the "
                    f"table's column of type {there[column]}. Nothing was written. Alter the table, or mend the values"
                )


def _count(cursor: Any, what: str) -> int:
    cursor.execute(f"SELECT count(*) FROM {what}")
    return int(cursor.fetchone()[0])


def _nans(block: pa.Table) -> int:
    frame = to_polars(block)
    return sum(int(frame[one].is_nan().sum()) for one in frame.columns if frame[one].dtype.is_float())


def _ready(block: pa.Table, dialect: str) -> pa.Table:
    """The block with types that the database takes: what it has no type for becomes text."""
    frame = to_polars(block)
    return from_polars(pl.DataFrame([_column(frame[one], dialect) for one in frame.columns]))


def _column(cells: pl.Series, dialect: str) -> pl.Series:
    kind = cells.dtype
    if kind.is_nested() or kind in (pl.Duration, pl.Categorical, pl.Enum):
        return as_text(cells.alias("")).alias(cells.name)
    if dialect == "sqlite" and kind == pl.Boolean:
        return cells.cast(pl.Int64)
    if dialect == "sqlite" and (kind.is_temporal() or kind.is_decimal()):
        return cells.dt.to_string("iso:strict") if isinstance(kind, pl.Datetime) else cells.cast(pl.String)
    return cells
