"""PostgreSQL: looked at by psycopg, read by ADBC, which gives Arrow; all workers see one exported snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats.schemas import travelling_type
from raypipe.etl.formats.sql_address import SqlAddress, without
from raypipe.etl.formats.sql_odd import set_odd_aside
from raypipe.etl.formats.sql_source import Held, KeyKind, SqlColumn, SqlFile, Window
from raypipe.etl.formats.sql_text import (
    buckets,
    check_choice,
    check_columns,
    key_of,
    quoted,
    relation_of,
    select,
)
from raypipe.stage import PartRead

SAMPLE = 1_000
PAGE = 8_192
CONNECT_S = 10
_MOST_DIGITS = 38
_DIRECT: dict[str, pa.DataType] = {
    "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32(),
    "float8": pa.float64(), "text": pa.large_string(), "varchar": pa.large_string(), "bpchar": pa.large_string(),
    "date": pa.date32(), "time": pa.time64("us"), "timestamp": pa.timestamp("us"), "bytea": pa.large_binary(),
    "timestamptz": pa.timestamp("us", "UTC"),
}  # fmt: skip
_LISTS: dict[str, pa.DataType] = {
    "_bool": pa.bool_(), "_int2": pa.int16(), "_int4": pa.int32(), "_int8": pa.int64(), "_float4": pa.float32(),
    "_float8": pa.float64(), "_text": pa.large_string(), "_varchar": pa.large_string(),
}  # fmt: skip
_KEYS: dict[str, KeyKind] = {
    "int2": "integer", "int4": "integer", "int8": "integer", "date": "date", "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}  # fmt: skip
_CASTS: dict[KeyKind, str] = {
    "integer": "{}", "date": "DATE '{}'", "timestamp": "TIMESTAMP '{}'", "timestamptz": "TIMESTAMPTZ '{}'",
}  # fmt: skip
_TABLES = """
SELECT n.nspname, c.relname, c.relkind::text, pg_table_is_visible(c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1, 2
"""


class PostgresBackend:
    """Reads PostgreSQL, in transactions that can only read."""

    def look(self, address: SqlAddress, options: ReadOptions) -> SqlFile:
        connection, held, token = _begin(address)
        with _worded(address):
            tables = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(_TABLES)}
            chosen = _choose(tables, options, address)
            relation = relation_of(chosen, options.query)
            types, names = _types(connection, relation)
            check_columns(names, options, f"table {'.'.join(chosen)!r}" if chosen else "the query")
            columns = _columns(connection, relation, names, types)
            blocks = _blocks(connection, chosen) if chosen and tables[chosen][0] in "rm" else None
            rows = _rows(connection, relation, chosen)
        file = SqlFile(
            path=f"{address}#{'.'.join(chosen) if chosen else 'query'}", size=(blocks or 0) * PAGE, mtime_ns=0,
            address=address, relation=relation, columns=columns, rows=rows, row_bytes=1,
            by="offset" if blocks is None else "block", key="" if blocks is None else "ctid", extent=blocks or 0,
            order=_total_order(columns) if blocks is None else "", token=token, snapshot=held,
        )  # fmt: skip
        sample = _fetch(file, select(file.replace(by="offset", order=""), names, Window(0, SAMPLE)), names)
        file = file.replace(row_bytes=max(1, sample.nbytes // max(1, sample.num_rows)))
        return _by_range(file, options, dict(zip(names, types, strict=True)))

    def bounds(self, file: SqlFile) -> tuple[int | None, int | None, int, int]:
        finite = f" FILTER (WHERE isfinite({file.key}))" if file.key_kind != "integer" else ""
        query = (
            f"SELECT min({file.key}){finite}, max({file.key}){finite}, count(*), count({file.key}) FROM {file.relation}"
        )
        low, high, rows, filled = self._ask(file, query)[0]
        if low is None:
            return None, None, rows, rows - filled
        return key_of(low, file.key_kind), key_of(high, file.key_kind), rows, rows - filled

    def counts(self, file: SqlFile, edges: list[int]) -> list[int]:
        if file.by != "block":
            found = dict(self._ask(file, buckets(file, edges, _CASTS[file.key_kind])))
            return [int(found.get(at, 0)) for at in range(len(edges) + 1)]
        page = "split_part(trim(leading '(' from ctid::text), ',', 1)::bigint"
        inside = f"width_bucket({page}, ARRAY[{', '.join(map(str, edges))}]::bigint[])" if edges else "0"
        found = dict(self._ask(file, f"SELECT {inside} AS b, count(*) FROM {file.relation} GROUP BY 1"))
        return [int(found.get(at, 0)) for at in range(len(edges) + 1)]

    def read(self, file: SqlFile, names: list[str], window: Window) -> PartRead:
        def fetched(columns: Sequence[SqlColumn]) -> pa.Table:
            return _fetch(file, _query(file.replace(columns=tuple(columns)), names, window), names)

        columns = file.selected(names)
        as_text = [column.replace(expression=f"{quoted(column.name)}::text") for column in columns]
        return set_odd_aside(fetched(columns), columns, lambda: fetched(as_text))

    def _ask(self, file: SqlFile, query: str) -> list[tuple[Any, ...]]:
        connection = _joined(file)
        with contextlib.closing(connection), _worded(file.address):
            return cast("list[tuple[Any, ...]]", connection.execute(query).fetchall())


def _query(file: SqlFile, names: list[str], window: Window) -> str:
    if file.by != "block":
        return select(file, names, window, _CASTS[file.key_kind])
    ends = ((">=", window.low), ("<", window.high))
    bounds = [f"ctid {sign} '({end},0)'::tid" for sign, end in ends if end is not None]
    wanted = ", ".join(f"{column.expression} AS {quoted(column.name)}" for column in file.selected(names))
    tail = f"WHERE {' AND '.join(bounds)}" if bounds else ""
    return f"SELECT {wanted} FROM {file.relation} {tail} ORDER BY ctid"


def _connect(address: SqlAddress) -> Any:
    require_extra("sql", by=f"reading {address}")
    import psycopg

    uri, secrets = address.resolved()
    try:
        return psycopg.connect(uri, connect_timeout=CONNECT_S, autocommit=False, application_name="raypipe")
    except psycopg.Error as error:
        raise ReadError(_no_connection(address, without(str(error), secrets))) from None


def _no_connection(address: SqlAddress, text: str) -> str:
    """Why there is no connection, and what to do. The cause is not chained: it may hold what was connected with."""
    detail = " ".join(text.split())[:300]
    if "could not translate host name" in text or "resolve host" in text or "Name or service" in text:
        return f"{address}: there is no such host, or no name server knows it. Check the address. ({detail})"
    if "no password supplied" in text:
        return f"{address}: wants a password. Give it in PGPASSWORD, in ~/.pgpass, or as ${{NAME}} in the address."
    if "password authentication failed" in text or "authentication failed" in text:
        return f"{address}: user or password are wrong. Check PGPASSWORD or the variable that the address names."
    if "does not exist" in text:
        return f"{address}: {detail}. See what is there: psql -l"
    return f"{address}: cannot be reached: {detail}. Check that the server runs and lets this machine in."


def _begin(address: SqlAddress) -> tuple[Any, Held | None, str]:
    """A connection within the snapshot that the run reads, what keeps it alive, and a token of the state."""
    connection = _connect(address)
    with _worded(address):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        snapshot, token = connection.execute("SELECT pg_export_snapshot(), pg_current_snapshot()::text").fetchone()
    return connection, Held(str(snapshot), connection), f"snapshot {token}"


def _joined(file: SqlFile) -> Any:
    connection = _connect(file.address)
    with _worded(file.address):
        for statement in _statements(file):
            connection.execute(statement)
    return connection


def _statements(file: SqlFile) -> list[str]:
    assert file.snapshot is not None
    snapshot = file.snapshot.id.replace("'", "''")
    return [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        f"SET TRANSACTION SNAPSHOT '{snapshot}'",
    ]


def _fetch(file: SqlFile, query: str, names: Sequence[str]) -> pa.Table:
    """The answer of a query within the snapshot, as Arrow."""
    from adbc_driver_manager import dbapi as manager
    from adbc_driver_postgresql import dbapi

    uri, secrets = file.address.resolved()
    uri = uri if "connect_timeout=" in uri else f"{uri}{'&' if '?' in uri else '?'}connect_timeout={CONNECT_S}"
    try:
        with dbapi.connect(uri) as connection, connection.cursor() as cursor:
            for statement in _statements(file):
                cursor.execute(statement)
            cursor.execute(query)
            table = cursor.fetch_arrow_table()
    except manager.Error as error:
        text = without(str(error), secrets)
        if "snapshot" in text:
            raise ReadError(
                f"{file.path}: the snapshot that all workers read is gone; it lives as long as the connection of the"
                f" process that began the run. Run again. ({' '.join(text.split())[:200]})"
            ) from None
        if "Failed to connect" in text:
            raise ReadError(_no_connection(file.address, text)) from None
        raise ReadError(_said(file.address, text)) from None
    return _plain(table.select(list(names)))


def _plain(table: pa.Table) -> pa.Table:
    """The table without Arrow's extension types."""
    columns = [
        pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
        if isinstance(column.type, pa.BaseExtensionType)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def _said(address: SqlAddress, text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and "Query was:" not in line]
    shown = " ".join(" ".join(lines).split())
    return f"{address}: the database says: {shown[:400]}. The query is read_options.query, if it is yours."


@contextlib.contextmanager
def _worded(address: SqlAddress) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        _, secrets = address.resolved()
        raise ReadError(_said(address, without(str(error), secrets))) from None


def _choose(
    tables: dict[tuple[str, str], tuple[str, bool]], options: ReadOptions, address: SqlAddress
) -> tuple[str, str] | None:
    """Schema and name of the table; a name without a schema is looked for on the search path."""
    known = {name if visible else f"{schema}.{name}": (schema, name) for (schema, name), (_, visible) in tables.items()}
    full = {f"{schema}.{name}": (schema, name) for schema, name in tables}
    wanted = str(options.table)
    if options.query is None and wanted not in known and wanted in full:
        return full[wanted]
    name = check_choice(options, list(known), address)
    return None if name is None else known[name]


def _types(connection: Any, relation: str) -> tuple[list[tuple[str, int | None, int | None]], list[str]]:
    """Type name, precision and scale of each column, and its name."""
    found = connection.execute(f"SELECT * FROM {relation} LIMIT 0").description or []
    ids = [item.type_code for item in found]
    names = dict(connection.execute("SELECT oid::bigint, typname FROM pg_type WHERE oid = ANY(%s)", [ids]).fetchall())
    types = [(names.get(item.type_code, "unknown"), item.precision, item.scale) for item in found]
    return types, [item.name for item in found]


def _columns(
    connection: Any, relation: str, names: Sequence[str], types: Sequence[tuple[str, int | None, int | None]]
) -> tuple[SqlColumn, ...]:
    """How each column is asked for: as it is where Arrow has its type, as text where not; numerics by way of text."""
    found = {}
    unsure = []
    for name, (kind, precision, scale) in zip(names, types, strict=True):
        column = quoted(name)
        text = SqlColumn(name=name, expression=f"{column}::text", kind=pa.large_string())
        found[name] = text
        if kind in _DIRECT:
            found[name] = SqlColumn(name=name, expression=column, kind=_DIRECT[kind])
        elif kind == "oid":
            found[name] = SqlColumn(name=name, expression=f"{column}::bigint", kind=pa.int64())
        elif (
            kind == "numeric" and precision is not None and precision <= _MOST_DIGITS and 0 <= (scale or 0) <= precision
        ):
            found[name] = text.replace(kind=pa.decimal128(precision, scale or 0), order=column)
        elif kind == "numeric" or kind in _LISTS:
            unsure.append((name, kind))
        elif kind.startswith("_"):
            found[name] = text
    for name, kind, size in _measured(connection, relation, unsure):
        column = quoted(name)
        if kind == "numeric" and size is not None:
            found[name] = found[name].replace(kind=pa.decimal128(*size), order=column)
        elif kind in _LISTS and size is not None:
            found[name] = SqlColumn(name=name, expression=column, kind=travelling_type(pa.list_(_LISTS[kind])))
    return tuple(found[name] for name in names)


def _measured(
    connection: Any, relation: str, unsure: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, str, tuple[int, int] | None]]:
    """What only all rows tell: digits of numerics without a stated scale, and whether arrays have one dimension."""
    if not unsure:
        return
    parts = []
    for name, kind in unsure:
        column = quoted(name)
        if kind == "numeric":
            finite = f"FILTER (WHERE {column}::text NOT IN ('NaN', 'Infinity', '-Infinity'))"
            parts += [f"max(scale({column})) {finite}", f"max(length(trunc(abs({column}))::text)) {finite}"]
        else:
            parts += [f"max(array_ndims({column}))", "0"]
    row = connection.execute(f"SELECT {', '.join(parts)} FROM {relation}").fetchone()
    for at, (name, kind) in enumerate(unsure):
        first, second = row[2 * at] or 0, row[2 * at + 1] or 0
        if kind == "numeric":
            digits = max(1, second + first)
            yield name, kind, (_MOST_DIGITS, first) if digits <= _MOST_DIGITS else None
        else:
            yield name, kind, (1, 0) if first <= 1 else None


def _blocks(connection: Any, table: tuple[str, str]) -> int:
    size = connection.execute("SELECT pg_relation_size(%s::regclass)", [relation_of(table, None)]).fetchone()[0]
    return int(size) // PAGE


def _rows(connection: Any, relation: str, table: tuple[str, str] | None) -> int:
    """Rows: as the planner has them for a table, else counted."""
    if table is not None:
        query = "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass"
        found = int(connection.execute(query, [relation_of(table, None)]).fetchone()[0])
        if found > 0:
            return found
    return int(connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])


def _total_order(columns: Sequence[SqlColumn]) -> str:
    return ", ".join(column.order or column.expression for column in columns)


def _by_range(file: SqlFile, options: ReadOptions, types: dict[str, tuple[str, int | None, int | None]]) -> SqlFile:
    name = options.partition_on
    if name is None:
        return file
    kind = _KEYS.get(types[name][0])
    if kind is None:
        raise ConfigError(
            f"read_options.partition_on: column {name!r} is {types[name][0]}; wanted whole numbers, dates or times."
        )
    order = "ctid" if file.by == "block" else _total_order(file.columns)
    return file.replace(by="range", key=quoted(name), key_kind=kind, order=f"{quoted(name)}, {order}")
