"""PostgreSQL: exact types, one snapshot for all parts, secrets that stay where they are. Runs a server of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raypipe import DataReader
from raypipe.config import EngineConfig, PipelineConfig, ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.pipeline import AnalyticsPipeline
from tests.etl.formats.postgres import PASSWORD, USER, Server, server

psycopg = pytest.importorskip("psycopg", reason="psycopg is absent: pip install 'raypipe[sql]'")
pytest.importorskip("adbc_driver_postgresql", reason="ADBC is absent: pip install 'raypipe[sql]'")

Make = Callable[..., str]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture
def database(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Runs statements in an empty schema; returns the address."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("DB_PW", PASSWORD)

    def make(*statements: str, fresh: bool = True) -> str:
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            if fresh:  # snapshots of earlier tests hold locks until somebody collects them
                others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
                connection.execute("SET lock_timeout = '10s'")
                connection.execute(
                    "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS s CASCADE"
                )
            for statement in statements:
                connection.execute(statement)
        return postgres.address

    return make


def reader(address: str, **options: Any) -> DataReader:
    return DataReader(address, options=ReadOptions(**options))


def blocks(reader: DataReader, **how: Any) -> list[pa.Table]:
    source = reader.source(**how)
    read = source.open()
    return [read(part).block for part in source.parts()]


TYPES = """
CREATE TYPE mood AS ENUM ('fine', 'sad');
CREATE DOMAIN pounds AS numeric(12, 3);
CREATE TABLE t (
  id int8, small int2, whole int4, ok bool, single float4, double float8, money numeric(10, 2), any_scale numeric,
  weight pounds, huge numeric(60, 10), s text, v varchar(10), c char(4), d date, tm time, ts timestamp, tz timestamptz,
  span interval, j json, jb jsonb, ints int4[], texts text[], nested int4[], prices numeric[], raw bytea, u uuid,
  m mood, ip inet, o oid);
INSERT INTO t VALUES (
  9223372036854775807, -32768, 2147483647, true, 1.5, 0.1, 1.20, 123.4567, 2.5,
  12345678901234567890123456789012345678.5,
  'ä', 'v', 'c', '2024-02-29', '12:30:15.000001', '2024-02-29 12:30', '2024-02-29 12:30+02', '1 mon 2 days',
  '{"a": 1}',
  '{"b":2}', '{1,null,3}', '{a,null}', '{{1,2},{3,4}}', '{1.5}', '\\xdead',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'sad',
  '10.0.0.1', 4294967295);
