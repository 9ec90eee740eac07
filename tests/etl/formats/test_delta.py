"""Delta tables of deltalake, Polars and hand-written logs: versions, partitions, deletions, mapped columns."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe import DataReader
from raypipe.config import ReadOptions, StorageConfig
from raypipe.errors import ConfigError, MissingColumnsError, ReadError

deltalake = pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")


def read(path: object, storage: StorageConfig | None = None, **options: Any) -> pa.Table:
    return DataReader(str(path), options=ReadOptions(**options), storage=storage).read()


def rows_of(table: pa.Table, key: str = "id") -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row[key])


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Version 0 has 3 rows, version 1 a fourth and a new column, version 2 only one row."""
    path = tmp_path / "orders"
    deltalake.write_deltalake(path, pa.table({"id": [1, 2, 3], "city": ["Ulm", "Bonn", "Ulm"]}), partition_by=["city"])
    more = pa.table({"id": [4], "city": pa.array([None], pa.string()), "price": [1.5]})
    deltalake.write_deltalake(path, more, mode="append", schema_mode="merge")
    deltalake.write_deltalake(path, more.slice(0, 1), mode="overwrite")
    return path


def test_every_version_is_read_as_it_was(versions: Path) -> None:
    assert rows_of(read(versions, version=0)) == [
        {"id": 1, "city": "Ulm"}, {"id": 2, "city": "Bonn"}, {"id": 3, "city": "Ulm"},
    ]  # fmt: skip
    assert rows_of(read(versions, version=1)) == [
        {"id": 1, "city": "Ulm", "price": None}, {"id": 2, "city": "Bonn", "price": None},
        {"id": 3, "city": "Ulm", "price": None}, {"id": 4, "city": None, "price": 1.5},
    ]  # fmt: skip
    assert rows_of(read(versions)) == [{"id": 4, "city": None, "price": 1.5}]
    source = DataReader(versions).source()
    assert source.notes[0] == f"{versions}: version 2 is read"
    assert source.stamps()[0][3].startswith("version 2 of table ")
    theirs = pl.read_delta(str(versions), version=1).sort("id").to_dicts()
    assert theirs == [{key: row[key] for key in theirs[0]} for row in rows_of(read(versions, version=1))]


def test_a_time_leads_to_the_version_of_that_time(versions: Path) -> None:
    for version, day in enumerate((1, 2, 3)):
        moment = datetime(2024, 1, day, tzinfo=UTC).timestamp()
        os.utime(versions / "_delta_log" / f"{version:020d}.json", (moment, moment))
    assert read(versions, timestamp="2024-01-02T12:00:00+00:00").num_rows == 4
    assert read(versions, timestamp="2024-01-02T01:00:00+02:00").num_rows == 3
    assert read(versions, timestamp="2999-01-01").num_rows == 1
    with pytest.raises(ConfigError, match="has no version of 2001-01-01; the oldest is of 2024-01-01T00:00:00.000"):
        read(versions, timestamp="2001-01-01")
    with pytest.raises(ConfigError, match="got 'yesterday'; wanted a time such as 2026-05-31T18:00"):
        read(versions, timestamp="yesterday")
    with pytest.raises(ConfigError, match="version and timestamp exclude each other"):
        read(versions, timestamp="2999-01-01", version=0)
    with pytest.raises(ConfigError, match="has no version 7; its newest is 2"):
        read(versions, version=7)


def test_values_of_partitions_have_their_types(tmp_path: Path) -> None:
    schema = pa.schema([
        ("id", pa.int64()), ("d", pa.date32()), ("ts", pa.timestamp("us", "UTC")), ("n", pa.decimal128(10, 2)),
        ("b", pa.bool_()), ("i", pa.int32()), ("s", pa.string()),
    ])  # fmt: skip
    rows = [
        {"id": 1, "d": date(2024, 2, 29), "ts": datetime(2024, 2, 29, 12, 0, 0, 5, UTC), "n": Decimal("1.20"),
         "b": True, "i": -5, "s": "a b/ü%=+"},
        {"id": 2, "d": None, "ts": None, "n": None, "b": None, "i": None, "s": None},
    ]  # fmt: skip
    deltalake.write_deltalake(tmp_path / "t", pa.Table.from_pylist(rows, schema), partition_by=schema.names[1:])
    table = read(tmp_path / "t")
    assert rows_of(table) == rows
    assert [str(kind) for kind in table.schema.types] == [
        "int64", "date32[day]", "timestamp[us, tz=UTC]", "decimal128(10, 2)", "bool", "int32", "large_string",
    ]  # fmt: skip
    assert read(tmp_path / "t", columns=("s", "id")).column_names == ["s", "id"]
    assert sorted(read(tmp_path / "t", columns=("i",))["i"].to_pylist(), key=str) == [-5, None]
    with pytest.raises(MissingColumnsError, match="Did you mean 'id'"):
        read(tmp_path / "t", columns=("ids",))


def test_samples_and_first_rows_are_exact_for_any_cut(tmp_path: Path) -> None:
    for start in (0, 5_000, 10_000):
        rows = pa.table({"id": range(start, start + 5_000)})
        deltalake.write_deltalake(tmp_path / "t", rows, mode="append")
    reader = DataReader(tmp_path / "t")
    for target in (1 << 14, 1 << 30):
        source = reader.source(target_part_bytes=target)
        ids = [id for part in source.parts() for id in source.open()(part).block["id"].to_pylist()]
        assert sorted(ids) == list(range(15_000))
        sample = reader.source(sample_size=700, target_part_bytes=target)
        drawn = [id for part in sample.parts() for id in sample.open()(part).block["id"].to_pylist()]
        assert len(set(drawn)) == len(drawn) == 700
    assert read(tmp_path / "t", max_rows=6_000).num_rows == 6_000


