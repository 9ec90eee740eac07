"""Things to read that are more than one file, or stand in an archive: a Delta table, a database, parts of workbooks.

Each stands in the corpus as the bytes of one of its parts; `put` makes the whole of it again, with that part changed.
"""

from __future__ import annotations

import functools
import io
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa

from tests.fuzz.rows import ROWS, table, xlsx

FIXTURES = Path(__file__).parents[1] / "fixtures" / "libreoffice"
MEMBERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "sheet.xlsx": ("xl/worksheets/sheet1.xml", xlsx),
    "strings.xlsx": ("xl/sharedStrings.xml", xlsx),
    "book.xlsx": ("xl/workbook.xml", xlsx),
    "styles.xlsx": ("xl/styles.xml", xlsx),
    "content.ods": ("content.xml", lambda: (FIXTURES / "orders.ods").read_bytes()),
}
"""Name -> part of an archive, so that changes get past its checksums, and the archive."""
LOG, NEWEST, LAST = "_delta_log/00000000000000000001.json", "_delta_log/00000000000000000002.json", "_last_checkpoint"


def stores() -> dict[str, bytes]:
    """Name -> content."""
    made = {name: zipfile.ZipFile(io.BytesIO(whole())).read(part) for name, (part, whole) in MEMBERS.items()}
    made |= {f"orders.{end}": (FIXTURES / f"orders.{end}").read_bytes() for end in ("xls", "ods", "xlsx")}
    made["x.sqlite"] = _sqlite()
    if find_spec("deltalake") is not None:
        made |= {name: _delta()[part] for name, part in _delta_parts().items()}
    return made


def put(folder: Path, name: str, content: bytes) -> str:
    """Lay out what the reader is to read; returns what it is told."""
    if name in MEMBERS:
        content = _with_member(*MEMBERS[name], content)
    if name.endswith(".delta"):
        for part, own in (_delta() | {_delta_parts()[name]: content}).items():
            (folder / "t" / part).parent.mkdir(parents=True, exist_ok=True)
            (folder / "t" / part).write_bytes(own)
        return str(folder / "t")
    (folder / name).write_bytes(content)
    return f"sqlite:///{folder / name}" if name.endswith(".sqlite") else str(folder / name)


def _with_member(part: str, whole: Callable[[], bytes], content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole())) as book, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        for member in book.namelist():
            made.writestr(member, content if member == part else book.read(member))
    return sink.getvalue()


@functools.cache
def _sqlite() -> bytes:
    """A database of one table that takes several pages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.sqlite")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA page_size = 512")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, price REAL, name TEXT, day DATE, ok BOOLEAN)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            [(row["id"], row["price"], row["name"], str(row["day"]), row["ok"]) for row in ROWS],
        )
        connection.commit()
        connection.close()
        return path.read_bytes()


@functools.cache
def _delta() -> dict[str, bytes]:
    """A table of three versions: two before a checkpoint, one behind it."""
    import deltalake

    with tempfile.TemporaryDirectory() as folder:
        rows = table().drop_columns(["at"])
        deltalake.write_deltalake(folder, rows.slice(0, 15))
        deltalake.write_deltalake(folder, rows.slice(15, 15), mode="append")
        deltalake.DeltaTable(folder).create_checkpoint()
        deltalake.write_deltalake(folder, pa.table(rows.slice(30)), mode="append")
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _delta_parts() -> dict[str, str]:
    """Name in the corpus -> file of the table."""
    rows = min(part for part in _delta() if part.endswith(".parquet") and "_delta_log" not in part)
    checkpoint = next(part for part in _delta() if part.endswith(".checkpoint.parquet"))
    return {
        "log.delta": NEWEST, "checkpoint.delta": checkpoint, "last.delta": f"_delta_log/{LAST}", "rows.delta": rows,
    }  # fmt: skip
