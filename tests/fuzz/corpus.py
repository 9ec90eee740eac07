"""Small real files of every format, as other tools write them."""

from __future__ import annotations

import bz2
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

from tests.fuzz.rows import ROWS, table, xlsx
from tests.fuzz.stores import stores

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
    pq.write_table(table(), sink, row_group_size=15)
    return sink.getvalue()


def _ipc(new: Callable[..., Any]) -> bytes:
    sink = io.BytesIO()
    with new(sink, table().schema) as writer:
        writer.write_table(table(), 15)
    return sink.getvalue()


def _orc() -> bytes:
    sink = io.BytesIO()
    orc.write_table(table(), sink)
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
        "x.xlsx": xlsx(),
        **stores(),
    }
