"""Databases: SQLite and addresses. What a table holds is read exactly, in windows that lose no row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe import DataReader
from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.etl.formats.sql_address import is_database, parse_database, without
from raypipe.etl.formats.sql_text import even_edges, key_of, value_of
from raypipe.etl.formats.sql_values import kind_for, table_of
from raypipe.etl.source import TableSource
from raypipe.submit.scan import secrets_in

MADE = Callable[..., str]


@pytest.fixture
def database(tmp_path: Path) -> MADE:
    """Makes a database of statements, each with its rows; returns its address."""

    def make(*statements: str | tuple[str, Sequence[Sequence[Any]]]) -> str:
        connection = sqlite3.connect(tmp_path / "x.db")
        for statement in statements:
            if isinstance(statement, tuple):
                connection.executemany(*statement)
            else:
                connection.execute(statement)
        connection.commit()
        connection.close()
        return f"sqlite:///{tmp_path / 'x.db'}"

    return make


def reader(address: str, **options: Any) -> DataReader:
    return DataReader(address, options=ReadOptions(**options))


def blocks(source: TableSource) -> list[pa.Table]:
    read = source.open()
    return [read(part).block for part in source.parts()]


def test_values_keep_their_types(database: MADE) -> None:
    address = database(
        "CREATE TABLE t (i INTEGER, r REAL, s TEXT, d DATE, at TIMESTAMP, ok BOOLEAN, raw BLOB, none TEXT, n NUMERIC)",
        ("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [
            (2**63 - 1, 0.1, "007", "2024-02-29", "2024-02-29 12:30:15.5", 1, b"\0\xff", None, 1),
            (-(2**63), 1e300, "ä\n", "0001-01-01", "1999-12-31T23:59:59", 0, b"", None, 2.5),
            (None, None, None, None, None, None, None, None, None),
        ]),
    )  # fmt: skip
    table = reader(address).read()
    assert [str(kind) for kind in table.schema.types] == [
        "int64", "double", "large_string", "date32[day]", "timestamp[us]", "bool", "large_binary", "large_string",
        "double",
    ]  # fmt: skip
    assert list(table.to_pylist()[0].values()) == [
        2**63 - 1, 0.1, "007", date(2024, 2, 29), datetime(2024, 2, 29, 12, 30, 15, 500_000), True, b"\0\xff",
        None, 1.0,
    ]  # fmt: skip
    assert list(table.to_pylist()[1].values()) == [
        -(2**63), 1e300, "ä\n", date(1, 1, 1), datetime(1999, 12, 31, 23, 59, 59), False, b"", None, 2.5,
    ]  # fmt: skip
    assert set(table.to_pylist()[2].values()) == {None}


def test_a_value_of_another_kind_goes_aside_or_makes_the_column_text(database: MADE) -> None:
    rows = [(n, n) for n in range(200)]
    address = database("CREATE TABLE t (id INTEGER PRIMARY KEY, n)", ("INSERT INTO t VALUES (?, ?)", rows),
                       "UPDATE t SET n = 'twelve' WHERE id = 12")  # fmt: skip
    result = reader(address).read_all(max_bad_share=0.01)
    assert result.table["n"].to_pylist() == [n for n in range(200) if n != 12]
    assert result.aside.select(["row", "column", "value", "raw"]).to_pylist() == [
        {"row": 12, "column": "n", "value": "twelve", "raw": '{"id":"12","n":"twelve"}'}
    ]
    assert reader(address).read()["n"].to_pylist()[11:14] == ["11", "twelve", "13"]
    fractions = database("UPDATE t SET n = 0.5 WHERE id = 12")
    assert reader(fractions).read()["n"].to_pylist()[11:14] == [11.0, 0.5, 13.0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40), st.integers(-5, 5)), max_size=60),
    partition=st.booleans(), count=st.one_of(st.none(), st.integers(1, 7)), target=st.sampled_from([64, 300, 1 << 20]),
)  # fmt: skip
def test_every_row_is_in_one_window(
    tmp_path: Path, ids: list[int | None], partition: bool, count: int | None, target: int
) -> None:
    (tmp_path / "x.db").unlink(missing_ok=True)
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE t (k INTEGER, n INTEGER)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(id, at) for at, id in enumerate(ids)])
    connection.commit()
    connection.close()
    options = {"partition_on": "k", "partition_count": count} if partition else {}
    source = reader(f"sqlite:///{tmp_path / 'x.db'}", **options).source(target_part_bytes=target)
    rows = [row for block in blocks(source) for row in block.to_pylist()]
    assert sorted(row["n"] for row in rows) == list(range(len(ids)))
    assert all(ids[row["n"]] == row["k"] for row in rows)
    told = [part.rows for part in source.parts()]
    assert told == [block.num_rows for block in blocks(source)]


KINDS = {
    "rows by id": ("CREATE TABLE t (id INTEGER PRIMARY KEY, day DATE)", {}),
    "without a row id": ("CREATE TABLE t (id INTEGER PRIMARY KEY, day DATE) WITHOUT ROWID", {}),
    "a query": ("CREATE TABLE t (id INTEGER PRIMARY KEY, day DATE)", {"query": "SELECT * FROM t -- all of them"}),
    "ranges of days": ("CREATE TABLE t (id INTEGER, day DATE)", {"partition_on": "day"}),
}


@pytest.mark.parametrize(("statement", "options"), KINDS.values(), ids=KINDS)
def test_where_a_source_is_cut_changes_nothing(database: MADE, statement: str, options: dict[str, Any]) -> None:
    rows = [(n * 3, f"2024-{1 + n % 12:02d}-{1 + n % 28:02d}" if n % 50 else None) for n in range(3_000)]
    address = database(statement, ("INSERT INTO t VALUES (?, ?)", rows))
    whole = pa.concat_tables(blocks(reader(address, **options).source(target_part_bytes=1 << 30)))
    assert sorted(whole["id"].to_pylist()) == [id for id, _ in rows]
    source = reader(address, **options).source(target_part_bytes=1 << 12)
    assert len(source.parts()) > 5
    assert all(block.nbytes < 1 << 14 for block in blocks(source))
    assert pa.concat_tables(blocks(source)).combine_chunks().equals(whole.combine_chunks())
    sample = reader(address, **options).source(sample_size=100, target_part_bytes=1 << 12)
    ids = [id for block in blocks(sample) for id in block["id"].to_pylist()]
    assert len(set(ids)) == len(ids) == 100
    assert reader(address, **options, max_rows=1_234).read()["id"].to_pylist() == whole["id"].to_pylist()[:1_234]
    assert reader(address, **options, columns=("day",)).read().column_names == ["day"]


def test_a_table_is_chosen_by_its_name_whatever_stands_in_it(database: MADE) -> None:
    evil = 'x"; DROP TABLE orders; --'
    address = database("CREATE TABLE orders (id INTEGER)", "INSERT INTO orders VALUES (1)",
                       "CREATE VIEW v AS SELECT 2 AS two",
                       'CREATE TABLE "x""; DROP TABLE orders; --" ("a""b" INTEGER)',
                       'INSERT INTO "x""; DROP TABLE orders; --" VALUES (5)')  # fmt: skip
    assert reader(address, table=evil).read().to_pylist() == [{'a"b': 5}]
    assert reader(address, table="v").read().to_pylist() == [{"two": 2}]
    assert reader(address, table="orders").read().num_rows == 1
    with pytest.raises(ConfigError, match="has no table 'order'. It has: 'orders', 'v', .* Did you mean 'orders'?"):
        reader(address, table="order").source()
    with pytest.raises(
        ConfigError, match="which table\\? Set read_options.table or read_options.query; it has: 'orders'"
    ):
        reader(address).source()
    with pytest.raises(ConfigError, match="table and query exclude each other"):
        reader(address, table="v", query="SELECT 1").source()


def test_a_query_is_one_query_and_cannot_write(database: MADE) -> None:
    address = database("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)")
    for query in ("DELETE FROM t", "SELECT 1; DELETE FROM t", "SELECT 1) AS q; DELETE FROM t; --", "SELEC 1"):
        with pytest.raises(ReadError, match="the database says: .*The query is read_options.query"):
            reader(address, query=query).source()
    assert reader(address, query="SELECT a.id, b.id FROM t a, t b").read().column_names == ["id", "id:1"]
    assert reader(address, table="t").read().num_rows == 1
    with pytest.raises(MissingColumnsError, match="Did you mean 'id'"):
        reader(address, columns=("ID2",)).source()
    with pytest.raises(MissingColumnsError, match="no column 'nope'"):
        reader(address, partition_on="nope").source()
    with pytest.raises(ConfigError, match="delimiter, version have no meaning for SQL"):
        reader(address, delimiter=";", version=1)


def test_what_is_no_database_is_refused(tmp_path: Path, database: MADE) -> None:
    database("CREATE TABLE t (id INTEGER)")
    with pytest.raises(ReadError, match="no such file: .*y.db. Did you mean 'sqlite:///.*x.db'"):
        reader(f"sqlite:///{tmp_path / 'y.db'}").source()
    (tmp_path / "z.db").write_text("hello, this is text")
    with pytest.raises(ReadError, match="z.db is no SQLite database"):
        reader(f"sqlite:///{tmp_path / 'z.db'}").source()
    with pytest.raises(ReadError, match="an SQLite database; name it as sqlite:///FILE"):
        DataReader(tmp_path / "x.db")


def test_a_database_that_changes_meanwhile_is_noticed(database: MADE) -> None:
    address = database("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)")
    source = reader(address).source()
    assert source.stamps() == reader(address).source().stamps()
    database("INSERT INTO t VALUES (2)")
    assert source.stamps() != reader(address).source().stamps()
    with pytest.raises(ReadError, match="changed while it was being read"):
        source.open()(source.parts()[0])


@pytest.mark.parametrize("address", [
    "postgresql://ann:hunter2@db.example.com/shop", "mysql+pymysql://ann:hunter2@db/shop",
    "postgres://:hunter2@db/shop",
    "postgresql://db/shop?user=ann&password=hunter2", "mssql+pyodbc://db/shop?PWD=hunter2",
    "postgresql://ann:hunter2/@x@db/shop",
])  # fmt: skip
def test_a_password_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    assert is_database(address)
    with pytest.raises(ConfigError, match="holds no password, .* export DB_PASSWORD=") as caught:
        DataReader(address)
    assert "hunter2" not in str(caught.value)


def test_a_reference_to_a_variable_is_resolved_last_of_all() -> None:
    address = parse_database("postgresql://ann:${DB_PW}@db/shop")
    assert str(address) == "postgresql://ann:${DB_PW}@db/shop"
    uri, secrets = address.resolved({"DB_PW": "a/b@c"})
    assert uri == "postgresql://ann:a%2Fb%40c@db/shop"
    assert without(f"failed for {uri}: a/b@c", secrets) == "failed for postgresql://ann:***@db/shop: ***"
    with pytest.raises(ConfigError, match="variable DB_PW is not set on this machine.*--secret DB_PW=env:DB_PW"):
        address.resolved({})
    assert not list(secrets_in(b"data_source: postgresql://ann:${DB_PW}@db/shop", settings=True))
    assert list(secrets_in(b"data_source: postgresql://ann:hunter2@db/shop", settings=True))


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(1, 50))
def test_edges_divide_a_range_in_order(low: int, span: int, pieces: int) -> None:
    edges = even_edges(low, low + span, pieces, "integer")
    assert edges == sorted(set(edges))
    assert all(low < edge <= low + span for edge in edges)
    assert len(edges) < pieces
    if span + 1 >= pieces:
        assert len(edges) == pieces - 1


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_keys_are_written_as_they_were(moment: datetime) -> None:
    assert datetime.fromisoformat(value_of(key_of(moment, "timestamp"), "timestamp")) == moment
    assert date.fromisoformat(value_of(key_of(moment.date(), "date"), "date")) == moment.date()


VALUES = st.one_of(st.none(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(), st.binary(),
                   st.booleans(), st.decimals(allow_nan=False, allow_infinity=False), st.dates(),
                   st.datetimes())  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(sample=st.lists(VALUES, max_size=5), values=st.lists(VALUES, max_size=8))
def test_values_of_any_kind_are_kept_or_set_aside(sample: list[Any], values: list[Any]) -> None:
    schema = pa.schema([("n", pa.int64()), ("v", kind_for(sample))])
    read = table_of([(at, value) for at, value in enumerate(values)], schema)
    kept = read.block["n"].to_pylist()
    assert read.block.schema.equals(schema)
    assert sorted([*kept, *read.aside["row"].to_pylist()]) == list(range(len(values)))
    for at, value in zip(kept, read.block["v"].to_pylist(), strict=True):
        if isinstance(values[at], (int, float, Decimal)) and not isinstance(value, (str, bool)) and value is not None:
            assert value == values[at]
        assert (value is None) == (values[at] is None)
