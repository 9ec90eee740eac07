"""Files as LibreOffice and Spark wrote them, kept in tests/fixtures with how they were made: read right as they are."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raypipe import DataReader
from raypipe.config import ReadOptions

FIXTURES = Path(__file__).parents[2] / "fixtures"
OFFICE = [
    {"id": 1, "city": "Ulm", "price": 1.5, "day": dt.date(2024, 2, 29), "at": dt.datetime(2024, 2, 29, 12, 30, 15),
     "ok": True, "code": "007"},
    {"id": 2, "city": 'Köln; "Dom"', "price": -0.25, "day": dt.date(1999, 12, 31),
     "at": dt.datetime(1999, 12, 31, 23, 59, 59), "ok": False, "code": "010"},
    {"id": 3, "city": None, "price": None, "day": None, "at": None, "ok": None, "code": "x\ny"},
]  # fmt: skip
UTC = dt.UTC
SPARK: list[dict[str, Any]] = [
    {"id": 1, "city": "Ulm", "price": Decimal("1234567890.12"), "share": 0.1, "day": dt.date(2024, 2, 29),
     "at": dt.datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC), "ok": True, "tags": ["a", "b"], "place.zip": "89073"},
    {"id": 2, "city": 'Köln, "Dom"\nNord', "price": Decimal("-0.01"), "share": 1e-300, "day": dt.date(1900, 1, 1),
     "at": dt.datetime(1999, 12, 31, 23, 59, 59, 123456, tzinfo=UTC), "ok": False, "tags": [], "place.zip": "01099"},
    {"id": 3, **dict.fromkeys(["city", "price", "share", "day", "at", "ok", "tags", "place.zip"])},
]  # fmt: skip


def read(path: Path, **options: Any) -> pa.Table:
    result = DataReader(path, options=ReadOptions(**options)).read_all()
    assert not result.aside.num_rows
    return result.table


@pytest.mark.parametrize("name", ["orders.xlsx", "orders.xls", "orders.ods", "orders.csv"])
def test_what_libreoffice_wrote_is_read_with_its_types(name: str) -> None:
    if not name.endswith(".csv"):
        pytest.importorskip("python_calamine", reason="calamine is absent: pip install 'raypipe[excel]'")
    assert read(FIXTURES / "libreoffice" / name).to_pylist() == OFFICE


@pytest.mark.parametrize("name", ["rows.parquet", "rows.orc", "delta"])
def test_what_spark_wrote_is_read_with_its_types(name: str) -> None:
    if name == "delta":
        pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")
    table = read(FIXTURES / "spark" / name)
    assert table.schema.field("price").type == pa.decimal128(12, 2)
    # Spark writes times of its session, here in UTC, without a zone; those of Parquet have nanoseconds.
    at = table["at"].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    assert table.set_column(table.column_names.index("at"), "at", at).to_pylist() == SPARK


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.json"])
def test_texts_that_spark_wrote_are_read_with_exact_decimals(name: str) -> None:
    """It writes milliseconds, and quotes behind backslashes or doubled."""
    table = read(FIXTURES / "spark" / name, dtypes={"price": "decimal(12,2)"})
    wanted = [{key: value for key, value in row.items() if key in table.column_names} for row in SPARK]
    wanted[1]["at"] = wanted[1]["at"].replace(microsecond=123000)
    assert table.to_pylist() == wanted
    assert ("tags" in table.column_names) == (name == "rows.json")


def test_folders_that_spark_wrote_are_a_column() -> None:
    """With a mark of success that is no table, and a folder for null."""
    rows = sorted(read(FIXTURES / "spark" / "lake").to_pylist(), key=lambda row: row["id"])
    assert rows == [{key: row[key] for key in ("id", "price", "city")} for row in SPARK]
