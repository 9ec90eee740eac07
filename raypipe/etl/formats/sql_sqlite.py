"""SQLite files, by the standard library: columns there hold any kind of value, and ADBC's driver guesses from the first
rows what the others are.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats.sql_address import SqlAddress
from raypipe.etl.formats.sql_source import KeyKind, SqlColumn, SqlFile, Window
from raypipe.etl.formats.sql_text import (
    buckets,
    check_choice,
    check_columns,
    key_of,
    quoted,
    relation_of,
    select,
)
from raypipe.etl.formats.sql_values import kind_for, table_of
from raypipe.etl.wording import shown
from raypipe.stage import PartRead

SAMPLE = 1_000
_ROW_IDS = ("rowid", "_rowid_", "oid")
_COUNTER_AT, _COUNTER_BYTES = 24, 4
_HEADER = b"SQLite format 3\0"
_AFFINITY: tuple[tuple[str, pa.DataType], ...] = (
    ("INT", pa.int64()), ("CHAR", pa.large_string()), ("CLOB", pa.large_string()), ("TEXT", pa.large_string()),
    ("BLOB", pa.large_binary()), ("REAL", pa.float64()), ("FLOA", pa.float64()), ("DOUB", pa.float64()),
)  # fmt: skip


class SqliteBackend:
    """Reads SQLite; nothing is ever written."""

    def look(self, address: SqlAddress, options: ReadOptions) -> SqlFile:
        path = _path(address)
        with _connected(address) as connection, _worded(address):
            tables = _names(connection, "'table', 'view'")
            table = check_choice(options, tables, address)
            relation = relation_of((table,) if table else None, options.query)
            names = [item[0] for item in connection.execute(f"SELECT * FROM {relation} LIMIT 0").description]
            what = f"table {table!r}" if table else "the query"
            check_columns(names, options, what)
            row_id = _row_id(connection, relation, names) if table in _names(connection, "'table'") else None
            declared = _declared(connection, table) if table else {}
            sample = _sample(connection, relation, row_id)
            rows = int(connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])
        kinds = [_kind(declared.get(name, ""), [row[at] for row in sample]) for at, name in enumerate(names)]
        columns = tuple(
            SqlColumn(name=name, expression=quoted(name), kind=kind) for name, kind in zip(names, kinds, strict=True)
        )
        block = table_of(sample, pa.schema([(column.name, column.kind) for column in columns])).block
        every = ", ".join(quoted(name) for name in names)
        file = SqlFile(
            path=f"{address}#{table or 'query'}", size=path.stat().st_size, mtime_ns=path.stat().st_mtime_ns,
            address=address, relation=relation, columns=columns, rows=rows,
            row_bytes=max(1, block.nbytes // max(1, block.num_rows)), by="row" if row_id else "offset",
            key=row_id or "", order=row_id or every, token=_state(path),
        )  # fmt: skip
        return _by_range(file, options, sample, names, row_id or every)

    def bounds(self, file: SqlFile) -> tuple[int | None, int | None, int, int]:
        with _connected(file.address) as connection, _worded(file.address):
            low, high, rows, filled = connection.execute(
                f"SELECT min({file.key}), max({file.key}), count(*), count({file.key}) FROM {file.relation}"
            ).fetchone()
        if not filled:
            return None, None, rows, rows
        return _key(low, file), _key(high, file), rows, rows - filled

    def counts(self, file: SqlFile, edges: list[int]) -> list[int]:
        with _connected(file.address) as connection, _worded(file.address):
            found = dict(connection.execute(buckets(file, edges, _literal(file))).fetchall())
        return [int(found.get(at, 0)) for at in range(len(edges) + 1)]

    def edges(self, file: SqlFile, rows: int) -> tuple[list[int], int]:
        query = (
            f"SELECT id FROM (SELECT {file.key} AS id, row_number() OVER (ORDER BY {file.key}) AS n"
            f" FROM {file.relation}) WHERE n > 1 AND (n - 1) % {int(rows)} = 0 ORDER BY id"
        )
        with _connected(file.address) as connection, _worded(file.address):
            edges = [int(row[0]) for row in connection.execute(query)]
            total = int(connection.execute(f"SELECT count(*) FROM {file.relation}").fetchone()[0])
        return edges, total

    def read(self, file: SqlFile, names: list[str], window: Window) -> PartRead:
        path = _path(file.address)
        schema = pa.schema([(column.name, column.kind) for column in file.selected(names)])
        query = select(file, names, window, _literal(file))
        _check_state(path, file)
        with _connected(file.address) as connection, _worded(file.address):
            try:
                found = connection.execute(query).fetchall()
            except sqlite3.OperationalError as error:
                if "decode to UTF-8" not in str(error):
                    raise
                connection.text_factory = _text_or_bytes
                found = connection.execute(query).fetchall()
        _check_state(path, file)
        read = table_of(found, schema)
        return replace(read, bytes_read=read.block.nbytes)


def _path(address: SqlAddress) -> Path:
    path = Path(address.database).expanduser()
    if not address.database:
        raise ConfigError(f"{address}: names no file; wanted sqlite:///file.db, or sqlite:////folder/file.db.")
    if not path.is_file():
        near = sorted(child.name for child in path.parent.iterdir()) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, near, n=1)
        hint = f" Did you mean 'sqlite:///{path.parent / close[0]}'?" if close else ""
        raise ReadError(f"{address}: no such file: {path}.{hint}")
    return path


@contextlib.contextmanager
def _connected(address: SqlAddress) -> Iterator[sqlite3.Connection]:
    path = _path(address)
    with path.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise ReadError(f"{address}: {path} is no SQLite database.")
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as connection:
        yield connection


@contextlib.contextmanager
def _worded(address: SqlAddress) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # SQLite has no class of its own for damage, and what it says of it is one of these. Names are always text.
        said = ("malformed", "not a database", "decode to UTF-8", "codec can't decode")
        if any(text in str(error) for text in said):
            raise ReadError(
                f"{address}: the database is damaged: {error}. Look at it with sqlite3 FILE 'PRAGMA integrity_check',"
                " and restore it, or save what is left with sqlite3 FILE .recover"
            ) from error
        raise ReadError(
            f"{address}: the database says: {error}. The query is read_options.query, if it is yours."
        ) from error


def _names(connection: sqlite3.Connection, kinds: str) -> list[str]:
    query = (
        f"SELECT name FROM sqlite_master WHERE type IN ({kinds}) AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
    )
    try:
        return [row[0] for row in connection.execute(query)]
    except (sqlite3.Error, UnicodeDecodeError) as error:  # names and statements of tables are always text
        raise ReadError(
            f"the database cannot be read: {error}. Check it: sqlite3 FILE 'PRAGMA integrity_check'"
        ) from error


def _row_id(connection: sqlite3.Connection, relation: str, names: Sequence[str]) -> str | None:
    """The name of the hidden row id, if the table has one that no column hides."""
    taken = {name.lower() for name in names}
    free = next((name for name in _ROW_IDS if name not in taken), None)
    if free is None:
        return None
    try:
        connection.execute(f"SELECT {free} FROM {relation} LIMIT 0")
    except sqlite3.OperationalError:  # a table WITHOUT ROWID
        return None
    return free


def _declared(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    return {row[1]: (row[2] or "").upper() for row in connection.execute(f"PRAGMA table_info({quoted(table)})")}


def _sample(connection: sqlite3.Connection, relation: str, row_id: str | None) -> list[tuple[Any, ...]]:
    """Rows from the beginning, and from the end where that costs nothing."""
    connection.text_factory = _text_or_bytes
    first = connection.execute(f"SELECT * FROM {relation} LIMIT {SAMPLE}").fetchall()
    if row_id is None or len(first) < SAMPLE:
        return first
    return first + connection.execute(f"SELECT * FROM {relation} ORDER BY {row_id} DESC LIMIT {SAMPLE}").fetchall()


def _text_or_bytes(raw: bytes) -> Any:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _kind(declared: str, values: Sequence[Any]) -> pa.DataType:
    """The type of a column: by its values, and where these are texts or numbers that stand for others, by its name."""
    filled = [value for value in values if value is not None]
    texts = all(isinstance(value, str) for value in filled)
    if "BOOL" in declared and all(value in (0, 1) for value in filled):
        return pa.bool_()
    if filled and texts and declared == "DATE" and all(_parses(value, date.fromisoformat, 10) for value in filled):
        return pa.date32()
    if filled and texts and re.match("DATETIME|TIMESTAMP", declared):
        times = [value for value in filled if _parses(value, datetime.fromisoformat, 10)]
        if len(times) == len(filled) and not any(datetime.fromisoformat(value).tzinfo for value in times):
            return pa.timestamp("us")
    if filled:
        return _most(filled)
    return next((kind for part, kind in _AFFINITY if part in declared), pa.large_string())


def _most(filled: Sequence[Any]) -> pa.DataType:
    """The type of nearly all values: a few others go aside, or make the column text."""
    kind = kind_for(filled)
    if kind != pa.large_string():
        return kind
    numbers = [value for value in filled if isinstance(value, (int, float))]
    if len(numbers) >= 0.9 * len(filled):
        return kind_for(numbers)
    blobs = [value for value in filled if isinstance(value, bytes)]
    return pa.large_binary() if len(blobs) == len(filled) else pa.large_string()


def _parses(value: str, parse: Any, length: int) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return len(value) >= length


def _by_range(
    file: SqlFile, options: ReadOptions, sample: Sequence[Sequence[Any]], names: Sequence[str], order: str
) -> SqlFile:
    """Cut by ranges of the column that the user names."""
    name = options.partition_on
    if name is None:
        return file
    values = [row[names.index(name)] for row in sample if row[names.index(name)] is not None]
    kind: KeyKind = "integer"
    if values and all(isinstance(value, str) and _parses(value[:10], date.fromisoformat, 10) for value in values):
        kind = "date"
    else:
        odd = next((value for value in values if not isinstance(value, int)), None)
        if odd is not None:
            raise ConfigError(
                f"read_options.partition_on: column {name!r} holds {shown(odd)}; wanted whole numbers, or dates as"
                " 2026-05-31."
            )
    return file.replace(by="range", key=quoted(name), key_kind=kind, order=f"{quoted(name)}, {order}")


def _key(value: Any, file: SqlFile) -> int:
    if file.key_kind == "date":
        try:
            return key_of(date.fromisoformat(str(value)[:10]), "date")
        except ValueError as error:
            raise ConfigError(
                f"read_options.partition_on: {file.key} holds {shown(value)} among dates. Choose another column."
            ) from error
    if not isinstance(value, int):
        raise ConfigError(
            f"read_options.partition_on: {file.key} holds {shown(value)} among whole numbers. Choose another."
        )
    return value


def _literal(file: SqlFile) -> str:
    return "{}" if file.key_kind == "integer" else "'{}'"


def _state(path: Path) -> str:
    """What changes with every write: the counter in the header, and the size of the log that is not merged yet."""
    with path.open("rb") as file:
        file.seek(_COUNTER_AT)
        counter = int.from_bytes(file.read(_COUNTER_BYTES), "big")
    wal = path.with_name(path.name + "-wal")
    log = f"{wal.stat().st_size}@{wal.stat().st_mtime_ns}" if wal.exists() and wal.stat().st_size else "none"
    return f"change {counter}, log {log}"


def _check_state(path: Path, file: SqlFile) -> None:
    stat = path.stat()
    if (stat.st_size, stat.st_mtime_ns, _state(path)) != (file.size, file.mtime_ns, file.token):
        raise ReadError(f"{file.path}: changed while it was being read. Run again when nothing writes to it.")
