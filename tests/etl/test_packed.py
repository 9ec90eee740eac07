"""Compressed files are read as what they hold; what is cut off is an error and never a shorter table."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from raypipe.errors import ReadError
from raypipe.etl.reader import DataReader
from raypipe.storage import packed

ROWS = [{"a": row, "b": f"line\n{row}"} for row in range(3000)]
CSV = ("a,b\n" + "".join(f'{row["a"]},"{row["b"]}"\n' for row in ROWS)).encode()
LINES = "\n".join(map(json.dumps, ROWS)).encode()
ARRAY = json.dumps(ROWS).encode()


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/inside.csv", content)
        archive.writestr("__MACOSX/._inside.csv", b"x")
    return file.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda content: gzip.compress(content[:1000]) + gzip.compress(content[1000:]) + b"\0" * 512,
    "bz2": lambda content: bz2.compress(content[:1000]) + bz2.compress(content[1000:]),
    "xz": lzma.compress,
    "zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    "zip": zipped,
}


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize(("name", "content"), [("x.csv", CSV), ("x.jsonl", LINES), ("x.json", ARRAY)])
def test_what_is_packed_is_read_wherever_it_is_cut(tmp_path: Path, name: str, content: bytes, end: str) -> None:
    path = tmp_path / f"{name}.{end}"
    path.write_bytes(PACK[end](content))
    reader = DataReader(path)
    source = reader.source(target_part_bytes=10_000)
    read, parts = source.open(), source.parts()
    assert [row for part in parts for row in read(part).block.to_pylist()] == ROWS
    assert len(parts) > 3
    # Out of order, as when a part is read again.
    assert [row for part in reversed(parts) for row in reversed(read(part).block.to_pylist())] == ROWS[::-1]


@pytest.mark.parametrize("end", PACK)
def test_an_archive_that_is_cut_off_or_goes_on_as_garbage_is_refused(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"x.csv.{end}"
    whole = PACK[end](CSV).removesuffix(b"\0" * 512)
    for content in (whole[:-5], whole[: len(whole) // 2], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=r"cut off"):
            DataReader(path).read()
    if end != "zip":
        path.write_bytes(whole + b"garbage")
        with pytest.raises(ReadError, match="cut off or damaged"):
            DataReader(path).read()


def test_a_damaged_byte_is_noticed(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(CSV))
    content[len(content) // 2] ^= 0x55
    (tmp_path / "x.csv.gz").write_bytes(content)
    with pytest.raises(ReadError, match="cut off or damaged"):
        DataReader(tmp_path / "x.csv.gz").read()


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("x.csv.gz", gzip.compress(b"", mtime=0), "a gzip file that holds nothing"),
        ("x.gz", gzip.compress(bytes(range(256)) * 9, mtime=0), "looks like binary data"),
        ("x.parquet.gz", gzip.compress(b"PAR1" + bytes(99) + b"PAR1", mtime=0), "is Parquet in a gzip file.*gunzip"),
    ],
)
def test_what_cannot_be_read_packed_is_said(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=match):
        DataReader(tmp_path / name)


def test_a_zip_of_several_files_is_refused_with_their_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    with pytest.raises(ReadError, match=r"a zip file with 2 files in it: a\.csv, b\.csv.*unzip"):
        DataReader(tmp_path / "x.zip")


def test_a_folder_of_packed_files_is_one_table(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv.gz").write_bytes(gzip.compress(f"a\n{number}\n".encode()))
    (tmp_path / "notes.md").write_text("no data")
    assert DataReader(tmp_path).read()["a"].to_pylist() == [0, 1, 2]


def test_a_bomb_ends_where_the_disk_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a\n" + b"1\n" * 200_000))
    monkeypatch.setattr(packed, "HELD", 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    with pytest.raises(ReadError, match="has only 0 MiB left to unpack it. Set TMPDIR"):
        DataReader(tmp_path / "x.csv.gz").read()


def test_a_packed_file_that_changes_during_the_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(CSV))
    source = DataReader(path).source(target_part_bytes=10_000)
    path.write_bytes(gzip.compress(CSV + b'9,"z"\n'))
    with pytest.raises(ReadError, match="changed while it was being read"):
        source.open()(source.parts()[0])
