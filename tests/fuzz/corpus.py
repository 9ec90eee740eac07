"""Small real files of every format, as other tools write them."""

from __future__ import annotations

import bz2
import datetime as dt
import decimal
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
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
AVRO = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "price", "type": ["null", "double"]},
        {"name": "name", "type": "string"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "ok", "type": "boolean"},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "at", "type": {"type": "record", "name": "at", "fields": [
            {"name": "x", "type": "long"},
            {"name": "y", "type": {"type": "record", "name": "y", "fields": [{"name": "z", "type": "string"}]}}]}},
    ],
}  # fmt: skip


def _table() -> pa.Table:
    table = pa.Table.from_pylist(ROWS)
    exact = [decimal.Decimal(row["id"]) / 100 for row in ROWS]
    return table.append_column("exact", pa.array(exact, pa.decimal128(20, 2)))


def _csv() -> bytes:
    lines = ["id,price,name,day,ok"]
    for row in ROWS:
        name = row["name"].replace('"', '""')
        price = "" if row["price"] is None else row["price"]
        lines.append(f'{row["id"]},{price},"{name}",{row["day"]},{str(row["ok"]).lower()}')
    return ("\n".join(lines) + "\n").encode()


def _lines() -> bytes:
    return "\n".join(json.dumps(row, default=str) for row in ROWS).encode()


def _array() -> bytes:
    return json.dumps(ROWS, default=str, indent=1).encode()


def _parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(_table(), sink, row_group_size=15)
    return sink.getvalue()


def _ipc(new: Callable[..., Any]) -> bytes:
    sink = io.BytesIO()
    with new(sink, _table().schema) as writer:
        writer.write_table(_table(), 15)
    return sink.getvalue()


def _orc() -> bytes:
    sink = io.BytesIO()
    orc.write_table(_table(), sink)
    return sink.getvalue()


def _avro() -> bytes:
    sink = io.BytesIO()
    fastavro.writer(sink, AVRO, ROWS, codec="deflate", sync_interval=500)
    return sink.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return sink.getvalue()


def _xlsx() -> bytes:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "price", "name", "day", "ok"])
        for number, row in enumerate(ROWS, 1):
            sheet.write_row(number, 0, [row[name] for name in ("id", "price", "name", "day", "ok")])
    return sink.getvalue()


SHEET, SHEET_FILE = "xl/worksheets/sheet1.xml", "sheet.xlsx"
"""A file that stands in the corpus as the XML of its sheet, so that changes get past the checksums of the archive."""


def as_file(name: str, content: bytes) -> bytes:
    """The content as it is put on a disk under this name."""
    if name != SHEET_FILE:
        return content
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_xlsx())) as book, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        for member in book.namelist():
            made.writestr(member, content if member == SHEET else book.read(member))
    return sink.getvalue()


def corpus() -> dict[str, bytes]:
    """File name -> content."""
    return {
        "x.csv": _csv(),
        "x.jsonl": _lines(),
        "x.json": _array(),
        "x.parquet": _parquet(),
        "x.arrow": _ipc(pa.ipc.new_file),
        "x.arrows": _ipc(pa.ipc.new_stream),
        "x.orc": _orc(),
        "x.avro": _avro(),
        "x.csv.gz": gzip.compress(_csv(), mtime=0),
        "x.jsonl.bz2": bz2.compress(_lines()),
        "x.json.xz": lzma.compress(_array()),
        "x.jsonl.zst": pa.compress(_lines(), "zstd", asbytes=True),
        "x.csv.zip": _zip("x.csv", _csv()),
        "x.xlsx": _xlsx(),
        SHEET_FILE: zipfile.ZipFile(io.BytesIO(_xlsx())).read(SHEET),
    }
