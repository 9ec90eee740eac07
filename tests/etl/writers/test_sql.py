"""Tables of SQLite and PostgreSQL: one transaction, exact values, no password in anything."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from raypipe.engine.localframe import local_frame
from raypipe.errors import ConfigError, OutputError, SchemaError
from raypipe.etl.writers.sql_place import parse_url
from raypipe.pipeline.convert import write
from tests.etl.writers.tables import KINDS, plain, tables

pytest.importorskip("adbc_driver_sqlite", reason="ADBC is absent: pip install 'raypipe[sql]'")

ONE = pa.table({"id": [1, 2, 3], "v": ["a", "b", None]})
TABLE = {"sql": {"table": "my table"}}


def asked(path: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def all_of(path: Path) -> list[Any]:
    return asked(path, 'SELECT id, v FROM "my table" ORDER BY id, v')


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(KINDS))
def test_values_come_back_from_sqlite_as_they_were(table: pa.Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.db")
        at = table.num_rows // 2
        write(local_frame(table, (at, table.num_rows - at)), path, **TABLE)
        got = asked(path, f'SELECT {", ".join(table.column_names)} FROM "my table"')
    wanted = [tuple(_stored(value) for value in row.values()) for row in table.to_pylist()]
    assert plain(pa.table({"x": [repr(got)]})) == plain(pa.table({"x": [repr(wanted)]}))


def _stored(value: Any) -> Any:
    """SQLite has numbers, texts and bytes; dates and times are ISO texts."""
    if isinstance(value, bool):
        return int(value)
    if value == 0:
        return abs(value)  # SQLite has one zero
    if hasattr(value, "hour"):
        zone = "+00:00" if value.tzinfo is not None else ""
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + zone
    return value.isoformat() if hasattr(value, "isoformat") else value


def test_append_overwrite_and_merge(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    write(ONE, f"sqlite:///{path}", **TABLE)
    assert all_of(path) == [(1, "a"), (2, "b"), (3, None)]
    write(pa.table({"v": ["d"], "id": [4]}), path, mode="append", **TABLE)  # by names, whatever their order
    assert all_of(path)[-1] == (4, "d")
    done = write(pa.table({"id": [2, 9], "v": ["B", "i"]}), path, mode="merge", key="id", **TABLE)
    assert done.detail == {"table": "my table", "rows_updated": 1, "rows_inserted": 1}
    assert all_of(path) == [(1, "a"), (2, "B"), (3, None), (4, "d"), (9, "i")]
    write(ONE, path, mode="overwrite", **TABLE)
    assert all_of(path) == [(1, "a"), (2, "b"), (3, None)]
    assert asked(path, "SELECT name FROM sqlite_master") == [("my table",)]


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_what_fails_in_the_middle_leaves_the_table_as_it_was(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.db"
    write(ONE, path, **TABLE)

    def fail(block: pa.Table) -> pa.Table:
        raise ValueError("no more")

    frame = local_frame(pa.table({"id": [7, 8], "v": pa.array(["x", "y"], pa.large_string())}), (1, 1))
    blocks = list(frame.iter_blocks())

    def broken() -> Iterator[pa.Table]:
        yield blocks[0]
        fail(blocks[1])

    from raypipe.config import WriteOptions
    from raypipe.etl.writers.choose import open_target

    options = WriteOptions.model_validate({"mode": mode, **TABLE, **({"key": "id"} if mode == "merge" else {})})
    with open_target(path, options) as target, pytest.raises(ValueError, match="no more"):
        target.commit(blocks[0].schema, [], broken)
    assert all_of(path) == [(1, "a"), (2, "b"), (3, None)]


@pytest.mark.parametrize(
    ("table", "options", "error", "said"),
    [
        (ONE, {}, ConfigError, "table my table is there already"),
        (
            ONE.append_column("w", pa.array([1, 2, 3])),
            {"mode": "append"},
            SchemaError,
            "has no column 'w'. It has: id, v",
        ),
        (
            pa.table({"id": [1, 1], "v": ["a", "b"]}),
            {"mode": "merge", "key": "id"},
            OutputError,
            "id = 1 stands in 2 rows",
        ),
        (ONE, {"mode": "merge", "key": "x"}, SchemaError, "no column 'x'"),
        (ONE, {"mode": "append", "sql": {"table": "t", "db_schema": "s"}}, ConfigError, "SQLite has no schemas"),
        (pa.table({"a": [1], "A": [1]}), {"sql": {"table": "t"}}, SchemaError, "twice but for capitals"),
        (pa.table({}), {"sql": {"table": "t"}}, SchemaError, "has no columns, and a table of SQL needs one"),
        (ONE, {"sql": {}}, ConfigError, "which table"),
        (ONE, {"mode": "merge", "key": "id", "sql": {"table": "t"}}, ConfigError, "no table t to merge into"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, table: pa.Table, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    path = tmp_path / "a.db"
    write(ONE, path, **TABLE)
    with pytest.raises(error, match=said):
        write(table, path, **{**TABLE, **options})
    assert all_of(path) == [(1, "a"), (2, "b"), (3, None)]


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").mkdir()
    with pytest.raises(ConfigError, match=r"is a folder, and a file of SQLite is wanted"):
        write(ONE, tmp_path / "a.db", **TABLE)


def test_names_that_are_hostile_are_names(tmp_path: Path) -> None:
    name = 'x"; DROP TABLE "my table"; --'
    write(ONE, tmp_path / "a.db", **TABLE)
    write(pa.table({name: [1]}), tmp_path / "a.db", sql={"table": name})
    write(pa.table({name: [1]}), tmp_path / "a.db", mode="merge", key=name, sql={"table": name})
    assert len(all_of(tmp_path / "a.db")) == 3


def test_a_database_that_another_one_writes_to_is_told(tmp_path: Path) -> None:
    write(ONE, tmp_path / "a.db", **TABLE)
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); print(flush=True); "
    code += "input()"
    holder = subprocess.Popen(  # locks do not hold within one process
        [sys.executable, "-c", code, tmp_path / "a.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(OutputError, match=r"the database says: .*locked"):
            write(ONE, tmp_path / "a.db", mode="append", **TABLE)
    finally:
        holder.communicate("\n")


@pytest.mark.parametrize(
    "url", ["postgresql://ann:s3cret@h/db", "postgresql://h/db?password=s3cret", "postgres://ann:s3cret@h:5432/db"]
)
def test_an_address_with_a_password_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"an address holds no password.*sql.password=env:NAME") as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match="wanted env:NAME or file:PATH"):
        write(ONE, "postgresql://h/db", sql={"table": "t", "password": "s3cret"})


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL of our own, without its password, which is in PASSWORD_OF_TEST."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    own = shutil.which("initdb")
    initdb = Path(own).resolve() if own else (found[-1] if found else None)
    if initdb is None:
        pytest.skip("PostgreSQL is absent: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="rp-pg-", dir="/tmp"))
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres", "postgres")
    (folder / "pw").write_text("s3cret")
    os.chmod(folder / "pw", 0o644)
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    subprocess.run(
        [initdb, "-D", folder / "data", "-U", "ann", "-A", "scram-sha-256", f"--pwfile={folder}/pw", "-N"],
        **quiet,
        **user,
    )
    server = subprocess.Popen(
        [initdb.with_name("postgres"), "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-F"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **user,
    )  # fmt: skip
    ready = [initdb.with_name("pg_isready"), "-h", folder, "-t", "30"]
    while subprocess.run(ready, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        assert server.poll() is None
    os.environ["PASSWORD_OF_TEST"] = "s3cret"
    yield f"postgresql://ann@/postgres?host={folder}"
    del os.environ["PASSWORD_OF_TEST"]
    server.terminate()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


def pg(postgres: str, query: str) -> list[Any]:
    import psycopg

    with psycopg.connect(postgres, password="s3cret", autocommit=True) as connection:
        found = connection.execute(query)
        return found.fetchall() if found.description else []


def test_postgresql_holds_types_and_is_written_in_one_transaction(postgres: str) -> None:
    how = {"table": "sales", "password": "env:PASSWORD_OF_TEST"}
    write(ONE, postgres, sql=how)
    assert pg(postgres, "SELECT id, v FROM sales ORDER BY id") == [(1, "a"), (2, "b"), (3, None)]
    write(ONE, postgres, mode="append", sql=how)
    done = write(pa.table({"id": [9, 8], "v": ["n", "m"]}), postgres, mode="merge", key="id", sql=how)
    assert done.detail == {"table": "sales", "rows_updated": 0, "rows_inserted": 2}
    assert "s3cret" not in repr(done)
    write(ONE, postgres, mode="overwrite", sql=how)
    assert pg(postgres, "SELECT count(*) FROM sales") == [(3,)]
    with pytest.raises(OutputError, match="the database says") as caught:
        write(ONE, postgres, mode="append", sql={"table": "sales", "password": f"file:{__file__}"})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match="env:NO_SUCH is not there"):
        write(ONE, postgres, mode="append", sql={"table": "sales", "password": "env:NO_SUCH"})


def test_postgresql_does_not_round_what_its_column_cannot_hold(postgres: str) -> None:
    how = {"table": "narrow", "password": "env:PASSWORD_OF_TEST"}
    pg(postgres, "CREATE TABLE narrow (id serial PRIMARY KEY, n integer, d date DEFAULT '2024-01-01')")
    write(pa.table({"n": [1.0, None]}), postgres, mode="append", sql=how)
    with pytest.raises(
        OutputError, match="1 values of column 'n' .* would change in the table's column of type integer"
    ):
        write(pa.table({"n": [2.0, 2.5]}), postgres, mode="append", sql=how)
    assert [row[1] for row in pg(postgres, "SELECT id, n, d FROM narrow ORDER BY id")] == [1, None]


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(KINDS, min_rows=1))
def test_values_come_back_from_postgresql_exact(postgres: str, table: pa.Table) -> None:
    from adbc_driver_postgresql import dbapi

    how = {"table": "law", "password": "env:PASSWORD_OF_TEST"}
    write(table, postgres, mode="overwrite", sql=how)
    with dbapi.connect(postgres.replace("ann@", "ann:s3cret@")) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(table.column_names)} FROM law")
        assert plain(cursor.fetch_arrow_table()) == plain(table)
