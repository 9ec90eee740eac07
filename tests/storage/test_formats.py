"""Every format is read from a bucket as the same file on a disk is: equal parts, equal rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from raypipe.config import ReadOptions
from raypipe.errors import ReadError
from raypipe.etl.reader import DataReader
from tests.etl.formats.test_typed_formats import arrow_file, arrow_stream, avro_of_fastavro, orc_of_pyarrow
from tests.storage.servers import Bucket

ROWS = [{"a": row, "b": {"c": f"line\n{row}"}} for row in range(500)]


def lines(folder: Path) -> Path:
    (folder / "x.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return folder / "x.jsonl"


def array(folder: Path) -> Path:
    (folder / "x.json").write_text(json.dumps(ROWS, indent=1))
    return folder / "x.json"


def packed(folder: Path) -> Path:
    (folder / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b'1,"x\ny"\n' * 3000))
    return folder / "x.csv.gz"


def packed_lines(folder: Path) -> Path:
    (folder / "x.jsonl.gz").write_bytes(gzip.compress(lines(folder).read_bytes()))
    return folder / "x.jsonl.gz"


def workbook(folder: Path) -> Path:
    """So large that its sheet is cut."""
    xlsxwriter = pytest.importorskip("xlsxwriter", reason="xlsxwriter is absent: pip install 'raypipe[excel]'")
    with xlsxwriter.Workbook(str(folder / "x.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["a", "b", "c"])
        for row in range(1, 6_000):
            sheet.write_row(row, 0, [row, row / 7, f"city {row % 9}"])
    return folder / "x.xlsx"


MAKERS = [arrow_file, arrow_stream, orc_of_pyarrow, avro_of_fastavro, lines, array, packed, packed_lines, workbook]


@pytest.mark.parametrize("make", MAKERS)
def test_an_object_gives_the_parts_and_rows_of_the_same_file(
    s3: Bucket, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    uri = s3.put(path.name, path.read_bytes())
    got = []
    for reader in (DataReader(path), DataReader(uri, storage=s3.storage)):
        source = reader.source(target_part_bytes=5_000)
        read = source.open()
        got.append([(part.id, part.rows, read(part).block.to_pylist()) for part in source.parts()])
    assert got[0] == got[1]
    assert len(got[0]) > 1


@pytest.mark.parametrize("name", ["orders.xlsx", "orders.xls", "orders.ods"])
def test_a_workbook_in_a_bucket_gives_the_rows_of_the_same_file(s3: Bucket, name: str) -> None:
    pytest.importorskip("python_calamine", reason="calamine is absent: pip install 'raypipe[excel]'")
    path = Path(__file__).parents[1] / "fixtures" / "libreoffice" / name
    uri = s3.put(name, path.read_bytes())
    got, wanted = DataReader(uri, storage=s3.storage).read(), DataReader(path).read()
    assert got.equals(wanted)
    assert got.num_rows == 3
    s3.put(name, path.read_bytes()[:-700])
    with pytest.raises(ReadError, match=f"{name}: .*damaged"):
        DataReader(uri, storage=s3.storage).read()


def test_folders_in_a_bucket_are_columns(s3: Bucket) -> None:
    for year in (2023, 2024):
        s3.put(f"lake/year={year}/city=K%C3%B6ln/x.jsonl", b'{"v":1}\n')
    expected = [{"v": 1, "year": year, "city": "Köln"} for year in (2023, 2024)]
    assert DataReader(f"{s3.uri}/lake", storage=s3.storage).read().to_pylist() == expected
    wanted = ReadOptions(columns=("year",))
    some = DataReader(f"{s3.uri}/lake/year=2024/*/*.jsonl", options=wanted.replace(columns=("v",)), storage=s3.storage)
    assert some.read().to_pylist() == [{"v": 1}]
    assert DataReader(f"{s3.uri}/lake/year=*/*/*", options=wanted, storage=s3.storage).read()["year"].to_pylist() == [
        2023,
        2024,
    ]
