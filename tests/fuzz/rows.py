"""The rows that the files of the corpus hold."""

from __future__ import annotations

import datetime as dt
import decimal
import io
from typing import Any

import pyarrow as pa
import xlsxwriter

ROWS: list[dict[str, Any]] = [
    {
        "id": row,
        "price": None if row % 7 == 3 else row / 8,
        "name": f'é "{row}", {row}\n' if row % 5 == 0 else f"plain {row}",
        "day": dt.date(2024, 1, 1) + dt.timedelta(days=row),
        "ok": row % 3 == 0,
        "tags": ["a", "b"][: row % 3],
        "at": {"x": row, "y": {"z": "deep"}},
    }
    for row in range(40)
]


def table() -> pa.Table:
    """As an Arrow table, with a column of decimals."""
    table = pa.Table.from_pylist(ROWS)
    exact = [decimal.Decimal(row["id"]) / 100 for row in ROWS]
    return table.append_column("exact", pa.array(exact, pa.decimal128(20, 2)))


def xlsx() -> bytes:
    """As a workbook."""
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "price", "name", "day", "ok"])
        for number, row in enumerate(ROWS, 1):
            sheet.write_row(number, 0, [row[name] for name in ("id", "price", "name", "day", "ok")])
    return sink.getvalue()
