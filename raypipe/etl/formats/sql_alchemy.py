"""Any other database, by SQLAlchemy: rows come as Python values, and each part is a query of its own."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingDependencyError, ReadError
from raypipe.etl.formats.sql_address import SqlAddress, without
from raypipe.etl.formats.sql_source import KeyKind, SqlColumn, SqlFile, Window
from raypipe.etl.formats.sql_text import check_choice, check_columns, key_of, value_of
from raypipe.etl.formats.sql_values import kind_for, table_of
from raypipe.stage import PartRead

SAMPLE = 1_000


class AlchemyBackend:
    """Reads whatever SQLAlchemy has a driver for. The parts of a run are queries at different times: no snapshot."""

    def look(self, address: SqlAddress, options: ReadOptions) -> SqlFile:
        with _connected(address) as (sa, connection):
            inspector = sa.inspect(connection)
            table = check_choice(options, sorted([*inspector.get_table_names(), *inspector.get_view_names()]), address)
            relation = f"table {table}" if table is not None else f"query {options.query}"
            source = _source(sa, relation)
            result = connection.execute(sa.select(sa.text("*")).select_from(source).limit(SAMPLE))
            names, sample = list(result.keys()), [tuple(row) for row in result.fetchall()]
            check_columns(names, options, f"table {table!r}" if table else "the query")
            stated = _stated(sa, inspector, table) if table is not None else {}
            keys = inspector.get_pk_constraint(table)["constrained_columns"] if table is not None else []
            rows = int(connection.execute(sa.select(sa.func.count()).select_from(source)).scalar_one())
        kinds = [stated.get(name) or kind_for([row[at] for row in sample]) for at, name in enumerate(names)]
        columns = tuple(
            SqlColumn(name=name, expression=name, kind=kind) for name, kind in zip(names, kinds, strict=True)
        )
        block = table_of(sample, pa.schema([(column.name, column.kind) for column in columns])).block
        file = SqlFile(
            path=f"{address}#{table or 'query'}", size=0, mtime_ns=0, address=address, relation=relation,
            columns=columns, rows=rows, row_bytes=max(1, block.nbytes // max(1, block.num_rows)), by="offset",
            order="\n".join(keys or names), token=f"looked at {uuid.uuid4().hex}",
            notes=(
                f"{address}: parts are read at different times, without one snapshot: rows that are written meanwhile"
                " may be in it or not",
            ),
        )  # fmt: skip
        return _by_range(file, options, sample, names)

    def bounds(self, file: SqlFile) -> tuple[int | None, int | None, int, int]:
        with _connected(file.address) as (sa, connection):
            key, source = sa.column(file.key), _source(sa, file.relation)
            wanted = sa.select(sa.func.min(key), sa.func.max(key), sa.func.count(), sa.func.count(key))
            low, high, rows, filled = connection.execute(wanted.select_from(source)).one()
        if low is None:
            return None, None, int(rows), int(rows)
        return key_of(low, file.key_kind), key_of(high, file.key_kind), int(rows), int(rows) - int(filled)

    def counts(self, file: SqlFile, edges: list[int]) -> list[int]:
        ends = [None, *edges, None]
        with _connected(file.address) as (sa, connection):
            return [
                int(
                    connection.execute(
                        sa.select(sa.func.count())
                        .select_from(_source(sa, file.relation))
                        .where(*_where(sa, file, window))
                    ).scalar_one()
                )
                for window in map(Window, ends[:-1], ends[1:])
            ]

    def read(self, file: SqlFile, names: list[str], window: Window) -> PartRead:
        wanted = file.selected(names)
        with _connected(file.address) as (sa, connection):
            query = sa.select(*(sa.column(column.name) for column in wanted)).select_from(_source(sa, file.relation))
            query = query.order_by(*(sa.column(name) for name in file.order.split("\n")))
            if file.by == "range":
                query = query.where(*_where(sa, file, window))
            else:
                query = query.offset(window.low or 0)
                query = query if window.high is None else query.limit(window.high - (window.low or 0))
            rows = connection.execute(query).fetchall()
        read = table_of(rows, pa.schema([(column.name, column.kind) for column in wanted]))
        return replace(read, bytes_read=read.block.nbytes)


@contextlib.contextmanager
def _connected(address: SqlAddress) -> Iterator[tuple[Any, Any]]:
    """SQLAlchemy and a connection; what goes wrong comes out in words, without the secrets of the address."""
    sa = require_extra("sql", by=f"reading {address}")
    uri, secrets = address.resolved()
    try:
        engine = sa.create_engine(uri, poolclass=sa.pool.NullPool)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise MissingDependencyError(
            f"{address}: needs a driver of its own: {without(str(error), secrets)}. Install the package that SQLAlchemy"
            " names for this database."
        ) from None
    except sa.exc.ArgumentError:
        raise ConfigError(f"{address}: is no address of a database; wanted dialect+driver://user@host/db") from None
    try:
        with engine.connect() as connection:
            yield sa, connection
    except sa.exc.SQLAlchemyError as error:
        said = " ".join(without(str(getattr(error, "orig", None) or error), secrets).split())[:400]
        raise ReadError(
            f"{address}: the database says: {said}. The query is read_options.query, if it is yours."
        ) from None
    finally:
        engine.dispose()


def _source(sa: Any, relation: str) -> Any:
    """A table under its quoted name, or the query as one query and nothing else."""
    kind, _, text = relation.partition(" ")
    if kind == "table":
        return sa.table(sa.sql.quoted_name(text, quote=True))
    # A colon is the mark of a parameter for SQLAlchemy.
    plain = text.strip().rstrip(";").rstrip().replace(":", "\\:")
    return sa.text(f"(\n{plain}\n) q")


def _where(sa: Any, file: SqlFile, window: Window) -> list[Any]:
    key = sa.column(file.key)
    if window.nulls:
        return [key.is_(None)]
    found = [key.is_not(None)]
    if window.low is not None:
        found.append(key >= _bound(window.low, file.key_kind))
    if window.high is not None:
        found.append(key < _bound(window.high, file.key_kind))
    return found


def _bound(key: int, kind: KeyKind) -> Any:
    if kind == "integer":
        return key
    text = value_of(key, kind)
    return date.fromisoformat(text) if kind == "date" else datetime.fromisoformat(text)


def _stated(sa: Any, inspector: Any, table: str) -> dict[str, pa.DataType]:
    """Types that the table states and that its values do not tell for sure."""
    found: dict[str, pa.DataType] = {}
    for column in inspector.get_columns(table):
        kind = column["type"]
        if isinstance(kind, sa.Float):
            found[column["name"]] = pa.float64()
        elif isinstance(kind, sa.Numeric) and kind.precision is not None and kind.precision <= 38:
            found[column["name"]] = pa.decimal128(kind.precision, kind.scale or 0)
        elif isinstance(kind, sa.Boolean):
            found[column["name"]] = pa.bool_()
        elif isinstance(kind, sa.Integer):
            found[column["name"]] = pa.int64()
        elif isinstance(kind, sa.String):
            found[column["name"]] = pa.large_string()
        elif isinstance(kind, sa.DateTime):
            found[column["name"]] = pa.timestamp("us", "UTC" if kind.timezone else None)
        elif isinstance(kind, sa.Date):
            found[column["name"]] = pa.date32()
    return found


def _by_range(file: SqlFile, options: ReadOptions, sample: Sequence[Sequence[Any]], names: Sequence[str]) -> SqlFile:
    name = options.partition_on
    if name is None:
        return file
    kind = file.columns[names.index(name)].kind
    found: dict[pa.DataType, KeyKind] = {
        pa.int64(): "integer", pa.date32(): "date", pa.timestamp("us"): "timestamp",
        pa.timestamp("us", "UTC"): "timestamptz",
    }  # fmt: skip
    if kind not in found:
        raise ConfigError(
            f"read_options.partition_on: column {name!r} is {kind}; wanted whole numbers, dates or times."
        )
    order = "\n".join(dict.fromkeys([name, *file.order.split("\n")]))
    return file.replace(by="range", key=name, key_kind=found[kind], order=order)