# ---- tables as Spark writes them: the log is written by hand ---------------------------------------------------------


def column(name: str, kind: str, **metadata: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": True, "metadata": metadata}


def by_hand(
    path: Path,
    columns: Sequence[Mapping[str, Any]],
    files: Mapping[str, pa.Table],
    features: Sequence[str] = (),
    configuration: Mapping[str, str] | None = None,
    vectors: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """A table whose log says what is given."""
    (path / "_delta_log").mkdir(parents=True)
    protocol: dict[str, Any] = {"minReaderVersion": 1, "minWriterVersion": 2}
    if features:
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": list(features),
                    "writerFeatures": list(features)}  # fmt: skip
    actions: list[dict[str, Any]] = [
        {"protocol": protocol},
        {"metaData": {"id": "t1", "format": {"provider": "parquet", "options": {}}, "partitionColumns": [],
                      "schemaString": json.dumps({"type": "struct", "fields": columns}),
                      "configuration": dict(configuration or {}), "createdTime": 1}},
    ]  # fmt: skip
    for name, table in files.items():
        pq.write_table(table, path / name)
        add = {"path": name, "partitionValues": {}, "size": (path / name).stat().st_size, "modificationTime": 1,
               "dataChange": True, "stats": json.dumps({"numRecords": table.num_rows})}  # fmt: skip
        vector = (vectors or {}).get(name)
        actions.append({"add": add | ({"deletionVector": vector} if vector else {})})
    (path / "_delta_log" / f"{0:020d}.json").write_text("\n".join(map(json.dumps, actions)))
    return path


def vector_of(deleted: Sequence[int]) -> dict[str, Any]:
    """A deletion vector within the log: a portable Roaring bitmap in Z85."""
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(deleted) - 1, 16) + struct.pack(f"<{len(deleted)}H", *deleted)
    data = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    signs = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    text = ""
    for at in range(0, len(data), 4):
        value, part = int.from_bytes(data[at : at + 4].ljust(4, b"\0"), "big"), ""
        for _ in range(5):
            value, digit = divmod(value, 85)
            part = signs[digit] + part
        text += part
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(deleted)}


def test_deleted_rows_are_left_out_wherever_the_table_is_cut(tmp_path: Path) -> None:
    gone = [0, 1, 7, 500, 998]
    path = by_hand(
        tmp_path / "dv", [column("id", "long")],
        {"a.parquet": pa.table({"id": range(1_000)}), "b.parquet": pa.table({"id": range(1_000, 1_010)})},
        features=["deletionVectors"], vectors={"a.parquet": vector_of(gone)},
    )  # fmt: skip
    wanted = [id for id in range(1_010) if id not in gone]
    assert sorted(read(path)["id"].to_pylist()) == wanted
    reader = DataReader(path)
    source = reader.source(target_part_bytes=1 << 10)
    assert len(source.parts()) > 3
    assert sorted(id for part in source.parts() for id in source.open()(part).block["id"].to_pylist()) == wanted
    assert reader.get_file_info()["estimated_rows"] == len(wanted)
    assert f"{len(gone)} rows are deleted in this version and left out" in source.notes
    sample = reader.source(sample_size=50)
    drawn = [id for part in sample.parts() for id in sample.open()(part).block["id"].to_pylist()]
    assert len(drawn) == 50
    assert not set(drawn) & set(gone)


def test_mapped_columns_have_the_names_of_the_table(tmp_path: Path) -> None:
    def mapped(name: str, kind: str, stored: str, number: int) -> dict[str, Any]:
        return column(name, kind, **{"delta.columnMapping.id": number, "delta.columnMapping.physicalName": stored})

    path = by_hand(
        tmp_path / "cm", [mapped("id", "long", "col-1", 1), mapped("new name", "string", "col-2", 2)],
        {"a.parquet": pa.table({"col-1": [1, 2], "col-2": ["x", "y"], "new name": ["old", "old"]}),
         "b.parquet": pa.table({"col-1": [3]})},
        features=["columnMapping"], configuration={"delta.columnMapping.mode": "name"},
    )  # fmt: skip
    assert rows_of(read(path)) == [
        {"id": 1, "new name": "x"}, {"id": 2, "new name": "y"}, {"id": 3, "new name": None},
    ]  # fmt: skip
    assert read(path, columns=("new name",)).num_rows == 3


def test_what_cannot_be_read_right_is_refused(tmp_path: Path) -> None:
    odd = by_hand(tmp_path / "odd", [column("id", "long")], {"a.parquet": pa.table({"id": [1]})}, features=["newThing"])
    with pytest.raises(ReadError, match="cannot be read as a Delta table: .*newThing"):
        read(odd)
    lost = by_hand(tmp_path / "lost", [column("id", "long")], {"a.parquet": pa.table({"id": [1]})})
    (lost / "a.parquet").unlink()
    with pytest.raises(ReadError, match=r"version 0 can no longer be read: its file '.*a.parquet' is gone, as after a"):
        read(lost)
    late = by_hand(tmp_path / "late", [column("id", "long")], {"a.parquet": pa.table({"id": [1]})})
    source = DataReader(late).source()
    pq.write_table(pa.table({"id": [1, 2]}), late / "a.parquet")
    with pytest.raises(ReadError, match="is not the file that the log of its table tells of"):
        source.open()(source.parts()[0])
    (late / "_delta_log" / f"{0:020d}.json").write_text("{")
    with pytest.raises(ReadError, match="cannot be read as a Delta table"):
        read(late)
    with pytest.raises(ConfigError, match="delimiter has no meaning for Delta"):
        read(odd, delimiter=";")