INSERT INTO t (id) VALUES (-9223372036854775808);
"""


def test_values_keep_their_types(database: Make) -> None:
    table = reader(database(TYPES)).read()
    row = table.to_pylist()[0]
    assert {name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)} == {
        "id": "int64", "small": "int16", "whole": "int32", "ok": "bool", "single": "float", "double": "double",
        "money": "decimal128(10, 2)", "any_scale": "decimal128(38, 4)", "weight": "decimal128(12, 3)",
        "huge": "large_string", "s": "large_string", "v": "large_string", "c": "large_string", "d": "date32[day]",
        "tm": "time64[ns]", "ts": "timestamp[us]", "tz": "timestamp[us, tz=UTC]", "span": "large_string",
        "j": "large_string", "jb": "large_string", "ints": "large_list<item: int32>",
        "texts": "large_list<item: large_string>", "nested": "large_string", "prices": "large_string",
        "raw": "large_binary", "u": "large_string", "m": "large_string", "ip": "large_string", "o": "int64",
    }  # fmt: skip
    assert row == {
        "id": 2**63 - 1, "small": -32768, "whole": 2**31 - 1, "ok": True, "single": 1.5, "double": 0.1,
        "money": Decimal("1.20"), "any_scale": Decimal("123.4567"), "weight": Decimal("2.500"),
        "huge": "12345678901234567890123456789012345678.5000000000", "s": "ä", "v": "v", "c": "c   ",
        "d": date(2024, 2, 29), "tm": time(12, 30, 15, 1), "ts": datetime(2024, 2, 29, 12, 30),
        "tz": datetime(2024, 2, 29, 10, 30, tzinfo=UTC), "span": "1 mon 2 days", "j": '{"a": 1}', "jb": '{"b": 2}',
        "ints": [1, None, 3], "texts": ["a", None], "nested": "{{1,2},{3,4}}", "prices": "{1.5}", "raw": b"\xde\xad",
        "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "m": "sad", "ip": "10.0.0.1/32", "o": 4294967295,
    }  # fmt: skip
    assert table["id"].to_pylist()[1] == -(2**63)
    assert {value for name, value in table.to_pylist()[1].items() if name != "id"} == {None}


def test_what_arrow_cannot_hold_is_set_aside(database: Make) -> None:
    address = database(
        "CREATE TABLE t (id int, d date, ts timestamptz, n numeric)",
        "INSERT INTO t VALUES (1, '2024-01-31', now(), 1.5), (2, 'infinity', now(), 1), (3, NULL, '-infinity', 2),"
        " (4, '2024-01-31', NULL, 'NaN'), (5, '20000-01-01', NULL, NULL), (6, NULL, NULL, NULL)",
    )
    for options in ({}, {"query": "SELECT * FROM t"}, {"partition_on": "id"}):
        result = reader(address, **options).read_all()
        assert result.table["id"].to_pylist() == [1, 6]
        assert [(row["column"], row["value"]) for row in result.aside.to_pylist()] == [
            ("d", "infinity"), ("ts", "-infinity"), ("n", "NaN"), ("d", "20000-01-01"),
        ]  # fmt: skip
    assert json.loads(result.aside["raw"].to_pylist()[0])["id"] == "2"


WAYS: dict[str, dict[str, Any]] = {
    "blocks": {}, "ranges": {"partition_on": "k"}, "days": {"partition_on": "day"}, "moments": {"partition_on": "at"},
    "a query": {"query": "SELECT * FROM t;"},
    "a view in ranges": {"table": "v", "partition_on": "k", "partition_count": 3},
}  # fmt: skip


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_every_row_is_in_one_window_for_any_cut(database: Make, options: dict[str, Any]) -> None:
    address = database(
        "CREATE TABLE t (id int, k int, day date, at timestamptz, j json)",
        "INSERT INTO t SELECT n, nullif(n % 700, 5) * (n % 3 - 1), date '2020-01-01' + n % 900,"
        " timestamptz '2024-01-01' + n * interval '1 hour', json_build_object('n', n) FROM generate_series(1, 900) n",
        "UPDATE t SET day = 'infinity' WHERE id = 17", "DELETE FROM t WHERE id % 10 = 0",
        "CREATE VIEW v AS SELECT * FROM t",
    )  # fmt: skip
    asked = {"table": "t", **options} if "query" not in options else options
    wanted = [n for n in range(1, 901) if n % 10 and n != 17]
    found = blocks(reader(address, **asked), target_part_bytes=1 << 13)
    assert len(found) > 2
    assert sorted(id for block in found for id in block["id"].to_pylist()) == wanted
    sample = blocks(reader(address, **asked), sample_size=100, target_part_bytes=1 << 14)
    ids = [id for block in sample for id in block["id"].to_pylist()]
    assert 99 <= len(set(ids)) == len(ids) <= 100  # one row may have been drawn that goes aside
    assert reader(address, **asked, max_rows=345, columns=("id",)).read().num_rows in (344, 345)


def test_ranges_with_too_many_rows_are_cut_again(database: Make) -> None:
    address = database("CREATE TABLE t AS SELECT CASE WHEN n < 5000 THEN n % 50 ELSE n * 1000 END AS k, n FROM"
                       " generate_series(1, 5100) n")  # fmt: skip
    found = blocks(reader(address, partition_on="k"), target_part_bytes=10_000)
    assert sum(block.num_rows for block in found) == 5_100
    assert max(block.num_rows for block in found) <= 2 * 10_000 // 8 + 100


def test_all_parts_see_one_snapshot_while_others_write(database: Make) -> None:
    address = database("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 20000) n")
    source = reader(address).source(target_part_bytes=1 << 16)
    parts = source.parts()
    assert len(parts) > 1
    read = source.open()
    first = read(parts[0]).block
    database("UPDATE t SET id = -id", "INSERT INTO t VALUES (0)", "VACUUM t", fresh=False)
    ids = first["id"].to_pylist() + [id for part in parts[1:] for id in read(part).block["id"].to_pylist()]
    assert sorted(ids) == list(range(1, 20_001))
    assert source.stamps() != reader(address).source().stamps()
    again = reader(address).source()
    assert again.stamps() == reader(address).source().stamps()


def test_a_snapshot_that_is_gone_is_told(database: Make) -> None:
    address = database("CREATE TABLE t AS SELECT 1 AS id")
    source = reader(address).source()
    source.files[0].snapshot._connection.close()  # type: ignore[attr-defined]
    with pytest.raises(ReadError, match="the snapshot that all workers read is gone"):
        source.open()(source.parts()[0])


def test_names_are_quoted_and_found_with_their_schema(database: Make) -> None:
    address = database(
        'CREATE TABLE "Orders; DROP TABLE t" ("a""b" int)', 'INSERT INTO "Orders; DROP TABLE t" VALUES (1)',
        "CREATE TABLE t (id int)", "CREATE SCHEMA s", "CREATE TABLE s.t (other int)",
    )  # fmt: skip
    assert reader(address, table="Orders; DROP TABLE t").read().to_pylist() == [{'a"b': 1}]
    assert reader(address, table="s.t").read().column_names == ["other"]
    assert reader(address, table="public.t").read().column_names == ["id"]
    with pytest.raises(ConfigError, match="has no table 'order'. It has: .*'s.t'"):
        reader(address, table="order").source()
    for query in ("DELETE FROM t", "SELECT 1; DROP TABLE t", "SELEC 1", "SELECT * FROM nope"):
        with pytest.raises(ReadError, match="the database says: .*The query is read_options.query"):
            reader(address, query=query).source()
    with pytest.raises(ConfigError, match="gives several columns named 'id'"):
        reader(address, query="SELECT 1 AS id, 2 AS id").source()
    with pytest.raises(ConfigError, match="partition_on: column 'a' is text; wanted whole numbers, dates or times"):
        reader(address, query="SELECT 'x'::text AS a", partition_on="a").source()
    with pytest.raises(MissingColumnsError, match="no column 'nope'"):
        reader(address, table="t", columns=("nope",)).source()


def test_what_keeps_a_connection_from_being_made_is_told(
    database: Make, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database("CREATE TABLE t (id int)")
    with pytest.raises(ReadError, match="cannot be reached: .*refused.*Check that the server runs"):
        reader("postgresql://tester@127.0.0.1:1/postgres").source()
    with pytest.raises(ReadError, match="there is no such host, or no name server knows it"):
        reader("postgresql://tester@no-such-host.invalid/postgres").source()
    with pytest.raises(ReadError, match='database "nope" does not exist.*psql -l'):
        reader(postgres.address.replace("/postgres", "/nope")).source()
    monkeypatch.setenv("PGPASSWORD", "wrong-secret")
    with pytest.raises(ReadError, match="user or password are wrong") as caught:
        reader(postgres.address).source()
    assert "wrong-secret" not in str(caught.value)
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(ReadError, match="wants a password. Give it in PGPASSWORD"):
        reader(postgres.address).source()
    with pytest.raises(ConfigError, match="the variable NOT_THERE is not set on this machine"):
        reader(postgres.address.replace(USER, f"{USER}:${{NOT_THERE}}")).source()


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
def test_a_run_leaves_no_password_anywhere(
    database: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: str
) -> None:
    address = database("CREATE TABLE t AS SELECT n AS id, 'x' || n AS name FROM generate_series(1, 500) n")
    monkeypatch.delenv("PGPASSWORD")
    address = address.replace("postgresql://tester", f"{driver}://tester:${{DB_PW}}")
    config = PipelineConfig(
        data_source=address, read_options=ReadOptions(table="t"), output_dir=tmp_path / "out",
        engine=EngineConfig(engine="inline"),
    )  # fmt: skip
    result = AnalyticsPipeline(config).execute()
    assert result["data_shape"] == (500, 2)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    from urllib.parse import quote

    for path in written:
        content = path.read_bytes()
        assert PASSWORD.encode() not in content
        assert quote(PASSWORD, safe="").encode() not in content


@pytest.mark.parametrize("options", [{}, {"partition_on": "id"}, {"partition_on": "day", "partition_count": 4}])
def test_sqlalchemy_reads_the_same_rows(database: Make, options: dict[str, Any]) -> None:
    address = database(
        "CREATE TABLE t (id int PRIMARY KEY, price numeric(8, 2), day date, at timestamptz, ok bool, s text)",
        "INSERT INTO t SELECT n, n / 4.0, date '2020-01-01' + n % 90, timestamptz '2024-01-01+00' + n * interval '1 s',"
        " n % 2 = 0, nullif('s' || n % 7, 's3') FROM generate_series(1, 500) n",
    )
    ours = reader(address).read()
    by_alchemy = reader(address.replace("postgresql://", "postgresql+psycopg://"), table="t", **options)
    source = by_alchemy.source(target_part_bytes=1 << 13)
    assert len(source.parts()) >= 3
    read = source.open()
    theirs = pa.concat_tables([read(part).block for part in source.parts()])
    assert theirs.sort_by("id").to_pylist() == ours.sort_by("id").to_pylist()
    assert theirs.schema.field("price").type == pa.decimal128(8, 2)
    assert any("without one snapshot" in note for note in source.notes)
    assert source.stamps() != by_alchemy.source().stamps()
    assert by_alchemy.source(sample_size=50).parts()
