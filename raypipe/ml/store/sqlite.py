"""The file of the online store: the latest row of each entity, and what it was made from."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from raypipe.errors import OutputError, ReadError

WAIT_S = 30.0
"""Seconds that one writer waits for another."""
NAN = "NaN"
"""How a number that is none is kept: SQLite makes null of it."""
_STATES = "CREATE TABLE IF NOT EXISTS raypipe_views (view TEXT PRIMARY KEY, state TEXT NOT NULL)"  # one row a view


@dataclass(frozen=True)
class Kept:
    """What the rows of a view were made from."""

    table_id: str
    """Of the Delta table."""
    version: int
    as_of_us: int
    """Rows known after it are not in it; microseconds since 1970."""
    made_at: str
    definition: dict[str, Any]
    types: dict[str, str]
    """Column -> type in Delta, in their order: entities, event time, features."""


class LatestRows:
    """A SQLite file with one table a view. A change of rows and what tells of it are one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self, writing: bool) -> Iterator[sqlite3.Connection]:
        if not writing and not self.path.is_file():
            raise ReadError(f"online store: {self.path} is not there; materialize a view first")
        try:
            if writing:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)) as db:
                if writing:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute(_STATES)
                yield db
                if writing:
                    db.execute("COMMIT")
        except sqlite3.Error as error:
            kind = OutputError if writing else ReadError
            raise kind(f"online store {self.path}: SQLite says: {error}") from error

    def kept(self, view: str) -> Kept | None:
        """What the rows of a view were made from; None: it has none."""
        if not self.path.is_file():
            return None
        with self._open(writing=False) as db:
            return _kept(db, view)

    def write(
        self, view: str, kept: Kept, latest: pl.DataFrame, touched: pl.DataFrame | None, was: Kept | None
    ) -> bool:
        """Put the latest rows in.

        Parameters
        ----------
        latest : pl.DataFrame
            Columns as in `kept.types`, event time as microseconds.
        touched : pl.DataFrame, optional
            Entities whose rows go first; None: all go, and the table is made anew.
        was : Kept, optional
            What this change starts from.

        Returns
        -------
        bool
            False, with nothing written, where another writer changed the view since.
        """
        table, names = _table(view), list(kept.types)
        marks = ", ".join("?" * len(names))
        with self._open(writing=True) as db:
            if _kept(db, view) != was:
                return False
            if touched is None:
                keys = ", ".join(map(_quoted, kept.definition["entities"]))
                columns = ", ".join(map(_quoted, names))
                db.execute(f"DROP TABLE IF EXISTS {table}")
                db.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({keys})) WITHOUT ROWID")
            else:
                same = " AND ".join(f"{_quoted(name)} = ?" for name in touched.columns)
                db.executemany(f"DELETE FROM {table} WHERE {same}", touched.iter_rows())
            db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", _tuples(latest.select(names)))
            db.execute("INSERT OR REPLACE INTO raypipe_views VALUES (?, ?)", (view, json.dumps(asdict(kept))))
        return True

    def find(self, view: str, keys: pl.DataFrame) -> tuple[Kept, list[tuple[Any, ...]]]:
        """For each row of `keys` the row of the entity, or one of nulls; both from one moment.

        Raises
        ------
        ReadError
            If the view has no rows here.
        """
        with self._open(writing=False) as db:
            db.execute("PRAGMA temp_store = MEMORY")
            columns = ", ".join(map(_quoted, keys.columns))
            db.execute(f"CREATE TEMP TABLE wanted (_n INTEGER PRIMARY KEY, {columns})")
            marks = ", ".join("?" * (keys.width + 1))
            db.executemany(f"INSERT INTO wanted VALUES ({marks})", keys.with_row_index("_n").iter_rows())
            db.execute("BEGIN")
            kept = _kept(db, view)
            if kept is None:
                raise ReadError(f"online store {self.path}: view {view!r} is not in it; materialize it first")
            rest = ", ".join(f"kept.{_quoted(name)}" for name in kept.types if name not in keys.columns)
            same = " AND ".join(f"kept.{_quoted(name)} = wanted.{_quoted(name)}" for name in keys.columns)
            rows = db.execute(
                f"SELECT {rest} FROM wanted LEFT JOIN {_table(view)} AS kept ON {same} ORDER BY wanted._n"
            ).fetchall()
            db.execute("COMMIT")
        return kept, rows

    def count(self, view: str) -> int:
        """Entities of a view."""
        with self._open(writing=False) as db:
            return int(db.execute(f"SELECT count(*) FROM {_table(view)}").fetchone()[0])


def _kept(db: sqlite3.Connection, view: str) -> Kept | None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'raypipe_views'").fetchone() is None:
        return None
    row = db.execute("SELECT state FROM raypipe_views WHERE view = ?", (view,)).fetchone()
    return None if row is None else Kept(**json.loads(row[0]))


def _table(view: str) -> str:
    """The table of a view. To SQLite `a` and `A` are one name, to a view they are two."""
    told = f"view {view}"
    return _quoted(told if view == view.lower() else f"{told} {hashlib.sha256(view.encode()).hexdigest()[:12]}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _tuples(rows: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Rows as SQLite keeps them: times and dates as numbers, NaN as a text."""
    columns: list[Sequence[Any]] = []
    for column in rows.iter_columns():
        if column.dtype.is_temporal():
            column = column.to_physical()
        values = column.to_list()
        if column.dtype.is_float() and column.is_nan().any():
            values = [NAN if value is not None and math.isnan(value) else value for value in values]
        columns.append(values)
    return zip(*columns, strict=True)


def restored(values: Sequence[Any], name: str, kind: pl.DataType) -> pl.Series:
    """A column from what SQLite kept of it."""
    if kind.is_float():
        return pl.Series(name, [math.nan if value == NAN else value for value in values], pl.Float64)
    if kind.is_temporal():
        return pl.Series(name, values, pl.Int32 if kind == pl.Date else pl.Int64).cast(kind)
    if kind == pl.Boolean:
        return pl.Series(name, values, pl.Int64).cast(pl.Boolean)
    return pl.Series(name, values, kind)
